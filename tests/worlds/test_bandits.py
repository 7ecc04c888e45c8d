"""Bandits: what the arms pay, what their tasks have in common, and when an episode of pulls is over."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.core.wrappers import Trials
from headstart.errors import UsageError
from headstart.worlds.bandits import EASY, HARD, Bandit, DependentBandit, InformativeBandit, Pulling, VolatileBandit

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def drawn(world, count=4_000):
    """The parameters of many tasks."""
    keys = jax.random.split(jax.random.key(0), count)
    return np.asarray(jax.jit(jax.vmap(lambda key: world.task(key=key).parameters))(keys))


def stepped(world, state, task, action, count=4_000):
    """One step from the same state, many times."""
    keys = jax.random.split(jax.random.key(1), count)
    return jax.jit(jax.vmap(lambda key: world.step(state, task, jnp.array(action), key=key)))(keys)


def test_an_arm_pays_as_often_as_its_probability_says():
    world, task = Bandit(3), Task(parameters=jnp.array([0.2, 0.7, 1.0]))
    for arm, probability in enumerate([0.2, 0.7, 1.0]):
        _, outcome = stepped(world, jnp.zeros(1), task, arm)
        assert set(np.unique(outcome.reward)) <= {0.0, 1.0}
        np.testing.assert_allclose(np.mean(outcome.reward), probability, atol=0.03)
        assert outcome.last.all()
        assert (outcome.discount == 0).all()
        assert (outcome.observation == world.reset(task, key=jax.random.key(0))[1]).all()


def test_arms_are_drawn_uniformly_and_by_themselves():
    tasks = drawn(Bandit(3))
    np.testing.assert_allclose(tasks.mean(axis=0), 1 / 2, atol=0.02)
    np.testing.assert_allclose(np.cov(tasks.T), np.eye(3) / 12, atol=0.006)


def test_a_trial_is_as_many_pulls_as_the_wrapper_says():
    world = Trials(Bandit(2), episodes=3)
    task = Task(parameters=jnp.array([0.0, 1.0]))
    state, _ = world.reset(task, key=jax.random.key(0))
    heard = []
    for arm in (0, 1, 1):
        state, outcome = world.step(state, task, jnp.array(arm), key=jax.random.key(0))
        heard.append((float(outcome.reward), float(outcome.discount), bool(outcome.last)))
    assert heard == [(0, 1, False), (1, 1, False), (1, 0, True)]


def test_what_one_of_two_dependent_arms_lacks_the_other_has():
    for likely, variance in (((), 1 / 12), (EASY, 0.4**2), (HARD, 0.1**2)):
        tasks = drawn(DependentBandit(likely))
        np.testing.assert_allclose(tasks.sum(axis=1), 1.0, rtol=1e-6)
        np.testing.assert_allclose(tasks[:, 0].mean(), 0.5, atol=0.025)
        np.testing.assert_allclose(tasks[:, 0].var(), variance, rtol=0.05)
    np.testing.assert_allclose(np.unique(drawn(DependentBandit(EASY))[:, 0]), EASY, rtol=1e-6)


def test_the_eleventh_arm_tells_which_arm_is_good():
    world = InformativeBandit()
    assert set(drawn(world)) == set(range(10))
    for good in range(10):
        task = Task(parameters=jnp.array(good))
        state, _ = world.reset(task, key=jax.random.key(0))
        paid = [float(world.step(state, task, jnp.array(arm))[1].reward) for arm in range(11)]
        expected = [5.0 if arm == good else 1.0 for arm in range(10)]
        np.testing.assert_allclose(paid, [*expected, (good + 1) / 10], rtol=1e-6)


def test_who_asks_first_earns_twenty_and_the_message():
    """By hand: the message 0.3, and four times 5; the fifth pull is the end."""
    world, task = InformativeBandit(), Task(parameters=jnp.array(2))
    state, _ = world.reset(task, key=jax.random.key(0))
    paid, over = 0.0, []
    for arm in (10, 2, 2, 2, 2):
        state, outcome = world.step(state, task, jnp.array(arm))
        paid += float(outcome.reward)
        over.append((bool(outcome.last), float(outcome.discount)))
    np.testing.assert_allclose(paid, 20.3, rtol=1e-6)
    assert over == [(False, 1)] * 4 + [(True, 0)]


def test_arms_change_places_as_often_as_the_hazard_says():
    world = VolatileBandit()
    assert set(np.unique(drawn(world))) == set(np.float32([0.01, 0.1]))
    for hazard in (0.0, 0.1, 1.0):
        after, _ = stepped(world, Pulling(jnp.array(1), jnp.array(0)), Task(parameters=jnp.array(hazard)), 1)
        np.testing.assert_allclose(np.mean(after.good == 0), hazard, atol=0.02)


def test_the_good_arm_pays_in_four_of_five_pulls_and_either_may_be_it():
    world, task = VolatileBandit(), Task(parameters=jnp.array(0.0))
    for good in (0, 1):
        for arm in (0, 1):
            _, outcome = stepped(world, Pulling(jnp.array(good), jnp.array(0)), task, arm)
            np.testing.assert_allclose(np.mean(outcome.reward), 0.8 if arm == good else 0.2, atol=0.03)
    begun = jax.vmap(lambda key: world.reset(task, key=key)[0].good)(jax.random.split(jax.random.key(0), 1_000))
    np.testing.assert_allclose(np.mean(begun), 0.5, atol=0.06)


def test_two_hundred_pulls_are_an_episode():
    world, task = VolatileBandit(), Task(parameters=jnp.array(0.1))
    for before, last in ((198, False), (199, True)):
        _, outcome = world.step(Pulling(jnp.array(0), jnp.array(before)), task, jnp.array(0), key=jax.random.key(0))
        assert (bool(outcome.last), float(outcome.discount)) == (last, 1 - last)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Bandit(0), "1 arm or more"),
        (lambda: DependentBandit((0.5, 1.5)), "probability 1.5"),
        (lambda: InformativeBandit(0), "1 pull or more"),
        (lambda: VolatileBandit(pulls=0), "1 pull or more"),
        (lambda: VolatileBandit(()), "1 hazard or more"),
        (lambda: VolatileBandit((0.1, -0.1)), "-0.1 is no probability"),
        (lambda: VolatileBandit(good=2.0), "2.0 is no probability"),
    ],
)
def test_what_makes_no_bandit_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()
