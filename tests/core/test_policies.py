"""The squashed normal against what is known of it: densities integrate to one, and entropies are what sampling says."""

import jax
import jax.numpy as jnp
import numpy as np

from headstart.core.policies import Squashed

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
