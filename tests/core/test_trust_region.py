"""The step of a trust region, where the answer is known: normals of different widths, and a gain that is a line."""

import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.policies import Gaussian
from headstart.core.trust_region import TrustRegion
from headstart.errors import UsageError

pytestmark = pytest.mark.usefixtures("quick_to_compile")

WIDTH = np.array([1.0, 0.1, 0.5])
SLOPE = np.array([1.0, 1.0, -2.0])


def normals(vector):
    """Normals whose means are the parameters: F is 1 / σ² on its diagonal."""
    return Gaussian(vector, jnp.log(jnp.asarray(WIDTH, jnp.float32)))


def line(policy):
    return policy.mean @ jnp.asarray(SLOPE, jnp.float32)


def ascend(region, gain=line, start=0.0):
    vector = jnp.full(3, start)
    return region.ascend(gain, normals, lambda old, new: old.divergence(new), vector)


def test_a_step_goes_along_the_natural_gradient_to_the_edge():
    """By hand: x = σ² g, and x · F x = Σ σ² g² = 1 + 0.01 + 1 = 2.01. The edge itself may be missed by rounding."""
    move = ascend(TrustRegion(shrink=0.999))
    expected = np.sqrt(2 * 0.01 / 2.01) * WIDTH**2 * SLOPE
    np.testing.assert_allclose(move.vector, expected, rtol=3e-3)
    np.testing.assert_allclose(move.divergence, 0.01, rtol=4e-3)
    np.testing.assert_allclose(move.gained, np.sqrt(2 * 0.01 * 2.01), rtol=3e-3)
    assert move.made
    assert move.divergence <= 0.01


def test_curvature_may_be_judged_from_something_else_and_the_region_is_still_kept():
    """By hand: to who sees widths of 1, all ways are alike, so the step is along g: √(0.02 / 6) g. It goes too far for
    the second mean, whose width is 0.1: ½ · 0.02 / 6 · (1 + 100 + 16) is 0.195 nats, which 0.8⁷ makes 0.0086."""
    alike = lambda vector: Gaussian(vector, jnp.zeros(3))
    curvature = (alike, lambda old, new: old.divergence(new))
    move = TrustRegion().ascend(line, normals, lambda old, new: old.divergence(new), jnp.zeros(3), curvature=curvature)
    np.testing.assert_allclose(move.vector, np.sqrt(0.02 / 6) * SLOPE * 0.8**7, rtol=1e-3)
    np.testing.assert_allclose(move.divergence, 0.195 * 0.8**14, rtol=0.01)
    assert move.tries == 8


def test_a_step_is_shortened_until_it_gains():
    """The whole step is √0.02, and what is gained up to 0.03 is lost again beyond 0.06. By hand: 0.8⁴ of it fits."""
    peak = lambda policy: -jnp.abs(policy.mean[0] - 0.03)
    move = ascend(TrustRegion(), peak)
    expected = np.sqrt(0.02) * 0.8**4
    assert move.tries == 5
    np.testing.assert_allclose(move.vector, [expected, 0, 0], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(move.gained, 0.03 - abs(expected - 0.03), rtol=1e-3)


def test_where_nothing_gains_nothing_moves():
    for gain in (lambda policy: jnp.sum(policy.mean) * jnp.nan, lambda policy: -jnp.sum(jnp.abs(policy.mean - 1.0))):
        move = ascend(TrustRegion(tries=3), gain, start=1.0)
        np.testing.assert_array_equal(move.vector, np.ones(3))
        assert (move.made, move.gained, move.tries) == (False, 0, 3)


@pytest.mark.parametrize(
    ("wrong", "told"), [({"reach": 0.0}, "further"), ({"tries": 0}, "1 try"), ({"shrink": 1.0}, "between 0 and 1")]
)
def test_no_region_is_refused(wrong, told):
    with pytest.raises(UsageError, match=told):
        TrustRegion(**wrong)
