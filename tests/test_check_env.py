import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from headstart.check_env import check, render
from headstart.core.types import Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

LINE = spaces.Box(-1.0, 1.0, (3,), np.float64)


class Plain(gymnasium.Env):
    observation_space = LINE
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self.look(), {}

    def look(self):
        return self.np_random.uniform(-1, 1, 3)

    def step(self, action):
        self.count += 1
        observation, reward = self.spoil() if self.count == 5 else (self.look(), 1.0)
        return observation, reward, False, self.count >= 10, {}

    def spoil(self):
        return self.look(), 1.0


class NanObservation(Plain):
    def spoil(self):
        return np.array([0.0, np.nan, 0.0]), 1.0


class NanReward(Plain):
    def spoil(self):
        return self.look(), float("nan")


class Raises(Plain):
    def spoil(self):
        raise RuntimeError("the gripper is stuck")


class Reshapes(Plain):
    def spoil(self):
        return np.zeros(4), 1.0


class Retypes(Plain):
    def spoil(self):
        return np.array(["a", "b", "c"]), 1.0


class Outside(Plain):
    def spoil(self):
        return np.full(3, 2.0), 1.0


class Unseeded(Plain):
    def look(self):
        return np.append(np.zeros(2), np.random.default_rng().uniform())


class Endless(Plain):
    def step(self, action):
        return np.zeros(3), 0.0, False, False, {}


class PairOfRewards(Plain):
    def spoil(self):
        return self.look(), np.zeros(2)


class Unlearnable(Plain):
    action_space = spaces.MultiDiscrete([2, 2])


class Goal(Plain):
    observation_space = spaces.Dict({"observation": LINE, "achieved_goal": LINE, "desired_goal": LINE})

    def look(self):
        achieved, desired = self.np_random.uniform(-1, 1, (2, 3))
        return {"observation": np.zeros(3), "achieved_goal": achieved, "desired_goal": desired}

    def compute_reward(self, achieved, desired, info):
        return -np.linalg.norm(achieved - desired, axis=-1)

    def step(self, action):
        observation, _, terminated, truncated, info = super().step(action)
        reward = self.compute_reward(observation["achieved_goal"], observation["desired_goal"], info)
        return observation, reward, terminated, truncated, info


class OtherGoal(Goal):
    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, 3.0, *rest


class NoAchieved(Goal):
    observation_space = spaces.Dict({"observation": LINE, "desired_goal": LINE})

    def look(self):
        return {"observation": np.zeros(3), "desired_goal": np.zeros(3)}

    step = Plain.step


class Unbatched(Goal):
    def compute_reward(self, achieved, desired, info):
        return -np.linalg.norm(achieved - desired)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("NanObservation", "non-finite", "episode 0, step 5: observation[1] is nan"),
        ("NanReward", "non-finite", "episode 0, step 5: the reward is nan"),
        ("Raises", "raises", "episode 0, step 5: it raised RuntimeError: the gripper is stuck"),
        ("Reshapes", "shape", "step 5: observation has shape (4,) where its space has (3,)"),
        ("Retypes", "shape", "step 5: observation has dtype <U1"),
        ("Outside", "bounds", "step 5: observation is outside"),
        ("Unseeded", "seed", "two resets with seed 0 differ at obs[2]"),
        ("Endless", "endless", "TimeLimit"),
        ("PairOfRewards", "reward", "return one number"),
        ("Unlearnable", "actions", "only Discrete and a Box"),
        ("OtherGoal", "goal", "where step gave 3.0"),
        ("NoAchieved", "goal", "observations lack achieved_goal; show all three"),
        ("Unbatched", "goal", "compute_reward of a batch of 1 has shape ()"),
    ],
)
def test_a_bad_environment_gets_one_sentence(name, kind, words):
    findings = check(globals()[name])
    assert [finding.kind for finding in findings] == [kind]
    assert words in findings[0].sentence
    assert render(findings).startswith(f"1. {kind}: ")


def test_sound_environments_pass():
    for target in [Plain, Goal, "CartPole-v1"]:
        assert check(target) == []
    assert render([]) == "no problem found"


def test_names_are_imported_from_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "their_world.py").write_text("import gymnasium\nmake = lambda: gymnasium.make('CartPole-v1')\n")
    assert check("their_world:make") == []
    with pytest.raises(UsageError, match="their_world has no 'Nope'"):
        check("their_world:Nope")
    with pytest.raises(UsageError, match="cannot import 'no_such_module'"):
        check("no_such_module:Env")


class Walk(AbstractWorld):
    """Five steps; subclasses spoil one thing."""

    @property
    def actions(self):
        return Discrete(2)

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        return jnp.zeros((), jnp.int32), jnp.zeros(2)

    def step(self, state, task, action, *, key):
        last = state >= 4
        return state + 1, Outcome(jnp.zeros(2), jnp.ones(()), 1.0 - last, last)


class Impure(Walk):
    def step(self, state, task, action, *, key):
        if state > 3:
            return state, None
        return super().step(state, task, action, key=key)


class Chance(Walk):
    def step(self, state, task, action, *, key):
        state, outcome = super().step(state, task, action, key=key)
        return state, Outcome(
            jnp.full(2, np.random.default_rng().uniform()), outcome.reward, outcome.discount, outcome.last
        )


class Drifts(Walk):
    def step(self, state, task, action, *, key):
        state, outcome = super().step(state, task, action, key=key)
        return state * 1.0, outcome


class Forever(Walk):
    def step(self, state, task, action, *, key):
        state, _ = super().step(state, task, action, key=key)
        return state, Outcome(jnp.zeros(2), jnp.ones(()), jnp.ones(()), jnp.array(False))


class Stuck(Walk):
    def legal(self, state, task):
        return jnp.arange(2) + state < 3


class Broken(Walk):
    def step(self, state, task, action, *, key):
        state, outcome = super().step(state, task, action, key=key)
        return state, Outcome(jnp.log(-1.0 * state) * jnp.ones(2), outcome.reward, outcome.discount, outcome.last)


@pytest.mark.parametrize(
    ("world", "kind", "words"),
    [
        (Impure, "pure", "jax.numpy alone"),
        (Chance, "pure", "chance come from the key"),
        (Drifts, "shape", "the state is"),
        (Forever, "endless", "TimeLimit"),
        (Stuck, "legal", "step 4: no action is legal"),
        (Broken, "non-finite", "step 1"),
    ],
)
def test_a_bad_world_gets_one_sentence(world, kind, words):
    findings = check(world())
    assert [finding.kind for finding in findings] == [kind]
    assert words in findings[0].sentence


def test_a_sound_world_passes():
    assert check(Walk) == []
    assert jax.tree.leaves(Walk()) == []
