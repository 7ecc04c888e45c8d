"""Goals on a half circle that are not shown: the point robot of structured exploration.

Gupta, Mendonca, Liu, Abbeel and Levine, *Meta-reinforcement learning of structured exploration strategies*, NeurIPS
2018, section 6. Theirs have wheels or legs; the goals and the rewards are these, but for a constant: the authors' code
pays minus the distance, and minus the radius where nothing is paid here.

Where only arriving pays, no step tells which way to go. Who knows the family goes to some place on the half circle, and
to another one in the next episode; who trembles stays where it is.
"""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Box
from headstart.errors import UsageError
from headstart.worlds.navigation import Walker

__all__ = ["HalfCircle", "spread"]


class HalfCircle(AbstractWorld):
    """Go from the origin to a place on the upper half of the circle of radius 2, and stay there for what is left.

    The task's parameter is the place `[2]`. A step that ends within `reach` of it earns 2 less the distance, and any
    other nothing. An action of −1 or 1 is a step of 0.1 in its coordinate, what is beyond counts as that, and an
    episode is cut short after 50 steps. Observed: where one is.

    **Arguments:**

    - `reach`: a distance. With the default, every step pays, and says which way to go.

    **Raises:** `UsageError` for a reach of nothing.
    """

    limit: ClassVar[int] = 50
    stride: ClassVar[float] = 0.1  # in either coordinate
    radius: ClassVar[float] = 2.0

    reach: float = float("inf")

    def __check_init__(self):
        if not self.reach > 0:
            raise UsageError(f"nobody arrives within {self.reach} of a place; give a reach of more than 0")

    @property
    def actions(self) -> Box:
        return Box(-jnp.ones(2), jnp.ones(2))

    def task(self, *, key: Key) -> Task:
        return Task(parameters=_on_circle(jax.random.uniform(key, maxval=jnp.pi)))

    def reset(self, task: Task, *, key: Key) -> tuple[Walker, Float[Array, "2"]]:
        state = Walker(jnp.zeros(2), jnp.zeros((), jnp.int32))
        return state, state.place

    def step(
        self, state: Walker, task: Task, action: Float[Array, "2"], *, key: Key | None = None
    ) -> tuple[Walker, Outcome]:
        state = Walker(state.place + self.stride * jnp.clip(action, -1.0, 1.0), state.steps + 1)
        distance = jnp.linalg.norm(state.place - task.parameters)
        reward = jnp.where(distance < self.reach, self.radius - distance, 0.0)
        return state, Outcome(state.place, reward, jnp.ones(()), state.steps >= self.limit)

    def expert(self, task: Task, place: Float[Array, "2"]) -> Float[Array, "2"]:
        """To the goal, in either coordinate as fast as can be. Nobody is there earlier."""
        return jnp.clip((task.parameters - place) / self.stride, -1.0, 1.0)


def spread(count: int) -> Task:
    """So many tasks `[count]`, evenly spread over the half circle: each in the middle of its own share of it.

    Two lists have no task in common where 2 divides one count more often than the other, as it does 64 and 30:
    (2 i + 1) / 64 = (2 j + 1) / 30 would have 32 (2 j + 1) = 15 (2 i + 1), which is odd.
    """
    return Task(parameters=jax.vmap(_on_circle)((jnp.arange(count) + 0.5) / count * jnp.pi))


def _on_circle(angle: Float[Array, ""]) -> Float[Array, "2"]:
    return HalfCircle.radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
