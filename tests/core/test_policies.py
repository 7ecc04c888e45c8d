"""Distributions against what is known of them: densities integrate to one, and entropies are what sampling says."""

import jax
import jax.numpy as jnp
import numpy as np

from headstart.core.policies import Categorical, Gaussian, Squashed

POLICY = Squashed(jnp.array([0.4]), jnp.array([-0.3]))


def test_the_density_integrates_to_one():
    action = jnp.linspace(-0.9999, 0.9999, 20_001)[:, None]
    density = jnp.exp(jax.vmap(POLICY.log_prob)(action))
    np.testing.assert_allclose(jnp.trapezoid(density, action[:, 0]), 1.0, atol=2e-3)


def test_a_samples_own_density_is_that_of_its_action():
    wide = Squashed(jnp.array([0.4, -1.0]), jnp.array([-0.3, 0.5]))
    action, log_prob = jax.vmap(lambda key: wide.sample_and_log_prob(key=key))(jax.random.split(jax.random.key(0), 200))
    assert (np.abs(action) < 1).all()
    inside = (np.abs(action) < 0.999).all(axis=-1)  # nearer to the bounds, the action alone says too little
    np.testing.assert_allclose(jax.vmap(wide.log_prob)(action)[inside], log_prob[inside], atol=1e-2)
    np.testing.assert_array_equal(
        wide.sample(key=jax.random.key(7)), wide.sample_and_log_prob(key=jax.random.key(7))[0]
    )


def test_the_entropy_is_the_mean_surprise_of_samples():
    for log_std in (-3.0, -0.3, 1.0):
        policy = Squashed(jnp.array([0.4, -1.0]), jnp.full(2, log_std))
        draws = jax.random.split(jax.random.key(0), 40_000)
        _, log_prob = jax.vmap(lambda key, policy=policy: policy.sample_and_log_prob(key=key))(draws)
        np.testing.assert_allclose(policy.entropy(), -jnp.mean(log_prob), atol=0.03)


def test_densities_far_out_stay_finite():
    far = Squashed(jnp.array([30.0]), jnp.array([0.0]))
    assert np.isfinite(far.sample_and_log_prob(key=jax.random.key(0))[1])
    assert np.isfinite(far.log_prob(jnp.array([1.0])))
    assert np.isfinite(
        jax.grad(lambda mean: Squashed(mean, far.log_std).sample_and_log_prob(key=jax.random.key(0))[1])(far.mean)
    )


def test_how_far_a_distribution_is_from_another():
    """By hand: ½ ln(½ / ¼) + ½ ln(½ / ¾) for a coin, and for normals log 2 + (1 + 1) / (2 · 4) − ½."""
    coin = Categorical(jnp.log(jnp.array([0.5, 0.5])))
    biased = Categorical(jnp.log(jnp.array([0.25, 0.75])))
    np.testing.assert_allclose(coin.divergence(biased), 0.5 * np.log(2) + 0.5 * np.log(2 / 3), rtol=1e-5)
    for kind in (Gaussian, Squashed):
        narrow, wide = kind(jnp.zeros(2), jnp.zeros(2)), kind(jnp.array([1.0, 0.0]), jnp.log(jnp.array([2.0, 1.0])))
        np.testing.assert_allclose(narrow.divergence(wide), np.log(2) + 2 / 8 - 0.5, rtol=1e-5)
        assert wide.divergence(wide) == 0


def test_what_is_forbidden_to_both_is_no_difference():
    legal = jnp.array([True, True, False])
    coin = Categorical(jnp.zeros(3), legal)
    biased = Categorical(jnp.array([0.0, np.log(3.0), 7.0]), legal)
    np.testing.assert_allclose(coin.divergence(biased), 0.5 * np.log(2) + 0.5 * np.log(2 / 3), rtol=1e-5)
