"""One gradient step for several parts, each with its own optimiser.

A learner and the source it learns with share a loss but not an optimiser: under one shared gradient-norm clip, even a
source of weight zero would change the agent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from headstart.core.types import Frozen, Metrics, Number

__all__ = ["Descent", "clipped_adam", "clipped_rmsprop", "descend", "learns", "prepare"]

Parts = tuple[Any, ...]


class Descent(eqx.Module):
    """What a gradient step reports: the loss's own metrics, the gradient norm of the first part, and if it was made."""

    metrics: Metrics
    gradient: Float[Array, ""]
    made: Bool[Array, ""]

    def reported(self, owner: str) -> Metrics:
        """The loss's metrics, with the norm and the share of steps not made in the owner's name."""
        return self.metrics | {
            f"{owner}/gradient": self.gradient,
            f"{owner}/skipped": (~self.made).astype(jnp.float32),
        }


def clipped_adam(
    learning_rate: Number | optax.Schedule, clip: float, *, eps: float = 1e-8, weight_decay: float = 0.0
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay, on gradients of a norm of `clip` at most.

    `learning_rate` is a number or an optax schedule over gradient steps.
    """
    return optax.chain(optax.clip_by_global_norm(clip), optax.adamw(learning_rate, eps=eps, weight_decay=weight_decay))


def clipped_rmsprop(
    learning_rate: Number | optax.Schedule, clip: float, *, decay: float = 0.99, eps: float = 1e-5
) -> optax.GradientTransformation:
    """RMSProp without momentum, on gradients of a norm of `clip` at most: Δθ = −η g / √(v + ε), v the mean of g².

    `learning_rate` is a number or an optax schedule over gradient steps; `decay` is how much of v stays at each.
    """
    return optax.chain(optax.clip_by_global_norm(clip), optax.rmsprop(learning_rate, decay=decay, eps=eps))


def learns(part: PyTree) -> tuple[PyTree, PyTree]:
    """What of a part learns, and the rest: what is `Frozen` never reaches an optimiser."""
    frozen = lambda leaf: isinstance(leaf, Frozen)
    spec = jax.tree.map(lambda leaf: not frozen(leaf) and eqx.is_inexact_array(leaf), part, is_leaf=frozen)
    return eqx.partition(part, spec)


def prepare(optimiser: optax.GradientTransformation, parts: Parts) -> tuple[optax.OptState, ...]:
    """The state of the optimiser for each part, before the first step."""
    return tuple(optimiser.init(ravel_pytree(learns(part)[0])[0]) for part in parts)


def descend(
    loss: Callable[[Any], tuple[Float[Array, ""], Metrics]],
    parts: Parts,
    optimiser: optax.GradientTransformation,
    states: tuple[optax.OptState, ...],
) -> tuple[Parts, tuple[optax.OptState, ...], Descent]:
    """One step down `loss(parts) -> (loss, metrics)`; none at all where the loss or a gradient is not finite."""
    arrays, rests = zip(*(learns(part) for part in parts), strict=True)

    vectors, shaped = zip(*(ravel_pytree(array) for array in arrays), strict=True)
    built = lambda vectors: tuple(
        eqx.combine(shape(vector), rest) for vector, shape, rest in zip(vectors, shaped, rests, strict=True)
    )
    (value, metrics), gradients = jax.value_and_grad(lambda vectors: loss(built(vectors)), has_aux=True)(vectors)
    norms = [jnp.linalg.norm(gradient) for gradient in gradients]
    # The loss too: a clipped error can hide an infinite loss behind a finite gradient.
    finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(jnp.stack(norms)))
    keep = lambda new, old: jnp.where(finite, new, old)
    moved, fresh_states = [], []
    for vector, gradient, state in zip(vectors, gradients, states, strict=True):
        updates, fresh = optimiser.update(gradient, state, vector)
        moved.append(keep(optax.apply_updates(vector, updates), vector))
        fresh_states.append(jax.tree.map(keep, fresh, state))
    return built(moved), tuple(fresh_states), Descent(metrics, norms[0], finite)
