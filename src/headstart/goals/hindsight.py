"""Hindsight: what was done is replayed as if it had been meant.

Andrychowicz and others, *Hindsight experience replay*, NeurIPS 2017 (algorithm 1, sections 3.3 and 4.5).

| paper | here |
|---|---|
| m(s), the goal that a state fulfils | `goals.achieved(observation)` |
| r(s, a, g) = −[f_g(s′) = 0] | `goals.judge(achieved, goal)`: the world's own word, never re-derived |
| 𝕊, the strategy for sampling goals | `strategy`: `"future"`, `"final"`, `"episode"` or `"random"` |
| k, replays with other goals for each with its own | `replays` |

Nothing is stored twice: a sampled step gets another goal with probability k / (k + 1), as often as the paper replays
one. So the future of a moment must be in its segment: let a segment of the replay be as long as the longest episode.
What a segment's edge cuts off is not seen, and an episode that ends within it is not mixed with the next.

The goal is judged by what the step *led to*, `after`, and not by where it began.
"""

from __future__ import annotations

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from headstart.core.chance import integers
from headstart.core.network import AbstractNetwork
from headstart.core.source import AbstractSource
from headstart.core.types import Key, Step
from headstart.core.world import AbstractGoals, AbstractWorld
from headstart.errors import UsageError

__all__ = ["STRATEGIES", "Hindsight"]

STRATEGIES = ("future", "final", "episode", "random")


class Hindsight(AbstractSource):
    """Replays steps with goals that were achieved, for off-policy learners whose network remembers nothing.

    One that remembers would have to have lived through its whole past with the other goal.

    **Arguments:**

    - `goals`: says which goal an observation fulfils, and what it is worth to have fulfilled it: an
      `AbstractGoalWorld`, or `headstart.worlds.adapters.goals.gymnasium_goals` of an environment of Gymnasium's.
    - `strategy`: whose goal a step gets: one achieved later in its episode, at the end of it, at any time in it, or at
      any time in any segment of the batch.
    - `replays`: k, how often a step is replayed with another goal for each time with its own.

    **Raises:** `UsageError` for a world without goals, a strategy that there is not, a k that is no number from 0 on,
    or, when it is to rewrite, for a network with memory.
    """

    goals: AbstractGoals | AbstractWorld
    strategy: str = eqx.field(static=True, default="future")
    replays: float = eqx.field(static=True, default=4.0)

    changes: ClassVar[frozenset[str]] = frozenset({"goal", "reward", "discount"})

    def __check_init__(self):
        if not isinstance(self.goals, AbstractGoals):
            raise UsageError(
                f"{type(self.goals).__name__} cannot say which goal it achieved; hindsight needs an AbstractGoalWorld, "
                "or gymnasium_goals of an environment"
            )
        if self.strategy not in STRATEGIES:
            raise UsageError(f"hindsight knows no strategy {self.strategy!r}; choose {', '.join(STRATEGIES)}")
        if not 0 <= self.replays < math.inf:
            raise UsageError(f"hindsight of {self.replays} replays is none; ask for 0 or more")

    def rewrite(self, batch: Step, network: AbstractNetwork, *, key: Key) -> Step:
        goals = self.goals
        assert isinstance(goals, AbstractGoals)
        if batch.notes["memory"] is not None:
            raise UsageError("hindsight cannot replay what a network with memory lived through; use one without")
        when_key, again_key = jax.random.split(key)
        each = lambda ask: jax.vmap(jax.vmap(ask))
        achieved = each(goals.achieved)(batch.after.observation)
        found = self.when(batch, key=when_key)
        others = jax.tree.map(lambda leaf: leaf[found], achieved)
        again = jax.random.bernoulli(again_key, self.replays / (self.replays + 1.0), batch.reward.shape)
        goal = _where(again, others, batch.percept.goal)

        def judged(achieved: PyTree[Array], reward: Array, discount: Array, again: Array) -> tuple[Array, Array]:
            """What was earned and whether the task went on, now that another goal is asked for."""
            earned, reached = each(goals.judge)(achieved, goal)
            if goals.ends:
                _, ended = each(goals.judge)(achieved, batch.percept.goal)
                # An end that was not the old goal's doing, such as a fall, is an end whatever is asked for.
                on = jnp.where(reached, 0.0, jnp.where(ended, 1.0, discount))
                discount = jnp.where(again, on, discount)
            return jnp.where(again, earned, reward), discount

        reward, discount = judged(achieved, batch.reward, batch.discount, again)
        percept, after = (
            eqx.tree_at(lambda percept: percept.goal, percept, goal) for percept in (batch.percept, batch.after)
        )
        last_reward, last_discount = batch.percept.reward, batch.percept.discount
        if last_reward is not None and last_discount is not None:
            # What the agent heard of the step before was said of its old goal, too.
            before = each(goals.achieved)(batch.percept.observation)
            heard = judged(before, last_reward, last_discount, again & ~batch.percept.first)
            told = lambda percept: (percept.reward, percept.discount)
            percept, after = eqx.tree_at(told, percept, heard), eqx.tree_at(told, after, (reward, discount))
        return eqx.tree_at(
            lambda step: (step.percept, step.after, step.reward, step.discount),
            batch,
            (percept, after, reward, discount),
        )

    def when(self, batch: Step, *, key: Key) -> tuple[Int[Array, "L N"], Int[Array, "L N"]]:
        """For each step `[L, N]`, the time and the segment of the step that led to its new goal."""
        length, count = batch.reward.shape
        time, own = jnp.broadcast_arrays(jnp.arange(length)[:, None], jnp.arange(count))
        begins = jax.lax.cummax(jnp.where(batch.percept.first, time, 0), axis=0)
        ends = jax.lax.cummin(jnp.where(batch.last, time, length - 1), axis=0, reverse=True)
        earliest, latest = {
            "future": (time, ends),
            "final": (ends, ends),
            "episode": (begins, ends),
            "random": (jnp.zeros_like(time), jnp.full_like(time, length - 1)),
        }[self.strategy]
        when = integers(time.shape, earliest, latest + 1, key=key)
        whose_key = jax.random.fold_in(key, 1)
        return when, integers(own.shape, 0, count, key=whose_key) if self.strategy == "random" else own


def _where(flag: Bool[Array, "L N"], new: PyTree[Array], old: PyTree[Array]) -> PyTree[Array]:
    wide = lambda leaf: flag.reshape(flag.shape + (1,) * (leaf.ndim - 2))
    return jax.tree.map(lambda new, old: jnp.where(wide(new), new, old), new, old)
