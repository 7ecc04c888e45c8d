"""Pictures of positions: well-formed, complete, and to scale."""

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from headstart.worlds.boardgames.picture import picture
from headstart.worlds.boardgames.rules import CLASSICS, Rules

STONES = np.array([[1, 0, 2], [0, 1, 0], [-1, 0, 2]], np.int8)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(rules: Rules, *arguments) -> ElementTree.Element:
    return ElementTree.fromstring(picture(rules, *arguments))


def test_every_cell_and_stone_is_drawn_and_no_hole():
    root = drawn(Rules("a game", 3, 3, holes=((2, 0),)), STONES, (1, 1), "<b2> & on")
    assert len(root.findall(f".//{SVG}polygon")) == 8
    fills = [circle.get("fill") for circle in root.findall(f".//{SVG}circle")]
    assert len(fills) == 5  # two of each colour and the mark on the last one
    assert sorted(fills.count(fill) for fill in set(fills)) == [1, 2, 2]
    assert "<b2> & on" in [text.text for text in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", CLASSICS)
def test_nothing_leaves_the_picture(name):
    rules = CLASSICS[name]
    root = drawn(rules, np.ones((rules.rows, rules.columns), np.int8), (0, 0), "a caption")
    left, top, width, height = map(float, root.get("viewBox").split())
    corners = [point for cell in root.iter(f"{SVG}polygon") for point in cell.get("points").split()]
    points = [tuple(map(float, corner.split(","))) for corner in corners]
    points += [(float(text.get("x")), float(text.get("y"))) for text in root.iter(f"{SVG}text")]
    assert all(left < x < left + width and top < y < top + height for x, y in points)


def test_hexagonal_neighbours_are_equally_far():
    root = drawn(Rules("a game", 3, 3, cells="hex"), np.ones((3, 3), np.int8))
    at = [(float(stone.get("cx")), float(stone.get("cy"))) for stone in root.iter(f"{SVG}circle")]
    middle = at[4]
    distances = sorted(round(math.dist(middle, other)) for other in at)
    assert distances[1:7] == [30] * 6
    assert distances[7] > 40


def test_only_games_of_connection_colour_their_edges():
    assert not drawn(Rules("a game", 3, 3), STONES).findall(f".//{SVG}polyline")
    edges = drawn(Rules("a game", 3, 3, winning="connect", holes=((2, 0),)), STONES).findall(f".//{SVG}polyline")
    assert len(edges) == (3 + 2) + 2 * (3 + 2)  # top and bottom once, left and right with a rim
