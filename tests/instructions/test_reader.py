"""The reader: sentences are understood one by one and add up, and what is bound to what can be told."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from headstart.instructions.reader import Reader

pytestmark = pytest.mark.usefixtures("quick_to_compile")

PAD, UNKNOWN, STOP, WORDS = 0, 1, 2, 24
ONLY, NOT, ROWS, DIAGONALS, COUNT = range(3, 8)
reader = Reader(12, 4, stop=STOP, sentences=3, detectors=16, key=jax.random.key(0))
reader = eqx.tree_at(lambda reader: reader.unsaid, reader, jnp.arange(4.0))
call = eqx.filter_jit(lambda reader, tokens: reader(tokens))


def said(*sentences, stop=True):
    """What is made of a text, beyond what goes without saying."""
    words = [word for sentence in sentences for word in (*sentence, *([STOP] if stop else []))]
    text = jnp.array(words + [PAD] * (WORDS - len(words)))
    return np.asarray(call(reader, text) - reader.unsaid)


def test_silence_says_nothing():
    assert not said().any()


def test_what_sentences_say_adds_up_in_any_order():
    one, other = (3, 4, 5), (6, 7)
    assert said(one).any()
    assert said(other).any()
    np.testing.assert_allclose(said(one, other), said(one) + said(other), atol=1e-5)
    np.testing.assert_allclose(said(other, one), said(one, other), atol=1e-5)
    np.testing.assert_allclose(said(one, one), 2 * said(one), atol=1e-5)


def test_a_last_sentence_needs_no_full_stop():
    cut = said((3, 4, 5), stop=False)
    padded = np.asarray(call(reader, jnp.array([3, 4, 5])) - reader.unsaid)
    np.testing.assert_allclose(cut, padded, atol=1e-6)
    assert cut.any()


def test_what_comes_after_so_many_sentences_is_read_with_the_last():
    few, many = said((3,), (4,), (5, STOP, 6)), said((3,), (4,), (5,), (6,))
    np.testing.assert_allclose(few, many, atol=1e-6)
    assert not np.allclose(many, said((3,), (4,), (5,)))


def test_a_run_on_sentence_is_another():
    assert not np.allclose(said((3, 4, 5), (6, 7)), said((3, 4, 5, 6, 7)))


def test_it_learns_what_is_bound_to_what():
    """Rows or diagonals, by sentences in which the same words stand: only A count; A count, B do not; B do not."""
    nouns = ((ROWS, DIAGONALS), (DIAGONALS, ROWS))
    frames = [lambda a, b: (ONLY, a, COUNT), lambda a, b: (b, NOT, COUNT), lambda a, b: (a, COUNT, b, NOT)]
    frames += [lambda a, b: (b, NOT, a, COUNT), lambda a, b: (NOT, b, a, COUNT), lambda a, b: (ONLY, a, NOT, b)]
    # Two noises of any words stand around: a bag of phrases would take the "not" of another sentence for one's own.
    noises = [(UNKNOWN, NOT), (ROWS, UNKNOWN), (DIAGONALS, 8), (9, COUNT), (ONLY, 10)]
    texts, answers = [], []
    for (number, pair), frame, noise in itertools.product(enumerate(nouns), frames, itertools.permutations(noises, 2)):
        words = [*noise[0], STOP, *frame(*pair), STOP, *noise[1], STOP]
        texts.append(words + [PAD] * (WORDS - len(words)))
        answers.append(number)
    words, meant = jnp.array(texts), jnp.array(answers, float)[:, None]
    optimiser = optax.adam(1e-2)
    learns, still = eqx.partition(Reader(12, 1, stop=STOP, detectors=32, key=jax.random.key(1)), eqx.is_inexact_array)

    @jax.jit
    def step(carry, _):
        learns, state = carry
        loss = lambda learns: jnp.mean(
            optax.sigmoid_binary_cross_entropy(jax.vmap(eqx.combine(learns, still))(words), meant)
        )
        updates, state = optimiser.update(jax.grad(loss)(learns), state)
        return (optax.apply_updates(learns, updates), state), None

    (learns, _), _ = jax.lax.scan(step, (learns, optimiser.init(learns)), length=150)
    read = jax.vmap(eqx.combine(learns, still))(words)
    assert jnp.mean((read > 0) == (meant > 0.5)) == 1.0
