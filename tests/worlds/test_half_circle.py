"""Goals on a half circle: what pays, that nothing shows the goal, and who knows it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.half_circle import HalfCircle, spread
from headstart.worlds.navigation import Walker

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def at(x, y, steps=0):
    return Walker(jnp.array([x, y]), jnp.array(steps, jnp.int32))


@pytest.mark.parametrize(
    ("place", "dense", "sparse"), [((2.0, 0.4), 1.6, 1.6), ((1.0, 0.0), 1.0, 0.0), ((-2.0, 0.0), -2.0, 0.0)]
)
def test_a_step_earns_the_radius_less_the_distance_and_where_it_is_sparse_only_near_the_goal(place, dense, sparse):
    task = Task(parameters=jnp.array([2.0, 0.0]))
    for world, earned in ((HalfCircle(), dense), (HalfCircle(reach=0.5), sparse)):
        _, outcome = world.step(at(*place), task, jnp.zeros(2))
        np.testing.assert_allclose(outcome.reward, earned, atol=1e-6)
        np.testing.assert_allclose(outcome.observation, place)
        assert (outcome.discount, outcome.last) == (1, False)


def test_a_full_action_is_a_tenth_no_action_is_more_and_time_cuts_an_episode():
    task = Task(parameters=jnp.array([2.0, 0.0]))
    state, outcome = HalfCircle().step(at(0.0, 0.0, 48), task, jnp.array([9.0, -0.5]))
    np.testing.assert_allclose(outcome.observation, [0.1, -0.05], rtol=1e-6)
    assert not outcome.last
    assert HalfCircle().step(state, task, jnp.zeros(2))[1].last


def test_goals_are_on_the_upper_half_of_the_circle_and_not_shown():
    world, keys = HalfCircle(), jax.random.split(jax.random.key(0), 500)
    tasks = jax.vmap(lambda key: world.task(key=key))(keys)
    x, y = np.asarray(tasks.parameters).T
    np.testing.assert_allclose(np.hypot(x, y), 2.0, rtol=1e-5)
    assert y.min() >= 0
    np.testing.assert_allclose(np.sort(np.arctan2(y, x)), np.linspace(0, np.pi, 500), atol=0.2)
    assert tasks.goal is None
    assert not jax.vmap(lambda task: world.reset(task, key=keys[0])[1])(tasks).any()


def test_tasks_are_spread_evenly_and_those_of_two_lists_are_apart():
    """100 and 30 shares: the nearest two middles are 10 (2 j + 1) − 3 (2 i + 1) = ±1 parts of 600 from each other."""
    np.testing.assert_allclose(spread(2).parameters, [[2**0.5, 2**0.5], [-(2**0.5), 2**0.5]], rtol=1e-5)
    angle = lambda tasks: np.arctan2(tasks.parameters[:, 1], tasks.parameters[:, 0])
    apart = np.abs(angle(spread(100))[:, None] - angle(spread(30)))
    np.testing.assert_allclose(apart.min(), np.pi / 600, rtol=1e-2)


@pytest.mark.parametrize("angle", [0.0, 1.0, 3.1])
def test_who_knows_the_goal_is_there_as_soon_as_can_be_and_stays(angle):
    world, task = HalfCircle(reach=0.5), Task(parameters=2 * jnp.array([np.cos(angle), np.sin(angle)]))
    state, _ = world.reset(task, key=jax.random.key(0))
    distances = []
    for _ in range(21):
        state, outcome = world.step(state, task, world.expert(task, state.place))
        distances.append(float(jnp.linalg.norm(state.place - task.parameters)))
    needed = int(np.ceil(np.abs(task.parameters).max() / 0.1 - 1e-4))
    assert np.argmax(np.array(distances) < 1e-5) == needed - 1
    np.testing.assert_allclose(outcome.reward, 2.0, rtol=1e-5)


def test_a_reach_of_nothing_is_refused():
    with pytest.raises(UsageError, match="more than 0"):
        HalfCircle(reach=0.0)
