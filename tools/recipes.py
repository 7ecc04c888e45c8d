"""Train every recipe that has a score to reach, from three seeds, and publish how its greedy play does.

    python tools/recipes.py [RECIPE ...]

For each, `results/recipes/RECIPE.json` says what `headstart train` and `headstart evaluate` found: the commands, the
commit and the versions, the seconds of training with compilation, and the mean return of 1,000 episodes for each seed,
beside the published score. Nobody types a figure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from headstart.recipes import PUBLISHED

ROOT = Path(__file__).parent.parent
SEEDS = (0, 1, 2)


def measured(name: str) -> dict[str, Any]:
    """The results of one recipe."""
    returns, seconds, described = [], [], {}
    with tempfile.TemporaryDirectory() as place:
        for seed in SEEDS:
            run = Path(place) / f"{name}-{seed}"
            began = time.monotonic()
            _headstart("train", name, "--seed", str(seed), "--directory", str(run), "--quiet")
            seconds.append(round(time.monotonic() - began, 1))
            *_, result = _headstart("evaluate", str(run), "--episodes", "1000", "--json").splitlines()
            returns.append(json.loads(result)["mean return"])
            described = json.loads((run / "run.json").read_text(encoding="utf-8"))
            print(f"{name}, seed {seed}: {returns[-1]:.1f} of {PUBLISHED[name]} after {seconds[-1]:.0f} s", flush=True)
    return {
        "recipe": name,
        "commands": [f"headstart train {name} --seed SEED", f"headstart evaluate runs/{name}-SEED --episodes 1000"],
        "seeds": SEEDS,
        "mean return": returns,
        "published": PUBLISHED[name],
        "reached": [found >= PUBLISHED[name] for found in returns],
        "seconds": seconds,
        **{key: described[key] for key in ("commit", "versions", "device")},
    }


def _headstart(*words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "headstart", *words], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


if __name__ == "__main__":
    results = ROOT / "results" / "recipes"
    results.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or PUBLISHED:
        text = json.dumps(measured(name), indent=2, ensure_ascii=False)
        (results / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
