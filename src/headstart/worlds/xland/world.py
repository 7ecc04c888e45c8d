"""XLand-MiniGrid as a world: what its agent can do and see, its rules and its goals.

Nikulin and others, *XLand-MiniGrid: scalable meta-reinforcement learning environments in JAX*, NeurIPS 2024. In a room
of tiles, a goal is to be reached that is not told: to hold a tile, to be next to it, or to have two of them next to
each other. Rules, which are not told either, turn tiles into others. A ruleset is a task; where things lie is drawn in
each episode. Reaching the goal ends the episode and earns 1 − 0.9 t / T in step t of T.

It does what version 0.9.3 of their package `xminigrid` does, move by move, by other means:

- A tile is one number, so that two of them are compared at once, and a grid is one row of cells.
- All that a rule or a goal can ask is about the four cells around the agent, the four around the cell before it, and
  its hand. These are read once a step, all rules are applied to them, and they are written back once. There, each rule
  reads and writes the grid, in each of the twelve ways in which there are rules, of which eleven are thrown away.
- `places` draws as many cells as are needed. There, all cells are sorted to draw a few, in every step of every lane,
  as is the way of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, UInt8, UInt32

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError
from headstart.worlds.xland.rooms import plan
from headstart.worlds.xland.rulesets import Ruleset
from headstart.worlds.xland.tiles import (
    ABOUT_ONE,
    ABOUT_TWO,
    COLOURS,
    GOAL_KINDS,
    OBJECTS,
    RULE_KINDS,
    SHAPES,
    code,
    codes,
    tile,
)

__all__ = ["ACTIONS", "Scene", "View", "XLand", "places"]

ACTIONS = ("forward", "turn right", "turn left", "pick up", "put down", "toggle")
FORWARD, RIGHT, LEFT, PICK, PUT, TOGGLE = range(len(ACTIONS))
SIDES = 4  # up, right, down, left: where an agent may face, and where what is next to something may be

FLOOR = tile("floor", "black")
_shapes = lambda *names: np.isin(SHAPES, names)
WALKABLE, PICKABLE = _shapes("floor", "goal", "open door"), _shapes(*OBJECTS)
KEY, LOCKED, CLOSED, OPEN = (SHAPES.index(name) for name in ("key", "locked door", "closed door", "open door"))


class Form(eqx.Module):
    """What kinds of goals or rules ask, `[kinds, ...]`: on which sides, and of what."""

    of_agent: Bool[np.ndarray, "kinds 4"]
    """That a tile be on this side of the agent."""
    of_tiles: Bool[np.ndarray, "kinds 4"]
    """That the second tile be on this side of the first."""
    held: Bool[np.ndarray, "kinds"]
    """That a tile be in its hand."""
    on_any_side: Bool[np.ndarray, "kinds"]

    @staticmethod
    def of(numbers: Mapping[str, int]) -> Form:
        sides = np.eye(SIDES, dtype=bool)
        agent, tiles = np.zeros((2, max(numbers.values()) + 1, SIDES), bool)
        for kinds, found in ((ABOUT_ONE[1:], agent), (ABOUT_TWO, tiles)):
            for kind, side in zip(kinds, (np.ones(SIDES, bool), *sides), strict=True):
                found[numbers[kind]] = side
        held = np.arange(len(agent)) == numbers["hold"]
        return Form(agent, tiles, held, np.asarray(agent.all(axis=1) | tiles.all(axis=1)))


GOAL_FORM, RULE_FORM = Form.of(GOAL_KINDS), Form.of(RULE_KINDS)


class View(eqx.Module):
    """What is seen: the tiles before the agent, `[row, column, (what, colour)]`, and where it faces, 0 to 3 from up.

    The agent is in the middle of the last row and looks at the first. Beyond the walls everything is 0. What it holds,
    it does not see.
    """

    tiles: UInt8[Array, "*batch view view 2"]
    direction: Int[Array, "*batch"]


class Scene(eqx.Module):
    """The grid as `tiles.code`s, row by row; the cell of the agent, where it faces and what it holds; steps taken."""

    grid: UInt8[Array, "*batch cells"]
    cell: Int[Array, "*batch"]
    direction: Int[Array, "*batch"]
    hand: UInt8[Array, "*batch"]
    moment: Int[Array, "*batch"]


class Near(eqx.Module):
    """The tiles on the four sides of the agent, those on the four sides of the cell before it, and what it holds."""

    agent: UInt8[Array, "4"]
    ahead: UInt8[Array, "4"]
    hand: UInt8[Array, ""]


class XLand(AbstractWorld):
    """Rooms in which a ruleset holds that is not told: `Task.parameters` is a `Ruleset`.

    **Arguments:**

    - `rulesets`: those that tasks are drawn from, each alike, with leaves `[rulesets, ...]`; see
      `headstart.worlds.xland.rulesets.generate`.
    - `rooms`: of `headstart.worlds.xland.rooms.ROOMS`. `size`: of the grid, walls included, 5 to 255.
    - `view`: how far it sees, an odd number of 3 or more.
    - `steps`: T, in an episode at the most; 3 · `size`² if `None`, as `xminigrid` has it.

    **Raises:** `UsageError` for anything else, no rulesets, rulesets that ask what this world does not know, or that
    have more tiles than find room.
    """

    rulesets: Ruleset
    rooms: str = eqx.field(static=True, default="R1")
    size: int = eqx.field(static=True, default=9)
    view: int = eqx.field(static=True, default=5)
    steps: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        found = plan(self.rooms, self.size)
        if self.view < 3 or self.view % 2 == 0:
            raise UsageError(f"an agent cannot see {self.view} tiles far; give an odd number from 3 on")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"an episode of {self.steps} steps is none; ask for 1 step or more")
        if self.rulesets.goal.ndim != 2 or not len(self.rulesets.goal):
            raise UsageError("there is no ruleset to draw a task from; give those that generate makes")
        goals, rules = np.asarray(self.rulesets.goal), np.asarray(self.rulesets.rules)
        for what, kinds, known in (("goal", goals[:, 0], GOAL_KINDS), ("rule", rules[..., 0].ravel(), RULE_KINDS)):
            if strange := sorted(set(kinds.tolist()) - set(known.values())):
                raise UsageError(
                    f"there is no {what} of kind {strange[0]} in this world; give rulesets with the kinds "
                    f"{', '.join(map(str, sorted(known.values())))}"
                )
        tiles = [goals[:, 1:], rules[..., 1:], np.asarray(self.rulesets.tiles)]
        pairs = np.concatenate([each.reshape(-1, 2) for each in tiles])
        if (pairs >= (len(SHAPES), len(COLOURS))).any():
            shape, colour = pairs[(pairs >= (len(SHAPES), len(COLOURS))).any(axis=1)][0]
            raise UsageError(
                f"there is no tile of shape {shape} and colour {colour}; give shapes below {len(SHAPES)} and colours "
                f"below {len(COLOURS)}"
            )
        lying, room = int(np.asarray(self.rulesets.tiles).any(axis=-1).sum(axis=-1).max()), int(found.free.sum())
        if lying + 1 > room // 2:
            raise UsageError(
                f"{lying} tiles and an agent leave no room to move in a grid of {self.size} with {room} cells of floor;"
                " give a larger size, or rulesets with fewer tiles"
            )

    @property
    def actions(self) -> Discrete:
        """Forward, turn right, turn left, pick up, put down, toggle a door."""
        return Discrete(len(ACTIONS))

    @property
    def horizon(self) -> int:
        """T, the steps of an episode at the most."""
        return 3 * self.size**2 if self.steps is None else self.steps

    def task(self, *, key: Key) -> Task:
        chosen = jax.random.randint(key, (), 0, len(self.rulesets.goal))
        return Task(parameters=jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen], self.rulesets))

    def reset(self, task: Task, *, key: Key) -> tuple[Scene, View]:
        found, tiles = plan(self.rooms, self.size), codes(task.parameters.tiles)
        # All random numbers of an episode at once: a few at a time cost a CPU as much as many.
        bits = jax.random.bits(key, (len(tiles) + 2 + 2 * len(found.doors),), jnp.uint32)
        where = places(jnp.asarray(found.free), bits[: len(tiles) + 1])
        grid = found.build(bits[len(tiles) + 2 :].reshape(-1, 2))
        cells = jnp.arange(grid.size)
        for each, cell in zip(tiles, where[:-1], strict=True):
            grid = jnp.where((cells == cell) & (each != 0), each, grid)  # a tile of zeros is padding, and is nowhere
        direction = (bits[len(tiles) + 1] % SIDES).astype(jnp.int32)
        scene = Scene(grid, where[-1], direction, jnp.zeros((), jnp.uint8), jnp.zeros((), jnp.int32))
        return scene, self._see(scene)

    def step(
        self, state: Scene, task: Task, action: Int[Array, ""], *, key: Key | None = None
    ) -> tuple[Scene, Outcome]:
        ruleset = task.parameters
        grid, hand, sides = state.grid, state.hand, jnp.array([-self.size, 1, self.size, -1])
        at = lambda cells: grid.at[cells].get(mode="clip")

        before = at(state.cell + sides[state.direction])
        shape = (before // len(COLOURS)).astype(jnp.int32)
        walks = (action == FORWARD) & jnp.asarray(WALKABLE)[shape]
        cell = jnp.where(walks, state.cell + sides[state.direction], state.cell)
        direction = (state.direction + (action == RIGHT) - (action == LEFT)) % SIDES

        picks = (action == PICK) & jnp.asarray(PICKABLE)[shape] & (hand == 0)
        puts = (action == PUT) & (shape == SHAPES.index("floor")) & (hand != 0)
        unlocks = (shape == LOCKED) & (hand == code(KEY, before % len(COLOURS)))
        toggled = jnp.where(unlocks | (shape == CLOSED), OPEN, jnp.where(shape == OPEN, CLOSED, shape))
        after = code(jnp.where(action == TOGGLE, toggled, shape).astype(jnp.uint8), before % len(COLOURS))
        after = jnp.where(picks, jnp.uint8(FLOOR), jnp.where(puts, hand, after))
        hand = jnp.where(picks, before, jnp.where(puts, jnp.uint8(0), hand))

        # Who picks, puts or toggles has neither moved nor turned: the cell before it is still that one.
        changed = (jnp.arange(SIDES) == direction) & (action >= PICK)
        ahead = cell + sides[direction]
        near = Near(jnp.where(changed, after, at(cell + sides)), at(ahead + sides), hand)
        if len(ruleset.rules):  # one after the other: each sees what those before it have made
            near, _ = jax.lax.scan(
                lambda near, rule: (_applied(rule, near, direction, action), None), near, ruleset.rules
            )
        cells = jnp.arange(grid.size)
        grid = jnp.where(cells == ahead, _before(near, direction), grid)
        for side in range(SIDES if len(ruleset.rules) else 0):
            grid = jnp.where(cells == cell + sides[side], near.agent[side], grid)
            grid = jnp.where(cells == ahead + sides[side], near.ahead[side], grid)

        scene = Scene(grid, cell, direction, near.hand, state.moment + 1)
        on_agent, on_ahead, held = _met(GOAL_FORM, ruleset.goal, near, direction, action)
        reached = jnp.any(on_agent | on_ahead) | held
        reward = jnp.where(reached, 1.0 - 0.9 * scene.moment / self.horizon, 0.0)
        last = reached | (scene.moment >= self.horizon)
        return scene, Outcome(self._see(scene), reward, jnp.where(reached, 0.0, 1.0), last)

    def _see(self, scene: Scene) -> View:
        forward = jnp.arange(self.view)[::-1, None]
        aside = jnp.arange(self.view) - self.view // 2
        row, column = (jnp.array(steps)[scene.direction] for steps in ([-1, 0, 1, 0], [0, 1, 0, -1]))
        rows = scene.cell // self.size + forward * row + aside * column
        columns = scene.cell % self.size + forward * column - aside * row
        inside = (rows >= 0) & (rows < self.size) & (columns >= 0) & (columns < self.size)
        seen = jnp.where(inside, scene.grid.at[rows * self.size + columns].get(mode="clip"), jnp.uint8(0))
        return View(jnp.stack([seen // len(COLOURS), seen % len(COLOURS)], axis=-1), scene.direction)


def _met(
    form: Form, encoding: UInt8[Array, "encoding"], near: Near, direction: Int[Array, ""], action: Int[Array, ""]
) -> tuple[Bool[Array, "4"], Bool[Array, "4"], Bool[Array, ""]]:
    """Where a goal or the condition of a rule is met: around the agent, around the cell before it, or in its hand.

    Tiles next to the agent are looked for when it goes, or also when it puts something down where the side matters;
    tiles next to each other when it puts down; and its hand when it picks up.
    """
    kind, (first, second) = encoding[0], codes(encoding[1:5].reshape(2, 2))
    looks = (action == FORWARD) | (action == PUT) & ~jnp.asarray(form.on_any_side)[kind]
    on_agent = looks & jnp.asarray(form.of_agent)[kind] & (near.agent == first)
    front = _before(near, direction)
    after, before = jnp.asarray(form.of_tiles)[kind], jnp.asarray(np.roll(form.of_tiles, 2, axis=1))[kind]
    on_ahead = after & (front == first) & (near.ahead == second) | before & (front == second) & (near.ahead == first)
    held = (action == PICK) & jnp.asarray(form.held)[kind] & (near.hand == first)
    return on_agent, (action == PUT) & on_ahead, held


def _applied(rule: UInt8[Array, "7"], near: Near, direction: Int[Array, ""], action: Int[Array, ""]) -> Near:
    """What a rule makes of what is near. Of two tiles that meet, one is turned and the other leaves its place empty."""
    on_agent, on_ahead, held = _met(RULE_FORM, rule, near, direction, action)
    of_one, of_two = codes(rule[3:5]), codes(rule[5:7])
    agent = jnp.where(on_agent, of_one, near.agent)
    leaves = jnp.any(on_ahead) & (jnp.arange(SIDES) == direction)
    return Near(
        jnp.where(leaves, jnp.uint8(FLOOR), agent),
        jnp.where(on_ahead, of_two, near.ahead),
        jnp.where(held, of_one, near.hand),
    )


def _before(near: Near, direction: Int[Array, ""]) -> UInt8[Array, ""]:
    """The tile that the agent faces."""
    return jnp.sum(jnp.where(jnp.arange(SIDES) == direction, near.agent, jnp.uint8(0)), dtype=jnp.uint8)


def places(free: Bool[Array, "cells"], bits: UInt32[Array, "count"]) -> Int[Array, "count"]:
    """As many different cells among those that are free as there are random numbers, each alike.

    Random number i says which of the cells that are left. That is cell n + m of all that are free, where m counts those
    taken before it: each that, less the number of taken cells below itself, is at n or before.
    """
    below = jnp.cumsum(free, dtype=jnp.int32)
    order = jnp.arange(len(bits))
    left = (below[-1] - order).astype(jnp.uint32)

    def take(met: tuple[Array, Array], drawn: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        (taken, rank), (index, number) = met, drawn
        before = jnp.sum(taken - rank <= number)
        found = number + before
        rank = jnp.where(order == index, before, rank + (taken > found))
        return (jnp.where(order == index, found, taken), rank), found

    nothing = jnp.full(len(bits), 2 * free.size), jnp.zeros(len(bits), jnp.int32)
    _, chosen = jax.lax.scan(take, nothing, (order, (bits % left).astype(jnp.int32)))
    return jnp.sum(below <= chosen[:, None], axis=1, dtype=jnp.int32)
