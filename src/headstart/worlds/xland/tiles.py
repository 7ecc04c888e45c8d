"""The tiles of XLand-MiniGrid, and the numbers by which its encodings know them, goals and rules."""

from __future__ import annotations

from typing import Any

from jaxtyping import Array, UInt8

__all__ = ["ABOUT_ONE", "ABOUT_TWO", "COLOURS", "GOALS", "GOAL_KINDS", "OBJECTS", "RULE_KINDS", "SHAPES"]
__all__ += ["code", "codes", "tile"]

SHAPES: tuple[str, ...] = ("nothing", "floor", "wall", "ball", "square", "pyramid", "goal", "key")
SHAPES += ("locked door", "closed door", "open door", "hexagon", "star")
"""What a tile may be, by number. Beyond the walls there is nothing, and nothing is in a hand that is empty."""

COLOURS = ("none", "red", "green", "blue", "purple", "yellow", "grey", "black", "orange", "white", "brown", "pink")
"""By number. The floor is black and walls are grey."""

OBJECTS = ("ball", "square", "pyramid", "key", "hexagon", "star")
"""What can be picked up."""

ABOUT_ONE = ("hold", "near", "near_up", "near_right", "near_down", "near_left")
ABOUT_TWO = ("tiles_near", "tiles_near_up", "tiles_near_right", "tiles_near_down", "tiles_near_left")

GOALS = (*ABOUT_ONE, *ABOUT_TWO)
"""Kinds of goals, and of rules: the agent holds a tile, or is next to one, on any side or with the tile on that side of
it; or two tiles are next to each other, the second one on that side of the first."""

GOAL_KINDS = {"nothing": 0, "hold": 1, "near": 3, "tiles_near": 4}
GOAL_KINDS |= {kind: 7 + number for number, kind in enumerate((*ABOUT_TWO[1:], *ABOUT_ONE[2:]))}
"""The first number of a goal's encoding. No benchmark has 2, 5 and 6, of places on the grid; nor has this world."""

RULE_KINDS = {"nothing": 0, "hold": 1, "near": 2, "tiles_near": 3}
RULE_KINDS |= {kind: 4 + number for number, kind in enumerate((*ABOUT_TWO[1:], *ABOUT_ONE[2:]))}
"""The first number of a rule's encoding."""


def code(shape: Any, colour: Any) -> Any:
    """A tile as one number below 156: two tiles are the same if theirs are. Numbers, or arrays of them."""
    return shape * len(COLOURS) + colour


def tile(shape: str, colour: str) -> int:
    """The number of a tile, by its names."""
    return code(SHAPES.index(shape), COLOURS.index(colour))


def codes(tiles: UInt8[Array, "*batch 2"]) -> UInt8[Array, "*batch"]:
    """`code` of tiles that are encoded as pairs."""
    return code(tiles[..., 0], tiles[..., 1])
