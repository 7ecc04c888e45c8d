"""What a recipe is, and the commonest kind of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headstart.configuration import configuration

if TYPE_CHECKING:
    from headstart.core.process import AbstractProcess
    from headstart.greedy import Evaluation

__all__ = ["Recipe", "online"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """An agent in a world, ready to be trained.

    - `process`: what `train` runs.
    - `iterations`: for how long, so that it learns what it should.
    - `configuration`: what makes two runs of it the same, as JSON.
    - `observes`: what the agent may observe, in words.
    - `steps`: steps of the world in an iteration, all lanes together.
    - `chunk`, `every`: iterations per call of the compiled program, and between checkpoints.
    - `evaluate`: `(process, state, *, title, episodes, seed)`, how its trained agent is judged; `None` where only a
      study can.
    """

    process: AbstractProcess
    iterations: int
    configuration: dict[str, Any]
    observes: str
    steps: int
    chunk: int = 16
    every: int = 128
    evaluate: Callable[..., Evaluation] | None = None


def online(process: Any, iterations: int) -> Recipe:
    """A process of one learner in one world, judged by its greedy play."""
    from headstart.greedy import evaluate

    return Recipe(
        process=process,
        iterations=iterations,
        configuration={"process": configuration(process)},
        observes="what the world shows",
        steps=(process.lanes if hasattr(process, "lanes") else process.host.lanes) * process.length,
        evaluate=evaluate,
    )
