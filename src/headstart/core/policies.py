"""Distributions over actions: the `policy` of an `Output`.

Two leaves of one interface, so that no learner asks whether actions are discrete. Sampling is `jax.random`'s own.
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from headstart.core.types import Key

__all__ = ["AbstractPolicy", "Categorical", "Gaussian", "Squashed"]


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

    @abc.abstractmethod
    def divergence(self, other: Any) -> Float[Array, "*batch"]:
        """KL(self ‖ other), of Kullback and Leibler, in nats: how far another one of this kind is from this one."""


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

    def divergence(self, other: Categorical) -> Float[Array, "*batch"]:
        return jnp.sum(jnp.exp(self.log_probs) * (self.log_probs - other.log_probs), axis=-1)


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

    def divergence(self, other: Gaussian) -> Float[Array, "*batch"]:
        return _between_normals(self, other)


class Squashed(AbstractPolicy):
    """Real actions in (−1, 1): the hyperbolic tangent of independent normals, of which these are `mean` and `log_std`.

    Haarnoja and others, *Soft actor-critic*, ICML 2018, appendix C. The mode is the tangent of the mean, as usual,
    which is the most likely action only where the normal is narrow.
    """

    mean: Float[Array, "*batch size"]
    log_std: Float[Array, "*batch size"]

    def sample(self, *, key: Key) -> Array:
        return self.sample_and_log_prob(key=key)[0]

    def sample_and_log_prob(self, *, key: Key) -> tuple[Float[Array, "*batch size"], Float[Array, "*batch"]]:
        """An action and its logarithmic density, which is lost in rounding once the action is all that is known."""
        noise = jax.random.normal(key, self.mean.shape)
        raw = self.mean + jnp.exp(self.log_std) * noise
        density = jax.scipy.stats.norm.logpdf(noise) - self.log_std - _log_slope(raw)
        return jnp.tanh(raw), jnp.sum(density, axis=-1)

    def mode(self) -> Array:
        return jnp.tanh(self.mean)

    def log_prob(self, action: Array) -> Float[Array, "*batch"]:
        """Of actions inside (−1, 1); those at the bounds or beyond count as the nearest that are told from them."""
        raw = jnp.arctanh(jnp.clip(action, -1 + 1e-6, 1 - 1e-6))
        density = jax.scipy.stats.norm.logpdf(raw, self.mean, jnp.exp(self.log_std)) - _log_slope(raw)
        return jnp.sum(density, axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        """The normal's entropy and the mean logarithm of the tangent's slope, by Gauss-Hermite quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(32)
        raw = self.mean[..., None] + jnp.exp(self.log_std)[..., None] * jnp.asarray(nodes, jnp.float32)
        slope = _log_slope(raw) @ jnp.asarray(weights / weights.sum(), jnp.float32)
        return jnp.sum(self.log_std + 0.5 * jnp.log(2 * jnp.pi * jnp.e) + slope, axis=-1)

    def divergence(self, other: Squashed) -> Float[Array, "*batch"]:
        return _between_normals(self, other)  # what bends both alike moves neither away from the other


def _between_normals(one: Gaussian | Squashed, other: Gaussian | Squashed) -> Float[Array, "*batch"]:
    wider = other.log_std - one.log_std
    apart = (one.mean - other.mean) * jnp.exp(-other.log_std)
    return jnp.sum(wider + 0.5 * (jnp.exp(-2.0 * wider) + apart**2 - 1.0), axis=-1)


def _log_slope(raw: Array) -> Array:
    """log(1 − tanh²(x)), in a form that does not round to log 0."""
    return 2.0 * (jnp.log(2.0) - raw - jax.nn.softplus(-2.0 * raw))
