"""A function that is compiled ahead is compiled once, and answers as it always does."""

from functools import partial

import jax
import numpy as np
import pytest

from headstart.core.ahead import Ahead
from headstart.core.hosted import Hosted
from headstart.core.networks import ActionValues, ActorCritics, RecurrentActorCritic
from headstart.core.process import train
from headstart.scratch.dqn import DQN
from headstart.scratch.ppo import PPO
from headstart.scratch.sac import SAC
from headstart.worlds.adapters.gymnasium import gymnasium_host


def compilations(call, caplog):
    """The programs that this thread compiles in a call."""
    caplog.clear()
    with jax.log_compiles():
        call()
    return [record.getMessage() for record in caplog.records if "Finished XLA compilation" in record.getMessage()]


def test_what_was_prepared_is_not_compiled_again(caplog):
    double = Ahead(lambda value: value * 2)
    double.prepare(lambda: (np.zeros(3),))
    double.wait()
    assert compilations(lambda: double(np.ones(3)), caplog) == []
    np.testing.assert_array_equal(double(np.ones(3)), np.full(3, 2.0))


def test_other_shapes_than_those_prepared_are_compiled_then(caplog):
    double = Ahead(lambda value: value * 2)
    double.prepare(lambda: (np.zeros(3),))
    assert compilations(lambda: double(np.ones(4)), caplog) != []
    np.testing.assert_array_equal(double(np.ones(4)), np.full(4, 2.0))


def test_what_goes_wrong_ahead_goes_wrong_in_the_call():
    @Ahead
    def refuse(value):
        raise ValueError("no such thing")

    refuse.prepare(lambda: (np.zeros(3),))
    with pytest.raises(ValueError, match="no such thing"):
        refuse(np.zeros(3))


@pytest.mark.parametrize(
    ("name", "network", "learner"),
    [
        ("CartPole-v1", ActionValues, DQN(segment=4, batch=4, capacity=64)),
        ("CartPole-v1", RecurrentActorCritic, PPO(minibatches=1)),
        ("Pendulum-v1", ActorCritics, SAC(batch=4, capacity=64)),
    ],
)
def test_a_hosted_learner_is_compiled_while_its_environments_start(name, network, learner, caplog):
    host = gymnasium_host(name, 2)
    process = Hosted(host, partial(network, host, width=8), learner, length=4)
    compiled = compilations(lambda: train(process, 2, key=jax.random.key(0), chunk=1), caplog)
    assert any("_act" in line for line in compiled)
    assert not any("_update" in line for line in compiled)
