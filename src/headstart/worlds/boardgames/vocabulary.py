"""Words as numbers: the fixed vocabulary in which agents read rule texts.

`vocabulary.txt` holds one number a line: a word, and other words that are read as if they were that one. The numbers
are part of every trained agent, so lines keep their place and new ones go to the end.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterator
from importlib import resources

import numpy as np
from jaxtyping import Int

__all__ = ["PADDING", "UNKNOWN", "WORDS", "leading_words", "size", "split_words", "tokens", "unknown_share"]

WORDS = 128  # the length of every instruction, in words
PADDING, UNKNOWN = 0, 1

# Letters (apart from a "n't" behind them), digits, marks that end a clause, and the sign in 3×3.
_WORD = re.compile(r"[^\W\d_]+?(?=n['’]t\b)|n['’]t\b|['’]s\b|[^\W\d_]+|\d+|[.!?;:×]")
_READ_AS = {"n't": "not", "n’t": "not", "'s": None, "’s": None, "!": ".", "?": ".", ";": ".", ":": "."}


@functools.cache
def numbers() -> dict[str, int]:
    """The number of each known word, from 2 on."""
    lines = resources.files(__package__).joinpath("vocabulary.txt").read_text(encoding="utf-8").splitlines()
    return {word: number for number, line in enumerate(lines, start=UNKNOWN + 1) for word in line.split()}


@functools.cache
def size() -> int:
    """How many numbers there are, padding and the unknown word included: tokens lie in [0, size)."""
    return 1 + max(numbers().values())


def split_words(text: str) -> list[str]:
    """The words of a text as they are looked up: in lower case and without accents, numbers apart from letters, every
    mark that ends a clause as a full stop, and no other punctuation."""
    return [word for word, _ in _read(text)]


def tokens(text: str) -> Int[np.ndarray, "words"]:
    """A text as numbers.

    **Arguments:**

    - `text`: any text, of any length; words beyond the first `WORDS` are left out.

    **Returns:** int32 of length `WORDS` in [0, `size()`): a number for each word, `UNKNOWN` for those outside the
    vocabulary, and `PADDING` behind the last.
    """
    known = numbers()
    read = [known.get(word, UNKNOWN) for word, _ in itertools.islice(_read(text), WORDS)]
    return np.array(read + [PADDING] * (WORDS - len(read)), np.int32)


def unknown_share(text: str) -> float:
    """The share of a text's words, in [0, 1], that an agent cannot read. 0 for a text without words."""
    words = [word for word in split_words(text) if word != "."]
    return sum(word not in numbers() for word in words) / max(len(words), 1)


def leading_words(text: str, count: int) -> str:
    """The text up to the end of its word number `count`, or all of it where it is shorter."""
    ends = [end for _, end in itertools.islice(_read(text), count + 1)]
    return text if len(ends) <= count else text[: ends[count - 1]]


def _read(text: str) -> Iterator[tuple[str, int]]:
    """The words of a text, and where in the text each of them ends."""
    for match in _WORD.finditer(text):
        word = match[0].lower()
        if not word.isascii():
            word = "".join(mark for mark in unicodedata.normalize("NFKD", word) if not unicodedata.combining(mark))
        read = _READ_AS.get(word, word)
        if read is not None:
            yield read, match.end()
