"""How fast this library is, as ratios against what people would otherwise use, measured side by side in one run."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import unknown

if TYPE_CHECKING:
    from headstart.bench.comparison import Comparison
    from headstart.progress import AbstractObserver

__all__ = ["BENCHES", "run"]

BENCHES: dict[str, str] = {
    "engine": "random play of connect four and hex in the general engine, against pgx",
    "ppo": "PPO on CartPole, steps per second, against rejax and stable-baselines3",
    "time-to-result": "from a cold process to a mean return of 475 on CartPole, against rejax",
    "self-play": "Gumbel AlphaZero self-play on connect four, against pgx with mctx",
    "maml": "MAML on a plane, meta-iterations per second, beside what was recorded of pytorch-maml-rl",
    "xland": "RL² in XLand-MiniGrid, steps per second, beside what was recorded of its own baseline",
    "hindsight": "hindsight on a robot and on bits, throughput and time to success, against stable-baselines3",
    "reading": "training with text, steps per second, against the same with its words withheld",
}

_MODULES = {
    "engine": "random_play",
    "ppo": "ppo",
    "time-to-result": "time_to_result",
    "self-play": "self_play",
    "maml": "maml",
    "xland": "xland",
    "hindsight": "hindsight",
    "reading": "reading",
}


def run(names: Sequence[str], *, observer: AbstractObserver, directory: Path, quick: bool) -> list[Comparison]:
    """Run benches, and leave a JSON file for each comparison and a `report.html` of them all.

    What cannot be measured, because a peer does not install or fails, is said in one sentence; the others go on. Each
    comparison is stored as soon as its bench is done.

    **Arguments:**

    - `names`: of `BENCHES`; all of them if empty.
    - `directory`: where results go; made if need be.
    - `quick`: shorter and fewer measurements, which say only that it works.

    **Raises:** `UsageError` for a name that is no bench; `StorageError` if results cannot be stored.
    """
    for name in names:
        if name not in BENCHES:
            raise unknown("bench", name, BENCHES)
    from headstart.bench.comparison import write
    from headstart.bench.page import conclusion, page

    if quick:
        observer.say("quick: these durations show that it works; their ratios are worth little.")
    comparisons: list[Comparison] = []
    for name in names or BENCHES:
        observer.say(f"{name}: {BENCHES[name]}")
        begun = time.monotonic()
        found = importlib.import_module(f"headstart.bench.{_MODULES[name]}").compare(observer=observer, quick=quick)
        share = (time.monotonic() - begun) / len(found)
        for comparison in found:
            comparison = replace(comparison, seconds=share)
            write(comparison, directory)
            comparisons.append(comparison)
            (observer.warn if comparison.not_measured else observer.say)(conclusion(comparison))
    page(comparisons).write(directory)
    return comparisons
