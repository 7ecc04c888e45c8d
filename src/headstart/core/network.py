"""Networks: policy and universal value in one call, with memory threaded through.

A network is unbatched in lanes and in time. `unroll` runs one over the time axis of a segment, blanking its memory
where a percept says `first`; `jax.vmap` adds lanes. A network that remembers nothing has memory `None`, at no cost.
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from headstart.core.types import Output, Percept, Rollout, Step

__all__ = ["AbstractActionCritic", "AbstractNetwork", "Memory", "blank", "relive", "segments", "unroll"]

Memory = Any  # a pytree of a network's own; None for one that remembers nothing


class AbstractNetwork(eqx.Module):
    """Maps a percept and a memory to an `Output` and the next memory."""

    @abc.abstractmethod
    def initial(self) -> Memory:
        """The memory of an agent that has met nothing yet."""

    @abc.abstractmethod
    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        """Unbatched. The caller blanks memory where `percept.first` (see `blank`); the network need not."""


class AbstractActionCritic(AbstractNetwork):
    """A policy over real actions, and one or more critics that value any action. Its two parts are learned apart."""

    actor: eqx.AbstractVar[PyTree]
    critics: eqx.AbstractVar[PyTree]

    @abc.abstractmethod
    def judge(self, percept: Percept, action: Float[Array, "size"]) -> Float[Array, "critics"]:
        """Q(s, g, a) by each critic. Unbatched."""


def blank(network: AbstractNetwork, memory: Memory, first: Bool[Array, ""]) -> Memory:
    """The memory as it should be on entering a moment: the initial one where `first`, untouched elsewhere."""
    return jax.tree.map(lambda new, old: jnp.where(first, new, old), network.initial(), memory)


def unroll(network: AbstractNetwork, percepts: Percept, memory: Memory) -> tuple[Output, Memory]:
    """The outputs over a segment `[L, ...]` of one lane, from the memory on entering it; returns the last memory too.

    Feed-forward networks are mapped, not scanned: one large product instead of L small ones.
    """
    if memory is None:
        outputs, _ = jax.vmap(network, in_axes=(0, None))(percepts, None)
        return outputs, None

    def moment(memory: Memory, percept: Percept) -> tuple[Memory, Output]:
        output, memory = network(percept, blank(network, memory, percept.first))
        return memory, output

    memory, outputs = jax.lax.scan(moment, memory, percepts)
    return outputs, memory


def segments(rollout: Rollout) -> Step:
    """`[T, B]` as segments `[L, N]`: lanes for a network that remembers, single steps for one that does not."""
    if rollout.notes["memory"] is not None:
        return rollout
    return jax.tree.map(lambda leaf: leaf.reshape(1, -1, *leaf.shape[2:]), rollout)


def relive(network: AbstractNetwork, batch: Step) -> Output:
    """The outputs `[L, N]` over a batch of segments, each from the memory that was noted on entering it."""
    memory = jax.tree.map(lambda leaf: leaf[0], batch.notes["memory"])
    return jax.vmap(unroll, in_axes=(None, 1, 0), out_axes=(1, 0))(network, batch.percept, memory)[0]


def parameters(network: PyTree) -> PyTree:
    """The part of a network that learns: its inexact arrays."""
    return eqx.filter(network, eqx.is_inexact_array)
