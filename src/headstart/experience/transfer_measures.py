"""What transfer was worth: the measures of two learning curves of one task, one of which began elsewhere.

Taylor and Stone, *Transfer learning for reinforcement learning domains: a survey*, JMLR 2009, section 2.1; and the
forward transfer of Wołczyk and others, *Continual World*, NeurIPS 2021, section 3.3.

| measure | here |
|---|---|
| jump start: how much better one is before anything is learned in this task | `jump_start` |
| asymptotic performance: how much better one is in the end | `asymptote` |
| total reward, as the mean of the curve over the steps | `area` |
| transfer ratio: (area with transfer − area from scratch) / area from scratch | `transfer_ratio` |
| time to threshold: the steps after which a level is reached | `time_to_threshold` |
| forward transfer: (AUC − AUC^ref) / (1 − AUC^ref), of success | `forward_transfer` |

A curve is `scores` `[..., points]`, measured after `steps` `[points]` of this very task: those of a source task are not
counted, as is usual, and who counts them says so. Both curves of a comparison have the same steps and so the same
budget: with different ones, none of these numbers means anything. Between two points a curve is taken as straight.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from headstart.errors import BadData, UsageError
from headstart.evaluation import Scores

__all__ = ["area", "asymptote", "forward_transfer", "jump_start", "time_to_threshold", "transfer_ratio"]


def jump_start(steps: Scores, transferred: Scores, scratch: Scores) -> Float[np.ndarray, "..."]:
    """How much higher the first curve begins than the second, in units of scores.

    **Raises:** `UsageError` if no point is before the first step: after it, what was learned there is in it too.
    """
    at = _steps(steps)
    if at[0] != 0:
        raise UsageError(f"the curves begin after {at[0]:g} steps; measure them before the first step too")
    return np.asarray(_scores(at, transferred)[..., 0] - _scores(at, scratch)[..., 0])


def asymptote(steps: Scores, scores: Scores, *, final: int = 3) -> Float[np.ndarray, "..."]:
    """The mean of the last `final` points, in units of scores: where a curve arrives, as far as it was followed.

    **Raises:** `UsageError` for more points than there are, or none.
    """
    found = _scores(_steps(steps), scores)
    if not 1 <= final <= found.shape[-1]:
        raise UsageError(f"the last {final} of {found.shape[-1]} points were asked for; ask for 1 or more of those")
    return np.asarray(found[..., -final:].mean(axis=-1))


def area(steps: Scores, scores: Scores) -> Float[np.ndarray, "..."]:
    """The mean of the curve over its steps, in units of scores.

    **Raises:** `BadData` for a single point.
    """
    at = _steps(steps)
    if len(at) < 2:
        raise BadData("a curve of one point has no area; measure it after more steps")
    found = _scores(at, scores)
    middle = (found[..., 1:] + found[..., :-1]) / 2
    return np.asarray((middle * np.diff(at)).sum(axis=-1) / (at[-1] - at[0]))


def transfer_ratio(steps: Scores, transferred: Scores, scratch: Scores) -> Float[np.ndarray, "..."]:
    """(area − area from scratch) / area from scratch: 0 if nothing is gained, 1 if twice as much is earned.

    It says something only where scores are 0 or more: see `headstart.evaluation.normalised`.

    **Raises:** `BadData` for an area from scratch that is not more than 0.
    """
    reference = area(steps, scratch)
    if np.any(reference <= 0):
        raise BadData("the curve from scratch has an area of 0 or less; normalise scores, so that chance is 0")
    return np.asarray((area(steps, transferred) - reference) / reference)


def time_to_threshold(steps: Scores, scores: Scores, level: float) -> Float[np.ndarray, "..."]:
    """After how many steps each curve first reaches the level; infinity where it never does.

    That a curve falls below again is not asked for: see `asymptote`.
    """
    at = _steps(steps)
    found = _scores(at, scores)
    reached = found >= level
    first = np.argmax(reached, axis=-1)
    before = np.maximum(first - 1, 0)
    low, high = (np.take_along_axis(found, index[..., None], axis=-1)[..., 0] for index in (before, first))
    # Where the very first point is at the level there is no way to it, and nothing to divide by.
    share = np.where(first > 0, (level - low) / np.where(first > 0, high - low, 1.0), 0.0)
    time = at[before] + share * (at[first] - at[before])
    return np.where(reached.any(axis=-1), time, np.inf)


def forward_transfer(steps: Scores, transferred: Scores, scratch: Scores) -> Float[np.ndarray, "..."]:
    """(AUC − AUC^ref) / (1 − AUC^ref), of scores of which 1 is the most: 1 for who can do it all from the first step.

    **Raises:** `BadData` where who learns from scratch had nothing left to gain.
    """
    reference = area(steps, scratch)
    if np.any(reference >= 1):
        raise BadData("the curve from scratch has an area of 1 or more; normalise scores, so that the most is 1")
    return np.asarray((area(steps, transferred) - reference) / (1 - reference))


def _steps(steps: Scores) -> Float[np.ndarray, "points"]:
    at = np.asarray(steps, dtype=float)
    if at.ndim != 1 or not len(at) or at[0] < 0 or np.any(np.diff(at) <= 0):
        raise BadData("the steps of a curve must increase from 0 or more; sort the points, and give each once")
    return at


def _scores(at: Float[np.ndarray, "points"], scores: Scores) -> Float[np.ndarray, "... points"]:
    found = np.asarray(scores, dtype=float)
    if found.shape[-1:] != at.shape or not np.all(np.isfinite(found)):
        raise BadData(f"a curve of {len(at)} points needs as many finite scores, and has {found.shape} of them")
    return found
