"""A random order is an order, and random."""

import jax
import numpy as np
import pytest
from scipy.stats import chisquare, gamma, kstest

from headstart.core.chance import gammas, integers, shuffled


@pytest.mark.parametrize("count", [1, 2, 3, 8, 1_000, 65_536, 65_537])
def test_every_number_is_there_once(count):
    order = shuffled(count, key=jax.random.key(0))
    np.testing.assert_array_equal(np.sort(order), np.arange(count))


def test_all_orders_are_equally_likely():
    orders = np.asarray(jax.vmap(lambda key: shuffled(4, key=key))(jax.random.split(jax.random.key(1), 24_000)))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert counts.size == 24
    assert chisquare(counts).pvalue > 1e-3


def test_where_a_number_lands_does_not_depend_on_it():
    landed = np.argsort(np.asarray(shuffled(8_192, key=jax.random.key(2))))
    assert abs(np.corrcoef(landed, np.arange(8_192))[0, 1]) < 4 / 8_192**0.5


def test_integers_are_all_alike_between_bounds_that_may_differ():
    low, high = jax.numpy.array([0, 3, -2]), jax.numpy.array([1, 10, 2])
    drawn = np.asarray(integers((30_000, 3), low, high, key=jax.random.key(3)))
    assert not drawn[:, 0].any()
    for column, values in ((1, range(3, 10)), (2, range(-2, 2))):
        found, counts = np.unique(drawn[:, column], return_counts=True)
        assert found.tolist() == list(values)
        assert chisquare(counts).pvalue > 1e-3


def test_gammas_are_distributed_as_their_concentrations_say():
    concentrations = jax.numpy.array([1.0, 1.5, 4.0, 300.0])
    drawn = np.asarray(gammas(jax.numpy.broadcast_to(concentrations, (20_000, 4)), key=jax.random.key(4)))
    for column, concentration in enumerate(concentrations.tolist()):
        assert kstest(drawn[:, column], gamma(concentration).cdf).pvalue > 1e-3
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 4 / 20_000**0.5
