"""What the library holds, read from its source text: listing worlds and sources imports none of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import headstart

__all__ = ["heading", "sources", "worlds"]

ROOT = Path(headstart.__file__).parent


def worlds() -> dict[str, str]:
    """Every public world, and the first line of its docstring."""
    return dict(_classes(("AbstractWorld", "AbstractTwoPlayerWorld", "AbstractGoalWorld")))


def sources() -> dict[str, str]:
    """Every public source, and the first line of its docstring."""
    return dict(_classes(("AbstractSource",)))


def _classes(bases: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Classes that say in their own heading that they are one of `bases`, abstract ones left out."""
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not any(f"{base})" in text or f"{base}," in text or f"{base}[" in text for base in bases):
            continue  # parsing takes most of the time
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith(("_", "Abstract")):
                heading = {ast.unparse(base).partition("[")[0] for base in node.bases}
                if heading & set(bases):
                    yield node.name, (ast.get_docstring(node) or "").partition("\n")[0]


def heading(module: str) -> str:
    """The first line of a module's docstring, by the module's full name."""
    place = ROOT.joinpath(*module.split(".")[1:])
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
