"""A network judged by its behaviour: the figures and pages of an evaluation."""

import equinox as eqx
import jax.numpy as jnp
import pytest

from headstart.core.process import Online
from headstart.experience.classical.reversals import IdealObserver, ModelBased
from headstart.experience.prefrontal import evaluate_harlow, evaluate_two_step, evaluate_volatility, reversal
from headstart.scratch.a2c import A2C
from headstart.worlds.bandits import VolatileBandit
from headstart.worlds.harlow import Harlow
from headstart.worlds.tabular import TwoStep
from learning_set import Knowing

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Learner(eqx.Module):
    network: eqx.Module


class State(eqx.Module):
    learner: Learner


def judged(evaluate, world, player, episodes):
    """The evaluation of a player as if it had been trained."""
    process = Online(world, lambda key: player, A2C())
    return evaluate(process, State(Learner(player)), title="judged", episodes=episodes, seed=0)


def test_a_reversal_is_of_the_uncommon_transitions_alone():
    assert reversal(jnp.array([[0.9, 0.25], [0.3, 1.0]])) == 0.75


def test_who_is_model_based_is_found_to_be():
    found = judged(evaluate_two_step, TwoStep(), ModelBased(), 200)
    assert found.figures["episodes"] == 192
    for figure in ("reward per trial", "reversal"):
        assert found.figures[f"{figure}, the network"] == found.figures[f"{figure}, model-based"]
    assert found.figures["reversal, the network"] == pytest.approx(0.34, abs=0.05)
    assert found.figures["reversal, model-free"] == pytest.approx(-0.14, abs=0.05)
    assert set(dict(found.report.images)) == {"stays", "reward"}
    assert "unrewarded and common" in found.report.html()


def test_who_weighs_hazards_is_found_to_learn_faster_under_the_greater_one():
    found = judged(evaluate_volatility, VolatileBandit(pulls=50), IdealObserver(), 64)
    low, high = (found.figures[f"learning rate under {hazard}, the network"] for hazard in ("0.01", "0.1"))
    assert 0.1 < low < high < 0.5
    assert found.figures["reward per pull under 0.1, the network"] == pytest.approx(0.65, abs=0.03)
    assert set(dict(found.report.images)) == {"rates", "reward"}


def test_who_has_the_learning_set_is_found_to_have_it():
    found = judged(evaluate_harlow, Harlow(), Knowing(), 400)
    assert found.figures["episodes"] == 400
    for objects in ("objects of its training", "objects never seen"):
        shares = [found.figures[f"good object chosen in trial {trial}, {objects}"] for trial in range(1, 7)]
        assert shares == pytest.approx([0.5, 1, 1, 1, 1, 1], abs=0.08)
        assert shares[1:] == [1.0] * 5
    assert set(dict(found.report.images)) == {"curve"}
    assert "objects never seen 0." in found.report.html()
