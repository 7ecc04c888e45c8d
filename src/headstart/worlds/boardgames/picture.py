"""Positions of a board game as pictures (SVG): for a report, a page, or a slide."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

import numpy as np
from jaxtyping import Int8

from headstart.worlds.boardgames.rules import Cell, Rules

__all__ = ["picture"]

Point = tuple[float, float]

SIDE = 30.0  # from the middle of a cell to that of its neighbour
MARGIN = 16.0  # around the cells, for the coordinates
INK, PAPER, BOARD, MARK = "#1f2933", "#ffffff", "#f0e6d2", "#d64545"

# The corners of a cell clockwise from its upper left, and which of them, in order, bound it on each side of the board.
SQUARE: tuple[Point, ...] = ((-SIDE / 2, -SIDE / 2), (SIDE / 2, -SIDE / 2), (SIDE / 2, SIDE / 2), (-SIDE / 2, SIDE / 2))
HEXAGON: tuple[Point, ...] = tuple(
    (SIDE / math.sqrt(3) * math.cos(angle), SIDE / math.sqrt(3) * math.sin(angle))
    for angle in (math.radians(degrees) for degrees in range(-150, 210, 60))
)
SQUARE_SIDES = {"top": (0, 1), "right": (1, 2), "bottom": (2, 3), "left": (3, 0)}
HEXAGON_SIDES = {"top": (0, 1, 2), "right": (1, 2, 3), "bottom": (3, 4, 5), "left": (4, 5, 0)}


def picture(
    rules: Rules,
    stones: Int8[np.ndarray, "{rules.rows} {rules.columns}"],
    last: Cell | None = None,
    caption: str = "",
) -> str:
    """A position as an `<svg>` element that stands by itself.

    **Arguments:** as for `draw.draw`. Colour 0 is dark and colour 1 light, a dot marks the last stone, dashed cells
    wrap around, and where a game is won by connecting, each edge has the colour that is to join it.
    """
    corners = HEXAGON if rules.cells == "hex" else SQUARE
    height = _middle(rules, (rules.rows - 1, 0))[1] + SIDE
    width = _middle(rules, (rules.rows - 1, rules.columns - 1))[0] + SIDE
    dashes = ' stroke-dasharray="3 3"' if rules.edges == "torus" else ""
    parts = [f'<g fill="{BOARD}" stroke="{INK}" stroke-width="0.8"{dashes}>']
    parts += (f'<polygon points="{_points(rules, cell, corners)}"/>' for cell in sorted(rules.board))
    parts += ["</g>", *_goals(rules, corners), *_stones(rules, np.asarray(stones), last), *_coordinates(rules)]
    box = (-SIDE / 2 - MARGIN, -SIDE / 2 - MARGIN, width + 1.5 * MARGIN, height + (3 if caption else 1.5) * MARGIN)
    if caption:
        middle = box[0] + box[2] / 2
        parts.append(f'<text x="{middle:.1f}" y="{height - SIDE / 2 + 1.4 * MARGIN:.1f}">{escape(caption)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{" ".join(f"{number:.1f}" for number in box)}" '
        f'width="{box[2]:.0f}" height="{box[3]:.0f}" role="img" aria-label="{escape(caption or rules.name)}" '
        f'font-family="sans-serif" font-size="11" text-anchor="middle" fill="{INK}">{"".join(parts)}</svg>'
    )


def _middle(rules: Rules, cell: Cell) -> Point:
    row, column = cell
    if rules.cells == "hex":
        return SIDE * (column + row / 2), SIDE * row * math.sqrt(3) / 2
    return SIDE * column, SIDE * row


def _points(rules: Rules, cell: Cell, corners: Iterable[Point]) -> str:
    x, y = _middle(rules, cell)
    return " ".join(f"{x + right:.1f},{y + down:.1f}" for right, down in corners)


def _goals(rules: Rules, corners: tuple[Point, ...]) -> Iterable[str]:
    """The edges that the players are to join: dark for colour 0, light with a dark rim for colour 1."""
    if rules.winning != "connect":
        return
    sides = HEXAGON_SIDES if rules.cells == "hex" else SQUARE_SIDES
    at = {"left": (1, 0), "right": (1, rules.columns - 1), "top": (0, 0), "bottom": (0, rules.rows - 1)}
    for side, (coordinate, position) in at.items():
        ends = [corners[index] for index in sides[side]]
        edge = [_points(rules, cell, ends) for cell in sorted(rules.board) if cell[coordinate] == position]
        for colour, thickness in ((INK, 6), (PAPER, 4))[: 1 + coordinate]:
            yield f'<g fill="none" stroke="{colour}" stroke-width="{thickness}" stroke-linecap="round">'
            yield from (f'<polyline points="{points}"/>' for points in edge)
            yield "</g>"


def _stones(rules: Rules, stones: np.ndarray, last: Cell | None) -> Iterable[str]:
    for cell in sorted(rules.board):
        if stones[cell] > 0:
            x, y = _middle(rules, cell)
            fill = (INK, PAPER)[stones[cell] - 1]
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{0.36 * SIDE:.1f}" fill="{fill}" stroke="{INK}"/>'
    if last is not None:
        x, y = _middle(rules, last)
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{0.1 * SIDE:.1f}" fill="{MARK}"/>'


def _coordinates(rules: Rules) -> Iterable[str]:
    for column in range(rules.columns):
        x, y = _middle(rules, (0, column))
        yield f'<text x="{x:.1f}" y="{y - SIDE / 2 - 6:.1f}">{"abcdefgh"[column]}</text>'
    for row in range(rules.rows):
        x, y = _middle(rules, (row, 0))
        yield f'<text x="{x - SIDE / 2 - 9:.1f}" y="{y + 4:.1f}">{row + 1}</text>'
