"""Goal-directed behaviour: one rollout of the world is read as two, and each learner is told the truth of its own."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect
from headstart.core.process import train
from headstart.core.types import Choice, Outcome, Task
from headstart.core.world import AbstractWorld, Box
from headstart.core.wrappers import Whole
from headstart.errors import UsageError
from headstart.goals.goal_directed import GoalDirected, Patient
from headstart.greedy import returns
from headstart.recipes import find
from headstart.scratch.ppo import PPO
from headstart.worlds.classic_control import CartPole
from headstart.worlds.point import TwoRoomMaze

pytestmark = pytest.mark.usefixtures("quick_to_compile")
EVERY, LANES = 4, 8


class Line(AbstractWorld):
    """A place on a line, moved by a tenth of the action; 1 is earned for being beyond a half, where it ends."""

    limit: int = 30

    @property
    def actions(self):
        return Box(-jnp.ones(1), jnp.ones(1))

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        place = jax.random.uniform(key, (1,), minval=-0.1, maxval=0.1)
        return (place, jnp.zeros((), jnp.int32)), place

    def step(self, state, task, action, *, key=None):
        place, steps = state[0] + 0.1 * jnp.clip(action, -1.0, 1.0), state[1] + 1
        arrived = place[0] > 0.5
        return (place, steps), Outcome(place, arrived * 1.0, 1.0 - arrived, arrived | (steps >= self.limit))


def small(world=None, **how):
    manager, worker = (kind(learning_rate=1e-3, minibatches=2, epochs=2) for kind in (Patient, PPO))
    settings = {
        "every": EVERY,
        "manager": manager,
        "worker": worker,
        "lanes": LANES,
        "stretches": 5,
        "width": 16,
    } | how
    return GoalDirected(Line() if world is None else world, **settings)


@pytest.fixture(scope="module")
def played():
    """A process, its network, and twelve stretches: goals that were ordered `[12, B]`, steps done `[12, c, B]`."""
    process = small()
    state = eqx.filter_jit(process.init)(key=jax.random.key(0))
    network = state.learner.network

    def stretches():
        stretch = lambda carry, key: process.stretch(network, *carry, key=key)
        return jax.lax.scan(stretch, (state.lanes, state.goals), jax.random.split(jax.random.key(1), 12))[1]

    return process, network, *eqx.filter_jit(stretches)()


def test_a_managers_step_is_a_stretch_of_the_world(played):
    _, _, ordered, done = played
    np.testing.assert_array_equal(ordered.reward, np.sum(done.notes["earned"], axis=1))
    np.testing.assert_array_equal(ordered.percept.observation, done.percept.observation[:, 0])
    np.testing.assert_array_equal(ordered.after.observation, done.after.observation[:, -1])
    np.testing.assert_array_equal(ordered.last, done.notes["over"][:, -1])
    assert ordered.percept.goal is None, "a manager is told no goal"
    # An episode ends where a stretch does, and the next one begins there.
    assert not np.any(done.notes["over"][:, :-1])
    assert np.any(ordered.last)
    np.testing.assert_array_equal(ordered.percept.first[1:], ordered.last[:-1])
    # Who arrived has truly ended; who was cut short has not.
    np.testing.assert_array_equal(ordered.discount[ordered.last], 1 - ordered.reward[ordered.last])


def test_a_worker_is_paid_for_the_way_that_it_makes_to_its_goal(played):
    """By the definition: the goal lies where it was set from, plus what was said, within the box."""
    _, network, ordered, done = played
    place = lambda observation: np.asarray(jax.vmap(network.place)(observation.reshape(-1, 1))).reshape(
        12, EVERY, LANES
    )
    before, after = place(done.percept.observation), place(done.after.observation)
    target = before[:, :1] + np.clip(ordered.action[..., 0], -1, 1)[:, None]
    np.testing.assert_allclose(done.percept.goal[..., 0], target - before, atol=1e-5)
    np.testing.assert_allclose(done.after.goal[..., 0], target - after, atol=1e-5)
    np.testing.assert_allclose(done.reward, np.abs(target - before) - np.abs(target - after), atol=1e-5)
    # A stretch is an episode of the worker's own, and its sum is all the way that was made.
    np.testing.assert_array_equal(done.last, np.broadcast_to(np.arange(EVERY)[:, None] == 3, done.last.shape))
    np.testing.assert_array_equal(done.discount, 1.0 - done.last)


def test_an_episode_that_is_over_waits_and_earns_nothing():
    world = Whole(Line(), EVERY)
    state, _ = world.reset(Task(), key=jax.random.key(0))
    state = eqx.tree_at(lambda state: state.inner[0], state, jnp.array([0.35]))
    found = []
    for action in (0.0, 1.0, 1.0, -1.0):
        state, outcome = world.step(state, Task(), jnp.array([action]), key=jax.random.key(0))
        found.append((round(float(outcome.observation[0]), 2), *map(float, (outcome.reward, outcome.discount))))
        assert outcome.last == (len(found) == EVERY)
    assert found == [(0.35, 0, 1), (0.45, 0, 1), (0.55, 1, 1), (0.55, 0, 0)]


def test_the_space_learns_what_was_done():
    """On a line the way tells the action exactly: e(x) = x / (0.1 c), up to a constant."""
    process = small(lessons=50, learning_rate=3e-3)
    state = train(process, 20, key=jax.random.key(0))
    place = jax.vmap(state.learner.place)
    move = place(jnp.array([[0.3]])) - place(jnp.array([[-0.1]]))
    np.testing.assert_allclose(move, [[0.4 / (0.1 * EVERY)]], rtol=0.15)


def test_a_manager_does_not_learn_from_nothing():
    """Where nothing was earned advantages are noise; the worker and the space learn all the same."""
    process = small(TwoRoomMaze())
    before = eqx.filter_jit(process.init)(key=jax.random.key(0))
    after, metrics = eqx.filter_jit(process.step)(before, key=jax.random.key(1))
    assert metrics["episode/count"] == 0

    def same(part):
        leaves = (jax.tree.leaves(eqx.filter(part(state.learner), eqx.is_array)) for state in (before, after))
        return [bool(jnp.all(one == other)) for one, other in zip(*leaves, strict=True)]

    assert all(same(lambda learned: learned.manager))
    assert not any(same(lambda learned: learned.worker.network.actor))
    assert not any(same(lambda learned: learned.place))


def test_the_network_plays_as_the_process_does_without_exploration(played):
    process, network, *_ = played
    lanes = eqx.filter_jit(begin)(process.whole, network.manager, 16, key=jax.random.key(5))

    def stretches():
        stretch = lambda carry, key: process.stretch(network, *carry, key=key, explore=False)
        keys = jax.random.split(jax.random.key(6), 7)
        return jax.lax.scan(stretch, (lanes, jnp.zeros((16, 1))), keys)[1][1]

    def act(percept, memory, *, key):
        output, memory = network(percept, memory)
        return Choice(output.policy.mode()), memory

    memory = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (16, *leaf.shape)), network.initial())
    alone = dataclasses.replace(lanes, memory=memory)
    _, steps = eqx.filter_jit(lambda: collect(process.whole, network, act, alone, 28, key=jax.random.key(6)))()
    done = eqx.filter_jit(stretches)()
    np.testing.assert_allclose(done.action.reshape(28, 16, 1), steps.action, atol=1e-5)


@pytest.mark.slow
def test_goals_are_learned_to_be_set_and_reached():
    process = small(lanes=32, stretches=8, lessons=8)
    state = train(process, 60, key=jax.random.key(0))
    found = returns(Line(), state.learner.network, episodes=64, key=jax.random.key(1))
    assert found.mean() > 0.95


@pytest.mark.slow
def test_the_recipe_gathers_more_than_it_says():
    recipe = find("pointgather-goals")
    state = train(recipe.process, recipe.iterations, key=jax.random.key(0))
    assert returns(recipe.process.world, state.learner.network, episodes=128, key=jax.random.key(1)).mean() > 2


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="CartPole has discrete actions"):
        GoalDirected(CartPole())
    with pytest.raises(UsageError, match="ask for 1 or more"):
        GoalDirected(Line(), every=0)
