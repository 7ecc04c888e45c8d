"""Gymnasium's spaces as vectors of numbers: which can be, how, and what is wrong with a value that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.errors import BadData, UsageError, require

__all__ = ["GOALS", "encode", "encoded", "goal_fault", "leaves", "mismatch", "pick"]

GOALS = {"observation", "achieved_goal", "desired_goal"}


def leaves(space: Any, name: str = "observation") -> list[tuple[str, Any]]:
    """The leaf spaces with their paths. **Raises:** `UsageError` naming a leaf that cannot become numbers."""
    spaces = require("gymnasium.spaces", "gymnasium")
    if isinstance(space, spaces.Dict):
        return [leaf for key, part in space.spaces.items() for leaf in leaves(part, f"{name}[{key!r}]")]
    if isinstance(space, spaces.Tuple):
        return [leaf for index, part in enumerate(space.spaces) for leaf in leaves(part, f"{name}[{index}]")]
    if not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiBinary):
        raise UsageError(
            f"{name} is a {type(space).__name__} space, which cannot become a vector; only Box, Discrete, MultiBinary "
            "and Dict or Tuple of these can"
        )
    return [(name, space)]


def pick(value: Any, space: Any, name: str = "observation") -> list[tuple[str, Any]]:
    """The values at the leaves, as `leaves` orders them. **Raises:** `BadData` where the structure differs."""
    spaces = require("gymnasium.spaces", "gymnasium")
    if isinstance(space, spaces.Dict):
        if not isinstance(value, dict) or set(value) != set(space.spaces):
            got = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise BadData(f"{name} should be a dict of {sorted(space.spaces)}, and is {got}")
        return [leaf for key, part in space.spaces.items() for leaf in pick(value[key], part, f"{name}[{key!r}]")]
    if isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            raise BadData(f"{name} should be a tuple of {len(space.spaces)}, and is {value!r:.80}")
        pairs = enumerate(zip(value, space.spaces, strict=True))
        return [leaf for index, (inner, part) in pairs for leaf in pick(inner, part, f"{name}[{index}]")]
    return [(name, value)]


def mismatch(name: str, value: Any, space: Any) -> str | None:
    """What is wrong with the shape or type of a value at a leaf, or `None`."""
    array = np.asarray(value)
    if array.shape != space.shape:
        return f"{name} has shape {array.shape} where its space has {space.shape}"
    kind = "f" if np.issubdtype(space.dtype, np.floating) else "iub"
    if array.dtype.kind not in kind:
        return f"{name} has dtype {array.dtype} where its space has {space.dtype}"
    return None


def encoded(space: Any, name: str) -> Any:
    """The `Box` of `float32` that `encode` maps a space to."""
    spaces = require("gymnasium.spaces", "gymnasium")
    found = leaves(space, name)
    shape = space.shape if isinstance(space, spaces.Box) else (sum(spaces.flatdim(leaf) for _, leaf in found),)
    return spaces.Box(-np.inf, np.inf, shape, np.float32)


def encode(value: Any, space: Any, name: str) -> np.ndarray:
    """A value as `float32`. **Raises:** `BadData` naming what differs from the space."""
    spaces = require("gymnasium.spaces", "gymnasium")
    parts = []
    for (path, inner), (_, leaf) in zip(pick(value, space, name), leaves(space, name), strict=True):
        if wrong := mismatch(path, inner, leaf):
            raise BadData(wrong)
        if isinstance(leaf, spaces.Discrete) and not leaf.contains(np.asarray(inner).astype(leaf.dtype)):
            raise BadData(f"{path} is {inner}, outside {leaf}")
        parts.append(np.asarray(inner if isinstance(space, spaces.Box) else spaces.flatten(leaf, inner), np.float32))
    return parts[0] if isinstance(space, spaces.Box) else np.concatenate([part.ravel() for part in parts])


def goal_fault(space: Any) -> str | None:
    """Why a space is none of a goal environment, or `None` if it is: a `Dict` of three, with goals of one shape."""
    spaces = require("gymnasium.spaces", "gymnasium")
    if not isinstance(space, spaces.Dict):
        return f"observations are a {type(space).__name__} and no Dict; show {', '.join(sorted(GOALS))}"
    if lacking := sorted(GOALS - set(space.spaces)):
        return f"observations lack {', '.join(lacking)}; show all three"
    for key in ("achieved_goal", "desired_goal"):
        if not isinstance(space[key], spaces.Box) or len(space[key].shape) != 1:
            return f"{key} is {space[key]}; make it one Box of one axis, flattening what it holds"
    if space["achieved_goal"].shape != space["desired_goal"].shape:
        achieved, desired = (space[key].shape for key in ("achieved_goal", "desired_goal"))
        return f"achieved_goal has shape {achieved} where desired_goal has {desired}; make them the same"
    return None
