"""Environments in processes of their own: one that hangs or dies is named, and none is left behind."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import signal
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any

from headstart.errors import require

__all__ = ["lost", "muted", "stop", "time_limit"]


def time_limit(vector: Any, seconds: float) -> None:
    """Let every step and reset of an `AsyncVectorEnv` give up after so long; of itself it waits for ever."""
    vector.step_wait = functools.partial(vector.step_wait, seconds)
    vector.reset_wait = functools.partial(vector.reset_wait, seconds)


def lost(vector: Any, error: Exception, seconds: float) -> dict[int, str]:
    """What became of each lane that no longer answers, after an `AsyncVectorEnv` raised `error`."""
    if isinstance(error, multiprocessing.TimeoutError):
        hung = [lane for lane, pipe in enumerate(vector.parent_pipes) if not pipe.poll(0)]
        return dict.fromkeys(hung, f"gave no answer within {seconds:g} s")
    if not isinstance(error, EOFError | ConnectionError):
        return {}
    wait([process.sentinel for process in vector.processes], timeout=5.0)
    # The pipe of a worker that told of its own error is None; that error is the one to show.
    return {
        lane: f"lost its process ({_ending(process.exitcode)})"
        for lane, process in enumerate(vector.processes)
        if process.exitcode is not None and vector.parent_pipes[lane] is not None
    }


def stop(vector: Any) -> None:
    """End all processes of an `AsyncVectorEnv` at once. Its own `close` would wait for one that hangs."""
    if vector.closed:
        return
    vector.closed = True
    for process in vector.processes:
        process.kill()
    for process in vector.processes:
        process.join()
    for pipe in vector.parent_pipes:
        if pipe is not None:
            pipe.close()


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Keeps Gymnasium from logging a worker's traceback: it formats it with %, and fails on any % that is in it."""
    logger = require("gymnasium.logger", "gymnasium")
    level, logger.min_level = logger.min_level, logger.ERROR + 1
    try:
        yield
    finally:
        logger.min_level = level


def _ending(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"exit {code}, {signal.Signals(-code).name}"
    return f"exit {code}"
