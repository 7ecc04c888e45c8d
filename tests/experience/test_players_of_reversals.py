"""The players of reversals: their arithmetic by hand, and what they are known to earn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Percept, Task
from headstart.core.wrappers import OneTask
from headstart.experience.behaviour import behave, stay_probabilities
from headstart.experience.classical.reversals import IdealObserver, ModelBased, ModelFree, RescorlaWagner
from headstart.worlds.bandits import VolatileBandit
from headstart.worlds.tabular import TwoStep

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(5)


def after(action, reward, place=0, first=False):
    """What is heard after a trial."""
    return Percept(
        observation=jax.nn.one_hot(place, 2),
        first=jnp.array(first),
        action=jnp.array(action),
        reward=jnp.array(float(reward)),
        discount=jnp.ones(()),
    )


def volatile(hazard):
    return OneTask(VolatileBandit(), Task(parameters=jnp.asarray(hazard)))


def heard(player, *trials):
    """The chances of both actions and the memory after an episode's beginning and these trials."""
    output, memory = player(after(0, 0, first=True), player.initial())
    for trial in trials:
        output, memory = player(after(*trial), memory)
    return jnp.exp(output.policy.log_probs), memory


def test_who_is_model_free_learns_of_what_was_done():
    """By hand: ½ (1 − 0) = ½, then ½ + ½ (0 − ½) = ¼ of action 0, and ½ of action 1."""
    chances, worth = heard(ModelFree(0.5, 4.0), (0, 1), (0, 0), (1, 1))
    np.testing.assert_allclose(worth, [0.25, 0.5])
    np.testing.assert_allclose(chances[1], 1 / (1 + np.exp(-4 * 0.25)), rtol=1e-5)
    np.testing.assert_allclose(heard(ModelFree())[0], 0.5)


def test_of_two_arms_a_reward_of_one_speaks_against_the_other():
    """By hand: ½ + ¼ (0 − ½) = 3/8 after arm 0 paid, and 3/8 + ¼ (1 − 3/8) = 17/32 after it did not."""
    chances, worth = heard(RescorlaWagner(0.25, 8.0), (0, 1), (0, 0))
    np.testing.assert_allclose(worth, 17 / 32)
    np.testing.assert_allclose(chances[1], 1 / (1 + np.exp(-8 * 2 / 32)), rtol=1e-5)


def test_who_is_model_based_hears_what_a_place_says_and_not_who_led_there():
    """By hand: 0.9 after one reward, which is 0.9 · 0.975 + 0.1 · 0.025 before the next trial."""
    for action in (0, 1):
        chances, belief = heard(ModelBased(), (action, 1, 1))
        np.testing.assert_allclose(belief, [[0.12, 0.88]], rtol=1e-5)
        np.testing.assert_allclose(chances, [0, 1])
    # What is uncommon in one world is common in the other.
    np.testing.assert_allclose(heard(ModelBased(TwoStep(common=0.2)), (0, 1, 1))[0], [1, 0])


def test_the_ideal_observer_weighs_hazards():
    """By hand, of hazards 0 and ½: arm 0 paid, 0.8 of its being good; under ½, all is even again.

    Then it does not pay: likely by 0.8 · 0.2 + 0.2 · 0.8 = 0.32 under 0, and by ½ under ½.
    """
    player = IdealObserver(VolatileBandit((0.0, 0.5)))
    np.testing.assert_allclose(heard(player, (0, 1))[1], [[0.4, 0.1], [0.25, 0.25]], rtol=1e-5)
    _, belief = heard(player, (0, 1), (0, 0))
    np.testing.assert_allclose(np.sum(belief, axis=1), [0.32 / 0.82, 0.5 / 0.82], rtol=1e-5)
    np.testing.assert_allclose(belief[0], [0.16 / 0.82, 0.16 / 0.82], rtol=1e-5)


def test_what_is_earned_and_stayed_with_in_two_steps_is_what_was_measured_elsewhere():
    """500 episodes of 100 trials: the standard errors are about 0.003."""
    world = TwoStep()
    based, free = (behave(world, player, 500, 100, key=KEY) for player in (ModelBased(), ModelFree()))
    assert abs(np.mean(based.reward) - 0.705) < 0.01
    assert abs(np.mean(free.reward) - 0.636) < 0.01
    np.testing.assert_allclose(stay_probabilities(based), [[1.0, 0.66], [0.66, 1.0]], atol=0.025)
    np.testing.assert_allclose(stay_probabilities(free), [[0.96, 0.87], [0.55, 0.73]], atol=0.025)


def test_who_knows_the_family_of_volatile_bandits_earns_what_was_measured_elsewhere():
    for hazard, earned in ((0.01, 0.762), (0.1, 0.657)):
        found = behave(volatile(hazard), IdealObserver(), 200, 200, key=KEY)
        assert abs(np.mean(found.reward) - earned) < 0.012
