"""The same state and the same action lead where Gymnasium leads."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.worlds.classic_control import Acrobot, CartPole, Motion, MountainCar, Pendulum

pytestmark = pytest.mark.usefixtures("quick_to_compile")

gymnasium = pytest.importorskip("gymnasium")

# Places from all over each system, ends included: far beyond where random play from the start gets.
SCALES = {"CartPole-v1": [2.4, 2.0, 0.21, 2.0], "Acrobot-v1": [3.1, 3.1, 8.0, 16.0], "MountainCar-v0": [0.9, 0.07]}
WORLDS = {"CartPole-v1": CartPole(), "Acrobot-v1": Acrobot(), "MountainCar-v0": MountainCar()}
CENTRES = {"MountainCar-v0": [-0.3, 0.0]}
TASK = Task()


@pytest.mark.parametrize("name", WORLDS)
def test_each_step_is_gymnasiums(name):
    world, env = WORLDS[name], gymnasium.make(name).unwrapped
    random = np.random.default_rng(0)
    scale, centre = np.array(SCALES[name]), np.array(CENTRES.get(name, 0.0))
    places = (centre + scale * random.uniform(-1, 1, (256, scale.size))).astype(np.float32)
    actions = random.integers(world.count, size=256).astype(np.int32)
    step = jax.jit(jax.vmap(lambda place, action: world.step(Motion(place, jnp.zeros((), jnp.int32)), TASK, action)))
    after, outcome = step(places, actions)
    ends = 0
    for index, (place, action) in enumerate(zip(places, actions, strict=True)):
        env.reset(seed=0)
        env.state = place.astype(np.float64)
        observation, reward, ended, _, _ = env.step(int(action))
        state = np.array(env.state, np.float64)
        difference = np.asarray(after.place[index]) - state
        if name == "Acrobot-v1":  # −π and π are the same angle
            difference[:2] = (difference[:2] + math.pi) % (2 * math.pi) - math.pi
        np.testing.assert_allclose(difference / scale, 0, atol=3e-5)
        np.testing.assert_allclose(outcome.observation[index], observation, atol=3e-5 * scale.max())
        assert outcome.reward[index] == reward
        assert outcome.discount[index] == 1.0 - ended
        assert outcome.last[index] == ended
        ends += ended
    assert 0 < ends < 256


@pytest.mark.parametrize("name", WORLDS)
def test_the_limit_is_gymnasiums_and_a_cut_is_no_end(name):
    world, spec = WORLDS[name], gymnasium.spec(name)
    assert world.limit == spec.max_episode_steps
    still = Motion(jnp.array({"CartPole-v1": [0.0] * 4, "Acrobot-v1": [0.0] * 4}.get(name, [-0.5, 0.0])), jnp.array(0))
    for steps, last in ((world.limit - 2, False), (world.limit - 1, True)):
        state, outcome = world.step(Motion(still.place, jnp.array(steps)), TASK, jnp.array(1))
        assert (int(state.steps), bool(outcome.last), float(outcome.discount)) == (steps + 1, last, 1.0)


@pytest.mark.parametrize("name", WORLDS)
def test_episodes_begin_where_gymnasiums_do(name):
    world, env = WORLDS[name], gymnasium.make(name).unwrapped
    ours, seen = jax.vmap(lambda key: world.reset(TASK, key=key))(jax.random.split(jax.random.key(0), 512))
    theirs = np.stack([(env.reset(seed=seed), np.array(env.state))[1] for seed in range(512)])
    width = np.maximum(theirs.max(0) - theirs.min(0), 1e-6)
    np.testing.assert_allclose(ours.place.min(0), theirs.min(0), atol=0.03 * width.max())
    np.testing.assert_allclose(ours.place.max(0), theirs.max(0), atol=0.03 * width.max())
    assert seen.shape[1:] == env.observation_space.shape
    assert not ours.steps.any()


def test_the_pendulum_swings_as_gymnasiums_does():
    world, env = Pendulum(), gymnasium.make("Pendulum-v1").unwrapped
    random = np.random.default_rng(0)
    places = random.uniform(-1, 1, (256, 2)) * np.array([3 * math.pi, 8.0])
    actions = random.uniform(-1.3, 1.3, (256, 1))  # some beyond the bounds
    step = jax.jit(jax.vmap(lambda place, action: world.step(Motion(place, jnp.array(0)), TASK, action)))
    after, outcome = step(places.astype(np.float32), actions.astype(np.float32))
    env.reset(seed=0)
    for index, (place, action) in enumerate(zip(places, actions, strict=True)):
        env.state = place
        observation, reward, ended, cut, _ = env.step(2 * action)
        np.testing.assert_allclose(after.place[index], env.state, atol=3e-5)
        np.testing.assert_allclose(outcome.observation[index], observation, atol=3e-5)
        np.testing.assert_allclose(outcome.reward[index], reward, atol=1e-4)
        assert (outcome.discount[index], outcome.last[index]) == (1, False) == (1 - ended, cut)
    assert world.limit == gymnasium.spec("Pendulum-v1").max_episode_steps
    _, outcome = world.step(Motion(jnp.zeros(2), jnp.array(199)), TASK, jnp.zeros(1))
    assert (outcome.discount, outcome.last) == (1, True)
    begun = jax.vmap(lambda key: world.reset(TASK, key=key)[0].place)(jax.random.split(jax.random.key(0), 2_000))
    np.testing.assert_allclose(np.abs(begun).max(axis=0), [math.pi, 1.0], rtol=0.01)
