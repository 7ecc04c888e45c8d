"""Networks: policy and universal value in one call, with memory threaded through.

A network is unbatched in lanes and in time. Its `unroll` is the same over the time axis of a segment, with the memory
blanked where a percept says `first`; `jax.vmap` adds lanes. A network that remembers nothing has memory `None`, at no
cost. What remembers in one that does is a cell.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from headstart.core.types import Output, Percept, Rollout, Step

__all__ = [
    "AbstractActionCritic",
    "AbstractCell",
    "AbstractNetwork",
    "AbstractRecurrent",
    "Memory",
    "blank",
    "relive",
    "segments",
]

Memory = Any  # a pytree of a network's own; None for one that remembers nothing


class AbstractNetwork(eqx.Module):
    """Maps a percept and a memory to an `Output` and the next memory."""

    @abc.abstractmethod
    def initial(self) -> Memory:
        """The memory of an agent that has met nothing yet."""

    @abc.abstractmethod
    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        """Unbatched. The caller blanks memory where `percept.first` (see `blank`); the network need not."""

    def unroll(self, percepts: Percept, memory: Memory) -> tuple[Output, Memory]:
        """The outputs over a segment `[L, ...]` of one lane, and the memory that leaves it.

        Blanks `memory`, that on entering the segment, where a percept is `first`. One moment after the other, unless a
        network knows better; one that remembers nothing is mapped: one large product instead of L small ones.
        """
        if memory is None:
            outputs, _ = jax.vmap(self, in_axes=(0, None))(percepts, None)
            return outputs, None

        def moment(memory: Memory, percept: Percept) -> tuple[Memory, Output]:
            output, memory = self(percept, blank(self, memory, percept.first))
            return memory, output

        memory, outputs = jax.lax.scan(moment, memory, percepts)
        return outputs, memory


class AbstractCell(eqx.Module):
    """What remembers in a network: maps an input and a state to an output and the next state.

    A cell is made from two sizes and a key, `Cell(inputs, width, key=key)`: it hears `inputs` numbers and says `width`.
    """

    @abc.abstractmethod
    def initial(self) -> Memory:
        """The state before anything was heard."""

    @abc.abstractmethod
    def __call__(self, heard: Float[Array, "inputs"], state: Memory) -> tuple[Float[Array, "width"], Memory]:
        """Unbatched. The caller blanks the state where an episode begins."""

    def unroll(
        self, heard: Float[Array, "L inputs"], first: Bool[Array, "L"], state: Memory
    ) -> tuple[Float[Array, "L width"], Memory]:
        """The outputs over a segment, and the state that leaves it.

        Blanks `state`, that on entering the segment, where `first`. One moment after the other, unless a cell knows
        better.
        """

        def moment(state: Memory, met: tuple[Array, Array]) -> tuple[Memory, Array]:
            heard, first = met
            said, state = self(heard, blank(self, state, first))
            return state, said

        state, said = jax.lax.scan(moment, state, (heard, first))
        return said, state


class AbstractRecurrent(AbstractNetwork):
    """A network of which a cell remembers: what it hears of a moment goes in, and what the cell says is judged."""

    if TYPE_CHECKING:
        # Where it stands among the parts of a network is a part of checkpoints, and is said by the network.
        cell: AbstractCell

    @abc.abstractmethod
    def hear(self, percept: Percept) -> Float[Array, "inputs"]:
        """What the cell is told of a moment. Unbatched."""

    @abc.abstractmethod
    def judge(self, said: Float[Array, "width"], percept: Percept) -> Output:
        """What to make of what the cell says. Unbatched."""

    def initial(self) -> Memory:
        return self.cell.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        said, memory = self.cell(self.hear(percept), memory)
        return self.judge(said, percept), memory

    def unroll(self, percepts: Percept, memory: Memory) -> tuple[Output, Memory]:
        """As `AbstractNetwork.unroll`, but that the cell alone goes from moment to moment, or knows better."""
        said, memory = self.cell.unroll(jax.vmap(self.hear)(percepts), percepts.first, memory)
        return jax.vmap(self.judge)(said, percepts), memory


class AbstractActionCritic(AbstractNetwork):
    """A policy over real actions, and one or more critics that value any action. Its two parts are learned apart."""

    actor: eqx.AbstractVar[PyTree]
    critics: eqx.AbstractVar[PyTree]

    @abc.abstractmethod
    def judge(self, percept: Percept, action: Float[Array, "size"]) -> Float[Array, "critics"]:
        """Q(s, g, a) by each critic. Unbatched."""


def blank(part: AbstractNetwork | AbstractCell, memory: Memory, first: Bool[Array, ""]) -> Memory:
    """The memory as it should be on entering a moment: the initial one where `first`, untouched elsewhere."""
    return jax.tree.map(lambda new, old: jnp.where(first, new, old), part.initial(), memory)


def segments(rollout: Rollout) -> Step:
    """`[T, B]` as segments `[L, N]`: lanes for a network that remembers, single steps for one that does not."""
    if rollout.notes["memory"] is not None:
        return rollout
    return jax.tree.map(lambda leaf: leaf.reshape(1, -1, *leaf.shape[2:]), rollout)


def relive(network: AbstractNetwork, batch: Step) -> Output:
    """The outputs `[L, N]` over a batch of segments, each from the memory that was noted on entering it."""
    memory = jax.tree.map(lambda leaf: leaf[0], batch.notes["memory"])
    return jax.vmap(network.unroll, in_axes=(1, 0), out_axes=(1, 0))(batch.percept, memory)[0]


def parameters(network: PyTree) -> PyTree:
    """The part of a network that learns: its inexact arrays."""
    return eqx.filter(network, eqx.is_inexact_array)
