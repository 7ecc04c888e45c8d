"""Gymnasium environments as a host for `headstart.core.hosted.Hosted`.

`gymnasium_host("CartPole-v1", 8)` guards every environment (see `guard.Guard`) and steps eight of them, here or in
processes of their own; `GymnasiumHost(vector)` takes a vector environment of one's own.

Observations become `float32`: a `Box` keeps its shape; a `Dict`, `Tuple`, `Discrete` or `MultiBinary` is flattened into
one vector, with discrete parts one-hot. Of a goal environment (`observation`, `achieved_goal`, `desired_goal`) the
desired goal becomes `Percept.goal`, and the achieved goal is shown after the rest of the observation, where
`headstart.worlds.adapters.goals` finds it. Agents act in [−1, 1]; the environment sees its own bounds.

**Autoreset** is read from the vector's `metadata["autoreset_mode"]`. Under `SAME_STEP` the true successor is
`info["final_obs"]`; under `DISABLED` the lanes that ended are reset at once by `options["reset_mask"]`. Gymnasium's own
vectors under `NEXT_STEP` are told the same and then spend no step on it; any other is refused. So no step is ever spent
on a reset, and none can be trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from headstart.core.hosted import AbstractHost, Answer, Sight
from headstart.core.world import Box, Discrete
from headstart.errors import BadData, UsageError, require
from headstart.worlds.adapters import workers
from headstart.worlds.adapters.spaces import goal_fault

__all__ = ["GymnasiumHost", "actions_of", "gymnasium_host", "maker"]


def maker(target: Any) -> Callable[[], Any]:
    """A function that makes a fresh environment, from a Gymnasium id, a class or a callable.

    **Raises:** `UsageError` when the id is unknown or the target is none of these.
    """
    gymnasium = require("gymnasium", "gymnasium")
    if isinstance(target, str):
        if target.startswith(ROBOTICS) and target not in gymnasium.registry:
            gymnasium.register_envs(require("gymnasium_robotics", "robotics"))
        try:
            gymnasium.spec(target)
        except gymnasium.error.Error as error:
            raise UsageError(f"gymnasium does not know {target!r}: {error}") from error
        return lambda: gymnasium.make(target)
    if not callable(target):
        raise UsageError(
            f"{target!r} makes no environment; give a Gymnasium id, a class or a function without arguments"
        )
    return target


def gymnasium_host(
    target: Any, lanes: int, *, restarts: int = 0, processes: bool = False, timeout: float = 60.0
) -> GymnasiumHost:
    """`lanes` guarded copies of an environment, stepped one after another, or each in a process of its own.

    **Arguments:**

    - `target`: a Gymnasium id, a class or a callable without arguments.
    - `restarts`: how many times a lane's environment that raises is made anew. Its episode is then cut short at the
      last moment it showed, and the restart is counted in `host/restarts`.
    - `processes`: slower for quick environments, but it tells of one that hangs or takes its process with it. They are
      started afresh, not forked, so a script must start them below `if __name__ == "__main__":`.
    - `timeout`: seconds after which an environment in a process of its own is given up.

    **Raises:** `BadData` when it cannot be made.
    """
    vector = require("gymnasium.vector", "gymnasium")
    from headstart.worlds.adapters.guard import Guarded

    make = maker(target)
    guards = [Guarded(make, index, restarts) for index in range(lanes)]
    mode = vector.AutoresetMode.DISABLED
    if not processes:
        return GymnasiumHost(vector.SyncVectorEnv(guards, autoreset_mode=mode))
    try:
        # A fork would copy JAX's locks without the threads that hold them.
        return GymnasiumHost(vector.AsyncVectorEnv(guards, context="forkserver", autoreset_mode=mode), timeout=timeout)
    except (EOFError, ConnectionError) as error:
        raise BadData(
            "an environment lost its process before its first step; what it wrote to stderr says why"
        ) from error


ROBOTICS = ("Fetch", "PointMaze", "AntMaze", "HandReach", "HandManipulate", "AdroitHand", "FrankaKitchen")
"""How the ids begin that Gymnasium-Robotics has: it is imported when one is asked for."""


class GymnasiumHost(AbstractHost):
    """A `gymnasium.vector.VectorEnv` as a host.

    **Arguments:**

    - `timeout`: seconds after which an environment of an `AsyncVectorEnv` that gives no answer is given up. Those of
      other vectors cannot be interrupted.

    **Raises:** `UsageError` for spaces that no network takes, naming the leaf, and for a vector that can neither say
    how its episodes ended nor reset single lanes.
    """

    def __init__(self, vector: Any, *, timeout: float = 60.0):
        self._mode = _mode(vector)
        self.vector, self.lanes = vector, vector.num_envs
        self._timeout = timeout
        self._workers = vector.unwrapped if _is_async(vector) else None
        if self._workers is not None:
            workers.time_limit(self._workers, timeout)
        self.sight = _first_sight(vector.single_observation_space)
        self.actions, self._to_environment = actions_of(vector.single_action_space)
        self._episodes = np.zeros(self.lanes, int)
        self._lengths = np.zeros(self.lanes, int)
        self._restarts = 0

    def begin(self, seed: int) -> Sight:
        self._episodes += 1
        self._lengths[:] = 0
        observation = self._call(lambda: self.vector.reset(seed=seed))[0]
        self.clock = 0
        return self._sight(observation)

    def step(self, action: Any) -> Answer:
        self._lengths += 1
        inside = self._to_environment(action)
        observation, reward, terminated, truncated, info = self._call(lambda: self.vector.step(inside))
        self.clock += 1
        self._restarts += int(np.sum(info.get("restarted", 0)))
        reward = np.asarray(reward, np.float32)
        self._refuse_non_finite("reward", reward)
        terminated = np.asarray(terminated, bool)
        last = terminated | np.asarray(truncated, bool)
        if self._mode == "SameStep":
            after, now = self._sight(_final(observation, info, last)), self._sight(observation)
        else:
            after = self._sight(observation)
            now = self._renewed(after, last) if last.any() else after
        self._episodes += last
        self._lengths[last] = 0
        return Answer(reward, np.where(terminated, 0.0, 1.0).astype(np.float32), last, after, now)

    def metrics(self) -> dict[str, float]:
        return {"host/restarts": float(self._restarts)}

    def _renewed(self, after: Sight, last: np.ndarray) -> Sight:
        """Where the lanes stand once those that ended, and no others, are reset."""
        now = self._sight(self._call(lambda: self.vector.reset(options={"reset_mask": last.copy()}))[0])
        parts = [(after.observation, now.observation)]
        parts += [] if after.goal is None else [(after.goal, now.goal)]
        for was, stands in parts:
            if not np.array_equal(was[~last], stands[~last]):
                raise BadData(
                    f"{type(self.vector).__name__} resets lanes whose episodes go on; let reset heed "
                    "options['reset_mask'], or declare AutoresetMode.SAME_STEP and give info['final_obs']"
                )
        return now

    def _call(self, call: Callable[[], Any]) -> Any:
        try:
            with workers.muted():
                return call()
        except Exception as error:
            fates = {} if self._workers is None else workers.lost(self._workers, error, self._timeout)
            if self._workers is not None:
                workers.stop(self._workers)
            if isinstance(error, BadData):
                raise
            if fates:
                lines = [f"{self._where(lane)}: it {fate}" for lane, fate in fates.items()]
                raise BadData(f"{'; '.join(lines)}; mend it, or start fewer side by side") from error
            raise BadData(
                f"the vector of environments failed after {max(self.clock, 0)} steps: "
                f"{type(error).__name__}: {error}; mend the environment, or make it with gymnasium_host, which names it"
            ) from error

    def _sight(self, observation: Any) -> Sight:
        goal = None
        if isinstance(observation, dict):
            goal, achieved = (np.array(observation[key], np.float32) for key in ("desired_goal", "achieved_goal"))
            self._refuse_non_finite("desired_goal", goal)
            self._refuse_non_finite("achieved_goal", achieved)
            seen = np.array(observation["observation"], np.float32)
            observation = np.concatenate([seen.reshape(self.lanes, -1), achieved], axis=-1)
        observation = np.array(observation, np.float32)
        self._refuse_non_finite("observation", observation)
        return Sight(observation, goal)

    def _refuse_non_finite(self, field: str, values: np.ndarray) -> None:
        bad = ~np.isfinite(values)
        if bad.any():
            place = tuple(int(index) for index in np.argwhere(bad)[0])
            inside = f"[{', '.join(map(str, place[1:]))}]" if place[1:] else ""
            raise BadData(f"{self._where(place[0])}: {field}{inside} is {values[place]}; it must be finite")

    def _where(self, lane: int) -> str:
        return f"environment {lane}, episode {self._episodes[lane]}, step {self._lengths[lane]}"


def _is_async(vector: Any) -> bool:
    return isinstance(vector.unwrapped, require("gymnasium.vector", "gymnasium").AsyncVectorEnv)


def _mode(vector: Any) -> str:
    """How a vector resets lanes that ended. **Raises:** `UsageError` for a way in which steps are spent on it."""
    gymnasium = require("gymnasium.vector", "gymnasium")
    if not isinstance(vector, gymnasium.VectorEnv):
        raise UsageError(
            f"{type(vector).__name__} is no gymnasium.vector.VectorEnv; give what makes it to gymnasium_host"
        )
    told = (vector.metadata or {}).get("autoreset_mode")
    mode = str(getattr(told, "value", told))
    # Told to reset single lanes, these two leave out the step that NEXT_STEP would spend; without shared memory, the
    # workers' half of it does not hear of the reset.
    told_to = type(vector) is gymnasium.SyncVectorEnv or (
        type(vector) is gymnasium.AsyncVectorEnv and vector.shared_memory
    )
    if mode in ("SameStep", "Disabled") or (mode == "NextStep" and told_to):
        return mode
    raise UsageError(
        f"{type(vector).__name__} "
        + ("names no autoreset_mode in its metadata" if told is None else f"has autoreset mode {mode}")
        + ", so that steps may be spent on resets; make it with AutoresetMode.SAME_STEP or AutoresetMode.DISABLED"
    )


def _final(observation: Any, info: dict, last: np.ndarray) -> Any:
    """The observations with those of the lanes that ended put back as they were before the reset."""
    if not last.any():
        return observation
    if "final_obs" not in info:
        raise BadData(
            "a vector of environments with AutoresetMode.SAME_STEP gave no info['final_obs'] where an episode ended; "
            "give it, or use AutoresetMode.DISABLED"
        )
    final = info["final_obs"]
    if isinstance(observation, dict):
        pick = lambda lane, key: final[key][lane] if isinstance(final, dict) else final[lane][key]
        parts = {key: np.array(value) for key, value in observation.items()}
        for lane in np.flatnonzero(last):
            for key, part in parts.items():
                part[lane] = pick(lane, key)
        return parts
    observation = np.array(observation)
    for lane in np.flatnonzero(last):
        observation[lane] = final[lane]
    return observation


def _first_sight(space: Any) -> Sight:
    """What one lane sees, all zero, of what a vector may show: only a `Box`, or a goal environment's `Dict` of them."""
    spaces = require("gymnasium.spaces", "gymnasium")
    parts = {"observation": space}
    if isinstance(space, spaces.Dict):
        parts = dict(space.spaces)
        if "desired_goal" not in parts:
            raise UsageError("a vector environment shows a Dict; make it with gymnasium_host, which flattens it")
        if fault := goal_fault(space):
            raise UsageError(f"a vector environment shows a desired_goal, but {fault}")
    for name, part in parts.items():
        if not isinstance(part, spaces.Box):
            raise UsageError(
                f"a vector environment shows {name} as {type(part).__name__}; make it with gymnasium_host, which "
                "flattens it"
            )
    if len(parts) == 1:
        return Sight(np.zeros(space.shape, np.float32))
    size = int(np.prod(parts["observation"].shape)) + parts["achieved_goal"].shape[0]
    return Sight(np.zeros(size, np.float32), np.zeros(parts["desired_goal"].shape, np.float32))


def actions_of(space: Any) -> tuple[Discrete | Box, Callable[[Any], Any]]:
    """The actions as an agent has them, and how they become the environment's."""
    spaces = require("gymnasium.spaces", "gymnasium")
    if isinstance(space, spaces.Discrete):
        return Discrete(int(space.n)), lambda action: np.asarray(action) + space.start
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        raise UsageError(f"actions are {space}; only Discrete and a Box of real numbers can be learned")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise UsageError(
            f"actions are {space}, without finite bounds; wrap it in gymnasium.wrappers.RescaleAction or give the Box "
            "the bounds that make sense"
        )

    def rescale(action: Any) -> np.ndarray:
        action = np.asarray(action, np.float64).reshape(-1, *space.shape)
        inside = space.low + (np.clip(action, -1.0, 1.0) + 1.0) / 2.0 * (space.high.astype(np.float64) - space.low)
        # Rounding to the space's own type must not lead out of it.
        return np.clip(inside.astype(space.dtype), space.low, space.high)

    return Box(jnp.asarray(space.low.ravel(), jnp.float32), jnp.asarray(space.high.ravel(), jnp.float32)), rescale
