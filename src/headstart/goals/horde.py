"""Horde: many questions, each answered by a demon of its own, and all learned from one stream of behaviour.

Sutton, Modayil, Delp, Degris, Pilarski, White and Precup, *Horde*, AAMAS 2011 (sections 3 to 5). The demons learn by
GQ(λ) (Maei and Sutton, *GQ(λ)*, AGI 2010), or by Greedy-GQ where the policy asked about is greedy (Maei, Szepesvári,
Bhatnagar and Sutton, *Toward off-policy learning control with function approximation*, ICML 2010).

A question is a general value function: what will come of a policy π, of a cumulant c, until a continuation γ says that
it is over, and what is the end worth, by a payoff z?

    q(s, a) = E[ Σₖ (γ₁ ⋯ γₖ₋₁) (cₖ + (1 − γₖ) zₖ) | a in s, then π ],    with all of time k = 1, 2, … from s on

Where γ is 0 the question ends, but the stream goes on: a demon's end is nobody else's.

    ρ  = π(a | s) / b(a | s)
    δ  = c + (1 − γ′) z′ + γ′ Σₐ′ π(a′ | s′) θ·x(s′, a′) − θ·x(s, a)
    e  ← γ λ ρ e + x(s, a)
    θ += α [δ e − γ′ (1 − λ) (w·e) x̄′]
    w += β [δ e − (w·x(s, a)) x(s, a)]

| paper | here |
|---|---|
| question functions π, γ, r (here c), z | a subclass of `AbstractQuestion`; `Reach` is that of one goal |
| answer functions φ (here x), λ, α | `Horde.features`, `Horde.trace`, `Horde.learning_rate` |
| b, behaviour policy | `notes["log_prob"]` of the rollout |
| θ, w, e | `HordeState.weights`, `HordeState.corrections`, `HordeState.traces`, `[demons, actions, features]` |
| x̄′ = Σₐ′ π(a′ | s′) x(s′, a′) | the correction of the gradient |
| α, β | `Horde.learning_rate`, and `Horde.correction` times it |

x(s, a) is x(s) in the place of a. With β = 0 the update is plain off-policy TD, and Q-learning where π is greedy, which
may diverge for features that states share; with the correction it may not.
"""

from __future__ import annotations

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from headstart.core.types import Rollout
from headstart.errors import UsageError

__all__ = ["AbstractQuestion", "Horde", "HordeState", "Reach", "greedy"]

Observation = PyTree[Array]


class AbstractQuestion(eqx.Module):
    """One question, unbatched. A horde's `questions` is one with leaves `[demons, ...]`."""

    @abc.abstractmethod
    def policy(self, observation: Observation, values: Float[Array, "actions"]) -> Float[Array, "actions"]:
        """π(· | s). It may depend on the demon's own answers: `greedy(values)` asks for the best policy."""

    @abc.abstractmethod
    def cumulant(self, observation: Observation, action: Int[Array, ""], after: Observation) -> Float[Array, ""]:
        """c, of a step."""

    @abc.abstractmethod
    def continuation(self, observation: Observation) -> Float[Array, ""]:
        """γ, from 0 to 1, on entering what is observed."""

    def payoff(self, observation: Observation) -> Float[Array, ""]:
        """z, of an end at what is observed."""
        return jnp.zeros(())


class Reach(AbstractQuestion):
    """How soon could this goal be reached? γ^(steps − 1) by the shortest way: the question of a universal value.

    **Arguments:**

    - `goal`: an observation, or whatever else `reached` compares one with.
    - `reached`: `(observation, goal) -> whether it is there`.
    - `discount`: γ of all observations but the goal's, which is 0.
    """

    goal: PyTree[Array]
    reached: Callable[[Observation, PyTree[Array]], Bool[Array, ""]] = eqx.field(static=True)
    discount: float = eqx.field(static=True, default=0.95)

    def policy(self, observation: Observation, values: Float[Array, "actions"]) -> Float[Array, "actions"]:
        return greedy(values)

    def cumulant(self, observation: Observation, action: Int[Array, ""], after: Observation) -> Float[Array, ""]:
        return self.reached(after, self.goal).astype(jnp.float32)

    def continuation(self, observation: Observation) -> Float[Array, ""]:
        return self.discount * (1.0 - self.reached(observation, self.goal))


def greedy(values: Float[Array, "actions"]) -> Float[Array, "actions"]:
    """The policy that takes the best action, the first of those that tie."""
    return jax.nn.one_hot(jnp.argmax(values), values.size)


class HordeState(eqx.Module):
    """What the demons have learned, their traces, and the steps of the stream until now."""

    weights: Float[Array, "demons actions features"]
    corrections: Float[Array, "demons actions features"]
    traces: Float[Array, "demons actions features"]
    steps: Int[Array, ""]


class Horde(eqx.Module):
    """Demons that learn side by side, each at a cost that depends neither on the others nor on the past.

    **Arguments:**

    - `questions`: a question with leaves `[demons, ...]`.
    - `features`: x, from an observation to a vector.
    - `actions`: how many there are.
    - `learning_rate`: α, a number or an optax schedule over steps of the stream.
    - `correction`: β / α, of the second weights; 0 for none.
    - `trace`: λ.

    **Raises:** `UsageError` for a λ that is not between 0 and 1, or a correction below 0.
    """

    questions: AbstractQuestion
    features: Callable[[Observation], Float[Array, "features"]] = eqx.field(static=True)
    actions: int = eqx.field(static=True)
    learning_rate: float | optax.Schedule = eqx.field(static=True, default=0.1)
    correction: float = eqx.field(static=True, default=0.1)
    trace: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if not 0 <= self.trace <= 1 or not self.correction >= 0:
            raise UsageError(
                f"a trace of {self.trace} with a correction of {self.correction} cannot be; "
                "choose a trace between 0 and 1, and a correction of 0 or more"
            )

    def init(self, observation: Observation) -> HordeState:
        """Before anything was seen. `observation` is one of the stream's: shapes, not values."""
        size = jax.eval_shape(self.features, observation).shape[0]
        demons = jax.tree.leaves(self.questions)[0].shape[0]
        nothing = lambda: jnp.zeros((demons, self.actions, size))
        return HordeState(nothing(), nothing(), nothing(), jnp.zeros((), jnp.int32))

    def learn(self, state: HordeState, stream: Rollout) -> HordeState:
        """Learn from a stretch `[T]` of one stream, in order, whose notes hold the behaviour's `log_prob`.

        What a demon learns from a step is the same whether or not the task of the world ended with it; but where the
        stream breaks, at `first`, traces do.
        """

        def step(state: HordeState, moment: Rollout) -> tuple[HordeState, None]:
            rate = self.learning_rate(state.steps) if callable(self.learning_rate) else self.learning_rate
            learned = jax.vmap(self._demon, (0, 0, 0, 0, None, None))(
                self.questions, state.weights, state.corrections, state.traces, moment, rate
            )
            return HordeState(*learned, state.steps + 1), None

        return jax.lax.scan(step, state, stream)[0]

    def answers(self, state: HordeState, observation: Observation) -> Float[Array, "demons actions"]:
        """q(s, ·) of every demon."""
        return state.weights @ self.features(observation)

    def _demon(
        self,
        question: AbstractQuestion,
        weights: Float[Array, "actions features"],
        corrections: Float[Array, "actions features"],
        traces: Float[Array, "actions features"],
        moment: Rollout,
        rate: Float[Array, ""] | float,
    ) -> tuple[Array, Array, Array]:
        """One demon's step of GQ(λ)."""
        before, after, action = moment.percept.observation, moment.after.observation, moment.action
        x, x_after = self.features(before), self.features(after)
        here = jnp.zeros_like(weights).at[action].set(x)  # x(s, a)
        values, values_after = weights @ x, weights @ x_after
        policy, policy_after = question.policy(before, values), question.policy(after, values_after)
        ratio = policy[action] / jnp.exp(moment.notes["log_prob"])
        on, on_after = question.continuation(before), question.continuation(after)

        earned = question.cumulant(before, action, after) + (1.0 - on_after) * question.payoff(after)
        error = earned + on_after * policy_after @ values_after - values[action]
        traces = jnp.where(moment.percept.first, 0.0, on * self.trace * ratio) * traces + here
        overshot = on_after * (1.0 - self.trace) * jnp.sum(corrections * traces)
        correcting = self.correction * rate * (error * traces - (corrections[action] @ x) * here)
        learning = rate * (error * traces - overshot * policy_after[:, None] * x_after)
        return weights + learning, corrections + correcting, traces
