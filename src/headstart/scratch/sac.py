"""SAC: learning real actions off-policy, as randomly as the reward allows.

Haarnoja and others, *Soft actor-critic: off-policy maximum entropy deep reinforcement learning with a stochastic
actor*, ICML 2018; and *Soft actor-critic algorithms and applications*, 2018 (algorithm 1), where the temperature is
tuned too.

| paper | here |
|---|---|
| π_φ(a given s) | `network(percept, memory)`, whose `Output.policy` is `Squashed` |
| Q_θ₁, Q_θ₂ | `network.judge(percept, action)` |
| θ̄, τ | `Learned.target`, of which only the critics are used |
| α, temperature | `Temperature`, in `Learned.own` |
| H̄, target entropy | −1 for each number of an action, as in the paper, times `entropy` |
| y = r + γ (min Q_θ̄(s′, a′) − α log π_φ(a′ given s′)) | `SAC.targets`, through cuts but never through true ends |
| E[α log π_φ(a given s) − min Q_θ(s, a)] | `SAC.climb` (equation 7; the lower critic) |
| E[−α (log π_φ(a given s) + H̄)] | `SAC.climb` (equation 18), with log α in the place of α, as is usual |
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.network import AbstractActionCritic
from headstart.core.off_policy import Learned
from headstart.core.policies import Squashed
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Key, Metrics, Number, Percept, Step
from headstart.scratch.actor_critics import UNBOUNDED, AbstractActorCritics, choose, judge

__all__ = ["SAC", "Temperature"]


class Temperature(eqx.Module):
    """What a nat of entropy is worth: `exp(logarithm)`."""

    logarithm: Float[Array, ""]

    def __call__(self) -> Float[Array, ""]:
        return jnp.exp(self.logarithm)


class SAC(AbstractActorCritics):
    """Learns a random policy, two values of it, and the temperature that keeps it as random as is asked.

    **Arguments:** those of `AbstractActorCritics`, and

    - `temperature`: at first.
    - `entropy`: the entropy that is asked for, in nats for each number of an action.
    """

    source: AbstractSource = Chain()
    discount: Number = 0.99
    capacity: int = 100_000
    segment: int = 1
    batch: int = 256
    minibatches: int = 1
    updates: int = 1
    warmup: int = 1_000
    temperature: float = 1.0
    entropy: float = -1.0
    bounds: tuple[float, float] = UNBOUNDED
    delay: int = 1
    period: int = 1
    blend: float = 0.005
    learning_rate: Number | optax.Schedule = 1e-3
    clip: float = 10.0

    def begin(self) -> Temperature:
        return Temperature(jnp.asarray(math.log(self.temperature)))

    def explore(self, policy: Squashed, *, key: Key) -> Float[Array, "size"]:
        return policy.sample(key=key)

    def targets(self, learned: Learned, batch: Step, *, key: Key) -> Float[Array, "L N"]:
        action, log_prob = choose(learned.network, batch.after).sample_and_log_prob(key=key)
        value = jnp.min(judge(learned.target(), batch.after, action), axis=-1) - learned.own() * log_prob
        return batch.reward + self.discount * batch.discount * value

    def climb(
        self, network: AbstractActionCritic, own: Temperature, percept: Percept, policy: Squashed, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        action, log_prob = policy.sample_and_log_prob(key=key)
        value = jnp.mean(jnp.min(judge(network, percept, action), axis=-1))
        randomness = -jnp.mean(log_prob)
        actor = -jax.lax.stop_gradient(own()) * randomness - value
        wanted = self.entropy * action.shape[-1]
        tuning = own.logarithm * jax.lax.stop_gradient(randomness - wanted)
        return actor + tuning, {"sac/climbed": value, "sac/entropy": randomness, "sac/temperature": own()}
