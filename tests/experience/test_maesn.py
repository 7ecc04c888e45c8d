"""MAESN: a latent per episode, scores of Gaussians by hand, and an outer step that learns what the inner step needs."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.networks import Actor
from headstart.core.policies import Gaussian
from headstart.core.trust_region import TrustRegion
from headstart.core.types import Task
from headstart.core.wrappers import OneTask
from headstart.errors import UsageError
from headstart.experience.maesn import MAESN, Draws, Told, gathered, prior
from headstart.worlds.half_circle import HalfCircle, spread

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def small(**how):
    settings = {"tasks": 3, "lanes": 6, "length": 5} | how
    return MAESN(HalfCircle(), spread(4), partial(Actor, width=4, depth=1), **settings)


@pytest.fixture(scope="module")
def gathering():
    """A process, what evolves in it, tasks by their numbers, and what was gathered in them."""
    process = small()
    state = process.init(key=jax.random.key(0))
    numbers = jnp.array([2, 0, 3])
    # Latents that tell tasks apart, so that none can pass for another.
    mean = jnp.arange(8.0).reshape(4, 2) / 4 - 1
    state = eqx.tree_at(lambda state: state.latents, state, Gaussian(mean, -0.5 * jnp.ones((4, 2))))
    problem, metrics = eqx.filter_jit(process.gather)(state, numbers, key=jax.random.key(1))
    return process, state, numbers, problem, metrics


def test_a_latent_is_drawn_once_per_episode_and_is_the_same_throughout():
    source = Gaussian(jnp.array([3.0, -2.0]), jnp.log(jnp.array([0.5, 0.1])))
    task = Task(parameters=jnp.array([2.0, 0.0]))
    world = Told(OneTask(HalfCircle(), task), source)
    network = Actor(Told(HalfCircle(), prior(2)), jax.random.key(0), width=4)
    rollout = gathered(world, network, 400, 3, key=jax.random.key(1))
    assert rollout.percept.goal[0] is None
    latent = np.asarray(rollout.percept.goal[1])
    np.testing.assert_array_equal(latent, np.broadcast_to(latent[:1], (3, 400, 2)))
    np.testing.assert_array_equal(rollout.after.goal[1][:-1], latent[1:])
    assert len(np.unique(latent[0, :, 0])) == 400
    np.testing.assert_allclose(latent[0].mean(axis=0), [3.0, -2.0], atol=0.1)
    np.testing.assert_allclose(latent[0].std(axis=0), [0.5, 0.1], rtol=0.15)


def test_the_next_episode_of_a_lane_has_a_latent_of_its_own():
    world = Told(OneTask(HalfCircle(), Task(parameters=jnp.array([2.0, 0.0]))), prior(2))
    network = Actor(Told(HalfCircle(), prior(2)), jax.random.key(0), width=4)
    latent = np.asarray(gathered(world, network, 2, 100, key=jax.random.key(1)).percept.goal[1])
    for lane in range(2):
        assert len(np.unique(latent[:, lane, 0])) == 2
        np.testing.assert_array_equal(latent[:50, lane], np.broadcast_to(latent[0, lane], (50, 2)))


def test_an_inner_step_is_that_of_the_score_by_hand():
    """∂ log N / ∂μ = (z − μ) / σ², ∂ log N / ∂ log σ = ((z − μ) / σ)² − 1; of 4 draws, one earned 4 and the others 0.

    So the advantages are √3 and three times −1/√3.
    """
    mean, spread_ = np.array([0.5, -1.0]), np.array([2.0, 0.5])
    source = Gaussian(jnp.array(mean), jnp.log(jnp.array(spread_)))
    latent = np.array([[2.5, -1.0], [0.5, -0.5], [-1.5, -1.0], [0.5, -1.5]])
    draws = Draws.of(source, jnp.array(latent), jnp.array([4.0, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(draws.advantage, [3**0.5, *[-(3**-0.5)] * 3], rtol=1e-5)
    density = -0.5 * ((latent - mean) / spread_) ** 2 - np.log(spread_) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(draws.log_prob, density.sum(axis=1), rtol=1e-5)

    process = small()
    state = process.init(key=jax.random.key(0))
    rates = (jnp.array([0.3, 0.7]), jnp.array([0.2, 0.1]))
    moved = eqx.tree_at(lambda state: state.rates, state, rates).move(source, draws)
    noise = (latent - mean) / spread_
    advantage = np.array([3**0.5, *[-(3**-0.5)] * 3])[:, None]
    np.testing.assert_allclose(moved.mean, mean + [0.3, 0.7] * np.mean(advantage * noise / spread_, axis=0), rtol=1e-4)
    rise = np.mean(advantage * (noise**2 - 1), axis=0)
    np.testing.assert_allclose(moved.log_std, np.log(spread_) + [0.2, 0.1] * rise, rtol=1e-4)


def test_where_all_episodes_earn_the_same_nothing_moves():
    source = prior(2)
    latent = source.sample(key=jax.random.key(0)) + jnp.arange(20.0)[:, None]
    state = small().init(key=jax.random.key(0))
    for same in (0.0, 2.0):
        moved = state.move(source, Draws.of(source, latent, jnp.full(20, same)))
        np.testing.assert_array_equal(moved.mean, source.mean)
        np.testing.assert_array_equal(moved.log_std, source.log_std)


def test_the_price_of_a_gaussian_is_its_divergence_from_the_prior(gathering):
    """KL(N(μ, σ) ‖ N(0, 1)) = ½ Σ (μ² + σ² − 1 − log σ²), of the tasks that were drawn, before they adapted."""
    _, state, _, problem, _ = gathering
    outputs = problem.outputs(state)
    mean, log_std = np.asarray(state.latents.mean)[[2, 0, 3]], -0.5
    by_hand = 0.5 * np.sum(mean**2 + np.exp(2 * log_std) - 1 - 2 * log_std, axis=1)
    dear = eqx.tree_at(lambda problem: problem.weight, problem, 10.0)
    free = eqx.tree_at(lambda problem: problem.weight, problem, 0.0)
    np.testing.assert_allclose(free.gain(outputs) - dear.gain(outputs), 10 * by_hand.mean(), rtol=1e-4)
    np.testing.assert_allclose(free.gain(outputs), 0.0, atol=1e-4)  # nothing has moved: mean advantages


def test_each_task_acts_by_its_own_gaussian_and_then_by_the_adapted_one(gathering):
    process, state, numbers, problem, metrics = gathering
    policies, after, before = problem.outputs(state)
    (inner,) = problem.inner
    for at, number in enumerate(np.asarray(numbers)):
        own = jax.tree.map(lambda leaf, number=number: leaf[number], state.latents)
        one = jax.tree.map(lambda leaf, at=at: leaf[at], inner)
        np.testing.assert_allclose(one.log_prob, own.log_prob(one.latent), rtol=1e-4)
        moved = state.move(own, one)
        np.testing.assert_allclose(after.mean[at], moved.mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(problem.drawn.log_prob[at], moved.log_prob(problem.drawn.latent[at]), rtol=1e-3)
        goal = np.asarray(process.training.parameters[number])
        distance = np.linalg.norm(np.asarray(problem.outer.after.observation[at]) - goal, axis=-1)
        np.testing.assert_allclose(problem.outer.reward[at], 2 - distance, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(before.mean, state.latents.mean[numbers])
    np.testing.assert_array_equal(problem.outer.percept.goal[1][:, 0], problem.drawn.latent)
    np.testing.assert_allclose(policies.log_prob(problem.outer.action), problem.outer.notes["log_prob"], rtol=1e-4)
    np.testing.assert_allclose(metrics["episode/return"], problem.outer.reward.sum(axis=1).mean(), rtol=1e-4)


def test_latents_are_judged_by_whole_episodes_and_not_above_a_baseline_that_knows_them(gathering):
    _, _, _, problem, _ = gathering
    earned = np.einsum("t,ntb->nb", 0.99 ** np.arange(5), np.asarray(problem.outer.reward))
    normal = (earned - earned.mean(axis=1, keepdims=True)) / earned.std(axis=1, keepdims=True)
    np.testing.assert_allclose(problem.drawn.advantage, normal, rtol=1e-2, atol=1e-3)


def test_the_gradient_goes_through_the_inner_step_to_gaussians_and_rates(gathering):
    """By finite differences: a rate that is more by h changes the gain by h times its gradient."""
    _, state, _, problem, _ = gathering
    gain = eqx.filter_jit(lambda state: problem.gain(problem.outputs(state)))
    gradient = eqx.filter_grad(gain)(state)
    places = {
        "rate": (lambda state: state.rates[0], (0,)),
        "rate of log σ": (lambda state: state.rates[1], (1,)),
        "mean": (lambda state: state.latents.mean, (3, 1)),
        "log σ": (lambda state: state.latents.log_std, (2, 0)),
    }
    for where, at in places.values():
        nudged = lambda h, where=where, at=at: gain(eqx.tree_at(where, state, where(state).at[at].add(h)))
        np.testing.assert_allclose(where(gradient)[at], (nudged(0.01) - nudged(-0.01)) / 0.02, rtol=0.05, atol=2e-3)
    np.testing.assert_array_equal(gradient.latents.mean[1], 0.0)  # a task that was not met learns nothing


@pytest.mark.parametrize(("steps", "held"), [(0, False), (1, False), (2, False), (1, True)])
def test_an_outer_step_gains_and_moves_no_further_than_said(steps, held):
    process = small(steps=steps, held=held, region=TrustRegion(reach=0.02))
    state = process.init(key=jax.random.key(0))
    after, metrics = eqx.filter_jit(process.step)(state, key=jax.random.key(1))
    assert metrics["trpo/made"] == 1
    assert metrics["trpo/gained"] > 0
    assert 0.002 < metrics["trpo/divergence"] <= 0.02
    moved = jnp.any(after.latents.mean != state.latents.mean, axis=1)
    assert moved.sum() == 3  # of 4 tasks, those that were drawn
    rates = [jax.tree.leaves(each.rates)[0] for each in (state, after)]
    assert bool(jnp.any(rates[0] != rates[1])) == (steps > 0 and not held)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"tasks": 0}, "tasks = 0"),
        ({"size": 0}, "size = 0"),
        ({"tasks": 5}, "5 tasks an iteration are more than the 4"),
        ({"steps": -1}, "0 or more"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(how, told):
    with pytest.raises(UsageError, match=told):
        small(**how)
