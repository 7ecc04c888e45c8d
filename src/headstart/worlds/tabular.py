"""Tabular worlds: a few states whose laws are drawn anew, or whose rewards change sides, and which are seen whole.

Duan and others, *RL²: fast reinforcement learning via slow reinforcement learning*, 2016, section 3.2, after Osband and
others, *(More) efficient reinforcement learning via posterior sampling*, NeurIPS 2013; Wang and others, *Prefrontal
cortex as a meta-reinforcement learning system*, Nature Neuroscience 2018, after Daw and others, *Model-based influences
on humans' choices and striatal prediction errors*, Neuron 2011.

| paper | here |
|---|---|
| P(s′ | s, a) ~ Dirichlet(1) | `MDP.transitions` |
| mean reward ~ N(1, 1), reward ~ N(mean, 1) | `MDP.rewards`, and `TabularMDP.step` |
| H = 10 | `TabularMDP.horizon` |
| common transition 0.8, reversal 0.025, reward .9 and .1 | `TwoStep.common`, `.reversal`, `.paying` |
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

__all__ = ["MDP", "Choosing", "TabularMDP", "TwoStep", "Visiting"]


class MDP(eqx.Module):
    """The laws of a tabular world. Leading axes broadcast.

    `transitions` are the probabilities of what follows, and `rewards` the mean rewards, of each action in each state.
    """

    transitions: Float[Array, "*batch states choices states"]
    rewards: Float[Array, "*batch states choices"]


class Visiting(eqx.Module):
    """The state that is visited, by its number, and the steps since the reset."""

    place: Int[Array, ""]
    steps: Int[Array, ""]


class TabularMDP(AbstractWorld):
    """A few states whose transitions and rewards are drawn for each task; every episode begins in state 0. 10 steps.

    Rewards are normal around their mean with a variance of 1. `Task.parameters` is an `MDP`. Observed: the state, as
    `states` numbers of which one is 1. The step's number is not shown, as in the paper, though the best action depends
    on it: an agent with memory can count. What comes after the horizon is no part of the task, which truly ends there,
    with a discount of 0: in `headstart.core.wrappers.Trials`, that is how an agent hears of a new episode.

    **Arguments:**

    - `states`, `choices`: how many states there are, and how many actions in each, 1 or more.
    - `horizon`: steps in an episode, 1 or more.

    **Raises:** `UsageError` for no states, no choices or no steps.
    """

    states: int = eqx.field(static=True, default=10)
    choices: int = eqx.field(static=True, default=5)
    horizon: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        for name in ("states", "choices", "horizon"):
            if getattr(self, name) < 1:
                raise UsageError(f"a tabular MDP cannot have {name} = {getattr(self, name)}; give it 1 or more")

    @property
    def actions(self) -> Discrete:
        return Discrete(self.choices)

    def task(self, *, key: Key) -> Task:
        transition_key, reward_key = jax.random.split(key)
        # Dirichlet(1): what independent exponentials are a share of, which are cheaper to draw than gammas.
        drawn = jax.random.exponential(transition_key, (self.states, self.choices, self.states))
        transitions = drawn / jnp.sum(drawn, axis=-1, keepdims=True)
        rewards = 1.0 + jax.random.normal(reward_key, (self.states, self.choices))
        return Task(parameters=MDP(transitions, rewards))

    def reset(self, task: Task, *, key: Key) -> tuple[Visiting, Float[Array, "states"]]:
        place = jnp.zeros((), jnp.int32)
        return Visiting(place, jnp.zeros((), jnp.int32)), self._show(place)

    def step(self, state: Visiting, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Visiting, Outcome]:
        move_key, reward_key = jax.random.split(key)
        mdp = task.parameters
        reward = mdp.rewards[state.place, action] + jax.random.normal(reward_key)
        odds = jnp.cumsum(mdp.transitions[state.place, action])
        # The last sum may be rounded to less than 1: no draw may then lead beyond the last state.
        place = jnp.minimum(jnp.sum(jax.random.uniform(move_key) >= odds), self.states - 1)
        after = Visiting(place.astype(jnp.int32), state.steps + 1)
        last = after.steps >= self.horizon
        return after, Outcome(self._show(after.place), reward, 1.0 - last, last)

    def _show(self, place: Int[Array, ""]) -> Float[Array, "states"]:
        return jax.nn.one_hot(place, self.states)


class Choosing(eqx.Module):
    """Which of the two places pays now, and the trials since the reset."""

    good: Int[Array, ""]
    trials: Int[Array, ""]


class TwoStep(AbstractWorld):
    """Two choices, each of which commonly leads to a place of its own; one of the places pays, now and then the other.

    The version of 2018. Action 0 leads to place 0 in 80 of 100 trials and to place 1 in the others, action 1 the other
    way round. One place pays 1 in 90 of 100 visits, the other in 10, and before a trial they change sides with a
    probability of 0.025. Who knows what leads where can tell that a reward after an uncommon transition speaks for the
    *other* action: that is the signature of model-based choice. An episode is 100 trials.

    **A trial is one step.** In its second stage there is nothing to choose. As a step of its own it would have an
    action without a consequence, and would part the reward from the choice that earned it by one moment: recurrent
    networks then learn far more slowly. So the action is the choice of the first stage, and what comes of it, the place
    and the reward, is perceived at once. Observed: the place that the last trial led to, as two numbers of which one is
    1; both are 0 before the first trial. After the last trial the episode truly ends, with a discount of 0.

    **Arguments:**

    - `common`: the probability of the common transition. At 0.5 there is no structure to know: that is the control.
    - `reversal`: the probability that the places change sides before a trial.
    - `paying`: the probability with which the good place pays 1; the other pays with what is left of 1.
    - `trials`: in an episode, 1 or more.

    **Raises:** `UsageError` for no trials, or for a probability that is none.
    """

    common: float = 0.8
    reversal: float = 0.025
    paying: float = 0.9
    trials: int = eqx.field(static=True, default=100)

    def __check_init__(self):
        if self.trials < 1:
            raise UsageError(f"an episode of {self.trials} trials is none; ask for 1 trial or more")
        for name in ("common", "reversal", "paying"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"{name} = {getattr(self, name)} is no probability; give a number from 0 to 1")

    @property
    def actions(self) -> Discrete:
        return Discrete(2)

    def task(self, *, key: Key) -> Task:
        return Task()

    def reset(self, task: Task, *, key: Key) -> tuple[Choosing, Float[Array, "2"]]:
        good = jax.random.bernoulli(key).astype(jnp.int32)
        return Choosing(good, jnp.zeros((), jnp.int32)), jnp.zeros(2)

    def step(self, state: Choosing, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Choosing, Outcome]:
        change_key, lead_key, pay_key = jax.random.split(key, 3)
        good = jnp.where(jax.random.bernoulli(change_key, self.reversal), 1 - state.good, state.good)
        place = jnp.where(jax.random.bernoulli(lead_key, self.common), action, 1 - action)
        paid = jax.random.bernoulli(pay_key, jnp.where(place == good, self.paying, 1.0 - self.paying))
        after = Choosing(good, state.trials + 1)
        last = after.trials >= self.trials
        return after, Outcome(jax.nn.one_hot(place, 2), paid.astype(jnp.float32), 1.0 - last, last)
