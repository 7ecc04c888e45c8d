"""PPO on the probes: known values, memory across a trial, and what a source may and may not do to it."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActorCritic, RecurrentActorCritic
from headstart.core.process import Online, train
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Percept
from headstart.core.wrappers import Trials
from headstart.errors import UsageError
from headstart.scratch.ppo import PPO
from headstart.worlds.probes import Delayed, Matched, Secret, Seen

KEY = jax.random.key(0)


def learned(world, iterations=60, network=None, **settings):
    """The state after training, and the mean return of the episodes in each iteration."""
    settings = {"discount": 0.5, "learning_rate": 3e-3, "minibatches": 2} | settings
    returns = []
    process = Online(world, network or partial(ActorCritic, world, width=16), PPO(**settings), lanes=32, length=8)
    note = lambda done, state, metrics: returns.extend(metrics["episode/return"])
    state = train(process, iterations, key=KEY, chunk=min(iterations, 30), after=note)
    return state.learner, np.array(returns)


def value(state, seen):
    return float(state.network(Percept(jnp.array([seen]), jnp.array(True)), None)[0].value)


def test_values_are_those_of_what_is_seen():
    state, _ = learned(Seen())
    assert value(state, 1.0) == pytest.approx(1.0, abs=0.05)
    assert value(state, -1.0) == pytest.approx(-1.0, abs=0.05)


def test_the_future_is_discounted():
    state, _ = learned(Delayed())
    assert value(state, 1.0) == pytest.approx(1.0, abs=0.05)
    assert value(state, 0.0) == pytest.approx(0.5, abs=0.05)


def test_the_policy_follows_what_is_seen():
    state, returns = learned(Matched())
    assert returns[0] < 0.5
    assert returns[-5:].mean() > 0.9
    assert value(state, 1.0) == pytest.approx(1.0, abs=0.1)


class Forgetful(AbstractNetwork):
    """A network whose memory never lasts until the next moment."""

    network: AbstractNetwork

    def initial(self):
        return self.network.initial()

    def __call__(self, percept, memory):
        output, _ = self.network(percept, self.network.initial())
        return output, self.network.initial()


def test_memory_kept_across_a_trial_recalls_what_its_first_episode_revealed():
    world = Trials(Secret(), 2)
    remember = partial(RecurrentActorCritic, world, width=16)
    _, kept = learned(world, 90, remember, learning_rate=1e-2)
    _, blanked = learned(world, 90, lambda key: Forgetful(remember(key)), learning_rate=1e-2)
    # The first episode is a guess, worth 0; the second is worth 1 to who remembers.
    assert kept[-10:].mean() > 0.8
    assert abs(blanked[-10:].mean()) < 0.3


class Pull(AbstractSource):
    """Pulls values towards a number of its own that learns too."""

    weight: float
    centre: jax.Array = eqx.field(default_factory=lambda: jnp.full((), 5.0))

    def loss(self, network, batch, outputs, *, key):
        distance = jnp.mean((outputs.value - self.centre) ** 2)
        return self.weight * distance, {"pull/distance": distance}


def test_a_source_of_weight_zero_leaves_the_learner_bit_identical():
    plain, _ = learned(Matched(), 2)
    silent, _ = learned(Matched(), 2, source=Chain((Pull(0.0),)))
    assert eqx.tree_equal(plain.network, silent.network)
    assert eqx.tree_equal(plain.optimisers[0], silent.optimisers[0])


@pytest.mark.parametrize("changed", ["goal", "action"])
def test_a_source_that_falsifies_log_probabilities_is_refused(changed):
    class Relabel(AbstractSource):
        changes = frozenset({changed, "reward"})

    with pytest.raises(UsageError, match=rf"changes the {changed}.*off-policy"):
        PPO(source=Chain((Relabel(),)))
