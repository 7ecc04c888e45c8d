"""Text-VIN: things are what they are called and what is said of them, and values are planned over a map of both.

Narasimhan, Barzilay and Jaakkola, *Grounding language for transfer in deep reinforcement learning*, JAIR 2018
(section 4), after Tamar and others, *Value iteration networks*, NeurIPS 2016. What is learned about a thing from its
description holds for every thing of which the like is said; what is learned about its number holds for it alone. So
whoever meets things of new numbers keeps what the words taught.

| paper | here |
|---|---|
| φ(s): in each cell, the sum over its things of [v_e; z_e] | `embed`, of `numbers` and what `encoder` says |
| R̂, a convolution of φ(s) | `rewards` |
| Q̄ = conv([R̂; V̂]), V̂ = σ(maxₐ Q̄), k times | `backup`, `steps` |
| Q_vin, at the agent's cell | `planned` |
| Q_r, two convolutions and a layer | `reactive` |
| Q = Q_vin + Q_r | `Output.policy` |

Without `steps` there is no plan, and what is left is the paper's text-DQN. Where nothing is said (see
`headstart.worlds.friends_and_enemies.FriendsAndEnemies`), what is left of a thing is its number.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.networks import Linear
from headstart.core.types import Key, Output, Percept
from headstart.instructions.encoders import AbstractEncoder, Recurrent
from headstart.instructions.spatial import neighbourhoods
from headstart.worlds.friends_and_enemies import MOVES, SIZE, FriendsAndEnemies, Seen, vocabulary

__all__ = ["TextVIN"]

NUMBERS = 12
ACTIONS = len(MOVES)
CHANNELS = (16, 32)  # of the convolutions of what is reactive


class TextVIN(AbstractNetwork):
    """The value of each move among friends and enemies, as `Output.policy` `[5]`; remembers nothing.

    **Arguments:**

    - `world`: of which it is asked how many things there are.
    - `steps`: k, of value iteration; without any, nothing is planned.
    - `size`: numbers of what a thing is called, and as many of what is said of it.
    - `encoder`: made as `encoder(vocabulary, size, key=key)`.
    - `width`: of the layer over the whole map.
    """

    numbers: Float[Array, "numbers size"]
    encoder: AbstractEncoder
    rewards: Linear
    backup: Linear
    convolutions: tuple[Linear, Linear]
    over_map: Linear
    out: Linear
    things: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    def __init__(
        self,
        world: FriendsAndEnemies,
        key: Key,
        *,
        steps: int = 3,
        size: int = 10,
        encoder: Callable[..., AbstractEncoder] = Recurrent,
        width: int = 128,
    ):
        keys = jax.random.split(key, 8)
        seen = 2 * size + 1  # of a cell: what is in it, and whether one is there oneself
        # A number that was never met says nothing, as one that is hidden.
        self.numbers = jnp.zeros((NUMBERS, size))
        self.encoder = encoder(vocabulary().size, size, key=keys[1])
        self.rewards = Linear.drawn(9 * seen, 1, key=keys[2])
        self.backup = Linear.drawn(9 * 2, ACTIONS, key=keys[3])
        first, second = CHANNELS
        self.convolutions = (
            Linear.drawn(9 * seen, first, key=keys[4]),
            Linear.drawn(9 * first, second, key=keys[5]),
        )
        self.over_map = Linear.drawn(second * SIZE * SIZE, width, key=keys[6])
        self.out = Linear.drawn(width, ACTIONS, key=keys[7])
        self.things, self.steps = world.things, steps

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        seen = percept.observation
        around = neighbourhoods(self.embed(percept))
        values = self.reactive(around)
        return Output(values + self.planned(around, seen) if self.steps else values), None

    def embed(self, percept: Percept) -> Float[Array, "rows columns channels"]:
        """φ(s): a map of what things are, and of where one is oneself. Whoever was touched is nowhere."""
        seen: Seen = percept.observation
        assert percept.instruction is not None
        said = jax.vmap(self.encoder)(percept.instruction.reshape(self.things, -1))
        called = jax.nn.one_hot(seen.numbers, NUMBERS) @ self.numbers
        what = jnp.concatenate([called, said], axis=-1)
        where = jax.vmap(_at)(seen.cells) * seen.there[:, None, None]
        return jnp.concatenate([jnp.einsum("trc,ts->rcs", where, what), _at(seen.place)[..., None]], axis=-1)

    def planned(self, around: Float[Array, "rows columns nine_channels"], seen: Seen) -> Float[Array, "actions"]:
        """Q_vin: of the cell that one is in, after as many steps of value iteration."""
        rewards = self.rewards(around)
        values, moves = jnp.zeros_like(rewards), jnp.zeros((SIZE, SIZE, ACTIONS))
        for _ in range(self.steps):
            moves = self.backup(neighbourhoods(jnp.concatenate([rewards, values], axis=-1)))
            values = jax.nn.sigmoid(jnp.max(moves, axis=-1, keepdims=True))
        return jnp.einsum("rc,rca->a", _at(seen.place), moves)

    def reactive(self, around: Float[Array, "rows columns nine_channels"]) -> Float[Array, "actions"]:
        """Q_r: of the whole map at once."""
        first, second = self.convolutions
        hidden = jax.nn.relu(second(neighbourhoods(jax.nn.relu(first(around)))))
        return self.out(jax.nn.relu(self.over_map(hidden.ravel())))


def _at(cell: Array) -> Float[Array, "rows columns"]:
    """A map with 1 in one cell, and 0 in all others."""
    row, column = jax.nn.one_hot(cell, SIZE)
    return row[:, None] * column
