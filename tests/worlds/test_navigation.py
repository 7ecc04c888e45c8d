"""Tasks that are not shown: how far a step leads, what it earns in each task, and that tasks ask for other policies."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.worlds.navigation import Direction, Navigation, Runner, SparseCorners, Walker

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def at(x, y, steps=0):
    return Walker(jnp.array([x, y]), jnp.array(steps, jnp.int32))


def test_a_full_action_is_a_tenth_and_no_action_is_more():
    task = Task(parameters=jnp.array([0.3, -0.4]))
    state, outcome = Navigation().step(at(0.0, 0.0), task, jnp.array([1.0, -1.0]))
    np.testing.assert_allclose(outcome.observation, [0.1, -0.1], rtol=1e-6)
    np.testing.assert_allclose(outcome.reward, -np.hypot(0.2, 0.3), rtol=1e-6)
    assert (outcome.discount, outcome.last) == (1, False)
    state, outcome = Navigation().step(state, task, jnp.array([7.0, 0.5]))
    np.testing.assert_allclose(outcome.observation, [0.2, -0.05], rtol=1e-6)


@pytest.mark.parametrize(("aside", "arrived"), [((0.009, -0.009), True), ((0.011, 0.0), False), ((0.0, 0.011), False)])
def test_it_has_arrived_when_both_coordinates_are_near(aside, arrived):
    task = Task(parameters=jnp.array([0.3, -0.4]))
    _, outcome = Navigation().step(at(0.3 + aside[0], -0.4 + aside[1]), task, jnp.zeros(2))
    assert (outcome.discount, outcome.last) == (1 - arrived, arrived)


@pytest.mark.parametrize("world", [Navigation(), SparseCorners(), Direction()])
def test_time_cuts_an_episode_and_the_task_is_not_shown(world):
    keys = jax.random.split(jax.random.key(0), 50)
    tasks = jax.vmap(lambda key: world.task(key=key))(keys)
    assert tasks.goal is None
    seen = jax.vmap(lambda task: world.reset(task, key=keys[0])[1])(tasks)
    np.testing.assert_array_equal(seen, np.broadcast_to(seen[0], seen.shape))
    state = world.reset(Task(parameters=tasks.parameters[0]), key=keys[0])[0]
    for steps, last in ((98, False), (99, True)):
        late = eqx.tree_at(lambda state: state.steps, state, jnp.array(steps, jnp.int32))
        _, outcome = world.step(late, Task(parameters=tasks.parameters[0]), jnp.zeros(2))
        assert (outcome.discount, outcome.last) == (1, last)


def test_goals_fill_the_square():
    goals = jax.vmap(lambda key: Navigation().task(key=key).parameters)(jax.random.split(jax.random.key(0), 2000))
    assert 0.49 < np.abs(goals).max() <= 0.5
    np.testing.assert_allclose(np.mean(goals, axis=0), 0.0, atol=0.03)
    np.testing.assert_allclose(np.var(goals, axis=0), 1 / 12, rtol=0.1)


def test_only_the_way_within_the_right_quarter_pays():
    world, task = SparseCorners(), Task(parameters=jnp.array([2.0, -2.0]))
    earned = lambda x, y: float(world.step(at(x, y), task, jnp.array([1.0, 0.0]))[1].reward)
    np.testing.assert_allclose(earned(1.0, -1.0), np.hypot(1, 1) - np.hypot(0.8, 1), rtol=1e-5)
    np.testing.assert_allclose(earned(2.0, -1.0), 1 - np.hypot(0.2, 1), rtol=1e-5)  # away from it: a loss
    assert earned(1.0, 1.0) == earned(-1.0, -1.0) == earned(-1.0, 1.0) == 0
    assert earned(0.1, -0.1) == 0  # in the middle: 0.3 and 0.1 are less than 0.5
    assert earned(0.3, -0.1) > 0


def test_corners_are_drawn_alike_and_starts_are_near_the_origin():
    keys = jax.random.split(jax.random.key(0), 2000)
    corners, counts = np.unique(
        jax.vmap(lambda key: SparseCorners().task(key=key).parameters)(keys), axis=0, return_counts=True
    )
    np.testing.assert_array_equal(corners, [[-2, -2], [-2, 2], [2, -2], [2, 2]])
    np.testing.assert_allclose(counts / 2000, 0.25, atol=0.04)
    starts = jax.vmap(lambda key: SparseCorners().reset(Task(), key=key)[1])(keys)
    assert 0.19 < np.abs(starts).max() <= 0.2


def test_legs_that_sweep_an_area_drive_the_runner():
    """By hand: from (1, 0) to (1, 0.2) sweeps 0.2, a thrust of 2, and half of that is reached in the first step."""
    world = Direction()
    state = Runner(jnp.array([1.0, 0.0]), jnp.zeros(()), jnp.zeros((), jnp.int32))
    for way in (1.0, -1.0):
        moved, outcome = world.step(state, Task(parameters=jnp.array(way)), jnp.array([0.0, 1.0]))
        np.testing.assert_allclose(outcome.observation, [1.0, 0.2, 1.0], rtol=1e-6)
        np.testing.assert_allclose(outcome.reward, way * 1.0 - 0.05, rtol=1e-6)
    # Against the stop nothing is swept, and the velocity halves; the effort costs all the same.
    _, outcome = world.step(moved, Task(parameters=jnp.array(1.0)), jnp.array([3.0, 0.0]))
    np.testing.assert_allclose(outcome.observation, [1.0, 0.2, 0.5], rtol=1e-6)
    np.testing.assert_allclose(outcome.reward, 0.5 - 0.05, rtol=1e-6)


def test_each_direction_needs_its_own_way_round():
    world = Direction()

    def run(turn, way):
        """The return of pushing aside of where the legs are, and outwards."""
        policy = lambda legs: turn * jnp.array([-legs[1], legs[0]]) + 0.5 * legs

        def step(state, _):
            state, outcome = world.step(state, Task(parameters=jnp.array(way)), 5.0 * policy(state.legs))
            return state, outcome.reward

        state, _ = world.reset(Task(), key=jax.random.key(3))
        return float(jnp.sum(jax.lax.scan(step, state, None, world.limit)[1]))

    assert run(1.0, 1.0) > 100
    assert run(-1.0, -1.0) > 100
    assert run(1.0, -1.0) < -100
    assert run(-1.0, 1.0) < -100
    assert -20 < run(0.0, 1.0) < 0  # a mixture of both pushes outwards, and stands still
