"""A reader of short texts, trained with whatever it is read for.

Each sentence is read by itself, and what sentences say adds up. Within a sentence, a convolution over words and a
maximum over places (Kim, *Convolutional neural networks for sentence classification*, EMNLP 2014): each detector looks
for one phrase anywhere in it. A perceptron then takes the phrases of one sentence together, so that "only diagonals
count" and "diagonals do not count" differ though most of their words do not. The order of sentences does not matter,
and what one says cannot change what another means.

The convolution is linear in one-hot words: a table look-up per word of its span, and a sum.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.types import Key
from headstart.instructions.encoders import AbstractEncoder

__all__ = ["Reader"]


class Reader(AbstractEncoder):
    """Token ids `[words]` (0 pads) to an embedding `[size]`, the sum of what each sentence says.

    **Arguments:**

    - `vocabulary`: how many tokens there are, the padding included.
    - `size`: of the embedding.
    - `stop`: the token that ends a sentence.
    - `sentences`: how many are told apart; what comes after so many is read as part of the last one.
    - `detectors`: how many phrases are looked for.
    - `span`: words in a phrase.
    """

    tables: tuple[Float[Array, "vocabulary detectors"], ...]
    bias: Float[Array, "detectors"]
    project: eqx.nn.MLP
    unsaid: Float[Array, "size"]
    stop: int = eqx.field(static=True)
    sentences: int = eqx.field(static=True)

    def __init__(
        self,
        vocabulary: int,
        size: int,
        *,
        stop: int,
        sentences: int = 24,
        detectors: int = 128,
        span: int = 3,
        key: Key,
    ):
        tables_key, project_key = jax.random.split(key)
        keys = jax.random.split(tables_key, span)
        # Begun small: what a detector finds in a sentence is at first about the same for all, and soon is not. Begun
        # at the usual scale, a detector must first forget the word that it happens to like best.
        self.tables = tuple(0.1 * jax.random.normal(key, (vocabulary, detectors)) for key in keys)
        self.bias = jnp.zeros(detectors)
        self.project = eqx.nn.MLP(detectors, size, 2 * detectors, 1, key=project_key)
        self.unsaid = jnp.zeros(size)
        self.stop, self.sentences = stop, sentences

    def __call__(self, tokens: Int[Array, "words"]) -> Float[Array, "size"]:
        stops = tokens == self.stop
        sentence = jnp.minimum(jnp.cumsum(stops) - stops, self.sentences - 1)
        windows = [self._ahead(tokens, sentence, n) for n in range(len(self.tables))]
        # Where each detector fires most is found without gradients; only what it finds there carries them. So the
        # backward pass touches one phrase a detector and sentence, not every word of the text.
        tables = jax.lax.stop_gradient(self.tables)
        phrases = jnp.sum(jnp.stack([table[words] for table, words in zip(tables, windows, strict=True)]), axis=0)
        place = self._loudest(phrases, sentence)
        ends = jnp.sum(jnp.where(tokens > 0, sentence, self.sentences) <= jnp.arange(self.sentences)[:, None], axis=1)
        each = jnp.arange(self.bias.shape[0])
        found = sum(table[words[place[ends - 1]], each] for table, words in zip(self.tables, windows, strict=True))
        said = jax.vmap(self.project)(jax.nn.relu(found + self.bias))
        there = jnp.diff(ends, prepend=0) > 0  # a sentence that is not there ends where the one before it does
        return self.unsaid + there @ said

    def _ahead(self, tokens: Int[Array, "words"], sentence: Int[Array, "words"], steps: int) -> Int[Array, "words"]:
        """The token so many places on; padding where the sentence is over by then."""
        on = lambda row, fill: jnp.pad(row, (0, steps), constant_values=fill)[steps:]
        return jnp.where(on(sentence, -1) == sentence, on(tokens, 0), 0)

    def _loudest(
        self, phrases: Float[Array, "words detectors"], sentence: Int[Array, "words"]
    ) -> Int[Array, "words detectors"]:
        """Where in its sentence, up to each word, each detector fires most."""

        def hear(loudest, word):
            level, place = loudest
            phrase, begins, index = word
            louder = begins | (phrase > level)
            level, place = jnp.where(louder, phrase, level), jnp.where(louder, index, place)
            return (level, place), place

        nothing = (jnp.zeros(phrases.shape[1]), jnp.zeros(phrases.shape[1], jnp.int32))
        begins = jnp.diff(sentence, prepend=-1) > 0
        return jax.lax.scan(hear, nothing, (phrases, begins, jnp.arange(sentence.shape[0])))[1]
