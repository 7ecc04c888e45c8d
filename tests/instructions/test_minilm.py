"""Frozen sentence embeddings: the forward pass against one written out, and weights that are what they should be."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.errors import BadData, UsageError
from headstart.instructions import minilm
from headstart.instructions.minilm import FOLDER, MiniLM, Sentences, Statements, find_folder

WIDTH, INNER, WORDS = 24, 32, 7  # of a small network with the same parts


def small_weights(seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"embeddings.word_embeddings.weight": (11, WIDTH), "embeddings.position_embeddings.weight": (9, WIDTH)}
    shapes |= {"embeddings.token_type_embeddings.weight": (2, WIDTH), "embeddings.LayerNorm.weight": (WIDTH,)}
    shapes |= {"embeddings.LayerNorm.bias": (WIDTH,)}
    for number in range(minilm.LAYERS):
        layer = f"encoder.layer.{number}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{layer}.{name}.weight": (WIDTH, WIDTH), f"{layer}.{name}.bias": (WIDTH,)}
        shapes |= {f"{layer}.intermediate.dense.weight": (INNER, WIDTH), f"{layer}.intermediate.dense.bias": (INNER,)}
        shapes |= {f"{layer}.output.dense.weight": (WIDTH, INNER), f"{layer}.output.dense.bias": (WIDTH,)}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{layer}.{name}.weight": (WIDTH,), f"{layer}.{name}.bias": (WIDTH,)}
    return {name: rng.normal(size=shape).astype(np.float32) / 2 for name, shape in shapes.items()}


def by_hand(weights, tokens):
    """One text, without padding, in float64 and loops."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}

    def normal(name, x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]

    product = lambda name, x: x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    x = np.array([w["embeddings.word_embeddings.weight"][token] for token in tokens])
    x = x + w["embeddings.position_embeddings.weight"][: len(tokens)] + w["embeddings.token_type_embeddings.weight"][0]
    x = normal("embeddings.LayerNorm", x)
    size = WIDTH // minilm.HEADS
    for number in range(minilm.LAYERS):
        layer = f"encoder.layer.{number}"
        query, key, value = (product(f"{layer}.attention.self.{name}", x) for name in ("query", "key", "value"))
        said = np.zeros_like(x)
        for head in range(minilm.HEADS):
            part = slice(head * size, (head + 1) * size)
            likeness = np.exp(query[:, part] @ key[:, part].T / math.sqrt(size))
            said[:, part] = likeness / likeness.sum(-1, keepdims=True) @ value[:, part]
        x = normal(f"{layer}.attention.output.LayerNorm", x + product(f"{layer}.attention.output.dense", said))
        inner = product(f"{layer}.intermediate.dense", x)
        inner = inner * np.vectorize(lambda each: 0.5 * (1 + math.erf(each / math.sqrt(2))))(inner)
        x = normal(f"{layer}.output.LayerNorm", x + product(f"{layer}.output.dense", inner))
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_the_forward_pass_is_the_one_written_out_and_padding_says_nothing():
    weights = small_weights()
    tokens = np.array([[1, 5, 6, 2, 0, 0, 0], [1, 10, 9, 8, 7, 3, 2]])
    found = minilm._embedded(jax.tree.map(jnp.asarray, weights), jnp.array(tokens), jnp.array(tokens > 0))
    np.testing.assert_allclose(found[0], by_hand(weights, tokens[0][:4]), atol=2e-5)
    np.testing.assert_allclose(found[1], by_hand(weights, tokens[1]), atol=2e-5)


def test_a_table_of_sentences_never_learns():
    encoder = Sentences(jnp.eye(3, 384), 8, key=jax.random.key(0))
    gradient = jax.grad(lambda encoder: jnp.sum(encoder(jnp.array([1])) ** 2), allow_int=True)(encoder)
    assert not np.any(gradient.table.frozen)
    assert np.any(gradient.out.weight)
    assert not np.allclose(encoder(jnp.array([0])), encoder(jnp.array([1])))


def test_a_folder_that_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr(minilm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=FOLDER):
        find_folder()
    pytest.importorskip("tokenizers")
    with pytest.raises(UsageError, match="cannot be read"):
        MiniLM(tmp_path)


def test_other_weights_are_refused(tmp_path):
    pytest.importorskip("tokenizers")
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadData, match="SHA-256"):
        MiniLM(tmp_path)


def test_what_means_the_same_lies_close():
    """With the real weights, where they are: the figures are those that the original gives, to 6 digits."""
    pytest.importorskip("tokenizers")
    try:
        find_folder()
    except UsageError as error:
        pytest.skip(str(error))
    left, west, other, nothing = MiniLM()(
        [
            "Go to the cell left of the well.",
            "Move to the tile west of the well.",
            "Stock markets fell sharply today.",
            "",
        ]
    )
    assert np.linalg.norm(nothing) == pytest.approx(1.0, abs=1e-5)
    assert left @ west == pytest.approx(0.5967146, abs=2e-6)
    assert left @ other == pytest.approx(0.0908525, abs=2e-6)


def test_what_sentences_say_adds_up_in_any_order_and_padding_says_nothing():
    reader = Statements(jax.random.normal(jax.random.key(1), (4, 384)), 3, width=8, key=jax.random.key(0))
    say = lambda *numbers: np.asarray(reader(jnp.array(numbers)))
    nothing = say(0, 0, 0)
    np.testing.assert_array_equal(nothing, np.asarray(reader.unsaid))
    np.testing.assert_allclose(say(1, 2, 0), say(2, 0, 1), atol=1e-5)
    np.testing.assert_allclose(say(1, 2, 0) - nothing, say(1, 0, 0) + say(2, 0, 0) - 2 * nothing, atol=1e-5)
    assert not np.allclose(say(1, 0, 0), say(3, 0, 0))
    gradient = eqx.filter_grad(lambda reader: jnp.sum(reader(jnp.array([1, 2])) ** 2))(reader)
    assert not np.any(gradient.table.frozen)
    assert np.any(gradient.project.layers[0].weight)
