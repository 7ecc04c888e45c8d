"""How an agent that is told what to do does it in levels that it never met.

Chevalier-Boisvert and others, *BabyAI*, ICLR 2019: an agent is judged by the share of missions that it fulfils in time,
acting without exploration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from headstart.core.network import AbstractNetwork
from headstart.core.process import Online
from headstart.core.types import Key
from headstart.greedy import Evaluation, returns
from headstart.report import Report
from headstart.worlds.adapters.babyai import LONGEST, BabyAI, draw_levels, vocabulary

__all__ = ["HELD_OUT", "Done", "carried_out", "evaluate"]

HELD_OUT = 1
"""The seed of levels that judge, and all above it; those of seed 0 are for training."""


@dataclass(frozen=True)
class Done:
    """Of each mission, whether it was fulfilled in time, and the steps that it took: all there were if it was not."""

    fulfilled: Bool[np.ndarray, "missions"]
    steps: Float[np.ndarray, "missions"]


def carried_out(world: BabyAI, network: AbstractNetwork, missions: int, *, key: Key) -> Done:
    """What becomes of so many missions of a world's levels, without exploration."""
    earned = returns(world, network, episodes=missions, key=key)
    # What a mission earns says how long it took: 1 − 0.9 · steps / limit.
    return Done(earned > 0, np.round((1.0 - earned) / 0.9 * LONGEST).clip(max=LONGEST))


def evaluate(process: Online, state: Any, *, title: str, episodes: int, seed: int) -> Evaluation:
    """Missions of as many new levels, of the kind that was trained in.

    **Raises:** `MissingExtra` without `minigrid`.
    """
    import jax

    assert isinstance(process.world, BabyAI)
    levels = draw_levels(process.world.name, min(episodes, 1_000), seed=HELD_OUT + seed)
    world = BabyAI.of(levels, vocabulary().tokens)
    done = carried_out(world, state.learner.network, episodes, key=jax.random.key(seed))
    figures = {
        "missions": episodes,
        "new levels": len(levels.missions),
        "fulfilled": float(done.fulfilled.mean()),
        "steps of those": float(done.steps[done.fulfilled].mean()) if done.fulfilled.any() else None,
    }
    report = Report(title).text(
        f"{episodes:,} missions in levels of {levels.name} that training never met, without exploration, each within "
        f"{LONGEST} steps."
    )
    return Evaluation(figures, report.facts(figures))
