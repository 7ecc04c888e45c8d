"""DQN on the probes: known values, the arithmetic of its targets, memory, and what a source may do to it."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import CHUNK, learned

from headstart.core.collect import begin, collect, example
from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActionValues
from headstart.core.process import Online
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Frozen, Outcome, Output, Percept, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError
from headstart.scratch.dqn import DQN

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Recurrent(AbstractNetwork):
    """Action values from a gated recurrent unit, whose memory lasts until the next moment, or does not."""

    body: eqx.nn.MLP
    cell: eqx.nn.GRUCell
    lasts: Frozen[jax.Array]

    def __init__(self, lasts, key):
        body_key, cell_key = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(3, 16, key=cell_key)
        self.body = eqx.nn.MLP(16, 3, 32, 1, key=body_key)
        self.lasts = Frozen(lasts)

    def initial(self):
        return jnp.zeros(16)

    def __call__(self, percept, memory):
        memory = self.cell(percept.observation, jnp.where(self.lasts(), memory, 0.0))
        return Output(self.body(memory)), memory


class Fresh(eqx.Module):
    """Makes recurrent networks from keys."""

    lasts: jax.Array

    def __call__(self, key):
        return Recurrent(self.lasts, key)


class Fixed(AbstractNetwork):
    """The same action values at every moment."""

    values: jax.Array

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(self.values), None


class Cue(AbstractWorld):
    """A cue of 0 or 1 is shown, then gone: at the second moment action 1 pays the cue and action 0 pays 0.25.

    Action 2 would pay 100 and is illegal.
    """

    @property
    def actions(self):
        return Discrete(3)

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        cue = jax.random.bernoulli(key).astype(jnp.float32)
        return jnp.stack([cue, 0.0]), jnp.stack([1.0 - cue, cue, 0.0])

    def legal(self, state, task):
        return jnp.array([True, True, False])

    def step(self, state, task, action, *, key):
        cue, over = state[0], state[1] > 0
        reward = jnp.where(over, jnp.stack([0.25, cue, 100.0])[action], 0.0) + jnp.where(action == 2, 100.0, 0.0)
        discount = 1.0 - over
        return jnp.stack([cue, 1.0]), Outcome(jnp.array([0.0, 0.0, 1.0]), reward, discount, over)


class Payout(AbstractWorld):
    """A mean reward of 1, and the episode is over at every step: truly where `discount` is 0, cut short where it is 1.

    `odds` is how often there is a reward at all.
    """

    discount: jax.Array
    odds: jax.Array

    @property
    def actions(self):
        return Discrete(3)

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        return jnp.zeros(()), jnp.ones(3)

    def step(self, state, task, action, *, key):
        reward = jax.random.bernoulli(key, self.odds) / self.odds
        return state, Outcome(jnp.ones(3), reward, self.discount, jnp.array(True))


def payout(discount, odds=1.0):
    return Payout(jnp.array(discount), jnp.array(odds))


class Meddler(AbstractSource):
    """Pulls action values towards zero, with a parameter of its own; and adds something to every reward."""

    weight: Frozen[jax.Array]
    bonus: Frozen[jax.Array]
    scale: jax.Array

    def rewrite(self, batch, network, *, key):
        return eqx.tree_at(lambda batch: batch.reward, batch, batch.reward + self.bonus())

    def loss(self, network, batch, outputs, *, key):
        return self.weight() * jnp.sum(self.scale * outputs.policy**2), {}


def meddler(weight=0.0, bonus=0.0):
    return Chain((Meddler(Frozen(jnp.array(weight)), Frozen(jnp.array(bonus)), jnp.ones(())),))


SETTINGS = {
    "warmup": 64,
    "capacity": 2048,
    "batch": 32,
    "updates": 8,
    "explore": 1,
    "epsilon": (1.0, 1.0),
    "period": 20,
    "learning_rate": 3e-3,
    "discount": 0.5,
}


SMALL = partial(ActionValues, payout(0.0), width=32, depth=1)


def trained(world, iterations=40, network=SMALL, **settings):
    learner = DQN(**(SETTINGS | settings))
    return learned(Online(world, network, learner, lanes=8, length=8), iterations)[0]


def values(state, *moments):
    """The action values after having seen these observations."""
    memory = state.network.initial()
    for moment in moments:
        output, memory = state.network(Percept(jnp.array(moment), jnp.array(False)), memory)
    return np.asarray(output.policy)


ZERO, ONE, GONE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


@pytest.mark.parametrize("double", [True, False])
def test_targets_are_those_worked_by_hand(double):
    """y = 1 + γ Q(s′, argmax Q(s′, ·; θ); θ⁻) where the episode is cut, and 1 where it ends, legal actions only."""
    learner, key = DQN(discount=0.5, double=double), jax.random.key(0)

    @eqx.filter_jit
    def targets(world):
        network, target = Fixed(jnp.array([5.0, 2.0, 9.0])), Fixed(jnp.array([3.0, 4.0, 50.0]))
        state = learner.init(network, example(world, network, key=key), key=key)
        state = eqx.tree_at(lambda state: state.learned.target, state, Frozen(target))
        act = partial(learner.act, state)
        _, batch = collect(world, network, act, begin(world, network, 4, key=key), 2, key=key)
        legal = jnp.broadcast_to(jnp.array([True, True, False]), (2, 4, 3))
        batch = eqx.tree_at(lambda batch: batch.after.legal, batch, legal, is_leaf=lambda leaf: leaf is None)
        return learner._targets(state.learned, batch)

    np.testing.assert_allclose(targets(payout(1.0)), np.full((2, 4), 1 + 0.5 * (3.0 if double else 4.0)))
    np.testing.assert_allclose(targets(payout(0.0)), np.ones((2, 4)))


@pytest.mark.parametrize(("blend", "due", "reached"), [(1.0, True, 8.0), (0.25, True, 2.0), (1.0, False, 0.0)])
def test_the_target_moves_its_fraction_when_due(blend, due, reached):
    target = DQN(blend=blend).follow(Frozen(Fixed(jnp.zeros(3))), Fixed(jnp.full(3, 8.0)), jnp.array(due))
    np.testing.assert_allclose(target.frozen.values, reached)


def test_values_are_means_also_where_the_rare_case_decides():
    np.testing.assert_allclose(values(trained(payout(0.0, odds=0.25)), [1.0] * 3), 1.0, atol=0.3)


@pytest.mark.parametrize(("discount", "worth"), [(1.0, 2.0), (0.0, 1.0)])
def test_values_go_on_through_a_cut_and_stop_at_an_end(discount, worth):
    np.testing.assert_allclose(values(trained(payout(discount), 80), [1.0] * 3), worth, atol=0.03)


def test_values_with_memory_recall_the_cue_and_without_average_over_it():
    keeps, loses = (trained(Cue(), 120, Fresh(jnp.array(lasts)), segment=4) for lasts in (True, False))
    np.testing.assert_allclose(values(keeps, ZERO, GONE)[:2], [0.25, 0.0], atol=0.05)
    np.testing.assert_allclose(values(keeps, ONE, GONE)[:2], [0.25, 1.0], atol=0.05)
    np.testing.assert_allclose(values(keeps, ZERO)[:2], [0.125, 0.125], atol=0.05)
    np.testing.assert_allclose(values(keeps, ONE)[:2], [0.5, 0.5], atol=0.05)
    np.testing.assert_allclose(values(loses, ONE, GONE)[:2], [0.25, 0.5], atol=0.08)
    np.testing.assert_allclose(values(loses, ONE)[:2], [0.25, 0.25], atol=0.05)


def test_a_source_that_says_nothing_leaves_the_learner_bit_identical():
    plain = trained(payout(1.0), CHUNK)
    silent = trained(payout(1.0), CHUNK, source=meddler())
    assert eqx.tree_equal(plain.network, silent.network)
    assert eqx.tree_equal(plain.learned.target, silent.learned.target)
    heard = trained(payout(1.0), CHUNK, source=meddler(weight=0.1))
    assert not eqx.tree_equal(plain.network, heard.network)
    assert float(heard.learned.source.sources[0].scale) < 1.0  # what is its own learns, with an optimiser of its own


def test_non_finite_gradients_change_nothing():
    state = trained(payout(1.0), CHUNK, source=meddler(bonus=jnp.inf))
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(eqx.filter(state.network, eqx.is_array)))
    assert int(state.learned.gradients) == 0


def test_illegal_actions_are_never_taken():
    learner, network = DQN(**SETTINGS), Fixed(jnp.array([0.0, 0.0, 9.0]))
    percept = Percept(jnp.ones(3), jnp.array(True), legal=jnp.array([True, True, False]))

    @jax.jit
    def act(key):
        state = learner.init(network, example(Cue(), network, key=key), key=key)
        return jax.vmap(lambda key: learner.act(state, percept, None, key=key)[0].action)(jax.random.split(key, 64))

    assert set(np.asarray(act(jax.random.key(2))).tolist()) == {0, 1}


def test_a_source_that_needs_log_probabilities_is_refused():
    class Needy(AbstractSource):
        needs = frozenset({"log_prob"})

    with pytest.raises(UsageError, match="log_prob"):
        DQN(source=Needy())
