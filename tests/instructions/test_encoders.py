"""Encoders: padding says nothing, order matters where it is said to, and each learns what it is for."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from headstart.core.cells import GRU
from headstart.instructions.encoders import Attentive, BagOfWords, Recurrent

pytestmark = pytest.mark.usefixtures("quick_to_compile")

WORDS, KNOWN = 8, 12
ENCODERS = {
    "recurrent": partial(Recurrent, KNOWN, 16),
    "gated": partial(Recurrent, KNOWN, 16, cell=GRU),
    "attentive": partial(Attentive, KNOWN, 16, words=WORDS),
    "bag": partial(BagOfWords, KNOWN, 16),
}


def text(*words, length=WORDS):
    return jnp.array([*words, *[0] * (length - len(words))])


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_says_nothing(name):
    read = eqx.filter_jit(ENCODERS[name](key=jax.random.key(0)))
    short, long = text(3, 4, 5, length=3), text(3, 4, 5)
    np.testing.assert_allclose(read(short), read(long), atol=1e-6)
    assert not np.allclose(read(long), read(text(3, 4)))


@pytest.mark.parametrize("name", ENCODERS)
def test_no_words_have_an_embedding_and_gradients(name):
    """Not a number that is not one: the task that says nothing is among others in a batch."""
    encoder = ENCODERS[name](key=jax.random.key(0))
    loss = lambda encoder: jnp.sum(jax.vmap(encoder)(jnp.stack([text(), text(3, 4)])) ** 2)
    value, gradient = eqx.filter_jit(eqx.filter_value_and_grad(loss))(encoder)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_a_bag_of_words_has_no_order_and_the_others_have():
    for name, new in ENCODERS.items():
        read = eqx.filter_jit(new(key=jax.random.key(1)))
        assert np.allclose(read(text(3, 4, 5)), read(text(5, 4, 3)), atol=1e-6) == (name == "bag"), name


@pytest.mark.parametrize("name", ENCODERS)
def test_which_of_two_words_comes_first_is_learned_by_all_but_a_bag(name):
    rng = np.random.default_rng(0)
    texts = np.array([rng.permutation(np.arange(2, KNOWN))[:6] for _ in range(400)])
    texts = texts[np.isin(texts, (2, 3)).sum(axis=1) == 2]
    wanted = jnp.array([list(row).index(2) < list(row).index(3) for row in texts], jnp.float32)
    texts = jnp.array(np.pad(texts, ((0, 0), (0, 2))))
    key, out_key = jax.random.split(jax.random.key(2))
    parts = (ENCODERS[name](key=key), eqx.nn.Linear(16, 1, key=out_key))
    says = lambda parts: jax.vmap(lambda row: parts[1](parts[0](row))[0])(texts)
    optimiser = optax.adam(1e-2)

    @eqx.filter_jit
    def fit(parts):
        learned, rest = eqx.partition(parts, eqx.is_inexact_array)

        def step(carry, _):
            learned, state = carry
            loss = lambda learned: optax.sigmoid_binary_cross_entropy(says(eqx.combine(learned, rest)), wanted).mean()
            updates, state = optimiser.update(jax.grad(loss)(learned), state)
            return (optax.apply_updates(learned, updates), state), None

        (learned, _), _ = jax.lax.scan(step, (learned, optimiser.init(learned)), length=200)
        return eqx.combine(learned, rest)

    right = float(jnp.mean((says(fit(parts)) > 0) == (wanted > 0)))
    assert right < 0.8 if name == "bag" else right > 0.95
