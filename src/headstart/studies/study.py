"""What every study is made of: arms that were measured, verdicts on them, and the result that is stored.

    arms = {"reads": Arm.of(scores), "control": Arm.of(other_scores)}
    verdicts = (beats(arms["reads"], arms["control"], by=0.2, claim="the words help", quick=quick), ...)
    return conclude("words", CLAIM, PAPER, arms, verdicts, quick=quick, seconds=seconds)

A verdict knows three answers. A full run says yes or no. A quick one, with fewer seeds at the same threshold, may say
`"undecided"`, and says `True` only if all that its intervals leave open agrees: it is never looser than the full run.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from headstart import rundir
from headstart.errors import BadData, StorageError, UsageError
from headstart.evaluation import CONFIDENCE, Estimate, Scores, compare, estimate
from headstart.progress import AbstractObserver
from headstart.storage import replace_file

__all__ = [
    "Arm",
    "Decision",
    "Paper",
    "Result",
    "Study",
    "Verdict",
    "arms_of",
    "at_least",
    "beats",
    "conclude",
    "must_fail",
    "nowhere_below",
    "reaches",
    "read",
    "seeds_of",
    "write",
]

Decision = bool | Literal["undecided"]

FILE = "result.json"
FEWEST = 3
"""Independent runs that a decision takes at the very least: resampling two of them shows three different means."""


@dataclass(frozen=True)
class Paper:
    """Where the claim comes from: the key of its BibTeX entry, and the figures or tables that are tested."""

    key: str
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Arm:
    """One arm's scores, `[seeds][tasks]`, with their interquartile mean and its 95 % interval.

    Where a score is whether a seed succeeded, the share of those that did is in the mean's place: see `share`.
    """

    scores: tuple[tuple[float, ...], ...]
    iqm: float
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, scores: Scores) -> Arm:
        """Summarise scores of shape `[seeds, tasks]`.

        **Raises:** `BadData` for another shape, or scores that are not finite.
        """
        found = estimate(scores)
        rows = np.asarray(scores, dtype=float).tolist()
        return cls(tuple(tuple(row) for row in rows), found.value, found.interval)

    @classmethod
    def share(cls, succeeded: Sequence[float]) -> Arm:
        """How many of the seeds succeeded, each 1 or 0, with Wilson's 95 % interval.

        A quarter of such scores at either end is no outlier, and interquartile means would exaggerate.

        **Raises:** `BadData` for no seeds, or scores that are neither 1 nor 0.
        """
        from scipy import stats

        if not len(succeeded) or not np.isin(succeeded, (0, 1)).all():
            raise BadData("a share is of one seed or more that each succeeded, 1, or did not, 0; give nothing else.")
        found = stats.binomtest(int(np.sum(succeeded)), len(succeeded))
        interval = found.proportion_ci(CONFIDENCE, method="wilson")
        rows = tuple((float(one),) for one in succeeded)
        return cls(rows, float(np.mean(succeeded)), (float(interval.low), float(interval.high)))

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.iqm, self.interval, len(self.scores))


@dataclass(frozen=True)
class Verdict:
    """One claim that was put to the test: what was measured, and the threshold that was set before."""

    claim: str
    holds: Decision
    measured: float
    threshold: float


@dataclass(frozen=True)
class Result:
    """What a study found: `result.json`."""

    study: str
    claim: str
    paper: Paper
    arms: Mapping[str, Arm]
    verdicts: tuple[Verdict, ...]
    seconds: float
    seed: int
    versions: Mapping[str, str]
    device: Mapping[str, Any]
    command: str
    commit: str | None

    @property
    def holds(self) -> Decision:
        """Whether all verdicts hold; one that fails outweighs any that is undecided."""
        decisions = [verdict.holds for verdict in self.verdicts]
        if False in decisions:
            return False
        return "undecided" if "undecided" in decisions else True


class Study(Protocol):
    """What a module in `headstart.studies` offers."""

    CLAIM: str
    PAPER: Paper

    def run(self, *, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
        """Run all arms and judge them.

        **Arguments:**

        - `quick`: fewer seeds and tasks, the same thresholds.
        - `seeds`: how many seeds; `None` for as many as the claim needs.
        - `directory`: a place for what the arms leave behind.
        """
        ...


def seeds_of(asked: int | None, *, quick: bool, full: int, few: int) -> int:
    """How many seeds to run: as many as were asked for, or `few` if it is to be quick, or else `full`.

    **Raises:** `UsageError` for so few that a full run could not decide, before anything is measured.
    """
    seeds = asked or (few if quick else full)
    if seeds < FEWEST and not quick:
        raise UsageError(f"{seeds} seed(s) cannot decide this claim; run at least {FEWEST}, or ask for --quick.")
    return seeds


def arms_of(scores: Mapping[str, Sequence[float]]) -> dict[str, Arm]:
    """Arms of which every seed has one score."""
    return {name: Arm.of(np.asarray(found)[:, None]) for name, found in scores.items()}


def beats(first: Arm, second: Arm, *, by: float = 0.0, claim: str, quick: bool = False) -> Verdict:
    """The first's lower bound minus the second's upper bound is at least `by`, and more than nothing.

    **Raises:** `UsageError` in a full run if an arm has too few seeds for an interval worth the name.
    """
    bounds = _bounds(first, second, quick=quick)
    if bounds is None:
        return Verdict(claim, "undecided", first.iqm - second.iqm, by)
    (low, high), (other_low, other_high) = bounds
    enough = lambda difference: difference >= by and difference > 0  # two that are equal do not beat each other
    holds, refuted = enough(low - other_high), not enough(high - other_low)
    return _judge(claim, low - other_high, by, holds=holds, refuted=refuted, quick=quick)


def must_fail(control: Arm, bar: float, *, claim: str, quick: bool = False) -> Verdict:
    """The control's upper bound stays under the bar: a method that survives its control was not the cause.

    **Raises:** as `beats`.
    """
    bounds = _bounds(control, quick=quick)
    if bounds is None:
        return Verdict(claim, "undecided", control.iqm, bar)
    ((low, high),) = bounds
    return _judge(claim, high, bar, holds=high < bar, refuted=low >= bar, quick=quick)


def reaches(arm: Arm, bar: float, *, claim: str, quick: bool = False) -> Verdict:
    """The arm's lower bound is at the bar or above it.

    **Raises:** as `beats`.
    """
    bounds = _bounds(arm, quick=quick)
    if bounds is None:
        return Verdict(claim, "undecided", arm.iqm, bar)
    ((low, high),) = bounds
    return _judge(claim, low, bar, holds=low >= bar, refuted=high < bar, quick=quick)


def nowhere_below(first: Arm, second: Arm, *, claim: str, quick: bool = False) -> Verdict:
    """The first's upper bound is not under the second's lower bound: it was not shown to be worse.

    Wide intervals favour this claim, so a quick run affirms it only where the first is shown not to be worse at all.

    **Raises:** as `beats`.
    """
    bounds = _bounds(first, second, quick=quick)
    if bounds is None:
        return Verdict(claim, "undecided", first.iqm - second.iqm, 0.0)
    (low, high), (other_low, other_high) = bounds
    worse = high < other_low
    return _judge(
        claim, high - other_low, 0.0, holds=low >= other_high if quick else not worse, refuted=worse, quick=quick
    )


def at_least(
    first: Arm, second: Arm, *, claim: str, across: Literal["runs", "tasks"] = "runs", quick: bool = False
) -> Verdict:
    """The first is at least as strong as the second: the paired difference of interquartile means is not negative.

    The difference itself is judged, not a bound of its interval: that would let a weaker arm pass for being noisy.

    **Arguments:**

    - `across`: what a quick run's interval resamples, see `evaluation.compare`; `"tasks"` does with one seed.

    **Raises:** `BadData` for arms that are not on the same tasks and seeds.
    """
    difference = compare(first.scores, second.scores, across=across).difference
    holds = difference.value >= 0
    if not quick:
        return Verdict(claim, holds, difference.value, 0.0)
    if difference.interval is None or difference.runs < FEWEST:
        return Verdict(claim, "undecided", difference.value, 0.0)
    low, high = difference.interval
    return _judge(claim, difference.value, 0.0, holds=low >= 0, refuted=high < 0, quick=True)


def _judge(claim: str, measured: float, threshold: float, *, holds: bool, refuted: bool, quick: bool) -> Verdict:
    undecided = quick and not holds and not refuted
    return Verdict(claim, "undecided" if undecided else holds, measured, threshold)


def _bounds(*arms: Arm, quick: bool) -> list[tuple[float, float]] | None:
    """The arms' intervals; `None` if a quick run has too few seeds for them."""
    fewest = min(len(arm.scores) for arm in arms)
    intervals = [arm.interval for arm in arms if arm.interval is not None]
    if fewest >= FEWEST and len(intervals) == len(arms):
        return intervals
    if quick:
        return None
    raise UsageError(f"{fewest} seed(s) cannot decide this claim; run at least {FEWEST}, or ask for --quick.")


def conclude(
    study: str,
    claim: str,
    paper: Paper,
    arms: Mapping[str, Arm],
    verdicts: tuple[Verdict, ...],
    *,
    quick: bool,
    seconds: float,
    kinds: Collection[str] = (),
    seed: int = 0,
) -> Result:
    """Put a result together, with what it ran on and how.

    **Arguments:**

    - `seconds`: what all of its parts took together.
    - `kinds`: of the devices that they were measured on; that of this process if empty.
    - `seed`: the first one.

    **Raises:** `UsageError` for a study without verdicts, or a full one that leaves something undecided.
    """
    if not verdicts:
        raise UsageError(f"study {study!r} has no verdict; judge its claim before concluding.")
    if not quick and any(verdict.holds == "undecided" for verdict in verdicts):
        raise UsageError(f"study {study!r} is undecided; only a quick run may be: give it more seeds.")
    about = rundir.about({}, seed, "")
    return Result(
        study=study,
        claim=claim,
        paper=paper,
        arms=dict(arms),
        verdicts=verdicts,
        seconds=seconds,
        seed=seed,
        versions=about["versions"],
        device=about["device"] | {"measured_on": sorted(kinds or {about["device"]["kind"]})},
        command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        commit=about["commit"],
    )


def write(result: Result, directory: Path) -> Path:
    """Store `result.json`, all or nothing, and read it back.

    **Raises:** `StorageError` if it cannot be stored; `BadData` for a number in it that is not finite.
    """
    path = directory / FILE
    try:
        text = json.dumps(asdict(result) | {"holds": result.holds}, indent=1, allow_nan=False)
    except ValueError as error:
        raise BadData(f"study {result.study!r} measured a number that is not finite; mend its arms.") from error
    replace_file(path, text.encode())
    if read(directory) != result:
        raise StorageError(f"{path} reads otherwise than it was written; check the disk.")
    return path


def read(directory: Path) -> Result:
    """The result that is stored in a directory.

    **Raises:** `BadData` for one that is missing, damaged, or contradicts its own verdicts.
    """
    path = directory / FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        claimed = stored.pop("holds")
        result = Result(
            **stored
            | {
                "paper": Paper(stored["paper"]["key"], tuple(stored["paper"]["figures"])),
                "arms": {name: _arm(**arm) for name, arm in stored["arms"].items()},
                "verdicts": tuple(Verdict(**verdict) for verdict in stored["verdicts"]),
            }
        )
    except FileNotFoundError as error:
        raise BadData(f"{path} does not exist; run the study to its end.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{path} is no result of a study ({error}); run the study again.") from error
    if claimed != result.holds or not all(math.isfinite(arm.iqm) for arm in result.arms.values()):
        raise BadData(f"{path} contradicts itself: it says holds = {claimed}, its verdicts say {result.holds}.")
    return result


def _arm(scores: list[list[float]], iqm: float, interval: list[float] | None) -> Arm:
    low_high = None if interval is None else (interval[0], interval[1])
    return Arm(tuple(tuple(row) for row in scores), iqm, low_high)
