"""Meta-parameters: a learning rate, a temperature or a discount that a learner tunes while it learns.

Schweighofer and Doya, *Meta-learning in reinforcement learning*, Neural Networks 16, 2003, section 2. Each
meta-parameter is disturbed by slow noise. Where rewards have risen of late, the noise was to the good, and the
meta-parameter moves its way; where they have fallen, the other way:

    r̄ ← r̄ + (r − r̄) / τ₁,    r̿ ← r̿ + (r̄ − r̿) / τ₂,    b ← b + μ (r̄ − r̿) σ,    m = f(b + σ)

| paper | here |
|---|---|
| r̄, r̿ | `MetaState.recent`, `.usual` |
| b, σ | `MetaState.base`, `.noise`, a number for each meta-parameter |
| τ₁, τ₂ | `MetaParameters.recent`, `.usual`, in steps |
| μ; ν, of σ ~ N(0, ν²); N | `.rate`, `.spread`, `.every` |
| α = 1 / (1 + exp b), γ = 1 − 1 / (1 + exp b) | `Share` for both: noise is symmetric, so either way of b is the same |
| β = exp b | `Positive` |

The paper prints γ without the "1 +", which would give −∞ to 1, and calls the other two transforms "exponential". What
is written here, and the values of τ₁, τ₂, μ and ν, are those of the replication by Sarazin, Khamassi, Rano and Girard.
b is kept within bounds, for without them β runs to 10⁷.

**What it is good for.** It rescues bad starts in a small world, and makes good ones worse; in a larger world, the
replication and `headstart study meta_parameters` find little. The signal is one number for all meta-parameters
together, and after a change of the world it falls for any σ, so which way they then move is chance.

**On top of any learner.** A learner is a pytree whose fields are its hyper-parameters. `MetaParameters` is a learner
that holds another one: before that acts or learns, its fields of the tuned names are replaced by what b and σ say now.
So those must be arrays, and they say where tuning begins: `PPO(discount=jnp.array(0.9))`. Agents with meta-parameters
of their own are processes that are vmapped; what the lanes of one process earn at a moment is averaged.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.learner import AbstractLearner, LearnerState
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.scan import scan
from headstart.core.source import AbstractSource
from headstart.core.types import Choice, Key, Metrics, Number, Percept, Rollout, Step
from headstart.errors import UsageError, unknown

__all__ = ["AbstractMetaParameter", "MetaParameters", "MetaState", "Positive", "Share"]


class AbstractMetaParameter(eqx.Module):
    """A hyper-parameter that is tuned: the `name` of the learner's field, and how a real number b becomes its value."""

    name: eqx.AbstractVar[str]

    @abc.abstractmethod
    def value(self, base: Float[Array, ""]) -> Float[Array, ""]:
        """f: what the hyper-parameter is at b. It rises with b."""

    @abc.abstractmethod
    def base(self, value: Float[Array, ""]) -> Float[Array, ""]:
        """b, where the hyper-parameter has this value."""


class Share(AbstractMetaParameter):
    """Between 0 and 1, such as a discount or the learning rate of a table: 1 / (1 + exp(−b))."""

    name: str = eqx.field(static=True)

    def value(self, base: Float[Array, ""]) -> Float[Array, ""]:
        return jax.nn.sigmoid(base)

    def base(self, value: Float[Array, ""]) -> Float[Array, ""]:
        return jnp.log(value) - jnp.log1p(-value)


class Positive(AbstractMetaParameter):
    """Above 0, such as an inverse temperature or the learning rate of an optimiser: `unit` · exp(b).

    **Arguments:**

    - `unit`: the value at b = 0. How far b can go is counted from there, so let it be of the size that is expected.
    - `limit`: the greatest exponent; with noise, b alone may not be enough of one.
    """

    name: str = eqx.field(static=True)
    unit: float = 1.0
    limit: float = 12.0

    def value(self, base: Float[Array, ""]) -> Float[Array, ""]:
        return self.unit * jnp.exp(jnp.minimum(base, self.limit))

    def base(self, value: Float[Array, ""]) -> Float[Array, ""]:
        return jnp.log(value / self.unit)


class MetaState(eqx.Module):
    """What evolves: the inner learner's state, and what tunes its hyper-parameters, in the order of `tuned`."""

    learner: LearnerState
    base: Float[Array, "tuned"]
    noise: Float[Array, "tuned"]
    recent: Float[Array, ""]
    usual: Float[Array, ""]
    steps: Int[Array, ""]  # since the noise was drawn

    @property
    def network(self) -> AbstractNetwork:
        return self.learner.network


class MetaParameters(AbstractLearner):
    """A learner that tunes hyper-parameters of another one as it learns.

    What acted is what learns: noise stays the same within a rollout, and is drawn anew after the first one with which
    `every` steps are over. Averages and b follow every step.

    **Arguments:**

    - `learner`: who learns. Its tuned fields are arrays of a single number, from which tuning begins.
    - `tuned`: what is tuned, as `(Share("discount"), Positive("learning_rate", unit=1e-3))`.
    - `rate`: μ, 0 or more; at 0, hyper-parameters are disturbed and nothing is learned from it.
    - `spread`: ν, the standard deviation of the noise, 0 or more.
    - `every`: N, steps for which noise stays the same.
    - `recent`, `usual`: τ₁ and τ₂, the steps that the averages look back, 1 or more.
    - `bound`: how far from 0 each b may go.

    **Raises:** `UsageError` for no names, a name twice or one that the learner has no field of, a field that is no such
    array, a start that its transform does not reach within the bound, or numbers out of range.
    """

    source: AbstractSource = eqx.field(init=False)
    learner: AbstractLearner
    tuned: tuple[AbstractMetaParameter, ...]
    rate: Number = 0.2
    spread: Number = 1.0
    every: int = eqx.field(static=True, default=100)
    recent: float = 100.0
    usual: float = 100.0
    bound: float = 8.0

    def __post_init__(self):
        self.source = self.learner.source

    def __check_init__(self):
        for name, least in (("every", 1), ("recent", 1), ("usual", 1), ("rate", 0), ("spread", 0)):
            number = getattr(self, name)
            if _known(number) and number < least:
                raise UsageError(f"{name} = {number} tunes no meta-parameter; give {least} or more")
        names = [each.name for each in self.tuned]
        if not names or len(set(names)) < len(names):
            raise UsageError(
                f"MetaParameters was to tune {', '.join(names) or 'nothing'}; name each meta-parameter once"
            )
        fields = {field.name for field in dataclasses.fields(self.learner)}
        kind = type(self.learner).__name__
        for each in self.tuned:
            if each.name not in fields:
                raise unknown(f"hyper-parameter of {kind}", each.name, fields)
            start = getattr(self.learner, each.name)
            if not eqx.is_inexact_array(start) or start.shape != ():
                raise UsageError(
                    f"{each.name} of {kind} is no array of a single number, so it cannot be tuned; "
                    f"give it as {each.name}=jnp.array(...)"
                )
            if _known(start):
                with jax.ensure_compile_time_eval():  # also where this is built within a program
                    low, high = (float(each.value(jnp.array(end))) for end in (-self.bound, self.bound))
                if not low <= float(start) <= high:
                    raise UsageError(f"{each.name} cannot begin at {start:g}; start between {low:.3g} and {high:.3g}")

    def init(self, network: AbstractNetwork, example: Step, *, key: Key) -> MetaState:
        learner_key, noise_key = jax.random.split(key)
        inner = self.learner.init(network, example, key=learner_key)
        # An explicit type: a weak one would have the second step compiled anew.
        base = jnp.stack([each.base(getattr(self.learner, each.name)) for each in self.tuned]).astype(jnp.float32)
        zero = jnp.zeros(())
        return MetaState(inner, base, self._draw(noise_key), zero, zero, jnp.zeros((), jnp.int32))

    def act(self, state: MetaState, percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        return self.at(state).act(state.learner, percept, memory, key=key)

    def update(self, state: MetaState, rollout: Rollout, *, key: Key) -> tuple[MetaState, Metrics]:
        learn_key, signal_key, noise_key = jax.random.split(key, 3)
        inner, metrics = self.at(state).update(state.learner, rollout, key=learn_key)

        def hear(state: MetaState, heard: tuple[Array, Key]) -> tuple[MetaState, None]:
            reward, key = heard
            recent = state.recent + (reward - state.recent) / self.recent
            usual = state.usual + (recent - state.usual) / self.usual
            signal = self.signal(recent - usual, state.noise, key=key)
            base = jnp.clip(state.base + self.rate * signal, -self.bound, self.bound)
            return MetaState(state.learner, base, state.noise, recent, usual, state.steps + 1), None

        keys = jax.random.split(signal_key, rollout.reward.shape[0])
        state, _ = scan(hear, state, (jnp.mean(rollout.reward, axis=1), keys))
        over = state.steps >= self.every
        noise = jnp.where(over, self._draw(noise_key), state.noise)
        after = MetaState(inner, state.base, noise, state.recent, state.usual, jnp.where(over, 0, state.steps))
        return after, metrics | self._reported(after)

    def signal(self, difference: Float[Array, ""], noise: Float[Array, "tuned"], *, key: Key) -> Float[Array, "tuned"]:
        """What each b learns from a step after which rewards are this much above what is usual: (r̄ − r̿) σ."""
        return difference * noise

    def at(self, state: MetaState) -> AbstractLearner:
        """The inner learner with the hyper-parameters that it has now."""
        values = [each.value(state.base[at] + state.noise[at]) for at, each in enumerate(self.tuned)]
        return eqx.tree_at(lambda learner: [getattr(learner, each.name) for each in self.tuned], self.learner, values)

    def _draw(self, key: Key) -> Float[Array, "tuned"]:
        return self.spread * jax.random.normal(key, (len(self.tuned),))

    def _reported(self, state: MetaState) -> Metrics:
        """Each meta-parameter without its noise, and the two averages."""
        values = {f"meta/{each.name}": each.value(state.base[at]) for at, each in enumerate(self.tuned)}
        return values | {"meta/recent": state.recent, "meta/usual": state.usual}


def _known(number: Any) -> bool:
    """Whether it can be looked at: within `jit` or `vmap` it cannot."""
    return not isinstance(number, jax.core.Tracer)
