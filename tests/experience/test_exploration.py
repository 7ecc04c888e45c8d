"""Exploration in new tasks: that only the latent's Gaussian moves, and what is counted as found and as stayed."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.networks import Actor
from headstart.core.policies import Gaussian
from headstart.core.types import Output, Percept, Step, Task
from headstart.errors import UsageError
from headstart.experience.exploration import by_latents, by_weights, evaluate, found, knowing, stayed
from headstart.experience.maesn import MAESN, Draws
from headstart.experience.maml import MAML
from headstart.experience.meta_gradient import InnerStep
from headstart.worlds.half_circle import HalfCircle, spread

pytestmark = pytest.mark.usefixtures("quick_to_compile")
SPARSE = HalfCircle(reach=0.5)


class Heading(AbstractNetwork):
    """Goes to the place that its latent names: it needs no training to explore as it is drawn."""

    def initial(self):
        return None

    def __call__(self, percept, memory):
        left = (percept.goal[1] - percept.observation) / HalfCircle.stride
        return Output(Gaussian(jnp.clip(left, -1, 1), jnp.full(2, -3.0))), None


@pytest.fixture(scope="module")
def adapted():
    """A process, what evolves in it, six new tasks, and who went to its latents there."""
    process = MAESN(HalfCircle(), spread(4), lambda world, key: Heading(), tasks=2, lanes=100, rate=0.7)
    state = process.init(key=jax.random.key(0))
    tasks = spread(6)
    return process, state, tasks, *by_latents(process, state, SPARSE, tasks, 3, key=jax.random.key(1))


def test_a_new_task_begins_at_the_prior_and_only_its_gaussian_moves(adapted):
    process, state, _, sources, rollout = adapted
    assert sources.mean.shape == (6, 4, 2)
    np.testing.assert_array_equal(sources.mean[:, 0], 0.0)
    np.testing.assert_array_equal(sources.log_std[:, 0], 0.0)
    faded = process.discount ** np.arange(50)
    for task in range(6):
        for point in range(3):
            before, after = (jax.tree.map(lambda leaf, at=(task, at): leaf[at], sources) for at in (point, point + 1))
            earned = faded @ np.asarray(rollout.reward[task, point])
            draws = Draws.of(before, rollout.percept.goal[1][task, point, 0], jnp.asarray(earned))
            moved = state.move(before, draws)
            np.testing.assert_allclose(after.mean, moved.mean, atol=1e-3)
            np.testing.assert_allclose(after.log_std, moved.log_std, atol=1e-3)
    # Whatever the task and the update: who acts is the network that was learned.
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[4:]), (rollout.percept, rollout.action))
    acted = jax.vmap(lambda percept, action: state.network(percept, None)[0].policy.log_prob(action))(*flat)
    np.testing.assert_allclose(acted, rollout.notes["log_prob"].ravel(), atol=1e-2)


def test_who_goes_where_latents_say_finds_each_place_and_then_goes_there_more_often(adapted):
    _, _, _, sources, rollout = adapted
    assert found(rollout)[:, 0].all()
    shares = stayed(rollout).mean(axis=0)
    assert shares[0] < 0.1
    assert shares[3] > 3 * shares[0]
    goals, means = np.asarray(spread(6).parameters), np.asarray(sources.mean[:, 3])
    ahead = np.sum(means * goals, axis=1) / np.linalg.norm(means, axis=1) / HalfCircle.radius
    assert (ahead > 0.9).all()
    assert (np.linalg.norm(means - goals, axis=1) < 1.6).all()  # 2 at first


def test_found_is_any_reward_and_stayed_is_the_last_one():
    reward = np.zeros((2, 2, 3, 4))  # tasks, points, steps, episodes
    reward[0, 1, 1, 2] = 1.0
    reward[1, 0, 2, :3] = 1.0
    nothing, no = jnp.zeros(reward.shape), jnp.zeros(reward.shape, bool)
    rollout = Step(Percept(nothing, no), nothing, jnp.asarray(reward), nothing, no, Percept(nothing, no))
    np.testing.assert_array_equal(found(rollout), [[False, True], [True, False]])
    np.testing.assert_array_equal(stayed(rollout), [[0, 0], [0.75, 0]])


def test_without_latents_all_weights_move_by_the_inner_step():
    process = MAML(HalfCircle(), partial(Actor, HalfCircle(), width=4), InnerStep(0.5), lanes=4, length=6)
    network = process.network(jax.random.key(0))
    key = jax.random.key(1)
    rollout = by_weights(process, network, spread(2), 1, key=key)
    for task, task_key in enumerate(jax.random.split(key, 2)):
        expected = network
        for point, point_key in enumerate(jax.random.split(task_key, 2)):
            task_here = Task(parameters=spread(2).parameters[task])
            explored, _ = process.explore(expected, task_here, key=point_key)
            np.testing.assert_allclose(rollout.reward[task, point], explored.reward, rtol=1e-3, atol=1e-4)
            expected = process.inner(expected, explored)


def test_who_is_told_the_task_finds_it_and_stays():
    rollout = knowing(SPARSE, spread(8), 2, 50, key=jax.random.key(0))
    assert rollout.reward.shape == (8, 1, 50, 2)
    assert found(rollout).all()
    assert (stayed(rollout) == 1).all()
    # To (2, 0) in 20 steps, of which the sixteenth to the nineteenth earn 1.6 to 1.9, and then 2 in each.
    east = knowing(HalfCircle(reach=0.45), Task(parameters=jnp.array([[2.0, 0.0]])), 1, 50, key=jax.random.key(0))
    np.testing.assert_allclose(east.reward.sum(), 1.6 + 1.7 + 1.8 + 1.9 + 31 * 2.0, rtol=1e-3)


def test_an_evaluation_shows_what_was_learned_beside_who_begins_from_scratch(adapted):
    process, state = adapted[:2]
    process = eqx.tree_at(lambda process: process.lanes, process, 40)
    page = evaluate(process, state, world=SPARSE, title="half circle", episodes=640, seed=0)
    figures = page.figures
    assert figures["tasks"] == 16
    assert figures["learned, return after 5 updates"] > 10 * figures["from scratch, return after 5 updates"] + 1
    assert figures["learned, tasks in which anything was found before an update"] > 0.3
    assert 60 < figures["who knows the task, return"] < 80
    assert "from scratch" in page.report.html()


def test_tasks_that_were_trained_on_are_refused():
    class Same(HalfCircle):
        def task(self, *, key):
            return Task(parameters=spread(4).parameters[1])

    process = MAESN(HalfCircle(), spread(4), lambda world, key: Heading(), tasks=2, lanes=4)
    state = process.init(key=jax.random.key(0))
    with pytest.raises(UsageError, match="also trained on"):
        evaluate(process, state, world=Same(reach=0.5), title="same", episodes=64, seed=0)
