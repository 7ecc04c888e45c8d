"""How an agent that reads what things are does with things that it never met.

Narasimhan, Barzilay and Jaakkola, *Grounding language for transfer in deep reinforcement learning*, JAIR 2018.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.process import Online
from headstart.core.types import Choice, Key, Percept
from headstart.greedy import Evaluation
from headstart.report import Report
from headstart.worlds.friends_and_enemies import FriendsAndEnemies

__all__ = ["PLACES", "earned", "evaluate"]

PLACES = {
    "source": ("source", "train"),
    "target": ("target", "train"),
    "target, new sentences": ("target", "held-out"),
    "target, no words": ("target", "nothing"),
    "target, words of another thing": ("target", "permuted"),
}
"""Where an agent of the source is judged: whose things are met, and in which phrases. All numbers can be seen."""


def evaluate(process: Online, state: Any, *, title: str, episodes: int, seed: int) -> Evaluation:
    """The mean return of games with things that were met and with others, told as they are and otherwise."""
    world = process.world
    assert isinstance(world, FriendsAndEnemies)
    key, network = jax.random.key(seed), state.learner.network
    found = {
        place: earned(replace(world, hidden=0.0, side=side, told=told), network, episodes, key=key)
        for place, (side, told) in PLACES.items()
    }
    figures = {"games in each place": episodes} | {f"return, {place}": score for place, score in found.items()}
    report = Report(title).text(
        f"{episodes:,} games in each place, without exploration, from -1 to {world.each}. Nothing was learned in the "
        "target: who does better there with words than without has read them, and who is told of another thing what is "
        "said of this one should do worse than with none."
    )
    return Evaluation(figures, report.facts(figures))


def earned(world: FriendsAndEnemies, network: AbstractNetwork, games: int, *, key: Key) -> float:
    """The mean return of so many games, without exploration."""
    return float(_earned(world, network, games, key))


@eqx.filter_jit
def _earned(world: FriendsAndEnemies, network: AbstractNetwork, games: int, key: Key) -> Float[Array, ""]:
    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(jnp.argmax(output.policy)), memory

    begin_key, act_key = jax.random.split(key)
    lanes = begin(world, network, games, key=begin_key)
    _, rollout = collect(world, network, act, lanes, world.limit, key=act_key)
    counts = jnp.cumsum(rollout.last, axis=0) - rollout.last == 0
    return jnp.mean(jnp.sum(rollout.reward * counts, axis=0))
