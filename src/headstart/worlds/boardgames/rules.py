"""The rules of a board game as a person writes them, and `RULES.toml`.

Two players, colour 0 (who begins) and colour 1, place stones on the cells of a small board in turn. `Rules` says how;
what contradicts itself is refused with one sentence. A game without a winner is a draw: when the board is full, when
neither player can move, or after `2 × cells` moves (where most stones win, they are counted then). A player who cannot
move passes. Lines and chains are made of cells that are there: a hole interrupts them.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import itertools
import json
import re
import tomllib
import typing
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from headstart.errors import BadData, UsageError
from headstart.instructions.vocabulary import leading_words
from headstart.worlds.boardgames.vocabulary import WORDS

__all__ = ["CLASSICS", "Cell", "Rules", "dumps", "load", "loads"]

Cell = tuple[int, int]  # row and column, 0-based from the top left

LONGEST_FILE = 1 << 20  # bytes
LONGEST_NAME = 60  # characters
LONGEST_TEXT = 16 * WORDS  # characters; words of any language are shorter than this on average

ORTHOGONAL: tuple[Cell, ...] = ((0, 1), (1, 0))
DIAGONAL: tuple[Cell, ...] = ((1, 1), (1, -1))
HEXAGONAL: tuple[Cell, ...] = ((0, 1), (1, 0), (1, -1))


@dataclasses.dataclass(frozen=True)
class Rules:
    """The rules of one game.

    **Arguments:**

    - `name`: what the game is called, 1 to 60 characters.
    - `rows`, `columns`: the size of the board, 3 to 8 each.
    - `holes`: cells that are not there, as (row, column), 0-based from the top left.
    - `cells`: the shape of a cell. A square one has 8 neighbours. Hexagonal ones form a parallelogram in axial
      coordinates: the 6 neighbours are (0, ±1), (±1, 0), (−1, +1) and (+1, −1).
    - `edges`: `"torus"` joins opposite edges.
    - `placing`: `"anywhere"` that is empty; `"drop"`, where the cell below is off the board, a stone or a hole;
      `"capturing"`, only where something is captured.
    - `capture`: an unbroken line of enemy stones between the placed stone and another of one's own, in any of the
      8 (hexagonal: 6) directions, is turned over (`"flip"`) or taken off the board (`"custody"`).
    - `winning`: `"line"`, for `length` stones or more in line; `"connect"`, for a chain that joins one's two edges
      (colour 0 top and bottom, colour 1 left and right), through orthogonal neighbours on square cells and through
      all six on hexagonal ones; `"most"`, for more stones than the other when neither can move.
    - `length`: stones in line, 3 to 8. Without meaning, and so left at its default, unless `winning` is `"line"`.
    - `lines`: which directions count for `winning = "line"` on square cells; on hexagonal ones all three axes do.
    - `misere`: whoever would win, loses.
    - `stones`: stones a turn, 1 or 2; with 2, the very first turn is one stone.
    - `swap`: on their first turn the second player may take over the first player's colour instead of placing.
    - `start`: `"centre"` fills the four central cells crosswise, as in reversi (see `Rules.centre`).
    - `text`: a person's own words for the rules.

    **Raises:** `BadData`, one sentence that names the key and the mend.
    """

    name: str
    rows: int
    columns: int
    holes: tuple[Cell, ...] = ()
    cells: Literal["square", "hex"] = "square"
    edges: Literal["walls", "torus"] = "walls"
    placing: Literal["anywhere", "drop", "capturing"] = "anywhere"
    capture: Literal["none", "flip", "custody"] = "none"
    winning: Literal["line", "connect", "most"] = "line"
    length: int = 3
    lines: Literal["all", "orthogonal", "diagonal"] = "all"
    misere: bool = False
    stones: int = 1
    swap: bool = False
    start: Literal["empty", "centre"] = "empty"
    text: str | None = None

    def __post_init__(self) -> None:
        looks = (_wrong_types(vars(self)), _out_of_range(self), _contradictions(self), _unwinnable(self))
        _refuse(itertools.chain(*looks))  # lazily, for each trusts what the ones before it have passed

    @functools.cached_property
    def board(self) -> frozenset[Cell]:
        """The cells that are there."""
        everywhere = ((row, column) for row in range(self.rows) for column in range(self.columns))
        return frozenset(everywhere) - set(self.holes)

    @property
    def centre(self) -> tuple[tuple[Cell, int], ...]:
        """The four central cells, each with the colour that `start = "centre"` puts there. With an odd number of
        rows (columns) the middle row (column) is the lower (right) one of the pair."""
        row, column = self.rows // 2 - 1, self.columns // 2 - 1
        pairs = ((0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1))
        return tuple(((row + down, column + right), colour) for down, right, colour in pairs)

    @property
    def axes(self) -> tuple[Cell, ...]:
        """The directions, up to sign, in which `length` stones in line win."""
        if self.cells == "hex":
            return HEXAGONAL
        return {"all": ORTHOGONAL + DIAGONAL, "orthogonal": ORTHOGONAL, "diagonal": DIAGONAL}[self.lines]

    def walk(self, cell: Cell, direction: Cell) -> Iterator[Cell]:
        """The cells beyond `cell` in a direction, until a hole, a wall, or `cell` itself comes again."""
        (row, column), board = cell, self.board
        while True:
            row, column = row + direction[0], column + direction[1]
            if self.edges == "torus":
                row, column = row % self.rows, column % self.columns
            if (row, column) not in board or (row, column) == cell:
                return
            yield row, column


KINDS = typing.get_type_hints(Rules)


def _refuse(problems: Iterator[str]) -> None:
    for problem in problems:
        raise BadData(f"{problem}.")


def _wrong_types(values: dict[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        kind = KINDS[key]
        if typing.get_origin(kind) is Literal:
            choices = typing.get_args(kind)
            if value not in choices:
                near = difflib.get_close_matches(value, choices, 1) if isinstance(value, str) else ()
                guess = f"; did you mean {near[0]!r}?" if near else ""
                yield f"{key} = {_shown(value)} is not a choice: say one of {', '.join(map(repr, choices))}{guess}"
        elif kind in (int, bool, str) and type(value) is not kind:
            wanted = {int: "a whole number", bool: "true or false", str: "a text in quotes"}[kind]
            yield f"{key} = {_shown(value)} is of the wrong type: give {wanted}"
        elif key == "holes" and not (isinstance(value, tuple) and all(map(_is_cell, value))):
            yield f"holes = {_shown(value)} is of the wrong type: give pairs [row, column], such as [[0, 0], [2, 1]]"
        elif key == "text" and not isinstance(value, str | None):
            yield f"text = {_shown(value)} is of the wrong type: give a text in quotes"


def _out_of_range(rules: Rules) -> Iterator[str]:
    for key, low, high in (("rows", 3, 8), ("columns", 3, 8), ("length", 3, 8), ("stones", 1, 2)):
        if not low <= getattr(rules, key) <= high:
            yield f"{key} = {getattr(rules, key)} is out of range: give {low} to {high}"
    if not rules.name.strip() or len(rules.name) > LONGEST_NAME or not rules.name.isprintable():
        yield f"name = {_shown(rules.name)} will not do: give 1 to {LONGEST_NAME} printable characters on one line"
    if rules.text is not None:
        if not rules.text.strip():
            yield "text is empty: say the rules in it, or leave it out and they are written for you"
        if surrogate := re.search("[\ud800-\udfff]", rules.text):
            yield f"text holds half a character (a lone surrogate) at {surrogate.start()}: save it as proper Unicode"
    for hole in rules.holes:
        if not (0 <= hole[0] < rules.rows and 0 <= hole[1] < rules.columns):
            yield (
                f"holes names {list(hole)}, which is off the board: rows go from 0 to {rules.rows - 1} "
                f"and columns from 0 to {rules.columns - 1}"
            )
        if rules.holes.count(hole) > 1:
            yield f"holes names {list(hole)} more than once: once is enough"
    if len(rules.board) < 4:
        yield f"holes leaves {len(rules.board)} cells of the board: leave at least 4"


def _contradictions(rules: Rules) -> Iterator[str]:
    if rules.winning != "line":
        for key, default in (("length", 3), ("lines", "all")):
            if getattr(rules, key) != default:
                yield f"{key} has no meaning with winning = {rules.winning!r}: leave it out, or say winning = 'line'"
    if rules.cells == "hex" and rules.lines != "all":
        yield f"lines = {rules.lines!r} has no meaning with cells = 'hex', where all three axes count: leave it out"
    refused = (
        ("capturing", "none", "placing", "capture", "nothing is ever captured", "capture = 'flip' or 'custody'"),
        ("most", "none", "winning", "capture", "without captures the board's size decides", "capture = 'flip'"),
        ("connect", "torus", "winning", "edges", "a torus has no sides to join", "edges = 'walls'"),
        ("drop", "torus", "placing", "edges", "a torus has no floor to rest on", "edges = 'walls'"),
        ("drop", "hex", "placing", "cells", "a stone would fall between two cells", "cells = 'square'"),
        ("drop", "custody", "placing", "capture", "a captured stone would leave others floating", "capture = 'flip'"),
        ("drop", "centre", "placing", "start", "the first stones would float", "start = 'empty'"),
        ("capturing", "empty", "placing", "start", "nobody could ever move", "start = 'centre'"),
    )
    for one, other, key, other_key, reason, mend in refused:
        if getattr(rules, key) == one and getattr(rules, other_key) == other:
            yield f"{key} = {one!r} contradicts {other_key} = {other!r}, since {reason}: say {mend}"
    if rules.start == "centre":
        if missing := [cell for cell, _ in rules.centre if cell not in rules.board]:
            yield f"start = 'centre' needs the cell {list(missing[0])}, which holes takes away: take it out of holes"
        elif len(rules.board) == len(rules.centre):
            yield "start = 'centre' fills the whole board: leave more cells than the four in the centre"


def _unwinnable(rules: Rules) -> Iterator[str]:
    if rules.winning == "line":
        longest = max(_longest_line(rules, axis) for axis in rules.axes)
        if rules.edges == "torus":  # beyond the shorter side, a line round the torus would count stones twice
            longest = min(longest, rules.rows, rules.columns)
        if rules.length > longest:
            mend = f"give length = {longest} at most" if longest >= 3 else "give a larger board or fewer holes"
            yield f"length = {rules.length} fits nowhere on this board, whose longest line is {longest}: {mend}"
    if rules.winning == "connect":
        for colour, (key, sides) in enumerate((("rows", "top and bottom"), ("columns", "left and right"))):
            if not _joined(rules, colour, getattr(rules, key) - 1):
                yield f"holes cuts the board so that nobody can join {sides}, as winning = 'connect' asks: open a way"
    if rules.placing == "capturing" and not _somebody_captures(rules):
        yield "placing = 'capturing' leaves nobody a first move on this board: give a larger board or fewer holes"


def _longest_line(rules: Rules, axis: Cell) -> int:
    return max(1 + sum(1 for _ in rules.walk(cell, axis)) for cell in rules.board)


def _joined(rules: Rules, coordinate: int, far: int) -> bool:
    """Whether cells lead from 0 to `far` in the row (`coordinate` 0) or the column (1)."""
    axes = HEXAGONAL if rules.cells == "hex" else ORTHOGONAL
    steps = axes + tuple((-down, -right) for down, right in axes)
    frontier = [cell for cell in rules.board if cell[coordinate] == 0]
    reached = set(frontier)
    while frontier:
        row, column = frontier.pop()
        near = {(row + down, column + right) for down, right in steps} & rules.board - reached
        frontier += near
        reached |= near
    return any(cell[coordinate] == far for cell in reached)


def _somebody_captures(rules: Rules) -> bool:
    """Whether either colour can capture at the start."""
    axes = HEXAGONAL if rules.cells == "hex" else ORTHOGONAL + DIAGONAL
    stones = dict(rules.centre)
    for cell in rules.board - stones.keys():
        for down, right in axes + tuple((-down, -right) for down, right in axes):
            colours = (stones.get(beyond) for beyond in rules.walk(cell, (down, right)))
            first_two_runs = [colour for colour, _ in itertools.islice(itertools.groupby(colours), 2)]
            if first_two_runs in ([0, 1], [1, 0]):
                return True
    return False


def _is_cell(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(type(number) is int for number in value)


def _shown(value: Any) -> str:
    """A value, short enough for a sentence."""
    return shown if len(shown := repr(value)) <= 40 else f"{shown[:37]}..."


def load(path: str | Path) -> Rules:
    """The rules in a TOML file; without a `name` in it, the game is called after the file.

    **Raises:** `UsageError` if the file cannot be read; `BadData` for what is wrong in it.
    **Warns:** if `text` was cut (see `loads`).
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_FILE + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the rules in {path}: {error.strerror}; name a RULES.toml that exists."
        ) from error
    try:
        if len(content) > LONGEST_FILE:
            raise BadData("the file is larger than 1 MiB: rules are a few lines of TOML.")
        return loads(content.decode("utf-8-sig"), name=path.stem)
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: byte {error.start} is not UTF-8: save the file as UTF-8.") from error
    except BadData as error:
        raise BadData(f"{path}: {error}") from error


def loads(source: str, *, name: str = "a new game") -> Rules:
    """The rules in a TOML text.

    **Arguments:**

    - `source`: TOML. Its keys are the arguments of `Rules`; `rows` and `columns` must be there.
    - `name`: the game's name where the source gives none.

    **Raises:** `BadData`, one sentence that names the key and the mend.
    **Warns:** `UserWarning` if `text` is longer than an agent reads (`vocabulary.WORDS` words): it is cut.
    """
    try:
        given = tomllib.loads(source)
    except (ValueError, RecursionError) as error:
        raise BadData(f"this is not TOML: {error or 'nested too deeply'}; write lines such as  rows = 3") from error
    known = [field.name for field in dataclasses.fields(Rules)]
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, cutoff=0.0)[0]
            raise BadData(f"unknown key {_shown(key)}: the nearest key is {near!r}; all are {', '.join(known)}.")
    for key in ("rows", "columns"):
        if key not in given:
            raise BadData(f"{key} is missing: say how large the board is, such as  {key} = 5")
    winning = given.get("winning", "line")
    for key in ("length", "lines"):
        if key in given and winning in ("connect", "most"):
            raise BadData(f"{key} has no meaning with winning = {winning!r}: leave it out, or say winning = 'line'.")
    if isinstance(given.get("holes"), list):
        given["holes"] = tuple(tuple(hole) if isinstance(hole, list) else hole for hole in given["holes"])
    if isinstance(given.get("text"), str):
        given["text"] = _readable(given["text"])
    _refuse(_wrong_types(given))
    return Rules(**{"name": name} | given)


def _readable(text: str) -> str:
    """A text without control characters, no longer than an agent reads."""
    head = text[:LONGEST_TEXT]
    kept = leading_words(head, WORDS)
    if len(kept) < len(text):
        warnings.warn(
            f"text is longer than the {WORDS} words that an agent reads; the rest is left out from {kept[-30:]!r} on",
            stacklevel=4,
        )
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", kept)


def dumps(rules: Rules) -> str:
    """The rules as TOML that `loads` reads back; what is at its default is left out."""
    lines = []
    for field in dataclasses.fields(rules):
        value = getattr(rules, field.name)
        if value != field.default:
            # A JSON string is a TOML string, but for DEL.
            lines.append(f"{field.name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f"))
    return "\n".join(lines) + "\n"


CLASSICS: dict[str, Rules] = {
    rules.name: rules
    for rules in (
        Rules("tic_tac_toe", 3, 3),
        Rules("misere_tic_tac_toe", 3, 3, misere=True),
        Rules("connect_four", 6, 7, placing="drop", length=4),
        Rules("gomoku", 8, 8, length=5),
        Rules("connect_six", 8, 8, length=6, stones=2),
        Rules("reversi", 8, 8, placing="capturing", capture="flip", winning="most", start="centre"),
        Rules("anti_reversi", 8, 8, placing="capturing", capture="flip", winning="most", start="centre", misere=True),
        Rules("hex", 8, 8, cells="hex", winning="connect", swap=True),
    )
}
