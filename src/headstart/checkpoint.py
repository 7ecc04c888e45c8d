"""Checkpoints: the arrays of any pytree in safetensors, and a manifest that vouches for every byte of them.

    checkpoints/640/state.safetensors    the arrays, named by their path in the pytree: ".learner.network.bias"
    checkpoints/640/manifest.json        names, types and shapes; size and SHA-256 of each file, and of the manifest

A step is written beside its place, synced and renamed into it: a step that can be seen is complete, whenever the
process dies. A step that does not verify is put aside as `640.corrupt`, and the one before it serves. Nothing is ever
unpickled, no file outside the step's own folder is opened, and nothing larger than the expected arrays is read.

What is not an array (activation functions, Python numbers) is not stored: it comes from `like`, the pytree that the
caller builds anew from the configuration.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from headstart.errors import StorageError, UsageError
from headstart.storage import Damaged, parse, read_folder, to_json, write_folder

__all__ = ["clean", "export", "load_export", "present", "restore", "save", "steps"]

STATE = "state.safetensors"
POLICY = "policy.safetensors"
CONFIG = "config.json"


def save(directory: str | Path, step: int, state: PyTree, *, keep: int = 2) -> Path:
    """Store the arrays of `state` as `directory/<step>`, then delete all but the newest `keep` steps.

    One process at a time may write to a directory (a run's lock sees to that).

    **Arguments:**

    - `step`: 0 or more; a step that is already there is refused.
    - `keep`: at least 2, so that a damaged newest step has one to fall back to.

    **Raises:** `StorageError` if it cannot be written: what was there is untouched and nothing half-written stays.
    """
    if keep < 2:
        raise UsageError(f"keep = {keep} checkpoints: at least 2 are needed, so that one damaged file loses no run.")
    directory = Path(directory)
    place = directory / str(step)
    if place.exists():
        raise UsageError(f"{place} exists already; a checkpoint is never overwritten.")
    write_folder(place, STATE, state, {"step": int(step)}, {})
    for old in steps(directory)[:-keep]:
        doomed = directory / f".doomed-{old}"  # renamed first: a half-deleted step must not look like one
        (directory / str(old)).rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    return place


def restore(directory: str | Path, like: PyTree, *, warn: Callable[[str], None] = warnings.warn) -> tuple[int, PyTree]:
    """The newest intact step of `directory` and its state.

    **Arguments:**

    - `like`: a pytree of the same structure, with arrays or `jax.ShapeDtypeStruct`s; gives whatever is not an array.
    - `warn`: told, in one sentence, of every damaged step that was put aside.

    **Raises:** `CannotResume` naming every leaf that differs in presence, shape or type; `StorageError` if no step is
    intact.
    """
    directory = Path(directory)
    for step in reversed(steps(directory)):
        place = directory / str(step)
        try:
            return step, read_folder(place, STATE, like, {"step": step})[0]
        except Damaged as error:
            aside = _put_aside(place)
            warn(f"{error}; put aside as {aside.name}, falling back to the step before.")
    raise StorageError(
        f"{directory} holds no intact checkpoint; restore the files from a copy, or delete the run and start it again."
    )


def steps(directory: str | Path) -> list[int]:
    """The steps in a directory, oldest first, verified or not."""
    directory = Path(directory)
    if not directory.is_dir():
        return []
    entries = (entry for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False))
    return sorted(int(entry.name) for entry in entries if re.fullmatch("0|[1-9][0-9]{0,17}", entry.name))


def present(directory: str | Path) -> bool:
    """Whether a directory holds any checkpoint at all, intact or put aside."""
    return bool(steps(directory)) or any(Path(directory).glob("*.corrupt*"))


def clean(directory: str | Path) -> None:
    """Remove what a process that died while saving or deleting has left. Only for whoever holds the run's lock."""
    for pattern in (".writing-*", ".doomed-*"):
        for path in Path(directory).glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def export(path: str | Path, tree: PyTree, metadata: Mapping[str, Any]) -> Path:
    """Store a policy as a folder of its own: `policy.safetensors`, `config.json` (the metadata) and a manifest."""
    path = Path(path)
    if path.exists():
        raise UsageError(f"{path} exists already; export to another path, or remove it first.")
    write_folder(path, POLICY, tree, {}, {CONFIG: to_json(metadata)})
    return path


def load_export(path: str | Path, like: PyTree) -> tuple[PyTree, dict[str, Any]]:
    """An exported policy and its metadata, with every file verified; `like` as in `restore`.

    **Raises:** `CannotResume` if it is of another architecture, `StorageError` if it is damaged or absent.
    """
    path = Path(path)
    try:
        tree, files = read_folder(path, POLICY, like, {}, also=(CONFIG,))
        return tree, parse(files[CONFIG], path / CONFIG)
    except Damaged as error:
        raise StorageError(f"{error}; fetch {path} again.") from error


def _put_aside(place: Path) -> Path:
    aside, count = place.with_name(f"{place.name}.corrupt"), 1
    while aside.exists():
        aside, count = place.with_name(f"{place.name}.corrupt-{count}"), count + 1
    try:
        place.rename(aside)
    except OSError:  # a read-only directory, or another process was first: falling back is what matters
        return place
    return aside
