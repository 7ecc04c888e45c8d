"""`Hosted` and `Online` record the same steps of the same environment, in every autoreset mode."""

import json

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from headstart import checkpoint
from headstart.core.collect import begin, collect
from headstart.core.hosted import Hosted
from headstart.core.learner import AbstractLearner
from headstart.core.network import AbstractNetwork
from headstart.core.process import train
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Outcome, Output, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import BadData
from headstart.run import run
from headstart.worlds.adapters.gymnasium import GymnasiumHost, gymnasium_host


class Counting(AbstractWorld):
    """Counts its steps. Action 2 ends the episode; after the fifth step it is cut short. Without chance."""

    @property
    def actions(self):
        return Discrete(3)

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        return jnp.zeros(()), jnp.zeros(2)

    def step(self, state, task, action, *, key):
        state, over = state + 1, action == 2
        reward = state * 10 + action
        return state, Outcome(jnp.stack([state, action * 1.0]), reward, 1.0 - over, over | (state >= 5))


class Shell(gymnasium.Env):
    """The same world as a Gymnasium environment."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)
    world = Counting()
    advance = staticmethod(jax.jit(lambda state, action: Counting().step(state, Task(), action, key=None)))

    def reset(self, *, seed=None, options=None):
        self.state, observation = self.world.reset(Task(), key=None)
        return np.asarray(observation), {}

    def step(self, action):
        self.state, outcome = self.advance(self.state, int(action))
        terminated = float(outcome.discount) == 0
        cut = bool(outcome.last) and not terminated
        return np.asarray(outcome.observation), float(outcome.reward), terminated, cut, {}


class Counter(AbstractNetwork):
    """Remembers how many moments of the episode it has met."""

    def initial(self):
        return jnp.zeros(())

    def __call__(self, percept, memory):
        return Output(memory), memory + 1.0


class Recorder(AbstractLearner):
    """Acts by chance, and learns to count its updates."""

    source: AbstractSource = Chain()

    class State(eqx.Module):
        network: AbstractNetwork
        updates: jax.Array

    def init(self, network, example, *, key):
        return self.State(network, jnp.zeros(()))

    def act(self, state, percept, memory, *, key):
        output, memory = state.network(percept, memory)
        return Choice(jax.random.randint(key, (), 0, 3), {"value": output.policy}), memory

    def update(self, state, rollout, *, key):
        return self.State(state.network, state.updates + 1), {}


def vector(mode, lanes=4):
    return GymnasiumHost(SyncVectorEnv([Shell] * lanes, autoreset_mode=mode))


@pytest.mark.parametrize("mode", [*AutoresetMode, "guarded"])
def test_hosted_and_online_record_the_same_steps(mode):
    host = gymnasium_host(Shell, 4) if mode == "guarded" else vector(mode)
    hosted = Hosted(host, lambda key: Counter(), Recorder(), length=24)
    state = hosted.init(key=jax.random.key(0))
    percept, _, theirs = hosted.collect(state.learner, state.percept, state.memory, key=jax.random.key(7))

    def act(percept, memory, *, key):
        return hosted.learner.act(state.learner, percept, memory, key=key)

    lanes = begin(Counting(), Counter(), 4, key=jax.random.key(1))
    lanes, ours = eqx.filter_jit(collect)(Counting(), Counter(), act, lanes, 24, key=jax.random.key(7))
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for mine, other in zip(jax.tree.leaves((ours, lanes.percept)), jax.tree.leaves((theirs, percept)), strict=True):
        np.testing.assert_array_equal(mine, other)
        assert mine.dtype == other.dtype
    assert ours.last.any()
    assert ((ours.discount == 1) & ours.last).any()  # some were cut, some ended


def test_episodes_are_tallied_and_restart_where_the_host_has_moved_on():
    hosted = Hosted(gymnasium_host(Shell, 2), lambda key: Counter(), Recorder(), length=6)
    rows = []
    state = train(hosted, 2, key=jax.random.key(0), after=lambda done, state, metrics: rows.append(metrics))
    assert rows[0]["episode/count"].shape == (2,)
    assert int(state.clock) == hosted.host.clock == 12

    # A fresh host, as after a resume: the learner goes on, the lanes begin anew.
    other = Hosted(gymnasium_host(Shell, 2), lambda key: Counter(), Recorder(), length=1)
    resumed, _ = other.step(state, key=jax.random.key(1))
    assert int(resumed.learner.updates) == 3
    assert int(resumed.clock) == 1
    assert (np.asarray(resumed.memory) == 1).all()


def test_an_outline_is_shaped_as_a_start_and_starts_nothing():
    hosted = Hosted(gymnasium_host(Shell, 2), lambda key: Counter(), Recorder(), length=6)
    outline = hosted.outline(key=jax.random.key(0))
    assert hosted.host.clock == -1
    shape = lambda leaf: (leaf.shape, leaf.dtype)
    assert jax.tree.map(shape, outline) == jax.tree.map(shape, hosted.init(key=jax.random.key(0)))


class Breaks(Shell):
    """Fails in its twentieth step in all, as the run's data fail: from the outside."""

    mishap, steps = None, 0

    def step(self, action):
        observation, reward, *rest = super().step(action)
        Breaks.steps += 1
        if Breaks.steps == 20 and self.mishap == "raises":
            raise RuntimeError("the gripper is stuck")
        return observation, np.nan if Breaks.steps == 20 and self.mishap == "nan" else reward, *rest


@pytest.mark.parametrize(("mishap", "words"), [("raises", "the gripper is stuck"), ("nan", "reward is nan")])
def test_a_run_whose_environment_fails_stores_the_last_whole_chunk_and_goes_on(mishap, words, tmp_path):
    def go():
        hosted = Hosted(gymnasium_host(Breaks, 1), lambda key: Counter(), Recorder(), length=4)
        return run(hosted, 8, directory=tmp_path, configuration={}, seed=0, every=8, chunk=2)

    Breaks.mishap, Breaks.steps = mishap, 0
    with pytest.raises(BadData, match=words) as told:
        go()
    assert told.value.exit_code == 3
    assert checkpoint.steps(tmp_path / "checkpoints") == [4]  # the fifth update failed
    Breaks.mishap = None
    assert int(go().learner.updates) == 8
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["iteration"] for row in rows] == [*range(1, 9)]
