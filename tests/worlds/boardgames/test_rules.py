"""Rules: every contradiction gets one sentence, and RULES.toml is read strictly and written back."""

import dataclasses
import time

import pytest

from headstart.errors import BadData, UsageError
from headstart.worlds.boardgames.rules import CLASSICS, Rules, dumps, load, loads
from headstart.worlds.boardgames.vocabulary import WORDS, vocabulary

CENTRE = {"placing": "capturing", "capture": "flip", "start": "centre"}
ROOM_FOR_NOBODY = tuple((row, column) for row in range(4) for column in range(4) if row in (0, 3) or column in (0, 3))


@pytest.mark.parametrize(
    ("changes", "key", "mend"),
    [
        ({"rows": 0}, "rows", "3 to 8"),
        ({"columns": 9}, "columns", "3 to 8"),
        ({"rows": 9, "columns": 9}, "rows", "3 to 8"),
        ({"name": ""}, "name", "1 to 60"),
        ({"name": "two\nlines"}, "name", "one line"),
        ({"length": 2}, "length", "3 to 8"),
        ({"length": -1}, "length", "3 to 8"),
        ({"stones": 3}, "stones", "1 to 2"),
        ({"holes": ((4, 0),)}, "holes", "0 to 3"),
        ({"holes": ((0, -1),)}, "holes", "0 to 3"),
        ({"holes": ((0, 0), (0, 0))}, "holes", "once"),
        ({"holes": tuple((row, column) for row in range(4) for column in range(4))}, "holes", "at least 4"),
        ({"text": " \n "}, "text", "leave it out"),
        ({"text": "stones \ud800"}, "text", "Unicode"),
        ({"placing": "capturing"}, "placing", "capture ="),
        ({"placing": "capturing", "capture": "flip"}, "placing", "start = 'centre'"),
        ({"winning": "most"}, "winning", "capture ="),
        ({"winning": "connect", "edges": "torus"}, "winning", "edges = 'walls'"),
        ({"placing": "drop", "edges": "torus"}, "placing", "edges = 'walls'"),
        ({"placing": "drop", "cells": "hex"}, "placing", "cells = 'square'"),
        ({"placing": "drop", "capture": "custody"}, "placing", "capture = 'flip'"),
        ({"placing": "drop", "start": "centre"}, "placing", "start = 'empty'"),
        ({"winning": "connect", "length": 4}, "length", "leave it out"),
        ({"winning": "connect", "lines": "diagonal"}, "lines", "leave it out"),
        ({"cells": "hex", "lines": "diagonal"}, "lines", "leave it out"),
        ({"length": 5}, "length", "length = 4"),
        ({"rows": 3, "columns": 8, "edges": "torus", "length": 4}, "length", "length = 3"),
        ({"rows": 3, "columns": 8, "length": 4, "lines": "diagonal"}, "length", "length = 3"),
        ({"length": 4, "lines": "orthogonal", "holes": ((0, 1), (1, 2), (2, 3), (3, 0))}, "length", "length = 3"),
        ({"rows": 3, "columns": 3, "holes": ((1, 1),), "lines": "diagonal"}, "length", "fewer holes"),
        ({"start": "centre", "holes": ((1, 1),)}, "start", "take it out of holes"),
        ({"start": "centre", "holes": ROOM_FOR_NOBODY}, "start", "leave more cells"),
        ({**CENTRE, "winning": "most", "holes": ROOM_FOR_NOBODY[1:]}, "placing", "fewer holes"),
        ({"winning": "connect", "holes": ((1, 0), (1, 1), (1, 2), (1, 3))}, "holes", "top and bottom"),
        ({"winning": "connect", "holes": ((0, 2), (1, 2), (2, 1), (3, 1))}, "holes", "left and right"),
        ({"winning": "connect", "cells": "hex", "holes": ((0, 2), (1, 2), (2, 2), (3, 2))}, "holes", "left and right"),
    ],
)
def test_what_contradicts_is_refused_with_one_sentence(changes, key, mend):
    with pytest.raises(BadData) as refused:
        Rules(**{"name": "a game", "rows": 4, "columns": 4} | changes)
    sentence = str(refused.value)
    assert sentence.startswith(key)
    assert mend in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 8, "columns": 8, "length": 8},
        {"rows": 3, "columns": 8, "length": 8, "lines": "orthogonal"},
        {"placing": "drop", "capture": "flip", "winning": "most"},
        {"capture": "custody", "winning": "most", "misere": True},
        {**CENTRE, "rows": 5, "columns": 5, "edges": "torus", "cells": "hex", "swap": True, "stones": 2},
        {"winning": "connect", "cells": "hex", "holes": ((0, 1), (1, 1), (2, 2), (3, 2))},  # open along an axis
        {"winning": "connect", "placing": "drop"},
        {"start": "centre", "holes": ROOM_FOR_NOBODY[1:]},
    ],
)
def test_unusual_rules_are_welcome(changes):
    rules = Rules(**{"name": "a game", "rows": 4, "columns": 4} | changes)
    assert loads(dumps(rules)) == rules


def test_classics_survive_a_round_trip():
    for name, rules in CLASSICS.items():
        assert rules.name == name
        assert loads(dumps(rules)) == rules


def test_awkward_texts_survive_a_round_trip():
    rules = Rules('a "quoted" \\ game', 3, 3, holes=((0, 0),), length=3, text='drei in "Reihe" 🎲\n\ttab \\u0041')
    assert loads(dumps(rules)) == rules
    deleted = dataclasses.replace(rules, text="a\x7fb")  # made by hand: `loads` strips control characters
    assert loads(dumps(deleted)).text == "ab"


def test_the_centre_is_that_of_reversi():
    assert dict(CLASSICS["reversi"].centre) == {(3, 3): 1, (3, 4): 0, (4, 3): 0, (4, 4): 1}
    assert [cell for cell, _ in Rules("odd", 5, 3).centre] == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_a_walk_ends_at_walls_and_holes_and_goes_round_a_torus_once():
    rules = Rules("a game", 4, 4, holes=((0, 3),))
    assert list(rules.walk((0, 0), (0, 1))) == [(0, 1), (0, 2)]
    assert list(rules.walk((3, 0), (-1, 1))) == [(2, 1), (1, 2)]
    torus = Rules("a game", 3, 4, edges="torus")
    assert list(torus.walk((1, 2), (0, 1))) == [(1, 3), (1, 0), (1, 1)]
    assert len(list(torus.walk((0, 0), (1, 1)))) == 11


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("rows = 3\ncolumns = 3\nlenght = 3", "'length'"),
        ("rows = 3\ncolumns = 3\n'' = 3", "unknown key"),
        ("columns = 3", "rows is missing"),
        ("rows = 3", "columns is missing"),
        ("rows = ", "not TOML"),
        ("rows = 3\nrows = 3", "not TOML"),
        ("rows = " + "[" * 100_000, "not TOML"),
        ("rows = " + "9" * 5_000, "not TOML"),
        ("rows = '3'\ncolumns = 3", "a whole number"),
        ("rows = nan\ncolumns = 3", "a whole number"),
        ("rows = true\ncolumns = 3", "a whole number"),
        ("rows = 3.0\ncolumns = 3", "a whole number"),
        ("rows = 3\ncolumns = 3\nswap = 1", "true or false"),
        ("rows = 3\ncolumns = 3\nstart = 'center'", "did you mean 'centre'"),
        ("rows = 3\ncolumns = 3\ncells = ['hex']", "'square', 'hex'"),
        ("rows = 3\ncolumns = 3\nholes = [[0, 0, 0]]", "[row, column]"),
        ("rows = 3\ncolumns = 3\ntext = 3", "quotes"),
        ("rows = 3\ncolumns = 3\nname = 3", "quotes"),
        ("rows = 2020-01-01\ncolumns = 3", "a whole number"),
        ("rows = 3\ncolumns = 3\nholes = 'a1'", "[row, column]"),
        ("rows = 3\ncolumns = 3\nholes = [[0, 'a']]", "[row, column]"),
        ("rows = 3\ncolumns = 3\nwinning = 'connect'\nlength = 3", "length has no meaning"),
        ("rows = 3\ncolumns = 3\nwinning = ['connect']\nlength = 3", "not a choice"),
        ("rows = 3\ncolumns = 3\ntext = ''", "text is empty"),
        ("rows = 3\ncolumns = 3\ntext = '\\u0000'\n[rows]", "not TOML"),
        ('rows = 3\ncolumns = 3\ntext = "\\u0000 \\u0001"', "text is empty"),
        ('rows = 3\ncolumns = 3\ntext = "\\ud800"', "not TOML"),
    ],
)
def test_bad_toml_gets_one_sentence(source, says):
    with pytest.raises(BadData) as refused:
        loads(source)
    assert says in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_file_names_the_game_and_its_troubles(tmp_path):
    path = tmp_path / "käse kästchen.toml"
    path.write_bytes(b"\xef\xbb\xbfrows = 3\r\ncolumns = 3\r\n")
    assert load(path) == Rules("käse kästchen", 3, 3)
    path.write_bytes(b"rows = 3\ncolumns = 3\ntext = '\xff'\n")
    with pytest.raises(BadData, match=r"kästchen\.toml: byte 29 is not UTF-8"):
        load(path)
    path.write_text("rows = 0\ncolumns = 3")
    with pytest.raises(BadData, match=r"kästchen\.toml: rows = 0 is out of range"):
        load(path)
    path.write_bytes(b"#" * (1 << 21))
    with pytest.raises(BadData, match="1 MiB"):
        load(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        load(tmp_path / "missing.toml")
    with pytest.raises(UsageError, match="directory"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["put stones " * 10_000, "x" * 100_000, "can't " * (WORDS - 20)])
def test_a_text_beyond_what_an_agent_reads_is_cut_with_a_warning(text):
    began = time.perf_counter()
    with pytest.warns(UserWarning, match=f"{WORDS} words"):
        rules = loads(f"rows = 3\ncolumns = 3\ntext = '''{text}'''")
    assert time.perf_counter() - began < 1
    assert text.startswith(rules.text)
    assert (vocabulary().tokens(rules.text) == vocabulary().tokens(text)).all()


def test_control_characters_are_stripped_from_a_text():
    assert loads('rows = 3\ncolumns = 3\ntext = "three\\u0000 in\\u001b a\\n\\trow"').text == "three in a\n\trow"
