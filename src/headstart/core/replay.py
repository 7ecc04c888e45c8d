"""Replay: a ring of segments.

It holds segments of L consecutive steps rather than single transitions: hindsight needs the future of a moment,
recurrent networks its past. A replay is a pytree of arrays, so a checkpoint of it is exact.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from headstart.core.chance import integers
from headstart.core.types import Key, Rollout, Step
from headstart.errors import UsageError

__all__ = ["Replay", "bytes_needed"]


class Replay(eqx.Module):
    """The most recent segments, of which `sample` draws uniformly with replacement.

    `segments` has leaves `[C, L, ...]` for a capacity of C segments of L steps; the first `size` are written, and the
    next one goes to `cursor`.
    """

    segments: Step
    size: Int[Array, ""]
    cursor: Int[Array, ""]

    @staticmethod
    def create(example: Step, capacity_segments: int, length: int) -> Replay:
        """An empty replay for steps like `example`, which is unbatched: shapes and types, not values.

        **Raises:** `UsageError` unless both numbers are at least 1.
        """
        if capacity_segments < 1 or length < 1:
            raise UsageError(
                f"a replay of {capacity_segments} segments of {length} steps holds nothing; both must be at least 1"
            )
        room = lambda leaf: jnp.zeros((capacity_segments, length, *jnp.shape(leaf)), jnp.result_type(leaf))
        # Two arrays, not one twice: `train` donates its state, and a buffer can be given away only once.
        return Replay(jax.tree.map(room, example), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))

    @property
    def capacity(self) -> int:
        """C, in segments."""
        return self.segments.reward.shape[0]

    @property
    def length(self) -> int:
        """L, in steps."""
        return self.segments.reward.shape[1]

    def add(self, rollout: Rollout) -> Replay:
        """With a rollout `[T, B]` cut into segments: earlier ones first, and lanes in order within each time.

        **Raises:** `UsageError` unless T is a multiple of L and the rollout's segments fit into the ring.
        """
        steps, lanes = rollout.reward.shape
        count = steps // self.length * lanes
        if steps % self.length:
            raise UsageError(
                f"a rollout of {steps} steps cannot be cut into segments of {self.length}; choose a multiple"
            )
        if count > self.capacity:
            raise UsageError(
                f"a rollout of {count} segments does not fit into a replay of {self.capacity}; raise its capacity"
            )
        places = (self.cursor + jnp.arange(count)) % self.capacity

        def write(ring: Array, leaf: Array) -> Array:
            cut = leaf.reshape(steps // self.length, self.length, lanes, *leaf.shape[2:])
            return ring.at[places].set(jnp.moveaxis(cut, 2, 1).reshape(count, self.length, *leaf.shape[2:]))

        return Replay(
            segments=jax.tree.map(write, self.segments, rollout),
            size=jnp.minimum(self.size + count, self.capacity),
            cursor=(self.cursor + count) % self.capacity,
        )

    def sample(self, count: int, *, key: Key) -> Step:
        """A batch `[L, count]` of written segments. Add a rollout first: an empty replay has none to give."""
        places = integers((count,), 0, self.size, key=key)
        return jax.tree.map(lambda ring: jnp.moveaxis(ring[places], 1, 0), self.segments)


def bytes_needed(example: Step, capacity_segments: int, length: int) -> int:
    """How many bytes the segments of `Replay.create` with these arguments take, found without allocating any."""
    leaves = jax.tree.leaves(example)
    step = sum(math.prod(jnp.shape(leaf)) * jnp.result_type(leaf).itemsize for leaf in leaves)
    return step * capacity_segments * length
