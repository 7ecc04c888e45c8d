"""One `scan` for carries that hold Equinox modules: their activation functions are leaves that `lax.scan` refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree

__all__ = ["scan"]


def scan(body: Callable[[Any, Any], tuple[Any, Any]], carry: PyTree, xs: PyTree, length: int | None = None):
    """`jax.lax.scan`, with whatever is not an array in the carry held aside as a constant."""
    arrays, static = eqx.partition(carry, eqx.is_array)

    def step(arrays, x):
        carry, y = body(eqx.combine(arrays, static), x)
        return eqx.filter(carry, eqx.is_array), y

    arrays, ys = jax.lax.scan(step, arrays, xs, length)
    return eqx.combine(arrays, static), ys
