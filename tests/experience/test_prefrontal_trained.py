"""Networks that are trained as their recipes say, and become what these are for."""

import jax
import pytest

from headstart import recipes
from headstart.core.process import train


def trained(name):
    recipe = recipes.find(name)
    state = train(recipe.process, recipe.iterations, key=jax.random.key(0), chunk=recipe.chunk)
    return recipe.evaluate(recipe.process, state, title=name, episodes=512, seed=0).figures


@pytest.mark.slow
def test_in_the_two_step_task_a_network_learns_to_choose_as_if_it_had_a_model():
    found = trained("twostep-prefrontal")
    assert found["reward per trial, the network"] >= 0.68
    assert found["reversal, the network"] >= 0.15


@pytest.mark.slow
def test_in_volatile_bandits_a_network_learns_to_learn_faster_where_arms_change_more_often():
    found = trained("volatilebandit-prefrontal")
    low, high = (found[f"learning rate under {hazard}, the network"] for hazard in ("0.01", "0.1"))
    assert high >= 1.5 * low


@pytest.mark.slow
def test_in_harlows_task_a_network_forms_a_learning_set():
    found = trained("harlow-prefrontal")
    first, second = (found[f"good object chosen in trial {trial}, objects never seen"] for trial in (1, 2))
    assert first == pytest.approx(0.5, abs=0.07)
    assert second >= 0.9
