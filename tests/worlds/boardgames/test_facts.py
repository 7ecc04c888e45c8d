"""The facts of a game are what its rules say, and tell all combinations of rules apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.facts import FACTS, facts, imagined
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


@pytest.mark.parametrize("side", ["train", "held-out"])
def test_whoever_believes_the_facts_and_sees_the_board_imagines_the_game(side):
    games = draw_games(100, side, seed=1, canvas=5)
    world = BoardGames(stack([compile_rules(rules) for rules in games]), canvas=5)
    first = jax.jit(jax.vmap(lambda game: world.reset(Task(parameters=game), key=jax.random.key(0))[1]))(world.games)
    # Believed with more or less doubt, as long as it is more likely than not.
    belief = np.where(answers(games) > 0.5, 0.8, 0.3)
    found = jax.jit(jax.vmap(imagined))(belief, first)
    for path, leaf in jax.tree_util.tree_leaves_with_path(world.games):
        same = np.asarray(leaf) == np.asarray(dict(jax.tree_util.tree_leaves_with_path(found))[path])
        assert same.all(), (path, [games[index] for index in np.flatnonzero(~same)[:3]])


def test_without_a_word_the_ordinary_game_is_imagined():
    world = BoardGames(stack([compile_rules(CLASSICS["tic_tac_toe"])]), canvas=4)
    _, first = world.reset(world.nth(0, key=jax.random.key(0)), key=jax.random.key(0))
    belief = jnp.array([{"a line wins": 0.45, "three in line": 0.4}.get(fact, 0.2) for fact in FACTS])
    found = imagined(belief, first)
    ordinary = jax.tree.map(lambda leaf: leaf[0], world.games)
    assert jax.tree.all(jax.tree.map(lambda one, other: (np.asarray(one) == np.asarray(other)).all(), found, ordinary))
