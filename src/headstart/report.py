"""A run's page: one HTML file that needs nothing else, to read, print and show to others.

    Report("Connect four, upside down").text("What was found.").figure(plot, "strength", alt="...").write(directory)

A report is a value: each method gives a longer one. Whatever it is told is escaped, images are part of the file, and it
holds no script and no address, so that a report from somebody else is safe to open.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import plots, rundir
from headstart.errors import HeadstartError, UsageError
from headstart.storage import replace_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Gathered", "Report", "gather"]

FILE = "report.html"


@dataclass(frozen=True)
class Report:
    """A page in the making.

    - `title`: its title.
    - `sections`: pieces of HTML, top to bottom.
    - `images`: the plots by file name, written beside the page as PNG too.
    """

    title: str
    sections: tuple[str, ...] = ()
    images: tuple[tuple[str, bytes], ...] = ()

    def heading(self, text: str) -> Report:
        """A heading over what follows."""
        return self._with(f"<h2>{escape(text)}</h2>")

    def text(self, *paragraphs: str) -> Report:
        """Paragraphs of plain text."""
        return self._with(*(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs))

    def facts(self, facts: Mapping[str, Any]) -> Report:
        """What was run, as name and value: command, commit, versions, device, seconds. Mappings become `a 1, b 2`."""
        rows = (f"<dt>{escape(name)}</dt><dd>{escape(_plain(value))}</dd>" for name, value in facts.items())
        return self._with(f"<dl>{''.join(rows)}</dl>")

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[Any]], *, caption: str = "") -> Report:
        """A table; columns of numbers stand flush right, and the first column names its row.

        **Raises:** `UsageError` for a row that has not one cell for each header.
        """
        cells = [list(row) for row in rows]
        for row in cells:
            if len(row) != len(headers):
                raise UsageError(f"the row {row} has {len(row)} cells for {len(headers)} headers; give one for each.")
        numbers = [any(_is_number(row[at]) for row in cells) for at in range(len(headers))]
        side = [" class=number" if number else "" for number in numbers]
        head = "".join(f'<th scope="col"{side[at]}>{escape(header)}</th>' for at, header in enumerate(headers))
        body = "".join(f"<tr>{_cells(row, side)}</tr>" for row in cells)
        title = f"<caption>{escape(caption)}</caption>" if caption else ""
        return self._with(
            f'<div class="wide"><table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )

    def figure(self, figure: Figure, name: str, *, alt: str, caption: str = "") -> Report:
        """A plot, drawn into the page and kept beside it as `NAME.png`.

        **Arguments:**

        - `name`: of letters, digits, `-` and `_`.
        - `alt`: what it shows, in words, for those who cannot see it.

        **Raises:** `UsageError` for a name that is no plain file name or is taken, or an empty `alt`.
        """
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name in dict(self.images):
            raise UsageError(f"the plot's name {name!r} must be new, and of letters, digits, '-' and '_' only.")
        drawing = f'<div class="plot" role="img" aria-label="{_alt(alt)}">{_drawing(figure)}</div>'
        return replace(self._with(_captioned(drawing, caption)), images=(*self.images, (name, _picture(figure))))

    def board(self, text: str, *, caption: str = "") -> Report:
        """A position, or a whole game, drawn with characters."""
        return self._with(_captioned(f"<pre>{escape(text)}</pre>", caption))

    def boards(self, positions: Iterable[tuple[str, str]], *, alt: str, caption: str = "") -> Report:
        """Positions in a row that wraps, each an `<svg>` element and what is said below it.

        They are embedded as images, so that nothing in them is ever run.
        """
        shown = "".join(
            f'<figure><img src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}" '
            f'alt="{_alt(f"{alt}: {below}")}"><figcaption>{escape(below)}</figcaption></figure>'
            for svg, below in positions
        )
        return self._with(_captioned(f'<div class="boards">{shown}</div>', caption))

    def html(self) -> str:
        """The whole page."""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{escape(self.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
            f"<h1>{escape(self.title)}</h1>\n" + "\n".join(self.sections) + "\n</main>\n</body>\n</html>\n"
        )

    def write(self, directory: Path) -> Path:
        """Write `report.html`, and the plots beside it; an older report there is replaced once the new one is whole.

        **Raises:** `StorageError` naming what could not be written.
        """
        page = directory / FILE
        for name, png in self.images:
            replace_file(directory / f"{name}.png", png)
        replace_file(page, self.html().encode("utf-8", errors="replace"))
        return page

    def _with(self, *sections: str) -> Report:
        return replace(self, sections=(*self.sections, *sections))


@dataclass(frozen=True)
class Gathered:
    """Runs to report on.

    - `groups`: the complete runs, those of equal configuration together.
    - `left_out`: those that are not, and why.
    """

    groups: tuple[tuple[Path, ...], ...]
    left_out: tuple[tuple[Path, str], ...]


def gather(directories: Iterable[Path], *, grouped: bool = False) -> Gathered:
    """Sort out which runs may be summarised together: complete ones, of one configuration unless `grouped`.

    Seeds may differ, and how often a run saves or logs; the number of iterations may not.

    **Raises:** `UsageError` if no run is complete, or configurations are mixed without `grouped`.
    """
    groups: dict[str, list[Path]] = {}
    left_out = []
    for directory in directories:
        try:
            described = rundir.read(directory)
        except HeadstartError as error:
            left_out.append((directory, str(error)))
            continue
        asked = dict(described["configuration"]) if described else {}
        done, total = _done(directory), asked.get("iterations", 0)
        if described is None or done < total:
            reason = "holds no run" if described is None else f"stands at iteration {done:,} of {total:,}"
            left_out.append((directory, reason))
            continue
        same = json.dumps({key: value for key, value in asked.items() if key not in ("every", "log")}, sort_keys=True)
        groups.setdefault(same, []).append(directory)
    if not groups:
        reasons = "; ".join(f"{directory} {reason}" for directory, reason in left_out)
        raise UsageError(f"no run is complete ({reasons or 'none was given'}); let one finish first.")
    if len(groups) > 1 and not grouped:
        first, second = (runs[0] for runs in list(groups.values())[:2])
        raise UsageError(f"{first} and {second} have different configurations; report on them grouped, or apart.")
    return Gathered(tuple(tuple(runs) for runs in groups.values()), tuple(left_out))


def _done(directory: Path) -> int:
    """The last iteration in `metrics.jsonl`; a row that a crash cut short does not count."""
    done = 0
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        for line in (directory / "metrics.jsonl").read_bytes().splitlines():
            done = int(json.loads(line)["iteration"])
    return done


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "n/a" if value is None else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cells(row: Sequence[Any], side: Sequence[str]) -> str:
    texts = [escape(_plain(value)) for value in row]
    others = (f"<td{side[at]}>{text}</td>" for at, text in enumerate(texts[1:], start=1))
    return f'<th scope="row"{side[0]}>{texts[0]}</th>' + "".join(others)


def _alt(text: str) -> str:
    if not text.strip():
        raise UsageError("an image needs words for those who cannot see it; give alt=...")
    return escape(text)


def _captioned(content: str, caption: str) -> str:
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{content}{below}</figure>"


def _picture(figure: Figure) -> bytes:
    file = io.BytesIO()
    with plots.style():
        figure.savefig(file, format="png", dpi=160, facecolor="white")
    return file.getvalue()


def _drawing(figure: Figure) -> str:
    """As SVG in the page's own ink, so that it is as readable on dark as on light."""
    file = io.StringIO()
    with plots.style():
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # several plots would repeat them, and an id is unique in a page
    return svg.replace(plots.INK, "currentColor").replace("<svg ", '<svg aria-hidden="true" ', 1)


STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --paper: #ffffff; --soft: #5b6776; --line: #d9dee5; --well: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --paper: #14181d; --soft: #a3adba; --line: #333b46; --well: #1d232a; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 50rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1.5rem; text-wrap: balance; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem; margin: 0 0 1rem; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption, figcaption { color: var(--soft); font-size: .88rem; text-align: left; padding: .4rem 0; }
th, td { padding: .4rem .9rem .4rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { border-bottom: 2px solid var(--ink); }
tbody th { font-weight: 500; }
th.number, td.number { text-align: right; }
th:last-child, td:last-child { padding-right: 0; }
figure { margin: 1.25rem 0; }
.plot svg { display: block; width: 100%; height: auto; color: var(--ink); }
pre { background: var(--well); border: 1px solid var(--line); border-radius: 6px; padding: .9rem 1.1rem; margin: 0;
  overflow-x: auto; font: 14px/1.3 ui-monospace, "DejaVu Sans Mono", monospace; }
.boards { display: flex; flex-wrap: wrap; gap: .75rem; }
.boards figure { margin: 0; }
.boards img { display: block; background: #ffffff; border: 1px solid var(--line); border-radius: 6px; max-width: 100%; }
@media print {
  :root { --ink: #000000; --paper: #ffffff; --soft: #444444; --line: #cccccc; --well: #ffffff; }
  main { max-width: none; padding: 0; }
  figure, table, pre { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
