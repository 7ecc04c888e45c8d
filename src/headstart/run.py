"""Train a process in a directory that the same call resumes.

Killed at any moment and called again, a run ends in the very bits it would have ended in: its state is all there is,
and iteration i draws its randomness from the seed and i alone. That holds on the same kind of machine with the same
versions, devices and XLA flags; whatever of that changes is warned of.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from headstart import checkpoint, rundir, shortage
from headstart.core.process import AbstractProcess, ProcessState, train
from headstart.errors import BadData, Interrupted, NumericalStop, StorageError, UsageError, require
from headstart.interrupts import Interrupts
from headstart.progress import AbstractObserver, Quiet

__all__ = ["FREE", "run"]

FREE = frozenset({"iterations", "every", "log"})
FAILED_SAVES = 3


def run(
    process: AbstractProcess,
    iterations: int,
    *,
    directory: str | Path,
    configuration: Mapping[str, Any],
    seed: int,
    every: int = 128,
    chunk: int = 16,
    observer: AbstractObserver | None = None,
    observes: str = "",
    keep: int = 2,
    patience: int = 20,
    override: bool = False,
    tensorboard: bool = False,
) -> ProcessState:
    """Train for `iterations` iterations in all; returns the final state, at once if they are done already.

    **Arguments:**

    - `directory`: the run's own. A new one is made; one that holds this run is gone on with.
    - `configuration`: what was asked for, as JSON; its top-level keys `iterations`, `every` and `log` may change when
      a run is resumed, anything else may not unless `override`, which is recorded.
    - `every`: iterations between checkpoints, rounded up to whole chunks.
    - `chunk`: iterations per call of the compiled program. Part of what makes a run bit-exact.
    - `observes`: what the agent may observe, in words, for `run.json`.
    - `patience`: so many iterations in a row with a skipped update (a metric `.../skipped`) or a metric that is not
      finite, and the run stops. `episode/...` may be NaN: it is where no episode ended.
    - `tensorboard`: also write TensorBoard events, which needs the extra `log`.

    **Raises:** `UsageError` (the directory is in use, not ours or not writable), `CannotResume` (another
    configuration or architecture), `StorageError` (no intact checkpoint, or three failed to be written in a row),
    `NumericalStop`, `UsageError` when memory runs out, `BadData` when an environment on the host fails: the last whole
    chunk is stored first; and `Interrupted` when asked to stop: then a checkpoint is stored first too.
    """
    if iterations < 1 or every < 1 or chunk < 1:
        raise UsageError(f"iterations = {iterations}, every = {every} and chunk = {chunk} must each be at least 1.")
    directory, observer, key = Path(directory), observer or Quiet(), jax.random.key(seed)
    checkpoints = directory / "checkpoints"
    with rundir.locked(directory), Interrupts() as interrupts:
        described = rundir.about(dict(configuration), seed, observes)
        stored = rundir.read(directory)
        if stored is not None:
            described = rundir.check(stored, described, free=FREE, override=override, warn=observer.warn)
        checkpoint.clean(checkpoints)
        done, state = _resume(process, checkpoints, key, observer)
        if done >= iterations:
            observer.say(f"already complete at iteration {done}.")
            return state
        if described is not stored:
            rundir.write(directory, described)
        metrics = rundir.Metrics(directory, done, observer.warn)
        sinks = [TensorBoard(directory, done, observer)] if tensorboard else []
        after = _After(checkpoints, iterations, done, every, keep, patience, metrics, sinks, observer, interrupts)
        observer.begin(described, done, iterations)
        try:
            state = train(process, iterations, key=key, state=state, done=done, chunk=chunk, after=after)
        except BadData:
            after.rescue()
            raise
        except Exception as error:
            if not shortage.ran_out(error):
                raise
            last = after.latest[1] if after.latest else state
            raise UsageError(shortage.told(error, process, last)) from error
        finally:
            observer.end()
            metrics.close()
            if metrics.dropped:
                observer.warn(f"{metrics.dropped} rows of {metrics.path} were dropped.")
        observer.say(f"complete at iteration {iterations}: {directory}")
        return state


def _resume(
    process: AbstractProcess, checkpoints: Path, key: jax.Array, observer: AbstractObserver
) -> tuple[int, ProcessState | None]:
    """How far the run has come and its state there; `(0, None)` if it never stored a step."""
    if not checkpoint.present(checkpoints):
        return 0, None
    init_key, _ = jax.random.split(key)  # as `train` does: only shapes matter, but then nothing can differ
    return checkpoint.restore(checkpoints, process.outline(key=init_key), warn=observer.warn)


class _After:
    """What happens between two chunks: rows, checkpoints, and every reason to stop."""

    def __init__(
        self,
        checkpoints: Path,
        iterations: int,
        done: int,
        every: int,
        keep: int,
        patience: int,
        metrics: rundir.Metrics,
        sinks: list[TensorBoard],
        observer: AbstractObserver,
        interrupts: Interrupts,
    ):
        self.checkpoints, self.iterations, self.every, self.keep = checkpoints, iterations, every, keep
        self.patience, self.metrics, self.sinks = patience, metrics, sinks
        self.observer, self.interrupts = observer, interrupts
        self.saved, self.failures, self.bad = done, 0, 0
        self.latest: tuple[int, ProcessState] | None = None

    def __call__(self, done: int, state: ProcessState, metrics: dict[str, np.ndarray]) -> None:
        self.latest = (done, state)
        self.metrics.add(done, metrics)
        for sink in self.sinks:
            sink.add(done, metrics)
        self.observer.advance(done, metrics)
        self._judge(done, metrics)
        asked = self.interrupts.received
        if asked is not None or done >= self.iterations or done // self.every > self.saved // self.every:
            self._save(done, state, final=asked is not None or done >= self.iterations)
        if asked is not None and done < self.iterations:
            cause, code = ("Ctrl-C", 130) if asked == signal.SIGINT else ("SIGTERM", 75)
            raise Interrupted(
                f"stopped by {cause} at iteration {done}, which is stored; the same command goes on.", code
            )

    def rescue(self) -> None:
        """Store the last whole chunk, unless it is stored or the chunk that failed has taken its memory over."""
        done, state = self.latest or (self.saved, None)
        gone = any(leaf.is_deleted() for leaf in jax.tree.leaves(state) if isinstance(leaf, jax.Array))
        if done > self.saved and not gone:
            self._save(done, state, final=False)

    def _save(self, done: int, state: ProcessState, *, final: bool) -> None:
        """Store a step. One that fails is tried again at the next interval, unless there is none."""
        self.metrics.sync()
        try:
            checkpoint.save(self.checkpoints, done, state, keep=self.keep)
        except StorageError as error:
            self.failures += 1
            if final or self.failures >= FAILED_SAVES:
                raise
            self.observer.warn(f"{error} Training goes on ({self.failures} of {FAILED_SAVES} failures).")
        else:
            self.failures = 0
        self.saved = done  # tried or done: the next attempt is an interval away

    def _judge(self, done: int, metrics: Mapping[str, np.ndarray]) -> None:
        for row in range(len(next(iter(metrics.values()), ()))):
            wrong = [name for name, values in metrics.items() if _wrong(name, values[row])]
            self.bad = self.bad + 1 if wrong else 0
            if self.bad >= self.patience:
                raise NumericalStop(
                    f"{self.bad} iterations in a row up to {done} had updates skipped or metrics that are not finite "
                    f"({', '.join(f'{name} = {metrics[name][row]}' for name in wrong)}); the last checkpoint is kept. "
                    "Lower the learning rate, or look at metrics.jsonl for what grew first."
                )


def _wrong(name: str, value: np.generic | np.ndarray) -> bool:
    if name.endswith("/skipped"):
        return float(value) > 0
    return not name.startswith("episode/") and not bool(np.isfinite(value))


class TensorBoard:
    """TensorBoard events beside the rows, through tensorboardX. If it fails it is dropped, with one warning."""

    def __init__(self, directory: Path, done: int, observer: AbstractObserver):
        writer = require("tensorboardX", "log").SummaryWriter
        self._observer = observer
        self._writer = self._attempt(lambda: writer(str(directory / "tensorboard"), purge_step=done + 1))

    def add(self, done: int, metrics: Mapping[str, np.ndarray]) -> None:
        """The means of a chunk that ended at iteration `done`."""
        if self._writer is None:
            return
        self._attempt(
            lambda: [self._writer.add_scalar(name, np.mean(values), done) for name, values in metrics.items()]
        )

    def _attempt(self, work):
        try:
            return work()
        except Exception as error:  # whatever it is: a sink must never end a run
            self._writer = None
            self._observer.warn(f"TensorBoard events are dropped from here on ({error}); metrics.jsonl is complete.")
            return None
