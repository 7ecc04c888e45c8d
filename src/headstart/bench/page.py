"""Comparisons as sentences, as a table in a terminal, and as a page."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from headstart import rundir
from headstart.bench.comparison import Comparison
from headstart.report import Report

__all__ = ["conclusion", "page", "table"]

HEADERS = ("comparison", "peer", "ours", "theirs", "ratio", "spread", "bar", "verdict", "of limit")
ABOUT = (
    "A ratio says how many times faster ours is. Ours and theirs are measured in turn in one run; the ratio is the "
    "median over the pairs, and the spread its least and greatest value. Figures of two machines, or of two runs, do "
    "not compare: ratios do. The last column is what ours reached of the most that this machine could give."
)
QUICK = "This was a quick run: it shows that everything works, and its ratios are worth little."

RECORDED = "Theirs was recorded once, on another day, and not measured in this run: this ratio decides nothing."


def conclusion(comparison: Comparison) -> str:
    """What a comparison found, in one sentence."""
    if comparison.not_measured is not None:
        return f"{comparison.name}: not measured: {comparison.not_measured}"
    row = dict(zip(HEADERS, _row(comparison), strict=True))
    said = f"{comparison.name}: {row['ratio']} the speed of {comparison.peer} ({row['spread']})"
    if comparison.recorded:
        said += ", which was recorded once and not measured now"
    elif comparison.bar is not None:
        said += f", bar {row['bar']}: {row['verdict']}"
    return said + f"; {row['of limit']} of this machine's limit."


def table(comparisons: Sequence[Comparison]) -> Table:
    """All comparisons, to be printed by `rich`, for a terminal of 80 columns."""
    caption = "quick: these ratios are worth little" if any(comparison.quick for comparison in comparisons) else None
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0, caption=caption)
    for header in HEADERS[:1] + HEADERS[2:]:
        words = header in ("comparison", "verdict")
        shown.add_column(header, justify="left" if words else "right", no_wrap=True)
    for comparison in comparisons:
        name, _peer, *rest = _row(comparison)
        shown.add_row(name, *rest)
    return shown


def page(comparisons: Sequence[Comparison]) -> Report:
    """The report of a run."""
    report = Report("Side by side").text(ABOUT)
    if any(comparison.quick for comparison in comparisons):
        report = report.text(QUICK)
    report = report.table(HEADERS, [_row(comparison) for comparison in comparisons])
    for comparison in comparisons:
        report = report.heading(comparison.name).text(comparison.what + ".")
        if comparison.not_measured is not None:
            report = report.text(f"Not measured: {comparison.not_measured}")
            continue
        if comparison.limit is not None:
            report = report.text(
                f"The limit is {_amount(comparison.limit.value, comparison)}: {comparison.limit.words}."
            )
        if comparison.recorded:
            report = report.text(RECORDED)
        rows = zip(range(1, len(comparison.pairs) + 1), comparison.pairs, comparison.ratios, strict=True)
        report = report.table(
            ("pair", f"ours, {comparison.unit}", f"theirs, {comparison.unit}", "ratio"),
            [[str(index), float(pair.ours), float(pair.theirs), ratio] for index, pair, ratio in rows],
        )
        report = report.facts({"seconds": comparison.seconds, "versions of the peer": comparison.versions or "as ours"})
    about = rundir.about({}, 0, "")
    facts = {name: about[name] for name in ("commit", "versions", "device")}
    return report.heading("What was run").facts(facts)


def _row(comparison: Comparison) -> tuple[str, ...]:
    start = (comparison.name, comparison.peer)
    bar = "-" if comparison.bar is None else f"{comparison.bar:g}x"
    if comparison.ratio is None or comparison.spread is None:
        return (*start, "-", "-", "-", "-", bar, "no result", "-")
    verdict = {True: "holds", False: "fails", None: "recorded" if comparison.recorded else "reference"}[
        comparison.holds
    ]
    return (
        *start,
        _amount(comparison.ours, comparison),
        _amount(comparison.theirs, comparison),
        f"{comparison.ratio:.2f}x",
        f"{comparison.spread[0]:.2f}-{comparison.spread[1]:.2f}",
        bar,
        verdict,
        "-" if comparison.of_limit is None else f"{comparison.of_limit:.0%}",
    )


def _amount(value: float | None, comparison: Comparison) -> str:
    """Three digits: `3.21 M/s`, `52.6 /s`, `4.18 s`; and steps as they were counted."""
    if value is None:
        return "-"
    if comparison.unit == "steps":
        return f"{value:,.0f}"
    if comparison.less_is_better:
        return f"{value:.3g} s"
    scale, letter = next((each for each in ((1e6, "M"), (1e3, "k")) if value >= each[0]), (1.0, ""))
    return f"{value / scale:.3g} {letter}/s"
