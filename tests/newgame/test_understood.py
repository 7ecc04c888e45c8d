"""Rules as beliefs take them to be: by hand, and as the agent itself would imagine them."""

import jax
import jax.numpy as jnp
import numpy as np

from headstart.newgame.understood import RULES, asked, misunderstood, taken_for
from headstart.worlds.boardgames.engine import compile_rules
from headstart.worlds.boardgames.facts import FACTS, facts
from headstart.worlds.boardgames.rules import CLASSICS, Rules

NAMES = list(RULES)


def believed(**probabilities):
    belief = np.zeros(len(FACTS))
    for name, probability in probabilities.items():
        belief[FACTS.index(name.replace("_", " "))] = probability
    return belief


def of(rules):
    return np.asarray(facts(compile_rules(rules)))


def test_the_likeliest_is_taken_and_the_ordinary_where_none_is_likely():
    answers = taken_for(believed(a_line_wins=0.2, three_in_line=0.1, stones_drop=0.4, captures_flip=0.6))
    by_name = dict(zip(NAMES, answers.tolist(), strict=True))
    assert by_name == dict.fromkeys(NAMES, 0) | {"winning": 1, "length": 1, "capture": 1}
    answers = taken_for(believed(stones_drop=0.7, only_captures_are_moves=0.8, most_stones_win=0.1))
    assert (answers[NAMES.index("placing")], answers[NAMES.index("winning")]) == (2, 3)


def test_what_a_game_does_not_have_is_not_asked():
    has = lambda rules: {name for name, one in zip(NAMES, asked(of(rules)), strict=True) if one}
    assert has(CLASSICS["tic_tac_toe"]) == set(NAMES)
    assert set(NAMES) - has(CLASSICS["reversi"]) == {"length", "lines"}
    assert set(NAMES) - has(Rules("hexagons", 5, 5, cells="hex")) == {"lines"}


def test_a_mistake_is_counted_where_it_is():
    four, misere = of(CLASSICS["connect_four"]), of(CLASSICS["misere_tic_tac_toe"])
    wrong = misunderstood(np.stack([four, misere]), np.stack([four, four]))
    assert not wrong[0].any()
    assert {name for name, one in zip(NAMES, wrong[1], strict=True) if one} == {"length", "placing", "misere"}


def test_every_fact_but_what_is_seen_answers_one_rule():
    assert sorted(name for names in RULES.values() for name in names) == sorted(set(FACTS) - {"the centre is filled"})


def test_it_is_what_the_agent_would_imagine():
    """For beliefs at random: where `imagined` makes two games of one shape, the same answers, and where not, not."""
    from headstart.worlds.boardgames.facts import imagined

    planes = jnp.zeros((8, 8, 6), bool).at[:, :, 2].set(True)
    beliefs = jax.random.uniform(jax.random.key(0), (64, len(FACTS)))
    games = jax.vmap(lambda belief: imagined(belief, planes))(beliefs)
    answers = dict(zip(NAMES, taken_for(np.asarray(beliefs)).T, strict=True))
    np.testing.assert_array_equal(games.winning + 1, answers["winning"])
    np.testing.assert_array_equal(games.length - 2, answers["length"])
    np.testing.assert_array_equal(games.placing, answers["placing"])
    np.testing.assert_array_equal(games.capture, answers["capture"])
    np.testing.assert_array_equal(games.misere, answers["misere"])
    np.testing.assert_array_equal(games.stones - 1, answers["stones"])
    np.testing.assert_array_equal(games.swap, answers["swap"])
