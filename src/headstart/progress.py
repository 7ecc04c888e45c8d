"""Progress of long work: a bar in a terminal, lines elsewhere, JSON for machines, or nothing."""

from __future__ import annotations

import abc
import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["AbstractObserver", "Bar", "JSONLines", "Lines", "Quiet", "observer"]


@runtime_checkable
class Stream(Protocol):
    """Where text goes."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...


class AbstractObserver(abc.ABC):
    """Whom a run tells what happens. `done` and `total` count iterations from the run's very beginning."""

    @abc.abstractmethod
    def begin(self, about: Mapping[str, Any], done: int, total: int) -> None:
        """A run begins or goes on; `about` is its `run.json`. The first chunk compiles next."""

    @abc.abstractmethod
    def advance(self, done: int, metrics: Mapping[str, np.ndarray]) -> None:
        """A chunk has ended; metrics are `[chunk]`."""

    @abc.abstractmethod
    def say(self, sentence: str) -> None:
        """Something worth a line: saved, already complete."""

    @abc.abstractmethod
    def warn(self, sentence: str) -> None:
        """Something went wrong, and work goes on."""

    @abc.abstractmethod
    def end(self) -> None:
        """No more will come: finished, stopped or failed."""


def observer(
    *, json_lines: bool = False, quiet: bool = False, unit: str = "iterations", per_iteration: int = 1
) -> AbstractObserver:
    """The observer for this terminal and these wishes.

    **Arguments:**

    - `unit`, `per_iteration`: what rates are counted in, such as `"steps"`, 2048 of them an iteration.
    """
    if json_lines:
        return JSONLines()
    if quiet:
        return Quiet()
    pace = Pace(unit, per_iteration)
    return Bar(pace) if sys.stderr.isatty() else Lines(pace)


class Pace:
    """Rates and times left, on a clock that never jumps. The first chunk, which compiles, is not counted."""

    def __init__(self, unit: str = "iterations", per_iteration: int = 1):
        self.unit, self.per_iteration = unit, per_iteration

    def begin(self, done: int, total: int) -> None:
        self.begun = time.monotonic()
        self.total = total
        self.first: tuple[int, float] | None = None

    def advance(self, done: int) -> str:
        """`"12,345 steps/s, 1:20 left"`, or how long the first chunk took."""
        now = time.monotonic()
        if self.first is None:
            self.first = (done, now)
            return f"first chunk, compilation included, in {now - self.begun:.1f} s"
        since, then = self.first
        rate = (done - since) / max(now - then, 1e-9)
        return f"{rate * self.per_iteration:,.0f} {self.unit}/s, {_clock((self.total - done) / max(rate, 1e-9))} left"


class Bar(AbstractObserver):
    """A live bar on standard error, with the seconds of compilation counting up until the first chunk is there."""

    def __init__(self, pace: Pace, console: Console | None = None):
        self.pace, self.console = pace, console or Console(stderr=True, highlight=False, markup=False)
        self.progress: Progress | None = None

    def begin(self, about: Mapping[str, Any], done: int, total: int) -> None:
        self.console.print(headline(about))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=self.console)
        self.task: TaskID = self.progress.add_task("compiling ...", total=total, completed=done)
        self.pace.begin(done, total)
        self.progress.start()

    def advance(self, done: int, metrics: Mapping[str, np.ndarray]) -> None:
        if self.progress is not None:
            self.progress.update(self.task, completed=done, description=self.pace.advance(done))

    def say(self, sentence: str) -> None:
        self.console.print(sentence)

    def warn(self, sentence: str) -> None:
        self.console.print(f"warning: {sentence}")

    def end(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


class Lines(AbstractObserver):
    """A plain line about every ten seconds, for logs and pipes."""

    def __init__(self, pace: Pace, stream: Stream | None = None, every: float = 10.0):
        """`every` is in seconds."""
        self.pace, self.stream, self.every = pace, stream or sys.stderr, every

    def begin(self, about: Mapping[str, Any], done: int, total: int) -> None:
        self.pace.begin(done, total)
        self.spoken = -float("inf")
        self._print(headline(about))
        self._print(f"{done:,} of {total:,} iterations done; compiling ...")

    def advance(self, done: int, metrics: Mapping[str, np.ndarray]) -> None:
        now, pace = time.monotonic(), self.pace.advance(done)
        if now - self.spoken >= self.every or done == self.pace.total:
            self.spoken = now
            self._print(f"{done:,} of {self.pace.total:,}, {pace}")

    def say(self, sentence: str) -> None:
        self._print(sentence)

    def warn(self, sentence: str) -> None:
        self._print(f"warning: {sentence}")

    def end(self) -> None:
        self.stream.flush()

    def _print(self, line: str) -> None:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"  # a path may hold what the locale cannot show
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=self.stream, flush=True)


class JSONLines(AbstractObserver):
    """One JSON object a line on standard output, pure ASCII: `{"event": "advance", "done": 32, ...}`."""

    def __init__(self, stream: Stream | None = None):
        self.stream = stream or sys.stdout

    def begin(self, about: Mapping[str, Any], done: int, total: int) -> None:
        self._print(event="begin", done=done, total=total, about=dict(about))

    def advance(self, done: int, metrics: Mapping[str, np.ndarray]) -> None:
        latest = {name: float(values[-1]) for name, values in metrics.items()}
        self._print(event="advance", done=done, metrics={k: v if np.isfinite(v) else None for k, v in latest.items()})

    def say(self, sentence: str) -> None:
        self._print(event="say", text=sentence)

    def warn(self, sentence: str) -> None:
        self._print(event="warn", text=sentence)

    def end(self) -> None:
        self._print(event="end")

    def _print(self, **row: Any) -> None:
        print(json.dumps(row), file=self.stream, flush=True)


class Quiet(AbstractObserver):
    """Says nothing but warnings, on standard error."""

    def begin(self, about: Mapping[str, Any], done: int, total: int) -> None: ...

    def advance(self, done: int, metrics: Mapping[str, np.ndarray]) -> None: ...

    def say(self, sentence: str) -> None: ...

    def warn(self, sentence: str) -> None:
        Lines(Pace()).warn(sentence)

    def end(self) -> None: ...


def headline(about: Mapping[str, Any]) -> str:
    """Backend, device and versions in one line."""
    device, versions = about["device"], about["versions"]
    named = ", ".join(f"{name} {versions[name]}" for name in ("headstart-rl", "jax", "equinox") if name in versions)
    return f"{device['backend']}: {device['count']} x {device['kind']}; {named}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
