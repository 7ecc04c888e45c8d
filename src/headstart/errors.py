"""What can go wrong for a user: one sentence that names the thing and the mend, and an exit code for the command line.

Anything else that escapes is a bug of ours, shown with its traceback and exit code 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "BadData",
    "CannotResume",
    "HeadstartError",
    "Interrupted",
    "MissingExtra",
    "NumericalStop",
    "StorageError",
    "UsageError",
    "require",
    "unknown",
]


class HeadstartError(Exception):
    """A mistake that the user can mend. The message is the whole of what they see."""

    exit_code: ClassVar[int] = 1


class UsageError(HeadstartError):
    """An unknown option, recipe, study or key; a value out of range; a run directory in use."""

    exit_code = 2


class BadData(HeadstartError):
    """Input data or an environment is at fault: rules that contradict, demonstrations that do not fit, NaN rewards."""

    exit_code = 3


class CannotResume(HeadstartError):
    """What is stored does not match what was asked for."""

    exit_code = 4


class StorageError(HeadstartError):
    """A disk is full, or no checkpoint is intact."""

    exit_code = 5


class NumericalStop(HeadstartError):
    """Losses or gradients stayed non-finite although the data were finite."""

    exit_code = 6


class Interrupted(HeadstartError):
    """Asked to stop, and stopped in good order: the same command goes on. 75 for SIGTERM, 130 for Ctrl-C."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


class MissingExtra(UsageError):
    """An optional package is not installed."""


def require(module: str, extra: str):
    """Import an optional module, or say which install line mends its absence.

    **Arguments:**

    - `module`: the module to import, such as `"gymnasium"`.
    - `extra`: the extra of this package that brings it, such as `"gymnasium"`.

    **Raises:** `MissingExtra` naming the module and the install line.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module} is not available ({error}); install it with:  pip install 'headstart-rl[{extra}]'"
        ) from error


def unknown(kind: str, name: str, choices: Iterable[str]) -> UsageError:
    """The error for a name that is none of the `choices`: it names the nearest, or all where none is near.

    **Arguments:**

    - `kind`: what is named, such as `"recipe"`.
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1)
    shown = name if len(name) <= 60 else f"{name[:57]}..."
    return UsageError(
        f"there is no {kind} {shown!r}; "
        + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none yet'}.")
    )
