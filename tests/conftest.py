"""Shapes are types, and the tests execute them: every annotated function is checked by beartype while tests run."""

import jax
import pytest
from jaxtyping import install_import_hook

hook = install_import_hook("headstart", "beartype.beartype")


@pytest.fixture(scope="module")
def quick_to_compile():
    """For what computes little: compiling it well would take longer than running it.

    Not for what learns to play board games: so compiled, XLA finds NaN for gradients that are finite.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
