"""Families of tasks that differ in what is rewarded, and show the agent nothing of it: what they ask must be tried out.

`Navigation` is that of Finn, Abbeel and Levine, *Model-agnostic meta-learning for fast adaptation of deep networks*,
ICML 2017, section 5.3. `SparseCorners` is the point of Rothfuss and others, *ProMP: proximal meta-policy search*, ICLR
2019, by the code that they published. `Direction` is a design of ours, in place of the cheetah that is to
run forwards or backwards: it needs no contacts, and yet a policy for one way is no small change of one for the other.

An action of −1 or 1 is the longest step in all of them. What is beyond counts as the bound. An episode that reaches its
limit of steps is cut short.

Each has an `expert`, `(task, observation) -> action`, who was told the task: what adaptation is measured against.
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Box

__all__ = ["Direction", "Navigation", "Runner", "SparseCorners", "Walker"]


class Walker(eqx.Module):
    """Where a point is, and the steps since the reset."""

    place: Float[Array, "2"]
    steps: Int[Array, ""]


class Runner(eqx.Module):
    """Both legs' angles from −1 to 1, the velocity in lengths a second, and the steps since the reset."""

    legs: Float[Array, "2"]
    velocity: Float[Array, ""]
    steps: Int[Array, ""]


class Navigation(AbstractWorld):
    """Go from the origin to a place that is not shown: −1 a step for every unit of distance, 100 steps at most.

    The place is anywhere in the square from −0.5 to 0.5, and is the task's parameter `[2]`. It ends by arriving: within
    0.01 of it in both coordinates. Observed: where one is.
    """

    limit: ClassVar[int] = 100
    stride: ClassVar[float] = 0.1  # in either coordinate
    side: ClassVar[float] = 0.5  # half of the square's
    reach: ClassVar[float] = 0.01  # in either coordinate

    @property
    def actions(self) -> Box:
        return Box(-jnp.ones(2), jnp.ones(2))

    def task(self, *, key: Key) -> Task:
        return Task(parameters=jax.random.uniform(key, (2,), minval=-self.side, maxval=self.side))

    def reset(self, task: Task, *, key: Key) -> tuple[Walker, Float[Array, "2"]]:
        state = Walker(jnp.zeros(2), jnp.zeros((), jnp.int32))
        return state, state.place

    def step(
        self, state: Walker, task: Task, action: Float[Array, "2"], *, key: Key | None = None
    ) -> tuple[Walker, Outcome]:
        state = _walk(state, action, self.stride)
        left = state.place - task.parameters
        arrived = jnp.all(jnp.abs(left) < self.reach)
        discount = 1.0 - arrived.astype(jnp.float32)
        return state, Outcome(state.place, -jnp.linalg.norm(left), discount, arrived | (state.steps >= self.limit))

    def expert(self, task: Task, place: Float[Array, "2"]) -> Float[Array, "2"]:
        """To the goal, in either coordinate as fast as can be. Nobody earns more."""
        return jnp.clip((task.parameters - place) / self.stride, -1.0, 1.0)


class SparseCorners(AbstractWorld):
    """Find out which of four corners pays: the way to it does, but only within its own quarter. 100 steps.

    The corners are those of the square from −2 to 2, and one of them is the task's parameter `[2]`. A step within the
    quarter of that corner earns by how much nearer to it one comes; in the other quarters, and where the coordinates'
    absolute values sum to less than 0.5, nothing is earned. So a policy must visit all quarters to learn its task.
    Observed: where one is; it begins within 0.2 of the origin in both coordinates.
    """

    limit: ClassVar[int] = 100
    stride: ClassVar[float] = 0.2  # in either coordinate
    corner: ClassVar[float] = 2.0  # its coordinates, but for their signs
    middle: ClassVar[float] = 0.5  # where nothing is earned
    jitter: ClassVar[float] = 0.2  # of the start, in either coordinate

    @property
    def actions(self) -> Box:
        return Box(-jnp.ones(2), jnp.ones(2))

    def task(self, *, key: Key) -> Task:
        sign = jax.random.bernoulli(key, shape=(2,)).astype(jnp.float32)
        return Task(parameters=self.corner * (2.0 * sign - 1.0))

    def reset(self, task: Task, *, key: Key) -> tuple[Walker, Float[Array, "2"]]:
        place = jax.random.uniform(key, (2,), minval=-self.jitter, maxval=self.jitter)
        return Walker(place, jnp.zeros((), jnp.int32)), place

    def step(
        self, state: Walker, task: Task, action: Float[Array, "2"], *, key: Key | None = None
    ) -> tuple[Walker, Outcome]:
        before, state = state, _walk(state, action, self.stride)
        nearer = jnp.linalg.norm(before.place - task.parameters) - jnp.linalg.norm(state.place - task.parameters)
        quarter = jnp.all(state.place * task.parameters >= 0)
        pays = quarter & (jnp.sum(jnp.abs(state.place)) >= self.middle)
        return state, Outcome(state.place, jnp.where(pays, nearer, 0.0), jnp.ones(()), state.steps >= self.limit)

    def expert(self, task: Task, place: Float[Array, "2"]) -> Float[Array, "2"]:
        """To the corner, and there it stays."""
        return jnp.clip((task.parameters - place) / self.stride, -1.0, 1.0)


class Direction(AbstractWorld):
    """Run forwards, or backwards, on two legs that must swing in a circle: the way round is the way one runs.

    The task's parameter is 1 or −1, with equal chances. A step earns that times the velocity, less 0.05 for every unit
    of the action's square, as for the cheetah of Finn and others. 100 steps.

    An action swings each leg by up to 0.2 a step, between stops at −1 and 1. What drives the runner is the area that
    both angles, taken as a point in the plane, sweep around the origin: legs `q` that move to `q′` thrust by
    `(q × q′)` / 0.1 s, and velocity goes half of the way to that in a step. To push one leg, or both together, leads to
    the stops and nowhere else. To run, the legs must be a quarter of a turn apart. Each direction is a feedback from
    legs to actions of its own, and half of one with half of the other stands still. Observed: both angles, and the
    velocity.
    """

    limit: ClassVar[int] = 100
    swing: ClassVar[float] = 0.2  # of a leg, in a step
    interval: ClassVar[float] = 0.1  # s
    drag: ClassVar[float] = 0.5  # how much of the way to the thrust velocity goes in a step
    effort: ClassVar[float] = 0.05
    jitter: ClassVar[float] = 0.1  # of the legs at the start

    @property
    def actions(self) -> Box:
        return Box(-jnp.ones(2), jnp.ones(2))

    def task(self, *, key: Key) -> Task:
        return Task(parameters=2.0 * jax.random.bernoulli(key).astype(jnp.float32) - 1.0)

    def reset(self, task: Task, *, key: Key) -> tuple[Runner, Float[Array, "3"]]:
        legs = jax.random.uniform(key, (2,), minval=-self.jitter, maxval=self.jitter)
        state = Runner(legs, jnp.zeros(()), jnp.zeros((), jnp.int32))
        return state, _feel(state)

    def step(
        self, state: Runner, task: Task, action: Float[Array, "2"], *, key: Key | None = None
    ) -> tuple[Runner, Outcome]:
        action = jnp.clip(action, -1.0, 1.0)
        legs = jnp.clip(state.legs + self.swing * action, -1.0, 1.0)
        thrust = (state.legs[0] * legs[1] - state.legs[1] * legs[0]) / self.interval
        velocity = state.velocity + self.drag * (thrust - state.velocity)
        state = Runner(legs, velocity, state.steps + 1)
        reward = task.parameters * velocity - self.effort * jnp.sum(action**2)
        return state, Outcome(_feel(state), reward, jnp.ones(()), state.steps >= self.limit)

    def expert(self, task: Task, felt: Float[Array, "3"]) -> Float[Array, "2"]:
        """Aside of where the legs are, and a little outwards, in full strength: round and round, along the stops.

        It earns 213. By dynamic programming over angles in tenths and actions in halves, the most is 219.
        """
        legs = felt[:2]
        aside = task.parameters * jnp.stack([-legs[1], legs[0]])
        return jnp.clip(15.0 * (aside + 0.25 * legs), -1.0, 1.0)


def _walk(state: Walker, action: Float[Array, "2"], stride: float) -> Walker:
    return Walker(state.place + stride * jnp.clip(action, -1.0, 1.0), state.steps + 1)


def _feel(state: Runner) -> Float[Array, "3"]:
    return jnp.append(state.legs, state.velocity)
