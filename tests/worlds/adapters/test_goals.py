"""Gymnasium's goal environments: their own word is taken where it can be, and refused in a sentence where it cannot."""

from functools import partial

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from headstart import greedy
from headstart.core.hosted import Hosted, survey
from headstart.core.networks import ActorCritics
from headstart.core.process import train
from headstart.errors import BadData, MissingExtra, UsageError
from headstart.goals.hindsight import Hindsight
from headstart.scratch.ddpg import DDPG
from headstart.worlds.adapters import gymnasium as adapter
from headstart.worlds.adapters.goals import gymnasium_goals
from headstart.worlds.adapters.gymnasium import gymnasium_host

pytestmark = pytest.mark.usefixtures("quick_to_compile")

PLACE = spaces.Box(-np.inf, np.inf, (2,))


class Reach(gymnasium.Env):
    """A point goes up to 0.2 a step; −1 until it is within 0.3 of its goal. Eight steps, and no end but the cut."""

    observation_space = spaces.Dict({"observation": PLACE, "achieved_goal": PLACE, "desired_goal": PLACE})
    action_space = spaces.Box(-1.0, 1.0, (2,))
    asked = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = np.zeros(2), 0
        way = self.np_random.uniform(-np.pi, np.pi)
        self.goal = np.array([np.cos(way), np.sin(way)])
        return self.look(), {}

    def look(self):
        return {"observation": self.place - self.goal, "achieved_goal": self.place, "desired_goal": self.goal}

    def compute_reward(self, achieved, desired, info):
        type(self).asked += 1
        return np.asarray(np.linalg.norm(achieved - desired, axis=-1) < 0.3, float) - 1.0

    def step(self, action):
        self.place, self.steps = self.place + 0.2 * action, self.steps + 1
        look = self.look()
        reward = self.compute_reward(look["achieved_goal"], look["desired_goal"], {})
        return look, float(reward), False, self.steps >= 8, {}


class Ending(Reach):
    """A goal that was reached ends the episode."""

    def compute_terminated(self, achieved, desired, info):
        return bool(np.linalg.norm(achieved - desired) < 0.3)

    def step(self, action):
        look, reward, _, cut, info = super().step(action)
        return look, reward, self.compute_terminated(look["achieved_goal"], look["desired_goal"], info), cut, info


class Mute(Reach):
    compute_reward = None

    def __init__(self):
        del type(self).compute_reward


class NoAchieved(Reach):
    observation_space = spaces.Dict({"observation": PLACE, "desired_goal": PLACE})


class OtherShape(Reach):
    observation_space = spaces.Dict(
        {"observation": PLACE, "achieved_goal": spaces.Box(-1, 1, (3,)), "desired_goal": PLACE}
    )


class Nested(Reach):
    observation_space = spaces.Dict(
        {"observation": PLACE, "achieved_goal": PLACE, "desired_goal": spaces.Dict({"place": PLACE})}
    )


class PaysOtherwise(Reach):
    def step(self, action):
        look, reward, *rest = super().step(action)
        return look, reward if self.steps < 5 else 7.0, *rest


class OneAtATime(Reach):
    def compute_reward(self, achieved, desired, info):
        return float(np.linalg.norm(achieved - desired) < 0.3) - 1.0


class AtHome(Reach):
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.goal = np.array([0.1, 0.1])
        return self.look(), {}


class Lost(Reach):
    def reset(self, *, seed=None, options=None):
        look, info = super().reset(seed=seed)
        return look | {"desired_goal": np.array([np.nan, 0.0])}, info


@pytest.mark.parametrize(
    ("environment", "error", "words"),
    [
        (NoAchieved, UsageError, "NoAchieved has no goals that hindsight can use: observations lack achieved_goal"),
        (OtherShape, UsageError, r"achieved_goal has shape \(3,\) where desired_goal has \(2,\); make them the same"),
        (Nested, UsageError, "desired_goal is Dict.*; make it one Box of one axis"),
        (PaysOtherwise, BadData, "episode 0, step 5: compute_reward gives -1.0 where step gave 7.0; let step call"),
        (OneAtATime, BadData, r"compute_reward of a batch of 1 has shape \(\); reduce over the last axis alone"),
        (AtHome, BadData, "AtHome begins every episode at its goal; draw goals apart from where an episode begins"),
        ("CartPole-v1", UsageError, "CartPoleEnv has no goals that hindsight can use: observations are a Box"),
    ],
)
def test_an_environment_whose_word_cannot_be_taken_is_refused(environment, error, words):
    with pytest.raises(error, match=words):
        gymnasium_goals(environment)


@pytest.mark.parametrize("environment", [NoAchieved, OtherShape, Nested])
def test_a_host_refuses_what_is_half_a_goal_environment(environment):
    with pytest.raises((UsageError, BadData), match="environment 0 shows a desired_goal, but"):
        gymnasium_host(environment, 1)


def test_a_goal_that_is_no_number_is_named():
    with pytest.raises(BadData, match=r"environment 0, episode 1, step 0: desired_goal\[0\] is nan; it must be finite"):
        gymnasium_host(Lost, 1).begin(0)


@pytest.mark.parametrize("environment", [Reach, Ending])
def test_the_judgement_is_the_environments_own(environment):
    goals = gymnasium_goals(environment)
    assert goals.ends == (environment is Ending)
    random = np.random.default_rng(0)
    achieved, desired = random.uniform(-0.5, 0.5, (2, 5, 7, 2)).astype(np.float32)
    environment.asked = 0
    judge = jax.jit(jax.vmap(jax.vmap(goals.judge)))
    reward, reached = jax.block_until_ready(judge(achieved, desired))
    assert environment.asked <= 2  # batches, not single goals
    near = np.linalg.norm(achieved - desired, axis=-1) < 0.3
    np.testing.assert_array_equal(reward, near - 1.0)
    np.testing.assert_array_equal(reached, near)


def test_what_cannot_be_judged_is_no_number():
    class Fails(Reach):
        def compute_reward(self, achieved, desired, info):
            if np.ndim(achieved) > 1 and len(achieved) > 3:
                raise RuntimeError("too many")
            return super().compute_reward(achieved, desired, info)

    reward, reached = jax.vmap(gymnasium_goals(Fails).judge)(jnp.zeros((4, 2)), jnp.zeros((4, 2)))
    assert np.isnan(reward).all()
    assert not reached.any()


def hosted(environment, lanes=2, **settings):
    host = gymnasium_host(environment, lanes)
    learner = DDPG(
        source=Hindsight(gymnasium_goals(environment)),
        segment=16,
        capacity=3_200,
        batch=8,
        minibatches=2,
        updates=16,
        warmup=64,
        noise=0.3,
        discount=0.9,
        learning_rate=3e-3,
        blend=0.05,
        **settings,
    )
    network = partial(ActorCritics, host, width=32, critics=1)
    return Hosted(host, network, learner, length=16, survey_steps=20)


def test_hindsight_learns_to_reach_in_an_environment():
    """Segments of 16 steps hold two episodes each: the one is never taken for the other's future."""
    process = hosted(Reach)
    state = train(process, 30, key=jax.random.key(0), chunk=10)
    found = greedy.evaluate(process, state, title="reach", episodes=20, seed=1)
    assert found.figures["at the goal at last"] >= 0.9
    assert found.figures["episodes"] == 20
    assert -8 <= found.figures["least"] <= found.figures["most"] <= -2  # three steps at least
    begun = process.init(key=jax.random.key(0))
    before = greedy.evaluate(process, begun, title="reach", episodes=20, seed=1)
    assert before.figures["at the goal at last"] <= 0.5


def test_rewards_that_are_told_again_are_the_environments_own():
    process = hosted(Ending)
    state = process.init(key=jax.random.key(0))
    _, _, rollout = process.collect(state.learner, state.percept, state.memory, key=jax.random.key(1))
    rollout = jax.tree.map(jnp.asarray, rollout)
    step = process.learner.source.rewrite(rollout, state.learner.network, key=jax.random.key(2))
    near = np.linalg.norm(step.after.observation[..., 2:] - step.percept.goal, axis=-1) < 0.3
    np.testing.assert_array_equal(step.reward, near - 1.0)
    changed = np.any(np.asarray(step.percept.goal != rollout.percept.goal), axis=-1)
    assert changed.mean() > 0.5
    np.testing.assert_array_equal(step.discount[changed], 1.0 - near[changed])


def test_a_survey_finds_what_is_typical_and_is_the_same_again():
    host = gymnasium_host(Reach, 3)
    mean, deviation = survey(host, 50)
    again = survey(gymnasium_host(Reach, 3), 50)
    assert eqx.tree_equal(jax.tree.map(jnp.asarray, (mean, deviation)), jax.tree.map(jnp.asarray, again))
    assert deviation.observation.shape == (4,)
    assert 0.4 < deviation.goal.mean() < 1.0  # of a point on the unit circle, 0.71
    assert host.clock == -1


def test_a_process_surveys_when_it_begins_and_an_outline_does_not():
    process = hosted(Reach)
    outline = process.outline(key=jax.random.key(0))
    assert process.host.clock == -1
    begun = process.init(key=jax.random.key(0))
    shape = lambda leaf: (leaf.shape, leaf.dtype)
    arrays = [eqx.filter(tree, lambda leaf: hasattr(leaf, "dtype")) for tree in (outline, begun)]
    assert jax.tree.map(shape, arrays[0]) == jax.tree.map(shape, arrays[1])
    mean, deviation = survey(gymnasium_host(Reach, process.host.lanes), process.survey_steps)
    found = begun.learner.network.typical()
    np.testing.assert_allclose(found[0], np.concatenate([mean.observation, mean.goal]), rtol=1e-6)
    np.testing.assert_allclose(found[1], np.concatenate([deviation.observation, deviation.goal]), rtol=1e-6)


def test_robots_are_found_by_name_or_their_extra_is_named(monkeypatch):
    asked = []

    def missing(module, extra):
        asked.append((module, extra))
        if module == "gymnasium":
            return gymnasium
        raise MissingExtra(f"{module} is not available; install it with:  pip install 'headstart-rl[{extra}]'")

    monkeypatch.setattr(adapter, "require", missing)
    with pytest.raises(MissingExtra, match=r"headstart-rl\[robotics\]"):
        adapter.maker("FetchNothing-v0")
    assert ("gymnasium_robotics", "robotics") in asked


@pytest.mark.parametrize(
    "name", ["FetchReach-v4", "FetchPush-v4", "FetchPickAndPlace-v4", "PointMaze_UMaze-v3", "AntMaze_UMaze-v5"]
)
def test_robots_and_mazes_judge_as_they_pay(name):
    pytest.importorskip("gymnasium_robotics")
    goals = gymnasium_goals(name)
    host = gymnasium_host(name, 1)
    sight = host.begin(0)
    assert sight.goal.shape == (1, goals.size)
    answer = host.step(np.zeros((1, host.actions.low.size), np.float32))
    achieved = goals.achieved(jnp.asarray(answer.after.observation[0]))
    reward, reached = goals.judge(achieved, jnp.asarray(answer.after.goal[0]))
    np.testing.assert_allclose(reward, answer.reward[0], atol=1e-5)
    assert not reached
