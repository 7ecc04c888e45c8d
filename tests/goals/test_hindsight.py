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
from headstart.goals.hindsight import Hindsight
from headstart.recipes import find
from headstart.scratch.dqn import DQN
from headstart.scratch.ppo import PPO
from headstart.studies.hindsight import success
from headstart.worlds.bit_flipping import BitFlipping
from headstart.worlds.classic_control import CartPole

pytestmark = pytest.mark.usefixtures("quick_to_compile")

LENGTH, LANES = 12, 64
WORLD = BitFlipping(4)


def play(world):
    """A rollout `[LENGTH, LANES]` of random actions."""
    network = ActionValues(world, jax.random.key(0), width=4)

    def act(percept, memory, *, key):
        return Choice(jax.random.randint(key, (), 0, world.bits)), memory

    lanes = begin(world, network, LANES, key=jax.random.key(1))
    return eqx.filter_jit(lambda: collect(world, network, act, lanes, LENGTH, key=jax.random.key(2))[1])()


@pytest.fixture(scope="module")
def batch():
    """Random play in which some episodes reach their goals: three episodes in each segment, or more."""
    return play(WORLD)


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


def test_a_new_goal_is_what_the_chosen_step_led_to(batch):
    """By hand: at the end of each episode, or at the segment's edge if it was still running."""
    step = rewritten(batch, strategy="final")
    arrived, last = np.asarray(batch.after.observation), np.asarray(batch.last)
    changed = np.any(np.asarray(step.percept.goal != batch.percept.goal), axis=-1)
    assert changed.mean() > 0.5
    for time, lane in np.argwhere(changed):
        end = next((t for t in range(time, LENGTH) if last[t, lane]), LENGTH - 1)
        np.testing.assert_array_equal(step.percept.goal[time, lane], arrived[end, lane])


def test_the_last_step_of_an_episode_has_no_other_future_than_where_it_led(batch):
    step = rewritten(batch, strategy="future")
    changed = np.any(np.asarray(step.percept.goal != batch.percept.goal), axis=-1)
    ended = changed & np.asarray(batch.last)
    assert ended.any()
    assert (np.asarray(step.reward)[ended] == 0).all()


def test_a_goal_is_found_where_its_strategy_looks(batch):
    time = np.arange(LENGTH)[:, None]
    episode = np.cumsum(np.asarray(batch.percept.first), axis=0)
    assert episode.max() > 3  # some reached their goals
    found = {}
    for strategy in STRATEGIES:
        when, segment = map(np.asarray, Hindsight(WORLD, strategy).when(batch, key=jax.random.key(0)))
        found[strategy] = when
        if strategy == "random":
            assert len(np.unique(segment)) > LANES / 2
            continue
        np.testing.assert_array_equal(segment, np.broadcast_to(np.arange(LANES), when.shape))
        # An episode that is still running when its segment ends is no other episode.
        np.testing.assert_array_equal(np.take_along_axis(episode, when, axis=0), episode)
    assert (found["future"] >= time).all()
    assert (found["future"] > time).any()
    assert (found["future"] < found["final"]).any()
    assert (found["episode"] < time).any()
    last_seen = np.asarray(batch.last)[found["final"], np.arange(LANES)] | (found["final"] == LENGTH - 1)
    assert last_seen.all()


def test_k_of_k_plus_one_steps_get_another_goal(batch):
    for replays, share in ((0.0, 0.0), (1.0, 1 / 2), (4.0, 4 / 5)):
        step = rewritten(batch, strategy="random", replays=replays)
        changed = np.any(np.asarray(step.percept.goal != batch.percept.goal), axis=-1).mean()
        # One goal in sixteen is the same by chance.
        np.testing.assert_allclose(changed, share * 15 / 16, atol=0.06)


@pytest.mark.exact
def test_no_replays_leave_learning_as_it_is():
    """The law of sources: a weight of zero changes no bit."""

    def learned(source):
        learner = DQN(source=source, capacity=64, segment=4, batch=4, warmup=0)
        process = Online(WORLD, partial(ActionValues, WORLD, width=8), learner, lanes=2, length=8)
        return train(process, 3, key=jax.random.key(0)).learner.network

    without, zero = (learned(source) for source in (Chain(()), Hindsight(WORLD, replays=0.0)))
    jax.tree.map(np.testing.assert_array_equal, *(eqx.filter(network, eqx.is_array) for network in (without, zero)))


class Pit(BitFlipping):
    """All bits at once are a pit, in which every episode ends; and a reached goal ends none."""

    ends = False

    def step(self, state, task, action, *, key=None):
        state, outcome = super().step(state, task, action)
        fallen = jnp.all(state.bits == 1)
        return state, eqx.tree_at(
            lambda outcome: (outcome.discount, outcome.last),
            outcome,
            (1.0 - fallen, fallen | (state.steps >= self.bits)),
        )


class PitAndGoal(Pit):
    """And a reached goal ends the episode as well."""

    ends = True

    def step(self, state, task, action, *, key=None):
        state, outcome = super().step(state, task, action)
        reached = jnp.all(state.bits == task.goal)
        return state, eqx.tree_at(
            lambda outcome: (outcome.discount, outcome.last),
            outcome,
            (outcome.discount * (1.0 - reached), outcome.last | reached),
        )


@pytest.mark.parametrize("kind", [Pit, PitAndGoal])
def test_an_end_that_is_not_the_goals_doing_stays_an_end(kind):
    world = kind(4)
    played = play(world)
    network = ActionValues(world, jax.random.key(0), width=4)
    step = Hindsight(world).rewrite(played, network, key=jax.random.key(3))
    fallen = np.all(np.asarray(step.after.observation) == 1, axis=-1)
    reached = np.all(np.asarray(step.after.observation == step.percept.goal), axis=-1)
    asked_for_the_pit = np.all(np.asarray(played.percept.goal) == 1, axis=-1)
    # Where the pit was itself the goal, nobody can say which of the two the end was.
    known = ~asked_for_the_pit
    assert (fallen & known & ~reached).any()
    ended = fallen | (reached if world.ends else False)
    np.testing.assert_array_equal((1.0 - np.asarray(step.discount))[known], ended[known])


@pytest.mark.slow
def test_hindsight_finds_what_no_chance_would():
    """Of 15 bits, with all that the recipe has, and without hindsight: figure 1 of the paper."""
    recipe = find("bitflipping-hindsight", 300)
    learner = recipe.process.learner
    for source, at_least, at_most in ((learner.source, 0.95, 1.0), (Chain(()), 0.0, 0.05)):
        process = dataclasses.replace(recipe.process, learner=dataclasses.replace(learner, source=source))
        state = train(process, recipe.iterations, key=jax.random.key(0))
        assert at_least <= success(process, state.learner.network, jax.random.key(1)) <= at_most


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="CartPole cannot say which goal it achieved"):
        Hindsight(CartPole())
    with pytest.raises(UsageError, match="no strategy 'past'; choose future, final"):
        Hindsight(WORLD, strategy="past")
    for replays in (-1.0, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="ask for 0 or more"):
            Hindsight(WORLD, replays=replays)
    with_memory = eqx.tree_at(
        lambda step: step.notes["memory"], play(WORLD), jnp.zeros((LENGTH, LANES)), is_leaf=lambda leaf: leaf is None
    )
    with pytest.raises(UsageError, match="a network with memory"):
        rewritten(with_memory)
    with pytest.raises(UsageError, match="PPO cannot learn with a source that changes the goal"):
        PPO(source=Hindsight(WORLD))
