"""What the library holds, read from its source text: listing worlds and sources imports none of them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import headstart

__all__ = ["heading", "sources", "worlds"]

ROOT = Path(headstart.__file__).parent


def worlds() -> dict[str, str]:
    """Every public world, and the first line of its docstring."""
    return _members({"AbstractWorld"})


def sources() -> dict[str, str]:
    """Every public source, and the first line of its docstring."""
    return _members({"AbstractSource"})


def _members(family: set[str]) -> dict[str, str]:
    """The classes that say in their headings that they are of a family, or of an abstract class that is."""
    classes = list(_classes())
    while more := {node.name for node, bases in classes if bases & family} - family:
        family |= more
    named = (node for node, bases in classes if bases & family and not node.name.startswith(("_", "Abstract")))
    return {node.name: (ast.get_docstring(node) or "").partition("\n")[0] for node in named}


@functools.cache
def _classes() -> tuple[tuple[ast.ClassDef, frozenset[str]], ...]:
    """Every class of the library but for the controls of studies, with the names of its bases."""
    paths = (path for path in sorted(ROOT.rglob("*.py")) if ROOT / "studies" not in path.parents)
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in paths)
    nodes = (node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    return tuple((node, frozenset(ast.unparse(base).partition("[")[0] for base in node.bases)) for node in nodes)


def heading(module: str) -> str:
    """The first line of a module's docstring, by the module's full name."""
    place = ROOT.joinpath(*module.split(".")[1:])
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
