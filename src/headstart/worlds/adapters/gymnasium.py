"""Gymnasium environments as a host for `headstart.core.hosted.Hosted`.

`gymnasium_host("CartPole-v1", 8)` guards every environment (see `_Guard`) and steps eight of them as a
`gymnasium.vector.SyncVectorEnv`; `GymnasiumHost(vector)` takes a vector environment of one's own.

Observations become `float32`: a `Box` keeps its shape; a `Dict`, `Tuple`, `Discrete` or `MultiBinary` is flattened into
one vector, with discrete parts one-hot. Of a goal environment (`observation`, `achieved_goal`, `desired_goal`) the
desired goal becomes `Percept.goal` and the achieved goal is never shown. Agents act in [−1, 1]; the environment sees
its own bounds.

**Autoreset** is read from the vector's `metadata["autoreset_mode"]`. Under `SAME_STEP` the true successor is
`info["final_obs"]`; under `DISABLED` and `NEXT_STEP` the lanes that ended are reset at once by `options["reset_mask"]`,
so that no step is ever spent on a reset and none can be trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from headstart.core.hosted import AbstractHost, Answer, Sight
from headstart.core.world import Box, Discrete
from headstart.errors import BadData, UsageError, require

__all__ = ["GymnasiumHost", "gymnasium_host", "maker"]

GOALS = {"observation", "achieved_goal", "desired_goal"}


def maker(target: Any) -> Callable[[], Any]:
    """A function that makes a fresh environment, from a Gymnasium id, a class or a callable.

    **Raises:** `UsageError` when the id is unknown or the target is none of these.
    """
    gymnasium = require("gymnasium", "gymnasium")
    if isinstance(target, str):
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


def gymnasium_host(target: Any, lanes: int, *, restarts: int = 0) -> GymnasiumHost:
    """`lanes` guarded copies of an environment, stepped one after another.

    **Arguments:**

    - `target`: a Gymnasium id, a class or a callable without arguments.
    - `restarts`: how many times in all a lane's environment that raises is made anew. Its episode is then cut short at
      the last moment it showed, and the restart is counted in `host/restarts`.
    """
    vector = require("gymnasium.vector", "gymnasium")
    make = maker(target)
    guards = [lambda index=index: _guard(make, index, restarts) for index in range(lanes)]
    return GymnasiumHost(vector.SyncVectorEnv(guards, autoreset_mode=vector.AutoresetMode.DISABLED))


class GymnasiumHost(AbstractHost):
    """A `gymnasium.vector.VectorEnv` as a host.

    **Raises:** `UsageError` for spaces that no network takes, naming the leaf, and for a vector that can neither say
    how its episodes ended nor reset single lanes.
    """

    def __init__(self, vector: Any):
        gymnasium = require("gymnasium", "gymnasium")
        self.vector = vector
        self.lanes = vector.num_envs
        self._mode = str(getattr(vector.metadata.get("autoreset_mode"), "value", vector.metadata.get("autoreset_mode")))
        known = isinstance(vector, gymnasium.vector.SyncVectorEnv | gymnasium.vector.AsyncVectorEnv)
        if self._mode not in ("SameStep", "Disabled") and not (known and self._mode == "NextStep"):
            raise UsageError(
                f"{type(vector).__name__} has autoreset mode {self._mode}, which spends steps on resets; make it with "
                "AutoresetMode.SAME_STEP or AutoresetMode.DISABLED"
            )
        _seen_space(vector.single_observation_space)
        self.actions, self._to_environment = _actions(vector.single_action_space)
        self._episodes = np.zeros(self.lanes, int)
        self._lengths = np.zeros(self.lanes, int)

    def begin(self, seed: int) -> Sight:
        observation = self._call("reset", lambda: self.vector.reset(seed=seed))[0]
        self.clock = 0
        self._episodes += 1
        self._lengths[:] = 0
        return self._sight(observation)

    def step(self, action: Any) -> Answer:
        observation, reward, terminated, truncated, info = self._call(
            "step", lambda: self.vector.step(self._to_environment(action))
        )
        self.clock += 1
        self._lengths += 1
        reward = np.asarray(reward, np.float32)
        self._refuse_non_finite("reward", reward)
        last = np.asarray(terminated | truncated)
        if self._mode == "SameStep":
            after = self._sight(_final(observation, info, last))
            now = self._sight(observation)
        else:
            after = now = self._sight(observation)
            if last.any():
                mask = {"reset_mask": last.copy()}
                now = self._sight(self._call("reset", lambda: self.vector.reset(options=mask))[0])
        self._episodes += last
        self._lengths[last] = 0
        return Answer(reward, np.where(terminated, 0.0, 1.0).astype(np.float32), last, after, now)

    def metrics(self) -> dict[str, float]:
        guards = getattr(self.vector, "envs", ())
        return {"host/restarts": float(sum(getattr(guard, "restarted", 0) for guard in guards))}

    def _call(self, verb: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except BadData:
            raise
        except Exception as error:
            raise BadData(
                f"the vector of environments failed in {verb} after {max(self.clock, 0)} steps: "
                f"{type(error).__name__}: {error}; mend the environment, or make it with gymnasium_host, which names it"
            ) from error

    def _sight(self, observation: Any) -> Sight:
        goal = None
        if isinstance(observation, dict):
            goal = np.array(observation["desired_goal"], np.float32)
            observation = observation["observation"]
            self._refuse_non_finite("desired_goal", goal)
        observation = np.array(observation, np.float32)
        self._refuse_non_finite("observation", observation)
        return Sight(observation, goal)

    def _refuse_non_finite(self, field: str, values: np.ndarray) -> None:
        bad = ~np.isfinite(values)
        if bad.any():
            place = tuple(int(index) for index in np.argwhere(bad)[0])
            inside = f"[{', '.join(map(str, place[1:]))}]" if place[1:] else ""
            raise BadData(
                f"environment {place[0]}, episode {self._episodes[place[0]]}, step {self._lengths[place[0]]}: "
                f"{field}{inside} is {values[place]}; it must be finite"
            )


def _final(observation: Any, info: dict, last: np.ndarray) -> Any:
    """The observations with those of the lanes that ended put back as they were before the reset."""
    if not last.any():
        return observation
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


def _seen_space(space: Any) -> None:
    """Refuses what a vector may not show: only a `Box`, or a goal environment's `Dict` of them."""
    spaces = require("gymnasium.spaces", "gymnasium")
    parts = {"observation": space}
    if isinstance(space, spaces.Dict):
        parts = dict(space.spaces)
        if not {"observation", "desired_goal"} <= set(parts):
            raise UsageError("a vector environment shows a Dict; make it with gymnasium_host, which flattens it")
    for name, part in parts.items():
        if not isinstance(part, spaces.Box):
            raise UsageError(
                f"a vector environment shows {name} as {type(part).__name__}; make it with gymnasium_host, which "
                "flattens it"
            )


def _actions(space: Any) -> tuple[Discrete | Box, Callable[[Any], Any]]:
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


def _encoded(space: Any, name: str) -> Any:
    """The `Box` of `float32` that `_encode` maps a space to."""
    spaces = require("gymnasium.spaces", "gymnasium")
    found = leaves(space, name)
    shape = space.shape if isinstance(space, spaces.Box) else (sum(spaces.flatdim(leaf) for _, leaf in found),)
    return spaces.Box(-np.inf, np.inf, shape, np.float32)


def _encode(value: Any, space: Any, name: str) -> np.ndarray:
    spaces = require("gymnasium.spaces", "gymnasium")
    parts = []
    for (path, inner), (_, leaf) in zip(pick(value, space, name), leaves(space, name), strict=True):
        if wrong := mismatch(path, inner, leaf):
            raise BadData(wrong)
        if isinstance(leaf, spaces.Discrete) and not leaf.contains(np.asarray(inner).astype(leaf.dtype)):
            raise BadData(f"{path} is {inner}, outside {leaf}")
        parts.append(np.asarray(inner if isinstance(space, spaces.Box) else spaces.flatten(leaf, inner), np.float32))
    return parts[0] if isinstance(space, spaces.Box) else np.concatenate([part.ravel() for part in parts])


def _guard(make: Callable[[], Any], index: int, restarts: int) -> Any:
    """An environment that shows `float32` boxes and whose faults name it: index, episode, step and its own words."""
    gymnasium = require("gymnasium", "gymnasium")
    spaces = gymnasium.spaces

    class Guard(gymnasium.Env):
        def __init__(self):
            self.environment = make()
            self.restarted, self.episode, self.length = 0, 0, 0
            self.seen: Any = None
            self.metadata = getattr(self.environment, "metadata", {})
            self.render_mode = getattr(self.environment, "render_mode", None)
            self.action_space = self.environment.action_space
            space = self.environment.observation_space
            self.is_goal = isinstance(space, spaces.Dict) and set(space.spaces) >= GOALS
            self.parts = {key: space[key] for key in ("observation", "desired_goal")} if self.is_goal else {}
            encoded = {key: _encoded(part, key) for key, part in self.parts.items()}
            self.observation_space = spaces.Dict(encoded) if self.is_goal else _encoded(space, "observation")

        def reset(self, *, seed=None, options=None):
            self.episode, self.length = self.episode + 1, 0
            observation, _ = self.attempt(lambda: self.environment.reset(seed=seed, options=options))
            return self.show(observation), {}

        def step(self, action):
            self.length += 1
            try:
                observation, reward, terminated, truncated, _ = self.attempt(lambda: self.environment.step(action))
            except BadData:
                if self.restarted >= restarts:
                    raise
                self.restarted += 1
                self.environment = make()
                return self.seen, 0.0, False, True, {}
            if np.shape(reward) != ():
                raise BadData(f"{self.where()}: the reward has shape {np.shape(reward)}; it must be one number")
            return self.show(observation), reward, bool(terminated), bool(truncated), {}

        def attempt(self, call):
            try:
                return call()
            except Exception as error:
                raise BadData(
                    f"{self.where()}: it raised {type(error).__name__}: {error}; mend it, or allow restarts"
                ) from error

        def show(self, observation):
            space = self.environment.observation_space
            try:
                if self.is_goal:
                    pick(observation, space)
                    self.seen = {key: _encode(observation[key], part, key) for key, part in self.parts.items()}
                else:
                    self.seen = _encode(observation, space, "observation")
            except BadData as error:
                raise BadData(f"{self.where()}: {error}") from error
            return self.seen

        def where(self):
            return f"environment {index}, episode {self.episode}, step {self.length}"

        def close(self):
            self.environment.close()

    return Guard()
