"""A network for any board game of the family: lines, neighbourhoods and the whole board, conditioned on a context.

Three ideas, each of which is true of every game in the family. What matters lies along lines, so every cell first looks
four cells far in each of the eight directions, with the same detectors everywhere. What is near matters next, so a few
residual blocks mix neighbouring cells. And the rules change what all of it means, so a `context` vector scales and
shifts every layer (FiLM: Perez 2018). Weights are shared by all cells: the network is for boards of any size.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key
from headstart.worlds.boardgames.bits import AXES, DIRECTIONS

__all__ = ["BoardNetwork", "LineDetectors", "Looks", "edges", "looks"]

REACH = 4
OUTSIDE = 3


class Looks(eqx.Module):
    """What each cell sees in each of the eight directions, as a code in [0, 256); `here` is what is on the cell."""

    here: Int[Array, "canvas canvas"]
    far: Int[Array, "canvas canvas 8"]


def looks(
    own: Bool[Array, "canvas canvas"],
    enemy: Bool[Array, "canvas canvas"],
    board: Bool[Array, "canvas canvas"],
    joined: Bool[Array, ""],
) -> Looks:
    """Looking four cells far from every cell; around the board where its edges are `joined`."""
    canvas = board.shape[0]
    here = jnp.where(board, own + 2 * enemy, OUTSIDE)
    rows, columns = (jnp.max(jnp.where(board.any(axis), jnp.arange(1, canvas + 1), 1)) for axis in (1, 0))
    place = jnp.arange(-REACH, canvas + REACH)
    within = lambda count: (place >= 0) & (place < count)
    padded = here[place % rows][:, place % columns]
    padded = jnp.where(joined | (within(rows)[:, None] & within(columns)), padded, OUTSIDE)
    ahead = lambda down, right: padded[REACH + down :, REACH + right :][:canvas, :canvas]
    codes = [
        sum(4 ** (far - 1) * ahead(far * down, far * right) for far in range(1, REACH + 1))
        for down, right in DIRECTIONS.tolist()
    ]
    return Looks(here, jnp.stack(codes, axis=-1))


class LineDetectors(eqx.Module):
    """What each cell finds along each of its four axes: the same detectors for all axes, `[canvas, canvas, 4, n]`."""

    detect: eqx.nn.Linear
    centre: Float[Array, "4 detectors"]

    def __init__(self, detectors: int, *, key: Key):
        detect_key, centre_key = jax.random.split(key)
        self.detect = eqx.nn.Linear(REACH * OUTSIDE, detectors, use_bias=False, key=detect_key)
        self.centre = jax.random.normal(centre_key, (4, detectors)) / 2.0

    def __call__(self, sight: Looks) -> Float[Array, "canvas canvas 4 detectors"]:
        cells = (sight.far[..., None] >> jnp.arange(0, 2 * REACH, 2)) & 3
        seen = (cells[..., None] == jnp.arange(1, OUTSIDE + 1)).astype(jnp.float32)
        ways = _dense(self.detect, seen.reshape(*sight.far.shape, -1))
        return ways[..., :AXES, :] + ways[..., AXES:, :] + self.centre[sight.here][..., None, :]


class Block(eqx.Module):
    """A residual block: a look at the eight neighbours and at the whole board, scaled and shifted by the context."""

    near: Float[Array, "3 3 width"]
    far: eqx.nn.Linear
    mix: eqx.nn.Linear
    film: eqx.nn.Linear

    def __init__(self, width: int, context: int, *, key: Key):
        near_key, far_key, mix_key, film_key = jax.random.split(key, 4)
        self.near = jax.random.normal(near_key, (3, 3, width)) / 3.0
        self.far = eqx.nn.Linear(2 * width, width, key=far_key)
        self.mix = eqx.nn.Linear(width, width, key=mix_key)
        self.film = eqx.nn.Linear(context, 2 * width, key=film_key)

    def __call__(
        self,
        cells: Float[Array, "canvas canvas width"],
        board: Float[Array, "canvas canvas 1"],
        context: Float[Array, "context"],
    ) -> Float[Array, "canvas canvas width"]:
        normal = _normalise(cells) * board
        canvas = cells.shape[0]
        padded = jnp.pad(normal, ((1, 1), (1, 1), (0, 0)))
        nearby = sum(
            self.near[row, column] * padded[row : row + canvas, column : column + canvas]
            for row in range(3)
            for column in range(3)
        )
        hidden = nearby + self.far(_pool(normal, board))
        scale, shift = jnp.split(self.film(context), 2)
        hidden = jax.nn.relu(hidden * (1.0 + scale) + shift)
        return cells + _dense(self.mix, hidden)


class BoardNetwork(eqx.Module):
    """A position and a context to the logits of every action and the value to the player about to move.

    **Arguments:**

    - `context`: size of the context vector.
    - `detectors`, `width`, `blocks`: line detectors per axis, features per cell, residual blocks.
    """

    lines: LineDetectors
    line_film: eqx.nn.Linear
    combine: eqx.nn.Linear
    extra: eqx.nn.Linear
    film: eqx.nn.Linear
    blocks: Block
    place: eqx.nn.Linear
    outlook: eqx.nn.MLP

    def __init__(self, context: int, *, detectors: int = 16, width: int = 32, blocks: int = 2, key: Key):
        keys = jax.random.split(key, 7 + blocks)
        self.lines = LineDetectors(detectors, key=keys[0])
        self.combine = eqx.nn.Linear(AXES * detectors, width, key=keys[5])
        self.extra = eqx.nn.Linear(EXTRA, width, use_bias=False, key=keys[6])
        self.line_film = eqx.nn.Linear(context, 2 * AXES * detectors, key=keys[1])
        self.film = eqx.nn.Linear(context, 2 * width, key=keys[2])
        self.blocks = eqx.filter_vmap(lambda key: Block(width, context, key=key))(keys[7:])
        self.place = _quiet(eqx.nn.Linear(width, 1, key=keys[3]))
        self.outlook = eqx.nn.MLP(2 * width + context, 3, width, 1, key=keys[4])

    def __call__(
        self,
        planes: Bool[Array, "canvas canvas 6"],
        legal: Bool[Array, "actions"],
        context: Float[Array, "context"],
    ) -> tuple[Float[Array, "actions"], Float[Array, ""]]:
        """The logits, before the mask of legal actions, and the value in [−1, 1]."""
        board = planes[..., 2]
        scale, shift = jnp.split(self.line_film(context).reshape(2 * AXES, -1), 2)
        sight = looks(planes[..., 0], planes[..., 1], board, planes[0, 0, 5])
        # The barriers keep the compiler from computing what is seen anew for every detector that looks at it.
        sight, extra = jax.lax.optimization_barrier((sight, _extra(planes, legal)))
        found = jax.nn.relu(self.lines(sight) * (1.0 + scale) + shift).reshape(*board.shape, -1)
        cells = _dense(self.combine, found) + _dense(self.extra, extra)
        scale, shift = jnp.split(self.film(context), 2)
        cells = jax.lax.optimization_barrier(jax.nn.relu(cells * (1.0 + scale) + shift))
        mask = board[..., None].astype(jnp.float32)
        arrays, static = eqx.partition(self.blocks, eqx.is_array)
        cells, _ = jax.lax.scan(
            lambda cells, block: (eqx.combine(block, static)(cells, mask, context), None), cells, arrays
        )
        cells = jax.lax.optimization_barrier(_normalise(cells) * mask)
        rest = self.outlook(jnp.concatenate([_pool(cells, mask), context]))
        logits = jnp.concatenate([_dense(self.place, cells).ravel(), rest[:2]])
        return logits, jnp.tanh(rest[2])


EXTRA = 4 + 4 + 1


def edges(board: Bool[Array, "canvas canvas"]) -> list[Bool[Array, "canvas canvas"]]:
    """The cells of the top, bottom, left and right edge of a board that fills the top left of the canvas."""
    rows, columns = board.any(axis=1), board.any(axis=0)
    first = lambda filled: filled & (jnp.cumsum(filled) == 1)
    final = lambda filled: first(filled[::-1])[::-1]
    lines = [first(rows)[:, None], final(rows)[:, None], first(columns)[None], final(columns)[None]]
    return [jnp.broadcast_to(line, board.shape) for line in lines]


def _extra(planes: Bool[Array, "canvas canvas 6"], legal: Bool[Array, "actions"]) -> Float[Array, "canvas canvas 9"]:
    """What a cell should know beside its lines: what is on it, whose turn it is, which edges it is at, is it legal."""
    board = planes[..., 2]
    playable = legal[: board.size].reshape(board.shape)
    flags = jnp.stack([*edges(board), playable], axis=-1)
    return jnp.concatenate([planes[..., (0, 1, 3, 4)], flags], axis=-1).astype(jnp.float32)


def _dense(layer: eqx.nn.Linear, inputs: Float[Array, "*axes inputs"]) -> Float[Array, "*axes outputs"]:
    """A linear layer over the last axis, as one product."""
    outputs = inputs @ layer.weight.T
    return outputs if layer.bias is None else outputs + layer.bias


def _quiet(layer: eqx.nn.Linear) -> eqx.nn.Linear:
    """The layer, begun a tenth as loud: at first all actions are about alike."""
    return jax.tree.map(lambda leaf: 0.1 * leaf if eqx.is_inexact_array(leaf) else leaf, layer)


def _normalise(cells: Float[Array, "canvas canvas width"]) -> Float[Array, "canvas canvas width"]:
    """Root-mean-square normalisation over the features of each cell."""
    return cells * jax.lax.rsqrt(jnp.mean(cells**2, axis=-1, keepdims=True) + 1e-6)


def _pool(cells: Float[Array, "canvas canvas width"], board: Float[Array, "canvas canvas 1"]) -> Float[Array, "double"]:
    """Mean and maximum over the board."""
    mean = jnp.sum(cells * board, axis=(0, 1)) / jnp.sum(board)
    return jnp.concatenate([mean, jnp.max(cells * board, axis=(0, 1))])
