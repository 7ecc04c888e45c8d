"""A study's result as a page: the claim, the verdicts, the arms, and what was run."""

from __future__ import annotations

from headstart import plots
from headstart.report import Report
from headstart.studies.study import Decision, Result

__all__ = ["page"]


def page(result: Result) -> Report:
    """The report of a result, to be written or to be continued with what is particular to the study."""
    report = Report(f"{result.study}: {_word(result.holds)}").text(result.claim)
    report = report.table(
        ["claim", "verdict", "measured", "threshold"],
        [[verdict.claim, _word(verdict.holds), verdict.measured, verdict.threshold] for verdict in result.verdicts],
        caption="What was to be shown, and what was found.",
    )
    names = list(result.arms)
    for start in range(0, len(names), len(plots.PALETTE)):
        shown = {name: result.arms[name] for name in names[start : start + len(plots.PALETTE)]}
        words = "; ".join(f"{name}: {arm.estimate}" for name, arm in shown.items())
        bars = plots.arms({name: arm.scores for name, arm in shown.items()})
        report = report.figure(bars, f"arms-{start // len(plots.PALETTE) + 1}", alt=f"Scores by arm. {words}.")
    return (
        report.table(
            ["arm", "interquartile mean", "95 % interval", "seeds", "tasks"],
            [[name, arm.iqm, _interval(arm.interval), *_size(arm.scores)] for name, arm in result.arms.items()],
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


def _word(decision: Decision) -> str:
    return {True: "holds", False: "does not hold", "undecided": "undecided"}[decision]


def _interval(interval: tuple[float, float] | None) -> str:
    return "n/a (1 run)" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _size(scores: tuple[tuple[float, ...], ...]) -> tuple[int, int]:
    return len(scores), len(scores[0])
