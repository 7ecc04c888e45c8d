"""One vector for each part is arithmetic: what comes of it must be what Adam does leaf by leaf."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from headstart.core.optimise import clipped_adam, clipped_rmsprop, descend, learns, prepare
from headstart.core.types import Frozen

pytestmark = pytest.mark.usefixtures("quick_to_compile")

RATE, CLIP, DECAY = 1e-2, 0.5, 1e-3


class Part(eqx.Module):
    """A network, beside what must not be learned: something frozen, a count, and a function."""

    network: eqx.nn.MLP
    still: Frozen
    count: jax.Array
    activation: object = jnp.tanh

    def __call__(self, x):
        return self.activation(self.network(x)) * self.still()


def part(seed):
    return Part(eqx.nn.MLP(3, 2, 8, 2, key=jax.random.key(seed)), Frozen(jnp.array(2.0)), jnp.array(4))


def loss(parts):
    x = jnp.array([[0.3, -1.0, 2.0], [1.0, 0.5, -0.2]])
    first, second = (jnp.sum(jax.vmap(each)(x) ** 2) for each in parts)
    return first + 30 * second, {"loss/first": first}


def test_a_step_on_vectors_is_clipped_adam_leaf_by_leaf_in_each_part_alone():
    parts = part(0), part(1)
    optimiser = clipped_adam(RATE, CLIP, weight_decay=DECAY)
    states = prepare(optimiser, parts)
    adams = [optax.adamw(RATE, weight_decay=DECAY) for _ in parts]
    expected = [learns(each)[0] for each in parts]
    kept = [learns(each)[1] for each in parts]
    adam_states = [adam.init(arrays) for adam, arrays in zip(adams, expected, strict=True)]
    step = eqx.filter_jit(lambda parts, states: descend(loss, parts, optimiser, states))
    clipped = set()
    for _ in range(20):
        whole = tuple(eqx.combine(arrays, rest) for arrays, rest in zip(expected, kept, strict=True))
        for at in range(2):
            gradient = eqx.filter_grad(lambda arrays, at=at, whole=whole: loss(replaced(whole, at, arrays))[0])
            found = gradient(expected[at])
            norm = optax.tree.norm(found)
            clipped.add((at, bool(norm > CLIP)))
            found = jax.tree.map(lambda leaf, norm=norm: leaf * jnp.minimum(1.0, CLIP / norm), found)
            updates, adam_states[at] = adams[at].update(found, adam_states[at], expected[at])
            expected[at] = optax.apply_updates(expected[at], updates)
        parts, states, descent = step(parts, states)
        assert bool(descent.made)
    assert {(0, True), (1, True)} <= clipped
    for found, wanted in zip(parts, expected, strict=True):
        for one, other in zip(jax.tree.leaves(learns(found)[0]), jax.tree.leaves(wanted), strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
        assert found.still() == 2.0
        assert found.count == 4


def replaced(parts, at, arrays):
    """The parts, of which one learns what is in `arrays`."""
    return tuple(eqx.combine(arrays, learns(each)[1]) if i == at else each for i, each in enumerate(parts))


def test_what_is_not_finite_moves_nothing():
    parts = (part(0),)
    optimiser = clipped_adam(RATE, CLIP)
    states = prepare(optimiser, parts)
    after, fresh, descent = descend(lambda parts: (jnp.inf * loss(parts * 2)[0], {}), parts, optimiser, states)
    assert not bool(descent.made)
    assert eqx.tree_equal(after, parts)
    assert eqx.tree_equal(fresh, states)


def test_rmsprop_divides_by_the_size_of_gradients_as_it_was_lately():
    """Gradients of (3, 4), whose norm is cut to 1, and then of (0.6, 0), with α = ¾ and ε = 0.01."""
    optimiser = clipped_rmsprop(0.1, 1.0, decay=0.75, eps=0.01)
    state, square = optimiser.init(jnp.zeros(2)), np.zeros(2)
    for gradient, cut in (([3.0, 4.0], [0.6, 0.8]), ([0.6, 0.0], [0.6, 0.0])):
        update, state = optimiser.update(jnp.array(gradient), state)
        square = 0.75 * square + 0.25 * np.square(cut)
        np.testing.assert_allclose(update, -0.1 * np.array(cut) / np.sqrt(square + 0.01), rtol=1e-5)
