"""A study's result as a page: the claim, the verdicts, the arms, and what was run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np

from headstart import plots
from headstart.evaluation import Curve
from headstart.report import Report
from headstart.studies.study import Arm, Decision, Result

__all__ = ["curves", "page"]

Drawn = TypeVar("Drawn")

POINT = re.compile(r"(?P<who>.+), (?P<count>[\d,]+) (?P<unit>games|steps|trials before|episodes before)")
"""How an arm is named that is one point of a curve."""
AXES = {
    "games": "games played of this game",
    "steps": "steps in the world",
    "trials before": "trials with these objects before",
    "episodes before": "episodes of this task before",
}


def page(result: Result) -> Report:
    """The report of a result, to be written or to be continued with what is particular to the study."""
    report = Report(f"{result.study}: {_word(result.holds)}").text(result.claim)
    report = report.table(
        ["claim", "verdict", "measured", "threshold"],
        [[verdict.claim, _word(verdict.holds), verdict.measured, verdict.threshold] for verdict in result.verdicts],
        caption="What was to be shown, and what was found.",
    )
    for number, drawn in enumerate(_of_one_place(curves(result.arms))):
        (unit,) = {found["unit"] for name in result.arms if (found := POINT.fullmatch(name))}
        figure = plots.adaptation_curves(drawn, games=AXES[unit])
        name = f"curve-{number + 1}" if number else "curve"
        report = report.figure(figure, name, alt=f"Score against {AXES[unit]}, for {', '.join(drawn)}.")
    for number, shown in enumerate(_told_apart(result.arms)):
        words = "; ".join(f"{name}: {arm.estimate}" for name, arm in shown.items())
        estimates = {name: arm.estimate for name, arm in shown.items()}
        bars = plots.arms({name: arm.scores for name, arm in shown.items()}, estimates=estimates)
        report = report.figure(bars, f"arms-{number + 1}", alt=f"Scores by arm. {words}.")
    return (
        report.table(
            ["arm", "score", "95 % interval", "seeds", "tasks"],
            [[name, arm.iqm, _interval(arm.interval), *_size(arm.scores)] for name, arm in result.arms.items()],
            caption="Interquartile means with bootstrap intervals, or shares of all seeds with Wilson's.",
        )
        .heading("What was run")
        .facts(
            {
                "command": result.command,
                "commit": result.commit,
                "paper": f"{result.paper.key} ({', '.join(result.paper.figures)})",
                "seed": result.seed,
                "seconds": result.seconds,
                "device": result.device,
                "versions": result.versions,
            }
        )
    )


def curves(arms: Mapping[str, Arm]) -> dict[str, Curve]:
    """The arms that are named like `who, N games` as curves; points of other numbers of seeds are curves apart."""
    points: dict[str, dict[int, Arm]] = {}
    for name, arm in arms.items():
        if found := POINT.fullmatch(name):
            who, seeds = found["who"], len(arm.scores)
            if any(len(other.scores) != seeds for other in points.get(who, {}).values()):
                who = f"{who}, {seeds} seed{'s' * (seeds > 1)}"
            points.setdefault(who, {})[int(found["count"].replace(",", ""))] = arm
    return {
        who: Curve(np.array(sorted(at)), np.stack([at[games].scores for games in sorted(at)], axis=-1))
        for who, at in points.items()
    }


def _of_one_place(named: Mapping[str, Drawn]) -> Iterator[dict[str, Drawn]]:
    """Those of one place, `place: who`, in figures of their own, for its scores are of a size of their own."""
    places: dict[str, dict[str, Drawn]] = {}
    for name, drawn in named.items():
        place, apart, _ = name.partition(": ")
        places.setdefault(place if apart else "", {})[name] = drawn
    for of_place in places.values():
        yield from _told_apart(of_place)


def _told_apart(named: Mapping[str, Drawn]) -> Iterator[dict[str, Drawn]]:
    """As many at a time as one figure has colours for; those of one place, `place, who`, together if there is room."""
    drawn: dict[str, Drawn] = {}
    most = len(plots.PALETTE)
    places: dict[str, list[str]] = {}
    for name in named:
        places.setdefault(name.partition(", ")[0], []).append(name)
    for names in places.values():
        for start in range(0, len(names), most):
            part = {name: named[name] for name in names[start : start + most]}
            if len(drawn) + len(part) > most:
                yield drawn
                drawn = {}
            drawn |= part
    if drawn:
        yield drawn


def _word(decision: Decision) -> str:
    return {True: "holds", False: "does not hold", "undecided": "undecided"}[decision]


def _interval(interval: tuple[float, float] | None) -> str:
    return "n/a (1 run)" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _size(scores: tuple[tuple[float, ...], ...]) -> tuple[int, int]:
    return len(scores), len(scores[0])
