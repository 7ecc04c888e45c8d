"""Sources: knowledge that a learner need not discover.

A source has four arrows, and each is the identity unless overridden:

| arrow     | when                                | for what                                      | example            |
|-----------|-------------------------------------|-----------------------------------------------|--------------------|
| `stage`   | once, before training               | it changes which tasks are met in training    | a curriculum       |
| `observe` | after each rollout                  | it has an optimiser or statistics of its own  | AIRL, curiosity    |
| `rewrite` | on each batch, before the loss      | it learns nothing: rewards, goals, targets    | hindsight          |
| `loss`    | inside the agent's gradient         | it shares the agent's gradient                | cloning, kickstart |

`Chain(sources)` is itself a source, so a learner calls each arrow once; `Chain(())` is the identity.
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.types import Key, Metrics, Output, Rollout, Step
from headstart.core.world import AbstractWorld
from headstart.errors import UsageError

__all__ = ["AbstractSource", "Chain", "RewardUnit"]


class AbstractSource(eqx.Module):
    """Knowledge as a plug-in. Override the arrows it needs and leave the others alone.

    `needs` names the notes it reads (`"log_prob"`), `changes` the parts of a step that `rewrite` alters (`"goal"`,
    `"reward"`): a learner refuses at construction what it cannot combine.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    changes: ClassVar[frozenset[str]] = frozenset()

    def stage(self, world: AbstractWorld) -> AbstractWorld:
        """The world to train in."""
        return world

    def observe(self, rollout: Rollout, network: AbstractNetwork, *, key: Key) -> AbstractSource:
        """This source, wiser for a rollout `[T, B]` that is in order and fresh."""
        return self

    def rewrite(self, batch: Step, network: AbstractNetwork, *, key: Key) -> Step:
        """The batch `[L, N]` as this source would have it. Never moves `first` or `last`."""
        return batch

    def loss(
        self, network: AbstractNetwork, batch: Step, outputs: Output, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        """An auxiliary loss on the network's `outputs` for the batch, and what to report, named with its owner."""
        return jnp.zeros(()), {}


class Chain(AbstractSource):
    """Several sources as one, applied in order.

    **Arguments:**

    - `sources`: the sources. `Chain(())` changes nothing.
    """

    sources: tuple[AbstractSource, ...] = ()

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset().union(*(source.needs for source in self.sources))

    @property
    def changes(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset().union(*(source.changes for source in self.sources))

    def stage(self, world: AbstractWorld) -> AbstractWorld:
        for source in self.sources:
            world = source.stage(world)
        return world

    def observe(self, rollout: Rollout, network: AbstractNetwork, *, key: Key) -> Chain:
        keys = jax.random.split(key, max(len(self.sources), 1))
        return Chain(
            tuple(source.observe(rollout, network, key=k) for source, k in zip(self.sources, keys, strict=False))
        )

    def rewrite(self, batch: Step, network: AbstractNetwork, *, key: Key) -> Step:
        keys = jax.random.split(key, max(len(self.sources), 1))
        for source, source_key in zip(self.sources, keys, strict=False):
            batch = source.rewrite(batch, network, key=source_key)
        return batch

    def loss(
        self, network: AbstractNetwork, batch: Step, outputs: Output, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        keys = jax.random.split(key, max(len(self.sources), 1))
        total = jnp.zeros(())
        metrics: Metrics = {}
        for source, source_key in zip(self.sources, keys, strict=False):
            term, reported = source.loss(network, batch, outputs, key=source_key)
            total, metrics = total + term, metrics | reported
        return total, metrics


class RewardUnit(AbstractSource):
    """Rewards in another unit, for the learner alone: what an agent hears and what is reported stay as they are.

    A value that begins at 0 takes long to be of the size of returns that are large, and its errors outweigh all else
    until it is. With a unit of about that size, it has not far to go.

    **Arguments:**

    - `unit`: how much of a reward is 1, more than 0.

    **Raises:** `UsageError` for a unit that is not.
    """

    changes: ClassVar[frozenset[str]] = frozenset({"reward"})

    unit: float

    def __check_init__(self):
        if not self.unit > 0:
            raise UsageError(f"rewards cannot be measured in units of {self.unit}; give one that is more than 0")

    def rewrite(self, batch: Step, network: AbstractNetwork, *, key: Key) -> Step:
        return eqx.tree_at(lambda batch: batch.reward, batch, batch.reward / self.unit)
