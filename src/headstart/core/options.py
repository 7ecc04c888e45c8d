"""Options: a skill makes of a world another one, whose actions are the skill's subtasks.

Sutton, Precup and Singh, *Between MDPs and semi-MDPs: a framework for temporal abstraction in reinforcement learning*,
Artificial Intelligence 1999, for one policy π(a | s, g) and one termination β(s, g) with a parameter g.

| paper | here |
|---|---|
| an option: π, β | `skill`, for one row of `subtasks`: `Output.policy`, `Output.features` |
| r, what an option earns: Σ γⁱ rᵢ | `Outcome.reward` |
| p, the discounted chance of where it ends, with γᵏ | `Outcome.discount`, γᵏ⁻¹: the learner's own γ is the k-th |
| interrupting an option | `every`: after so many steps one is asked again |
"""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from headstart.core.collect import follow
from headstart.core.network import AbstractNetwork, Memory, blank
from headstart.core.types import Key, Outcome, Output, Percept, Task
from headstart.core.world import AbstractWorld, Discrete, State
from headstart.errors import UsageError

__all__ = ["Options", "Under", "Underway"]


class Under(eqx.Module):
    """What is seen: what the world shows, the subtask under way, −1 for none, and β, 0 to 1, of it in what is seen."""

    observation: PyTree[Array]
    subtask: Int[Array, "*batch"]
    termination: Float[Array, "*batch"]


class Underway(eqx.Module):
    """Where a world stands, what the skill is to see next, its memory, and which subtask is under way, −1 for none."""

    inner: State
    percept: Percept
    memory: Memory
    subtask: Int[Array, ""]


class Options(AbstractWorld):
    """A world in which one chooses what is to be done, and a skill does it.

    Action 0 goes on with the subtask that is under way, and may not be taken where there is none; action n begins the
    subtask of row n − 1 afresh. The skill then acts until its β is 0.5 or more, until the episode is over, or for
    `every` steps. What is earned meanwhile is added up.

    **Arguments:**

    - `world`: in which the skill acts.
    - `skill`: a network whose `Output.policy` acts and whose `Output.features` is the logit of β. It sees what the
      world's percepts show, but for the instruction, which is that of the subtask.
    - `subtasks`: the words of each subtask `[subtasks, words]`, as the skill hears them.
    - `every`: steps after which one is asked again in any case; 1 lets whoever chooses change their mind at any time.
    - `greedy`: whether the skill does what it likes best, or samples from its policy.
    - `discount`: γ, of what is earned while a subtask is under way, more than 0 and at most 1. Where that may be more
      than one step, it should be the learner's own.

    **Raises:** `UsageError` for no subtasks, for less than one step, for a discount that is none.
    """

    world: AbstractWorld
    skill: AbstractNetwork
    subtasks: Int[Array, "subtasks words"]
    every: int = eqx.field(static=True, default=1)
    greedy: bool = eqx.field(static=True, default=True)
    discount: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        if not len(self.subtasks):
            raise UsageError("Options of no subtasks leave nothing to choose; give one row of words or more")
        if self.every < 1:
            raise UsageError(f"a skill cannot act for {self.every} steps; let every be 1 or more")
        if not 0 < self.discount <= 1:
            raise UsageError(f"Options cannot discount by {self.discount}; give more than 0, and 1 at most")

    @property
    def actions(self) -> Discrete:
        return Discrete(1 + len(self.subtasks))

    def task(self, *, key: Key) -> Task:
        return self.world.task(key=key)

    def reset(self, task: Task, *, key: Key) -> tuple[Underway, Under]:
        inner, observation = self.world.reset(task, key=key)
        percept = Percept(
            observation=observation,
            first=jnp.array(True),
            goal=task.goal,
            instruction=self.subtasks[0],
            demonstration=task.demonstration,
            legal=self.world.legal(inner, task),
            action=self.world.actions.zero(),
            reward=jnp.zeros(()),
            discount=jnp.zeros(()),
        )
        subtask = jnp.full((), -1, jnp.int32)
        return Underway(inner, percept, self.skill.initial(), subtask), Under(observation, subtask, jnp.zeros(()))

    def legal(self, state: Underway, task: Task) -> Bool[Array, "actions"]:
        return (jnp.arange(self.actions.count) > 0) | (state.subtask >= 0)

    def step(self, state: Underway, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Underway, Outcome]:
        begins = action > 0
        subtask = jnp.where(begins, action - 1, state.subtask).astype(jnp.int32)
        words = self.subtasks[jnp.maximum(subtask, 0)]
        percept = replace(state.percept, instruction=words, first=begins | state.percept.first)
        nothing = _Earned(jnp.zeros(()), jnp.ones(()), jnp.array(False))
        begun = self._look(state.inner, percept, blank(self.skill, state.memory, begins))

        def acts(moment: _Moment, earned: _Earned, index: Int[Array, ""]) -> tuple[_Moment, _Earned, Outcome]:
            act_key, step_key = jax.random.split(jax.random.fold_in(key, index))
            policy = moment.output.policy
            did = policy.mode() if self.greedy else policy.sample(key=act_key)
            inner, outcome, after = follow(self.world, task, moment.inner, did, step_key)
            after = replace(after, instruction=words)
            reward = earned.reward + earned.discount * outcome.reward
            told = _Earned(reward, earned.discount * self.discount * outcome.discount, outcome.last)
            return self._look(inner, after, moment.leaving), told, outcome

        moment, earned, outcome = acts(begun, nothing, jnp.zeros((), jnp.int32))
        cumulants = outcome.cumulants
        if self.every > 1:

            def goes_on(carry: tuple) -> Bool[Array, ""]:
                moment, earned, _, index = carry
                return ~earned.last & (_logit(moment.output) < 0) & (index < self.every)

            def on(carry: tuple) -> tuple:
                moment, earned, cumulants, index = carry
                moment, earned, outcome = acts(moment, earned, index)
                return moment, earned, jax.tree.map(jnp.add, cumulants, outcome.cumulants), index + 1

            moment, earned, cumulants, _ = jax.lax.while_loop(
                goes_on, on, (moment, earned, cumulants, jnp.ones((), jnp.int32))
            )
        # The learner discounts once for a step of its own, and here one γ too many was counted.
        ended = earned.discount == 0
        discount = jnp.where(ended, 0.0, earned.discount / self.discount)
        seen = Under(moment.percept.observation, subtask, jax.nn.sigmoid(_logit(moment.output)))
        after = Underway(moment.inner, moment.percept, moment.entering, subtask)
        return after, Outcome(seen, earned.reward, discount, earned.last, cumulants)

    def _look(self, inner: State, percept: Percept, memory: Memory) -> _Moment:
        output, leaving = self.skill(percept, memory)
        return _Moment(inner, percept, memory, leaving, output)


class _Moment(eqx.Module):
    """A state of the world, what the skill sees of it and makes of it, and its memory before and after it looked."""

    inner: State
    percept: Percept
    entering: Memory
    leaving: Memory
    output: Output


class _Earned(eqx.Module):
    """What a subtask has earned, how much the next reward counts, and whether the episode is over."""

    reward: Float[Array, ""]
    discount: Float[Array, ""]
    last: Bool[Array, ""]


def _logit(output: Output) -> Float[Array, ""]:
    """Of β."""
    assert output.features is not None, "a skill says the logit of β as its features"
    return jnp.asarray(output.features)
