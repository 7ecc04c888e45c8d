"""Words as numbers: the fixed vocabulary in which agents read rule texts."""

from __future__ import annotations

import itertools
import re

__all__ = ["WORDS", "leading_words"]

WORDS = 128  # the length of every instruction, in words

_WORD = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")


def leading_words(text: str, count: int) -> str:
    """The text up to the end of its word number `count`."""
    ends = [match.end() for match in itertools.islice(_WORD.finditer(text), count + 1)]
    return text if len(ends) <= count else text[: ends[count - 1]]
