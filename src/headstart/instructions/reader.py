"""A reader of short texts, trained with whatever it is read for.

A convolution over words and a maximum over places (Kim, *Convolutional neural networks for sentence classification*,
EMNLP 2014): each detector looks for one phrase anywhere in the text, so that the order of sentences, and whatever else
is said, do not matter. The convolution is linear in one-hot words: a table look-up per word of its span, and a sum.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.types import Key

__all__ = ["Reader"]


class Reader(eqx.Module):
    """Token ids `[words]` (0 pads) to an embedding `[size]`; all padding gives the embedding of silence.

    **Arguments:**

    - `vocabulary`: how many tokens there are, the padding included.
    - `size`: of the embedding.
    - `detectors`: how many phrases are looked for.
    - `span`: words in a phrase.
    """

    tables: tuple[Float[Array, "vocabulary detectors"], ...]
    bias: Float[Array, "detectors"]
    project: eqx.nn.MLP

    def __init__(self, vocabulary: int, size: int, *, detectors: int = 64, span: int = 3, key: Key):
        tables_key, project_key = jax.random.split(key)
        keys = jax.random.split(tables_key, span)
        # Begun small: what a detector finds in a text is at first about the same for all texts, and soon is not. Begun
        # at the usual scale, a detector must first forget the word that it happens to like best.
        self.tables = tuple(0.1 * jax.random.normal(key, (vocabulary, detectors)) for key in keys)
        self.bias = jnp.zeros(detectors)
        self.project = eqx.nn.MLP(detectors, size, 2 * detectors, 1, key=project_key)

    def __call__(self, tokens: Int[Array, "words"]) -> Float[Array, "size"]:
        ahead = jnp.pad(tokens, (0, len(self.tables) - 1))
        windows = [ahead[n : n + tokens.shape[0]] for n in range(len(self.tables))]
        # Where each detector fires most is found without gradients; only what it finds there carries them. So the
        # backward pass touches one phrase a detector, not every word of the text.
        tables = jax.lax.stop_gradient(self.tables)
        phrases = sum(table[words] for table, words in zip(tables, windows, strict=True))
        place = jnp.argmax(jnp.where(tokens[:, None] > 0, phrases, -1e9), axis=0)
        each = jnp.arange(self.bias.shape[0])
        found = sum(table[words[place], each] for table, words in zip(self.tables, windows, strict=True))
        return self.project(jax.nn.relu(found + self.bias))
