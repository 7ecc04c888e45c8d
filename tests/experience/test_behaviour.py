"""What is read off behaviour: counted by hand, and recovered from players whose numbers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.core.wrappers import OneTask
from headstart.experience.behaviour import Behaviour, behave, fit, stay_probabilities
from headstart.experience.classical.reversals import IdealObserver, RescorlaWagner
from headstart.worlds.bandits import VolatileBandit
from headstart.worlds.tabular import TwoStep

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(3)


def test_stays_are_counted_by_what_came_before():
    """By hand, in one episode: after (rewarded, common) stays, stays, leaves; after each other kind once."""
    action = jnp.array([[0, 0, 0, 1, 1, 0, 0]])
    place = jnp.array([[0, 0, 0, 0, 1, 1, 0]])  # common, common, common, uncommon, common, uncommon
    reward = jnp.array([[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0]])
    found = stay_probabilities(Behaviour(action, jax.nn.one_hot(place, 2), reward))
    np.testing.assert_allclose(found, [[2 / 3, 1.0], [0.0, 1.0]], rtol=1e-6)


def test_behaviour_is_of_whole_episodes_and_what_was_seen_is_what_came_of_it():
    found = behave(TwoStep(common=1.0, reversal=0.0, paying=1.0), RescorlaWagner(), 6, 100, key=KEY)
    assert found.action.shape == found.reward.shape == (6, 100)
    np.testing.assert_array_equal(np.argmax(found.seen, axis=-1), found.action)  # always common
    good = np.asarray(found.action[:, 0] == found.reward[:, 0])[:, None]
    np.testing.assert_array_equal(found.reward, found.action == good, "one place pays, and goes on to")


def volatile(hazard):
    return OneTask(VolatileBandit(), Task(parameters=jnp.asarray(hazard)))


def simulated(rate, precision):
    return behave(volatile(0.05), RescorlaWagner(jnp.asarray(rate), jnp.asarray(precision)), 200, 200, key=KEY)


@pytest.mark.parametrize(("rate", "precision"), [(0.1, 6.0), (0.3, 6.0), (0.6, 3.0), (0.95, 3.0)])
def test_a_known_learning_rate_is_recovered(rate, precision):
    found = simulated(rate, precision)
    fitted = fit(found.action, found.reward)
    assert abs(fitted.rate - rate) < 0.1 * rate
    assert abs(fitted.precision - precision) < 0.1 * precision


def test_the_fit_is_the_best_there_is():
    """Beside SciPy's own search, from the likelihood written down anew."""
    from scipy import optimize

    found = simulated(0.3, 6.0)
    action, reward = np.asarray(found.action), np.asarray(found.reward)

    def cost(numbers):
        rate, precision = numbers
        worth, total = np.full(len(action), 0.5), 0.0
        for did, earned in zip(action.T, reward.T, strict=True):
            one = 1 / (1 + np.exp(-precision * (2 * worth - 1)))
            total -= np.log(np.where(did == 1, one, 1 - one)).mean()
            worth += rate * (np.where(did == 1, earned, 1 - earned) - worth)
        return total / action.shape[1]

    best = optimize.minimize(cost, (0.5, 3.0), method="Nelder-Mead")
    fitted = fit(found.action, found.reward)
    np.testing.assert_allclose([fitted.rate, fitted.precision], best.x, rtol=5e-3)
    np.testing.assert_allclose(fitted.log_likelihood, -best.fun, atol=1e-5)


def test_who_chooses_by_a_coin_has_no_precision_and_no_rate():
    found = simulated(0.3, 0.0)
    fitted = fit(found.action, found.reward)
    assert fitted.precision < 0.2
    np.testing.assert_allclose(fitted.log_likelihood, np.log(0.5), atol=1e-3)


def test_an_observer_who_imagines_both_hazards_learns_faster_under_the_greater_one_and_no_other_does():
    """The ideal observer's rates, 0.19 and 0.31, were measured elsewhere by another program."""

    def rates(player):
        seen = (behave(volatile(hazard), player, 100, 200, key=KEY) for hazard in (0.01, 0.1))
        return [float(fit(one.action, one.reward).rate) for one in seen]

    np.testing.assert_allclose(rates(IdealObserver()), [0.19, 0.31], atol=0.03)
    low, high = rates(IdealObserver(VolatileBandit((0.1,))))
    assert high < 1.2 * low
