"""The study of rule texts: its verdicts fail of the arm that each is about, and a small one runs, with and without."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.instructions.encoders import AbstractEncoder
from headstart.instructions.minilm import SIZE
from headstart.newgame.understood import RULES
from headstart.progress import Quiet
from headstart.studies import rule_texts as study
from headstart.studies.rule_texts import (
    CLASSICS,
    DEALT,
    FROZEN,
    LEARNED,
    MISTAUGHT,
    MISTOLD,
    NEW,
    PARAPHRASES,
    SHIPPED,
    WHOLE,
    Embedded,
    Library,
    Size,
    dealt,
    in_sentences,
    judge,
    judged,
    of_another,
    run,
)
from headstart.studies.study import Arm
from headstart.worlds.boardgames.explained import explained

TINY = Size(games=6, judged=40, steps=2, texts=4)
SCORES = {NEW: 0.99, PARAPHRASES: 0.95, CLASSICS: 0.7, MISTOLD: -0.3, DEALT: 0.0}


class Heard(Quiet):
    """An observer that remembers what it was warned of."""

    def __init__(self):
        self.warned = []

    def warn(self, sentence):
        self.warned.append(sentence)


@pytest.fixture(scope="module")
def library():
    return Library(TINY)


def failing(whos=(LEARNED, FROZEN, WHOLE), **others):
    scores = {f"{side}, {who}": score for side, score in SCORES.items() for who in whos}
    scores |= {f"{CLASSICS}, {WHOLE}": 0.4}
    scores |= {f"{NEW}, {who}{MISTAUGHT}": 0.02 for who in whos}
    arms = {name: Arm.of(np.full((3, 1), score)) for name, score in (scores | others).items()}
    return [verdict.claim for verdict in judge(arms, quick=False) if verdict.holds is not True]


@pytest.mark.parametrize(
    ("arm", "score", "claims"),
    [
        (f"{NEW}, {LEARNED}", 0.85, 1),
        (f"{PARAPHRASES}, {FROZEN}", 0.75, 1),
        (f"{CLASSICS}, {LEARNED}", 0.45, 1),
        (f"{CLASSICS}, {LEARNED}", 0.75, 1),
        (f"{CLASSICS}, {WHOLE}", 0.75, 1),
        (f"{MISTOLD}, {FROZEN}", 0.2, 1),
        (f"{DEALT}, {LEARNED}", 0.2, 1),
        (f"{NEW}, {FROZEN}{MISTAUGHT}", 0.2, 1),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(arm, score, claims):
    assert failing() == []
    assert len(failing(**{arm: score})) == claims


def test_without_the_frozen_encoder_only_the_learned_one_is_judged():
    assert failing(whos=(LEARNED,)) == []
    assert failing(whos=(LEARNED,), **{f"{CLASSICS}, {LEARNED}": 0.45}) == [f"{LEARNED}: understands {CLASSICS}"]


def test_controls_tell_of_other_games_in_the_same_words(library):
    own, another = library.judged[CLASSICS], library.judged[MISTOLD]
    assert sorted(another.texts) == sorted(own.texts)
    places = [own.texts.index(text) for text in another.texts]
    assert not (own.meant[places] == own.meant).all(axis=1).any(), "no classic is told in the words of its like"
    assert of_another("abcdef") == list("defabc")
    mixed = library.judged[DEALT].texts
    assert sorted(" ".join(mixed).split()) == sorted(" ".join(own.texts).split())
    assert [len(text.split()) for text in mixed] == [len(text.split()) for text in own.texts]
    assert not set(mixed) & set(own.texts)
    assert dealt(["a b c", "d"], np.random.default_rng(0)) != ["a b c", "d"]


def test_no_classic_and_no_held_out_combination_is_taught(library):
    assert not set(library.taught.texts) & {text for told in library.judged.values() for text in told.texts}
    assert {rules.text for rules in explained().values()} == set(library.judged[CLASSICS].texts)


def test_a_text_is_taken_apart_where_its_sentences_end():
    assert in_sentences("One wins. Really! Is it so? It is, 3 by 3.") == [
        "One wins.", "Really!", "Is it so?", "It is, 3 by 3.",
    ]  # fmt: skip


def test_each_sentence_is_embedded_once_and_found_by_its_number():
    asked = []

    def embed(parts):
        asked.extend(parts)
        return np.array([[len(part)] * SIZE for part in parts], np.float32)

    embedded = Embedded(["A b. C.", "C. A b. D e f."], in_sentences, embed, Quiet())
    assert asked == [], "nothing is embedded before it is needed"
    table = np.asarray(embedded.table)[:, 0]
    assert asked == ["A b.", "C.", "D e f."]
    np.testing.assert_array_equal(table[embedded("A b. C.")], [4, 2, 0])
    np.testing.assert_array_equal(table[embedded("C. A b. D e f.")], [2, 4, 6])


class Answers(AbstractEncoder):
    """Takes a text's answers, 1 or −1, for its words, and is sure of them; or of something else, whatever it reads."""

    instead: Any = None

    def __call__(self, tokens):
        return 9.0 * tokens if self.instead is None else self.instead


def test_scores_are_1_for_who_knows_and_below_0_for_who_believes_the_opposite(library):
    sides = {side: library.judged[side] for side in (NEW, PARAPHRASES, CLASSICS)}
    some = Library.__new__(Library)
    vars(some).update(vars(library) | {"judged": sides})
    meant = {text: told.meant[row] for told in sides.values() for row, text in enumerate(told.texts)}
    answers = lambda text: (2 * meant[text] - 1).astype(np.int32)
    known = judged("who", [Answers()], answers, some)
    assert set(known) == {
        *(f"{arm}, who" for arm in (*sides, *explained())),
        *(f"{rule} of {side}, who" for rule in RULES for side in (PARAPHRASES, CLASSICS)),
    }
    assert all(score == [1.0] for score in known.values())
    opposite = judged("who", [Answers()], lambda text: -answers(text), some, singly=False)
    assert all(score < 0 for (score,) in opposite.values())
    common = jnp.log(some.unheard) - jnp.log1p(-jnp.asarray(some.unheard))
    nothing = judged("who", [Answers(common)], answers, some, singly=False)
    assert all(score == 0 for (score,) in nothing.values())


def hashed(texts):
    """Embeddings that are drawn by the text alone."""
    draw = lambda text: np.random.default_rng(list(text.encode())).normal(size=SIZE)
    return np.stack([draw(text) / SIZE**0.5 for text in texts]).astype(np.float32)


@pytest.mark.usefixtures("quick_to_compile")
def test_a_small_one_runs_and_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "QUICK", TINY)
    monkeypatch.setattr(study, "MiniLM", lambda: hashed)
    result = run(quick=True, seeds=1, directory=tmp_path, observer=Quiet())
    assert {f"{side}, {who}" for side in SCORES for who in (LEARNED, FROZEN, WHOLE, SHIPPED)} <= result.arms.keys()
    assert {f"{NEW}, {who}{MISTAUGHT}" for who in (LEARNED, FROZEN)} <= result.arms.keys()
    assert result.claim == study.CLAIM
    assert all(np.isfinite(arm.iqm) for arm in result.arms.values())
    monkeypatch.setattr(study, "learn", lambda *_, **__: pytest.fail("measured twice"))
    assert run(quick=True, seeds=1, directory=tmp_path, observer=Quiet()).arms == result.arms


def test_without_weights_it_says_in_one_sentence_what_is_missing(monkeypatch, tmp_path):
    def nowhere():
        raise UsageError("the weights are not here; name their folder.")

    monkeypatch.setattr(study, "QUICK", TINY)
    monkeypatch.setattr(study, "MiniLM", nowhere)
    one = {f"{side}, {{}}": [0.5] for side in SCORES}
    fake = lambda who, *_, **__: {arm.format(who): scores for arm, scores in one.items()}
    monkeypatch.setattr(study, "learn", fake)
    observer = Heard()
    result = run(quick=True, seeds=None, directory=tmp_path, observer=observer)
    (warned,) = observer.warned
    assert re.fullmatch(r"the frozen encoder is not measured: the weights are not here; .*\.", warned)
    assert result.claim == study.ALONE
    assert not [name for name in result.arms if FROZEN in name]


def test_who_is_mistaught_learns_each_game_from_the_text_of_another(library):
    pupil = study.Pupil(study.vocabulary().tokens, lambda: study.new_reader)
    own, other = (study.lessons(pupil, library, TINY, mistaught=mistaught).games for mistaught in (False, True))
    np.testing.assert_array_equal(own.words, np.roll(other.words, -1, axis=0))
    assert not (own.words == other.words).all(axis=(1, 2)).any()
    assert jax.tree.all(jax.tree.map(lambda one, two: bool((one == two).all()), own.games, other.games))
