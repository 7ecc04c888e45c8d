"""Tabular worlds: the laws that are drawn, what an action leads to and earns, and what a trial of two stages is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.tabular import MDP, Choosing, TabularMDP, TwoStep, Visiting

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def many(function, count=4_000):
    return jax.jit(jax.vmap(function))(jax.random.split(jax.random.key(0), count))


def test_laws_are_drawn_as_the_paper_says():
    """Dirichlet(1) over n states: mean 1 / n, variance (n − 1) / (n² (n + 1)), covariance −1 / (n² (n + 1))."""
    mdp = many(lambda key: TabularMDP().task(key=key).parameters, 400)
    assert mdp.transitions.shape == (400, 10, 5, 10)
    np.testing.assert_allclose(np.sum(mdp.transitions, axis=-1), 1.0, rtol=1e-5)
    shares = np.asarray(mdp.transitions).reshape(-1, 10)
    np.testing.assert_allclose(shares.mean(axis=0), 0.1, atol=0.003)
    np.testing.assert_allclose(np.cov(shares.T), (10 * np.eye(10) - 1) / 1100, atol=3e-4)
    assert mdp.rewards.shape == (400, 10, 5)
    np.testing.assert_allclose(np.mean(mdp.rewards), 1.0, atol=0.03)
    np.testing.assert_allclose(np.std(mdp.rewards), 1.0, atol=0.03)


def test_a_step_follows_the_laws():
    world = TabularMDP(states=3, choices=2)
    transitions = jnp.array([[[0.0, 0.3, 0.7], [1.0, 0.0, 0.0]]] * 3)
    task = Task(parameters=MDP(transitions, jnp.array([[4.0, 0.0], [0.0, -2.0], [0.0, 0.0]])))
    step = lambda place, action: many(
        lambda key: world.step(Visiting(jnp.array(place), jnp.array(0)), task, jnp.array(action), key=key)
    )
    after, outcome = step(0, 0)
    np.testing.assert_allclose(np.bincount(after.place, minlength=3) / 4_000, [0.0, 0.3, 0.7], atol=0.03)
    np.testing.assert_array_equal(outcome.observation, np.eye(3)[after.place])
    np.testing.assert_allclose((np.mean(outcome.reward), np.std(outcome.reward)), (4.0, 1.0), atol=0.06)
    after, outcome = step(1, 1)
    assert (after.place == 0).all()
    np.testing.assert_allclose(np.mean(outcome.reward), -2.0, atol=0.06)
    assert abs(np.corrcoef(step(0, 0)[0].place, step(0, 0)[1].reward)[0, 1]) < 0.05  # chance of its own for each


def test_an_episode_begins_in_state_0_and_truly_ends_at_the_horizon():
    world = TabularMDP()
    task = world.task(key=jax.random.key(0))
    state, observation = world.reset(task, key=jax.random.key(1))
    assert (int(state.place), int(state.steps)) == (0, 0)
    np.testing.assert_array_equal(observation, np.eye(10)[0])
    for before, last in ((8, False), (9, True)):
        _, outcome = world.step(Visiting(jnp.array(3), jnp.array(before)), task, jnp.array(0), key=jax.random.key(0))
        assert (bool(outcome.last), float(outcome.discount)) == (last, 1 - last)


def test_without_chance_a_choice_leads_to_its_place_and_the_good_place_pays():
    world = TwoStep(common=1.0, reversal=0.0, paying=1.0)
    state, observation = world.reset(Task(), key=jax.random.key(0))
    np.testing.assert_array_equal(observation, [0, 0])
    for good in (0, 1):
        for action in (0, 1):
            state = Choosing(jnp.array(good), jnp.array(0))
            after, outcome = world.step(state, Task(), jnp.array(action), key=jax.random.key(0))
            np.testing.assert_array_equal(outcome.observation, np.eye(2)[action])
            assert float(outcome.reward) == (action == good)
            assert (int(after.good), int(after.trials)) == (good, 1)
    always = TwoStep(common=0.0, reversal=1.0, paying=1.0)
    after, outcome = always.step(Choosing(jnp.array(0), jnp.array(0)), Task(), jnp.array(0), key=jax.random.key(0))
    assert (int(after.good), float(outcome.reward)) == (1, 1)  # the places changed sides before the trial
    np.testing.assert_array_equal(outcome.observation, [0, 1])


def test_transitions_rewards_and_reversals_are_as_likely_as_the_paper_says():
    world = TwoStep()
    after, outcome = many(
        lambda key: world.step(Choosing(jnp.array(0), jnp.array(0)), Task(), jnp.array(1), key=key), 20_000
    )
    uncommon, stayed, paid = outcome.observation[:, 0] == 1, after.good == 0, np.asarray(outcome.reward)
    np.testing.assert_allclose(np.mean(uncommon), 0.2, atol=0.01)
    np.testing.assert_allclose(np.mean(stayed), 0.975, atol=0.005)
    np.testing.assert_allclose(paid[uncommon & stayed].mean(), 0.9, atol=0.02)
    np.testing.assert_allclose(paid[~uncommon & stayed].mean(), 0.1, atol=0.02)
    np.testing.assert_allclose(np.mean(many(lambda key: world.reset(Task(), key=key)[0].good)), 0.5, atol=0.03)


def test_a_hundred_trials_are_an_episode():
    for before, last in ((98, False), (99, True)):
        state = Choosing(jnp.array(0), jnp.array(before))
        _, outcome = TwoStep().step(state, Task(), jnp.array(0), key=jax.random.key(0))
        assert (bool(outcome.last), float(outcome.discount)) == (last, 1 - last)


@pytest.mark.parametrize(("common", "earned"), [(0.8, 0.705), (0.5, 0.5)])
def test_who_knows_the_laws_earns_what_there_is_to_earn(common, earned):
    """A Bayesian who filters which place is good, and chooses what commonly leads there: not so without structure."""
    world = TwoStep(common=common)

    def trial(carry, key):
        state, belief = carry  # that place 1 is good in the coming trial
        action = (belief > 0.5).astype(jnp.int32)
        state, outcome = world.step(state, Task(), action, key=key)
        speaks = (outcome.observation[1] == 1) == (outcome.reward == 1)  # for place 1
        likely = jnp.where(speaks, 0.9, 0.1)
        belief = belief * likely / (belief * likely + (1 - belief) * (1 - likely))
        return (state, 0.975 * belief + 0.025 * (1 - belief)), outcome.reward

    def episode(key):
        reset_key, key = jax.random.split(key)
        state, _ = world.reset(Task(), key=reset_key)
        return jnp.mean(jax.lax.scan(trial, (state, 0.5), jax.random.split(key, 100))[1])

    np.testing.assert_allclose(np.mean(many(episode, 1_000)), earned, atol=0.006)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TabularMDP(states=0), "states = 0"),
        (lambda: TabularMDP(choices=0), "choices = 0"),
        (lambda: TabularMDP(horizon=0), "horizon = 0"),
        (lambda: TwoStep(trials=0), "1 trial or more"),
        (lambda: TwoStep(common=1.2), "common = 1.2 is no probability"),
        (lambda: TwoStep(reversal=-1.0), "reversal = -1.0"),
        (lambda: TwoStep(paying=9.0), "paying = 9.0"),
    ],
)
def test_what_makes_no_world_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()
