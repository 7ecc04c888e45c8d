"""A compiled function that can be compiled ahead of its first call, while there is other work to do.

Tracing needs Python, but compiling, which takes longer, only a core: environments can be made and stepped meanwhile. It
works because JAX remembers what it lowered and compiled by the shapes and types of the arguments, whoever asked for it.

XLA compiles one program after another on the threads it has, and the smallest waits for the largest. So there are two
moments: `prepare` traces, and `compile` is for when nothing small is left to compile.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import equinox as eqx

__all__ = ["Ahead"]


class Ahead:
    """`eqx.filter_jit` of a function, with `prepare` and `compile`.

    **Arguments:**

    - `function`: what to compile.
    """

    def __init__(self, function: Callable[..., Any]):
        self._function: Any = eqx.filter_jit(function)
        self._under_way: list[tuple[threading.Thread, threading.Event]] = []

    def prepare(self, like: Callable[[], tuple[Any, ...]]) -> None:
        """Start to trace for arguments like those that `like` makes: leaves of their shapes and types will do.

        What goes wrong is kept quiet here: it goes wrong again in the call, where somebody looks for it.
        """
        due = threading.Event()

        def work() -> None:
            with contextlib.suppress(Exception):
                lowered = self._function.lower(*like())
                due.wait()
                lowered.compile()

        thread = threading.Thread(target=work, daemon=True)
        self._under_way.append((thread, due))
        thread.start()

    def compile(self) -> None:
        """Let what is prepared be compiled, now that other programs have been."""
        for _, due in self._under_way:
            due.set()

    def wait(self) -> None:
        """Until nothing is under way."""
        self.compile()
        while self._under_way:
            self._under_way.pop()[0].join()

    def __call__(self, *arguments: Any) -> Any:
        """The function's answer, once all that is under way is done: to compile twice would take longer."""
        self.wait()
        return self._function(*arguments)
