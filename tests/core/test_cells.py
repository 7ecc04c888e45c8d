"""A gated recurrent unit against its equations, and a segment of one against moment after moment."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from headstart.core.cells import GRU

FIRST = np.array([False, False, True, False, True, False])


def test_a_gated_recurrent_unit_is_its_equations():
    """One number in, one remembered: r = σ(x + h), z = σ(−x), h̃ = tanh(½ x + r (2 h + 1)), and biases that tell."""
    cell = eqx.tree_at(
        lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias, cell.bias_n),
        GRU(1, 1, key=jax.random.key(0)),
        (jnp.array([[1.0], [-1.0], [0.5]]), jnp.array([[1.0], [0.0], [2.0]]), jnp.array([0.1, 0.2, 0.3]), jnp.ones(1)),
    )
    x, h = 0.7, -0.4
    sigmoid = lambda value: 1 / (1 + np.exp(-value))
    reset, keep = sigmoid(x + h + 0.1), sigmoid(-x + 0.2)
    candidate = np.tanh(0.5 * x + 0.3 + reset * (2 * h + 1))
    said, state = cell(jnp.array([x]), jnp.array([h]))
    np.testing.assert_allclose(state, [keep * h + (1 - keep) * candidate], rtol=1e-6)
    assert (said == state).all()
    assert cell.initial().tolist() == [0.0]


def test_its_weights_and_what_it_says_are_equinoxs():
    key, heard, state = jax.random.key(1), jax.random.normal(jax.random.key(2), (3,)), jnp.linspace(-1, 1, 4)
    cell, other = GRU(3, 4, key=key), eqx.nn.GRUCell(3, 4, key=key)
    assert eqx.tree_equal(jax.tree.leaves(cell), jax.tree.leaves(other))
    np.testing.assert_allclose(cell(heard, state)[0], other(heard, state), rtol=1e-5)


def test_a_segment_is_a_loop_that_blanks_where_an_episode_begins():
    cell = GRU(3, 4, key=jax.random.key(1))
    heard, entering = jax.random.normal(jax.random.key(2), (6, 3)), jnp.full(4, 0.5)
    said, final = cell.unroll(heard, jnp.array(FIRST), entering)
    state = entering
    for t, first in enumerate(FIRST):
        one, state = cell(heard[t], cell.initial() if first else state)
        np.testing.assert_allclose(said[t], one, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(final, state, rtol=1e-5, atol=1e-7)
