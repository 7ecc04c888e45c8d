"""Progressive networks: a new column learns beside old ones that it may look at and that never change.

Rusu and others, *Progressive neural networks*, 2016. Nothing is forgotten, by construction: the old columns are
`Frozen`. What they have come to represent is offered to each layer of the new one, which need not make use of it.

| paper | here |
|---|---|
| h_i⁽ᵏ⁾, layer i of column k | what `Column.layers` returns, all columns end to end |
| h_i⁽ᵏ⁾ = f(W_i⁽ᵏ⁾ h_{i−1}⁽ᵏ⁾ + Σ_{j<k} U_i⁽ᵏ:ʲ⁾ h_{i−1}⁽ʲ⁾) (eq. 1) | `Column` |
| U σ(V α h⁽<ᵏ⁾) in the place of U h (eq. 2) | `Adapter`; h⁽<ᵏ⁾ is what all earlier columns say, end to end |
| α, a scalar "initialised by different random small values" | `Adapter.scale`, drawn between 0 and `SMALL` |
| f, σ | the units of the perceptron |

The output layer has an adapter too. The first layer has none: it hears the observation, as that of each column does.
The columns of a policy and those of a value are apart, as in `headstart.core.networks.ActorCritic`, of which each is
one. Their tasks may have different actions, but what they observe must be of one size.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActorCritic, Head, Linear, flat
from headstart.core.types import Frozen, Key, Output, Percept
from headstart.errors import UsageError

__all__ = ["Adapter", "Column", "Progressive"]

SMALL = 0.1


class Adapter(eqx.Module):
    """U σ(V α h): what earlier columns say, made fit for one layer of a new column."""

    scale: Float[Array, ""]
    reduce: Linear
    reach: Linear

    def __init__(self, heard: int, width: int, said: int, *, key: Key):
        scale_key, reduce_key, reach_key = jax.random.split(key, 3)
        self.scale = jax.random.uniform(scale_key, (), maxval=SMALL)
        self.reduce = Linear.drawn(heard, width, key=reduce_key)
        self.reach = Linear.drawn(width, said, key=reach_key)

    def __call__(self, heard: Float[Array, "heard"], units) -> Float[Array, "said"]:
        return self.reach(units(self.reduce(self.scale * heard)))


class Column(eqx.Module):
    """A perceptron, the columns before it, and an adapter for each of its layers but the first."""

    perceptron: eqx.nn.MLP
    before: Frozen[Column] | None
    adapters: tuple[Adapter, ...]

    @classmethod
    def first(cls, perceptron: eqx.nn.MLP) -> Column:
        """A column that no other is before."""
        return cls(perceptron, None, ())

    @classmethod
    def after(cls, before: Column, perceptron: eqx.nn.MLP, *, key: Key) -> Column:
        """A new column after an old one, and after all those that this one came after."""
        sizes = [layer.weight.shape[0] for layer in perceptron.layers[1:]]
        keys = jax.random.split(key, len(sizes))
        width = perceptron.width_size
        adapters = tuple(Adapter(before.width, width, size, key=each) for size, each in zip(sizes, keys, strict=True))
        return cls(perceptron, Frozen(before), adapters)

    @property
    def width(self) -> int:
        """How many numbers one hidden layer of all columns has."""
        return self.perceptron.width_size + (0 if self.before is None else self.before.frozen.width)

    def layers(self, seen: Float[Array, "seen"]) -> tuple[list[Float[Array, "width"]], Float[Array, "out"]]:
        """The hidden layers of all columns, and the output of the last one."""
        units = self.perceptron.activation
        others: list[Array] = [] if self.before is None else self.before().layers(seen)[0]
        hidden: list[Array] = []
        own = seen
        for at, layer in enumerate(self.perceptron.layers):
            said = layer(own)
            if self.before is not None and at > 0:
                said = said + self.adapters[at - 1](others[at - 1], units)
            if at == len(self.perceptron.layers) - 1:
                return hidden, said
            own = units(said)
            hidden.append(jnp.concatenate([others[at], own]) if others else own)
        raise AssertionError("a perceptron has a last layer")

    def __call__(self, seen: Float[Array, "seen"]) -> Float[Array, "out"]:
        return self.layers(seen)[1]


class Progressive(AbstractNetwork):
    """A policy and a value from columns; remembers nothing. Made by `after`."""

    actor: Column
    critic: Column
    head: Head

    @classmethod
    def after(cls, trained: ActorCritic | Progressive, fresh: ActorCritic, *, key: Key) -> Progressive:
        """The new columns of `fresh` after those of `trained`, which never change again.

        **Raises:** `UsageError` for networks that see different numbers of things, or of different depths.
        """
        old, new = first(trained), first(fresh)
        for name in ("actor", "critic"):
            before, perceptron = getattr(old, name), getattr(fresh, name)
            seen, depth = before.perceptron.in_size, before.perceptron.depth
            if (seen, depth) != (perceptron.in_size, perceptron.depth):
                raise UsageError(
                    f"a new column sees {perceptron.in_size} numbers and has depth {perceptron.depth}, and the columns "
                    f"before it {seen} and {depth}; make both alike"
                )
        actor_key, critic_key = jax.random.split(key)
        return cls(
            Column.after(old.actor, new.actor.perceptron, key=actor_key),
            Column.after(old.critic, new.critic.perceptron, key=critic_key),
            fresh.head,
        )

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        seen = flat((percept.observation, percept.goal))
        return Output(self.head(self.actor(seen), percept), self.critic(seen)[0]), None


def first(network: ActorCritic | Progressive) -> Progressive:
    """Any such network as columns: one that is no progressive network yet is the first of them."""
    if isinstance(network, Progressive):
        return network
    return Progressive(Column.first(network.actor), Column.first(network.critic), network.head)
