"""A policy and a value for who sees tiles, and remembers.

As in the recurrent PPO of XLand-MiniGrid (Nikulin and others, 2024, appendix), whose parts are as wide: a gated
recurrent unit hears what is seen, which way it faces, and what its last action was and earned, and two heads with a
hidden layer say what to do and what it is worth. It also hears, as in RL², where an episode begins.

What is seen is taken in by products of matrices alone. There, embeddings are looked up and three convolutions follow,
of 2 by 2 tiles each. Both are slow on a CPU, most of all backwards, where what was looked up has to be added up one
after the other. Here a tile is a one where its shape and its colour are, which one product makes `features` of, the
same for all tiles; a second one hears those of all tiles, each in its place.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.cells import GRU
from headstart.core.network import AbstractCell, AbstractRecurrent
from headstart.core.networks import CategoricalHead, Linear, orthogonal
from headstart.core.types import Key, Output, Percept
from headstart.core.world import Discrete
from headstart.core.wrappers import Trials
from headstart.errors import UsageError
from headstart.worlds.xland.tiles import COLOURS, SHAPES
from headstart.worlds.xland.world import SIDES, XLand

__all__ = ["TileActorCritic"]

SIZES = (len(SHAPES), len(COLOURS))


class TileActorCritic(AbstractRecurrent):
    """A policy and a value from a recurrent cell, in trials of `XLand`.

    **Arguments:**

    - `world`: trials, whose `Sight` is a `View` and where an episode begins.
    - `width`: of the cell, the layer before it, and the hidden layers of the heads.
    - `features`: of a tile.
    - `cell`: makes what remembers, as for `headstart.core.networks.RecurrentActorCritic`.

    **Raises:** `UsageError` for trials of another world.
    """

    tile: Linear
    embed: Linear
    cell: AbstractCell
    actor: tuple[Linear, Linear]
    critic: tuple[Linear, Linear]
    head: CategoricalHead

    def __init__(
        self,
        world: Trials,
        key: Key,
        *,
        width: int = 64,
        features: int = 32,
        cell: Callable[..., AbstractCell] = GRU,
    ):
        if not isinstance(world.world, XLand):
            raise UsageError(
                f"TileActorCritic sees tiles, and trials of {type(world.world).__name__} show none; give it Trials of "
                "an XLand, or take RecurrentActorCritic"
            )
        tile_key, embed_key, cell_key, *head_keys = jax.random.split(key, 7)
        assert isinstance(world.actions, Discrete)
        actions = world.actions.count
        self.tile = Linear.drawn(sum(SIZES), features, key=tile_key)
        heard = world.world.view**2 * features + SIDES + actions + 3
        self.embed = Linear.drawn(heard, width, key=embed_key)
        self.cell = cell(width, width, key=cell_key)
        self.actor = (orthogonal(width, width, 2**0.5, head_keys[0]), orthogonal(width, actions, 0.01, head_keys[1]))
        self.critic = (orthogonal(width, width, 2**0.5, head_keys[2]), orthogonal(width, 1, 1.0, head_keys[3]))
        self.head = CategoricalHead(actions)

    def hear(self, percept: Percept) -> Float[Array, "width"]:
        view, begins = percept.observation.observation, percept.observation.begins
        shapes, colours = (jax.nn.one_hot(view.tiles[..., part], size) for part, size in enumerate(SIZES))
        tiles = jax.nn.relu(self.tile(jnp.concatenate([shapes, colours], axis=-1)))
        did = jnp.where(percept.first, 0.0, jax.nn.one_hot(percept.action, self.head.size))
        assert percept.reward is not None
        assert percept.discount is not None
        told = jnp.stack([begins, percept.reward, percept.discount])
        heard = [tiles.ravel(), jax.nn.one_hot(view.direction, SIDES), did, told]
        return jax.nn.relu(self.embed(jnp.concatenate(heard)))

    def judge(self, said: Float[Array, "width"], percept: Percept) -> Output:
        through = lambda layers: layers[1](jnp.tanh(layers[0](said)))
        return Output(self.head(through(self.actor), percept), through(self.critic)[0], said)
