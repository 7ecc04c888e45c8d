"""XLand-MiniGrid as a world: what its agent can do and see, its rules and its goals, by its own code.

Nikulin and others, *XLand-MiniGrid: scalable meta-reinforcement learning environments in JAX*, NeurIPS 2024. In a room
of tiles, a goal is to be reached that is not told: to hold a tile, to be next to it, or to have two of them next to
each other. Rules, which are not told either, turn tiles into others. A ruleset is a task; where things lie is drawn in
each episode. Reaching the goal ends the episode and earns 1 − 0.9 t / T in step t of T.

What is done, made and reached is computed by `xminigrid`. Two things cost it more than all else, and are done in other
ways here. Its `step` looks for rules where a family has none, which takes ten times as long as the rest of a step: so a
ruleset here may have no rules at all, and not one that is empty. And to begin an episode, which in a batch is computed
for all lanes in every step, it sorts all cells of the room to draw a few; `places` draws only those.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError, require
from headstart.worlds.xland.rulesets import Ruleset

__all__ = ["ROOMS", "Scene", "View", "XLand", "kinds", "places"]

ROOMS = {"R1": "generate_room", "R2": "generate_two_rooms", "R4": "generate_four_rooms"}
ROOMS |= {"R6": "generate_six_rooms", "R9": "generate_nine_rooms"}
"""Kinds of grids by `xminigrid`'s names, which say how many rooms there are."""


class View(eqx.Module):
    """What is seen: the tiles before the agent, `[row, column, (what, colour)]`, and where it faces, 0 to 3 from up.

    The agent is in the middle of the last row and looks at the first. Beyond the walls everything is 0. What it holds,
    it does not see.
    """

    tiles: UInt8[Array, "*batch view view 2"]
    direction: Int[Array, "*batch"]


class Scene(eqx.Module):
    """The grid, the agent as `xminigrid` has it, and the steps taken."""

    grid: UInt8[Array, "height width 2"]
    agent: Any
    moment: Int[Array, ""]


class XLand(AbstractWorld):
    """Rooms in which a ruleset holds that is not told: `Task.parameters` is a `Ruleset`.

    **Arguments:**

    - `rulesets`: those that tasks are drawn from, each alike, with leaves `[rulesets, ...]`; see
      `headstart.worlds.xland.rulesets.generate`.
    - `rooms`: of `ROOMS`. `size`: of the grid, walls included, 5 or more.
    - `view`: how far it sees, an odd number of 3 or more.
    - `steps`: T, in an episode at the most; 3 · `size`² if `None`, as `xminigrid` has it.

    **Raises:** `UsageError` for anything else, or no rulesets; `MissingExtra` without `xminigrid`.
    """

    rulesets: Ruleset
    rooms: str = eqx.field(static=True, default="R1")
    size: int = eqx.field(static=True, default=9)
    view: int = eqx.field(static=True, default=5)
    steps: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        _package()
        if self.rooms not in ROOMS:
            raise UsageError(f"there are no rooms {self.rooms!r}; give one of {', '.join(ROOMS)}")
        if self.size < 5 or self.view < 3 or self.view % 2 == 0:
            raise UsageError(f"a grid of {self.size} seen {self.view} far: give 5 or more, and an odd number from 3 on")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"an episode of {self.steps} steps is none; ask for 1 step or more")
        if self.rulesets.goal.ndim != 2 or not len(self.rulesets.goal):
            raise UsageError("there is no ruleset to draw a task from; give those that generate makes")
        room = (self.size - 2) ** 2 // 2
        if self.rooms == "R1" and self.rulesets.tiles.shape[1] + 1 > room:
            raise UsageError(
                f"{self.rulesets.tiles.shape[1]} tiles and an agent leave no room to move in a grid of {self.size}; "
                "make it larger"
            )

    @property
    def actions(self) -> Discrete:
        """Forward, turn right, turn left, pick up, put down, toggle a door."""
        return Discrete(_package().NUM_ACTIONS)

    @property
    def horizon(self) -> int:
        """T, the steps of an episode at the most."""
        return 3 * self.size**2 if self.steps is None else self.steps

    def task(self, *, key: Key) -> Task:
        chosen = jax.random.randint(key, (), 0, len(self.rulesets.goal))
        return Task(parameters=jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen], self.rulesets))

    def reset(self, task: Task, *, key: Key) -> tuple[Scene, View]:
        package = _package()
        grid_key, place_key, direction_key = jax.random.split(key, 3)
        _, grid = getattr(package.xland, ROOMS[self.rooms])(grid_key, self.size, self.size)
        tiles = task.parameters.tiles
        where = places(package.free_tiles_mask(grid), len(tiles) + 1, key=place_key)
        here = jnp.arange(self.size**2)[:, None] == where[:-1]
        here &= jnp.any(tiles != 0, axis=-1)  # a tile of zeros is padding, and is nowhere
        lying = jnp.sum(here[..., None] * tiles, axis=1, dtype=jnp.uint8).reshape(grid.shape)
        grid = jnp.where(jnp.any(lying != 0, axis=-1, keepdims=True), lying, grid)
        agent = package.AgentState(
            position=jnp.stack([where[-1] // self.size, where[-1] % self.size]),
            direction=package.sample_direction(direction_key),
            pocket=jnp.zeros(2, jnp.uint8),
        )
        scene = Scene(grid, agent, jnp.zeros((), jnp.int32))
        return scene, self._see(scene)

    def step(self, state: Scene, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Scene, Outcome]:
        package, ruleset = _package(), task.parameters
        grid, agent, changed = package.take_action(state.grid, state.agent, action)
        grid, agent = package.check_rule(ruleset.rules, grid, agent, action, changed)
        scene = Scene(grid, agent, state.moment + 1)
        reached = package.check_goal(ruleset.goal, grid, agent, action, changed)
        reward = jnp.where(reached, 1.0 - 0.9 * scene.moment / self.horizon, 0.0)
        last = reached | (scene.moment >= self.horizon)
        return scene, Outcome(self._see(scene), reward, jnp.where(reached, 0.0, 1.0), last)

    def _see(self, scene: Scene) -> View:
        tiles = _package().transparent_field_of_view(scene.grid, scene.agent, self.view, self.view)
        return View(tiles, scene.agent.direction)


def kinds() -> tuple[int, int]:
    """How many shapes of tiles there are, and how many colours."""
    return _package().NUM_TILES, _package().NUM_COLORS


def places(
    free: Bool[Array, "height width"], count: int, *, key: Key
) -> Int[Array, "{count}"]:
    """`count` different cells among those that are free, each alike, by their numbers row by row."""
    below = jnp.cumsum(free.ravel(), dtype=jnp.int32)
    total = below[-1]
    left = (total - jnp.arange(count)).astype(jnp.uint32)
    drawn = (jax.random.bits(key, (count,), jnp.uint32) % left).astype(jnp.int32)
    taken: list[Array] = []  # in ascending order
    chosen = []
    for number in drawn:
        # The number of a cell among those not taken, as a number among all that are free.
        for earlier in taken:
            number = number + (number >= earlier)
        chosen.append(number)
        taken = _inserted(taken, number)
    return jnp.sum(below <= jnp.stack(chosen)[:, None], axis=1, dtype=jnp.int32)


def _inserted(ascending: list[Array], number: Array) -> list[Array]:
    found = []
    for each in ascending:
        found.append(jnp.minimum(each, number))
        number = jnp.maximum(each, number)
    return [*found, number]


class _Package(NamedTuple):
    """What is used of `xminigrid`."""

    xland: Any
    NUM_ACTIONS: int
    NUM_TILES: int
    NUM_COLORS: int
    AgentState: Any
    take_action: Any
    check_rule: Any
    check_goal: Any
    transparent_field_of_view: Any
    free_tiles_mask: Any
    sample_direction: Any


@cache
def _package() -> _Package:
    part = lambda name: require(f"xminigrid.{name}", "grid")
    return _Package(
        part("envs.xland"),
        *(int(getattr(part("core.constants"), name)) for name in ("NUM_ACTIONS", "NUM_TILES", "NUM_COLORS")),
        part("types").AgentState,
        part("core.actions").take_action,
        part("core.rules").check_rule,
        part("core.goals").check_goal,
        part("core.observation").transparent_field_of_view,
        part("core.grid").free_tiles_mask,
        part("core.grid").sample_direction,
    )
