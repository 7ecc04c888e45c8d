"""How an agent that is told what to do does it in levels that it never met.

Chevalier-Boisvert and others, *BabyAI*, ICLR 2019: an agent is judged by the share of missions that it fulfils in time,
acting without exploration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.process import Online
from headstart.core.types import Choice, Key, Percept
from headstart.greedy import Evaluation
from headstart.report import Report
from headstart.worlds.adapters.babyai import BabyAI, draw_levels, vocabulary

__all__ = ["HELD_OUT", "Done", "carried_out", "evaluate"]

HELD_OUT = 1
"""The seed of levels that judge, and all above it; those of seed 0 are for training."""


@dataclass(frozen=True)
class Done:
    """Of each mission, whether it was fulfilled in time, and the steps that it took: all there were if it was not."""

    fulfilled: Bool[np.ndarray, "missions"]
    steps: Int[np.ndarray, "missions"]


def carried_out(world: BabyAI, network: AbstractNetwork, missions: int, *, key: Key) -> Done:
    """What becomes of so many missions of a world's levels, without exploration."""
    return Done(*map(np.asarray, _carried_out(world, network, missions, int(world.levels.limit.max()), key)))


@eqx.filter_jit
def _carried_out(
    world: BabyAI, network: AbstractNetwork, missions: int, limit: int, key: Key
) -> tuple[Bool[Array, "missions"], Int[Array, "missions"]]:
    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(output.policy.mode()), memory

    begin_key, act_key = jax.random.split(key)
    lanes = begin(world, network, missions, key=begin_key)
    _, rollout = collect(world, network, act, lanes, limit, key=act_key)
    counts = jnp.cumsum(rollout.last, axis=0) - rollout.last == 0
    return jnp.any((rollout.reward > 0) & counts, axis=0), jnp.sum(counts, axis=0)


def evaluate(process: Online, state: Any, *, title: str, episodes: int, seed: int) -> Evaluation:
    """Missions of as many new levels, of the kind that was trained in.

    **Raises:** `MissingExtra` without `minigrid`.
    """
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
        f"{int(world.levels.limit.max())} steps."
    )
    return Evaluation(figures, report.facts(figures))
