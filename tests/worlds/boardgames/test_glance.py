"""What is seen at a glance, against a plain reading of the same boards: one cell, one way, one stone after another."""

import itertools
import math

import jax
import numpy as np
import pytest

from headstart.worlds.boardgames.glance import FEATURES, glance
from headstart.worlds.boardgames.rules import CLASSICS, Rules

pytestmark = pytest.mark.usefixtures("quick_to_compile")

CANVAS = 8
WAYS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, -1), (-1, 0), (-1, -1), (-1, 1))

#: The groups of features in order, and the axes of each: colours (own, enemy), ways, axes, counts.
LAYOUT = {
    "plain": (7,),
    "edges": (4,),
    "next_to": (2, 8),
    "two_away": (2, 8),
    "inside": (8,),
    "runs": (4, 2, 4),
    "rooms": (3, 2, 4),
    "caught": (2, 8),
    "caught_two": (2,),
    "joins": (3, 2, 2, 2),
}

GAMES = (
    CLASSICS["tic_tac_toe"],
    CLASSICS["connect_four"],
    CLASSICS["reversi"],
    CLASSICS["hex"],
    Rules("small torus", 3, 4, edges="torus"),
    Rules("large torus", 7, 5, edges="torus", holes=((2, 1), (6, 4))),
    Rules("holes", 5, 8, length=4, holes=((0, 0), (2, 3), (2, 4))),
    Rules("hexagonal torus", 6, 6, cells="hex", edges="torus", length=4),
)


class Position:
    """Stones strewn over the board of a game, and what a patient reader sees of them."""

    def __init__(self, rules, rng):
        self.rules, self.board = rules, rules.board
        self.torus = rules.edges == "torus"
        self.second, self.again = rng.random(2) < 0.5
        share = rng.uniform(0.1, 0.45)
        fallen = {cell: rng.choice(3, p=[1 - 2 * share, share, share]) for cell in sorted(self.board)}
        self.stones = tuple({cell for cell, stone in fallen.items() if stone == colour} for colour in (1, 2))
        empty = sorted(self.board - self.stones[0] - self.stones[1])
        self.playable = {cell for cell in empty if rng.random() < 0.7}

    def planes(self):
        flags = (self.second, self.again, self.torus)
        drawn = [_drawn(cells) for cells in (*self.stones, self.board)]
        return np.stack([*drawn, *(np.full((CANVAS, CANVAS), flag) for flag in flags)], axis=-1)

    def go(self, cell, way, steps=1):
        """The cell so many steps on; `None` beyond a wall."""
        row, column = (at + steps * by for at, by in zip(cell, way, strict=True))
        if self.torus:
            return row % self.rules.rows, column % self.rules.columns
        return (row, column) if 0 <= row < self.rules.rows and 0 <= column < self.rules.columns else None

    def length(self, cell, way, through):
        """How many cells on from `cell` are `through`, up to four."""
        return next((steps for steps in range(4) if self.go(cell, way, steps + 1) not in through), 4)

    # The groups of `LAYOUT`.

    def plain(self, cell, index):
        sets = (cell in self.stones[0], cell in self.stones[1], True)
        return (*sets, self.second, self.again, self.torus, cell in self.playable)[index]

    def edges(self, cell, edge):
        return cell in self.edge(edge)

    def next_to(self, cell, colour, way):
        return self.go(cell, WAYS[way]) in self.stones[colour]

    def two_away(self, cell, colour, way):
        return self.go(cell, WAYS[way], 2) in self.stones[colour]

    def inside(self, cell, way):
        return self.go(cell, WAYS[way]) in self.board

    def runs(self, cell, count, colour, axis):
        return self.both_ways(cell, axis, self.stones[colour]) >= count + 1

    def rooms(self, cell, count, colour, axis):
        return self.both_ways(cell, axis, self.board - self.stones[1 - colour]) >= count + 2

    def caught(self, cell, colour, way):
        return self.between(cell, colour, WAYS[way]) in range(1, 5)

    def caught_two(self, cell, colour):
        return any(self.between(cell, colour, way) in range(2, 6) for way in WAYS)

    def joins(self, cell, missing, colour, edge, hexagonal):
        """Whether a stone here and `missing` more would join the edge, following chains for eight steps."""
        first = colour == self.second  # who began joins top and bottom, the other left and right
        free = self.board - self.stones[1 - colour]
        start = self.edge((0 if first else 2) + edge) & free
        for stones in range(missing + 1):
            chain = start & self.stones[colour]
            for _ in range(8):
                chain |= _around(chain, hexagonal) & self.stones[colour]
            start |= _around(chain, hexagonal) & free
            if stones < missing:
                start |= _around(start, hexagonal) & free
        return cell in start

    def edge(self, number):
        last = (0, self.rules.rows - 1, 0, self.rules.columns - 1)[number]
        return {cell for cell in self.board if cell[number // 2] == last}

    def both_ways(self, cell, axis, through):
        return sum(self.length(cell, WAYS[way], through) for way in (axis, axis + 4))

    def between(self, cell, colour, way):
        """How many enemy stones stand between this cell and the next of one's own; 0 if there is none."""
        for steps in range(1, 7):
            beyond = self.go(cell, way, steps)
            if beyond in self.stones[colour]:
                return steps - 1
            if beyond not in self.stones[1 - colour]:
                break
        return 0


def _drawn(cells):
    shown = np.zeros((CANVAS, CANVAS), bool)
    for cell in cells:
        shown[cell] = True
    return shown


def _around(cells, hexagonal):
    near = ((0, 1), (1, 0), (0, -1), (-1, 0)) + (((-1, 1), (1, -1)) if hexagonal else ())
    return {(row + down, column + right) for row, column in cells for down, right in near}


def groups(features):
    """The features `[..., FEATURES]` by group, each with its own axes."""
    ends = np.cumsum([math.prod(shape) for shape in LAYOUT.values()])
    assert ends[-1] == FEATURES
    parts = np.split(features, ends[:-1], axis=-1)
    shapes = zip(LAYOUT.items(), parts, strict=True)
    return {name: part.reshape(*part.shape[:-1], *shape) for (name, shape), part in shapes}


@pytest.fixture(scope="module")
def look():
    return jax.jit(jax.vmap(glance))


@pytest.fixture(scope="module")
def positions():
    rng = np.random.default_rng(0)
    return [Position(rules, rng) for rules in GAMES for _ in range(3)]


@pytest.fixture(scope="module")
def seen(look, positions):
    planes = np.stack([position.planes() for position in positions])
    return np.asarray(look(planes, np.stack([_drawn(position.playable) for position in positions])))


@pytest.mark.parametrize("group", LAYOUT)
def test_a_glance_sees_what_a_patient_reader_finds(group, seen, positions):
    found = groups(seen)[group]
    assert found.any()
    assert not found.all()
    for position, features in zip(positions, found, strict=True):
        for cell in sorted(position.board):
            for index in itertools.product(*map(range, LAYOUT[group])):
                expected = getattr(position, group)(cell, *index)
                assert features[cell][index] == expected, (position.rules.name, cell, index)


def test_cells_off_the_board_have_no_features(seen, positions):
    for position, features in zip(positions, seen, strict=True):
        assert not features[~_drawn(position.board)].any()


def test_a_win_in_tic_tac_toe_worked_out_by_hand(look, positions):
    """X X · / O · · / O · ·, X to move: the corner completes a row and captures nothing, the middle joins the top."""
    rules = CLASSICS["tic_tac_toe"]
    own, enemy = _drawn({(0, 0), (0, 1)}), _drawn({(1, 0), (2, 0)})
    off = np.zeros((CANVAS, CANVAS), bool)
    planes = np.stack([own, enemy, _drawn(rules.board), off, off, off], axis=-1)
    batch = lambda leaf: np.broadcast_to(leaf, (len(positions), *leaf.shape))
    seen = groups(np.asarray(look(batch(planes), batch(off)))[0])
    row, column = 0, 1
    assert seen["runs"][0, 2, :, 0, row].tolist() == [1, 1, 0, 0]
    assert seen["runs"][0, 2, 0, 0].sum() == 1, "no other line of X passes there"
    assert seen["runs"][1, 0, 0, 1, column] == 1
    assert not seen["caught"][0, 2].any()
    missing, own, top, square = slice(None), 0, 0, 0
    assert seen["joins"][1, 1, missing, own, top, square].tolist() == [1, 1, 1], "below X: joined to the top at once"
    assert seen["joins"][2, 1, missing, own, top, square].tolist() == [0, 1, 1], "with one stone more"
