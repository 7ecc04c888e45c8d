"""The tokeniser: of any texts, of any length, and of words that it never met."""

import numpy as np
import pytest

from headstart.instructions.vocabulary import PADDING, UNKNOWN, Vocabulary

words = Vocabulary.of_texts(["Go to the Well.", "the rock, then stop!"])


def test_every_word_of_its_texts_has_a_number_of_its_own():
    assert sorted(words.numbers) == [".", "go", "rock", "stop", "the", "then", "to", "well"]
    assert sorted(words.numbers.values()) == list(range(2, words.size))
    assert words.words == 5
    assert words.tokens("go TO the wéll.").tolist() == [
        words.numbers[word] for word in ("go", "to", "the", "well", ".")
    ]


def test_new_words_degrade_and_do_not_fail():
    assert words.tokens("go to the zyzzyva")[3] == UNKNOWN
    assert words.unknown_share("go to the zyzzyva") == pytest.approx(1 / 4)
    assert (words.tokens("Иди к колодцу") == [UNKNOWN] * 3 + [PADDING] * 2).all()


@pytest.mark.parametrize("given", ["", " \n", "🎲"])
def test_nothing_is_padding(given):
    assert (words.tokens(given) == PADDING).all()


def test_texts_of_any_length_are_read_to_the_limit():
    assert (words.tokens("rock " * 100_000) == words.numbers["rock"]).all()
    assert words.tokens("rock").dtype == np.int32


def test_a_vocabulary_of_nothing_knows_nothing():
    assert Vocabulary.of_texts([]).size == 2
