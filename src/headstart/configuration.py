"""What a composition is made of, as JSON."""

from __future__ import annotations

import dataclasses
import inspect
from functools import partial
from typing import Any

__all__ = ["configuration"]


def configuration(value: Any) -> Any:
    """A composition as JSON: what it is made of and with which numbers, so that a change of any of them is noticed."""
    import equinox as eqx

    if isinstance(value, partial):
        named = {"call": configuration(value.func)} | {key: configuration(item) for key, item in value.keywords.items()}
        return named | ({"arguments": [configuration(item) for item in value.args]} if value.args else {})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: configuration(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"class": type(value).__name__} | fields
    if isinstance(value, tuple | list):
        return [configuration(item) for item in value]
    if isinstance(value, bool | int | float | str | None):
        return value
    if eqx.is_array(value):
        return value.tolist() if value.size <= 16 else f"{value.dtype}{list(value.shape)}"
    name = getattr(value, "__qualname__", type(value).__name__)
    if inspect.isfunction(value) and value.__closure__:
        # Such as a schedule of optax, which is a function that keeps its numbers to itself.
        kept = zip(value.__code__.co_freevars, value.__closure__, strict=True)
        return {"call": name} | {key: configuration(cell.cell_contents) for key, cell in kept}
    return name
