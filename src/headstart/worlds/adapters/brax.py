"""Robots of `brax` as worlds, and two families of tasks that they run in.

Freeman and others, *Brax: a differentiable physics engine for large scale rigid body simulation*, NeurIPS 2021. The
families are those of Finn, Abbeel and Levine, *Model-agnostic meta-learning for fast adaptation of deep networks*, ICML
2017, section 5.3, whose simulator was MuJoCo: a return here is none there.

A world of `brax` is pure, and so trains inside one `jit`. To compile one takes seconds. It warns that its physics is no
longer maintained; it runs with the versions that `constraints.txt` pins.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Box
from headstart.errors import UsageError, require, unknown

__all__ = ["ENGINES", "RUNNERS", "BraxWorld", "Physique", "Running", "brax_world", "running"]

Engine = Literal["spring", "positional", "generalized", "mjx"]
Asked = Literal["direction", "velocity"]
ENGINES: tuple[str, ...] = get_args(Engine)


@dataclasses.dataclass(frozen=True)
class Physique:
    """What running costs a robot and what it is worth to be up, by what is asked of it.

    **Arguments:**

    - `effort`: for every unit of the action's square.
    - `fastest`: the highest velocity that is asked for, in lengths a second; the lowest is 0.
    - `up`: what a step earns in which it has not fallen, where a direction and where a velocity is asked for.
    """

    effort: float
    fastest: float
    up: tuple[float, float]


RUNNERS = {"ant": Physique(0.005, 3.0, (0.05, 1.05)), "halfcheetah": Physique(0.05, 2.0, (0.0, 0.0))}
"""The robots of Finn and others, with their costs; what contacts cost there, which is little, is not counted here."""


def brax_world(name: str, *, engine: str = "spring") -> BraxWorld:
    """An environment of `brax`, with the reward that it has there and no end but its own: `"ant"`, `"hopper"`, ...

    **Arguments:**

    - `name`: as `brax` names it.
    - `engine`: which physics: `spring`, the quickest, `positional`, `generalized` or `mjx`.

    **Raises:** `MissingExtra` without `brax`; `UsageError` for an environment or an engine that it does not have.
    """
    return BraxWorld(_made(name, engine))


def running(robot: str, asked: str, *, engine: str = "spring", limit: int = 200) -> Running:
    """A robot that is to run forwards or backwards, or at a velocity, and is not told which.

    **Arguments:**

    - `robot`: `"ant"` or `"halfcheetah"`.
    - `asked`: `"direction"` or `"velocity"`.
    - `engine`: as for `brax_world`.
    - `limit`: steps of an episode.

    **Raises:** `MissingExtra` without `brax`; `UsageError` for another robot, another family, another engine, or an
    episode without a step.
    """
    if robot not in RUNNERS:
        raise unknown("robot", robot, RUNNERS)
    if asked not in get_args(Asked):
        raise unknown("family of tasks", asked, get_args(Asked))
    if limit < 1:
        raise UsageError(f"an episode of {limit} steps is none; ask for 1 step or more")
    return Running(_made(robot, engine), RUNNERS[robot], asked, limit)


class BraxWorld(AbstractWorld):
    """An environment of `brax`: one task. Its episodes end where it says they are done; `TimeLimit` cuts them short."""

    environment: Any = eqx.field(static=True)

    @property
    def actions(self) -> Box:
        high = jnp.ones(self.environment.action_size)
        return Box(-high, high)

    def task(self, *, key: Key) -> Task:
        return Task()

    def reset(self, task: Task, *, key: Key) -> tuple[Any, Array]:
        state = self.environment.reset(key)
        return state, state.obs

    def step(self, state: Any, task: Task, action: Float[Array, "joints"], *, key: Key) -> tuple[Any, Outcome]:
        state = self._moved(state, action)
        done = state.done > 0
        return state, Outcome(state.obs, state.reward, 1.0 - done, done)

    def _moved(self, state: Any, action: Float[Array, "joints"]) -> Any:
        # An environment writes into the dictionaries of the state it is given.
        return self.environment.step(jax.tree.map(lambda leaf: leaf, state), jnp.clip(action, -1.0, 1.0))


class Race(eqx.Module):
    """Where a robot stands, and the steps since the reset."""

    robot: Any
    steps: Int[Array, ""]


class Running(BraxWorld):
    """Run as is asked, which is not shown: forwards or backwards, or at a velocity.

    With v the velocity of the torso along the track, in lengths a second, and a the action, a step earns

    - where a direction d of 1 or −1 is asked for, `d v − effort |a|²`;
    - where a velocity g is asked for, anywhere from 0 to `fastest`, `− |v − g| − effort |a|²`;

    and `up` for a robot that has not fallen. The task's parameter is d or g. Observed is what `brax` shows: angles and
    velocities of joints, and no place along the track.
    """

    physique: Physique = eqx.field(static=True)
    asked: str = eqx.field(static=True)
    limit: int = eqx.field(static=True)

    def task(self, *, key: Key) -> Task:
        if self.asked == "velocity":
            return Task(parameters=jax.random.uniform(key, maxval=self.physique.fastest))
        return Task(parameters=2.0 * jax.random.bernoulli(key).astype(jnp.float32) - 1.0)

    def reset(self, task: Task, *, key: Key) -> tuple[Race, Array]:
        robot, observation = super().reset(task, key=key)
        return Race(robot, jnp.zeros((), jnp.int32)), observation

    def step(self, state: Race, task: Task, action: Float[Array, "joints"], *, key: Key) -> tuple[Race, Outcome]:
        robot = self._moved(state.robot, action)
        went = robot.pipeline_state.x.pos[0, 0] - state.robot.pipeline_state.x.pos[0, 0]
        velocity, asked = went / self.environment.dt, task.parameters
        direction = self.asked == "direction"
        earned = asked * velocity if direction else -jnp.abs(velocity - asked)
        fallen, steps = robot.done > 0, state.steps + 1
        up = self.physique.up[0 if direction else 1] * ~fallen
        reward = earned + up - self.physique.effort * jnp.sum(jnp.clip(action, -1.0, 1.0) ** 2)
        return Race(robot, steps), Outcome(robot.obs, reward, 1.0 - fallen, fallen | (steps >= self.limit))


def _made(name: str, engine: str) -> Any:
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    environments = require("brax.envs", "brax")
    try:
        return environments.get_environment(name, backend=engine)
    except KeyError:
        raise UsageError(f"brax has no environment {name!r}; it has ant, halfcheetah, hopper and others") from None
