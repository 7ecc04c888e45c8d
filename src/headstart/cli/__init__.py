"""The command line: `headstart VERB ...`.

A verb is a frozen dataclass: its fields are the options, its docstring is the help, and calling it does the work and
returns the exit code. Whatever is heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import operator
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

from headstart import __version__
from headstart.cli.claims import Bench, Study
from headstart.cli.facts import CheckEnv, Cite, Doctor, List
from headstart.cli.runs import Evaluate, NewGame, Train
from headstart.errors import HeadstartError, UsageError, unknown

__all__ = ["VERBS", "main"]

VERBS: dict[str, Any] = {
    "newgame": NewGame,
    "train": Train,
    "evaluate": Evaluate,
    "study": Study,
    "bench": Bench,
    "list": List,
    "cite": Cite,
    "check-env": CheckEnv,
    "doctor": Doctor,
}

ABOUT = """Reinforcement learning that does not start from scratch.

Begin with  headstart newgame  (an agent meets a new board game), or  headstart list  (what there is).

Each verb explains itself:  headstart train --help"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 does not hold, or as in `headstart.errors`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a locale may not be able to show what we say
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _parse(list(sys.argv[1:] if arguments is None else arguments))()
        sys.stdout.flush()
        return code
    except HeadstartError as error:
        print(f"headstart: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("headstart: stopped by Ctrl-C.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has had enough; nor may the flush at exit complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parse(arguments: list[str]) -> Callable[[], int]:
    """The verb with its options, ready to be called."""
    verb, *rest = arguments or ["--help"]
    if verb in ("-h", "--help"):
        _help()
    if verb == "--version":
        return lambda: print(f"headstart {__version__}") or 0
    if verb not in VERBS:
        raise unknown("option" if verb.startswith("-") else "verb", verb, VERBS)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed, left = tyro.cli(
                VERBS[verb],
                prog=f"headstart {verb}",
                args=rest,
                return_unknown_args=True,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as stop:
        if not stop.code:  # it was asked for help
            raise
        raise UsageError(f"{_sentence(said.getvalue())}; see  headstart {verb} --help") from None
    if left:
        options = {f"--{field.name.rstrip('_').replace('_', '-')}" for field in dataclasses.fields(VERBS[verb])}
        option = left[0].partition("=")[0]
        if option.startswith("-"):
            raise unknown(f"option of {verb}", option, options)
        raise UsageError(f"{verb} does not know what to do with {option!r}; see  headstart {verb} --help")
    return parsed


def _help() -> None:
    """Every verb with the first line of its docstring; leaves by `SystemExit`."""
    lines = {name: (verb.__doc__ or "").partition("\n")[0] for name, verb in VERBS.items()}
    verbs = (Annotated[VERBS[name], tyro.conf.subcommand(name, description=line)] for name, line in lines.items())
    either: Any = functools.reduce(operator.or_, verbs)
    tyro.cli(either, prog="headstart", description=ABOUT, args=["--help"])


def _sentence(box: str) -> str:
    """What tyro says in its box, up to the rule below it, as one sentence."""
    lines = (line.strip("│ ") for line in box.splitlines()[1:-1])
    words = []
    for line in lines:
        if line.startswith("──"):
            break
        words.append(line)
    return re.sub(r"\s+", " ", " ".join(words)).rstrip(" .")
