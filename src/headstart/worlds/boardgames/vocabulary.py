"""The fixed vocabulary in which agents read rule texts.

`vocabulary.txt` holds one number a line: a word, and other words that are read as if they were that one. The numbers
are part of every trained agent, so lines keep their place and new ones go to the end.
"""

from __future__ import annotations

import functools
from importlib import resources

from headstart.instructions.vocabulary import Vocabulary

__all__ = ["STOP", "WORDS", "vocabulary"]

WORDS = 160  # the length of every instruction, in words
STOP = 2  # what ends a sentence: the first line of vocabulary.txt


@functools.cache
def vocabulary() -> Vocabulary:
    """The words of rule texts."""
    lines = resources.files(__package__).joinpath("vocabulary.txt").read_text(encoding="utf-8").splitlines()
    return Vocabulary.of_lines(lines, WORDS)
