"""The study of RL²: its controls are what they say, and its verdicts fail of their own arms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect
from headstart.core.networks import RecurrentActorCritic
from headstart.core.types import Choice
from headstart.core.wrappers import Trials
from headstart.errors import UsageError
from headstart.progress import Quiet
from headstart.studies import rl2
from headstart.studies.pupils import Deaf
from headstart.studies.rl2 import FAMILIES, Family, Unrelated, judge, pupils
from headstart.studies.study import Arm, Verdict
from headstart.worlds.bandits import Bandit
from headstart.worlds.tabular import TabularMDP

pytestmark = pytest.mark.usefixtures("quick_to_compile")
BLANKED, UNHEARD, ANOTHER = "memory blanked each episode", "rewards not heard", "another task each episode"
HOPED = {
    "10 pulls, RL²": 6.63,
    f"10 pulls, {BLANKED}": 5.0,
    f"10 pulls, {UNHEARD}": 5.0,
    f"10 pulls, {ANOTHER}": 5.0,
    "100 pulls, RL²": 78.2,
    "100 pulls, tuned UCB": 78.0,
    "MDP, RL²": 153.0,
    "MDP, posterior sampling, prior mean 0": 140.0,
    "MDP, greedy planning, prior mean 0": 129.0,
    f"MDP, {BLANKED}": 108.0,
    f"MDP, {UNHEARD}": 100.0,
    f"MDP, {ANOTHER}": 108.0,
}


def arms(**others):
    """What the study hopes for, but for some, with a spread between seeds."""
    return {name: Arm.of(np.linspace(-0.01, 0.01, 5)[:, None] + score) for name, score in (HOPED | others).items()}


def failing(arms, quick=False):
    return [verdict.claim for verdict in judge(arms, quick=quick) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing(arms()) == []
    single = {name: Arm.of([[arm.iqm]]) for name, arm in arms().items()}
    assert {verdict.holds for verdict in judge(single, quick=True)} == {"undecided"}


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        ("10 pulls, RL²", 6.58, "10 pulls: 0.99 of the most that can be earned"),
        ("100 pulls, tuned UCB", 78.5, "100 pulls: no more than 1 standard error below tuned UCB"),
        ("MDP, RL²", 147.0, "MDP: earned"),
        (
            "MDP, posterior sampling, prior mean 0",
            152.99,
            "MDP: 3 standard errors above posterior sampling, prior mean 0",
        ),
        ("MDP, greedy planning, prior mean 0", 152.99, "MDP: 3 standard errors above greedy planning, prior mean 0"),
        *((f"10 pulls, {name}", 5.2, f"10 pulls, {name}: fails") for name in (BLANKED, UNHEARD, ANOTHER)),
        *((f"MDP, {name}", 115.0, f"MDP, {name}: fails") for name in (BLANKED, UNHEARD, ANOTHER)),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claim):
    assert failing(arms(**{name: score})) == [claim]


def test_too_little_earned_in_100_pulls_fails_by_either_measure():
    assert failing(arms(**{"100 pulls, RL²": 77.0})) == [
        "100 pulls: earned",
        "100 pulls: no more than 1 standard error below tuned UCB",
    ]


def test_there_is_a_pupil_for_each_arm_and_each_update_sees_whole_trials():
    found = {name: pupil.process for family in FAMILIES for name, pupil in pupils(family).items()}
    gated = {f"{family}, RL², gated recurrent unit" for family in ("10 pulls", "MDP")}
    assert found.keys() == {name for name in HOPED if name.endswith(("RL²", UNHEARD, ANOTHER))} | gated
    for name, process in found.items():
        family = FAMILIES[name.split(",")[0]]
        assert process.length == family.horizon * family.episodes
        assert family.steps % (process.lanes * process.length) == 0
    assert isinstance(found[f"10 pulls, {UNHEARD}"].network(jax.random.key(0)), Deaf)
    assert isinstance(found[f"MDP, {ANOTHER}"].world, Unrelated)


def played(world, length, lanes=4):
    """Some trials of who always does 0."""
    network = RecurrentActorCritic(world, jax.random.key(0), width=4)
    act = lambda percept, memory, *, key: (Choice(jnp.zeros((), jnp.int32)), memory)
    start = begin(world, network, lanes, key=jax.random.key(1))
    return collect(world, network, act, start, length, key=jax.random.key(2))[1]


def test_in_unrelated_trials_each_episode_has_a_task_of_its_own():
    class Told(Bandit):
        """A bandit that pays what its first arm is worth, for sure."""

        def step(self, state, task, action, *, key):
            state, outcome = super().step(state, task, action, key=key)
            return state, type(outcome)(outcome.observation, task.parameters[0], outcome.discount, outcome.last)

    for kind, tasks in ((Trials, 1), (Unrelated, 5)):
        steps = played(kind(Told(2), 5), 5)
        assert all(len(np.unique(lane)) == tasks for lane in np.asarray(steps.reward).T)
        assert (np.asarray(steps.last) == (np.arange(5) == 4)[:, None]).all()
        assert (np.asarray(steps.percept.observation.begins) == 1).all()


@pytest.mark.slow  # it compiles a dozen programs
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(rl2, "TRIALS", 8)
    monkeypatch.setattr(rl2, "TASKS", 8)
    monkeypatch.setattr(rl2, "WIDTH", 4)
    small = {
        "10 pulls": Family(Bandit(2), 1, 3, 96, 8, 0.3, 1.0, 1.5, 2.0),
        "MDP": Family(TabularMDP(3, 2, 2), 2, 2, 64, 8, 0.3, 4.0, 4.0, 6.0),
    }
    monkeypatch.setattr(rl2, "FAMILIES", small)
    monkeypatch.setattr(rl2, "CONTROLLED", ("10 pulls",))
    # One pupil a family: what the others are made of has tests of its own, and each takes its time to compile.
    monkeypatch.setattr(rl2, "pupils", lambda family: dict(list(pupils(family).items())[:1]))
    monkeypatch.setattr(rl2, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: rl2.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    found = run()
    hoped = {"10 pulls, RL²", f"10 pulls, {BLANKED}", "10 pulls, tuned UCB", "MDP, RL²", "MDP, the truth known"}
    assert found.arms.keys() >= hoped
    assert all(np.shape(arm.scores) == (2, 1) for arm in found.arms.values())
    monkeypatch.setattr(rl2, "learn", lambda *arguments: pytest.fail("this was measured before"))
    monkeypatch.setattr(rl2, "play", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())


def test_too_few_seeds_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="run at least 3"):
        rl2.run(quick=False, seeds=2, directory=tmp_path, observer=Quiet())
