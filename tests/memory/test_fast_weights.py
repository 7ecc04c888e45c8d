"""Fast weights: their equations by hand, what they associate, and that all moments at once are moment after moment."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractCell
from headstart.memory.fast_weights import FastWeights

pytestmark = pytest.mark.usefixtures("quick_to_compile")

LENGTH = 23


@pytest.fixture
def cell():
    return FastWeights(3, 4, slots=5, key=jax.random.key(0))


def by_hand(layers, leaves):
    """A cell with these weights."""
    where = lambda cell: [leaf for name in layers for leaf in (getattr(cell, name).weight, getattr(cell, name).bias)]
    return lambda cell: eqx.tree_at(where, cell, [jnp.asarray(leaf, jnp.float32) for leaf in leaves])


@pytest.fixture
def clear():
    """Hears which of two places it is in, and a number; writes that at the place; says mean and count."""
    weights = [
        [[50.0, 0.0, 0.0], [0.0, 50.0, 0.0]], [0.0, 0.0],  # an address is the place
        [[0.0, 0.0, 1.0]], [0.0],  # what is written is the number
        [[0.0, 0.0, 0.0, 1.0, 100.0]], [0.0],  # what is said is the mean, and a hundred times ln(1 + count)
    ]  # fmt: skip
    return by_hand(("address", "value", "out"), weights)(FastWeights(3, 1, slots=2, key=jax.random.key(0)))


def test_what_follows_a_place_is_read_when_it_is_like_that_again(clear):
    left, right = [1.0, 0.0], [0.0, 1.0]
    # The number that is heard came of where one was the moment before, as rewards do.
    heard = jnp.array([[*left, 9.0], [*right, 2.0], [*left, 7.0], [*left, 4.0], [*right, 0.0]])
    said, state = [], clear.initial()
    for moment in heard:
        found, state = clear(moment, state)
        said.append(float(found[0]))
    # Of the left: nothing; then 2; then 2 and 4; of the right: nothing, and at last 7.
    log = lambda count: 100 * np.log1p(count)
    expected = [0.0, 0.0, 2 / 1.5 + log(1), (2 + 4) / 2.5 + log(2), 7 / 1.5 + log(1)]
    np.testing.assert_allclose(said, expected, rtol=1e-5)
    # What the last left move came to is written with the last moment: a 0.
    np.testing.assert_allclose(state[0], [[6.0, 3.0], [7.0, 1.0]], rtol=1e-5)


def test_addresses_are_shares_and_a_fresh_state_knows_nothing(cell):
    sums, before = cell.initial()
    assert sums.shape == (5, 5)
    assert not sums.any()
    assert not before.any()
    _, (sums, before) = cell(jnp.ones(3), (sums, before))
    assert not sums.any()  # the first moment has none before it
    np.testing.assert_allclose(before.sum(), 1.0, rtol=1e-6)


@eqx.filter_jit
def judged(unroll, parts, first):
    """Gradients by a cell, by what it hears and by the state it enters with; and what it says and is left with."""

    def loss(parts):
        said, final = unroll(*parts[:2], first, parts[2])
        left = sum(jnp.sum(leaf**2) for leaf in final)
        return jnp.sum(jnp.sin(jnp.arange(said.size)).reshape(said.shape) * said) + left, (said, final)

    return eqx.filter_grad(loss, has_aux=True)(parts)


@pytest.mark.parametrize("first", [(), (0,), (5, 6, 20), (LENGTH - 1,)])
def test_all_moments_at_once_are_moment_after_moment_gradients_too(cell, first):
    keys = jax.random.split(jax.random.key(1), 3)
    heard = jax.random.normal(keys[0], (LENGTH, 3))
    entering = (jax.random.uniform(keys[1], (5, 5)), jax.nn.softmax(jax.random.normal(keys[2], (5,))))
    blanked = jnp.array([moment in first for moment in range(LENGTH)])
    at_once, after_another = (
        judged(unroll, (cell, heard, entering), blanked) for unroll in (FastWeights.unroll, AbstractCell.unroll)
    )
    for one, other in zip(jax.tree.leaves(at_once), jax.tree.leaves(after_another), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    (_, _, by_entering), (said, _) = at_once
    knows = any(bool(jnp.any(leaf != 0)) for leaf in by_entering)
    assert knows == (0 not in first)  # a segment that begins afresh does not know its past
    assert float(jnp.max(jnp.abs(said))) > 0.1


def test_there_is_no_loop(cell):
    unroll = lambda heard: cell.unroll(heard, jnp.zeros(LENGTH, bool), cell.initial())
    assert " scan[" not in str(jax.make_jaxpr(unroll)(jnp.zeros((LENGTH, 3))))
