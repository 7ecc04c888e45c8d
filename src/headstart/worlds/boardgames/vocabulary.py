"""Words as numbers: the fixed vocabulary in which agents read rule texts.

`vocabulary.txt` holds one number a line: a word, and other words that are read as if they were that one. The numbers
are part of every trained agent, so lines keep their place and new ones go to the end.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from importlib import resources

import numpy as np
from jaxtyping import Int

__all__ = ["PADDING", "STOP", "UNKNOWN", "WORDS", "leading_words", "size", "split_words", "tokens", "unknown_share"]

WORDS = 160  # the length of every instruction, in words
PADDING, UNKNOWN = 0, 1
STOP = 2  # what ends a sentence: the first line of vocabulary.txt

# Letters (apart from a "n't" behind them), digits, marks that end a sentence, and the sign in 3×3. A semicolon or a
# colon is read like a comma: what is on both sides of it is understood together.
_WORD = re.compile(r"[^\W\d_]+?(?=n['’]t\b)|n['’]t\b|['’]s\b|[^\W\d_]+|\d+|[.!?×]")
_READ_AS = {"n't": "not", "n’t": "not", "'s": "", "’s": "", "!": ".", "?": "."}


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
    mark that ends a sentence as a full stop, and no other punctuation."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(mark for mark in decomposed if not unicodedata.combining(mark))
    found = _WORD.findall(text.lower())
    return [word for word in [_READ_AS.get(word, word) for word in found] if word]


def tokens(text: str) -> Int[np.ndarray, "words"]:
    """A text as numbers.

    **Arguments:**

    - `text`: any text, of any length; words beyond the first `WORDS` are left out.

    **Returns:** int32 of length `WORDS` in [0, `size()`): a number for each word, `UNKNOWN` for those outside the
    vocabulary, and `PADDING` behind the last.
    """
    known = numbers()
    if len(text) > 40 * WORDS:  # splitting all of it would be slow, and finding where to cut is slower for short ones
        text = leading_words(text, WORDS)
    read = [known.get(word, UNKNOWN) for word in split_words(text)[:WORDS]]
    return np.array(read + [PADDING] * (WORDS - len(read)), np.int32)


def unknown_share(text: str) -> float:
    """The share of a text's words, in [0, 1], that an agent cannot read. 0 for a text without words."""
    words = [word for word in split_words(text) if word != "."]
    return sum(word not in numbers() for word in words) / max(len(words), 1)


def leading_words(text: str, count: int) -> str:
    """The text up to the end of its word number `count`, or all of it where it is shorter."""
    ends = (match.end() for match in _WORD.finditer(text) if split_words(match[0]))
    first = list(itertools.islice(ends, count + 1))
    return text if len(first) <= count else text[: first[count - 1]]
