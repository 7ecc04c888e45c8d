"""A point that is pushed about a square: apples to gather, and a goal in the room behind a doorway.

The gathering task is that of Duan and others, *Benchmarking deep reinforcement learning for continuous control*, ICML
2016, section 3.4, with a point for a body; Binz (*Learning goal-directed behaviour*, 2017) learns one like it. Its
sizes here are design choices of ours. In both worlds a step is small beside the square and nothing is earned for being
near: who pushes at random at every step wanders about where it began, and hardly meets what it could learn from.

The square has sides of 2 around the origin. A push is a vector of two numbers from −1 to 1; velocity decays, so that
the point ends up `speed` further for every step of a full push. An episode that reaches its limit of steps is cut
short.
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Box

__all__ = ["Gathering", "PointGather", "TwoRoomMaze", "Wandering"]

DECAY = 0.5  # of the velocity, in a step


class Wandering(eqx.Module):
    """Where the point is, its velocity in lengths a step, and the steps since the reset."""

    place: Float[Array, "2"]
    velocity: Float[Array, "2"]
    steps: Int[Array, ""]


class Gathering(eqx.Module):
    """The point, and which of the things lie where they lay: apples first, then bombs."""

    point: Wandering
    there: Bool[Array, "things"]


class PointGather(AbstractWorld):
    """Gather 6 apples, 1 each, among 4 bombs, −1 each, in 200 steps. What was touched is gone.

    Observed: place and velocity (in units of the speed), and by 10 rays, sectors of 36° all around, how near the
    nearest apple and the nearest bomb in them are: 1 here, 0 at a distance of 1 or more.
    """

    limit: ClassVar[int] = 200
    speed: ClassVar[float] = 0.01
    apples: ClassVar[int] = 6
    bombs: ClassVar[int] = 4
    rays: ClassVar[int] = 10
    reach: ClassVar[float] = 0.1  # at which a thing is touched
    sight: ClassVar[float] = 1.0  # how far a ray reaches
    rows: ClassVar[int] = 7  # things lie in different fields of 7 by 7
    clear: ClassVar[int] = 1  # and none in this many fields around that of the start

    @property
    def actions(self) -> Box:
        return Box(-jnp.ones(2), jnp.ones(2))

    def task(self, *, key: Key) -> Task:
        """Where the things lie, `[things, 2]`."""
        lines = jnp.stack(jnp.divmod(jnp.arange(self.rows**2), self.rows), axis=-1)
        far = jnp.max(jnp.abs(lines - self.rows // 2), axis=-1) > self.clear
        fields = jax.random.choice(key, lines, (self.apples + self.bombs,), replace=False, p=far / jnp.sum(far))
        return Task(parameters=(2.0 * fields.astype(jnp.float32) + 1.0) / self.rows - 1.0)

    def reset(self, task: Task, *, key: Key) -> tuple[Gathering, Float[Array, "seen"]]:
        point = _rest(jnp.zeros(2))
        state = Gathering(point, jnp.ones(self.apples + self.bombs, bool))
        return state, self._show(state, task)

    def step(
        self, state: Gathering, task: Task, action: Float[Array, "2"], *, key: Key | None = None
    ) -> tuple[Gathering, Outcome]:
        point = _push(state.point, action, self.speed)
        touched = state.there & (jnp.linalg.norm(task.parameters - point.place, axis=-1) < self.reach)
        worth = jnp.where(jnp.arange(self.apples + self.bombs) < self.apples, 1.0, -1.0)
        state = Gathering(point, state.there & ~touched)
        reward = jnp.sum(touched * worth)
        return state, Outcome(self._show(state, task), reward, jnp.ones(()), point.steps >= self.limit)

    def _show(self, state: Gathering, task: Task) -> Float[Array, "seen"]:
        way = task.parameters - state.point.place
        near = jnp.clip(1.0 - jnp.linalg.norm(way, axis=-1) / self.sight, 0.0, 1.0) * state.there
        turn = jnp.arctan2(way[:, 1], way[:, 0]) / (2 * jnp.pi) % 1.0
        # A tiny negative angle is a whole turn once it is rounded.
        sector = jnp.minimum((turn * self.rays).astype(jnp.int32), self.rays - 1)
        sensed = jnp.where(sector[:, None] == jnp.arange(self.rays), near[:, None], 0.0)
        kinds = jnp.max(sensed[: self.apples], axis=0), jnp.max(sensed[self.apples :], axis=0)
        return jnp.concatenate([_feel(state.point, self.speed), *kinds])


class TwoRoomMaze(AbstractWorld):
    """Leave the left room by its doorway and reach a goal in the right one: 1, and the end. Nothing else earns.

    Start and goal lie in the lower corners of their rooms, and the doorway in the upper half of the wall between them.
    Observed: place and velocity (in units of the speed). 400 steps at most.
    """

    limit: ClassVar[int] = 400
    speed: ClassVar[float] = 0.03
    start: ClassVar[tuple[float, float]] = (-0.6, -0.6)
    jitter: ClassVar[float] = 0.1  # of the start, in either direction
    doorway: ClassVar[tuple[float, float]] = (0.1, 0.6)  # where the wall is open
    goal: ClassVar[tuple[float, float]] = (0.6, -0.6)
    reach: ClassVar[float] = 0.1  # at which the goal is reached

    @property
    def actions(self) -> Box:
        return Box(-jnp.ones(2), jnp.ones(2))

    def task(self, *, key: Key) -> Task:
        return Task()

    def reset(self, task: Task, *, key: Key) -> tuple[Wandering, Float[Array, "4"]]:
        aside = jax.random.uniform(key, (2,), minval=-self.jitter, maxval=self.jitter)
        state = _rest(jnp.array(self.start) + aside)
        return state, _feel(state, self.speed)

    def step(
        self, state: Wandering, task: Task, action: Float[Array, "2"], *, key: Key | None = None
    ) -> tuple[Wandering, Outcome]:
        moved = _push(state, action, self.speed)
        low, high = self.doorway
        left = state.place[0] < 0
        crosses = left != (moved.place[0] < 0)
        # Judged where the step ends and not where it meets the wall: steps are short beside the doorway.
        stopped = crosses & ~((low < moved.place[1]) & (moved.place[1] < high))
        beside = jnp.where(left, -1e-3, 1e-3)
        place = moved.place.at[0].set(jnp.where(stopped, beside, moved.place[0]))
        velocity = moved.velocity.at[0].set(jnp.where(stopped, 0.0, moved.velocity[0]))
        state = Wandering(place, velocity, moved.steps)
        reached = jnp.linalg.norm(place - jnp.array(self.goal)) < self.reach
        reward = reached.astype(jnp.float32)
        return state, Outcome(_feel(state, self.speed), reward, 1.0 - reward, reached | (state.steps >= self.limit))


def _rest(place: Float[Array, "2"]) -> Wandering:
    return Wandering(place, jnp.zeros(2), jnp.zeros((), jnp.int32))


def _push(point: Wandering, action: Float[Array, "2"], speed: float) -> Wandering:
    """A step of the point, which stops at the edges of the square."""
    push = (1.0 - DECAY) * speed * jnp.clip(action, -1.0, 1.0)
    velocity = DECAY * point.velocity + push
    place = point.place + velocity
    inside = jnp.clip(place, -1.0, 1.0)
    return Wandering(inside, jnp.where(place == inside, velocity, 0.0), point.steps + 1)


def _feel(point: Wandering, speed: float) -> Float[Array, "4"]:
    return jnp.concatenate([point.place, point.velocity / speed])
