"""Verbs that put claims to the test: `study` and `bench`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from headstart.cli.options import Place, Working, new_directory, whole
from headstart.errors import UsageError, unknown

__all__ = ["Bench", "Study"]

WORDS = {True: "holds", False: "does not hold", "undecided": "undecided"}


@dataclass(frozen=True)
class Study(Working):
    """Put one claim to the test: method, ablation, control, verdict.

    Example:  headstart study --help

    Exits 0 when the claim holds, and 1 when it does not or a quick run cannot decide it. Leaves result.json and
    report.html; a study that was stopped goes on.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = ""
    """Which study; headstart list shows them."""

    quick: bool = False
    """Fewer seeds and tasks, the same thresholds; what it cannot decide it calls undecided."""

    seeds: Annotated[int | None, whole(1), tyro.conf.arg(help_behavior_hint="")] = None
    """Independent runs of each arm; as many as the claim needs, if left out."""

    directory: Place = None
    """Where results go; studies/NAME, if left out."""

    def __call__(self) -> int:
        from headstart.studies import STUDIES, find

        if not self.name:
            raise UsageError(f"give a study: {', '.join(sorted(STUDIES)) or 'there are none yet'}.")
        study = find(self.name)
        from headstart.studies.page import page
        from headstart.studies.study import FILE, write

        usual = Path("studies") / (f"{self.name}-quick" if self.quick else self.name)
        directory = new_directory(self.directory, usual, finished=FILE)
        observer = self.begin(unit="steps")
        result = study.run(quick=self.quick, seeds=self.seeds, directory=directory, observer=observer)
        write(result, directory)
        report = page(result).write(directory)
        if self.json:
            print(json.dumps({"event": "result", **asdict(result), "holds": result.holds}))
        else:
            for verdict in result.verdicts:
                figures = f"measured {verdict.measured:.3f}, threshold {verdict.threshold:.3f}"
                print(f"{WORDS[verdict.holds]:<14} {verdict.claim} ({figures})")
            ending = ": a full run, without --quick, decides it" if result.holds == "undecided" else ""
            print(f"{self.name}: {WORDS[result.holds]}{ending}. {report}")
        return 0 if result.holds is True else 1


@dataclass(frozen=True)
class Bench(Working):
    """Measure throughput, as ratios of what runs side by side.

    Example:  headstart bench engine --quick
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = ""
    """Which bench; all of them, if left out."""

    quick: bool = False
    """Fewer repetitions."""

    directory: Place = None
    """Where results go; benches/NAME, if left out."""

    def __call__(self) -> int:
        from headstart import bench

        if self.name and self.name not in bench.BENCHES:
            raise unknown("bench", self.name, bench.BENCHES)
        directory = new_directory(self.directory, Path("benches") / (self.name or "all"))
        names = [self.name] if self.name else list(bench.BENCHES)
        found = bench.run(names, observer=self.begin(), directory=directory, quick=self.quick)
        if not self.json:
            from rich.console import Console

            from headstart.bench.page import table

            Console().print(table(found))
            print(directory / "report.html")
        return 0
