"""Bit flipping: turn one row of bits into another, one bit at a time, and hear nothing until it is done.

Andrychowicz and others, *Hindsight experience replay*, NeurIPS 2017, section 3.1: start and goal are drawn anew for
every episode, and all steps earn −1 but the one that arrives. At 40 bits there are more states than could ever be
visited, so that no curiosity helps: only what is known of other goals does.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractGoalWorld, Discrete
from headstart.errors import UsageError

__all__ = ["BitFlipping", "Bits"]


class Bits(eqx.Module):
    """The bits, each 0 or 1, and the steps since the reset."""

    bits: Float[Array, "bits"]
    steps: Int[Array, ""]


class BitFlipping(AbstractGoalWorld):
    """Action i flips bit i. A step earns −1, and 0 if it reaches the goal and ends the episode; `bits` steps at most.

    **Arguments:**

    - `bits`: how many there are, 1 or more.

    **Raises:** `UsageError` for no bits.
    """

    bits: int = eqx.field(static=True, default=15)

    ends = True

    def __check_init__(self):
        if self.bits < 1:
            raise UsageError(f"bit flipping of {self.bits} bits is no task; ask for 1 bit or more")

    @property
    def actions(self) -> Discrete:
        return Discrete(self.bits)

    def task(self, *, key: Key) -> Task:
        return Task(goal=_toss(self.bits, key=key))

    def reset(self, task: Task, *, key: Key) -> tuple[Bits, Float[Array, "bits"]]:
        bits = _toss(self.bits, key=key)
        return Bits(bits, jnp.zeros((), jnp.int32)), bits

    def step(self, state: Bits, task: Task, action: Int[Array, ""], *, key: Key | None = None) -> tuple[Bits, Outcome]:
        flipped = jnp.arange(self.bits) == action
        bits = jnp.where(flipped, 1 - state.bits, state.bits)
        steps = state.steps + 1
        assert task.goal is not None
        reward, reached = self.judge(bits, task.goal)
        last = reached | (steps >= self.bits)
        return Bits(bits, steps), Outcome(bits, reward, 1.0 - reached, last)

    def achieved(self, observation: Float[Array, "bits"]) -> Float[Array, "bits"]:
        return observation

    def judge(
        self, achieved: Float[Array, "bits"], goal: Float[Array, "bits"]
    ) -> tuple[Float[Array, ""], Bool[Array, ""]]:
        reached = jnp.all(achieved == goal)
        return reached.astype(jnp.float32) - 1.0, reached


def _toss(bits: int, *, key: Key) -> Float[Array, "bits"]:
    return jax.random.bernoulli(key, shape=(bits,)).astype(jnp.float32)
