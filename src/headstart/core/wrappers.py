"""Wrappers: what holds at test time as well as in training, for any world.

`TimeLimit` and `Trials` are not for `AbstractTwoPlayerWorld`, whose trials tell what a player may see of the game
before: see `headstart.worlds.boardgames.trials`. `OneTask`, and whatever else is `Like` another world, is for both.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractTwoPlayerWorld, AbstractWorld, Box, Discrete, State
from headstart.errors import UsageError

__all__ = ["Among", "Like", "OneTask", "Rescaled", "Sight", "TimeLimit", "Trials", "Whole"]


class Like(AbstractTwoPlayerWorld):
    """A world that is like another in all that a subclass does not say. Of two players only if the other is."""

    world: eqx.AbstractVar[AbstractWorld]

    @property
    def actions(self) -> Discrete | Box:
        return self.world.actions

    def task(self, *, key: Key) -> Task:
        return self.world.task(key=key)

    def reset(self, task: Task, *, key: Key) -> tuple[State, PyTree[Array]]:
        return self.world.reset(task, key=key)

    def step(self, state: State, task: Task, action: PyTree[Array], *, key: Key) -> tuple[State, Outcome]:
        return self.world.step(state, task, action, key=key)

    def legal(self, state: State, task: Task) -> Bool[Array, "actions"] | None:
        return self.world.legal(state, task)

    def player(self, state: State) -> Int[Array, ""]:
        assert isinstance(self.world, AbstractTwoPlayerWorld), f"{type(self.world).__name__} has one player"
        return self.world.player(state)


class OneTask(Like):
    """A world whose every task is the same one, with the goal, the words or the demonstrations that are in it.

    **Arguments:**

    - `world`: the family.
    - `only`: the task.
    """

    world: AbstractWorld
    only: Task

    def task(self, *, key: Key) -> Task:
        return self.only


class Among(Like):
    """A world whose tasks are those of a list, all with equal chances: a family of which some are held out.

    **Arguments:**

    - `world`: the family.
    - `tasks`: leaves `[tasks, ...]`.
    """

    world: AbstractWorld
    tasks: Task

    def task(self, *, key: Key) -> Task:
        index = jax.random.randint(key, (), 0, jax.tree.leaves(self.tasks)[0].shape[0])
        return jax.tree.map(lambda leaf: leaf[index], self.tasks)


class Rescaled(Like):
    """A world whose observation is an array that is shown in other units: between `low` and `high` is −1 to 1.

    A perceptron hears what varies by about 1. A velocity of at most 0.07 beside a position of 1 says nothing to it.

    **Arguments:**

    - `world`: the world in its own units.
    - `low`, `high`: for each number that is observed, the bounds that are to become −1 and 1.

    **Raises:** `UsageError` unless every `low` is below its `high`.
    """

    world: AbstractWorld
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __check_init__(self):
        if len(self.low) != len(self.high) or any(low >= high for low, high in zip(self.low, self.high, strict=True)):
            raise UsageError(f"Rescaled from {self.low} to {self.high}: each low bound must be below its high one")

    def reset(self, task: Task, *, key: Key) -> tuple[State, Float[Array, "seen"]]:
        state, observation = self.world.reset(task, key=key)
        return state, self._show(observation)

    def step(self, state: State, task: Task, action: PyTree[Array], *, key: Key) -> tuple[State, Outcome]:
        state, outcome = self.world.step(state, task, action, key=key)
        return state, eqx.tree_at(lambda outcome: outcome.observation, outcome, self._show(outcome.observation))

    def _show(self, observation: Float[Array, "seen"]) -> Float[Array, "seen"]:
        low, high = jnp.array(self.low), jnp.array(self.high)
        return 2 * (observation - low) / (high - low) - 1


class Counted(eqx.Module):
    """A world's state and a count: of steps since the reset (`TimeLimit`), of episodes that ended (`Trials`)."""

    inner: State
    count: Int[Array, ""]


class AbstractWrapper(AbstractWorld):
    """A world made from another, with the same actions, tasks and legal actions, and a count beside its state."""

    world: eqx.AbstractVar[AbstractWorld]

    @property
    def actions(self) -> Discrete | Box:
        return self.world.actions

    def task(self, *, key: Key) -> Task:
        return self.world.task(key=key)

    def reset(self, task: Task, *, key: Key) -> tuple[Counted, PyTree[Array]]:
        state, observation = self.world.reset(task, key=key)
        return Counted(state, jnp.zeros((), jnp.int32)), observation

    def legal(self, state: Counted, task: Task) -> Bool[Array, "actions"] | None:
        return self.world.legal(state.inner, task)


class TimeLimit(AbstractWrapper):
    """Cuts episodes short: the step of that number is `last`, and its discount stays what the world says.

    **Arguments:**

    - `world`: the world to cut short.
    - `steps`: the greatest number of steps in an episode, 1 or more.

    **Raises:** `UsageError` for less than one step.
    """

    world: AbstractWorld
    steps: int = eqx.field(static=True)

    def __check_init__(self):
        _at_least_one(self.steps, "TimeLimit", "step")

    def step(self, state: Counted, task: Task, action: PyTree[Array], *, key: Key) -> tuple[Counted, Outcome]:
        inner, outcome = self.world.step(state.inner, task, action, key=key)
        count = state.count + 1
        last = outcome.last | (count >= self.steps)
        return Counted(inner, count), eqx.tree_at(lambda outcome: outcome.last, outcome, last)


class Sight(eqx.Module):
    """What is seen within a trial: what the world shows, and 1 where an episode begins, the first one or the next."""

    observation: PyTree[Array]
    begins: Float[Array, "*batch"]


class Trials(AbstractWrapper):
    """A trial of RL²: several episodes of one task, as one long episode.

    Duan and others, *RL²: fast reinforcement learning via slow reinforcement learning*, 2016, section 2.2. Only the end
    of the last episode is `last`, so an agent's memory is kept from episode to episode. What it is to maximise is the
    return of the whole trial: the discount is 1 within it, also where an episode ends, so that to find something out in
    one episode is worth what it earns in those that follow. It is 0 at the end of the trial, after which there is
    nothing of this task.

    Observed is a `Sight`: where an episode ended, the beginning of the next one, and `begins`, the flag d of RL², which
    is 1 at the very first moment too.

    **Arguments:**

    - `world`: the world of single episodes.
    - `episodes`: how many make a trial, 1 or more.

    **Raises:** `UsageError` for less than one episode.
    """

    world: AbstractWorld
    episodes: int = eqx.field(static=True)

    def __check_init__(self):
        _at_least_one(self.episodes, "Trials", "episode")

    def reset(self, task: Task, *, key: Key) -> tuple[Counted, Sight]:
        state, observation = super().reset(task, key=key)
        return state, Sight(observation, jnp.ones(()))

    def step(self, state: Counted, task: Task, action: PyTree[Array], *, key: Key) -> tuple[Counted, Outcome]:
        step_key, reset_key = jax.random.split(key)
        inner, outcome = self.world.step(state.inner, task, action, key=step_key)
        count = state.count + outcome.last.astype(jnp.int32)
        over = outcome.last & (count >= self.episodes)
        fresh = self.world.reset(task, key=reset_key)
        # After the final episode nothing is reset: `collect` is to see the true successor.
        again = outcome.last & ~over
        inner, observation = jax.tree.map(
            lambda new, old: jnp.where(again, new, old), fresh, (inner, outcome.observation)
        )
        return Counted(inner, count), Outcome(
            observation=Sight(observation, again.astype(jnp.float32)),
            reward=outcome.reward,
            discount=1.0 - over,
            last=over,
            cumulants=outcome.cumulants,
        )


def _at_least_one(number: int, name: str, unit: str) -> None:
    if number < 1:
        raise UsageError(f"{name} of {number} {unit}s is none; ask for 1 {unit} or more")


class Waiting(eqx.Module):
    """A world's state, what is seen of it, the steps since the reset, and whether and how the episode is over."""

    inner: State
    observation: PyTree[Array]
    steps: Int[Array, ""]
    over: Bool[Array, ""]
    discount: Float[Array, ""]


class Whole(AbstractWorld):
    """A world whose episodes last a multiple of `every` steps: one that is over waits, and earns nothing, until then.

    **Arguments:**

    - `world`: the world whose episodes end whenever they do.
    - `every`: steps.
    """

    world: AbstractWorld
    every: int = eqx.field(static=True)

    @property
    def actions(self):
        return self.world.actions

    def task(self, *, key: Key) -> Task:
        return self.world.task(key=key)

    def reset(self, task: Task, *, key: Key) -> tuple[Waiting, PyTree[Array]]:
        inner, observation = self.world.reset(task, key=key)
        return Waiting(inner, observation, jnp.zeros((), jnp.int32), jnp.array(False), jnp.ones(())), observation

    def step(self, state: Waiting, task: Task, action: PyTree[Array], *, key: Key) -> tuple[Waiting, Outcome]:
        inner, outcome = self.world.step(state.inner, task, action, key=key)
        inner, observation, discount = jax.tree.map(
            lambda old, new: jnp.where(state.over, old, new),
            (state.inner, state.observation, state.discount),
            (inner, outcome.observation, jnp.asarray(outcome.discount, jnp.float32)),
        )
        over, steps = state.over | outcome.last, state.steps + 1
        last = over & (steps % self.every == 0)
        reward = jnp.where(state.over, 0.0, outcome.reward)
        return Waiting(inner, observation, steps, over, discount), Outcome(
            observation, reward, jnp.where(last, discount, 1.0), last
        )
