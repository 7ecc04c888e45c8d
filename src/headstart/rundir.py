"""A run directory: what was asked, by whom it is being run, what was measured, and the checkpoints.

    run.json         configuration, seed, versions, device, git commit, what the agent may observe
    LOCK             locked while a process works here; names it
    metrics.jsonl    one row per iteration
    checkpoints/     see `headstart.checkpoint`

It holds no absolute path, so it can be moved.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import platform
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import jax
import numpy as np

from headstart.errors import CannotResume, StorageError, UsageError

__all__ = ["FORMAT", "Metrics", "about", "check", "locked", "read", "write"]

FORMAT = 1
ABOUT = "run.json"
LOCK = "LOCK"
UNFINISHED = ".run.json.writing"


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Make `directory` if need be and hold its lock, after refusing one that is not ours or cannot be written to.

    The lock is the operating system's, so that of a process that died is free.

    **Raises:** `UsageError` naming what is in the way, and the process that holds the lock.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        entries = {entry.name for entry in directory.iterdir()}
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{directory} is a file, or lies below one; give the path of a directory.") from error
    except OSError as error:
        raise UsageError(f"{directory} cannot be used ({error.strerror}); give one that you may write to.") from error
    if ABOUT not in entries and entries - {LOCK, UNFINISHED}:
        raise UsageError(f"{directory} is not empty and holds no run of ours (no {ABOUT}); give a new directory.")
    try:
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(0, "permission denied")
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise UsageError(f"{directory} is not writable ({error.strerror}); give one that you may write to.") from error
    try:
        try:
            # Locks of lockf belong to one process alone: a worker that outlives its killed parent does not keep them.
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise UsageError(f"{directory} is in use by {_holder(handle)}; wait for it, or stop it first.") from error
        with contextlib.suppress(OSError):  # on a full disk the lock holds, it only names nobody
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    try:
        holder = json.loads(os.pread(handle, 1000, 0))
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def about(configuration: Mapping[str, Any], seed: int, observes: str) -> dict[str, Any]:
    """What `run.json` says of a run that begins now on this machine."""
    devices = jax.devices()
    return {
        "format": FORMAT,
        "configuration": json.loads(json.dumps(configuration)),
        "seed": seed,
        "observes": observes,
        "versions": {name: version(name) for name in ("headstart-rl", "jax", "jaxlib", "equinox", "optax", "numpy")}
        | {"python": platform.python_version()},
        "device": {
            "backend": jax.default_backend(),
            "kind": devices[0].device_kind,
            "count": len(devices),
            "machine": platform.machine(),
            "flags": os.environ.get("XLA_FLAGS", ""),
        },
        "commit": _commit(),
    }


def _commit() -> str | None:
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def read(directory: Path) -> dict[str, Any] | None:
    """The `run.json` of a directory; `None` if no run has begun there."""
    path = directory / ABOUT
    if not path.exists():
        return None
    try:
        stored = json.loads(path.read_bytes().decode("utf-8"))
        form = stored["format"]
        if not isinstance(form, int) or not isinstance(stored["versions"], dict) or "configuration" not in stored:
            raise ValueError("it misses what a run.json has")
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise UsageError(
            f"{path} cannot be read as the description of a run ({error}); give a new directory."
        ) from error
    if form > FORMAT:
        wanted = stored["versions"].get("headstart-rl")
        raise CannotResume(
            f"{path} has format {form}, and this version reads up to format {FORMAT}; install headstart-rl {wanted} "
            "or newer."
        )
    return stored


def write(directory: Path, described: dict[str, Any]) -> None:
    """Store `run.json`, all or nothing."""
    unfinished = directory / UNFINISHED
    try:
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump(described, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(directory / ABOUT)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise StorageError(f"{directory / ABOUT} could not be written ({error.strerror}); free some space.") from error


def check(
    stored: dict[str, Any], now: dict[str, Any], *, free: frozenset[str], override: bool, warn: Callable[[str], None]
) -> dict[str, Any]:
    """What `run.json` should say if the run `stored` goes on as `now`: itself, unless something changed.

    **Arguments:**

    - `free`: top-level configuration keys that may change at will.
    - `override`: accept any change of configuration, and record it.

    **Raises:** `CannotResume` with the difference, if the configuration or the seed is another.
    """
    old, new = _flat(_asked(stored)), _flat(_asked(now))
    changes: dict[str, Any] = {
        key: [old.get(key), new.get(key)] for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)
    }
    bound = {key: change for key, change in changes.items() if key.split(".")[0] not in free}
    if bound and not override:
        lines = [f"  {key}: {before} -> {after}" for key, (before, after) in bound.items()]
        raise CannotResume(
            "\n".join(["the run has another configuration; give that again, or a new directory:", *lines])
        )
    for what in ("versions", "device"):
        before, after = _flat(stored.get(what, {})), _flat(now[what])
        moved = [f"{key} {before.get(key)} -> {value}" for key, value in after.items() if before.get(key) != value]
        if moved:
            changes[what] = moved
            warn(f"resumed with other {what} ({', '.join(moved)}): no longer bit-exact.")
    if not changes:
        return stored
    return now | {"history": [*stored.get("history", []), {"changes": changes, "overridden": sorted(bound)}]}


def _asked(described: dict[str, Any]) -> dict[str, Any]:
    return {**described["configuration"], "seed": described.get("seed")}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat


class Metrics:
    """`metrics.jsonl`, one row per iteration: `{"iteration": 7, "ppo/loss": 0.31}`; what is not finite is `null`.

    A row that cannot be written is dropped and counted: a full disk costs rows, never the run.
    """

    def __init__(self, directory: Path, done: int, warn: Callable[[str], None]):
        """Open the file, and cut it after iteration `done`: what lies behind will be computed again."""
        self.path, self.dropped, self._warn = directory / "metrics.jsonl", 0, warn
        try:
            self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 (closed by `close`)
            self._end = _end(self._file, done)
            self._file.truncate(self._end)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written ({error.strerror}).") from error

    def add(self, done: int, metrics: Mapping[str, np.ndarray]) -> None:
        """The rows of a chunk that ended at iteration `done`; metrics are `[chunk]`."""
        count = len(next(iter(metrics.values()))) if metrics else 0
        rows = [
            {"iteration": done - count + 1 + row} | {name: _number(values[row]) for name, values in metrics.items()}
            for row in range(count)
        ]
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(0, "no space left for a whole row")
            self._end += len(data)
        except OSError as error:
            if not self.dropped:
                self._warn(f"{self.path} cannot be written ({error.strerror}); rows are dropped, training goes on.")
            self.dropped += count
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)

    def sync(self) -> None:
        """Before a checkpoint: no step may be stored whose rows could still be lost."""
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _end(file: IO[bytes], done: int) -> int:
    """Where the rows up to iteration `done` end. A torn or foreign row ends them too."""
    file.seek(0)
    end = 0
    for line in file:
        try:
            if not line.endswith(b"\n") or json.loads(line)["iteration"] > done:
                break
        except (ValueError, KeyError, TypeError):
            break
        end += len(line)
    return end


def _number(value: np.generic | np.ndarray) -> float | int | bool | None:
    plain = np.asarray(value).item()
    return plain if math.isfinite(plain) else None
