"""PPO on the probes: known values, memory across a trial, and what a source may and may not do to it."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from compiled import CHUNK, learned

from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActorCritic, RecurrentActorCritic
from headstart.core.process import Online
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Frozen, Percept, Task
from headstart.core.world import AbstractWorld
from headstart.core.wrappers import Trials
from headstart.errors import UsageError
from headstart.scratch.ppo import PPO
from headstart.worlds.probes import Delayed, Matched, Secret, Seen

pytestmark = pytest.mark.usefixtures("quick_to_compile")

PROBES = [Seen(), Delayed(), Matched()]


class Probe(AbstractWorld):
    """The probe of this number: all are one world to the compiler."""

    number: jax.Array

    @property
    def actions(self):
        return PROBES[0].actions

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        return jax.lax.switch(self.number, [lambda probe=probe: probe.reset(task, key=key) for probe in PROBES])

    def step(self, state, task, action, *, key):
        return jax.lax.switch(self.number, [lambda probe=probe: probe.step(state, task, action) for probe in PROBES])


SMALL = partial(ActorCritic, PROBES[0], width=16, depth=1)


def probed(probe, iterations=60, source=Chain()):  # noqa: B008
    learner = PPO(source=source, discount=0.5, learning_rate=3e-3, minibatches=2)
    return learned(Online(Probe(jnp.array(probe)), SMALL, learner, lanes=32, length=8), iterations)


def value(state, seen):
    return float(state.network(Percept(jnp.array([seen]), jnp.array(True)), None)[0].value)


def test_values_are_those_of_what_is_seen():
    state, _ = probed(0)
    assert value(state, 1.0) == pytest.approx(1.0, abs=0.05)
    assert value(state, -1.0) == pytest.approx(-1.0, abs=0.05)


def test_the_future_is_discounted():
    state, _ = probed(1)
    assert value(state, 1.0) == pytest.approx(1.0, abs=0.05)
    assert value(state, 0.0) == pytest.approx(0.5, abs=0.05)


def test_the_policy_follows_what_is_seen():
    state, metrics = probed(2)
    returns = metrics["episode/return"]
    assert returns[0] < 0.5
    assert returns[-5:].mean() > 0.9
    assert value(state, 1.0) == pytest.approx(1.0, abs=0.1)


class Lasting(AbstractNetwork):
    """A network whose memory lasts until the next moment, or does not."""

    network: AbstractNetwork
    lasts: Frozen[jax.Array]

    def initial(self):
        return self.network.initial()

    def __call__(self, percept, memory):
        output, after = self.network(percept, jnp.where(self.lasts(), memory, self.initial()))
        return output, after


class Fresh(eqx.Module):
    """Makes networks from keys."""

    world: AbstractWorld
    lasts: jax.Array

    def __call__(self, key):
        return Lasting(RecurrentActorCritic(self.world, key, width=16), Frozen(self.lasts))


def test_memory_kept_across_a_trial_recalls_what_its_first_episode_revealed():
    world, learner = Trials(Secret(), 2), PPO(discount=0.5, learning_rate=1e-2, minibatches=2)
    # The first episode is a guess, worth 0; the second is worth 1 to who remembers.
    for lasts, least, most in ((True, 0.8, 1.5), (False, -0.3, 0.3)):
        process = Online(world, Fresh(world, jnp.array(lasts)), learner, lanes=32, length=8)
        _, metrics = learned(process, 100)
        assert least < metrics["episode/return"][-10:].mean() < most


class Pull(AbstractSource):
    """Pulls values towards a number of its own that learns too."""

    weight: Frozen[jax.Array]
    centre: jax.Array

    def loss(self, network, batch, outputs, *, key):
        distance = jnp.mean((outputs.value - self.centre) ** 2)
        return self.weight() * distance, {"pull/distance": distance}


@pytest.mark.exact
def test_a_source_of_weight_zero_leaves_the_learner_bit_identical():
    pull = lambda weight: Chain((Pull(Frozen(jnp.array(weight)), jnp.array(5.0)),))
    plain, silent, heard = (probed(2, CHUNK, source)[0] for source in (Chain(), pull(0.0), pull(1.0)))
    assert eqx.tree_equal(plain.network, silent.network)
    assert eqx.tree_equal(plain.optimisers[0], silent.optimisers[0])
    assert not eqx.tree_equal(plain.network, heard.network)


@pytest.mark.parametrize("changed", ["goal", "action"])
def test_a_source_that_falsifies_log_probabilities_is_refused(changed):
    class Relabel(AbstractSource):
        changes = frozenset({changed, "reward"})

    with pytest.raises(UsageError, match=rf"changes the {changed}.*off-policy"):
        PPO(source=Chain((Relabel(),)))


def test_fewer_lanes_than_minibatches_are_refused_where_memory_is_kept():
    trials = Trials(Secret(), 2)
    few = Online(trials, partial(RecurrentActorCritic, trials, width=8), PPO(minibatches=4), lanes=3, length=4)
    with pytest.raises(UsageError, match="3 segments make no 4 minibatches"):
        jax.eval_shape(lambda key: few.step(few.init(key=key), key=key)[1], jax.random.key(0))


def test_it_is_said_of_a_network_without_a_memory_what_it_cannot_do_in_trials():
    trials = Trials(Secret(), 2)
    forgetful = Online(trials, partial(ActorCritic, trials, width=8), PPO())
    with pytest.warns(UserWarning, match="ActorCritic remembers nothing, so that in the last of 2 episodes"):
        forgetful.outline(key=jax.random.key(0))
