"""The plots of a report. They are drawn in one ink and a palette that the colour-blind tell apart (Okabe and Ito 2008).

Matplotlib is imported when the first plot is drawn, so that nobody else waits for it. No global state of it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from headstart.errors import BadData
from headstart.evaluation import Curve, Estimate, Scores, estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["INK", "adaptation_curves", "arms", "panels", "style"]

INK = "#1f2933"
GRID = "#8a94a6"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6a52", "#8a94a6")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
STRAIGHT = 25  # how many times the first count the last one may be for an axis in even steps
FEW = 6  # counts in ones that may be for it


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Our ink and type while something is drawn or saved; a program's own Matplotlib settings are left alone."""
    import matplotlib

    settings: dict[Any, Any] = {
        **dict.fromkeys(("text.color", "xtick.color", "ytick.color", "axes.labelcolor", "axes.edgecolor"), INK),
        **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.titlepad": 12,
        "axes.axisbelow": True,
        "font.family": "sans-serif",
        "grid.color": GRID,
        "grid.alpha": 0.3,
        "text.parse_math": False,  # a dollar in a name is a dollar
        "svg.fonttype": "none",
        "svg.hashsalt": "headstart",  # equal plots are equal files
    }
    with matplotlib.rc_context(settings):
        yield


def adaptation_curves(
    curves: Mapping[str, Curve],
    *,
    title: str = "",
    games: str = "games played of this game",
    score: str = "score",
    levels: Mapping[str, float] | None = None,
) -> Figure:
    """Strength against experience: interquartile means with their 95 % intervals as bands, 0 games at the left.

    **Arguments:**

    - `games`, `score`: what the axes say.
    - `levels`: dashed lines to compare with, such as the opponents' own scores.

    **Raises:** `BadData` for no curve, or more than the palette tells apart.
    """
    from matplotlib.ticker import MaxNLocator

    _check_number(len(curves))
    with style():
        figure, axes = _blank(height=4.4, title=title)
        for (name, curve), colour, marker in zip(curves.items(), PALETTE, MARKERS, strict=False):
            estimates = curve.estimates
            low, high = np.transpose([point.interval or (point.value, point.value) for point in estimates])
            means = [point.value for point in estimates]
            axes.fill_between(curve.games, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(curve.games, means, color=colour, marker=marker, markersize=5, linewidth=2, label=name)
            if len(curve.games) == 1:  # a band of one point is invisible
                axes.vlines(curve.games, low, high, color=colour, linewidth=2)
        for name, level in (levels or {}).items():
            axes.axhline(level, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                name, (1, level), (-2, 3), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right"
            )
        counts = np.concatenate([curve.games for curve in curves.values()])
        if _near(counts):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.xaxis.set_major_formatter("{x:,.0f}")
        else:
            _logarithmic_with_zero(axes, int(counts.min()), int(counts.max()))
        axes.set(xlabel=games, ylabel=score)
        axes.grid(axis="y")
        # As many columns as the longest name leaves room for, in characters.
        figure.legend(loc="outside lower center", ncols=max(1, min(len(curves), 4, 88 // (max(map(len, curves)) + 6))))
    return figure


def arms(
    scores: Mapping[str, Scores],
    *,
    estimates: Mapping[str, Estimate] | None = None,
    title: str = "",
    score: str = "score",
) -> Figure:
    """Arms side by side: bars for interquartile means, lines for their 95 % intervals, a dot for each single task.

    **Arguments:**

    - `scores`: `[seeds, tasks]` by arm, drawn from top to bottom.
    - `estimates`: what bars and lines show in the place of these, by arm.

    **Raises:** `BadData` for no arm, more than the palette tells apart, or scores of another shape.
    """
    _check_number(len(scores))
    with style():
        figure, axes = _blank(height=1.5 + 0.62 * len(scores), title=title)
        for row, ((name, values), colour) in enumerate(zip(scores.items(), PALETTE, strict=False)):
            found = estimate(values) if estimates is None else estimates[name]
            tasks = np.mean(np.asarray(values, dtype=float), axis=0)
            axes.barh(row, found.value, height=0.62, color=colour, alpha=0.35)
            axes.vlines(found.value, row - 0.31, row + 0.31, color=colour, linewidth=2.5)
            # Spread by the golden ratio: even, without chance, and neighbours in the order of tasks stay apart.
            spread = row + 0.44 * ((np.arange(len(tasks)) * 0.6180339887) % 1 - 0.5)
            axes.scatter(tasks, spread, s=14, color=colour, alpha=0.75, linewidths=0, zorder=3)
            if found.interval is not None:
                axes.hlines(row, *found.interval, color=INK, linewidth=2.5, zorder=4)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(scores)), list(scores))
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.spines["left"].set_visible(False)
        axes.set(xlabel=f"{score} (line: 95 % interval; dots: single tasks)")
        axes.grid(axis="x")
    return figure


def panels(bars: Mapping[str, Mapping[str, Mapping[str, Scores]]], *, score: str, limit: float | None = None) -> Figure:
    """Groups of bars, one panel beside the other on one scale, as behaviour is shown: who, in what case, what kind.

    Bars are interquartile means, and the lines 95 % intervals.

    **Arguments:**

    - `bars`: scores `[seeds, tasks]` by panel, group and bar; the bars of all groups have the same names.
    - `score`: what the axis says. `limit`: where it ends, if it is known.

    **Raises:** `BadData` for no panel, or more bars in a group than the palette tells apart.
    """
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys(kind for groups in bars.values() for group in groups.values() for kind in group))
    _check_number(len(kinds))
    with style():
        figure = Figure(figsize=(7.6, 3.6), layout="constrained")
        shown = figure.subplots(1, len(bars), sharey=True, squeeze=False)[0]
        width = 0.8 / len(kinds)
        for axes, (panel, groups) in zip(shown, bars.items(), strict=True):
            for at, group in enumerate(groups.values()):
                for kind, values in group.items():
                    place = at + (kinds.index(kind) - (len(kinds) - 1) / 2) * width
                    found = estimate(values)
                    axes.bar(place, found.value, width=0.9 * width, color=PALETTE[kinds.index(kind)], label=kind)
                    if found.interval is not None:
                        axes.vlines(place, *found.interval, color=INK, linewidth=1.5)
            axes.set_title(panel)
            axes.set_xticks(range(len(groups)), list(groups))
            axes.tick_params(axis="x", length=0)
            axes.grid(axis="y")
        shown[0].set(ylabel=score, ylim=(0, limit))
        handles, names = shown[0].get_legend_handles_labels()
        figure.legend(handles[: len(kinds)], names[: len(kinds)], loc="outside lower center", ncols=len(kinds))
    return figure


def _blank(*, height: float, title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    return figure, axes


def _near(counts: Int[np.ndarray, "counts"]) -> bool:
    """Whether even steps show all of them: the first one after 0 is then not lost beside the last."""
    beyond = counts[counts > 0]
    if not beyond.size or counts.min() > 0:
        return False
    return bool(beyond.max() <= (FEW if beyond.min() == 1 else STRAIGHT * beyond.min()))


def _logarithmic_with_zero(axes: Axes, least: int, most: int) -> None:
    from matplotlib.ticker import NullLocator

    # Straight between 0 and 1, logarithmic beyond: nothing lies in between, as games are counted in ones.
    axes.set_xscale("symlog", linthresh=1, linscale=0.6)
    left, right = (0.8 * least if least else -0.15), 1.25 * max(most, 1)
    leading = (1, 2, 5) if least and most < 50 * least else (1,)  # few powers of ten lie between near ends
    within = [lead * 10**power for power in range(len(str(max(most, 1)))) for lead in leading]
    ticks = [*([0] if least == 0 else []), *(tick for tick in within if left <= tick <= right)]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(left, right)


def _check_number(count: int) -> None:
    if not 0 < count <= len(PALETTE):
        raise BadData(f"a plot shows 1 to {len(PALETTE)} arms, not {count}; split it into several.")
