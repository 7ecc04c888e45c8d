"""A long short-term memory against its equations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from headstart.memory.lstm import LSTM


def test_a_long_short_term_memory_is_its_equations():
    """One number in, one said: i = σ(x), f = σ(h), g = tanh(2 x − h), o = σ(x + h), and biases that tell."""
    cell = eqx.tree_at(
        lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias),
        LSTM(1, 1, key=jax.random.key(0)),
        (jnp.array([[1.0], [0.0], [2.0], [1.0]]), jnp.array([[0.0], [1.0], [-1.0], [1.0]]), jnp.arange(4) / 10),
    )
    x, h, c = 0.7, -0.4, 1.5
    sigmoid = lambda value: 1 / (1 + np.exp(-value))
    after = sigmoid(h + 0.1) * c + sigmoid(x) * np.tanh(2 * x - h + 0.2)
    said, state = cell(jnp.array([x]), (jnp.array([h]), jnp.array([c])))
    np.testing.assert_allclose(said, [sigmoid(x + h + 0.3) * np.tanh(after)], rtol=1e-6)
    np.testing.assert_allclose(jnp.stack(state), [said, [after]], rtol=1e-6)


def test_it_is_equinoxs_but_that_it_forgets_less_to_begin_with():
    key, heard = jax.random.key(1), jax.random.normal(jax.random.key(2), (3,))
    cell, other = LSTM(3, 4, key=key), eqx.nn.LSTMCell(3, 4, key=key)
    np.testing.assert_allclose(cell.bias - other.bias, [0] * 4 + [1] * 4 + [0] * 8, atol=1e-6)
    same = eqx.tree_at(lambda cell: cell.bias, cell, other.bias)
    state = (jnp.linspace(-1, 1, 4), jnp.linspace(2, -2, 4))
    for one, two in zip(same(heard, state)[1], other(heard, state), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5)
    assert [part.tolist() for part in cell.initial()] == [[0.0] * 4] * 2


def test_a_segment_is_a_loop_that_blanks_both_parts_of_the_state():
    cell = LSTM(3, 4, key=jax.random.key(1))
    heard = jax.random.normal(jax.random.key(2), (4, 3))
    entering = (jnp.full(4, 0.5), jnp.full(4, 2.0))
    said, final = cell.unroll(heard, jnp.array([False, False, True, False]), entering)
    afresh, end = cell.unroll(heard[2:], jnp.zeros(2, bool), cell.initial())
    np.testing.assert_allclose(said[2:], afresh, rtol=1e-6)
    np.testing.assert_allclose(jnp.stack(final), jnp.stack(end), rtol=1e-6)
    _, state = cell(heard[0], entering)
    np.testing.assert_allclose(said[1], cell(heard[1], state)[0], rtol=1e-6)
