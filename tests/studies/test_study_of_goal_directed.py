"""The study of goal-directed behaviour: its controls are what they say, and its verdicts fail of their own arms."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.networks import ActorCritic
from headstart.core.process import Online
from headstart.errors import UsageError
from headstart.goals.goal_directed import GoalDirected
from headstart.progress import Quiet
from headstart.scratch.ppo import PPO
from headstart.studies import goal_directed
from headstart.studies.goal_directed import Shuffled, Stubborn, Unmanaged, judge, pupils
from headstart.studies.page import page
from headstart.studies.study import Arm, Verdict, conclude
from headstart.worlds.point import PointGather, TwoRoomMaze

pytestmark = pytest.mark.usefixtures("quick_to_compile")
HOPED = {
    "hierarchical": (2.5, 1.0),
    "flat": (1.5, 0.0),
    "one random goal": (0.2, 0.0),
    "shuffled goals": (0.2, 0.0),
    "random goals": (0.2, 0.1),
    "a goal each step": (1.5, 0.0),
}
COSINE = "gather, hierarchical: cosine of command and move"


def arms(cosine=0.9, **others):
    """What the study hopes for, but for some: nothing half way, and a score at the end."""
    found = {}
    for name, (gathered, success) in (HOPED | others).items():
        for place, score in (("gather", gathered), ("maze", success)):
            found[f"{place}, {name}, 500 steps"] = Arm.of(np.zeros((5, 1)))
            found[f"{place}, {name}, 1,000 steps"] = Arm.of(np.full((5, 1), score))
    return found | {COSINE: Arm.of(np.full((5, 1), cosine))}


def failing(arms, quick=False):
    return [verdict.claim for verdict in judge(arms, quick=quick) if verdict.holds is not True]


def test_there_is_a_pupil_for_each_arm_and_all_claims_hold_of_what_is_hoped_for():
    assert pupils().keys() == {f"{place}, {name}" for name in HOPED for place in ("gather", "maze")}
    assert failing(arms()) == []
    single = {name: Arm.of([[arm.iqm]]) for name, arm in arms().items()}
    assert {verdict.holds for verdict in judge(single, quick=True)} == {"undecided"}


@pytest.mark.parametrize(
    ("name", "scores", "claim"),
    [
        ("hierarchical", (1.7, 1.0), "gather: hierarchical is above 1.2 times flat"),
        ("hierarchical", (2.5, 0.6), "maze, hierarchical: success"),
        ("flat", (1.5, 0.3), "maze, flat: fails"),
        ("shuffled goals", (1.9, 0.0), "gather, shuffled goals: fails"),
        ("shuffled goals", (0.2, 0.3), "maze, shuffled goals: fails"),
        ("random goals", (1.9, 0.0), "gather, random goals: fails"),
        ("random goals", (0.2, 0.3), "maze, random goals: fails"),
        ("a goal each step", (1.9, 0.0), "gather, a goal each step: fails"),
        ("a goal each step", (0.2, 0.3), "maze, a goal each step: fails"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, scores, claim):
    assert failing(arms(**{name: scores})) == [claim]


def test_a_worker_that_goes_elsewhere_is_noticed():
    assert failing(arms(cosine=0.6)) == ["gather: the worker reaches what is commanded"]


def test_the_controls_are_what_they_say():
    said, before = jax.random.normal(jax.random.key(0), (2, 9, 3))
    first = jnp.arange(9) < 4
    convey = lambda kind: np.asarray(kind(PointGather()).convey(said, before, first, key=jax.random.key(1)))
    np.testing.assert_array_equal(convey(GoalDirected), said)
    shuffled = convey(Shuffled)
    assert not np.any(shuffled == np.asarray(said))
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(said, axis=0))
    drawn = convey(Unmanaged)
    assert np.abs(drawn).max() <= 1
    assert not np.isin(drawn, said).any()
    stubborn = convey(Stubborn)
    np.testing.assert_array_equal(stubborn[4:], before[4:])
    assert not np.isin(stubborn[:4], before).any()


def test_all_arms_have_as_many_steps_and_the_same_horizon():
    found = pupils()
    assert {each.process.lanes * each.process.length for each in found.values()} == {6_400}
    goals, often = (found[f"gather, {name}"].process for name in ("hierarchical", "a goal each step"))
    np.testing.assert_allclose(often.manager.discount**goals.every, goals.manager.discount)
    np.testing.assert_allclose(often.manager.discount, found["gather, flat"].process.learner.discount, rtol=1e-3)


def test_managers_and_workers_learn_at_one_rate():
    managed = [each.process for each in pupils().values() if isinstance(each.process, GoalDirected)]
    assert len(managed) == 10
    assert {each.learning_rate for process in managed for each in (process.manager, process.worker)} == {1e-3}


def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(goal_directed, "STEPS", {"gather": 80, "maze": 160})
    monkeypatch.setattr(goal_directed, "LOOKS", 2)
    monkeypatch.setattr(goal_directed, "PIECE", 1)
    monkeypatch.setattr(goal_directed, "EPISODES", 2)
    ppo = PPO(epochs=1, minibatches=1)
    gather = goal_directed.Pupil(
        "gather", PointGather(), Shuffled(PointGather(), 5, ppo, ppo, lanes=2, stretches=4, width=4)
    )
    online = Online(TwoRoomMaze(), partial(ActorCritic, TwoRoomMaze(), width=4), ppo, lanes=2, length=40)
    flat = goal_directed.Pupil("maze", TwoRoomMaze(), online)
    monkeypatch.setattr(goal_directed, "pupils", lambda: {"gather, hierarchical": gather, "maze, flat": flat})
    monkeypatch.setattr(goal_directed, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: goal_directed.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    found = run()
    assert list(found.arms) == [
        "gather, hierarchical, 40 steps",
        "gather, hierarchical, 80 steps",
        COSINE,
        "maze, flat, 80 steps",
        "maze, flat, 160 steps",
    ]
    assert all(np.shape(arm.scores) == (2, 1) for arm in found.arms.values())
    assert -1 <= found.arms[COSINE].iqm <= 1
    monkeypatch.setattr(goal_directed, "learn", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())
    monkeypatch.setattr(goal_directed, "EPISODES", 3)
    with pytest.raises(pytest.fail.Exception):  # this was not
        run()


def test_too_few_seeds_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="run at least 3"):
        goal_directed.run(quick=False, seeds=2, directory=tmp_path, observer=Quiet())


def test_the_result_has_a_page():
    about = {"study": "goal_directed", "claim": "c", "paper": goal_directed.PAPER, "quick": False}
    result = conclude(arms=arms(), verdicts=judge(arms(), quick=False), seconds=0.0, **about)
    shown = page(result).html()
    for place, other in (("gather", "maze"), ("maze", "gather")):
        (curves,) = set(re.findall(rf"Score against steps in the world, for {place}[^.]*", shown))
        assert curves.count(f"{place}, ") == len(HOPED)
        assert other not in curves


def test_only_the_first_episode_of_a_lane_counts():
    last = jnp.array([[False, True], [True, False], [False, True]])
    np.testing.assert_array_equal(goal_directed._first(last), [[1, 1], [1, 0], [0, 0]])
    assert TwoRoomMaze.limit % 10 == PointGather.limit % 10 == 0, "whole stretches are played"
