"""The study of BabyAI: its verdicts fail of the arm that each is about, paraphrases share no word, a small one runs."""

import jax
import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.instructions.encoders import BagOfWords
from headstart.instructions.minilm import SIZE
from headstart.progress import Quiet
from headstart.studies import babyai as study
from headstart.studies.babyai import ALL, FROZEN, LEARNED, SHUFFLED, Judges, Pupil, Size, embedded, judge, lessons, run
from headstart.studies.study import Arm
from headstart.worlds.adapters.babyai import PARTS, Level, Levels, reworded, vocabulary

pytestmark = pytest.mark.usefixtures("quick_to_compile")

MISSIONS = ("go to the red ball", "go to a grey key", "pick up a blue box on your left", "pick up the key behind you")


def levels(missions=MISSIONS):
    count = len(missions)
    cells = np.zeros((count, 8, 8), np.uint8)
    arrays = Level(
        kinds=cells + 1,
        colours=cells,
        asked=cells > 0,
        to_carry=np.zeros(count, bool),
        place=np.ones((count, 2), np.int32),
        direction=np.zeros(count, np.int32),
        limit=np.full(count, 64, np.int32),
    )
    return Levels("GoToLocal", arrays, missions)


def arms(whos=(LEARNED, FROZEN), **others):
    scores = {f"{level}, {who}": 0.97 for level in ("GoToLocal", "PickupLoc") for who in whos}
    scores |= {f"{level}, {who}: {ALL} in other words": 0.5 for level in ("GoToLocal", "PickupLoc") for who in whos}
    if FROZEN in whos:
        scores |= {f"{level}, {FROZEN}: {ALL} in other words": 0.8 for level in ("GoToLocal", "PickupLoc")}
    scores |= {f"{level}, {SHUFFLED}": 0.5 for level in ("GoToLocal", "PickupLoc")}
    scores |= {f"GoToObj, {LEARNED}": 1.0}
    return {name: Arm.of(np.full((3, 1), score)) for name, score in (scores | others).items()}


def failing(**others):
    return [verdict.claim for verdict in judge(arms(**others), quick=False) if verdict.holds is not True]


@pytest.mark.parametrize(
    ("arm", "score", "said"),
    [
        (f"GoToObj, {LEARNED}", 0.85, [f"GoToObj, {LEARNED}: success rate"]),
        (f"PickupLoc, {FROZEN}", 0.85, [f"PickupLoc, {FROZEN}: success rate"]),
        (f"GoToLocal, {SHUFFLED}", 0.85, [f"GoToLocal: far better than with {SHUFFLED}"]),
        (
            f"PickupLoc, {SHUFFLED}",
            0.95,
            [f"PickupLoc, {SHUFFLED}: fails", f"PickupLoc: far better than with {SHUFFLED}"],
        ),
        (
            f"GoToLocal, {FROZEN}: {ALL} in other words",
            0.65,
            [f"GoToLocal, {ALL} in other words: {FROZEN} far above {LEARNED}"],
        ),
    ],
)
def test_each_verdict_fails_of_the_arm_that_it_is_about(arm, score, said):
    assert failing() == []
    assert failing(**{arm: score}) == said


def test_without_frozen_weights_there_is_nothing_to_say_of_them():
    alone = judge(arms(whos=(LEARNED,)), quick=False)
    assert len(alone) == 3 + 4
    assert not any(FROZEN in verdict.claim for verdict in alone)


@pytest.mark.parametrize("part", PARTS)
def test_other_words_are_words_that_no_mission_has(part):
    known = vocabulary()
    by_english = {"left", "right"}  # for which there are no others
    rng = np.random.default_rng(0)
    frame = {"go", "to", "pick", "up", "a", "the", "in", "front", "of", "behind", "on", "your", "you"}
    changed = 0
    for _ in range(20):
        for mission in MISSIONS:
            other = reworded(mission, (part,), rng)
            new = set(other.split()) - set(mission.split())
            assert not {word for word in new if word in known.numbers} - frame - by_english
            changed += other != mission
    assert changed >= 20
    with pytest.raises(UsageError, match="adverb"):
        reworded(MISSIONS[0], ("adverb",), rng)


def test_what_no_mission_has_is_not_judged_and_the_same_mission_is_said_in_the_same_way():
    near = Judges.of(levels((*MISSIONS[:2], MISSIONS[0])))
    assert near.missions.keys() == {"verb", "thing", "colour", ALL}
    assert near.missions[ALL][0] == near.missions[ALL][2] != MISSIONS[0]
    assert Judges.of(levels()).missions.keys() == {*PARTS, ALL}


def test_each_text_is_a_row_and_rows_lack_what_all_missions_share():
    judges, taught = {"GoToLocal": Judges.of(levels())}, {"GoToLocal": levels()}
    shared = np.ones(SIZE, np.float32)

    def embed(texts):
        own = [np.random.default_rng(list(text.encode())).normal(size=SIZE).astype(np.float32) for text in texts]
        return 5.0 * shared + np.stack(own)

    numbered, table = embedded(judges, taught, embed)
    texts = {*MISSIONS, *(text for said in judges["GoToLocal"].missions.values() for text in said)}
    assert sorted(int(numbered(text)[0]) for text in texts) == list(range(len(texts)))
    met = np.asarray(table)[[int(numbered(mission)[0]) for mission in MISSIONS]]
    np.testing.assert_allclose(met.mean(axis=0), 0.0, atol=1e-6)
    assert np.linalg.norm(met, axis=1).mean() == pytest.approx(1.0)
    assert abs(np.asarray(table) @ shared / SIZE**0.5).max() < 0.5, "also of those that were not met"


def test_who_is_shuffled_hears_the_mission_of_another_level():
    words = vocabulary()
    encoder = lambda size, *, key: BagOfWords(words.size, size, key=key)
    told, other = (lessons(Pupil(words.tokens, encoder, shuffled), levels(), 1) for shuffled in (False, True))
    own = np.asarray(told.process.world.told)
    np.testing.assert_array_equal(own, [words.tokens(mission) for mission in MISSIONS])
    assert (np.asarray(other.process.world.told) != own).any(axis=1).all()


class Heard(Quiet):
    def __init__(self):
        self.warned = []

    def warn(self, sentence):
        self.warned.append(sentence)


@pytest.mark.parametrize("weights", [True, False])
def test_a_study_is_of_all_who_can_be_taught(tmp_path, monkeypatch, weights):
    def minilm():
        if not weights:
            raise UsageError("the weights are not here")
        return lambda texts: np.random.default_rng(0).normal(size=(len(texts), SIZE))

    def learn(name, pupil, process, iterations, size, judges, seeds):
        good = 0.5 if pupil.shuffled else 0.97
        parts = {} if pupil.shuffled else {f"{name}: {part} in other words": [good] * seeds for part in judges.missions}
        return {name: [good] * seeds} | parts

    monkeypatch.setattr(study, "MiniLM", minilm)
    monkeypatch.setattr(study, "draw_levels", lambda name, count, seed=0: levels())
    monkeypatch.setattr(study, "learn", learn)
    observer = Heard()
    result = run(quick=False, seeds=3, directory=tmp_path, observer=observer)
    assert len(observer.warned) == (not weights)
    assert result.claim == (study.CLAIM if weights else study.ALONE)
    assert f"GoToObj, {LEARNED}" in result.arms
    assert not {f"GoToObj, {SHUFFLED}", f"GoToObj, {FROZEN}"} & result.arms.keys(), "there is nothing to choose"
    assert len(result.verdicts) == (3 + 2 + 4 + 2 if weights else 3 + 4)
    failed = [verdict.claim for verdict in result.verdicts if not verdict.holds]
    assert len(failed) == (2 if weights else 0), "both understand all words alike here"


@pytest.mark.slow
def test_a_small_study_runs_without_the_weights_and_goes_on(tmp_path, monkeypatch):
    pytest.importorskip("minigrid")

    def missing():
        raise UsageError("the weights are not here")

    monkeypatch.setattr(study, "MiniLM", missing)
    observer = Heard()
    size = Size({"GoToObj": 2, "GoToLocal": 2}, stages=2, levels=20, judged=10)
    result = run(quick=True, seeds=1, directory=tmp_path, observer=observer, size=size)
    assert observer.warned == ["the frozen encoder is not measured: the weights are not here"]
    assert result.claim == study.ALONE
    assert result.arms[f"GoToLocal, {LEARNED}: thousand steps to 0.9"].iqm == pytest.approx(8.192)
    episodes = result.arms[f"GoToLocal, {LEARNED}: thousand episodes to 0.9"].iqm
    assert 2 * 64 / 1_000 <= episodes <= 1.0, "as many lanes, of 64 steps each, and hardly any mission done"
    again = run(quick=True, seeds=1, directory=tmp_path, observer=observer, size=size)
    assert again.arms == result.arms
    assert jax.tree.all(jax.tree.map(np.isfinite, [list(arm.scores) for arm in result.arms.values()]))
