"""A universal value function for board games: what to do and who will win, given the board and what the game is about.

The goal of a game is an input, V(s, g), and g is a belief about its rules: one number in [0, 1] for each of `FACTS`. It
scales and shifts every layer (FiLM: Perez and others, *FiLM: visual reasoning with a general conditioning layer*, AAAI
2018), for the rules change what everything else means. Each cell first takes in what is seen of it `glance`; residual
blocks then weigh it against the whole board. Weights are shared by all cells: the network is for boards of any size.
"""

from __future__ import annotations

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.types import Key, Output, Percept
from headstart.worlds.boardgames.glance import FEATURES, glance

__all__ = ["Player"]

Layer = TypeVar("Layer")


class Film(eqx.Module):
    """A scale and a shift of each of `width` features, from what is believed."""

    project: eqx.nn.Linear

    def __init__(self, context: int, width: int, *, key: Key):
        self.project = eqx.nn.Linear(context, 2 * width, key=key)

    def __call__(
        self, cells: Float[Array, "cells width"], context: Float[Array, "context"]
    ) -> Float[Array, "cells width"]:
        scale, shift = jnp.split(self.project(context), 2)
        return jax.nn.relu(cells * (1.0 + scale) + shift)


class Block(eqx.Module):
    """A residual block: each cell in the light of the whole board and of what is believed."""

    here: eqx.nn.Linear
    whole: eqx.nn.Linear
    film: Film
    out: eqx.nn.Linear

    def __init__(self, width: int, context: int, *, key: Key):
        here_key, whole_key, film_key, out_key = jax.random.split(key, 4)
        self.here = eqx.nn.Linear(width, width, use_bias=False, key=here_key)
        self.whole = eqx.nn.Linear(2 * width, width, use_bias=False, key=whole_key)
        self.film = Film(context, width, key=film_key)
        self.out = eqx.nn.Linear(width, width, use_bias=False, key=out_key)

    def __call__(
        self,
        cells: Float[Array, "cells width"],
        board: Float[Array, "cells 1"],
        context: Float[Array, "context"],
    ) -> Float[Array, "cells width"]:
        normal = normalise(cells)
        hidden = normal @ self.here.weight.T + self.whole(pool(normal, board))
        return cells + self.film(hidden, context) @ self.out.weight.T


class Player(AbstractNetwork):
    """A position and a belief about the rules to a policy and the value to the player about to move.

    A percept's `observation` is a board of `BoardGames`, its `goal` the belief `[facts]`. Remembers nothing.

    **Arguments:**

    - `facts`: how many facts a belief is about.
    - `width`, `blocks`: features per cell, residual blocks.
    - `context`: size of what is made of a belief before it scales and shifts.
    """

    digest: eqx.nn.Linear
    take_in: eqx.nn.Linear
    film: Film
    blocks: tuple[Block, ...]
    place: eqx.nn.Linear
    outlook: eqx.nn.MLP

    def __init__(self, facts: int, *, width: int = 48, blocks: int = 2, context: int = 64, key: Key):
        digest_key, in_key, film_key, block_key, place_key, outlook_key = jax.random.split(key, 6)
        self.digest = eqx.nn.Linear(facts, context, key=digest_key)
        self.take_in = eqx.nn.Linear(FEATURES, width, use_bias=False, key=in_key)
        self.film = Film(context, width, key=film_key)
        self.blocks = tuple(Block(width, context, key=key) for key in jax.random.split(block_key, blocks))
        self.place = quiet(eqx.nn.Linear(width, 1, key=place_key))
        self.outlook = quiet(eqx.nn.MLP(2 * width + context, 3, width, 1, key=outlook_key))

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        planes, legal = percept.observation, percept.legal
        assert legal is not None, "a two-player world names its legal actions"
        assert percept.goal is not None, "a player must believe something of the rules"
        canvas = planes.shape[0]
        seen = glance(planes, legal[: canvas**2].reshape(canvas, canvas)).reshape(canvas**2, FEATURES)
        board = planes[..., 2].reshape(-1, 1).astype(jnp.float32)
        # A belief of one half says nothing.
        context = jax.nn.relu(self.digest(2.0 * percept.goal - 1.0))
        cells = self.film(seen @ self.take_in.weight.T, context)
        for block in self.blocks:
            cells = block(cells, board, context)
        cells = normalise(cells)
        rest = self.outlook(jnp.concatenate([pool(cells, board), context]))
        placed = jax.vmap(self.place)(cells)[:, 0]
        logits = jnp.concatenate([placed, rest[:2]])
        return Output(Categorical(logits, legal), jnp.tanh(rest[2])), None


def normalise(cells: Float[Array, "cells width"]) -> Float[Array, "cells width"]:
    """Root-mean-square normalisation over the features of each cell."""
    return cells * jax.lax.rsqrt(jnp.mean(cells**2, axis=-1, keepdims=True) + 1e-6)


def pool(cells: Float[Array, "cells width"], board: Float[Array, "cells 1"]) -> Float[Array, "double"]:
    """Mean and maximum over the cells of the board."""
    mean = jnp.sum(cells * board, axis=0) / jnp.sum(board)
    return jnp.concatenate([mean, jnp.max(cells * board, axis=0)])


def quiet(layer: Layer) -> Layer:
    """The layer, begun a tenth as loud: at first all actions are about alike."""
    return jax.tree.map(lambda leaf: 0.1 * leaf if eqx.is_inexact_array(leaf) else leaf, layer)
