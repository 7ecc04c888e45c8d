"""The study of transfer by words: verdicts fail of their own arms, controls take what they should, a small one runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.types import Output
from headstart.progress import Quiet
from headstart.studies import language_transfer as study
from headstart.studies.language_transfer import (
    BABBLE,
    FLAT,
    MIMIC,
    NUMBERS,
    SCRATCH,
    SIDES,
    TEXT,
    Babble,
    judge,
    pupils,
)
from headstart.studies.study import Arm, Verdict
from headstart.worlds.friends_and_enemies import vocabulary

pytestmark = pytest.mark.usefixtures("quick_to_compile")

SIDES_OF = (SIDES["source"], SIDES["target"])
HOPED = {
    **{f"{TEXT}: {side}": 0.9 for side in ("source", "target", "target, new sentences", "target, on average")},
    f"{TEXT}: target, no words": -0.2,
    f"{TEXT}: target, words of another thing": -0.9,
    **{f"{name}: target, on average": 0.5 for name in (FLAT, NUMBERS, MIMIC, SCRATCH)},
    **{f"{name}: target": -0.2 for name in (NUMBERS, BABBLE)},
}


def failing(**others):
    """The claims that do not hold of what is hoped for, but for some."""
    arms = {name: Arm.of(np.linspace(-0.001, 0.001, 5)[:, None] + score) for name, score in (HOPED | others).items()}
    return [verdict.claim for verdict in judge(arms, quick=False) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing() == []


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        (f"{TEXT}: source", 0.7, "source: learned"),
        (f"{TEXT}: target, new sentences", 0.3, "jump start, new sentences: the same"),
        *(
            (f"{name}: target, on average", 0.75, f"on average: above {name}")
            for name in (FLAT, NUMBERS, MIMIC, SCRATCH)
        ),
        (f"{TEXT}: target, words of another thing", -0.2, "words of another thing: worse than none"),
        (f"{TEXT}: target, no words", 0.1, f"no words: no better than {NUMBERS}"),
        (f"{BABBLE}: target", 0.1, f"{BABBLE}: no better than {NUMBERS}"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claim):
    assert failing(**{name: score}) == [claim]


def test_a_jump_start_must_be_above_that_of_numbers_and_a_share_of_the_source():
    assert failing(**{f"{TEXT}: target": 0.29}) == [
        f"jump start: above that of {NUMBERS}",
        "jump start: 0.4 of the source",
    ]


def test_who_hears_no_words_sees_all_numbers_and_who_hears_them_must_do_without_at_times():
    for name, pupil in pupils().items():
        silent = name in (NUMBERS, MIMIC)
        assert (pupil.source.told, pupil.target.told) == (("nothing",) * 2 if silent else ("train",) * 2)
        assert (pupil.source.hidden, pupil.target.hidden) == (0.0 if silent else study.HIDDEN, 0.0)
        assert (pupil.source.side, pupil.target.side) == ("source", "target")
        assert pupil.network(jax.random.key(0)).steps == (0 if name in (FLAT, MIMIC) else 3)
    assert [pupil.iterations for name, pupil in pupils().items() if name != SCRATCH] == [study.SOURCE] * 5


def test_babble_says_as_many_words_and_others_each_time():
    numbers = jnp.array([0, 3])
    said = lambda world, key: np.asarray(world.say(numbers, key=jax.random.key(key)))
    first, second = (said(Babble(), key) for key in (0, 1))
    np.testing.assert_array_equal(first > 0, said(SIDES["source"], 0) > 0)
    assert (first[first > 0] < vocabulary().size).all()
    assert len(set(first) & set(said(SIDES["source"], 0))) < len(set(first))
    assert not np.array_equal(first, second)


class Placed(AbstractNetwork):
    """Values by one's own place alone, which compile in no time."""

    weight: jax.Array
    steps: int = 0

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(self.weight @ percept.observation.place.astype(jnp.float32)), None


@pytest.mark.slow  # it compiles a dozen programs
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    for name, small in {"SOURCE": 4, "TARGET": 4, "STAGES": 2, "LANES": 4, "JUDGED": 20}.items():
        monkeypatch.setattr(study, name, small)
    monkeypatch.setattr(study, "SIDES", {"source": SIDES["source"], "target": SIDES["target"]})
    network = lambda key: Placed(jax.random.normal(key, (5, 2)))
    every = {name: study.Pupil(network, *SIDES_OF, 4) for name in (TEXT, NUMBERS, MIMIC)}
    monkeypatch.setattr(study, "pupils", lambda: every)
    monkeypatch.setattr(study, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: study.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    found = run()
    sides = ("source", "target", "target, on average")
    assert list(found.arms) == [f"{name}: {side}" for name in every for side in sides]
    assert all(np.shape(arm.scores) == (2, 1) for arm in found.arms.values())
    assert all(np.abs(arm.scores).max() <= 1 for arm in found.arms.values())
    monkeypatch.setattr(study, "taught", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())
