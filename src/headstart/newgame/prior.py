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
from headstart.core.process import AbstractProcess
from headstart.errors import UsageError
from headstart.newgame.agent import UniversalAgent
from headstart.newgame.reading import Lessons
from headstart.newgame.reading import process as learning_to_read
from headstart.newgame.training import Training
from headstart.newgame.training import process as practice

__all__ = ["PRIOR", "load", "reread", "ship"]

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
    described = _described(run)
    settings = Training(**described["configuration"]["training"])
    # Which games were played leaves no trace in the shapes of what learned from them.
    done, state = _restored(run, practice(dataclasses.replace(settings, games=1, paraphrases=1)))
    made = _made(run, described, done) | {"moves": done * settings.lanes * settings.length, "games": settings.games}
    return export(destination, state.agent, made)


def reread(run: Path, destination: Path) -> Path:
    """The prior that ships, with the reader of a `headstart train reading` run in place of its own.

    **Arguments:** as of `ship`. What says how the reader was made is under `"reading"`.

    **Raises:** `UsageError` if `run` holds no run.
    """
    described = _described(run)
    lessons = Lessons(**described["configuration"]["lessons"])
    done, state = _restored(run, learning_to_read(dataclasses.replace(lessons, games=1, paraphrases=1)))
    agent, made = load()
    agent = eqx.tree_at(lambda agent: agent.inference.reader, agent, state.reader)
    texts = done * lessons.lessons * lessons.texts
    return export(destination, agent, made | {"reading": _made(run, described, done) | {"texts": texts}})


def _described(run: Path) -> dict[str, Any]:
    described = rundir.read(run)
    if described is None:
        raise UsageError(f"{run} holds no run; name the directory of a headstart train newgame or reading.")
    return described


def _restored(run: Path, process: AbstractProcess) -> tuple[int, Any]:
    return restore(run / "checkpoints", eqx.filter_eval_shape(process.init, key=jax.random.key(0)))


def _made(run: Path, described: dict[str, Any], done: int) -> dict[str, Any]:
    """How a run came to be, with some fifty rows of its log."""
    asked = described["configuration"]
    rows = (run / "metrics.jsonl").read_text().splitlines()
    return {
        "command": f"headstart train {asked['recipe']} --iterations {asked['iterations']} --seed {described['seed']}",
        "iterations": done,
        "run": described,
        "log": rows[:: max(done // 50, 1)] + rows[-1:],
    }
