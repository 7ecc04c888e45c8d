"""TD3: DDPG that does not believe in its own errors.

Fujimoto, van Hoof and Meger, *Addressing function approximation error in actor-critic methods*, ICML 2018
(algorithm 1): two critics of which the lower is believed, a target action that is blurred, and an actor that waits.

| paper | here |
|---|---|
| π_φ(s) | the mode of `network(percept, memory)`'s `Output.policy` |
| Q_θ₁, Q_θ₂ | `network.judge(percept, action)` |
| θ′₁, θ′₂, φ′, τ | `Learned.target`, which moves the fraction `blend` every `period` gradient steps |
| d, delay of policy and targets | `delay`, and `period` |
| ã = π_φ′(s′) + clip(N(0, σ̃), −c, c) | `blur` is σ̃ and `reach` is c |
| y = r + γ min Q_θ′(s′, ã) | `TD3.targets`, through cuts but never through true ends |
| ∇ Q_θ₁(s, π_φ(s)) | `AbstractDeterministic.climb` |
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.off_policy import Learned
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Key, Number, Step
from headstart.scratch.actor_critics import UNBOUNDED, AbstractDeterministic, choose, judge

__all__ = ["TD3"]


class TD3(AbstractDeterministic):
    """Learns a deterministic policy and two values of it.

    **Arguments:** those of `AbstractDeterministic`, and

    - `blur`, `reach`: standard deviation of the noise on target actions, and the most there is of it.
    """

    source: AbstractSource = Chain()
    discount: Number = 0.99
    capacity: int = 100_000
    segment: int = 1
    batch: int = 256
    minibatches: int = 1
    updates: int = 1
    warmup: int = 1_000
    noise: float = 0.1
    random: float = 0.0
    blur: float = 0.2
    reach: float = 0.5
    effort: float = 0.0
    bounds: tuple[float, float] = UNBOUNDED
    delay: int = 2
    period: int = 2
    blend: float = 0.005
    learning_rate: Number | optax.Schedule = 1e-3
    clip: float = 10.0

    def targets(self, learned: Learned, batch: Step, *, key: Key) -> Float[Array, "L N"]:
        target = learned.target()
        following = choose(target, batch.after).mode()
        noise = jnp.clip(self.blur * jax.random.normal(key, following.shape), -self.reach, self.reach)
        values = judge(target, batch.after, jnp.clip(following + noise, -1.0, 1.0))
        return batch.reward + self.discount * batch.discount * jnp.min(values, axis=-1)
