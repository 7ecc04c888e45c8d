"""Encoders of texts: words as numbers in, an embedding out, trained with whatever the text is read for.

All are one idea: `encoder(tokens)`, a text `[words]` of a `headstart.instructions.vocabulary.Vocabulary`, padded with
zeros, to `[size]`. Which one it is, whoever conditions on the embedding need not know. A text is encoded once for a
task and not at each step, by whoever holds the task.

| encoder | reads | for |
|---|---|---|
| `Recurrent` | word after word, by a cell that remembers | sentences whose order matters; the default |
| `Attentive` | all words at once, each asking all others | the same, parallel in the words |
| `BagOfWords` | the words without their order | texts that name things; a control where order matters |
| `headstart.instructions.minilm.Sentences` | the number of a text that a frozen network has read | paraphrases |
| `headstart.instructions.minilm.Statements` | the numbers of its sentences, whose meanings add up | longer ones |
| `headstart.instructions.reader.Reader` | phrases of sentences, whose meanings add up | long texts of many statements |
"""

from __future__ import annotations

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.network import AbstractCell
from headstart.core.networks import Linear
from headstart.core.types import Key
from headstart.instructions.vocabulary import PADDING
from headstart.memory.lstm import LSTM

__all__ = ["AbstractEncoder", "Attentive", "BagOfWords", "Recurrent"]


class AbstractEncoder(eqx.Module):
    """Token ids to an embedding. Padding says nothing: a text reads the same however much of it follows."""

    @abc.abstractmethod
    def __call__(self, tokens: Int[Array, "words"]) -> Float[Array, "size"]:
        """Unbatched. A text without a word has an embedding too."""


class Recurrent(AbstractEncoder):
    """The output of a recurrent cell after the last word; zeros where there is none.

    **Arguments:**

    - `vocabulary`: how many tokens there are, the padding included.
    - `size`: of the embedding, and of the cell.
    - `width`: of the embedding of a word.
    - `cell`: makes what remembers: `cell(inputs, width, key=key)`.
    """

    table: Float[Array, "vocabulary width"]
    cell: AbstractCell

    def __init__(
        self, vocabulary: int, size: int, *, width: int = 32, cell: Callable[..., AbstractCell] = LSTM, key: Key
    ):
        table_key, cell_key = jax.random.split(key)
        self.table = _table(vocabulary, width, table_key)
        self.cell = cell(width, size, key=cell_key)

    def __call__(self, tokens: Int[Array, "words"]) -> Float[Array, "size"]:
        first = jnp.arange(tokens.size) == 0
        said, _ = self.cell.unroll(_embed(self.table, tokens), first, self.cell.initial())
        # One row of many by a product, whose gradient is a product too.
        return (jnp.arange(tokens.size) == jnp.sum(tokens != PADDING) - 1).astype(said.dtype) @ said


class Attentive(AbstractEncoder):
    """One block of self-attention over words and their places, and the mean of what it says.

    Vaswani and others, *Attention is all you need*, NeurIPS 2017, with the normalisation first.

    **Arguments:**

    - `vocabulary`, `size`: as `Recurrent`. `size` is that of the embedding of a word too, and a multiple of `heads`.
    - `words`: the most a text has.
    """

    table: Float[Array, "vocabulary size"]
    places: Float[Array, "words size"]
    attention: eqx.nn.MultiheadAttention
    perceptron: eqx.nn.MLP
    norms: tuple[eqx.nn.LayerNorm, eqx.nn.LayerNorm]

    def __init__(self, vocabulary: int, size: int, *, words: int, heads: int = 4, key: Key):
        table_key, place_key, attention_key, perceptron_key = jax.random.split(key, 4)
        self.table, self.places = _table(vocabulary, size, table_key), _table(words, size, place_key)
        self.attention = eqx.nn.MultiheadAttention(heads, size, key=attention_key)
        self.perceptron = eqx.nn.MLP(size, size, 2 * size, 1, key=perceptron_key)
        self.norms = (eqx.nn.LayerNorm(size), eqx.nn.LayerNorm(size))

    def __call__(self, tokens: Int[Array, "words"]) -> Float[Array, "size"]:
        there = tokens != PADDING
        heard = _embed(self.table, tokens) + self.places[: tokens.size]
        normal = jax.vmap(self.norms[0])(heard)
        # Also where nothing is there to be asked, something must be, or the softmax has no sum.
        asked = jnp.broadcast_to(there | ~jnp.any(there), (tokens.size, tokens.size))
        heard = heard + self.attention(normal, normal, normal, mask=asked)
        heard = heard + jax.vmap(self.perceptron)(jax.vmap(self.norms[1])(heard))
        return _mean(heard, there)


class BagOfWords(AbstractEncoder):
    """A layer of rectified units over the sum of the words, whatever order they stand in, by the root of their number.

    So a long text says as much as a short one. By the number itself, a text of 30 words of which two matter is heard
    so faintly beside all else a network sees that it is ignored.

    **Arguments:** those of `Recurrent`.
    """

    table: Float[Array, "vocabulary width"]
    out: Linear

    def __init__(self, vocabulary: int, size: int, *, width: int = 32, key: Key):
        table_key, out_key = jax.random.split(key)
        self.table = _table(vocabulary, width, table_key)
        self.out = Linear.drawn(width, size, key=out_key)

    def __call__(self, tokens: Int[Array, "words"]) -> Float[Array, "size"]:
        there = tokens != PADDING
        said = there.astype(self.table.dtype) @ _embed(self.table, tokens)
        return jax.nn.relu(self.out(said / jnp.sqrt(jnp.maximum(jnp.sum(there), 1))))


def _table(rows: int, width: int, key: Key) -> Float[Array, "rows width"]:
    """Rows of about unit length."""
    return jax.random.normal(key, (rows, width)) / width**0.5


def _embed(table: Float[Array, "vocabulary width"], tokens: Int[Array, "words"]) -> Float[Array, "words width"]:
    """A row for each word. As a product of one-hot words, where the backward pass is one too and not a scatter."""
    return jax.nn.one_hot(tokens, table.shape[0], dtype=table.dtype) @ table


def _mean(heard: Float[Array, "words size"], there: Bool[Array, "words"]) -> Float[Array, "size"]:
    return there.astype(heard.dtype) @ heard / jnp.maximum(jnp.sum(there), 1)
