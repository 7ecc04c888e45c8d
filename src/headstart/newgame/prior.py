"""The trained prior that ships with the package: what the universal agent brings to a game it has never met."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from headstart.checkpoint import load_export
from headstart.newgame.agent import UniversalAgent

__all__ = ["PRIOR", "load"]

PRIOR = Path(str(resources.files("headstart.newgame"))) / "prior"


def load() -> tuple[UniversalAgent, dict[str, Any]]:
    """The agent, every file verified, and how it was made: command, seed, versions, hours.

    **Raises:** `StorageError` if a file is damaged or absent.
    """
    like = eqx.filter_eval_shape(lambda: UniversalAgent(key=jax.random.key(0)))
    return load_export(PRIOR, like)
