"""The split holds whole combinations of rules out, and the words of both sides belong to their game."""

import numpy as np

from headstart.worlds.boardgames.family import combination, draw_games, is_held_out, read_texts, world_of


def test_training_never_meets_a_held_out_combination():
    training, held_out = draw_games(150, "train", seed=0, canvas=6), draw_games(24, "held-out", seed=0, canvas=6)
    assert not {combination(rules) for rules in training} & {combination(rules) for rules in held_out}
    assert len({combination(rules) for rules in held_out}) == 24
    assert all(is_held_out(rules) for rules in held_out)
    assert len(set(training)) == 150


def test_draws_repeat_and_grow_from_the_same_beginning():
    assert draw_games(20, "train", seed=3) == draw_games(40, "train", seed=3)[:20]


def test_a_world_tells_each_game_its_own_words():
    games = draw_games(3, "train", seed=0, canvas=5)
    world = world_of(games, canvas=5, paraphrases=2)
    assert world.words.shape == (3, 2, 160)
    assert len({row.tobytes() for row in np.asarray(world.words).reshape(6, -1)}) == 6
    np.testing.assert_array_equal(world.words, read_texts(games, "train", paraphrases=2, seed=0))
