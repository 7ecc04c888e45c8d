"""The study of universal values: its verdicts fail of the arm that each is about, and a small one runs."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.goals.uvfa import Regression, TwoStream
from headstart.progress import Quiet
from headstart.studies import uvfa
from headstart.studies.study import Arm, Verdict
from headstart.studies.uvfa import FOURTH, entries, judge, policy_quality, run, steps_to_learn
from headstart.worlds.four_rooms import CELLS, FourRooms

HOPED = {
    "entries: half known": 0.98,
    "entries: half known, rank 1": 0.2,
    "held-out goals: two streams": 0.95,
    "held-out goals: one stream": 0.85,
    "held-out goals: goals permuted": 0.1,
    "held-out goals: one-hot": 0.1,
    "held-out goals: rank 1": 0.2,
    "held-out goals: times faster": 10.0,
    "a new room: times faster": 4.0,
}

SHARES = ("a quarter known", "half known", "three quarters known", "half known, rank 1")


def failing(quick=False, **others):
    arms = {name: Arm.of(np.full((10, 1), score)) for name, score in (HOPED | others).items()}
    return [verdict.claim for verdict in judge(arms, quick=quick) if verdict.holds is not True]


@pytest.mark.parametrize(
    ("name", "score", "claims"),
    [
        ("entries: half known", 0.94, 1),
        ("held-out goals: two streams", 0.79, 2),
        ("held-out goals: one stream", 0.91, 1),
        ("held-out goals: times faster", 2.9, 1),
        ("a new room: times faster", 2.9, 1),
        ("held-out goals: goals permuted", 0.26, 1),
        ("held-out goals: one-hot", 0.26, 1),
        ("held-out goals: rank 1", 0.36, 1),
        ("entries: half known, rank 1", 0.36, 1),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claims):
    assert failing() == []
    assert len(failing(**{name: score})) == claims


def test_the_fourth_room_is_one_room():
    cells = CELLS[FOURTH]
    assert (cells.min(axis=0).tolist(), cells.max(axis=0).tolist(), len(cells)) == ([8, 7], [11, 11], 20)


@pytest.mark.usefixtures("quick_to_compile")
def test_what_is_known_is_learned_at_once_and_what_is_not_takes_steps(monkeypatch):
    monkeypatch.setattr(uvfa, "NEW_STEPS", 2)
    network, goal = TwoStream(2, 2, 1, jax.random.key(0), rank=2, width=8), jnp.array(3)
    assert eqx.filter_jit(steps_to_learn)(network, goal) == 2
    monkeypatch.setattr(uvfa, "LEARNED", 0.0)
    assert eqx.filter_jit(lambda network: steps_to_learn(network, goal))(network) == 1


def test_the_true_values_have_the_best_policies():
    np.testing.assert_allclose(policy_quality(FourRooms().values(0.95)), np.ones(104), rtol=1e-5)


@pytest.mark.slow
def test_all_arms_can_be_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(uvfa, "FITTED", Regression(steps=2, batch=8))
    monkeypatch.setattr(uvfa, "NEW_GOALS", 1)
    monkeypatch.setattr(uvfa, "NEW_STEPS", 1)
    found = run(quick=True, seeds=1, directory=tmp_path, observer=Quiet())
    assert HOPED.keys() <= found.arms.keys()
    assert all(np.shape(arm.scores) == (1, 1) for arm in found.arms.values())
    assert {verdict.holds for verdict in found.verdicts} == {"undecided"}


@pytest.mark.usefixtures("quick_to_compile")
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(uvfa, "FITTED", Regression(steps=2, batch=8))
    monkeypatch.setattr(uvfa, "PARTS", {"entries": entries})
    monkeypatch.setattr(uvfa, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    again = lambda: run(quick=True, seeds=1, directory=tmp_path, observer=Quiet())
    found = again()
    assert found.arms.keys() == {f"entries: {share}" for share in SHARES}
    assert all(0 < arm.iqm <= 1 for arm in found.arms.values())
    monkeypatch.setattr(uvfa, "_each", lambda *arguments: pytest.fail("this was measured before"))
    assert dataclasses.asdict(again())["arms"] == dataclasses.asdict(found)["arms"]


def test_too_few_seeds_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="run at least 3"):
        run(quick=False, seeds=2, directory=tmp_path, observer=Quiet())
