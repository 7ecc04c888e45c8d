"""The environment that a `GymnasiumHost` steps in somebody's stead: it shows `float32` boxes and names every fault.

Imported by those who have made sure of Gymnasium. It leaves JAX alone: each worker process imports it.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from headstart.errors import BadData, UsageError
from headstart.worlds.adapters.spaces import GOALS, encode, encoded, goal_fault, pick

__all__ = ["Guard", "Guarded"]


@dataclass(frozen=True)
class Guarded:
    """Makes a `Guard`, here or in a worker process. Its arguments are those of `Guard`.

    A worker leaves Ctrl-C to the process that started it: that one finishes its chunk and needs its environments.
    """

    make: Callable[[], Any]
    index: int
    restarts: int
    home: int = field(default_factory=os.getpid)

    def __call__(self) -> Guard:
        if os.getpid() != self.home:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return Guard(self.make, self.index, self.restarts)


class Guard(gymnasium.Env):
    """An environment whose faults name its index, the episode, the step, and the line that raised.

    **Arguments:**

    - `make`: makes the environment, and makes it anew after a fault.
    - `index`: its lane.
    - `restarts`: how many faults are forgiven. Each cuts the episode short at the last moment that was shown, and is
      told of by `info["restarted"]`.
    """

    def __init__(self, make: Callable[[], Any], index: int, restarts: int):
        self.make, self.index, self.restarts = make, index, restarts
        self.episode, self.length = 0, 0
        self.environment = self._attempt(make)
        self.seen: Any = None
        self.metadata = getattr(self.environment, "metadata", {})
        self.render_mode = getattr(self.environment, "render_mode", None)
        self.action_space = self.environment.action_space
        space = self.environment.observation_space
        self.is_goal = isinstance(space, spaces.Dict) and "desired_goal" in space.spaces
        if self.is_goal and (fault := goal_fault(space)):
            raise UsageError(f"environment {index} shows a desired_goal, but {fault}")
        self.parts = {key: space[key] for key in sorted(GOALS)} if self.is_goal else {}
        shown = {key: encoded(part, key) for key, part in self.parts.items()}
        self.observation_space = spaces.Dict(shown) if self.is_goal else encoded(space, "observation")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.episode, self.length = self.episode + 1, 0
        answer = self._attempt(lambda: self.environment.reset(seed=seed, options=options))
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise BadData(f"{self._where()}: reset must return (observation, info)")
        return self._show(answer[0]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.length += 1
        try:
            answer = self._attempt(lambda: self.environment.step(action))
        except BadData:
            if not self.restarts:
                raise
            self.restarts -= 1
            self.environment = self._attempt(self.make)
            return self.seen, 0.0, False, True, {"restarted": 1}
        if not isinstance(answer, tuple) or len(answer) != 5:
            raise BadData(f"{self._where()}: step must return (observation, reward, terminated, truncated, info)")
        observation, reward, terminated, truncated, _ = answer
        if np.shape(reward) != ():
            raise BadData(f"{self._where()}: the reward has shape {np.shape(reward)}; it must be one number")
        return self._show(observation), float(reward), bool(terminated), bool(truncated), {}

    def close(self) -> None:
        self.environment.close()

    def _attempt(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1]
            raise BadData(
                f"{self._where()}: it raised {type(error).__name__}: {error} ({Path(line.filename).name}, line "
                f"{line.lineno}); mend it, or allow restarts"
            ) from error

    def _show(self, observation: Any) -> Any:
        try:
            if self.is_goal:
                pick(observation, self.environment.observation_space)
                self.seen = {key: encode(observation[key], part, key) for key, part in self.parts.items()}
            else:
                self.seen = encode(observation, self.environment.observation_space, "observation")
        except BadData as error:
            raise BadData(f"{self._where()}: {error}") from error
        return self.seen

    def _where(self) -> str:
        return f"environment {self.index}, episode {self.episode}, step {self.length}"
