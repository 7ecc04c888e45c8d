"""From a cold process to a pole that stands: whole-process seconds, imports and compilation included.

Both train until 128 episodes of sampled actions return 475 on average, each at its own best settings, and look at that
as often as suits them. No compiled program is kept from an earlier start.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.bench.comparison import Comparison, Limit, in_turn
from headstart.bench.peers import REJAX, PeerFailed, ask_once, environment
from headstart.errors import HeadstartError
from headstart.progress import AbstractObserver

__all__ = ["compare"]

TARGET, MOST = 475.0, 500_000  # mean return, and steps after which a seed has failed
PAIRS = 7

#: The settings for CartPole that rejax publishes, evaluated every 4,000 steps.
THEIRS = {
    "settings": {
        "num_envs": 5,
        "num_steps": 100,
        "num_epochs": 5,
        "num_minibatches": 5,
        "learning_rate": 7.5e-4,
        "max_grad_norm": 0.5,
    },
    "iterations": 8,
}
OURS = {"lanes": 16, "length": 64, "epochs": 4, "minibatches": 8, "learning_rate": 1.5e-3, "iterations": 8}


def compare(*, observer: AbstractObserver, quick: bool) -> list[Comparison]:
    """Against rejax, with a new seed for each pair."""
    what = "from a cold process to a mean return of 475 on CartPole, compilation included"
    comparison = Comparison("time-to-result", what, "s", "rejax", 1.0, quick=quick)
    observer.say(f"{comparison.name}: starting ...")
    seeds = {"ours": 0, "theirs": 0}

    def seconds(who: str, python: Path, script: str, settings: dict[str, Any]) -> float:
        seeds[who] += 1
        answer = ask_once(who, python, script, until=TARGET, most=MOST, seed=seeds[who], **settings)
        if answer["return"] < TARGET:
            raise PeerFailed(
                f"{script} with seed {seeds[who]} returned {answer['return']:.0f} after {answer['steps']:,} steps, "
                f"not {TARGET:.0f}; its settings want tuning."
            )
        return answer["seconds"]

    here = Path(sys.executable)
    try:
        python = environment(REJAX, observer=observer)
        # The first start of each reads its files from disk and compiles them to bytecode.
        floor = [ask_once("jax", here, "cold_jax")["seconds"] for _ in range(2)][1]
        ask_once("rejax", python, "rejax_cartpole", until=0.0, most=1, seed=0, **THEIRS)
        pairs = in_turn(
            lambda: seconds("ours", here, "headstart_cartpole", OURS),
            lambda: seconds("theirs", python, "rejax_cartpole", THEIRS),
            2 if quick else PAIRS,
            observer=observer,
        )
        limit = Limit(floor, "a process that imports JAX, compiles one product and ends")
        return [replace(comparison, pairs=pairs, limit=limit)]
    except HeadstartError as error:
        return [comparison.unmeasured(str(error))]
