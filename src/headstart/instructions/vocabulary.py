"""Words as numbers: the one tokeniser that instructions, descriptions and rule texts are read by.

Which words there are is fixed when an agent is made, and its trained weights know them by their numbers. What it never
met is read as `UNKNOWN`, so that a text with new words is understood as far as it can be.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

__all__ = ["PADDING", "UNKNOWN", "Vocabulary", "leading_words", "split_words"]

PADDING, UNKNOWN = 0, 1

# Letters (apart from a "n't" behind them), digits, marks that end a sentence, and the sign in 3×3. A semicolon or a
# colon is read like a comma: what is on both sides of it is understood together.
_WORD = re.compile(r"[^\W\d_]+?(?=n['’]t\b)|n['’]t\b|['’]s\b|[^\W\d_]+|\d+|[.!?×]")
_READ_AS = {"n't": "not", "n’t": "not", "'s": "", "’s": "", "!": ".", "?": "."}


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The words that an agent knows, and how many of a text it reads.

    **Arguments:**

    - `numbers`: the number of each word, as `split_words` gives it, from 2 on. Words of one number are synonyms.
    - `words`: the length of every text as numbers.
    """

    numbers: Mapping[str, int]
    words: int

    @classmethod
    def of_lines(cls, lines: Iterable[str], words: int) -> Vocabulary:
        """One number for each line, in order: those words are read as if they were one."""
        numbered = enumerate(lines, start=UNKNOWN + 1)
        return cls({word: number for number, line in numbered for word in line.split()}, words)

    @classmethod
    def of_texts(cls, texts: Iterable[str], words: int | None = None) -> Vocabulary:
        """Every word of these texts, by the alphabet. They are read whole, if it is not said how many words are."""
        split = [split_words(text) for text in texts]
        known = sorted({word for text in split for word in text})
        return cls.of_lines(known, max(map(len, split), default=1) if words is None else words)

    @property
    def size(self) -> int:
        """How many numbers there are, padding and the unknown word included: tokens lie in [0, size)."""
        return 1 + max(self.numbers.values(), default=UNKNOWN)

    def tokens(self, text: str) -> Int[np.ndarray, "words"]:
        """A text as numbers.

        **Arguments:**

        - `text`: any text, of any length; what comes after the first `words` words is left out.

        **Returns:** int32 of length `words` in [0, `size`): a number for each word, `UNKNOWN` for those that are not
        known, and `PADDING` behind the last.
        """
        if len(text) > 40 * self.words:  # to split all of it would be slow, and for short ones it is slow to find
            text = leading_words(text, self.words)  # where to cut
        read = [self.numbers.get(word, UNKNOWN) for word in split_words(text)[: self.words]]
        return np.array(read + [PADDING] * (self.words - len(read)), np.int32)

    def unknown_share(self, text: str) -> float:
        """The share of a text's words, in [0, 1], that an agent cannot read. 0 for a text without words."""
        words = [word for word in split_words(text) if word != "."]
        return sum(word not in self.numbers for word in words) / max(len(words), 1)


def split_words(text: str) -> list[str]:
    """The words of a text as they are looked up: in lower case and without accents, numbers apart from letters, every
    mark that ends a sentence as a full stop, and no other punctuation."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(mark for mark in decomposed if not unicodedata.combining(mark))
    found = _WORD.findall(text.lower())
    return [word for word in [_READ_AS.get(word, word) for word in found] if word]


def leading_words(text: str, count: int) -> str:
    """The text up to the end of its word number `count`, or all of it where it is shorter."""
    ends = (match.end() for match in _WORD.finditer(text) if split_words(match[0]))
    first = list(itertools.islice(ends, count + 1))
    return text if len(first) <= count else text[: first[count - 1]]
