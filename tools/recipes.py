"""Train every recipe that has a score to reach, and publish how its greedy play does.

    python tools/recipes.py [RECIPE ...]

What `headstart train` and `headstart evaluate` found goes to `results/recipes/RECIPE.json`, from three seeds and
beside the published score. Robots learn for hours, so they do it once, from the first seed, if they are named; what
became of them goes to `results/robots`, with a thinned log. All of it with the commands, the commit, the versions, and
the seconds of training with compilation. Nobody types a figure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.recipes import PUBLISHED, find

ROOT = Path(__file__).parent.parent
SEEDS = (0, 1, 2)
EPISODES = 1_000
#: The share of episodes that end at their goal which a robot is to reach, and of how many iterations one is logged.
ROBOTS = {"fetchreach-hindsight": (0.95, 1), "fetchpush-hindsight": (0.9, 5)}
ROBOT_EPISODES = 256


@dataclass(frozen=True)
class Trained:
    """What one run came to."""

    seconds: float
    figures: dict[str, float]
    described: dict[str, Any]
    log: list[str]

    @classmethod
    def of(cls, name: str, seed: int, episodes: int) -> Trained:
        """Train a recipe and evaluate it, in a directory that is not kept."""
        with tempfile.TemporaryDirectory() as place:
            run = Path(place) / f"{name}-{seed}"
            began = time.monotonic()
            _headstart("train", name, "--seed", str(seed), "--directory", str(run), "--quiet")
            seconds = round(time.monotonic() - began, 1)
            *_, result = _headstart("evaluate", str(run), "--episodes", str(episodes), "--json").splitlines()
            described = json.loads((run / "run.json").read_text(encoding="utf-8"))
            log = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        figures = json.loads(result)
        print(f"{name}, seed {seed}: mean return {figures['mean return']:.1f} after {seconds:.0f} s", flush=True)
        return cls(seconds, figures, described, log)

    @property
    def origin(self) -> dict[str, Any]:
        return {key: self.described[key] for key in ("commit", "versions", "device")}


def measured(name: str) -> dict[str, Any]:
    """The results of one recipe with a published score."""
    runs = [Trained.of(name, seed, EPISODES) for seed in SEEDS]
    returns = [run.figures["mean return"] for run in runs]
    return {
        "recipe": name,
        "commands": _commands(name, "SEED", EPISODES),
        "seeds": SEEDS,
        "mean return": returns,
        "published": PUBLISHED[name],
        "reached": [found >= PUBLISHED[name] for found in returns],
        "seconds": [run.seconds for run in runs],
        **runs[-1].origin,
    }


def robot(name: str) -> tuple[dict[str, Any], list[str]]:
    """The result of one robot, and its log."""
    bar, thinned = ROBOTS[name]
    recipe, run = find(name), Trained.of(name, SEEDS[0], ROBOT_EPISODES)
    result = {
        "recipe": name,
        "commands": _commands(name, SEEDS[0], ROBOT_EPISODES),
        "seed": SEEDS[0],
        "steps": recipe.iterations * recipe.steps,
        "seconds": run.seconds,
        "episodes": ROBOT_EPISODES,
        **{key: run.figures[key] for key in ("at the goal at last", "mean return")},
        "bar": bar,
        **run.origin,
    }
    return result, run.log[thinned - 1 :: thinned]


def _commands(name: str, seed: int | str, episodes: int) -> list[str]:
    train = f"headstart train {name}" + (f" --seed {seed}" if seed else "")
    return [train, f"headstart evaluate runs/{name}-{seed} --episodes {episodes}"]


def _headstart(*words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "headstart", *words], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _publish(path: Path, lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{lines}\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or PUBLISHED:
        place = ROOT / "results" / ("robots" if name in ROBOTS else "recipes")
        if name in ROBOTS:
            result, log = robot(name)
            _publish(place / f"{name}.log.jsonl", "\n".join(log))
        else:
            result = measured(name)
        _publish(place / f"{name}.json", json.dumps(result, indent=2, ensure_ascii=False))
