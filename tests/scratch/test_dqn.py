"""DQN on the probes: known values, the arithmetic of its targets, memory, and what a source may do to it."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect, example
from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActionValues
from headstart.core.process import Online, train
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Frozen, Outcome, Output, Percept, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError
from headstart.scratch.dqn import DQN


class RecurrentValues(AbstractNetwork):
    """Action values from a gated recurrent unit."""

    body: eqx.nn.MLP
    cell: eqx.nn.GRUCell

    def __init__(self, key):
        body_key, cell_key = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(3, 16, key=cell_key)
        self.body = eqx.nn.MLP(16, 3, 32, 1, key=body_key)

    def initial(self):
        return jnp.zeros(16)

    def __call__(self, percept, memory):
        memory = self.cell(percept.observation, memory)
        return Output(self.body(memory)), memory


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


class Constant(AbstractWorld):
    """A reward of 1 and the episode is over at every step: truly, or merely cut short."""

    cut: bool

    @property
    def actions(self):
        return Discrete(3)

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        return jnp.zeros(()), jnp.ones(3)

    def step(self, state, task, action, *, key):
        return state, Outcome(jnp.ones(3), jnp.ones(()), jnp.array(float(self.cut)), jnp.array(True))


class Lottery(Constant):
    """As `Constant`, but one step in four earns 20 and the others nothing."""

    def step(self, state, task, action, *, key):
        state, outcome = super().step(state, task, action, key=key)
        return state, eqx.tree_at(lambda outcome: outcome.reward, outcome, 20.0 * jax.random.bernoulli(key, 0.25))


class Penalty(AbstractSource):
    """Pulls action values towards zero, with a parameter of its own."""

    weight: float
    scale: jax.Array

    def loss(self, network, batch, outputs, *, key):
        return self.weight * jnp.sum(self.scale * outputs.policy**2), {}


class Spoiler(AbstractSource):
    """Makes every reward infinite."""

    def rewrite(self, batch, network, *, key):
        return eqx.tree_at(lambda batch: batch.reward, batch, jnp.full_like(batch.reward, jnp.inf))


SETTINGS = {
    "warmup": 64,
    "capacity": 2048,
    "batch": 32,
    "updates": 8,
    "explore": 1,
    "epsilon": (1.0, 1.0),
    "period": 20,
}


def learned(world, iterations=40, network=None, **settings):
    learner = DQN(**(SETTINGS | {"learning_rate": 3e-3, "discount": 0.5} | settings))
    network = network or partial(ActionValues, world, width=32, depth=1)
    process = Online(world, network, learner, lanes=8, length=8)
    return train(process, iterations, key=jax.random.key(0), chunk=20).learner


def values(state, *moments):
    """The action values after having seen these observations."""
    memory = state.network.initial()
    for moment in moments:
        output, memory = state.network(Percept(jnp.array(moment), jnp.array(False)), memory)
    return np.asarray(output.policy)


KEY = jax.random.key(0)
ZERO, ONE, GONE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


@pytest.mark.parametrize("double", [True, False])
def test_targets_are_those_worked_by_hand(double):
    """y = 1 + γ Q(s′, argmax Q(s′, ·; θ); θ⁻) where the episode is cut, and 1 where it ends, legal actions only."""
    network, target = Fixed(jnp.array([5.0, 2.0, 9.0])), Fixed(jnp.array([3.0, 4.0, 50.0]))
    learner = DQN(discount=0.5, double=double)
    for world, worth in ((Constant(cut=True), 1 + 0.5 * (3.0 if double else 4.0)), (Constant(cut=False), 1.0)):
        state = learner.init(network, example(world, network, key=jax.random.key(0)), key=jax.random.key(0))
        state = eqx.tree_at(lambda state: state.learned.target, state, Frozen(target))
        act = lambda percept, memory, *, key, state=state: learner.act(state, percept, memory, key=key)
        _, batch = collect(world, network, act, begin(world, network, 4, key=jax.random.key(1)), 2, key=KEY)
        legal = jnp.broadcast_to(jnp.array([True, True, False]), (2, 4, 3))
        batch = eqx.tree_at(lambda batch: batch.after.legal, batch, legal, is_leaf=lambda leaf: leaf is None)
        np.testing.assert_allclose(learner._targets(state.learned, batch), np.full((2, 4), worth))


@pytest.mark.parametrize(("blend", "due", "reached"), [(1.0, True, 8.0), (0.25, True, 2.0), (1.0, False, 0.0)])
def test_the_target_moves_its_fraction_when_due(blend, due, reached):
    target = DQN(blend=blend)._follow(Frozen(Fixed(jnp.zeros(3))), Fixed(jnp.full(3, 8.0)), jnp.array(due))
    np.testing.assert_allclose(target.frozen.values, reached)


def test_values_are_means_also_where_the_rare_case_decides():
    np.testing.assert_allclose(values(learned(Lottery(False), 80, learning_rate=1e-2), [1.0] * 3), 5.0, atol=2.0)


def test_values_without_memory_average_over_what_is_hidden():
    state = learned(Cue(), 80)
    np.testing.assert_allclose(values(state, GONE)[:2], [0.25, 0.5], atol=0.08)
    np.testing.assert_allclose(values(state, ONE)[:2], [0.25, 0.25], atol=0.05)


def test_values_with_memory_recall_the_cue():
    state = learned(Cue(), 120, RecurrentValues, segment=4)
    np.testing.assert_allclose(values(state, ZERO, GONE)[:2], [0.25, 0.0], atol=0.05)
    np.testing.assert_allclose(values(state, ONE, GONE)[:2], [0.25, 1.0], atol=0.05)
    np.testing.assert_allclose(values(state, ZERO)[:2], [0.125, 0.125], atol=0.05)
    np.testing.assert_allclose(values(state, ONE)[:2], [0.5, 0.5], atol=0.05)


@pytest.mark.parametrize(("cut", "worth", "double"), [(True, 2.0, True), (False, 1.0, False)])
def test_values_go_on_through_a_cut_and_stop_at_an_end(cut, worth, double):
    state = learned(Constant(cut), blend=0.05 if cut else 1.0, period=1 if cut else 20, double=double)
    np.testing.assert_allclose(values(state, (1.0, 1.0, 1.0)), worth, atol=0.03)


def test_a_source_that_says_nothing_leaves_the_learner_bit_identical():
    plain = learned(Constant(True), 20)
    silent = learned(Constant(True), 20, source=Chain((Penalty(0.0, jnp.ones(())),)))
    assert eqx.tree_equal(plain.network, silent.network)
    assert eqx.tree_equal(plain.learned.target, silent.learned.target)
    heard = learned(Constant(True), 20, source=Penalty(0.1, jnp.ones(())))
    assert not eqx.tree_equal(plain.network, heard.network)
    assert float(heard.learned.source.scale) < 1.0  # its own parameters learn, with an optimiser of their own


def test_non_finite_gradients_change_nothing():
    state = learned(Constant(True), 20, source=Spoiler())
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(eqx.filter(state.network, eqx.is_array)))
    assert int(state.learned.gradients) == 0


def test_illegal_actions_are_never_taken():
    learner = DQN(**SETTINGS)
    network = Fixed(jnp.array([0.0, 0.0, 9.0]))
    state = learner.init(network, example(Cue(), network, key=jax.random.key(1)), key=jax.random.key(1))
    percept = Percept(jnp.ones(3), jnp.array(True), legal=jnp.array([True, True, False]))
    act = jax.jit(jax.vmap(lambda key: learner.act(state, percept, None, key=key)[0].action))
    assert set(np.asarray(act(jax.random.split(jax.random.key(2), 64))).tolist()) == {0, 1}


def test_a_source_that_needs_log_probabilities_is_refused():
    class Needy(AbstractSource):
        needs = frozenset({"log_prob"})

    with pytest.raises(UsageError, match="log_prob"):
        DQN(source=Needy())
