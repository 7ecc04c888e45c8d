"""How fast something goes, and how fast this machine could go at the very most, measured in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from headstart.bench.comparison import Limit

__all__ = ["flops", "matmul_limit", "rate"]

State = TypeVar("State")

SIDE = 1024


def rate(
    step: Callable[[State], tuple[State, Any]], state: State, units: Callable[[Any], float]
) -> Callable[[], float]:
    """A function that takes one step after the other, each from where the last one ended, and returns units a second.

    **Arguments:**

    - `step`: compiled; answers the next state and what `units` counts the work by. It is called once before any
      measurement, so that compilation is not part of one.
    """
    state = jax.block_until_ready(step(state))[0]

    def measure() -> float:
        nonlocal state
        begun = time.perf_counter()
        state, done = jax.block_until_ready(step(state))
        return units(done) / (time.perf_counter() - begun)

    return measure


@cache
def flops() -> float:
    """Floating-point operations per second in float32 products of 1024 by 1024 matrices: the best of ten."""
    square = jax.random.normal(jax.random.key(0), (SIDE, SIDE), jnp.float32)
    product = jax.jit(lambda left: (left, left @ left))
    measure = rate(product, square, lambda _: 2.0 * SIDE**3)
    return max(measure() for _ in range(10))


def matmul_limit(per_unit: float, unit: str) -> Limit:
    """How many units a second the matrix products alone would allow, if one of them takes `per_unit` FLOP."""
    found = flops()
    words = f"float32 products of 1024 by 1024 give {found / 1e9:,.0f} GFLOP/s, and one {unit} takes {per_unit:,.0f}"
    return Limit(found / per_unit, f"{words} FLOP")
