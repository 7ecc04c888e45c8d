"""Shapes are types, and the tests execute them: every annotated function is checked by beartype while tests run."""

from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

hook = install_import_hook("headstart", "beartype.beartype")

MAPS, CROWDED = Path("/proc/self/maps"), 20_000


@pytest.fixture(scope="module", autouse=True)
def room_for_programs():
    """Forget compiled programs before there are too many: each maps memory, and Linux ends who has 65,530 maps."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > CROWDED:
        jax.clear_caches()


@pytest.fixture(scope="module")
def quick_to_compile():
    """For what computes little: compiling it well would take longer than running it.

    Not for what learns to play board games: so compiled, XLA finds NaN for gradients that are finite.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
