"""Universal value functions: the factorisation by hand, the streams, and the reference of what each rank is worth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.process import train
from headstart.core.types import Percept
from headstart.errors import UsageError
from headstart.goals.uvfa import OneStream, Regression, TwoStream, factorise, squared_error, universal_table
from headstart.greedy import returns
from headstart.recipes import find
from headstart.studies.uvfa import policy_quality
from headstart.worlds.classic_control import CartPole
from headstart.worlds.four_rooms import FourRooms

pytestmark = pytest.mark.usefixtures("quick_to_compile")

WORLD, DISCOUNT = FourRooms(), 0.95


def test_one_regression_by_hand():
    """Rank 1 after one sweep: the row is b·M / (b·b + ridge), and each goal a·M / (a·a + ridge), over what is known."""
    table, known = jnp.array([[2.0, 4.0, 99.0]]), jnp.array([[True, True, False]])
    key = jax.random.key(0)
    start = np.asarray(jax.random.normal(jax.random.split(key)[1], (3, 1)))[:, 0]
    row = (start[0] * 2 + start[1] * 4) / (start[0] ** 2 + start[1] ** 2 + 0.5)
    rows, goals = factorise(table, known, 1, key=key, ridge=0.5, sweeps=1)
    np.testing.assert_allclose(rows, [[row]], rtol=1e-5)
    np.testing.assert_allclose(goals[:, 0], [row * 2 / (row**2 + 0.5), row * 4 / (row**2 + 0.5), 0.0], rtol=1e-5)


def test_what_a_few_entries_determine_is_found():
    """A table of rank 2, 20 × 15, of which 60 % are known: the rest follows."""
    row_key, goal_key, known_key, key = jax.random.split(jax.random.key(1), 4)
    table = jax.random.normal(row_key, (20, 2)) @ jax.random.normal(goal_key, (2, 15))
    known = jax.random.bernoulli(known_key, 0.6, table.shape)
    hidden = jnp.where(known, table, jnp.nan)  # what is not known is not looked at
    rows, goals = factorise(hidden, known, 2, key=key, ridge=1e-3, sweeps=300)
    np.testing.assert_allclose((rows @ goals.T)[~known], table[~known], atol=0.03)


def test_a_full_table_is_met_as_well_as_by_its_singular_values():
    table = WORLD.values(DISCOUNT)
    rows, goals = factorise(table, jnp.ones(table.shape, bool), 7, key=jax.random.key(0), ridge=1e-4)
    error = jnp.linalg.norm(rows @ goals.T - table) / jnp.linalg.norm(table)
    singular = np.linalg.svd(table, compute_uv=False)
    least = np.sqrt(np.sum(singular[7:] ** 2) / np.sum(singular**2))
    assert least <= error < 1.02 * least


@pytest.mark.parametrize(
    ("rank", "quality"), [(1, 0.23), (2, 0.35), (3, 0.65), (5, 0.87), (7, 0.98), (10, 1.0), (104, 1.0)]
)
def test_what_each_rank_is_worth(rank, quality):
    """Computed elsewhere, by exact enumeration: the best move by the true values, cut to a rank."""
    left, singular, right = np.linalg.svd(np.asarray(WORLD.values(DISCOUNT)))
    cut = (left[:, :rank] * singular[:rank]) @ right[:rank]
    found = jnp.mean(policy_quality(jnp.asarray(cut)))
    np.testing.assert_allclose(found, quality, atol=0.025)
    if rank == 7:
        error = np.linalg.norm(cut - WORLD.values(DISCOUNT)) / np.linalg.norm(WORLD.values(DISCOUNT))
        np.testing.assert_allclose(error, 0.029, atol=0.0005)


def test_values_at_random_are_worth_little():
    random = jax.random.normal(jax.random.key(0), (104, 104))
    assert 0.05 < jnp.mean(policy_quality(random)) < 0.12  # 0.08 elsewhere


def test_two_streams_meet_in_a_product():
    network = TwoStream.of(WORLD, jax.random.key(0), rank=3, width=8)
    state, goal = jnp.array([0.5, -0.5]), jnp.array([1.0, 0.0])
    values = network(Percept(state, jnp.array(True), goal=goal), network.initial())[0].policy
    embedded = network.states(state).reshape(4, 3)
    np.testing.assert_allclose(values, [np.dot(each, network.goals(goal)) for each in embedded], rtol=1e-5)
    table = universal_table(network, jnp.stack([goal, state]), jnp.stack([state, state, goal]))
    assert table.shape == (2, 4, 3)
    np.testing.assert_allclose(table[1, :, 2], values, rtol=1e-5)


def test_both_streams_are_regressed_onto_their_embeddings():
    """Of action values: the rows of a table are the actions of the first state, then those of the next."""
    keys = jax.random.split(jax.random.key(0), 4)
    states, goals = jax.random.normal(keys[0], (6, 2)), jax.random.normal(keys[1], (5, 3))
    rows, wanted = jax.random.normal(keys[2], (6 * 4, 2)), jax.random.normal(keys[3], (5, 2))
    network = TwoStream(2, 3, 4, jax.random.key(1), rank=2, width=64)
    network = Regression(steps=1_500).embed(network, states, goals, (rows, wanted), key=jax.random.key(2))
    np.testing.assert_allclose(jax.vmap(network.goal_embedding)(goals), wanted, atol=0.05)
    np.testing.assert_allclose(jax.vmap(network.state_embedding)(states), rows.reshape(6, 4, 2), atol=0.05)
    np.testing.assert_allclose(universal_table(network, states, goals), (rows @ wanted.T).reshape(6, 4, 5), atol=0.2)


@pytest.mark.parametrize("kind", [OneStream, TwoStream])
def test_a_table_is_fitted_from_end_to_end_where_it_is_known(kind):
    states, goals = jnp.eye(4), jnp.eye(3)
    table = jax.random.normal(jax.random.key(0), (8, 3))  # two actions in each state
    known = jnp.ones((8, 3), bool).at[2:4, 1].set(False).at[5, 0].set(False)
    network = kind(4, 3, 2, jax.random.key(1), width=64)
    fitted = Regression(steps=1_500).fit(
        network, states, goals, jnp.where(known, table, jnp.nan), known, key=jax.random.key(2)
    )
    found = universal_table(fitted, states, goals).reshape(8, 3)
    np.testing.assert_allclose(found[known], table[known], atol=0.05)
    assert np.all(np.abs((found - table)[~known]) > 1e-3)


def test_only_what_is_known_is_an_error():
    found, values = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.0, 5.0, jnp.nan])
    assert squared_error(found, values, jnp.array([True, True, False])) == (1 + 9) / 2
    assert squared_error(found, values, jnp.zeros(3, bool)) == 0


@pytest.mark.slow
def test_two_streams_are_learned_by_bootstrapping_alone():
    """No table, only what DQN did itself: moving at random, one goal in eight is met in 32 steps."""
    recipe = find("fourrooms-uvfa", 240)
    state = train(recipe.process, recipe.iterations, key=jax.random.key(0))
    found = returns(recipe.process.world, state.learner.network, episodes=512, key=jax.random.key(1))
    assert found.mean() > 0.5


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="rank 0"):
        factorise(jnp.ones((2, 2)), jnp.ones((2, 2), bool), 0, key=jax.random.key(0))
    with pytest.raises(UsageError, match="CartPole has no goals"):
        TwoStream.of(CartPole(), jax.random.key(0))
