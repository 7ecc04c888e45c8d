"""Fill the tables of README.md and docs/results.md from the results that are published in `results/`.

    python tools/tables.py

Between `<!-- results:NAME -->` and `<!-- /results -->` go the claims of `results/NAME/result.json`, as
`headstart study` wrote it, below `results/NAME/curve.png` if there is one; or what made the curve, by the `scores.json`
of a `headstart newgame`; or, of the folders `bench`, `recipes` and `robots`, one row for each of their files. Between
`<!-- results:NAME/claims -->` and its end go the claims alone, for pages from which no plot can be reached; between
`<!-- results:NAME/arms -->` and its end, all that the study measured. Nobody types a figure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.studies.study import Result, read

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/results.md")
SECTION = re.compile(r"(<!-- results:([\w/-]+) -->\n).*?(<!-- /results -->)", re.DOTALL)
DECISIONS = {True: "yes", False: "no", "undecided": "undecided"}


def filled(text: str, root: Path = ROOT) -> str:
    """The text with every section between markers written anew."""
    return SECTION.sub(lambda found: f"{found[1]}{_section(found[2], root)}\n{found[3]}", text)


def _section(name: str, root: Path) -> str:
    name, _, part = name.partition("/")
    place = root / "results" / name
    if name in ROWS:
        found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(place.glob("*.json"))]
        return "\n".join(ROWS[name](found)) if found else "No result is published yet."
    parts = []
    if (place / "curve.png").exists() and not part:
        parts.append(f"![Strength against experience](results/{name}/curve.png)")
    if (place / "scores.json").exists():
        made = json.loads((place / "scores.json").read_text(encoding="utf-8"))
        parts.append(f"Made by `{made['command']}` in {made['seconds']} seconds.")
    if (place / "result.json").exists():
        parts.append("\n".join((_arms if part == "arms" else _claims)(read(place))))
    if not parts:
        return f"No result is published yet: `headstart study {name}` measures it."
    return "\n\n".join(parts)


def _comparisons(found: list[dict[str, Any]]) -> Iterator[str]:
    """One row for each comparison, as `headstart bench` wrote it."""
    yield "| what was run | against | how many times faster | least and most | bar | holds | of the machine's limit |"
    yield "|---|---|---|---|---|---|---|"
    for one in found:
        if one["ratio"] is None:
            continue
        least, most = one["spread"]
        bar, holds = ("none", "") if one["bar"] is None else (f"{one['bar']:g}", DECISIONS[one["holds"]])
        limit = "" if one["of_limit"] is None else f"{one['of_limit']:.0%}"
        figures = f"{one['ratio']:.2f} | {least:.2f} to {most:.2f} | {bar} | {holds} | {limit}"
        yield f"| {one['what']} | {one['peer']} | {figures} |"


def _recipes(found: list[dict[str, Any]]) -> Iterator[str]:
    """One row for each recipe that `tools/recipes.py` trained."""
    yield "| recipe | mean return, one figure a seed | published | seconds of training, compilation included |"
    yield "|---|---|---|---|"
    for one in found:
        returns = ", ".join(f"{value:.1f}" for value in one["mean return"])
        seconds = ", ".join(f"{value:.0f}" for value in one["seconds"])
        yield f"| {one['recipe']} | {returns} | {one['published']:g} | {seconds} |"


def _robots(found: list[dict[str, Any]]) -> Iterator[str]:
    """One row for each run of a robot, whose log lies beside it."""
    yield "| recipe | steps of the robot | minutes | at the goal at last | bar | mean return | episodes | seed |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in found:
        run = f"{one['steps']:,} | {one['seconds'] / 60:.1f}"
        found_out = f"{one['at the goal at last']:.3f} | {one['bar']:g} | {one['mean return']:.1f} | {one['episodes']}"
        yield f"| {one['recipe']} | {run} | {found_out} | {one['seed']} |"


ROWS = {"bench": _comparisons, "recipes": _recipes, "robots": _robots}


def _claims(result: Result) -> Iterator[str]:
    """One row for each claim, and how it was measured."""
    yield "| claim | holds | measured | threshold |"
    yield "|---|---|---|---|"
    for verdict in result.verdicts:
        figures = f"{verdict.measured:.2f} | {verdict.threshold:.2f}"
        yield f"| {verdict.claim} | {DECISIONS[verdict.holds]} | {figures} |"
    yield ""
    kinds = result.device.get("measured_on", [result.device["kind"]])
    chips = [kind for kind in kinds if kind != "cpu"]
    where = f",{' in part' * (len(chips) < len(kinds))} on one {' and one '.join(chips)}" if chips else ""
    yield f"Made by `{result.command}` in {result.seconds / 3600:.1f} hours{where}."


def _arms(result: Result) -> Iterator[str]:
    """One row for each arm."""
    yield "| arm | score | 95 % interval | seeds × tasks |"
    yield "|---|---|---|---|"
    for name, arm in result.arms.items():
        interval = f"{arm.interval[0]:.3f} to {arm.interval[1]:.3f}" if arm.interval else "n/a (1 run)"
        yield f"| {name} | {arm.iqm:.3f} | {interval} | {len(arm.scores)} × {len(arm.scores[0])} |"


if __name__ == "__main__":
    for page in PAGES:
        path = ROOT / page
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
