"""Q-learning by hand on a table, on a ring, by the gradient of another network, and with sources."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import CHUNK, learned

from headstart.core.network import AbstractNetwork
from headstart.core.process import Online
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Frozen, Output, Percept, Step
from headstart.errors import UsageError
from headstart.scratch.q_learning import QLearning, Table
from headstart.worlds.navigation import Navigation
from headstart.worlds.rings import Ring
from headstart.worlds.tabular import TabularMDP

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)
VALUES = jnp.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]])


def table(values=VALUES):
    return eqx.tree_at(lambda table: table.values, Table(TabularMDP(3, 2), KEY), values)


def rollout(before, action, reward, discount, after, legal=None):
    """Lanes and moments of a world of 3 states; arguments are `[T, B]`."""
    before, after = jnp.array(before), jnp.array(after)
    first = jnp.zeros(before.shape, bool)
    legal = None if legal is None else jnp.array(legal)
    return Step(
        percept=Percept(jax.nn.one_hot(before, 3), first, legal=legal),
        action=jnp.array(action),
        reward=jnp.array(reward),
        discount=jnp.array(discount),
        last=first,
        after=Percept(jax.nn.one_hot(after, 3), first, legal=legal),
        notes={"memory": None, "memory_after": None},
    )


def updated(learner, steps, network=None):
    network = table() if network is None else network
    return learner.update(learner.init(network, steps, key=KEY), steps, key=KEY)


def test_steps_are_learned_from_in_order():
    """α = ½, γ = ½. Q(0, 1) ← 2 + ½ (1 + ½ · 3 − 2) = 2.25; then 1 leads to 0, whose best is now 2.25."""
    steps = rollout([[0], [1]], [[1], [0]], [[1.0], [2.0]], [[1.0], [1.0]], [[1], [0]])
    state, metrics = updated(QLearning(learning_rate=0.5, discount=0.5), steps)
    np.testing.assert_allclose(state.network.values, [[1.0, 2.25], [3.0625, -1.0], [0.5, 0.0]])
    np.testing.assert_allclose(metrics["q/value"], (2.0 + 3.0) / 2)
    np.testing.assert_allclose(metrics["q/loss"], (0.5**2 + 0.125**2) / 4)


def test_nothing_comes_after_a_true_end():
    steps = rollout([[2]], [[0]], [[4.0]], [[0.0]], [[1]])
    state, _ = updated(QLearning(learning_rate=0.5, discount=0.5), steps)
    np.testing.assert_allclose(state.network.values[2, 0], 0.5 + 0.5 * (4.0 - 0.5))


def test_only_legal_actions_can_follow():
    legal = [[[False, True]]]
    state, _ = updated(
        QLearning(learning_rate=0.5, discount=0.5), rollout([[0]], [[1]], [[1.0]], [[1.0]], [[1]], legal)
    )
    np.testing.assert_allclose(state.network.values[0, 1], 2.0 + 0.5 * (1.0 + 0.5 * -1.0 - 2.0))


def test_lanes_of_one_moment_are_averaged():
    steps = rollout([[0, 2]], [[1, 0]], [[1.0, 4.0]], [[0.0, 0.0]], [[1, 1]])
    state, _ = updated(QLearning(learning_rate=0.5), steps)
    np.testing.assert_allclose(state.network.values, [[1.0, 1.75], [3.0, -1.0], [0.5 + 0.25 * 3.5, 0.0]])


@pytest.mark.parametrize("beta", [0.0, 1.0, 3.0])
def test_actions_are_drawn_by_the_softmax_of_their_values(beta):
    learner = QLearning(inverse_temperature=beta)
    state = learner.init(table(), rollout([[0]], [[0]], [[0.0]], [[1.0]], [[0]]), key=KEY)
    percept = Percept(jax.nn.one_hot(0, 3), jnp.array(False))
    act = lambda key: learner.act(state, percept, None, key=key)[0].action
    drawn = np.mean(jax.vmap(act)(jax.random.split(KEY, 4_000)))
    np.testing.assert_allclose(drawn, 1 / (1 + np.exp(-beta)), atol=0.025)


def test_illegal_actions_are_not_drawn():
    learner = QLearning()
    state = learner.init(table(), rollout([[0]], [[0]], [[0.0]], [[1.0]], [[0]]), key=KEY)
    percept = Percept(jax.nn.one_hot(0, 3), jnp.array(False), legal=jnp.array([True, False]))
    act = lambda key: learner.act(state, percept, None, key=key)[0].action
    assert not np.any(jax.vmap(act)(jax.random.split(KEY, 64)))


def test_a_ring_is_solved_by_who_looks_ahead_and_not_by_who_does_not():
    """Bellman's equation of a ring of 3 with r₂ = 4 and γ = 0.9, whose best way round is action 1 for ever."""
    ring = Ring(3, 4.0)
    learner = lambda gamma: QLearning(learning_rate=0.5, discount=jnp.array(gamma))
    process = lambda gamma: Online(ring, partial(Table, ring), learner(gamma), 1, 100)
    state, _ = learned(process(0.9), 2 * CHUNK)
    value = np.linalg.solve(np.eye(3) - 0.9 * np.eye(3)[[2, 0, 1]], [4.0, -1.0, -1.0])
    np.testing.assert_allclose(np.max(state.network.values, axis=1), value, rtol=1e-3)
    assert np.argmax(state.network.values, axis=1).tolist() == [1, 1, 1]
    short, _ = learned(process(0.1), 2 * CHUNK)
    assert np.argmax(short.network.values, axis=1).tolist() == [1, 0, 1]


class Linear(AbstractNetwork):
    """Action values linear in one number that is seen."""

    slope: jax.Array

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(percept.observation[0] * self.slope), None


def test_another_network_learns_by_the_gradient():
    percept = Percept(jnp.array([[[2.0]]]), jnp.array([[False]]))
    notes = {"memory": None, "memory_after": None}
    one, zero = jnp.ones((1, 1)), jnp.zeros((1, 1))
    steps = Step(percept, jnp.array([[1]]), one, zero, jnp.array([[True]]), percept, notes=notes)
    state, _ = updated(QLearning(learning_rate=0.1), steps, Linear(jnp.array([3.0, 1.0])))
    np.testing.assert_allclose(state.network.slope, [3.0, 1.0 + 0.1 * (1.0 - 2.0) * 2.0])


class Pull(AbstractSource):
    """Pulls the values of what was done towards 5."""

    weight: Frozen[jax.Array]

    def loss(self, network, batch, outputs, *, key):
        return self.weight() * jnp.mean((outputs.policy - 5.0) ** 2), {"pull/here": jnp.ones(())}


class Twice(AbstractSource):
    """Every reward counts twice."""

    changes = frozenset({"reward"})

    def rewrite(self, batch, network, *, key):
        return eqx.tree_at(lambda batch: batch.reward, batch, 2.0 * batch.reward)


@pytest.mark.exact
def test_a_source_of_weight_zero_leaves_the_learner_bit_identical():
    steps = rollout([[0, 2], [1, 1]], [[1, 0], [0, 1]], [[1.0, 4.0], [0.0, 2.0]], [[1.0, 1.0]] * 2, [[1, 1], [2, 0]])
    plain, silent, heard = (
        updated(QLearning(source), steps)[0]
        for source in (Chain(), Chain((Pull(Frozen(jnp.array(0.0))),)), Chain((Pull(Frozen(jnp.array(1.0))),)))
    )
    assert eqx.tree_equal(plain.network, silent.network)
    assert not eqx.tree_equal(plain.network, heard.network)


def test_a_source_may_rewrite_what_is_learned_from():
    steps = rollout([[0]], [[0]], [[4.0]], [[0.0]], [[1]])
    state, _ = updated(QLearning(Twice(), learning_rate=1.0), steps)
    assert float(state.network.values[0, 0]) == 8.0


def test_what_cannot_be_learned_is_refused():
    class Needy(AbstractSource):
        needs = frozenset({"log_prob"})

    with pytest.raises(UsageError, match="QLearning records no log_prob"):
        QLearning(Needy())
    with pytest.raises(UsageError, match="no room for the real actions of Navigation"):
        Table(Navigation(), KEY)
