"""The study of the horde: its truths are those of simulation, and its verdicts fail of the arm that each is about."""

import dataclasses

import jax
import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.goals.uvfa import Regression
from headstart.progress import Quiet
from headstart.studies import horde
from headstart.studies.horde import DOORS, judge, questions, run, solve, walk
from headstart.studies.study import Arm
from headstart.worlds.four_rooms import AFTER, CELLS

HOPED = {
    **{f"error: {name}": 0.01 for name in questions()},
    **{f"error: {name}, taken for the walk's": 0.2 for name in questions() if "another policy" in name},
    "demons: own goals": 1.0,
    "universal: goals of demons": 1.0,
    "universal: other goals": 0.9,
    "universal: other goals, permuted": 0.1,
    "a demon among 4,096 as a multiple of one among 512": 1.3,
}


def failing(**others):
    arms = {name: Arm.of(np.full((10, 1), score)) for name, score in (HOPED | others).items()}
    return [verdict.claim for verdict in judge(arms, quick=False) if verdict.holds is not True]


@pytest.mark.parametrize(
    ("name", "score"),
    [
        *((name, 0.021) for name in HOPED if name.startswith("error") and "walk" not in name),
        *((name, 0.019) for name in HOPED if "walk" in name),
        ("demons: own goals", 0.94),
        ("universal: goals of demons", 0.94),
        ("universal: other goals", 0.79),
        ("universal: other goals, permuted", 0.26),
        ("a demon among 4,096 as a multiple of one among 512", 2.1),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score):
    assert failing() == []
    assert len(failing(**{name: score})) == 1


@pytest.mark.parametrize("name", questions())
def test_the_truth_is_what_simulation_finds(name):
    """5,000 ways from one cell and move, each of at most 300 steps."""
    question, rng = questions()[name], np.random.default_rng(0)
    start, move, count = 10, 1, 5_000
    cells, going, total = np.full(count, AFTER[start, move]), np.ones(count), np.zeros(count)
    for _ in range(300):
        on = question.on[cells]
        total += going * (question.pays[cells] + (1.0 - on) * question.end[cells])
        going = going * on
        moves = (rng.random((count, 1)) > np.cumsum(question.target[cells], axis=1)).sum(axis=1).clip(max=3)
        cells = AFTER[cells, moves]
    error = 4 * total.std() / count**0.5 + 1e-3
    np.testing.assert_allclose(solve(question)[start, move], total.mean(), atol=error)


def test_the_doors_are_the_cells_between_rooms():
    assert len(DOORS) == 4
    for door in DOORS:
        others = {tuple(CELLS[cell] - CELLS[door]) for cell in AFTER[door]} - {(0, 0)}
        assert len(others) == 2  # out by two sides
        assert np.abs(np.sum(list(others), axis=0)).sum() == 0  # which face each other


def test_a_walk_goes_where_its_moves_lead_and_never_ends():
    walked = jax.tree.map(np.asarray, walk(jax.random.key(0), 500))
    np.testing.assert_array_equal(walked.after.observation, AFTER[walked.percept.observation, walked.action])
    np.testing.assert_array_equal(walked.percept.observation[1:], walked.after.observation[:-1])
    assert walked.percept.first.tolist() == [True, *[False] * 499]
    np.testing.assert_allclose(np.exp(walked.notes["log_prob"]), 0.25)


@pytest.mark.usefixtures("quick_to_compile")
@pytest.mark.slow  # it compiles a dozen programs
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(horde, "STEPS", 20)
    monkeypatch.setattr(horde, "FITTED", Regression(steps=2, batch=8))
    monkeypatch.setattr(horde, "CROWDS", (1, 2, 4))
    monkeypatch.setattr(horde, "CROWD_STEPS", 5)
    again = lambda: run(quick=True, seeds=1, directory=tmp_path, observer=Quiet())
    found = again()
    assert HOPED.keys() <= found.arms.keys()
    assert "microseconds a step, for each of 4 demons" in found.arms
    assert {len(arm.scores) for arm in found.arms.values()} == {1, horde.TIMES}
    monkeypatch.setattr(horde, "_each", lambda *arguments: pytest.fail("this was measured before"))
    monkeypatch.setattr(horde, "cost", lambda: pytest.fail("this was measured before"))
    assert dataclasses.asdict(again())["arms"] == dataclasses.asdict(found)["arms"]


def test_too_few_seeds_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="run at least 3"):
        run(quick=False, seeds=2, directory=tmp_path, observer=Quiet())
