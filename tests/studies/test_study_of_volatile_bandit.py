"""The study of volatile bandits: its verdicts fail of their own arms, and a small one runs."""

import jax
import numpy as np
import pytest

from headstart.experience.classical.reversals import RescorlaWagner
from headstart.progress import Quiet
from headstart.studies import volatile_bandit
from headstart.studies.pupils import Deaf, Forgetful
from headstart.studies.study import Arm, Verdict
from headstart.studies.volatile_bandit import ABLE, ALONE, DEAF, IDEAL, LAST, judge, measured, pupils
from headstart.worlds.bandits import VolatileBandit

pytestmark = pytest.mark.usefixtures("quick_to_compile")
RATIO = "ratio of learning rates"
HOPED = {
    f"{ABLE}, {RATIO}": 1.6,
    f"{ABLE}, reward": 0.703,
    **{f"{name}, {RATIO}": 1.0 for name in (LAST, *ALONE)},
    f"{DEAF}, reward": 0.5,
}


def failing(**others):
    """The claims that do not hold of what is hoped for, but for some."""
    scores = HOPED | others
    arms = {name: Arm.of(np.linspace(-0.001, 0.001, 5)[:, None] + score) for name, score in scores.items()}
    return [verdict.claim for verdict in judge(arms, quick=False) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing() == []


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        (f"{ABLE}, {RATIO}", 1.49, f"{ABLE}: {RATIO}"),
        (f"{ABLE}, reward", 0.68, f"{ABLE}: nine tenths of what can be earned"),
        *((f"{name}, {RATIO}", 1.6, f"{name}: no such {RATIO}") for name in (LAST, *ALONE)),
        (f"{DEAF}, reward", 0.53, f"{DEAF}: earns next to nothing"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claim):
    assert failing(**{name: score}) == [claim]


def test_there_is_a_pupil_for_each_arm_and_each_update_sees_whole_episodes():
    found = pupils()
    assert found.keys() == {name.rpartition(", ")[0] for name in HOPED}
    for name, process in found.items():
        assert process.length == process.world.pulls == 200
        assert process.world == ALONE.get(name, VolatileBandit())
    assert isinstance(found[DEAF].network(jax.random.key(0)), Deaf)
    assert isinstance(found[LAST].network(jax.random.key(0)), Forgetful)
    assert [world.hazards for world in ALONE.values()] == [(0.01,), (0.1,)]


def test_who_learns_at_a_constant_rate_has_a_ratio_of_one(monkeypatch):
    monkeypatch.setattr(volatile_bandit, "EPISODES", 100)
    found = measured("constant", RescorlaWagner(0.3, 8.0), jax.random.key(0))
    assert found["constant, learning rate under 0.01"] == pytest.approx(0.3, rel=0.1)
    assert found[f"constant, {RATIO}"] == pytest.approx(1.0, rel=0.1)
    assert measured(DEAF, RescorlaWagner(0.3, 8.0), jax.random.key(0)) == {f"{DEAF}, reward": found["constant, reward"]}


def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    world = VolatileBandit(pulls=10)
    for name, small in (("ITERATIONS", 1), ("LANES", 8), ("WIDTH", 2), ("EPISODES", 40), ("WORLD", world)):
        monkeypatch.setattr(volatile_bandit, name, small)
    every = pupils()
    monkeypatch.setattr(volatile_bandit, "pupils", lambda: {DEAF: every[DEAF]})
    monkeypatch.setattr(volatile_bandit, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: volatile_bandit.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    found = run()
    assert found.arms.keys() >= {f"{DEAF}, reward", f"{IDEAL}, {RATIO}", f"{IDEAL} of 0.1 alone, {RATIO}"}
    assert all(np.shape(arm.scores) == (2, 1) for arm in found.arms.values())
    for how in ("taught", "judged"):
        monkeypatch.setattr(volatile_bandit, how, lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())
