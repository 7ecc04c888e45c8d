"""How an agent does at its best: no exploration, whole episodes of its own world, and a page that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.policies import AbstractPolicy
from headstart.core.process import Online, OnlineState
from headstart.core.types import Choice, Key, Percept
from headstart.core.world import AbstractWorld
from headstart.errors import BadData
from headstart.evaluation import estimate
from headstart.report import Report

__all__ = ["Evaluation", "evaluate", "returns"]

STRETCH = 64  # steps between two looks at whether all episodes are over
ENDLESS = 10_000  # steps without an end


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found: the figures by name, and the page that shows them."""

    figures: Mapping[str, Any]
    report: Report


def evaluate(process: Online, state: OnlineState, *, title: str, episodes: int, seed: int) -> Evaluation:
    """Play `episodes` greedy episodes of the world that was trained in, as it is without any stage of a source.

    **Raises:** `BadData` if an episode does not end.
    """
    found = returns(process.world, state.learner.network, episodes=episodes, key=jax.random.key(seed))
    middle = estimate(found[:, None])
    figures = {
        "episodes": episodes,
        "mean return": float(found.mean()),
        "interquartile mean": middle.value,
        "95 % interval": None if middle.interval is None else [round(bound, 3) for bound in middle.interval],
        "least": float(found.min()),
        "most": float(found.max()),
    }
    report = Report(title).text(
        f"{episodes:,} episodes without exploration. The interval is over episodes of this one run: "
        "what another seed would have learned, it does not say."
    )
    return Evaluation(figures, report.facts(figures))


def returns(
    world: AbstractWorld, network: AbstractNetwork, *, episodes: int, key: Key
) -> Float[np.ndarray, " episodes"]:
    """The undiscounted return of the first episode in each of as many lanes, acting by `network` without exploration.

    **Raises:** `BadData` if one has no end in 10,000 steps.
    """
    begin_key, act_key = jax.random.split(key)

    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(_best(output.policy, percept)), memory

    @eqx.filter_jit
    def stretch(lanes, total, over, index):
        lanes, rollout = collect(world, network, act, lanes, STRETCH, key=jax.random.fold_in(act_key, index))
        # An episode counts up to its own end: what its lane does afterwards is another one.
        ended = jnp.cumsum(rollout.last, axis=0) - rollout.last + over
        return lanes, total + jnp.sum(rollout.reward * (ended == 0), axis=0), over | jnp.any(rollout.last, axis=0)

    lanes = eqx.filter_jit(begin)(world, network, episodes, key=begin_key)
    total, over = jnp.zeros(episodes), jnp.zeros(episodes, bool)
    for index in range(-(-ENDLESS // STRETCH)):
        lanes, total, over = stretch(lanes, total, over, jnp.asarray(index))
        if bool(jnp.all(over)):
            return np.asarray(total)
    raise BadData(f"an episode has no end in {ENDLESS:,} steps; wrap the world in a time limit.")


def _best(policy: Any, percept: Percept) -> Any:
    """The mode of a distribution, or the legal action of the highest value."""
    if isinstance(policy, AbstractPolicy):
        return policy.mode()
    values = policy if percept.legal is None else jnp.where(percept.legal, policy, -jnp.inf)
    return jnp.argmax(values, axis=-1).astype(jnp.int32)
