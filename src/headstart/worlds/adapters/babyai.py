"""BabyAI's missions in a single room as a world: "go to the red ball", "pick up a box on your left".

Chevalier-Boisvert and others, *BabyAI: a platform to study the sample efficiency of grounded language learning*, ICLR
2019. The package `minigrid` makes the levels, each by its seed; a level is then taken apart into arrays, and what
follows from an action is computed here. So a world is pure, and an agent trains in it inside one `jit`; what it sees
and earns is what `minigrid` itself would show and pay for the same actions.

    world = BabyAI.of(draw_levels("GoToLocal", 2_000), vocabulary().tokens)

| BabyAI | here |
|---|---|
| `image` | `Seen.image`, by column and row, the agent in the middle of the last row and looking up |
| `direction` | `Seen.direction` |
| `mission` | `Levels.missions`, and as numbers of words the task's instruction |
| success | a reward above 0: 1 − 0.9 · steps / limit |
| terminated, truncated | a discount of 0, and `last` without one |

Levels with doors, with several rooms or with missions of several parts are refused.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, UInt8

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError, require, unknown
from headstart.instructions.vocabulary import Vocabulary

__all__ = [
    "ACTIONS",
    "COLOURS",
    "KINDS",
    "PARTS",
    "VIEW",
    "BabyAI",
    "Level",
    "Levels",
    "Seen",
    "draw_levels",
    "environment",
    "reworded",
    "vocabulary",
]

ACTIONS = ("left", "right", "forward", "pickup", "drop", "toggle", "done")
"""What an agent can do, in the order of their numbers. The last does nothing."""
LEFT, RIGHT, FORWARD, PICK_UP, DROP, TOGGLE, _DONE = range(len(ACTIONS))

KINDS = ("unseen", "empty", "wall", "floor", "door", "key", "ball", "box", "goal", "lava", "agent")
"""What a cell holds, in the order of the numbers in the first layer of an image."""
EMPTY, WALL, BALL, BOX = (KINDS.index(kind) for kind in ("empty", "wall", "ball", "box"))
KEY = KINDS.index("key")
COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
"""In the order of the numbers in the second layer of an image."""
GREY = COLOURS.index("grey")

PARTS = ("verb", "thing", "colour", "place")
"""What of a mission can be said in other words."""

VIEW = 7
"""Rows and columns of what is seen."""
AHEAD = np.array(((1, 0), (0, 1), (-1, 0), (0, -1)), np.int32)  # a step to where one looks: east, south, west, north
SEEDS = 1_000_000  # how many levels there are of a seed


class Seen(eqx.Module):
    """What is seen: of each cell what it holds, its colour and the state of a door, which is 0 here; and where one
    looks: east, south, west or north."""

    image: UInt8[Array, "*batch 7 7 3"]
    direction: Int[Array, "*batch"]


class Level(eqx.Module):
    """A level as arrays. Columns come before rows, as in `minigrid`.

    - `kinds`, `colours`: what each cell holds, by the numbers of `KINDS` and `COLOURS`.
    - `asked`: where what the mission speaks of lies at first.
    - `to_carry`: whether it is to be picked up. It is to be stood before otherwise.
    - `place`, `direction`: of the agent at first.
    - `limit`: steps of an episode.
    """

    kinds: UInt8[Any, "*batch columns rows"]
    colours: UInt8[Any, "*batch columns rows"]
    asked: Bool[Any, "*batch columns rows"]
    to_carry: Bool[Any, "*batch"]
    place: Int[Any, "*batch 2"]
    direction: Int[Any, "*batch"]
    limit: Int[Any, "*batch"]


@dataclass(frozen=True, eq=False)
class Levels:
    """Levels of one name as NumPy arrays `[levels, ...]`, and the mission of each in words."""

    name: str
    arrays: Level
    missions: tuple[str, ...]


class Standing(eqx.Module):
    """Where an episode stands. What is carried has the number 0 for its kind where nothing is."""

    kinds: UInt8[Array, "columns rows"]
    colours: UInt8[Array, "columns rows"]
    asked: Bool[Array, "columns rows"]
    place: Int[Array, "2"]
    direction: Int[Array, ""]
    carried: UInt8[Array, "2"]
    steps: Int[Array, ""]


class BabyAI(AbstractWorld):
    """A bank of levels, each as likely as any other. A task's parameters are its `Level`, its instruction the mission.

    **Arguments:**

    - `levels`: `[levels, ...]`.
    - `told`: the mission of each, as whoever reads it takes texts in.
    - `name`: of these levels.
    """

    levels: Level
    told: Int[Array, "levels words"]
    name: str = eqx.field(static=True)

    @classmethod
    def of(cls, levels: Levels, numbered: Callable[[str], Int[np.ndarray, "words"]]) -> BabyAI:
        """The world of these levels.

        **Arguments:**

        - `numbered`: a text as numbers, always as many, such as `vocabulary().tokens`.
        """
        known = {mission: numbered(mission) for mission in dict.fromkeys(levels.missions)}
        told = np.stack([known[mission] for mission in levels.missions])
        return cls(jax.tree.map(jnp.asarray, levels.arrays), jnp.asarray(told), levels.name)

    @property
    def actions(self) -> Discrete:
        return Discrete(len(ACTIONS))

    def task(self, *, key: Key) -> Task:
        number = jax.random.randint(key, (), 0, self.told.shape[0])
        return Task(jax.tree.map(lambda leaf: leaf[number], self.levels), instruction=self.told[number])

    def reset(self, task: Task, *, key: Key) -> tuple[Standing, Seen]:
        level = task.parameters
        state = Standing(
            kinds=level.kinds,
            colours=level.colours,
            asked=level.asked,
            place=level.place,
            direction=level.direction,
            carried=jnp.zeros(2, jnp.uint8),
            steps=jnp.zeros((), jnp.int32),
        )
        return state, _seen(state)

    def step(self, state: Standing, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Standing, Outcome]:
        level = task.parameters
        before = state.place + jnp.asarray(AHEAD)[state.direction]
        here = _only(before, state.kinds.shape)
        kind, colour = (jnp.sum(layer * here, dtype=jnp.uint8) for layer in (state.kinds, state.colours))
        free, empty_handed = kind == EMPTY, state.carried[0] == 0
        thing = (kind == KEY) | (kind == BALL) | (kind == BOX)
        taken = (action == PICK_UP) & thing & empty_handed
        dropped = (action == DROP) & free & ~empty_handed
        opened = (action == TOGGLE) & (kind == BOX)  # a box of these levels holds nothing, and vanishes
        gone = here & (taken | opened)
        turn = jnp.where(action == RIGHT, 1, 0) - jnp.where(action == LEFT, 1, 0)
        after = Standing(
            kinds=jnp.where(gone, EMPTY, jnp.where(here & dropped, state.carried[0], state.kinds)).astype(jnp.uint8),
            colours=jnp.where(gone, 0, jnp.where(here & dropped, state.carried[1], state.colours)).astype(jnp.uint8),
            asked=state.asked & ~gone,  # and never put down again: to have picked it up is the end
            place=jnp.where((action == FORWARD) & free, before, state.place),
            direction=(state.direction + turn) % 4,
            carried=jnp.where(taken, jnp.stack([kind, colour]), jnp.where(dropped, 0, state.carried)).astype(jnp.uint8),
            steps=state.steps + 1,
        )
        # One stands before a thing where it lay at first: to take it away does not undo that it was reached.
        reached = jnp.any(level.asked & _only(after.place + jnp.asarray(AHEAD)[after.direction], level.asked.shape))
        over = jnp.where(level.to_carry, taken & jnp.any(here & state.asked), reached)
        reward = jnp.where(over, 1.0 - 0.9 * after.steps / level.limit, 0.0)
        return after, Outcome(_seen(after), reward, 1.0 - over, over | (after.steps >= level.limit))


def draw_levels(name: str, count: int, *, seed: int = 0) -> Levels:
    """Levels as `minigrid` makes them.

    **Arguments:**

    - `name`: as BabyAI names them: `"GoToObj"`, `"GoToLocal"`, `"PickupLoc"`, ...
    - `count`: how many. The first of them stay the same where more are asked for.
    - `seed`: whose levels. No two share a seed of `minigrid`.

    **Raises:** `MissingExtra` without `minigrid`; `UsageError` for what there is not, or none of, or what is not
    simulated.
    """
    if not 1 <= count <= SEEDS:
        raise UsageError(f"{count} levels cannot be had; ask for 1 to {SEEDS:,}")
    made = environment(name)
    missions, found = [], []
    for number in range(count):
        with _silence():  # it prints each level that it tries in vain
            made.reset(seed=seed * SEEDS + number)
        missions.append(made.mission)
        found.append(_taken_apart(made, name))
    return Levels(name, jax.tree.map(lambda *leaves: np.stack(leaves), *found), tuple(missions))


def environment(name: str) -> Any:
    """The environment of `minigrid` itself, whose `reset(seed=...)` makes a level.

    **Raises:** `MissingExtra` without `minigrid`; `UsageError` for a level that it does not have.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # which draws pictures, and greets whoever imports it
    require("minigrid", "babyai")
    gymnasium = require("gymnasium", "babyai")
    names = {key.removeprefix("BabyAI-").rpartition("-v")[0]: key for key in gymnasium.registry if "BabyAI-" in key}
    if name not in names:
        raise unknown("level of BabyAI", name, names)
    return gymnasium.make(names[name]).unwrapped


def _taken_apart(made: Any, name: str) -> Level:
    """What the environment has made last."""
    verifier = require("minigrid.envs.babyai.core.verifier", "babyai")
    asks = made.instrs
    kinds, colours, _ = np.moveaxis(made.grid.encode(), -1, 0)
    simple = type(asks) in (verifier.GoToInstr, verifier.PickupInstr) and not getattr(asks, "strict", False)
    if not simple or not np.isin(kinds, (EMPTY, WALL, KEY, BALL, BOX)).all():
        raise UsageError(
            f"{name} has doors or missions that are not simulated here; choose a level of one room, such as GoToLocal"
        )
    asked = np.zeros(kinds.shape, bool)
    asked[tuple(np.array(asks.desc.obj_poss).T)] = True
    return Level(
        kinds=np.asarray(kinds, np.uint8),
        colours=np.asarray(colours, np.uint8),
        asked=asked,
        to_carry=np.asarray(isinstance(asks, verifier.PickupInstr)),
        place=np.asarray(made.agent_pos, np.int32),
        direction=np.asarray(made.agent_dir, np.int32),
        limit=np.asarray(made.max_steps, np.int32),
    )


@functools.cache
def vocabulary() -> Vocabulary:
    """The words of all missions of these levels. Sixteen words of a text are read, of which no mission has more."""
    frame = "go to pick up a the object ball box key in front of behind on your left right you"
    return Vocabulary.of_texts([" ".join((frame, *COLOURS))], words=16)


def reworded(mission: str, parts: Sequence[str], rng: np.random.Generator) -> str:
    """A mission in other words: "fetch the crimson orb at your back". What does not occur in it stays away.

    **Arguments:**

    - `parts`: what is said otherwise, of `PARTS`.
    - `rng`: decides how. It is advanced.

    **Raises:** `UsageError` for another part.
    """
    for part in parts:
        if part not in PARTS:
            raise unknown("part of a mission", part, PARTS)
        for phrase, others in _phrases()[part].items():
            chosen = others[int(rng.integers(len(others)))]
            mission = re.sub(rf"\b{phrase}\b", chosen, mission)
    return mission


@functools.cache
def _phrases() -> dict[str, dict[str, list[str]]]:
    text = resources.files(__package__).joinpath("babyai_phrases.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _only(cell: Int[Array, "2"], shape: tuple[int, ...]) -> Bool[Array, "columns rows"]:
    """True at a cell alone. To choose so what to change is quicker than to scatter, where many lanes do it at once."""
    columns, rows = (jnp.arange(size) for size in shape)
    return (columns == cell[0])[:, None] & (rows == cell[1])


def _seen(state: Standing) -> Seen:
    """What is seen from where one stands: the cells ahead, turned so that ahead is up."""
    ahead = jnp.asarray(AHEAD)[state.direction]
    aside = jnp.stack([-ahead[1], ahead[0]])  # to the right
    far = jnp.arange(VIEW - 1, -1, -1)[None, :, None]
    wide = (jnp.arange(VIEW) - VIEW // 2)[:, None, None]
    cells = state.place + far * ahead + wide * aside
    columns, rows = state.kinds.shape
    inside = jnp.all((cells >= 0) & (cells < jnp.array([columns, rows])), axis=-1)
    numbers = jnp.clip(cells[..., 0], 0, columns - 1) * rows + jnp.clip(cells[..., 1], 0, rows - 1)
    kinds = jnp.where(inside, state.kinds.ravel()[numbers], WALL)
    colours = jnp.where(inside, state.colours.ravel()[numbers], GREY)
    visible = _visible(kinds != WALL)
    own = _only(jnp.array([VIEW // 2, VIEW - 1]), (VIEW, VIEW))
    held = jnp.where(state.carried[0] > 0, state.carried, jnp.array([EMPTY, 0], jnp.uint8))
    kinds, colours = (jnp.where(own, held[layer], seen) for layer, seen in enumerate((kinds, colours)))
    image = jnp.stack([kinds, colours, jnp.zeros_like(kinds)], axis=-1) * visible[..., None]
    return Seen(image.astype(jnp.uint8), state.direction)


def _visible(clear: Bool[Array, "7 7"]) -> Bool[Array, "7 7"]:
    """Which cells of a view can be seen, by those that one can look through.

    Sight spreads from the agent: along a row to the right, then along it to the left, and from each cell that was so
    reached and is clear to the row ahead, straight and aslant in the direction of the spreading. A row is a number
    here, whose bits are its columns, so that many are spread at once.
    """
    powers = 2 ** jnp.arange(VIEW)
    rows = jnp.sum(clear * powers[:, None], axis=0)
    everything, last = 2**VIEW - 1, 2 ** (VIEW - 1)
    seen, found = jnp.array(2 ** (VIEW // 2)), []
    for row in reversed(range(VIEW)):
        through = rows[row]
        for _ in range(VIEW - 1):
            seen = seen | (((seen & through) << 1) & everything)
        source = seen & through & (everything - last)
        following = source | (source << 1)
        for _ in range(VIEW - 1):
            seen = seen | ((seen & through) >> 1)
        source = seen & through & (everything - 1)
        found.append(seen)
        seen = following | source | (source >> 1)
    return (jnp.stack(found[::-1])[None, :] // powers[:, None]) % 2 == 1
