"""Push: shove a disc to a place on a table, touching it with one fingertip, and hear nothing until it lies there.

A planar likeness of the robot's task of Andrychowicz and others, *Hindsight experience replay*, NeurIPS 2017, section
4.1, with the numbers of Gymnasium-Robotics' FetchPush where there are any: 50 steps of 5 cm at most, a goal reached
within 5 cm, −1 for every step at whose end it is not, and no end but the cut. What makes it hard is kept: the disc
moves only while it is touched, and only away from the fingertip, so that random play hardly ever brings it anywhere.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractGoalWorld, Box

__all__ = ["Push", "Table"]

LIMIT = 50  # steps in an episode
STRIDE = 0.05  # metres in a step, along either axis
SUBSTEPS = 4  # so that a fingertip never jumps into the middle of the disc
CONTACT = 0.1  # metres between the centres of fingertip and disc when they touch
EDGE = 0.5  # metres from the middle of the table to its edges
START = 0.3  # discs begin, and goals are, within ± this
APART = 0.15  # metres, at least, between fingertip and disc, and between disc and goal, when an episode begins
NEAR = 0.05  # metres from the goal at which it is reached


class Table(eqx.Module):
    """Where fingertip and disc are, in metres from the middle, and the steps since the reset."""

    finger: Float[Array, "2"]
    disc: Float[Array, "2"]
    steps: Int[Array, ""]


class Push(AbstractGoalWorld):
    """Shove a disc to a place on a table by one fingertip: −1 for every step at whose end it is not there, 50 steps.

    The action, from −1 to 1, is the way of the fingertip along either axis, of 5 cm at most. Observed: fingertip, disc,
    and the way from the one to the other, in units of 30 cm. The goal is a place for the disc, in the same units. A
    pushed disc slides without friction along the fingertip's edge and stays on the table.
    """

    @property
    def actions(self) -> Box:
        return Box(jnp.full(2, -STRIDE), jnp.full(2, STRIDE))

    def task(self, *, key: Key) -> Task:
        return Task(goal=jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0))

    def reset(self, task: Task, *, key: Key) -> tuple[Table, Float[Array, "6"]]:
        assert task.goal is not None
        finger = jnp.zeros(2)
        # The first of 64 places that is apart from both; one is in more than a third of draws.
        places = jax.random.uniform(key, (64, 2), minval=-START, maxval=START)
        apart = lambda other: jnp.linalg.norm(places - other, axis=-1) >= APART
        disc = places[jnp.argmax(apart(finger) & apart(START * task.goal))]
        state = Table(finger, disc, jnp.zeros((), jnp.int32))
        return state, _show(state)

    def step(
        self, state: Table, task: Task, action: Float[Array, "2"], *, key: Key | None = None
    ) -> tuple[Table, Outcome]:
        stride = STRIDE / SUBSTEPS * jnp.clip(action, -1.0, 1.0)
        finger, disc = state.finger, state.disc
        for _ in range(SUBSTEPS):
            finger = jnp.clip(finger + stride, -EDGE, EDGE)
            disc = jnp.clip(finger + _out(disc - finger), -EDGE, EDGE)
            finger = disc + _out(finger - disc)  # where the table's edge holds the disc, it holds the fingertip
        state = Table(finger, disc, state.steps + 1)
        seen = _show(state)
        assert task.goal is not None
        reward, _ = self.judge(self.achieved(seen), task.goal)
        return state, Outcome(seen, reward, jnp.ones(()), state.steps >= LIMIT)

    def achieved(self, observation: Float[Array, "6"]) -> Float[Array, "2"]:
        return observation[2:4]

    def judge(self, achieved: Float[Array, "2"], goal: Float[Array, "2"]) -> tuple[Float[Array, ""], Bool[Array, ""]]:
        reached = START * jnp.linalg.norm(achieved - goal) < NEAR
        return reached.astype(jnp.float32) - 1.0, reached


def _out(way: Float[Array, "2"]) -> Float[Array, "2"]:
    """The way from one centre to the other, made as long as it is when they touch if it was shorter."""
    length = jnp.linalg.norm(way)
    return way * jnp.where(length < CONTACT, CONTACT / jnp.maximum(length, 1e-6), 1.0)


def _show(state: Table) -> Float[Array, "6"]:
    return jnp.concatenate([state.finger, state.disc, state.disc - state.finger]) / START
