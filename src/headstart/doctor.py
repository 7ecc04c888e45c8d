"""Whether this machine is fit to work, and how to mend it where it is not."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from headstart.machine import CUDA, cache_directory, idle_gpu, unusable

__all__ = ["Row", "examine"]

PROJECT = "headstart-rl"
UNTOLD = frozenset({"dev", "docs", "test"})  # extras for those who build this library
LITTLE = 2.0  # GiB of memory, below which larger recipes will not fit


class Row(NamedTuple):
    """One thing that was looked at: what it is, how it is, what would mend or better it, and whether it is wrong."""

    what: str
    is_so: str
    mend: str = ""
    wrong: bool = False


def examine() -> list[Row]:
    """Look at everything; never raises for what it finds."""
    return [*_versions(), *_backend(), *_memory(), _cache(), *_extras()]


def _versions() -> Iterator[Row]:
    yield Row("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    try:
        yield Row("headstart", metadata.version(PROJECT))
    except metadata.PackageNotFoundError:
        yield Row("headstart", "not installed", "pip install .", wrong=True)
    for name, least, extra in _requirements():
        if not extra:
            yield _package(name, least, f"pip install --upgrade '{name}>={least}'", missing_is_wrong=True)


def _extras() -> Iterator[Row]:
    """One row for each package of each extra: there, too old, or how to get it."""
    for name, least, extra in _requirements():
        if extra and extra not in UNTOLD:
            row = _package(name, least, f"pip install '{PROJECT}[{extra}]'", missing_is_wrong=False)
            yield row._replace(is_so=f"{row.is_so} (extra {extra})")


def _requirements() -> Iterator[tuple[str, str, str]]:
    """Name, least version and extra (or nothing) of each requirement in the installed metadata."""
    try:
        lines = metadata.requires(PROJECT) or []
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        if found := re.fullmatch(r"([\w.-]+)>=([\d.]+)(?:\s*;\s*extra == ['\"]([\w-]+)['\"])?", line):
            yield found[1], found[2], found[3] or ""


def _package(name: str, least: str, mend: str, *, missing_is_wrong: bool) -> Row:
    try:
        present = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Row(name, "not installed", mend, wrong=missing_is_wrong)
    if _numbers(present) < _numbers(least):
        return Row(name, f"{present} is older than {least}", mend, wrong=True)
    return Row(name, present)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _backend() -> Iterator[Row]:
    try:
        import jax

        devices = jax.devices()
    except Exception as error:  # whatever keeps JAX from starting is what the reader came for
        yield Row(
            "backend", f"JAX does not start ({error})", "pip install --upgrade jax; unset JAX_PLATFORMS", wrong=True
        )
        return
    yield Row("backend", f"{jax.default_backend()}: {len(devices)} x {devices[0].device_kind}, {os.cpu_count()} cores")
    if idle_gpu():
        yield Row("gpu", "THERE IS AN NVIDIA GPU, AND IT STAYS IDLE: this JAX is for the CPU alone", CUDA, wrong=True)
    if jax.default_backend() != "cpu" and (told := devices[0].memory_stats()):
        yield Row("gpu memory", f"{told['bytes_limit'] / 2**30:.1f} GiB that JAX may take")


def _memory() -> Iterator[Row]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    sizes = {name: int(rest.split()[0]) / 2**20 for name, _, rest in (line.partition(":") for line in lines)}
    total, left = sizes["MemTotal"], sizes["MemAvailable"]
    mend = "close other programs, or use fewer lanes" if left < LITTLE else ""
    yield Row("memory", f"{left:.1f} of {total:.1f} GiB available", mend)


def _cache() -> Row:
    directory = cache_directory()
    reason = "there is no home directory" if directory is None else unusable(directory)
    if reason:
        return Row("cache", f"compiled programs are not kept ({reason})", "set XDG_CACHE_HOME to a place for them")
    return Row("cache", f"compiled programs are kept in {directory}")
