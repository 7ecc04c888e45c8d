"""RL² in XLand-MiniGrid: rulesets to learn from, others to be judged by, and the score of its benchmarks.

Nikulin and others, *XLand-MiniGrid: scalable meta-reinforcement learning environments in JAX*, NeurIPS 2024, section 4.
A trial is several episodes of one ruleset, in each of which things lie elsewhere. Their score of a ruleset is the sum
of the returns of all its episodes; what is reported of many is its mean and its 20th percentile, that of those who do
badly. They draw the rulesets that judge from those that are trained on. Here they are held out, goal by goal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from headstart.core.process import Online
from headstart.core.wrappers import Trials
from headstart.experience import trials
from headstart.greedy import Evaluation
from headstart.worlds.xland.rulesets import Family, Ruleset, check_apart, generate, split
from headstart.worlds.xland.world import XLand

__all__ = ["HOLD_OR_NEAR", "benchmark", "evaluate", "score", "trials_apart"]

HOLD_OR_NEAR = Family(goals=("hold", "near"))
"""To hold a tile or to be next to one, of four that lie about: the trivial benchmark without sides and pairs."""

PERCENTILE = 20


def benchmark(
    family: Family = HOLD_OR_NEAR,
    *,
    count: int = 4_096,
    share: float = 0.2,
    episodes: int = 5,
    size: int = 7,
    steps: int | None = 30,
    seed: int = 0,
) -> tuple[Trials, Trials]:
    """Trials to train in, and trials of other rulesets to be judged by.

    **Arguments:**

    - `family`, `count`, `seed`: as for `headstart.worlds.xland.rulesets.generate`.
    - `share`: of the goals, with their rules, that are held out.
    - `episodes`: in a trial.
    - `size`, `steps`: of the room, and in an episode at the most. By default so few that who has to try things has
      hardly time for all of them: how fast a goal is found shows in what it earns.

    **Raises:** `UsageError` as `generate`, `split`, `XLand` and `Trials` do.
    """
    training, held_out = split(generate(count, family, seed=seed), share, seed=seed)
    return trials_apart(training, held_out, episodes=episodes, size=size, steps=steps)


def trials_apart(
    training: Ruleset, held_out: Ruleset, *, episodes: int, size: int, steps: int | None = None
) -> tuple[Trials, Trials]:
    """Trials of either, for rulesets that were made elsewhere.

    **Raises:** `UsageError` where a goal with its rules is in both, and as `XLand` and `Trials` do.
    """
    check_apart(training, held_out)
    of = lambda rulesets: Trials(XLand(jax.tree.map(jnp.asarray, rulesets), size=size, steps=steps), episodes)
    return of(training), of(held_out)


def score(returns: Float[np.ndarray, "rulesets episodes"]) -> dict[str, float]:
    """The mean, and the 20th percentile, of the sum of the returns of all episodes of a ruleset."""
    sums = returns.sum(axis=1)
    return {"return of a trial": float(sums.mean()), "20th percentile": float(np.percentile(sums, PERCENTILE))}


def evaluate(process: Online, state: Any, *, held_out: Trials, title: str, episodes: int, seed: int) -> Evaluation:
    """As `headstart.experience.trials.evaluate`, in rulesets that were held out."""
    return trials.evaluate(replace(process, world=held_out), state, title=title, episodes=episodes, seed=seed)
