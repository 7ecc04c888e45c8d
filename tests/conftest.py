"""Shapes are types, and the tests execute them: every annotated function is checked by beartype while tests run."""

from jaxtyping import install_import_hook

hook = install_import_hook("headstart", "beartype.beartype")
