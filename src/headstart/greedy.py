"""How an agent does at its best: no exploration, whole episodes of its own world, and a page that shows it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from headstart.core.collect import begin, collect
from headstart.core.hosted import Hosted
from headstart.core.learner import AbstractLearner
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.policies import AbstractPolicy
from headstart.core.process import Online
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Key, Metrics, Percept, Rollout, Step
from headstart.core.world import AbstractGoals, AbstractWorld
from headstart.errors import BadData
from headstart.evaluation import estimate
from headstart.report import Report

__all__ = ["Evaluation", "Played", "best", "evaluate", "played", "played_hosted", "returns"]

STRETCH = 64  # steps between two looks at whether all episodes are over
SHORT = 10  # and where a step takes a millisecond
ENDLESS = 10_000  # steps without an end


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found: the figures by name, and the page that shows them."""

    figures: Mapping[str, Any]
    report: Report


@dataclass(frozen=True)
class Played:
    """What greedy episodes came to: the undiscounted return of each, and whether it ended at its goal if it had one."""

    returns: Float[np.ndarray, " episodes"]
    reached: Bool[np.ndarray, " episodes"] | None = None


def evaluate(process: Online | Hosted, state: Any, *, title: str, episodes: int, seed: int) -> Evaluation:
    """Play `episodes` greedy episodes of the world that was trained in, as it is without any stage of a source.

    **Raises:** `BadData` if an episode does not end.
    """
    network, key = state.learner.network, jax.random.key(seed)
    if isinstance(process, Hosted):
        found = played_hosted(process, network, episodes=episodes, key=key)
    else:
        found = played(process.world, network, episodes=episodes, key=key)
    middle = estimate(found.returns[:, None])
    figures = {
        "episodes": len(found.returns),
        "mean return": float(found.returns.mean()),
        "interquartile mean": middle.value,
        "95 % interval": None if middle.interval is None else [round(bound, 3) for bound in middle.interval],
        "least": float(found.returns.min()),
        "most": float(found.returns.max()),
    }
    if found.reached is not None:
        figures["at the goal at last"] = float(found.reached.mean())
    report = Report(title).text(
        f"{len(found.returns):,} episodes without exploration. The interval is over episodes of this one run: "
        "what another seed would have learned, it does not say."
    )
    return Evaluation(figures, report.facts(figures))


def returns(
    world: AbstractWorld, network: AbstractNetwork, *, episodes: int, key: Key
) -> Float[np.ndarray, " episodes"]:
    """The returns of `played`."""
    return played(world, network, episodes=episodes, key=key).returns


def played(world: AbstractWorld, network: AbstractNetwork, *, episodes: int, key: Key) -> Played:
    """The first episode in each of as many lanes, acting by `network` without exploration.

    **Raises:** `BadData` if one has no end in 10,000 steps.
    """
    begin_key, act_key = jax.random.split(key)

    act = partial(_Greedy().act, _Standing(network))

    def at_goal(step: Step) -> Bool[Array, ""]:
        if not isinstance(world, AbstractGoals):
            return jnp.array(False)
        return world.judge(world.achieved(step.after.observation), step.percept.goal)[1]

    @eqx.filter_jit
    def stretch(lanes, total, reached, over, index):
        lanes, rollout = collect(world, network, act, lanes, STRETCH, key=jax.random.fold_in(act_key, index))
        # An episode counts up to its own end: what its lane does afterwards is another one.
        counts = jnp.cumsum(rollout.last, axis=0) - rollout.last + over == 0
        reached |= jnp.any(jax.vmap(jax.vmap(at_goal))(rollout) & rollout.last & counts, axis=0)
        return lanes, total + jnp.sum(rollout.reward * counts, axis=0), reached, over | jnp.any(rollout.last, axis=0)

    lanes = eqx.filter_jit(begin)(world, network, episodes, key=begin_key)
    total, reached, over = jnp.zeros(episodes), jnp.zeros(episodes, bool), jnp.zeros(episodes, bool)
    for index in range(-(-ENDLESS // STRETCH)):
        lanes, total, reached, over = stretch(lanes, total, reached, over, jnp.asarray(index))
        if bool(jnp.all(over)):
            return Played(np.asarray(total), np.asarray(reached) if isinstance(world, AbstractGoals) else None)
    raise BadData(f"an episode has no end in {ENDLESS:,} steps; wrap the world in a time limit.")


def played_hosted(process: Hosted, network: AbstractNetwork, *, episodes: int, key: Key) -> Played:
    """Episodes in the environments of a host: the first ones of every lane, as many of each, so that short ones are not
    preferred. The process itself begins anew when it goes on.

    Goals are those by which the learner's hindsight judges, if it has any.

    **Raises:** `BadData` if one has no end in 10,000 steps.
    """
    begin_key, act_key = jax.random.split(key)
    goals = _goals(process.learner.source)
    playing = Hosted(process.host, lambda key: network, _Greedy(), SHORT)
    percept, memory = playing.begin(network, key=begin_key)
    each = -(-episodes // process.host.lanes)
    total, length, found, ends = np.zeros(process.host.lanes), np.zeros(process.host.lanes, int), [], []
    done = np.zeros(process.host.lanes, int)
    for index in itertools.count():
        collect_key = jax.random.fold_in(act_key, index)
        percept, memory, rollout = playing.collect(_Standing(network), percept, memory, key=collect_key)
        for time, lane in np.ndindex(rollout.reward.shape):
            total[lane], length[lane] = total[lane] + rollout.reward[time, lane], length[lane] + 1
            if not rollout.last[time, lane]:
                continue
            if done[lane] < each:
                found.append(total[lane])
                if goals is not None and rollout.after.goal is not None:
                    ends.append((rollout.after.observation[time, lane], rollout.after.goal[time, lane]))
            total[lane], length[lane], done[lane] = 0.0, 0, done[lane] + 1
        if (done >= each).all():
            break
        if length.max() >= ENDLESS:
            raise BadData(f"an episode has no end in {ENDLESS:,} steps; wrap the environment in a time limit.")
    if goals is None:
        return Played(np.array(found))
    seen, wanted = (np.stack(part) for part in zip(*ends, strict=True))
    at_goal = jax.jit(jax.vmap(lambda seen, wanted: goals.judge(goals.achieved(seen), wanted)[1]))(seen, wanted)
    return Played(np.array(found), np.asarray(at_goal))


def _goals(source: AbstractSource) -> AbstractGoals | None:
    """Those by which a source judges, or the first in a chain that does."""
    if isinstance(source, Chain):
        return next((found for each in source.sources if (found := _goals(each)) is not None), None)
    found = getattr(source, "goals", None)
    return found if isinstance(found, AbstractGoals) else None


class _Standing(eqx.Module):
    network: AbstractNetwork


class _Greedy(AbstractLearner):
    """Does its best and learns nothing."""

    source: AbstractSource = Chain()

    def init(self, network: AbstractNetwork, example: Step, *, key: Key) -> _Standing:
        return _Standing(network)

    def act(self, state: _Standing, percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = state.network(percept, memory)
        return Choice(best(output.policy, percept)), memory

    def update(self, state: _Standing, rollout: Rollout, *, key: Key) -> tuple[_Standing, Metrics]:
        return state, {}


def best(policy: Any, percept: Percept) -> Any:
    """The mode of a distribution, or the legal action of the highest value."""
    if isinstance(policy, AbstractPolicy):
        return policy.mode()
    values = policy if percept.legal is None else jnp.where(percept.legal, policy, -jnp.inf)
    return jnp.argmax(values, axis=-1).astype(jnp.int32)
