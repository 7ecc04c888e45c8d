"""How missions are judged: what is fulfilled is what was paid for, in levels that training never met."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.process import Online
from headstart.core.types import Output
from headstart.greedy import returns
from headstart.instructions.missions import carried_out, evaluate
from headstart.scratch.ppo import PPO

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Ahead(AbstractNetwork):
    """Goes ahead, whatever is said, and turns where it would not get on."""

    def initial(self):
        return None

    def __call__(self, percept, memory):
        blocked = percept.observation.image[3, 5, 0] != 1
        action = jnp.where(blocked, 0, 2)
        return Output(Categorical(10.0 * jax.nn.one_hot(action, 7)), jnp.zeros(())), None


@pytest.fixture(scope="module")
def world():
    pytest.importorskip("minigrid")
    from headstart.worlds.adapters.babyai import BabyAI, draw_levels, vocabulary

    return BabyAI.of(draw_levels("GoToObj", 100), vocabulary().tokens)


def test_what_is_fulfilled_is_what_was_paid_for(world):
    key = jax.random.key(0)
    done = carried_out(world, Ahead(), 100, key=key)
    paid = returns(world, Ahead(), episodes=100, key=key)
    np.testing.assert_array_equal(done.fulfilled, paid > 0)
    np.testing.assert_allclose(done.steps[done.fulfilled], (1 - paid[done.fulfilled]) / 0.9 * 64, rtol=1e-4)
    assert (done.steps[~done.fulfilled] == 64).all()
    assert 0 < done.fulfilled.mean() < 1


def test_an_agent_is_judged_in_levels_that_training_did_not_meet(world):
    state = SimpleNamespace(learner=SimpleNamespace(network=Ahead()))
    process = Online(world, lambda key: Ahead(), PPO(), lanes=2, length=2)
    found = evaluate(process, state, title="ahead", episodes=60, seed=0)
    assert json.loads(json.dumps(found.figures)) == found.figures
    assert found.figures["missions"] == 60
    assert 0 < found.figures["fulfilled"] < 1
    assert 1 <= found.figures["steps of those"] < 64
    assert found.figures != evaluate(process, state, title="ahead", episodes=60, seed=1).figures
