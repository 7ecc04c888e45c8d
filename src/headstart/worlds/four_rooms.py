"""Four rooms: go from any cell of a known grid to any other. With lava, some cells are the end of who enters them.

The rooms are those of Sutton, Precup and Singh, *Between MDPs and semi-MDPs*, Artificial Intelligence 1999, section 2:
13 by 13 with the walls, 104 cells. Goals and LavaWorld are those of Schaul and others, *Universal value
function approximators*, ICML 2015, section 4: 1 is earned on entering the goal, which ends the episode, and nothing
else is. The paper's lava is drawn in its figures alone: where it lies here is our own choice.

All is known of these grids, so what an agent does in them can be judged exactly: see `values` and `quality`.
"""

from __future__ import annotations

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractGoalWorld, Discrete
from headstart.errors import UsageError

__all__ = ["AFTER", "CELLS", "SHOWN", "AbstractRooms", "FourRooms", "LavaWorld"]

PLAN = """
#############
#     #     #
#  ~  #     #
#        ~  #
#     #     #
#   ~ #     #
## ####   ~ #
#     ### ###
#  ~  #     #
#     #  ~  #
#           #
#    ~#    ~#
#############
"""
"""Walls are `#`; what is `~` in a lava world is free in four rooms."""

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left
SHOWN = ("coordinates", "one-hot", "image")

_plan = np.array([list(row) for row in PLAN.strip().splitlines()])
CELLS: np.ndarray = np.argwhere(_plan != "#")
"""Row and column of each of the 104 cells, by its number."""

_number = {tuple(cell): number for number, cell in enumerate(CELLS.tolist())}
AFTER: np.ndarray = np.array(
    [
        [_number.get((row + down, column + right), number) for down, right in MOVES]
        for number, (row, column) in enumerate(CELLS.tolist())
    ]
)
"""Where each move leads from each cell, `[104, 4]`: into a wall is nowhere."""


class AbstractRooms(AbstractGoalWorld):
    """Four moves in 104 cells. Seen and wanted are cells, shown alike; start and goal are drawn anew, and differ.

    `shown` says how: as `"coordinates"` (row and column, the midst of the grid being 0 and its edges −1 and 1), as
    `"one-hot"` `[104]`, or as an `"image"` `[2, 13, 13]` of the walls and of the place.
    """

    shown: eqx.AbstractVar[str]
    goals: eqx.AbstractVar[tuple[int, ...]]

    ends = True

    def __check_init__(self):
        if self.shown not in SHOWN:
            raise UsageError(f"cells cannot be shown as {self.shown!r}; choose {', '.join(SHOWN)}")
        for goal in self.goals:
            if not 0 <= goal < len(CELLS) or self.lava[goal]:
                raise UsageError(f"cell {goal} cannot be a goal; there are 0 to {len(CELLS) - 1}, without the lava")

    @property
    @abc.abstractmethod
    def lava(self) -> Bool[np.ndarray, "cells"]:
        """Which cells are deadly."""

    @property
    def actions(self) -> Discrete:
        return Discrete(len(MOVES))

    def asking(self, goal: Int[Array, ""]) -> Task:
        """The task whose goal is the cell of that number."""
        return Task(parameters=goal, goal=self.show(goal))

    def task(self, *, key: Key) -> Task:
        return self.asking(jax.random.choice(key, jnp.array(self.goals or np.flatnonzero(~self.lava), jnp.int32)))

    def reset(self, task: Task, *, key: Key) -> tuple[Int[Array, ""], Float[Array, "..."]]:
        goal = -1 if task.parameters is None else task.parameters
        free = ~jnp.array(self.lava) & (jnp.arange(len(CELLS)) != goal)
        cell = jax.random.categorical(key, jnp.where(free, 0.0, -jnp.inf)).astype(jnp.int32)
        return cell, self.show(cell)

    def step(
        self, state: Int[Array, ""], task: Task, action: Int[Array, ""], *, key: Key | None = None
    ) -> tuple[Int[Array, ""], Outcome]:
        cell = jnp.array(AFTER, jnp.int32)[state, action]
        seen = self.show(cell)
        assert task.goal is not None
        reward, reached = self.judge(seen, task.goal)
        over = reached | jnp.array(self.lava)[cell]
        return cell, Outcome(seen, reward, 1.0 - over, over)

    def achieved(self, observation: Float[Array, "..."]) -> Float[Array, "..."]:
        return observation

    def judge(
        self, achieved: Float[Array, "..."], goal: Float[Array, "..."]
    ) -> tuple[Float[Array, ""], Bool[Array, ""]]:
        reached = jnp.all(jnp.abs(achieved - goal) < 0.05)
        return reached.astype(jnp.float32), reached

    def show(self, cell: Int[Array, ""]) -> Float[Array, "..."]:
        """What is seen in a cell, and told to whoever is to go there."""
        place = jnp.array(CELLS)[cell]
        if self.shown == "coordinates":
            return (place.astype(jnp.float32) - 6.0) / 6.0
        if self.shown == "one-hot":
            return jax.nn.one_hot(cell, len(CELLS))
        here = jnp.zeros(_plan.shape).at[place[0], place[1]].set(1.0)
        return jnp.stack([jnp.array(_plan == "#", jnp.float32), here])

    def views(self) -> Float[Array, "cells ..."]:
        """What is seen in each cell, by its number."""
        return jax.vmap(self.show)(jnp.arange(len(CELLS)))

    def values(self, discount: float) -> Float[Array, "cells goals"]:
        """V(s, g) = γ^d of the d steps that the shortest way takes: 1 on the goal, and 0 in lava."""
        there, dry = jnp.eye(len(CELLS), dtype=bool), ~jnp.array(self.lava)
        closer = lambda _, values: jnp.where(there, 1.0, discount * jnp.max(values[AFTER], axis=1) * dry[:, None])
        return jax.lax.fori_loop(0, len(CELLS), closer, there.astype(jnp.float32)) * dry

    def lookahead(self, values: Float[Array, "cells"], goal: Int[Array, ""]) -> Int[Array, "cells"]:
        """The best move in each cell by V(s, g), if it is known what the goal and the lava themselves are worth."""
        known = jnp.where(jnp.array(self.lava), 0.0, values).at[goal].set(jnp.inf)
        return jnp.argmax(known[AFTER], axis=-1)

    def quality(self, moves: Int[Array, "cells"], goal: Int[Array, ""], discount: float) -> Float[Array, ""]:
        """The true discounted return of who so moves, over all starts together, as a share of the best there is.

        Exact: on a way that arrives, no cell comes twice.
        """
        there, start = jnp.arange(len(CELLS)) == goal, ~jnp.array(self.lava)
        leads = jnp.array(AFTER)[jnp.arange(len(CELLS)), moves]
        follow = lambda _, worth: jnp.where(there, 1.0, discount * worth[leads] * start)
        worth = jax.lax.fori_loop(0, len(CELLS), follow, there.astype(jnp.float32))
        best, start = self.values(discount)[:, goal], start & ~there
        return jnp.sum(worth * start) / jnp.sum(best * start)


class FourRooms(AbstractRooms):
    """Go from anywhere to anywhere in four rooms. Only entering the goal earns 1.

    **Arguments:**

    - `shown`: how cells are seen, and how the goal is told: `"coordinates"`, `"one-hot"` or `"image"`.
    - `goals`: the cells, by number, that are asked for; all, if left out.

    **Raises:** `UsageError` for another way to show them, or for a goal that there is not.
    """

    shown: str = eqx.field(static=True, default="coordinates")
    goals: tuple[int, ...] = eqx.field(static=True, default=())

    @property
    def lava(self) -> Bool[np.ndarray, "cells"]:
        return np.zeros(len(CELLS), bool)


class LavaWorld(AbstractRooms):
    """Four rooms with eight cells of lava: to enter one ends the episode, and earns nothing.

    **Arguments** and **Raises:** as `FourRooms`. No lava is ever a start or a goal.
    """

    shown: str = eqx.field(static=True, default="coordinates")
    goals: tuple[int, ...] = eqx.field(static=True, default=())

    @property
    def lava(self) -> Bool[np.ndarray, "cells"]:
        return _plan[tuple(CELLS.T)] == "~"
