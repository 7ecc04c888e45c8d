"""Probes: worlds so small that their values are known, one for each thing that a learner must be able to do.

A learner that fails on a probe says at once where its fault is: `Constant` asks for a value and nothing else, `Seen`
that it depends on what is seen, `Delayed` that the future is discounted, `Acted` for a policy, `Matched` for a policy
that depends on what is seen. `Secret`, `Goal` and `Word` each ask for one kind of knowledge: memory across the episodes
of a trial, a goal, an instruction. All have two actions.

| probe | optimal value | without the knowledge |
|---|---|---|
| `Constant` | 1 | |
| `Seen` | what is seen: 1 or −1 | 0 |
| `Delayed` | γ, then 1 | |
| `Acted` | 1 | |
| `Matched` | 1 | 0 |
| `Secret`, second episode of a trial | 1 | 0 |
| `Goal`, `Word` | 1 | 0 |
"""

from __future__ import annotations

import abc

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete

__all__ = ["Acted", "Constant", "Delayed", "Goal", "Matched", "Secret", "Seen", "Word"]

Place = Float[Array, "1"]  # a probe's state, which is also what is seen of it


class AbstractProbe(AbstractWorld):
    """Two actions, and an episode of one step that begins at 1."""

    @property
    def actions(self) -> Discrete:
        return Discrete(2)

    def task(self, *, key: Key) -> Task:
        return Task()

    def reset(self, task: Task, *, key: Key) -> tuple[Place, Place]:
        place = jnp.ones(1)
        return place, place

    def step(
        self, state: Place, task: Task, action: Int[Array, ""], *, key: Key | None = None
    ) -> tuple[Place, Outcome]:
        return state, Outcome(state, self._reward(state, task, action), jnp.zeros(()), jnp.array(True))

    @abc.abstractmethod
    def _reward(self, place: Place, task: Task, action: Int[Array, ""]) -> Float[Array, ""]:
        """What an action earns."""


class Constant(AbstractProbe):
    """Whatever is done earns 1."""

    def _reward(self, place: Place, task: Task, action: Int[Array, ""]) -> Float[Array, ""]:
        return jnp.ones(())


class Seen(AbstractProbe):
    """1 or −1 is seen, and earned whatever is done."""

    def reset(self, task: Task, *, key: Key) -> tuple[Place, Place]:
        place = jax.random.rademacher(key, (1,), jnp.float32)
        return place, place

    def _reward(self, place: Place, task: Task, action: Int[Array, ""]) -> Float[Array, ""]:
        return place[0]


class AbstractTwoSteps(AbstractProbe):
    """A probe of two steps: 0 is seen, then 1."""

    def reset(self, task: Task, *, key: Key) -> tuple[Place, Place]:
        place = jnp.zeros(1)
        return place, place

    def step(
        self, state: Place, task: Task, action: Int[Array, ""], *, key: Key | None = None
    ) -> tuple[Place, Outcome]:
        over = state[0] > 0
        place = jnp.ones(1)
        return place, Outcome(place, self._reward(state, task, action), (~over).astype(jnp.float32), over)


class Delayed(AbstractTwoSteps):
    """Only the second step earns 1."""

    def _reward(self, place: Place, task: Task, action: Int[Array, ""]) -> Float[Array, ""]:
        return place[0]


class Acted(AbstractProbe):
    """Action 1 earns 1, action 0 earns −1."""

    def _reward(self, place: Place, task: Task, action: Int[Array, ""]) -> Float[Array, ""]:
        return _match(action, jnp.ones((), jnp.int32))


class Matched(Seen):
    """1 or −1 is seen: the action that matches it, 1 or 0, earns 1 and the other −1."""

    def _reward(self, place: Place, task: Task, action: Int[Array, ""]) -> Float[Array, ""]:
        return _match(action, (place[0] > 0).astype(jnp.int32))


class Secret(AbstractTwoSteps):
    """One action of a task earns 1, the other −1, and nothing says which: only what came of it before.

    Put it into `Trials` of two episodes or more: the first reveals the secret, the next can use it. After the choice
    (0 is seen) comes a step of waiting (1 is seen) in which only action 0 is legal, so that neither the last action nor
    the last reward in a percept can stand in for a memory.
    """

    def task(self, *, key: Key) -> Task:
        return Task(parameters=_toss(key))

    def legal(self, state: Place, task: Task) -> Bool[Array, "2"]:
        return jnp.stack([jnp.array(True), state[0] == 0])

    def _reward(self, place: Place, task: Task, action: Int[Array, ""]) -> Float[Array, ""]:
        return jnp.where(place[0] > 0, 0.0, _match(action, task.parameters))


class Goal(AbstractProbe):
    """The goal is an action, told as one of two numbers that is 1: that action earns 1, the other −1."""

    def task(self, *, key: Key) -> Task:
        wanted = _toss(key)
        return Task(parameters=wanted, goal=jax.nn.one_hot(wanted, 2))

    def _reward(self, place: Place, task: Task, action: Int[Array, ""]) -> Float[Array, ""]:
        return _match(action, task.parameters)


class Word(AbstractProbe):
    """The instruction is one word of four: 0 and 2 ask for action 0, 1 and 3 for action 1. To obey earns 1, else −1."""

    def task(self, *, key: Key) -> Task:
        word = jax.random.randint(key, (1,), 0, 4)
        return Task(parameters=word[0] % 2, instruction=word)

    def _reward(self, place: Place, task: Task, action: Int[Array, ""]) -> Float[Array, ""]:
        return _match(action, task.parameters)


def _toss(key: Key) -> Int[Array, ""]:
    return jax.random.bernoulli(key).astype(jnp.int32)


def _match(action: Int[Array, ""], wanted: Int[Array, ""]) -> Float[Array, ""]:
    return jnp.where(action == wanted, jnp.ones(()), -1.0)
