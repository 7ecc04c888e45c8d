"""The facts of a game are what its rules say, and tell all combinations of rules apart."""

import jax
import numpy as np
import pytest

from headstart.worlds.boardgames.engine import compile_rules, stack
from headstart.worlds.boardgames.facts import FACTS, facts
from headstart.worlds.boardgames.family import combination, draw_games
from headstart.worlds.boardgames.rules import CLASSICS, Rules

REVERSI = {"only captures are moves", "captures flip", "most stones win", "the centre is filled"}

TRUE_OF = {
    CLASSICS["tic_tac_toe"]: {"a line wins", "three in line"},
    CLASSICS["misere_tic_tac_toe"]: {"a line wins", "three in line", "whoever would win loses"},
    CLASSICS["connect_four"]: {"stones drop", "a line wins", "four in line"},
    CLASSICS["gomoku"]: {"a line wins", "five in line"},
    CLASSICS["connect_six"]: {"a line wins", "more than five in line", "two stones a turn"},
    CLASSICS["reversi"]: REVERSI,
    CLASSICS["anti_reversi"]: REVERSI | {"whoever would win loses"},
    CLASSICS["hex"]: {"hexagonal cells", "a chain wins", "sides may be swapped"},
    Rules("six by drop", 7, 7, placing="drop", length=7): {"stones drop", "a line wins", "more than five in line"},
    Rules("round", 5, 5, edges="torus", capture="custody", length=4, lines="orthogonal"): {
        "joined edges",
        "captures take away",
        "a line wins",
        "four in line",
        "only orthogonal lines",
    },
    Rules("crosswise", 5, 5, lines="diagonal"): {"a line wins", "three in line", "only diagonal lines"},
    # On hexagons there are three axes, and no rule chooses among them.
    Rules("honeycomb", 5, 5, cells="hex", length=4): {"hexagonal cells", "a line wins", "four in line"},
}


def answers(games):
    return np.asarray(jax.jit(jax.vmap(facts))(stack([compile_rules(rules) for rules in games])))


@pytest.fixture(scope="module")
def answered():
    return dict(zip(TRUE_OF, answers(TRUE_OF), strict=True))


@pytest.mark.parametrize("rules", TRUE_OF, ids=lambda rules: rules.name)
def test_facts_are_what_the_rules_say(rules, answered):
    assert {fact for fact, yes in zip(FACTS, answered[rules], strict=True) if yes} == TRUE_OF[rules]


def test_every_fact_is_true_somewhere():
    assert set().union(*TRUE_OF.values()) == set(FACTS)


def test_games_that_words_tell_apart_differ_in_a_fact():
    games = draw_games(100, "train", seed=0, canvas=5)
    by_words = {}
    for rules, row in zip(games, answers(games), strict=True):
        by_words.setdefault(combination(rules), set()).add(row.tobytes())
    assert all(len(rows) == 1 for rows in by_words.values()), "size and holes are no facts"
    assert len(set().union(*by_words.values())) == len(by_words)
