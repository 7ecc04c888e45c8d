"""A disc moves only while it is touched, away from the fingertip, and stays on the table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.worlds.push import APART, CONTACT, EDGE, NEAR, START, Push, Table

pytestmark = pytest.mark.usefixtures("quick_to_compile")

WORLD = Push()
FAR = Task(goal=jnp.array([1.0, 1.0]))


def after(finger, disc, actions, task=FAR, steps=0):
    """Where fingertip and disc are after some actions, and the last outcome."""
    state = Table(jnp.array(finger), jnp.array(disc), jnp.array(steps))
    step = jax.jit(lambda state, action: WORLD.step(state, task, action))
    for action in actions:
        state, outcome = step(state, jnp.array(action))
    return np.asarray(state.finger), np.asarray(state.disc), outcome


def test_a_fingertip_that_touches_nothing_moves_nothing():
    finger, disc, outcome = after([0.0, 0.0], [0.0, 0.2], [[1.0, 0.0]] * 3)
    np.testing.assert_allclose(finger, [0.15, 0.0], atol=1e-6)
    np.testing.assert_allclose(disc, [0.0, 0.2], atol=1e-6)
    assert (outcome.reward, outcome.discount, outcome.last) == (-1, 1, False)


def test_a_disc_is_pushed_ahead_of_the_fingertip():
    finger, disc, _ = after([-0.2, 0.0], [0.0, 0.0], [[1.0, 0.0]] * 5)
    np.testing.assert_allclose(finger, [0.05, 0.0], atol=1e-6)
    np.testing.assert_allclose(disc, [0.05 + CONTACT, 0.0], atol=1e-6)


def test_a_disc_that_is_met_off_centre_slides_aside():
    _, disc, _ = after([-0.2, 0.03], [0.0, 0.0], [[1.0, 0.0]] * 5)
    assert disc[0] > 0.05
    assert disc[1] < -0.02


def test_nothing_leaves_the_table_and_nothing_overlaps():
    for way in ([1.0, 0.0], [1.0, 1.0], [1.0, 0.3]):
        finger, disc, _ = after([-0.2, 0.0], [0.0, 0.01], [way] * 30)
        assert (np.abs(disc) <= EDGE + 1e-6).all()
        assert np.linalg.norm(disc - finger) >= CONTACT - 1e-5


def test_a_goal_is_reached_within_five_centimetres_and_ends_nothing():
    goal = jnp.array([0.5, 0.0])
    for distance, reward in ((NEAR - 1e-3, 0.0), (NEAR + 1e-3, -1.0)):
        disc = [START * 0.5 - distance, 0.0]
        _, _, outcome = after([0.0, -0.4], disc, [[0.0, 0.0]], Task(goal=goal))
        assert (outcome.reward, outcome.discount, outcome.last) == (reward, 1, False)
    _, _, outcome = after([0.0, -0.4], [0.3, 0.3], [[0.0, 0.0]], steps=49)
    assert (outcome.discount, outcome.last) == (1, True)


def test_episodes_begin_apart_from_their_goals():
    def begun(key):
        task = WORLD.task(key=key)
        return task.goal * START, WORLD.reset(task, key=key)[0]

    goal, state = jax.jit(jax.vmap(begun))(jax.random.split(jax.random.key(0), 2_000))
    assert (np.linalg.norm(state.disc - state.finger, axis=-1) >= APART).all()
    assert (np.linalg.norm(state.disc - goal, axis=-1) >= APART).all()
    assert np.abs(state.disc).max() <= START
    np.testing.assert_allclose(np.mean(goal, axis=0), 0.0, atol=0.02)


def test_the_action_is_clipped():
    np.testing.assert_allclose(after([0.0, -0.4], [0.3, 0.3], [[9.0, 0.0]])[0], [0.05, -0.4], atol=1e-6)


@pytest.mark.parametrize("place", [[0.3, -0.2], [0.0, 0.0]])
def test_the_achieved_goal_is_where_the_disc_lies(place):
    _, _, outcome = after([-0.4, -0.4], place, [[0.0, 0.0]])
    np.testing.assert_allclose(WORLD.achieved(outcome.observation) * START, place, atol=1e-6)
