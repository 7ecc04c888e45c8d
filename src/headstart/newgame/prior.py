"""The trained prior that ships with the package: what the universal agent brings to a game it has never met."""

from __future__ import annotations

import dataclasses
from importlib import resources
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from headstart import rundir
from headstart.checkpoint import export, load_export, restore
from headstart.errors import UsageError
from headstart.newgame.agent import UniversalAgent
from headstart.newgame.training import Training
from headstart.newgame.training import process as practice

__all__ = ["PRIOR", "load", "ship"]

PRIOR = Path(str(resources.files("headstart.newgame"))) / "prior"


def load() -> tuple[UniversalAgent, dict[str, Any]]:
    """The agent, every file verified, and how it was made: command, seed, versions, hours.

    **Raises:** `StorageError` if a file is damaged or absent.
    """
    like = eqx.filter_eval_shape(lambda: UniversalAgent(key=jax.random.key(0)))
    return load_export(PRIOR, like)


def ship(run: Path, destination: Path) -> Path:
    """Export the agent of a `headstart train newgame` run as far as it came, with all that says how it was made.

    **Arguments:**

    - `run`: the run directory.
    - `destination`: a new folder, such as `PRIOR` after the old one was removed.

    **Raises:** `UsageError` if `run` holds no run.
    """
    described = rundir.read(run)
    if described is None:
        raise UsageError(f"{run} holds no run; name the directory of a headstart train newgame.")
    settings = Training(**described["configuration"]["training"])
    # Which games were played leaves no trace in the shapes of what learned from them.
    process = practice(dataclasses.replace(settings, games=1, paraphrases=1))
    done, state = restore(run / "checkpoints", eqx.filter_eval_shape(process.init, key=jax.random.key(0)))
    rows = (run / "metrics.jsonl").read_text().splitlines()
    return export(
        destination,
        state.agent,
        {
            "command": f"headstart train newgame --iterations {settings.iterations} --seed {described['seed']}",
            "iterations": done,
            "moves": done * settings.lanes * settings.length,
            "games": settings.games,
            "run": described,
            "log": rows[:: max(done // 50, 1)] + rows[-1:],
        },
    )
