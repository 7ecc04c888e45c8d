"""Bandits: arms of which nothing is seen, so that all there is to know of them is what was pulled and what it paid.

Duan and others, *RL²: fast reinforcement learning via slow reinforcement learning*, 2016, section 3.1; Wang and others,
*Learning to reinforcement learn*, 2016, section 3.1; Wang and others, *Prefrontal cortex as a meta-reinforcement
learning system*, Nature Neuroscience 2018. Which arm pays is the task, and no agent is told: it can only be found out,
and in a family of tasks with a structure there is a quicker way to find out than in one without.

| world | the structure | an episode |
|---|---|---|
| `Bandit` | none: every arm is drawn by itself | 1 pull: put it into `headstart.core.wrappers.Trials` |
| `DependentBandit` | p₂ = 1 − p₁: to pull one arm is to hear of both | 1 pull, likewise |
| `InformativeBandit` | the worst arm tells which one is the best | 5 pulls |
| `VolatileBandit` | how often the good arm changes, in this task | 200 pulls |

In the first two a pull changes nothing, so each is an episode of its own, and a trial is as long as the wrapper says.
In the other two the pulls are numbered or the arms change, and after the last pull there is nothing more to earn: an
episode truly ends there, with a discount of 0.
"""

from __future__ import annotations

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

__all__ = [
    "EASY",
    "HARD",
    "MEDIUM",
    "AbstractBandit",
    "Bandit",
    "DependentBandit",
    "InformativeBandit",
    "Pulling",
    "VolatileBandit",
]

EASY, MEDIUM, HARD = (0.1, 0.9), (0.25, 0.75), (0.4, 0.6)
"""Between which p₁ is drawn in the three dependent families of Wang and others, 2016."""

Nothing = Float[Array, "1"]  # what is seen of a bandit


class AbstractBandit(AbstractWorld):
    """Arms that pay 1 or nothing, each with a probability of its own. A pull is an episode of one step.

    `Task.parameters` are these probabilities, `[arms]`. Seen is 0, always.
    """

    @property
    @abc.abstractmethod
    def actions(self) -> Discrete:
        """The arms."""

    def task(self, *, key: Key) -> Task:
        return Task(parameters=self._draw(key=key))

    def reset(self, task: Task, *, key: Key) -> tuple[Nothing, Nothing]:
        return jnp.zeros(1), jnp.zeros(1)

    def step(self, state: Nothing, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Nothing, Outcome]:
        paid = jax.random.bernoulli(key, task.parameters[action])
        return state, Outcome(jnp.zeros(1), paid.astype(jnp.float32), jnp.zeros(()), jnp.array(True))

    @abc.abstractmethod
    def _draw(self, *, key: Key) -> Float[Array, "arms"]:
        """How likely each arm is to pay."""


class Bandit(AbstractBandit):
    """Arms that pay 1 with probabilities drawn uniformly and independently (Duan and others, section 3.1).

    **Arguments:**

    - `arms`: how many, 1 or more.

    **Raises:** `UsageError` for no arms.
    """

    arms: int = eqx.field(static=True, default=5)

    def __check_init__(self):
        if self.arms < 1:
            raise UsageError(f"a bandit of {self.arms} arms cannot be pulled; ask for 1 arm or more")

    @property
    def actions(self) -> Discrete:
        return Discrete(self.arms)

    def _draw(self, *, key: Key) -> Float[Array, "arms"]:
        return jax.random.uniform(key, (self.arms,))


class DependentBandit(AbstractBandit):
    """Two arms that pay 1, the second one with what the first lacks: p₂ = 1 − p₁ (Wang and others, section 3.1.2).

    **Arguments:**

    - `likely`: the probabilities that the first arm may have, each as likely as the others: `EASY`, `MEDIUM` or `HARD`.
      Any between 0 and 1, drawn uniformly, if there are none.

    **Raises:** `UsageError` for a probability that is none.
    """

    likely: tuple[float, ...] = eqx.field(static=True, default=())

    def __check_init__(self):
        for probability in self.likely:
            if not 0.0 <= probability <= 1.0:
                raise UsageError(f"an arm cannot pay with probability {probability}; give numbers from 0 to 1")

    @property
    def actions(self) -> Discrete:
        return Discrete(2)

    def _draw(self, *, key: Key) -> Float[Array, "2"]:
        first = jax.random.choice(key, jnp.array(self.likely)) if self.likely else jax.random.uniform(key)
        return jnp.stack([first, 1.0 - first])


class Pulling(eqx.Module):
    """The arm that is good now, and the pulls since the reset."""

    good: Int[Array, ""]
    pulls: Int[Array, ""]


class InformativeBandit(AbstractWorld):
    """Eleven arms: one of ten pays 5, and the eleventh tells which, by paying a tenth of its number. 5 pulls.

    Wang and others, section 3.1.3. Who pulls the eleventh arm first gives up a reward now for four of 5: 20.55 in an
    episode on average, which is the most there is. `Task.parameters` is the good arm, 0 to 9; the message is that plus
    1, divided by 10. Seen is 0, always.

    **Arguments:**

    - `pulls`: in an episode, 1 or more.
    - `otherwise`: what the other nine arms pay; 1.1 in some texts, which is more than any message.

    **Raises:** `UsageError` for no pulls.
    """

    pulls: int = eqx.field(static=True, default=5)
    otherwise: float = 1.0

    def __check_init__(self):
        _at_least_one(self.pulls)

    @property
    def actions(self) -> Discrete:
        return Discrete(11)

    def task(self, *, key: Key) -> Task:
        return Task(parameters=jax.random.randint(key, (), 0, 10))

    def reset(self, task: Task, *, key: Key) -> tuple[Pulling, Nothing]:
        return Pulling(task.parameters, jnp.zeros((), jnp.int32)), jnp.zeros(1)

    def step(
        self, state: Pulling, task: Task, action: Int[Array, ""], *, key: Key | None = None
    ) -> tuple[Pulling, Outcome]:
        message = (state.good + 1) / 10
        paid = jnp.where(action == 10, message, jnp.where(action == state.good, 5.0, self.otherwise))
        after = Pulling(state.good, state.pulls + 1)
        return after, _paid(paid, after.pulls >= self.pulls)


class VolatileBandit(AbstractWorld):
    """Two arms, a good and a bad one, which change places every now and then: seldom or often is the task. 200 pulls.

    After Behrens and others, *Learning the value of information in an uncertain world*, Nature Neuroscience 2007, as
    Wang and others (2018) put it to a recurrent network: where the world changes often, what was long ago should count
    for less. `Task.parameters` is the hazard, the probability that the arms change places after a pull. Seen is 0,
    always.

    **Arguments:**

    - `hazards`: the hazards that tasks may have, each as likely as the others.
    - `good`: the probability with which the good arm pays 1; the bad one pays with what is left of 1.
    - `pulls`: in an episode, 1 or more.

    **Raises:** `UsageError` for no hazards, no pulls, or for a probability that is none.
    """

    hazards: tuple[float, ...] = eqx.field(static=True, default=(0.01, 0.1))
    good: float = 0.8
    pulls: int = eqx.field(static=True, default=200)

    def __check_init__(self):
        _at_least_one(self.pulls)
        if not self.hazards:
            raise UsageError("a volatile bandit without hazards has no tasks; give 1 hazard or more")
        for probability in (*self.hazards, self.good):
            if not 0.0 <= probability <= 1.0:
                raise UsageError(f"{probability} is no probability of a volatile bandit; give numbers from 0 to 1")

    @property
    def actions(self) -> Discrete:
        return Discrete(2)

    def task(self, *, key: Key) -> Task:
        return Task(parameters=jax.random.choice(key, jnp.array(self.hazards)))

    def reset(self, task: Task, *, key: Key) -> tuple[Pulling, Nothing]:
        good = jax.random.bernoulli(key).astype(jnp.int32)
        return Pulling(good, jnp.zeros((), jnp.int32)), jnp.zeros(1)

    def step(self, state: Pulling, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Pulling, Outcome]:
        pay_key, change_key = jax.random.split(key)
        paid = jax.random.bernoulli(pay_key, jnp.where(action == state.good, self.good, 1.0 - self.good))
        changed = jax.random.bernoulli(change_key, task.parameters)
        after = Pulling(jnp.where(changed, 1 - state.good, state.good), state.pulls + 1)
        return after, _paid(paid.astype(jnp.float32), after.pulls >= self.pulls)


def _paid(reward: Float[Array, ""], last: Bool[Array, ""]) -> Outcome:
    return Outcome(jnp.zeros(1), reward, 1.0 - last, last)


def _at_least_one(pulls: int) -> None:
    if pulls < 1:
        raise UsageError(f"an episode of {pulls} pulls is none; ask for 1 pull or more")
