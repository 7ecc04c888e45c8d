import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from headstart.core.policies import Categorical
from headstart.core.world import Box
from headstart.errors import BadData, UsageError
from headstart.worlds.adapters.gymnasium import GymnasiumHost, gymnasium_host

LINE = spaces.Box(-1.0, 1.0, (2,), np.float64)


class Plain(gymnasium.Env):
    """Ten quiet steps, of which subclasses spoil the fifth."""

    observation_space = LINE
    action_space = spaces.Discrete(3, start=4)

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return self.look(), {}

    def look(self):
        return np.zeros(2)

    def step(self, action):
        assert self.action_space.contains(action)
        self.count += 1
        observation, reward = self.spoil() if self.count == 5 else (self.look(), 1.0)
        return observation, reward, False, self.count >= 10, {}

    def spoil(self):
        return self.look(), 1.0


class Faults:
    class NanObservation(Plain):
        def spoil(self):
            return np.array([0.0, np.nan]), 1.0

    class InfiniteReward(Plain):
        def spoil(self):
            return self.look(), np.inf

    class NanReward(Plain):
        def spoil(self):
            return self.look(), np.nan

    class ManyRewards(Plain):
        def spoil(self):
            return self.look(), np.zeros(2)

    class Forgets(Plain):
        def reset(self, *, seed=None, options=None):
            super().reset()
            return self.look()

    class Raises(Plain):
        def spoil(self):
            raise RuntimeError("the gripper is stuck")

    class Reshapes(Plain):
        def spoil(self):
            return np.zeros(3), 1.0

    class Retypes(Plain):
        def spoil(self):
            return np.array(["a", "b"]), 1.0

    class SpoiltGoal(Plain):
        observation_space = spaces.Dict({"observation": LINE, "achieved_goal": LINE, "desired_goal": LINE})

        def look(self):
            return {"observation": np.zeros(2), "achieved_goal": np.ones(2), "desired_goal": np.full(2, 0.5)}

        def spoil(self):
            return self.look() | {"desired_goal": np.array([np.inf, 0.0])}, 1.0


def run(host, steps, action=0):
    host.begin(0)
    return [host.step(np.full(host.lanes, action)) for _ in range(steps)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NanObservation", r"environment 1, episode 1, step 5: observation\[1\] is nan"),
        ("InfiniteReward", r"environment 1, episode 1, step 5: reward is inf"),
        ("NanReward", r"environment 1, episode 1, step 5: reward is nan"),
        ("ManyRewards", r"environment 1, episode 1, step 5: the reward has shape \(2,\)"),
        ("Forgets", r"environment 0, episode 1, step 0: reset must return \(observation, info\)"),
        (
            "Raises",
            r"environment 1, episode 1, step 5: it raised RuntimeError: the gripper is stuck \(test_gymnasium.py, line",
        ),
        ("Reshapes", r"environment 1, episode 1, step 5: observation has shape \(3,\) where its space has \(2,\)"),
        ("Retypes", r"environment 1, episode 1, step 5: observation has dtype <U1 where its space has float64"),
        ("SpoiltGoal", r"step 5: desired_goal\[0\] is inf"),
    ],
)
def test_a_fault_is_named_with_its_place(name, words):
    bad = getattr(Faults, name)
    good = type("Good", (bad,), {"spoil": Plain.spoil})
    made = iter([good, bad])
    with pytest.raises(BadData, match=words) as told:
        run(gymnasium_host(lambda: next(made)(), 2), 5)
    assert told.value.exit_code == 3


def test_restarts_cut_the_episode_and_are_counted():
    host = gymnasium_host(Faults.Raises, 1, restarts=1)
    answers = run(host, 5)
    assert answers[-1].last[0]
    assert answers[-1].discount[0] == 1
    assert host.metrics() == {"host/restarts": 1.0}
    with pytest.raises(BadData, match="episode 2, step 5"):
        [host.step(np.zeros(1, int)) for _ in range(5)]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_no_step_is_spent_on_a_reset_and_the_end_is_kept(mode):
    class Short(Plain):
        """Episodes of one step."""

        def look(self):
            return np.full(2, self.count / 10)

        def step(self, action):
            self.count += 1
            return self.look(), 1.0, True, False, {}

    shells = [lambda: Short(), lambda: Plain()]
    for answer in run(GymnasiumHost(SyncVectorEnv(shells, autoreset_mode=mode)), 4):
        assert answer.last.tolist() == [True, False]
        assert answer.reward.tolist() == [1.0, 1.0]
        assert answer.discount.tolist() == [0.0, 1.0]
        np.testing.assert_allclose(answer.after.observation[0], 0.1)
        assert answer.now.observation[0, 0] == 0.0


class Own(VectorEnv):
    """Two lanes of somebody's own making: the first ends after two steps, the second goes on."""

    num_envs = 2
    single_observation_space, single_action_space = LINE, spaces.Discrete(2)
    heeds, tells = True, True

    def __init__(self, mode):
        self.metadata = {"autoreset_mode": mode}

    def reset(self, *, seed=None, options=None):
        mask = (options or {}).get("reset_mask", np.ones(2, bool))
        self.counts = np.where(mask | (not self.heeds), 0, getattr(self, "counts", 0))
        return self.look(), {}

    def look(self):
        return np.repeat(self.counts[:, None] / 10, 2, axis=1)

    def step(self, action):
        self.counts += 1
        last, final = np.array([self.counts[0] == 2, False]), self.look()
        info = {"final_obs": final} if self.tells and last.any() else {}
        if self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP:
            self.counts[last] = 0
        return self.look(), np.ones(2), last, np.zeros(2, bool), info


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_a_vector_of_ones_own_is_taken_at_its_word_and_the_word_is_checked(mode):
    answer = run(GymnasiumHost(Own(mode)), 2)[-1]
    assert answer.last.tolist() == [True, False]
    np.testing.assert_allclose(answer.after.observation[:, 0], [0.2, 0.2])
    np.testing.assert_allclose(answer.now.observation[:, 0], [0.0, 0.2])
    same = mode is AutoresetMode.SAME_STEP
    liar = type("Liar", (Own,), {"tells": False} if same else {"heeds": False})
    with pytest.raises(
        BadData, match=r"gave no info\['final_obs'\]" if same else "Liar resets lanes whose episodes go"
    ):
        run(GymnasiumHost(liar(mode)), 2)


def test_a_vector_that_may_spend_steps_on_resets_is_refused():
    with pytest.raises(UsageError, match="Own has autoreset mode NextStep, so that steps may be spent on resets"):
        GymnasiumHost(Own(AutoresetMode.NEXT_STEP))
    with pytest.raises(UsageError, match="Own names no autoreset_mode in its metadata"):
        GymnasiumHost(Own(None))
    with pytest.raises(UsageError, match="Plain is no gymnasium"):
        GymnasiumHost(Plain())


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_goals_are_told_and_achieved_goals_shown_last(mode):
    class Goal(Faults.SpoiltGoal):
        spoil = Plain.spoil

    assert gymnasium_host(Goal, 2).begin(0).goal.tolist() == [[0.5, 0.5]] * 2
    answer = run(GymnasiumHost(SyncVectorEnv([Goal] * 2, autoreset_mode=mode)), 10)[-1]
    assert answer.last.all()
    assert answer.after.goal.tolist() == [[0.5, 0.5]] * 2
    assert answer.after.observation.shape == (2, 4)
    assert answer.after.observation[:, 2:].tolist() == [[1.0, 1.0]] * 2


def test_other_spaces_are_flattened_or_refused_by_name():
    parts = {"arm": spaces.Dict({"joint": LINE}), "lamps": spaces.MultiBinary(2), "room": spaces.Discrete(3)}

    class Rich(Plain):
        observation_space = spaces.Dict(parts)

        def look(self):
            return {"arm": {"joint": np.array([0.1, 0.2])}, "lamps": np.array([1, 0], np.int8), "room": 2}

    sight = gymnasium_host(Rich, 1).begin(0)
    np.testing.assert_allclose(sight.observation, [[0.1, 0.2, 1, 0, 0, 0, 1]], atol=1e-6)

    class Wordy(Plain):
        observation_space = spaces.Dict({"arm": spaces.Dict({"says": spaces.Text(5)})})

    with pytest.raises(UsageError, match=r"observation\['arm'\]\['says'\] is a Text space"):
        gymnasium_host(Wordy, 1)
    with pytest.raises(UsageError, match="gymnasium does not know"):
        gymnasium_host("NoSuchEnv-v0", 1)


@pytest.mark.parametrize("count", [2, 128, 1000])
def test_no_discrete_action_wraps_around(count):
    """Each action that a policy may draw reaches the environment as itself, beyond what 8 bits hold."""
    seen = []

    class Keys(Plain):
        action_space = spaces.Discrete(count, start=-3)

        def step(self, action):
            assert self.action_space.contains(action)
            seen.append(int(action))
            return self.look(), 0.0, False, False, {}

    host = gymnasium_host(Keys, 1)
    host.begin(0)
    for chosen in (0, count // 2, count - 1):
        only = jnp.arange(count) == chosen
        policy = Categorical(jnp.zeros((1, count)), only[None])
        for action in (policy.sample(key=jax.random.key(chosen)), policy.mode()):
            host.step(jax.device_get(action))
    assert seen == [action - 3 for action in (0, 0, count // 2, count // 2, count - 1, count - 1)]


def test_actions_never_leave_their_bounds():
    seen = []

    class Arm(Plain):
        action_space = spaces.Box(np.array([-3.0, 0.1], np.float32), np.array([1.0, 0.7], np.float32))

        def step(self, action):
            assert self.action_space.contains(action)
            seen.append(action)
            return self.look(), 0.0, False, False, {}

    host = gymnasium_host(Arm, 1)
    assert isinstance(host.actions, Box)
    host.begin(0)
    for level in [-1.0, 0.0, 1.0, 7.0]:
        host.step(np.full((1, 2), level, np.float32))
    np.testing.assert_allclose(seen, [[-3.0, 0.1], [-1.0, 0.4], [1.0, 0.7], [1.0, 0.7]], atol=1e-6)

    class Boundless(Plain):
        action_space = spaces.Box(-np.inf, np.inf, (1,))

    with pytest.raises(UsageError, match="without finite bounds"):
        gymnasium_host(Boundless, 1)
