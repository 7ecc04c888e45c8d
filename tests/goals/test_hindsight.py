"""Hindsight: other goals, out of the same episode, judged by the world, and nothing else is changed."""

import dataclasses
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect
from headstart.core.networks import ActionValues
from headstart.core.process import Online, train
from headstart.core.source import Chain
from headstart.core.types import Choice
from headstart.errors import UsageError
from headstart.goals.hindsight import Hindsight, _when
from headstart.recipes import find
from headstart.scratch.dqn import DQN
from headstart.scratch.ppo import PPO
from headstart.worlds.bit_flipping import BitFlipping
from headstart.worlds.classic_control import CartPole

LENGTH, LANES = 12, 64
WORLD = BitFlipping(4)


@pytest.fixture(scope="module")
def batch():
    """Random play in which some episodes reach their goals: three episodes in each segment, or more."""
    network = ActionValues(WORLD, jax.random.key(0), width=4)

    def act(percept, memory, *, key):
        return Choice(jax.random.randint(key, (), 0, 4)), memory

    lanes = begin(WORLD, network, LANES, key=jax.random.key(1))
    return eqx.filter_jit(lambda: collect(WORLD, network, act, lanes, LENGTH, key=jax.random.key(2))[1])()


def rewritten(batch, key=3, **how):
    return Hindsight(WORLD, **how).rewrite(
        batch, ActionValues(WORLD, jax.random.key(0), width=4), key=jax.random.key(key)
    )


STRATEGIES = ("future", "final", "episode", "random")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_reward_is_the_worlds_own_judgement(batch, strategy):
    step = rewritten(batch, strategy=strategy)
    arrived = np.all(np.asarray(step.after.observation == step.percept.goal), axis=-1)
    np.testing.assert_array_equal(step.reward, arrived - 1.0)
    np.testing.assert_array_equal(step.discount, 1.0 - arrived)
    np.testing.assert_array_equal(step.after.reward, step.reward)
    np.testing.assert_array_equal(step.after.discount, step.discount)
    np.testing.assert_array_equal(step.after.goal, step.percept.goal)


def test_what_the_agent_heard_before_was_of_the_new_goal(batch):
    step = rewritten(batch)
    there = np.all(np.asarray(step.percept.observation == step.percept.goal), axis=-1)
    np.testing.assert_array_equal(step.percept.reward, np.where(step.percept.first, 0.0, there - 1.0))
    np.testing.assert_array_equal(step.percept.discount, np.where(step.percept.first, 0.0, 1.0 - there))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_else_is_changed(batch, strategy):
    step = rewritten(batch, strategy=strategy)
    for (path, new), old in zip(jax.tree_util.tree_leaves_with_path(step), jax.tree.leaves(batch), strict=True):
        if path[-1].name not in ("goal", "reward", "discount"):
            np.testing.assert_array_equal(new, old, err_msg=str(path))


def test_a_goal_is_found_where_its_strategy_looks(batch):
    time = np.arange(LENGTH)[:, None]
    episode = np.cumsum(np.asarray(batch.percept.first), axis=0)
    assert episode.max() > 3  # some reached their goals
    found = {}
    for strategy in STRATEGIES:
        when, segment = map(np.asarray, _when(batch, strategy, key=jax.random.key(0)))
        found[strategy] = when
        if strategy == "random":
            assert len(np.unique(segment)) > LANES / 2
            continue
        np.testing.assert_array_equal(segment, np.broadcast_to(np.arange(LANES), when.shape))
        # An episode that is still running when its segment ends is no other episode.
        np.testing.assert_array_equal(np.take_along_axis(episode, when, axis=0), episode)
    assert (found["future"] >= time).all()
    assert (found["future"] > time).any()
    assert (found["episode"] < time).any()
    last_seen = np.asarray(batch.last)[found["final"], np.arange(LANES)] | (found["final"] == LENGTH - 1)
    assert last_seen.all()


def test_k_of_k_plus_one_steps_get_another_goal(batch):
    step = rewritten(batch, strategy="random", replays=3.0)
    # One goal in sixteen is the same by chance.
    changed = np.any(np.asarray(step.percept.goal != batch.percept.goal), axis=-1).mean()
    np.testing.assert_allclose(changed, 3 / 4 * 15 / 16, atol=0.05)


def test_no_replays_leave_learning_as_it_is():
    """The law of sources: a weight of zero changes no bit."""

    def learned(source):
        learner = DQN(source=source, capacity=64, segment=4, batch=4, warmup=0)
        process = Online(WORLD, partial(ActionValues, WORLD, width=8), learner, lanes=2, length=8)
        return train(process, 3, key=jax.random.key(0)).learner.network

    without, zero = (learned(source) for source in (Chain(()), Hindsight(WORLD, replays=0.0)))
    jax.tree.map(np.testing.assert_array_equal, *(eqx.filter(network, eqx.is_array) for network in (without, zero)))


def success(network, world, key):
    """The share of random goals that are reached from random starts, without exploration."""

    def act(percept, memory, *, key):
        return Choice(jnp.argmax(network(percept, memory)[0].policy).astype(jnp.int32)), memory

    lanes = begin(world, network, 1_000, key=key)
    _, played = eqx.filter_jit(lambda: collect(world, network, act, lanes, world.bits, key=key))()
    first = jnp.argmax(played.last, axis=0)  # where the first episode of each lane ends
    return float(jnp.mean(played.discount[first, jnp.arange(1_000)] == 0))


@pytest.mark.slow
def test_hindsight_finds_what_no_chance_would():
    """Of 15 bits, with all that the recipe has, and without hindsight: figure 1 of the paper."""
    recipe = find("bitflipping-hindsight", 300)
    world, learner = recipe.process.world, recipe.process.learner
    for source, at_least, at_most in ((learner.source, 0.95, 1.0), (Chain(()), 0.0, 0.05)):
        process = dataclasses.replace(recipe.process, learner=dataclasses.replace(learner, source=source))
        state = train(process, recipe.iterations, key=jax.random.key(0))
        assert at_least <= success(state.learner.network, world, jax.random.key(1)) <= at_most


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="CartPole cannot say which goal it achieved"):
        Hindsight(CartPole())
    with pytest.raises(UsageError, match="no strategy 'past'; choose future, final"):
        Hindsight(WORLD, strategy="past")
    with pytest.raises(UsageError, match="ask for 0 or more"):
        Hindsight(WORLD, replays=-1.0)
    with pytest.raises(UsageError, match="PPO cannot learn with a source that changes the goal"):
        PPO(source=Hindsight(WORLD))
