"""Worlds: pure, unbatched families of tasks.

A world never resets itself and keeps nothing: `collect` resets it, `vmap` batches it. Its fields are configuration.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from headstart.core.types import Key, Outcome, Percept, Task

__all__ = [
    "AbstractGoalWorld",
    "AbstractGoals",
    "AbstractTwoPlayerWorld",
    "AbstractWorld",
    "Box",
    "Discrete",
    "State",
    "perceive",
]

State = Any  # a pytree of a world's own


class Discrete(eqx.Module):
    """Actions 0 to `count` − 1."""

    count: int

    def zero(self) -> Int[Array, ""]:
        return jnp.zeros((), jnp.int32)


class Box(eqx.Module):
    """Real vectors between finite bounds `low` and `high`. Agents act in [−1, 1]; worlds rescale."""

    low: Float[Array, "size"]
    high: Float[Array, "size"]

    def zero(self) -> Float[Array, "size"]:
        return jnp.zeros_like(self.low)


class AbstractWorld(eqx.Module):
    """A family of tasks: draw one, begin it, act in it."""

    @property
    @abc.abstractmethod
    def actions(self) -> Discrete | Box:
        """What an agent can do."""

    @abc.abstractmethod
    def task(self, *, key: Key) -> Task:
        """A task from this world's distribution. A world of one task returns `Task()`."""

    @abc.abstractmethod
    def reset(self, task: Task, *, key: Key) -> tuple[State, PyTree[Array]]:
        """The first state of an episode, and what is seen of it."""

    @abc.abstractmethod
    def step(self, state: State, task: Task, action: PyTree[Array], *, key: Key) -> tuple[State, Outcome]:
        """What follows from an action. Behaviour after `last` is undefined: whoever steps, resets."""

    def legal(self, state: State, task: Task) -> Bool[Array, "actions"] | None:
        """Which actions may be taken; `None` where all may."""
        return None


class AbstractGoals(eqx.Module):
    """Who can say of any moment which goal it achieved: hindsight asks, and never re-derives a reward.

    `ends` says whether a goal that was reached ends the episode.
    """

    ends: ClassVar[bool] = False

    @abc.abstractmethod
    def achieved(self, observation: PyTree[Array]) -> PyTree[Array]:
        """The goal that this observation fulfils."""

    @abc.abstractmethod
    def judge(self, achieved: PyTree[Array], goal: PyTree[Array]) -> tuple[Float[Array, ""], Bool[Array, ""]]:
        """The reward for having achieved that goal when asked for this one, and whether it was reached."""


class AbstractGoalWorld(AbstractWorld, AbstractGoals):
    """A world whose tasks are goals, and which judges them itself."""


class AbstractTwoPlayerWorld(AbstractWorld):
    """A zero-sum game, seen from the side of whoever is about to move.

    `Outcome.reward` is that of the player who just moved and `Outcome.observation` is what the player who moves next
    sees. `Outcome.discount` is −1 when the turn passes to the other player, 1 when the same player moves again and 0
    at the end: what is good for them is bad for us. So V(s) = r + discount · V(s′) is the negamax recursion, and any
    learner from scratch, put into such a world unchanged, learns by self-play.
    """

    @abc.abstractmethod
    def player(self, state: State) -> Int[Array, ""]:
        """Whose turn it is: 0 is the player who began, 1 the other."""


def perceive(
    world: AbstractWorld,
    task: Task,
    state: State,
    observation: PyTree[Array],
    *,
    first: Bool[Array, ""],
    action: PyTree[Array],
    reward: Float[Array, ""],
    discount: Float[Array, ""],
) -> Percept:
    """All that an agent may know at this moment: what it sees, what it was told, and what its last action did."""
    return Percept(
        observation=observation,
        first=first,
        goal=task.goal,
        instruction=task.instruction,
        demonstration=task.demonstration,
        legal=world.legal(state, task),
        action=action,
        # An explicit type: a world's `1.0 - over` is weakly typed, and would have the second chunk compiled anew.
        reward=jnp.asarray(reward, jnp.float32),
        discount=jnp.asarray(discount, jnp.float32),
    )
