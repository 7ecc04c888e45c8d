"""Distributions over actions: the `policy` of an `Output`.

Two leaves of one interface, so that no learner asks whether actions are discrete. Sampling is `jax.random`'s own.
"""

from __future__ import annotations

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from headstart.core.types import Key

__all__ = ["AbstractPolicy", "Categorical", "Gaussian"]


class AbstractPolicy(eqx.Module):
    """A distribution over actions; leading axes broadcast."""

    @abc.abstractmethod
    def sample(self, *, key: Key) -> PyTree[Array]: ...

    @abc.abstractmethod
    def mode(self) -> PyTree[Array]: ...

    @abc.abstractmethod
    def log_prob(self, action: PyTree[Array]) -> Float[Array, "*batch"]: ...

    @abc.abstractmethod
    def entropy(self) -> Float[Array, "*batch"]: ...


class Categorical(AbstractPolicy):
    """Discrete actions, from unnormalised `logits` `[*batch, actions]`; illegal actions get probability exactly 0."""

    log_probs: Float[Array, "*batch actions"]

    def __init__(self, logits: Float[Array, "*batch actions"], legal: Bool[Array, "*batch actions"] | None = None):
        if legal is not None:
            # A finite floor, not −∞: 0 · (−∞) would be NaN in the entropy and in every gradient behind it.
            logits = jnp.where(legal, logits, -1e9)
        self.log_probs = jax.nn.log_softmax(logits)

    def sample(self, *, key: Key) -> Array:
        return jax.random.categorical(key, self.log_probs)

    def mode(self) -> Array:
        return jnp.argmax(self.log_probs, axis=-1)

    def log_prob(self, action: Array) -> Float[Array, "*batch"]:
        return jnp.take_along_axis(self.log_probs, action[..., None], axis=-1)[..., 0]

    def entropy(self) -> Float[Array, "*batch"]:
        return -jnp.sum(jnp.exp(self.log_probs) * self.log_probs, axis=-1)


class Gaussian(AbstractPolicy):
    """Real actions, independent normals: `mean` and `log_std` are `[*batch, size]`."""

    mean: Float[Array, "*batch size"]
    log_std: Float[Array, "*batch size"]

    def sample(self, *, key: Key) -> Array:
        return self.mean + jnp.exp(self.log_std) * jax.random.normal(key, self.mean.shape)

    def mode(self) -> Array:
        return self.mean

    def log_prob(self, action: Array) -> Float[Array, "*batch"]:
        return jnp.sum(jax.scipy.stats.norm.logpdf(action, self.mean, jnp.exp(self.log_std)), axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        return jnp.sum(self.log_std + 0.5 * jnp.log(2 * jnp.pi * jnp.e), axis=-1)
