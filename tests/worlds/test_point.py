"""A point that is pushed about: how far, what it touches, what it senses, and where a wall stops it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.worlds.point import Gathering, PointGather, TwoRoomMaze, Wandering

pytestmark = pytest.mark.usefixtures("quick_to_compile")

ORIGIN = jnp.zeros(2)
RIGHT = jnp.array([1.0, 0.0])


def at(x, y, steps=0, velocity=(0.0, 0.0)):
    return Wandering(jnp.array([x, y]), jnp.array(velocity), jnp.array(steps, jnp.int32))


def field(*apples, bombs=()):
    """A task with things where they are wanted, and the others far away."""
    far = (9.0, 9.0)
    places = [*apples, *[far] * (6 - len(apples)), *bombs, *[far] * (4 - len(bombs))]
    return Task(parameters=jnp.array(places))


def begun(world, task, point=None):
    state, _ = world.reset(task, key=jax.random.key(0))
    return state if point is None else Gathering(point, state.there)


def test_a_push_carries_as_far_as_the_speed_says_and_no_further():
    """By hand: half of the speed at once, and as much again after the push, because velocity halves."""
    world = TwoRoomMaze()
    state, outcome = world.step(at(-0.5, -0.5), Task(), 7.0 * RIGHT)  # no push is more than full
    np.testing.assert_allclose(outcome.observation, [-0.485, -0.5, 0.5, 0.0], rtol=1e-5)
    for _ in range(30):
        state, _ = world.step(state, Task(), ORIGIN)
    np.testing.assert_allclose(state.place, [-0.47, -0.5], rtol=1e-5)


def test_the_square_ends_at_its_edges():
    state, _ = TwoRoomMaze().step(at(0.999, 0.5, velocity=(0.03, 0.0)), Task(), RIGHT)
    np.testing.assert_array_equal(state.place, [1.0, 0.5])
    np.testing.assert_array_equal(state.velocity, [0.0, 0.0])


def test_what_is_touched_is_earned_once():
    world, task = PointGather(), field((0.05, 0.0), (-0.05, 0.0), (0.5, 0.0), bombs=((0.0, 0.05),))
    state, outcome = world.step(begun(world, task), task, ORIGIN)
    assert outcome.reward == 2 - 1
    np.testing.assert_array_equal(state.there[:3], [False, False, True])
    assert not state.there[6]
    state, outcome = world.step(state, task, ORIGIN)
    assert outcome.reward == 0


def test_rays_sense_the_nearest_of_each_kind_in_their_sector():
    """Sector 0 is from 0° to 36°, sector 9 is just below the horizontal."""
    world = PointGather()
    task = field((0.5, 0.1), (0.3, 0.1), (0.5, -0.01), bombs=((0.0, 0.25), (0.0, 2.0)))
    _, observation = world.reset(task, key=jax.random.key(0))
    apples, bombs = np.asarray(observation[4:14]), np.asarray(observation[14:])
    expected = np.zeros(10)
    expected[0], expected[9] = 1 - np.hypot(0.3, 0.1), 1 - np.hypot(0.5, 0.01)
    np.testing.assert_allclose(apples, expected, atol=1e-6)
    np.testing.assert_allclose(bombs, np.eye(10)[2] * 0.75, atol=1e-6)
    gone = eqx.tree_at(lambda state: state.there, begun(world, task), jnp.zeros(10, bool))
    _, outcome = world.step(gone, task, ORIGIN)
    np.testing.assert_array_equal(outcome.observation[4:], np.zeros(20))


def test_things_lie_apart_and_none_near_the_start():
    tasks = jax.vmap(lambda key: PointGather().task(key=key).parameters)(jax.random.split(jax.random.key(0), 200))
    assert np.abs(tasks).max(axis=-1).min() > 0.5
    assert np.abs(tasks).max() < 1
    gaps = np.linalg.norm(tasks[:, :, None] - tasks[:, None], axis=-1) + np.eye(10)
    assert gaps.min() > 0.28
    assert len(np.unique(np.round(np.asarray(tasks).reshape(-1, 2), 3), axis=0)) == 49 - 9


@pytest.mark.parametrize(("y", "passes"), [(-0.5, False), (0.3, True), (0.7, False)])
def test_the_wall_is_open_at_the_doorway_only(y, passes):
    world = TwoRoomMaze()
    for start, way in ((-0.01, RIGHT), (0.01, -RIGHT)):
        state = at(start, y)
        for _ in range(5):
            state, _ = world.step(state, Task(), way)
        assert (jnp.sign(state.place[0]) != jnp.sign(start)) == passes


def test_the_goal_ends_the_episode_and_time_cuts_it():
    _, outcome = TwoRoomMaze().step(at(0.6, -0.55), Task(), ORIGIN)
    assert (outcome.reward, outcome.discount, outcome.last) == (1, 0, True)
    _, outcome = TwoRoomMaze().step(at(0.5, 0.3, steps=399), Task(), ORIGIN)
    assert (outcome.reward, outcome.discount, outcome.last) == (0, 1, True)
    _, outcome = TwoRoomMaze().step(at(0.5, 0.3, steps=398), Task(), ORIGIN)
    assert not outcome.last


def test_who_pushes_at_random_meets_nothing():
    """That is what makes the maze one for goals: of 200 random episodes, none arrives."""
    world = TwoRoomMaze()

    def episode(key):
        start_key, push_key = jax.random.split(key)
        state, _ = world.reset(Task(), key=start_key)
        step = lambda state, push: (lambda done: (done[0], done[1].reward))(world.step(state, Task(), push))
        return jnp.sum(jax.lax.scan(step, state, jax.random.normal(push_key, (world.limit, 2)))[1])

    assert jnp.sum(jax.jit(jax.vmap(episode))(jax.random.split(jax.random.key(0), 200))) == 0
