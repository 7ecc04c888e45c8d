"""Grids of XLand-MiniGrid: walls, and doors between rooms, each of which is drawn anew in every episode.

Nikulin and others (2024), figure 3: one room, or two, four, six or nine with closed doors of a few colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, UInt8, UInt32

from headstart.errors import UsageError
from headstart.worlds.xland.tiles import COLOURS, SHAPES, code, tile

__all__ = ["ROOMS", "Plan", "plan"]

ROOMS = ("R1", "R2", "R4", "R6", "R9")
"""Kinds of grids, by how many rooms there are."""

FLOOR, WALL = tile("floor", "black"), tile("wall", "grey")
DOOR = SHAPES.index("closed door")
Cell = tuple[int, int]  # row and column
PAINTS = np.array([COLOURS.index(name) for name in ("red", "green", "blue", "purple", "yellow", "grey")])


@dataclass(frozen=True)
class Plan:
    """Where walls are, `[size²]`, and for each door the cells of a wall that it may be in, `[doors, cells]`."""

    walls: Bool[np.ndarray, "cells"]
    doors: Int[np.ndarray, "doors choices"]

    @property
    def free(self) -> Bool[np.ndarray, "cells"]:
        """Where things may lie."""
        return ~self.walls

    def build(self, chance: UInt32[Array, "doors 2"]) -> UInt8[Array, "cells"]:
        """The codes of the tiles, with doors that depend on random bits."""
        grid = jnp.asarray(np.where(self.walls, WALL, FLOOR).astype(np.uint8))
        cells = jnp.arange(grid.size)
        choices = self.doors.shape[1]
        for door, (place, paint) in zip(self.doors, chance, strict=True):
            tiles = jnp.asarray(code(DOOR, PAINTS).astype(np.uint8))
            where = jnp.asarray(door)[(place % choices).astype(jnp.int32)]
            grid = jnp.where(cells == where, tiles[(paint % len(PAINTS)).astype(jnp.int32)], grid)
        return grid


def plan(rooms: str, size: int) -> Plan:
    """The plan of so many rooms in a square grid of `size`, walls included.

    **Raises:** `UsageError` for rooms that there are not, or that do not fit.
    """
    if rooms not in ROOMS:
        raise UsageError(f"there are no rooms {rooms!r}; give one of {', '.join(ROOMS)}")
    if size < 5:
        raise UsageError(f"a grid of {size} has no room to move; give 5 or more, walls included")
    walls, doors = _lay(rooms, size)
    if not _fit(walls, doors):
        larger = (other for other in range(size + 1, size + 16) if _fit(*_lay(rooms, other)))
        raise UsageError(f"the rooms {rooms} do not fit in a grid of {size}; give {next(larger)}, or fewer rooms")
    cells = np.array([[row * size + column for row, column in choices] for choices in doors], int)
    return Plan(walls.ravel(), cells if doors else np.zeros((0, 1), int))


def _lay(rooms: str, size: int) -> tuple[np.ndarray, list[list[Cell]]]:
    """The walls, and the cells of each door, whether or not they fit."""
    half, third = size // 2, size // 3
    walls = np.ones((size, size), bool)
    walls[1:-1, 1:-1] = False
    doors: list[list[Cell]] = []
    if rooms == "R2":
        walls[:, half] = True
        doors = [[(row, half) for row in range(1, size - 1)]]
    if rooms == "R4":
        walls[:, half] = walls[half] = True
        steps = range(1, half)
        doors = [[(half, start + step) for step in steps] for start in (0, half)]
        doors += [[(start + step, half) for step in steps] for start in (0, half)]
    if rooms == "R6":
        left, right = half - 2, half + 2
        walls[:, [left, right]] = True
        for row in (third, 2 * third):
            walls[row, :left] = walls[row, right : right + left] = True
        doors = [[(row, column)] for column in (left, right) for row in (half - third, half, half + third)]
    if rooms == "R9":
        lines = (third, 2 * third)
        walls[:, lines] = walls[lines, :] = True
        starts, steps = (0, third, 2 * third), range(1, third)
        doors = [[(start + step, line) for step in steps] for line in lines for start in starts]
        doors += [[(line, start + step) for step in steps] for line in lines for start in starts]
    return walls, doors


def _fit(walls: np.ndarray, doors: list[list[Cell]]) -> bool:
    return all(choices and all(_leads(walls, *cell) for cell in choices) for choices in doors)


def _leads(walls: np.ndarray, row: int, column: int) -> bool:
    """Whether a door in this cell would lead from floor to floor."""
    last = len(walls) - 1
    if not (0 < row < last and 0 < column < last and walls[row, column]):
        return False
    across = (walls[row, column - 1], walls[row, column + 1])
    along = (walls[row - 1, column], walls[row + 1, column])
    return not any(across) or not any(along)
