"""Classics as one person explains them to another: hand-written rule texts beside the rules that they tell.

They are what no grammar wrote. A reader that was trained with generated texts is judged by them, and none is trained
with them. The texts are in `explained.toml`.
"""

from __future__ import annotations

import functools
import tomllib
from importlib import resources

from headstart.worlds.boardgames.rules import Rules

__all__ = ["explained"]


@functools.cache
def explained() -> dict[str, Rules]:
    """Each classic by its name, with a person's explanation as its `text`, of at most `vocabulary.WORDS` words."""
    source = resources.files(__package__).joinpath("explained.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(source)
    return {name: Rules(name, **table | {"text": " ".join(table["text"].split())}) for name, table in tables.items()}
