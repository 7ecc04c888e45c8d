"""The book of a study: what was measured is kept, so that a study that was stopped goes on with what it lacks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from headstart import rundir
from headstart.evaluation import fingerprint
from headstart.progress import AbstractObserver
from headstart.storage import replace_file

__all__ = ["Book", "Scores"]

Scores = dict[str, list[float]]  # of each arm


class Book:
    """What was measured, a file for each part of it, so that nothing is measured twice.

    **Arguments:**

    - `directory`: where the files go; what is there of something else, as `about` says, is measured anew.

    `seconds` is what all parts took together, in whichever run of the study they were measured, and `kinds` are those
    of the devices that they were measured on.
    """

    def __init__(self, directory: Path, observer: AbstractObserver):
        self.directory, self.observer = directory, observer
        self.seconds = 0.0
        self.kinds: set[str] = set()

    def __call__(self, name: str, about: Any, measure: Callable[[], Scores]) -> Scores:
        path, made = self.directory / f"{name}.json", fingerprint(about)
        if path.exists() and (stored := json.loads(path.read_text()))["of"] == made:
            self.seconds += stored["seconds"]
            self.kinds.add(stored.get("device", "an unknown device"))
            return stored["scores"]
        started = time.monotonic()
        scores = measure()
        for arm, found in scores.items():
            self.observer.say(f"{name}: {arm}: {np.mean(found):.3f}")
        seconds = time.monotonic() - started
        about_run = rundir.about({}, 0, "")
        kind = about_run["device"]["kind"]
        self.seconds += seconds
        self.kinds.add(kind)
        self.observer.say(f"{name} took {seconds:.0f} s")
        # In the order in which they were measured, so that a study that goes on tells the same story.
        stored = {
            "of": made,
            "commit": about_run["commit"],
            "device": kind,
            "seconds": round(seconds),
            "scores": scores,
        }
        text = json.dumps(stored, indent=1, allow_nan=False)
        replace_file(path, f"{text}\n".encode())
        # Every compiled program takes some of the memory maps that a process may have (65,530 on Linux): a study of
        # hours would run out of them.
        jax.clear_caches()
        return scores
