"""Drawings of positions, compared with what a person would expect to see."""

import numpy as np

from headstart.worlds.boardgames.draw import beside, cell_name, draw, paint
from headstart.worlds.boardgames.rules import Rules

STONES = np.array([[1, 0, 2], [0, 1, 0], [-1, 0, 2]], np.int8)


def lines(*expected: str) -> str:
    width = max(map(len, expected))
    return "\n".join(line.ljust(width) for line in expected)


def test_a_square_board():
    assert draw(Rules("a game", 3, 3), STONES, (1, 1), "one more") == lines(
        "    a b c",
        "  ┌───────┐",
        "1 │ ● · ○ │",
        "2 │ ·(●)· │",
        "3 │   · ○ │",
        "  └───────┘",
        "  one more",
    )


def test_a_terminal_without_unicode():
    drawing = draw(Rules("a game", 3, 3, edges="torus"), STONES, (2, 2), ascii=True)
    assert drawing == lines(
        "    a b c",
        "  +~~~~~~~+",
        "1 : X . O :",
        "2 : . X . :",
        "3 :   .(O):",
        "  +~~~~~~~+",
    )
    assert drawing.isascii()


def test_hexagons_slant_so_that_neighbours_touch():
    drawing = draw(Rules("a game", 3, 3, cells="hex", winning="connect"), STONES)
    assert drawing == lines(
        "    a b c",
        "  ┌─•─•─•─┐",
        " 1 ◦ ● · ○ ◦",
        "  2 ◦ · ● · ◦",
        "   3 ◦   · ○ ◦",
        "      └─•─•─•─┘",
    )
    rows = drawing.split("\n")
    column = lambda row, column: 5 + row + 2 * column  # where a cell is drawn
    assert (rows[2][column(0, 0)], rows[3][column(1, 1)], rows[4][column(2, 2)]) == ("●", "●", "○")
    for down, right in ((0, 1), (1, 0), (1, -1)):  # each neighbour is at most two characters away
        assert abs(column(1 + down, 1 + right) - column(1, 1)) <= 2


def test_an_edge_shows_who_joins_it():
    drawing = draw(Rules("a game", 3, 3, winning="connect"), STONES, ascii=True).split("\n")
    assert drawing[1].strip() == drawing[-1].strip() == "+-x-x-x-+"
    assert all(row[2] == row[-1] == "o" for row in drawing[2:5])


def test_captions_are_broken_at_the_boards_width():
    drawing = draw(Rules("a game", 3, 3), STONES, caption="the first player wins").split("\n")
    assert [line.strip() for line in drawing[-2:]] == ["the first", "player wins"]
    assert len({len(line) for line in drawing}) == 1


def test_drawings_stand_side_by_side_and_wrap():
    assert beside(["aa\na", "b\nb\nb", "c"], width=6, gap=1) == "aa b c\na  b\n   b"
    assert beside(["aa", "b"], width=3, gap=1) == "aa\n\nb"
    assert beside(["wider", "b"], width=3) == "wider\n\nb"
    assert beside([]) == ""


def test_cells_have_names():
    assert [cell_name(cell) for cell in ((0, 0), (7, 7), (1, 2))] == ["a1", "h8", "c2"]


def test_painting_changes_no_character():
    for ascii in (False, True):
        drawing = draw(Rules("a game", 3, 3), STONES, (0, 0), ascii=ascii)
        painted = paint(drawing)
        assert painted.plain == drawing
        styles = {painted.plain[span.start : span.end]: span.style for span in painted.spans}
        own, other = "XO" if ascii else "●○"
        assert styles[own] != styles[other]
