"""What a comparison is: pairs of measurements taken in turn, and the ratio that they give.

Absolute figures move from machine to machine, and on one machine from minute to minute. So ours and theirs are
measured in turn, A B A B; each pair gives a ratio, and the median of the ratios is the result. The slowness of a moment
hits both halves of its pair.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from headstart import rundir
from headstart.errors import BadData
from headstart.progress import AbstractObserver
from headstart.storage import replace_file, to_json

__all__ = ["Comparison", "Limit", "Pair", "in_turn", "write"]


@dataclass(frozen=True)
class Limit:
    """The most that this machine could give, in the unit of the comparison, and how that follows from what."""

    value: float
    words: str


@dataclass(frozen=True)
class Pair:
    """One measurement of ours and the one of theirs that followed it."""

    ours: float
    theirs: float


@dataclass(frozen=True)
class Comparison:
    """Ours against one peer.

    **Arguments:**

    - `name`: letters, digits and `-`; the name of its file.
    - `what`: what was run, in one line.
    - `unit`: of the measurements: `"moves/s"`, where more is better, or `"s"` and `"steps"`, where less is.
    - `peer`: whom we were compared with.
    - `bar`: the ratio to reach; `None` for a comparison that is shown for reference.
    - `versions`: the peer's own, where it runs in an environment of its own.
    - `not_measured`: why there are no pairs, in one sentence.
    - `recorded`: theirs is no measurement of this run but a figure that was recorded once: the ratios decide nothing.
    """

    name: str
    what: str
    unit: str
    peer: str
    bar: float | None
    pairs: tuple[Pair, ...] = ()
    limit: Limit | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    quick: bool = False
    not_measured: str | None = None
    recorded: bool = False

    @property
    def less_is_better(self) -> bool:
        return self.unit in ("s", "steps")

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times faster ours was, pair by pair."""
        if self.less_is_better:
            return tuple(pair.theirs / pair.ours for pair in self.pairs)
        return tuple(pair.ours / pair.theirs for pair in self.pairs)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios; above 1 ours is faster."""
        return statistics.median(self.ratios) if self.pairs else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """The least and the greatest of the ratios."""
        return (min(self.ratios), max(self.ratios)) if self.pairs else None

    @property
    def ours(self) -> float | None:
        return statistics.median(pair.ours for pair in self.pairs) if self.pairs else None

    @property
    def theirs(self) -> float | None:
        return statistics.median(pair.theirs for pair in self.pairs) if self.pairs else None

    @property
    def of_limit(self) -> float | None:
        """Which fraction of the machine's limit ours reached, 0 to 1."""
        if self.limit is None or self.ours is None:
            return None
        return self.limit.value / self.ours if self.less_is_better else self.ours / self.limit.value

    @property
    def holds(self) -> bool | None:
        """Whether the ratio reaches the bar; `None` where there is no bar, or theirs was not measured."""
        if self.bar is None or self.ratio is None or self.recorded:
            return None
        return self.ratio >= self.bar

    def unmeasured(self, why: str) -> Comparison:
        """The same comparison, with the reason why it could not be made."""
        return replace(self, pairs=(), not_measured=why)


def in_turn(
    ours: Callable[[], float], theirs: Callable[[], float], pairs: int, *, observer: AbstractObserver
) -> tuple[Pair, ...]:
    """Measure A B A B ...: `pairs` pairs of ours and theirs.

    **Raises:** `BadData` if a measurement is not a positive number.
    """
    measured = []
    for index in range(pairs):
        pair = Pair(ours(), theirs())
        if not all(0 < value < float("inf") for value in (pair.ours, pair.theirs)):
            raise BadData(f"{pair} is no measurement, as nothing was finished in time; give it longer (no --quick).")
        observer.say(f"  pair {index + 1} of {pairs}: ours {pair.ours:,.4g}, theirs {pair.theirs:,.4g}")
        measured.append(pair)
    return tuple(measured)


def write(comparison: Comparison, directory: Path) -> Path:
    """Store `NAME.json`, with the command, commit, versions and device that gave it.

    **Raises:** `StorageError` if it cannot be stored.
    """
    about: dict[str, Any] = rundir.about({}, 0, "")
    result = asdict(comparison) | {
        "ratios": comparison.ratios,
        "ratio": comparison.ratio,
        "spread": comparison.spread,
        "of_limit": comparison.of_limit,
        "holds": comparison.holds,
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": about["commit"],
        "versions": {"ours": about["versions"], "theirs": dict(comparison.versions)},
        "device": about["device"],
    }
    path = directory / f"{comparison.name}.json"
    replace_file(path, to_json(json.loads(json.dumps(result, allow_nan=False))))
    return path
