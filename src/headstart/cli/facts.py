"""Verbs that tell what is there: `list`, `cite`, `check-env` and `doctor`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from headstart.cli.options import Talking
from headstart.errors import BadData, UsageError

__all__ = ["CheckEnv", "Cite", "Doctor", "List"]


@dataclass(frozen=True)
class List(Talking):
    """Show worlds, recipes, sources, studies and benches, with one line each.

    Example:  headstart list
    """

    def __call__(self) -> int:
        from headstart.bench import BENCHES
        from headstart.cli import catalogue
        from headstart.recipes import RECIPES, about
        from headstart.studies import STUDIES

        found = {
            "worlds": catalogue.worlds(),
            "recipes": {name: about(name) for name in RECIPES},
            "sources": catalogue.sources(),
            "studies": {name: catalogue.heading(module) for name, module in STUDIES.items()},
            "benches": BENCHES,
        }
        if self.json:
            print(json.dumps(found))
            return 0
        for kind, members in found.items():
            print(f"{kind}:" if members else f"{kind}: none yet")
            for name, line in members.items():
                print(f"  {name:<22} {line}")
        return 0


@dataclass(frozen=True)
class Cite:
    """Print the BibTeX of precisely what a recipe, study or source is made of.

    Example:  headstart cite cartpole-ppo
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = ""
    """A recipe, study or source, as in headstart list, or the key of an entry."""

    def __call__(self) -> int:
        from headstart.citations import COMPOSED, bibtex

        if not self.name:
            raise UsageError(f"give one of: {', '.join(sorted(COMPOSED))}.")
        print(bibtex(self.name), end="")
        return 0


@dataclass(frozen=True)
class CheckEnv(Talking):
    """Step whole episodes of somebody's environment and say what is wrong with it.

    Example:  headstart check-env my_package.envs:Maze

    Exits 0 when nothing is found and 3 when something is.
    """

    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODULE:ENV", help_behavior_hint="")] = ""
    """MODULE:NAME of an environment or world, importable from here, or a Gymnasium id."""

    def __call__(self) -> int:
        if not self.target:
            raise UsageError("give an environment as MODULE:NAME, or a Gymnasium id such as CartPole-v1.")
        from headstart.check_env import check, render
        from headstart.machine import prepare

        prepare("cpu", warn=self.observer().warn)
        found = check(self.target)
        if self.json:
            print(json.dumps([finding._asdict() for finding in found]))
        else:
            print(
                f"{self.target}: {len(found)} to mend\n{render(found)}" if found else f"{self.target}: {render(found)}"
            )
        return BadData.exit_code if found else 0


@dataclass(frozen=True)
class Doctor:
    """Show versions, backend, device, memory, cache and extras; say what is wrong and how to mend it.

    Example:  headstart doctor

    Exits 0 when nothing is wrong and 2 when something is.
    """

    json: bool = False
    """For machines: one JSON object."""

    def __call__(self) -> int:
        from headstart.doctor import examine

        found = examine()
        wrong = [row for row in found if row.mend and row.wrong]
        if self.json:
            print(json.dumps([row._asdict() for row in found]))
        else:
            for row in found:
                mark = "WRONG" if row.wrong else "ok" if not row.mend else "-"
                print(f"{mark:<6} {row.what:<12} {row.is_so}{f';  {row.mend}' if row.mend else ''}")
            print(f"{len(wrong)} to mend." if wrong else "Nothing is wrong.")
        return UsageError.exit_code if wrong else 0
