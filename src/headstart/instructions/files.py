"""A person's own words, from a file: instructions one a line, or what the things in a world are, by their names.

| file | holds |
|---|---|
| `.txt`, or any other | a text on each line; empty lines and those that begin with `#` are passed over |
| `.toml` | `instructions = ["go to the well", ...]`, and a table `[descriptions]` with `name = "what it is"` |

What an agent cannot make sense of is refused here, before anything is trained or played: an empty text, a text far
longer than any agent reads, a file that is not UTF-8, a description of what the world does not have. Words that an
agent does not know are no error: `headstart.instructions.vocabulary.Vocabulary.unknown_share` says how many they are.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.errors import BadData, UsageError

__all__ = ["LONGEST", "MOST", "Words", "read"]

LONGEST = 10_000
"""Characters of one text. No agent here reads more than some hundreds of words."""
MOST = 1_000
"""Texts of one file."""
BYTES = 4 * LONGEST * MOST // 10  # a file that is larger is not looked at


@dataclass(frozen=True)
class Words:
    """What a file says: instructions in their order, and descriptions by the name of what they are of."""

    instructions: tuple[str, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict)


def read(path: Path, *, things: Collection[str] | None = None) -> Words:
    """The words in a file.

    **Arguments:**

    - `things`: the names of what the world has, if descriptions are asked for; else any name will do.

    **Raises:** `UsageError` for a file that cannot be read, and `BadData` for one whose words are no use: one sentence
    that names the line or the key, and the mend.
    """
    try:
        if path.stat().st_size > BYTES:
            raise BadData(f"{path} is larger than {BYTES // 1_000_000} MB; leave only instructions in it.")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).") from error
    words = _of_toml(path, text) if path.suffix == ".toml" else _of_lines(path, text)
    if not words.instructions and not words.descriptions:
        raise BadData(f"{path} says nothing; write an instruction on a line of its own.")
    if len(words.instructions) > MOST:
        raise BadData(f"{path} has {len(words.instructions):,} instructions; {MOST:,} are the most.")
    if things is not None:
        for name in words.descriptions:
            if name not in things:
                near = difflib.get_close_matches(name, things, 1, cutoff=0.0)
                hint = f"the nearest is {near[0]!r}" if near else "it has nothing that can be described"
                raise BadData(f"{path} describes {name!r}, which this world does not have; {hint}.")
    return words


def _of_lines(path: Path, text: str) -> Words:
    """A text on each line."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    said = [(number, line) for number, line in lines if line and not line.startswith("#")]
    return Words(tuple(_checked(line, f"{path}, line {number}") for number, line in said))


def _of_toml(path: Path, text: str) -> Words:
    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{path} is not TOML: {error or 'nested too deeply'}.") from error
    for key in given:
        if key not in ("instructions", "descriptions"):
            raise BadData(f"{path} has an unknown key {key!r}; there are instructions and descriptions.")
    instructions, descriptions = given.get("instructions", []), given.get("descriptions", {})
    if not isinstance(instructions, Sequence) or isinstance(instructions, str):
        raise BadData(f"{path}: instructions must be a list of texts, such as  instructions = ['go to the well'].")
    if not isinstance(descriptions, Mapping):
        raise BadData(f"{path}: descriptions must be a table of texts, such as  well = 'deep and dark'.")
    told = tuple(_checked(each, f"{path}, instruction {number}") for number, each in enumerate(instructions, start=1))
    return Words(told, {name: _checked(each, f"{path}, {name}") for name, each in descriptions.items()})


def _checked(text: Any, where: str) -> str:
    """A text that can be read, without the white space around it."""
    if not isinstance(text, str):
        raise BadData(f"{where} is no text; write it in quotes.")
    if not text.strip():
        raise BadData(f"{where} is empty; say something, or leave it out.")
    if len(text) > LONGEST:
        raise BadData(f"{where} has {len(text):,} characters; {LONGEST:,} are the most, so say it shorter.")
    return text.strip()
