"""Sets of cells as 64 bits, and the steps that move them.

A board of up to 8×8 cells is a `Bits`: cell (row, column) is bit 8·row + column, kept as two 32-bit words because JAX
has no 64-bit integers by default. Every question that a rule asks ("is there a line of four?", "what would be
captured?", "is the top joined to the bottom?") is then a few shifts and masks, the same for all cells at once, which
vectorises over thousands of games with different rules.

`Geometry.step` shifts a set by one cell in each of the eight directions at once: its result has a leading axis of 8.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, UInt32

__all__ = ["AXES", "DIRECTIONS", "STRIDE", "Bits", "Geometry", "to_bits"]

STRIDE = 8

#: (row, column) steps. The first four are the axes of a line; direction d + 4 is the opposite of d.
DIRECTIONS = np.array([(0, 1), (1, 0), (1, 1), (1, -1), (0, -1), (-1, 0), (-1, -1), (-1, 1)], np.int32)
AXES = 4

_ONE = jnp.uint32(1)


class Bits(eqx.Module):
    """A set of cells; `lo` holds rows 0 to 3, `hi` rows 4 to 7. Leading axes broadcast."""

    lo: UInt32[Array, "*axes"]
    hi: UInt32[Array, "*axes"]

    def __and__(self, other: Bits) -> Bits:
        return Bits(self.lo & other.lo, self.hi & other.hi)

    def __or__(self, other: Bits) -> Bits:
        return Bits(self.lo | other.lo, self.hi | other.hi)

    def __invert__(self) -> Bits:
        return Bits(~self.lo, ~self.hi)

    def __eq__(self, other: object) -> Bool[Array, "*axes"]:  # type: ignore[override]
        assert isinstance(other, Bits)
        return (self.lo == other.lo) & (self.hi == other.hi)

    __hash__ = None  # type: ignore[assignment]

    def any(self) -> Bool[Array, "*axes"]:
        return (self.lo | self.hi) != 0

    def count(self) -> Int[Array, "*axes"]:
        return (jax.lax.population_count(self.lo) + jax.lax.population_count(self.hi)).astype(jnp.int32)

    def where(self, condition: Bool[Array, "*axes"], other: Bits | None = None) -> Bits:
        """This set where the condition holds, `other` (or the empty set) elsewhere."""
        other = Bits.empty() if other is None else other
        return Bits(jnp.where(condition, self.lo, other.lo), jnp.where(condition, self.hi, other.hi))

    def union(self) -> Bits:
        """The union over the leading axis."""
        lo, hi = self.lo[0], self.hi[0]
        for index in range(1, self.lo.shape[0]):
            lo, hi = lo | self.lo[index], hi | self.hi[index]
        return Bits(lo, hi)

    def cells(self, canvas: int = STRIDE) -> Bool[Array, "*axes rows columns"]:
        """The set as a Boolean board of `canvas` × `canvas`."""
        words = jnp.stack([self.lo, self.hi], axis=-1)
        bits = (words[..., :, None] >> jnp.arange(32, dtype=jnp.uint32)) & _ONE
        return (bits != 0).reshape(*bits.shape[:-2], STRIDE, STRIDE)[..., :canvas, :canvas]

    @staticmethod
    def empty() -> Bits:
        return Bits(jnp.uint32(0), jnp.uint32(0))

    @staticmethod
    def single(row: Int[Array, ""], column: Int[Array, ""]) -> Bits:
        """The set of one cell; the empty set if the row is 8 or more."""
        word = _ONE << ((row % 4) * STRIDE + column).astype(jnp.uint32)
        return Bits(jnp.where(row < 4, word, 0), jnp.where((row >= 4) & (row < 8), word, 0))


def to_bits(cells: np.ndarray) -> Bits:
    """A Boolean board of at most 8×8 as `Bits`, from the host."""
    board = np.zeros((STRIDE, STRIDE), bool)
    board[: cells.shape[0], : cells.shape[1]] = cells
    lo, hi = np.packbits(board.reshape(2, 32), axis=1, bitorder="little").view(np.uint32)[:, 0]
    return Bits(jnp.asarray(lo), jnp.asarray(hi))


def from_cells(cells: Bool[Array, "rows columns"]) -> Bits:
    """A Boolean board of at most 8×8 as `Bits` (on the device); `rows` must be at least 4."""
    rows, columns = cells.shape
    padded = jnp.pad(cells, ((0, STRIDE - rows), (0, STRIDE - columns))).reshape(2, 32)
    words = jnp.sum(padded.astype(jnp.uint32) << jnp.arange(32, dtype=jnp.uint32), axis=1, dtype=jnp.uint32)
    return Bits(words[0], words[1])


class Geometry(eqx.Module):
    """The shape of a board: how many rows and columns, and whether its edges are joined."""

    rows: Int[Array, ""]
    columns: Int[Array, ""]
    torus: Bool[Array, ""]

    @property
    def first_row(self) -> Bits:
        return Bits(self._row_word, jnp.uint32(0))

    @property
    def last_row(self) -> Bits:
        return _place_row(self._row_word, self.rows - 1)

    @property
    def first_column(self) -> Bits:
        column = jnp.uint32(0x01010101)
        return Bits(column, column)

    @property
    def last_column(self) -> Bits:
        column = jnp.uint32(0x01010101) << (self.columns - 1).astype(jnp.uint32)
        return Bits(column, column)

    @property
    def _row_word(self) -> UInt32[Array, ""]:
        return (_ONE << self.columns.astype(jnp.uint32)) - _ONE

    def step(self, cells: Bits, *, wrap: Bool[Array, ""] | None = None, axes: int = 8) -> Bits:
        """Every cell moved one step in the first `axes` directions: result `[axes]`, from `[]` or `[axes]`.

        What leaves the board vanishes, or comes back on the other side where edges are joined. Holes are no concern
        of a shift: the caller masks with its board. `wrap` overrides whether edges are joined.
        """
        wrap = self.torus if wrap is None else wrap
        down, right = DIRECTIONS[:axes, 0], DIRECTIONS[:axes, 1]
        cells = _choose(down, self._down(cells, wrap), cells, self._up(cells, wrap))
        return _choose(right, self._right(cells, wrap), cells, self._left(cells, wrap))

    def _down(self, cells: Bits, wrap: Bool[Array, ""]) -> Bits:
        inner, edge = cells & ~self.last_row, (cells & self.last_row).where(wrap)
        shift = ((self.rows - 1) % 4 * STRIDE).astype(jnp.uint32)
        around = jnp.where(self.rows <= 4, edge.lo, edge.hi) >> shift
        return Bits((inner.lo << STRIDE) | around, (inner.hi << STRIDE) | (inner.lo >> (32 - STRIDE)))

    def _up(self, cells: Bits, wrap: Bool[Array, ""]) -> Bits:
        around = _place_row(jnp.where(wrap, cells.lo & jnp.uint32(0xFF), 0), self.rows - 1)
        return Bits((cells.lo >> STRIDE) | (cells.hi << (32 - STRIDE)), cells.hi >> STRIDE) | around

    def _right(self, cells: Bits, wrap: Bool[Array, ""]) -> Bits:
        inner, edge = cells & ~self.last_column, (cells & self.last_column).where(wrap)
        shift = (self.columns - 1).astype(jnp.uint32)
        return Bits((inner.lo << 1) | (edge.lo >> shift), (inner.hi << 1) | (edge.hi >> shift))

    def _left(self, cells: Bits, wrap: Bool[Array, ""]) -> Bits:
        inner, edge = cells & ~self.first_column, (cells & self.first_column).where(wrap)
        shift = (self.columns - 1).astype(jnp.uint32)
        return Bits((inner.lo >> 1) | (edge.lo << shift), (inner.hi >> 1) | (edge.hi << shift))


def seen_geometry(planes: Bool[Array, "canvas canvas 6"]) -> Geometry:
    """The shape of the board in an observation of `BoardGames`, as far as its cells show it."""
    extent = lambda axis: jnp.max(jnp.where(planes[..., 2].any(axis), jnp.arange(1, planes.shape[0] + 1), 1))
    return Geometry(extent(1), extent(0), planes[0, 0, 5])


def _place_row(word: UInt32[Array, "*axes"], row: Int[Array, ""]) -> Bits:
    """The eight cells of row 0 in `word`, moved to `row`."""
    moved = word << (row % 4 * STRIDE).astype(jnp.uint32)
    return Bits(jnp.where(row < 4, moved, 0), jnp.where(row >= 4, moved, 0))


def _choose(step: np.ndarray, ahead: Bits, still: Bits, back: Bits) -> Bits:
    return ahead.where(jnp.asarray(step > 0), still.where(jnp.asarray(step == 0), back))
