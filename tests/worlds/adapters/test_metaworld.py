"""Trials of Meta-World: one goal held for all episodes, seeds that are heeded, sides that share nothing."""

import sys

import numpy as np
import pytest

from headstart.errors import MissingExtra, UsageError
from headstart.worlds.adapters.gymnasium import gymnasium_host
from headstart.worlds.adapters.metaworld import goal_trials

pytestmark = [pytest.mark.filterwarnings(each) for each in ("ignore::DeprecationWarning", "ignore::UserWarning")]


def test_without_the_extra_it_is_said_which_line_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "metaworld.env_dict", None)
    with pytest.raises(MissingExtra, match=r"headstart-rl\[metaworld\]"):
        goal_trials("reach-v3")


@pytest.fixture(scope="module")
def metaworld():
    return pytest.importorskip("metaworld.env_dict")


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("juggle-v3", {}, "juggle-v3"),
        ("reach-v3", {"side": "both"}, "both"),
        ("reach-v3", {"episodes": 0}, "0 episodes"),
        ("reach-v3", {"limit": 501}, "501 steps"),
    ],
)
def test_what_there_is_not_is_refused(metaworld, name, more, said):
    with pytest.raises(UsageError, match=said):
        goal_trials(name, **more)


def played(environment, seed, steps):
    """Everything shown and paid for the same actions, and what was told."""
    seen, info = environment.reset(seed=seed)
    shown, paid, told = [seen], [], [info]
    for step in range(steps):
        seen, reward, terminated, truncated, info = environment.step(np.sin(step + np.arange(4.0)))
        assert not terminated
        shown.append(seen)
        paid.append(reward)
        told.append(info)
        if truncated:
            break
    return np.array(shown), np.array(paid), told


def test_a_trial_is_episodes_of_one_goal_and_a_seed_decides_on_it(metaworld):
    environment = goal_trials("reach-v3", episodes=3, goals=4, limit=5)()
    shown, paid, told = played(environment, 0, 100)
    assert len(paid) == 15
    begins = shown[:, -1]
    assert begins.tolist() == [1.0, *[0.0] * 4] * 3 + [0.0]
    assert len({info["goal"] for info in told}) == 1
    assert (shown[:, 36:39] == 0).all(), "the goal is hidden"
    # The same actions in the same goal are paid the same in every episode, where the arm begins alike.
    np.testing.assert_allclose(paid[:5], paid[5:10], rtol=0.05)
    again, paid_again, _ = played(environment, 0, 100)
    np.testing.assert_array_equal(shown[0], again[0])
    np.testing.assert_allclose(paid[0], paid_again[0], rtol=1e-3)
    goals = {played(environment, seed, 1)[2][0]["goal"] for seed in range(20)}
    assert goals == set(range(4))


def test_sides_share_no_goal_and_more_goals_are_the_same_first_ones(metaworld):
    def targets(side, goals, seed=0):
        environment = goal_trials("reach-v3", side=side, goals=goals, limit=1, hidden=False, seed=seed)()
        found = {}
        for draw in range(12 * goals):
            seen, info = environment.reset(seed=draw)
            found[info["goal"]] = tuple(seen[36:39])
        assert len(found) == goals
        return [found[number] for number in range(goals)]

    train, test = targets("train", 3), targets("test", 3)
    assert not set(train) & set(test)
    assert targets("train", 2) == train[:2]
    assert targets("train", 2, seed=1) != train[:2]
    assert all(any(target) for target in train), "shown, as asked"


def test_success_is_that_of_any_step_of_an_episode(metaworld):
    """An arm that is led to the goal it is shown, and then away from it, has succeeded; in the next episode not yet."""
    environment = goal_trials("reach-v3", episodes=2, goals=1, limit=150, hidden=False)()
    seen, _ = environment.reset(seed=0)
    found = []
    for step in range(160):
        towards = seen[36:39] - seen[:3]
        action = np.append(np.clip(10.0 * towards, -1, 1) * (1 if step < 120 else -1), 0.0)
        seen, _, _, _, info = environment.step(action)
        found.append(info["success"])
    assert found[149]
    assert not found[0]
    assert not found[150]


def test_learners_of_the_house_act_in_it(metaworld):
    host = gymnasium_host(goal_trials("reach-v3", episodes=2, goals=2, limit=4), 2)
    host.begin(0)
    answers = [host.step(np.zeros((2, 4), np.float32)) for _ in range(8)]
    assert [bool(answer.last.all()) for answer in answers] == [False] * 7 + [True]
    assert (answers[-1].discount == 1).all(), "a trial is cut short, not over"
