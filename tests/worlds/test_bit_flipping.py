"""Bit flipping: one bit at a time, until the row is the goal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.bit_flipping import BitFlipping, Bits


def test_an_action_flips_its_bit_and_the_goal_ends_the_episode():
    world, task = BitFlipping(3), Task(goal=jnp.array([0.0, 1.0, 1.0]))
    state, outcome = world.step(Bits(jnp.zeros(3), jnp.array(0)), task, jnp.array(2))
    np.testing.assert_array_equal(outcome.observation, [0, 0, 1])
    assert (outcome.reward, outcome.discount, outcome.last) == (-1, 1, False)
    _, outcome = world.step(state, task, jnp.array(1))
    np.testing.assert_array_equal(outcome.observation, [0, 1, 1])
    assert (outcome.reward, outcome.discount, outcome.last) == (0, 0, True)


def test_an_episode_is_cut_after_as_many_steps_as_there_are_bits():
    world, task = BitFlipping(2), Task(goal=jnp.array([1.0, 1.0]))
    state = Bits(jnp.zeros(2), jnp.array(0))
    state, outcome = world.step(state, task, jnp.array(0))
    assert not outcome.last
    _, outcome = world.step(state, task, jnp.array(0))
    assert outcome.last
    assert outcome.discount == 1


def test_starts_and_goals_are_drawn_anew():
    world = BitFlipping(20)
    goals = jax.vmap(lambda key: world.task(key=key).goal)(jax.random.split(jax.random.key(0), 100))
    starts = jax.vmap(lambda key: world.reset(Task(goal=goals[0]), key=key)[1])(
        jax.random.split(jax.random.key(1), 100)
    )
    for drawn in (goals, starts):
        assert len(np.unique(drawn, axis=0)) == 100
        np.testing.assert_allclose(np.mean(drawn), 0.5, atol=0.05)


def test_no_bits_are_refused():
    with pytest.raises(UsageError, match="1 bit or more"):
        BitFlipping(0)
