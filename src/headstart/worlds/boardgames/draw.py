"""Positions of a board game, drawn with characters: for a terminal, a log, or a preformatted block of a report.

Reversi after its second move, and the corner of a game of hex; brackets mark the last stone:

        a b c d e f g h              a b c d e
      ┌─────────────────┐          ┌─•─•─•─•─•
    1 │ · · · · · · · · │         1 ◦ · · · ● ·
    2 │ · · · · · · · · │          2 ◦ · ● ○ · ·
    3 │ · ·(○)● · · · · │           3 ◦ · ●(○)· ·
    4 │ · · · ○ ● · · · │            4 ◦ · · · · ·
"""

from __future__ import annotations

import dataclasses
import itertools
import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int8
from rich.text import Text

from headstart.worlds.boardgames.rules import Cell, Rules

__all__ = ["beside", "cell_name", "draw", "paint"]


@dataclasses.dataclass(frozen=True)
class _Glyphs:
    """The characters of one style."""

    cells: str  # empty, colour 0, colour 1, hole
    owned: str  # an edge that colour 0 joins, colour 1 joins
    across: str
    down: str
    corners: str  # top left, top right, bottom left, bottom right
    across_torus: str
    down_torus: str


_UNICODE = _Glyphs("·●○ ", "•◦", "─", "│", "┌┐└┘", "┄", "┆")
_ASCII = _Glyphs(".XO ", "xo", "-", "|", "++++", "~", ":")


def cell_name(cell: Cell) -> str:
    """What people call a cell, such as `"c2"`: the column's letter, then the row's number from the top."""
    row, column = cell
    return f"{'abcdefgh'[column]}{row + 1}"


def draw(
    rules: Rules,
    stones: Int8[np.ndarray, "{rules.rows} {rules.columns}"],
    last: Cell | None = None,
    caption: str = "",
    *,
    ascii: bool = False,
) -> str:
    """A position as lines of equal width.

    **Arguments:**

    - `rules`: the game. Hexagonal cells are drawn as a slanted parallelogram, edges that wrap around are broken, and
      where a game is won by connecting, each edge bears small marks of the colour that is to join it.
    - `stones`: 0 empty, 1 and 2 the stones of colour 0 (● or X) and colour 1 (○ or O), −1 a hole (blank).
    - `last`: (row, column) of the stone to mark, if any.
    - `caption`: written below, and broken into lines as wide as the board.
    - `ascii`: for terminals that do not speak Unicode.

    **Returns:** a text without a newline at its end.
    """
    glyphs = _ASCII if ascii else _UNICODE
    wraps, slanted = rules.edges == "torus", rules.cells == "hex"
    across, down = (glyphs.across_torus, glyphs.down_torus) if wraps else (glyphs.across, glyphs.down)
    down = "\\" if slanted and not wraps else down
    border = list(across * (2 * rules.columns + 1))
    if rules.winning == "connect":
        border[1::2] = glyphs.owned[0] * rules.columns
        down = glyphs.owned[1]
    lines = [
        "    " + " ".join("abcdefgh"[: rules.columns]),
        "  " + glyphs.corners[0] + "".join(border) + glyphs.corners[1],
    ]
    for row, values in enumerate(np.asarray(stones).tolist()):
        inside = list(" " * (2 * rules.columns + 1))
        inside[1::2] = [glyphs.cells[value] for value in values]
        if last is not None and last[0] == row:
            inside[2 * last[1]], inside[2 * last[1] + 2] = "()"
        indent = " " * (row + 1) if slanted else ""
        lines.append(f"{indent}{row + 1} {down}{''.join(inside)}{down}")
    lines.append(" " * (3 + rules.rows if slanted else 2) + glyphs.corners[2] + "".join(border) + glyphs.corners[3])
    width = max(map(len, lines))
    lines += (line.center(width) for line in textwrap.wrap(caption, width))
    return "\n".join(line.ljust(width) for line in lines)


def beside(drawings: Sequence[str], *, width: int = 100, gap: int = 3) -> str:
    """Drawings side by side, such as the positions of a game, in as many rows as they need.

    **Arguments:**

    - `drawings`: each of any size; shorter ones are filled up below.
    - `width`: columns of the terminal. A drawing that is wider stands alone.
    - `gap`: columns between two drawings.
    """
    blocks = [drawing.split("\n") for drawing in drawings]
    shelves: list[list[list[str]]] = []
    taken = width + 1
    for block in blocks:
        needed = gap + max(map(len, block))
        if taken + needed > width:
            shelves.append([])
            taken = -gap
        shelves[-1].append(block)
        taken += needed
    return "\n\n".join(_shelf(shelf, " " * gap) for shelf in shelves)


def _shelf(blocks: list[list[str]], gap: str) -> str:
    widths = [max(map(len, block)) for block in blocks]
    rows = itertools.zip_longest(*blocks, fillvalue="")
    lines = (gap.join(line.ljust(width) for line, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def paint(drawing: str) -> Text:
    """A drawing in the colours of a `rich` console."""
    text = Text(drawing, no_wrap=True)
    text.highlight_regex(r"[·─│┌┐└┘┄┆\\|+~:.-]", "dim")
    text.highlight_regex(r"[●•]|(?<=[ (])X(?=[ )])", "bold red")
    text.highlight_regex(r"[○◦]|(?<=[ (])O(?=[ )])", "bold cyan")
    text.highlight_regex(r"\(.\)", "reverse")
    return text
