"""When memory runs out: what takes it, and what to lower."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import numpy as np

from headstart.core.process import AbstractProcess, ProcessState

__all__ = ["largest", "ran_out", "told"]

LOWERED = ("lanes", "length", "capacity")
"""The settings that memory is proportional to, wherever a process or its learner has them."""


def ran_out(error: Exception) -> bool:
    """Whether it says that memory, the device's or the host's, was not enough."""
    exhausted = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return exhausted or isinstance(error, MemoryError)


def largest(tree: Any, count: int = 3) -> list[str]:
    """The largest arrays of a pytree, or of its shapes alone, each with its path, shape, type and size."""
    found = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct | np.ndarray):
            size = math.prod(leaf.shape) * leaf.dtype.itemsize
            shape = "×".join(map(str, leaf.shape)) or "scalar"
            found.append((size, f"{jax.tree_util.keystr(path).lstrip('.')} {shape} {leaf.dtype} ({_readable(size)})"))
    return [line for _, line in sorted(found, key=lambda pair: -pair[0])[:count]]


def told(error: Exception, process: AbstractProcess, state: ProcessState | None) -> str:
    """One sentence on memory that was not enough for a process.

    **Arguments:**

    - `state`: the last one there was. Of a compiled process the shapes are found without it, and without memory.
    """
    if process.compiled:
        state = eqx.filter_eval_shape(process.init, key=jax.random.key(0))
    reason = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
    arrays = f"; the largest arrays of the state are {', '.join(largest(state))}" if largest(state) else ""
    settings = ", ".join(f"{name} ({value:,})" for name, value in _settings(process).items())
    return f"memory ran out ({reason}){arrays}; lower {settings or 'its sizes'} in a new run, or free memory and go on."


def _settings(part: Any) -> dict[str, int]:
    found = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.name in LOWERED and isinstance(value, int):
            found[field.name] = value
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            found |= _settings(value)
    return found


def _readable(size: int) -> str:
    power = min(max(size.bit_length() - 1, 0) // 10, 6)
    return f"{size / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB')[power]}"
