"""Hindsight: what was done is replayed as if it had been meant.

Andrychowicz and others, *Hindsight experience replay*, NeurIPS 2017 (algorithm 1, sections 3.3 and 4.5).

| paper | here |
|---|---|
| m(s), the goal that a state fulfils | `world.achieved(observation)` |
| r(s, a, g) = −[f_g(s′) = 0] | `world.judge(achieved, goal)`: the world's own word, never re-derived |
| 𝕊, the strategy for sampling goals | `strategy`: `"future"`, `"final"`, `"episode"` or `"random"` |
| k, replays with other goals for each with its own | `replays` |

Nothing is stored twice: a sampled step gets another goal with probability k / (k + 1), as often as the paper replays
one. So the future of a moment must be in its segment: let a segment of the replay be as long as an episode. What lies
beyond the segment's end is not seen, and an episode that ends within it is not mixed with the next.

The goal is judged by what the step *led to*, `after`, and not by where it began.
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from headstart.core.network import AbstractNetwork
from headstart.core.source import AbstractSource
from headstart.core.types import Key, Percept, Step
from headstart.core.world import AbstractGoalWorld, AbstractWorld
from headstart.errors import UsageError

__all__ = ["STRATEGIES", "Hindsight"]

STRATEGIES = ("future", "final", "episode", "random")


class Hindsight(AbstractSource):
    """Replays steps with goals that were achieved, for any off-policy learner.

    **Arguments:**

    - `world`: says which goal an observation fulfils, and what it is worth to have fulfilled it.
    - `strategy`: whose goal a step gets: one achieved later in its episode, at the end of it, at any time in it, or at
      any time in any segment of the batch.
    - `replays`: k, how often a step is replayed with another goal for each time with its own.

    **Raises:** `UsageError` for a world without goals, a strategy that there is not, or a k below 0.
    """

    world: AbstractWorld
    strategy: str = eqx.field(static=True, default="future")
    replays: float = eqx.field(static=True, default=4.0)

    changes: ClassVar[frozenset[str]] = frozenset({"goal", "reward"})

    def __check_init__(self):
        if not isinstance(self.world, AbstractGoalWorld):
            raise UsageError(
                f"{type(self.world).__name__} cannot say which goal it achieved; hindsight needs an AbstractGoalWorld"
            )
        if self.strategy not in STRATEGIES:
            raise UsageError(f"hindsight knows no strategy {self.strategy!r}; choose {', '.join(STRATEGIES)}")
        if not self.replays >= 0:
            raise UsageError(f"hindsight of {self.replays} replays is none; ask for 0 or more")

    def rewrite(self, batch: Step, network: AbstractNetwork, *, key: Key) -> Step:
        world = self.world
        assert isinstance(world, AbstractGoalWorld)
        when_key, again_key = jax.random.split(key)
        each = lambda ask: jax.vmap(jax.vmap(ask))
        achieved = each(world.achieved)(batch.after.observation)
        found = _when(batch, self.strategy, key=when_key)
        others = jax.tree.map(lambda leaf: leaf[found], achieved)
        again = jax.random.bernoulli(again_key, self.replays / (self.replays + 1.0), batch.reward.shape)
        goal = _where(again, others, batch.percept.goal)

        reward, reached = each(world.judge)(achieved, goal)
        reward = jnp.where(again, reward, batch.reward)
        discount = jnp.where(again & world.ends, 1.0 - reached, batch.discount)
        # What the agent heard of the step before was said of its old goal, too.
        before, reached_before = each(world.judge)(each(world.achieved)(batch.percept.observation), goal)
        heard = again & ~batch.percept.first
        percept = _told(batch.percept, goal, heard, before, 1.0 - reached_before if world.ends else None)
        after = _told(batch.after, goal, again, reward, discount)
        return eqx.tree_at(
            lambda step: (step.percept, step.after, step.reward, step.discount),
            batch,
            (percept, after, reward, discount),
        )


def _when(batch: Step, strategy: str, *, key: Key) -> tuple[Int[Array, "L N"], Int[Array, "L N"]]:
    """For each step `[L, N]`, the time and the segment of the step that led to its new goal."""
    length, count = batch.reward.shape
    time = jnp.broadcast_to(jnp.arange(length)[:, None], (length, count))
    begins = jax.lax.cummax(jnp.where(batch.percept.first, time, 0), axis=0)
    ends = jax.lax.cummin(jnp.where(batch.last, time, length - 1), axis=0, reverse=True)
    earliest, latest = {
        "future": (time, ends),
        "final": (ends, ends),
        "episode": (begins, ends),
        "random": (jnp.zeros_like(time), jnp.full_like(time, length - 1)),
    }[strategy]
    time_key, segment_key = jax.random.split(key)
    when = jax.random.randint(time_key, (length, count), earliest, latest + 1)
    own = jnp.broadcast_to(jnp.arange(count), (length, count))
    return when, jax.random.randint(segment_key, own.shape, 0, count) if strategy == "random" else own


def _told(percept: Percept, goal: PyTree[Array], heard: Bool[Array, "L N"], reward: Any, discount: Any) -> Percept:
    """The percept with another goal, and with what the last step earned towards it."""
    told = eqx.tree_at(lambda percept: percept.goal, percept, goal, is_leaf=lambda leaf: leaf is None)
    if percept.reward is not None:
        told = eqx.tree_at(lambda percept: percept.reward, told, jnp.where(heard, reward, percept.reward))
    if percept.discount is not None and discount is not None:
        told = eqx.tree_at(lambda percept: percept.discount, told, jnp.where(heard, discount, percept.discount))
    return told


def _where(flag: Bool[Array, "L N"], new: PyTree[Array], old: PyTree[Array]) -> PyTree[Array]:
    wide = lambda leaf: flag.reshape(flag.shape + (1,) * (leaf.ndim - 2))
    return jax.tree.map(lambda new, old: jnp.where(wide(new), new, old), new, old)
