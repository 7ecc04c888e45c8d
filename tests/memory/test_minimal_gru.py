"""A minimal gated recurrent unit: its equations, and that all moments at once are moment after moment."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractCell, AbstractNetwork
from headstart.core.networks import RecurrentActorCritic
from headstart.core.types import Percept
from headstart.memory.minimal_gru import MinimalGRU
from headstart.worlds.probes import Secret

pytestmark = pytest.mark.usefixtures("quick_to_compile")

LENGTH = 37
FIRST = [(), (0,), (5, 6, 20), (LENGTH - 1,)]


@pytest.fixture
def cell():
    return MinimalGRU(3, 4, key=jax.random.key(0))


def test_a_minimal_unit_is_its_equations():
    """z = σ(x + 0.1) and h̃ = 2 x − 0.3, and then h′ is z of the way from h to h̃."""
    cell = MinimalGRU(1, 1, key=jax.random.key(0))
    cell = eqx.tree_at(
        lambda cell: (cell.layer.weight, cell.layer.bias), cell, (jnp.array([[1.0], [2.0]]), jnp.array([0.1, -0.3]))
    )
    x, h = 0.7, -0.4
    z = 1 / (1 + np.exp(-0.8))
    said, state = cell(jnp.array([x]), jnp.array([h]))
    np.testing.assert_allclose(state, [(1 - z) * h + z * 1.1], rtol=1e-6)
    assert (said == state).all()
    assert cell.initial().tolist() == [0.0]


@eqx.filter_jit
def judged(unroll, parts, first):
    """Gradients by a cell, by what it hears and by the state it enters with; and what it says and is left with."""

    def loss(parts):
        said, final = unroll(*parts[:2], first, parts[2])
        return jnp.sum(jnp.sin(jnp.arange(said.size)).reshape(said.shape) * said) + jnp.sum(final**2), (said, final)

    return eqx.filter_grad(loss, has_aux=True)(parts)


@pytest.mark.parametrize("first", FIRST)
def test_all_moments_at_once_are_moment_after_moment_gradients_too(cell, first):
    heard, entering = jax.random.normal(jax.random.key(1), (LENGTH, 3)), jnp.array([3.0, -2.0, 0.5, 1.0])
    blanked = jnp.array([t in first for t in range(LENGTH)])
    at_once, after_another = (
        judged(unroll, (cell, heard, entering), blanked) for unroll in (MinimalGRU.unroll, AbstractCell.unroll)
    )
    for one, other in zip(jax.tree.leaves(at_once), jax.tree.leaves(after_another), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    (_, _, by_entering), (said, _) = at_once
    assert jnp.any(by_entering != 0) == (0 not in first)  # a segment that begins afresh does not know its past
    assert float(jnp.max(jnp.abs(said))) > 0.1


def test_nothing_of_a_long_and_loud_segment_overflows(cell):
    heard = 1e3 * jax.random.normal(jax.random.key(1), (1000, 3))
    said, _ = cell.unroll(heard, jnp.zeros(1000, bool), cell.initial())
    assert jnp.isfinite(said).all()


def test_a_network_with_it_has_no_loop_and_gives_what_a_loop_gives():
    world = Secret()
    network = RecurrentActorCritic(world, jax.random.key(0), width=8, cell=MinimalGRU)
    numbers = jax.random.normal(jax.random.key(1), (3, LENGTH))
    percepts = Percept(
        observation=numbers[0][:, None],
        first=jnp.arange(LENGTH) % 11 == 4,
        action=(numbers[1] > 0).astype(jnp.int32),
        reward=numbers[2],
        discount=(numbers[0] > -1).astype(jnp.float32),
        legal=jnp.ones((LENGTH, 2), bool),
    )
    entering = jnp.linspace(-1, 1, 8)

    def judged(unroll):
        def loss(network):
            outputs, final = unroll(network, percepts, entering)
            chosen = outputs.policy.log_prob(percepts.action)
            return jnp.mean(outputs.value**2 - chosen) + jnp.sum(final), (outputs, final)

        return eqx.filter_grad(loss, has_aux=True)

    at_once, after_another = judged(RecurrentActorCritic.unroll), judged(AbstractNetwork.unroll)
    loops = [" scan[" in str(eqx.filter_make_jaxpr(each)(network)[0]) for each in (at_once, after_another)]
    assert loops == [False, True]
    pairs = zip(*(jax.tree.leaves(eqx.filter_jit(each)(network)) for each in (at_once, after_another)), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
