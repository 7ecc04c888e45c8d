"""What the verbs have in common: their options, whole numbers, and places that nothing is overwritten in."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from headstart.errors import UsageError
from headstart.machine import Device, prepare

if TYPE_CHECKING:
    from headstart.progress import AbstractObserver

__all__ = ["Place", "Talking", "Working", "new_directory", "whole"]


Place = Annotated[Path | None, tyro.conf.arg(metavar="DIRECTORY", help_behavior_hint="")]


def whole(low: int) -> PrimitiveConstructorSpec[int | None]:
    """A whole number of `low` or more, or the default."""

    def parse(texts: list[str]) -> int:
        try:
            number = int(texts[0])
        except ValueError:
            number = low - 1
        if number < low:
            raise ValueError(f"give a whole number of {low} or more, not {texts[0]!r}")
        return number

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="N",
        instance_from_str=parse,
        is_instance=lambda value: value is None or isinstance(value, int),
        str_from_instance=lambda value: [str(value)],
    )


@dataclass(frozen=True, kw_only=True)
class Talking:
    """A verb that says something."""

    json: bool = False
    """For machines: one JSON object a line, on standard output."""

    quiet: bool = False
    """Nothing but results, warnings and errors."""

    def observer(self, *, unit: str = "iterations", per_iteration: int = 1) -> AbstractObserver:
        """Whom to tell of progress."""
        from headstart.progress import observer

        return observer(json_lines=self.json, quiet=self.quiet, unit=unit, per_iteration=per_iteration)


@dataclass(frozen=True, kw_only=True)
class Working(Talking):
    """A verb that computes."""

    device: Device = "best"
    """What to compute on; a gpu that is not there is an error."""

    def begin(self, *, unit: str = "iterations", per_iteration: int = 1) -> AbstractObserver:
        """Make the machine ready; returns whom to tell of progress."""
        observer = self.observer(unit=unit, per_iteration=per_iteration)
        prepare(self.device, warn=observer.warn)
        return observer


def new_directory(asked: Path | None, usual: Path, *, finished: str | None = None) -> Path:
    """A directory to write results to: the one asked for, or the first of `usual`, `usual-2`, ... that is free.

    **Arguments:**

    - `finished`: a file that only finished work leaves. Without it a directory is unfinished work, to be gone on with;
      where `finished` is `None`, free means empty.

    **Raises:** `UsageError` if the one asked for is not free, or is a file.
    """

    def free(place: Path) -> bool:
        if not place.exists():
            return True
        if not place.is_dir():
            return False
        return not (place / finished).exists() if finished else not any(place.iterdir())

    if asked is not None:
        if not free(asked):
            raise UsageError(f"{asked} holds something already, and nothing is overwritten; give a new --directory.")
        place = asked
    else:
        others = (usual.with_name(f"{usual.name}-{number}") for number in itertools.count(2))
        place = next(filter(free, itertools.chain((usual,), others)))
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{place} cannot be made ({error.strerror}); give a --directory that you may write to."
        ) from error
    return place
