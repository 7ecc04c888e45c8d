"""Returns: what a trajectory was worth. Unbatched in lanes (`[T]`); `vmap` adds them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.types import Number

__all__ = ["generalised_advantages"]


def generalised_advantages(
    reward: Float[Array, "T"],
    discount: Float[Array, "T"],
    last: Bool[Array, "T"],
    value: Float[Array, "T"],
    value_after: Float[Array, "T"],
    trace: Number,
) -> Float[Array, "T"]:
    """Generalised advantage estimation (Schulman 2016, equation 16) over one lane that may hold several episodes.

        δₜ = rₜ + γₜ V(s′ₜ) − V(sₜ)
        Âₜ = δₜ + γₜ λ (1 − lastₜ) Âₜ₊₁

    **Arguments:**

    - `discount`: γ times 0 where the task truly ended: no bootstrap through termination.
    - `last`: ended *or* cut short: the sum of δ stops here, but a cut is still bootstrapped through `value_after`.
    - `value`, `value_after`: V of each step's percept and of its true successor.
    - `trace`: λ.
    """
    delta = reward + discount * value_after - value

    def backwards(advantage, moment):
        delta, carry_on = moment
        advantage = delta + carry_on * advantage
        return advantage, advantage

    carry_on = discount * trace * (1.0 - last)
    _, advantages = jax.lax.scan(backwards, jnp.zeros_like(delta[0]), (delta, carry_on), reverse=True, unroll=16)
    return advantages
