"""Hand-written explanations: of the games that they say they are of, all of what can be told, and none generated."""

import dataclasses
import re

import numpy as np

from headstart.instructions.vocabulary import split_words
from headstart.worlds.boardgames.engine import compile_rules
from headstart.worlds.boardgames.explained import explained
from headstart.worlds.boardgames.facts import FACTS, facts
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.vocabulary import WORDS
from headstart.worlds.boardgames.words import sentences


def test_every_classic_is_explained_and_is_the_game_of_that_name():
    games = explained()
    assert len(games) >= 12
    assert games.keys() >= CLASSICS.keys()
    for name, rules in CLASSICS.items():
        assert dataclasses.replace(games[name], text=None) == rules


def test_an_explanation_is_several_sentences_and_is_read_whole():
    for rules in explained().values():
        words = split_words(rules.text)
        assert len(words) <= WORDS, rules.name
        assert words.count(".") >= 4, rules.name


def test_whatever_can_be_asked_about_a_game_is_true_of_one_and_false_of_another():
    answers = np.stack([facts(compile_rules(rules)) for rules in explained().values()])
    assert answers.shape[1] == len(FACTS)
    assert (answers.max(axis=0) == 1).all()
    assert (answers.min(axis=0) == 0).all()


def test_no_sentence_is_the_grammars_own():
    """Of many generated texts of the same games, none has a sentence of a person's."""
    rng = np.random.default_rng(0)
    for rules in explained().values():
        own = {tuple(split_words(sentence)) for sentence in re.split("[.!?]", rules.text) if sentence}
        bare = dataclasses.replace(rules, text=None)
        for split in ("train", "held-out"):
            said = {tuple(split_words(each.text)[:-1]) for _ in range(50) for each in sentences(bare, rng, split)}
            assert not own & said, rules.name
