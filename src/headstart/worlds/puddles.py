"""Maps of grass, puddles and things, and an instruction that says by them which cell to go to.

Janner, Narasimhan and Barzilay, *Representation learning for grounded spatial reasoning*, TACL 2018, section 5: 10 by
10 cells, 6 things of which there is one each and 4 kinds of which there are several, 4 moves; to reach the goal earns 3
and ends the episode, and to enter a puddle costs 1. The paper's maps and its people's sentences are not at hand: maps
are drawn anew, and sentences are from a grammar of our own.

An instruction is *local* where it goes by a thing of which there is one ("stop two cells left of the well"), and
*global* where it goes by the map as a whole ("just below the rock nearest to the upper right corner"). Every other one
says of another cell that it is not meant, so that whoever does not mind the order of words cannot tell them apart.
"""

from __future__ import annotations

import functools
import itertools
import random
from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError
from headstart.instructions.vocabulary import Vocabulary

__all__ = ["GOAL", "SIZE", "THINGS", "Chart", "Kind", "PuddleMaps", "Side", "vocabulary"]

SIZE = 10
GOAL, PUDDLE = 3.0, -1.0  # what entering a cell earns

Kind = Literal["local", "global"]
Side = Literal["train", "contrasts", "combinations", "paraphrases"]

UNIQUE = ("well", "church", "windmill", "statue", "bridge", "lighthouse")
SEVERAL = ("rock", "tree", "flower", "house")
THINGS = UNIQUE + SEVERAL
"""By number, from 1 on: 0 is a cell without a thing."""
COPIES = 3  # of each kind of which there are several
CANDIDATES = 32  # instructions that are drawn, of which the first that means one cell is given

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left
ANYWHERE = ((0, 0),)  # the direction of a thing of which there is one
DIRECTIONS = tuple(each for each in itertools.product((-1, 0, 1), repeat=2) if each != (0, 0))
OFFSETS = (*itertools.product((-1, 0, 1), repeat=2), (-2, 0), (0, 2), (2, 0), (0, -2))

# How a place beside a thing is said, to train by; the last way is kept back for held-out paraphrases.
_UP = ("above", "north of", "up from"), ("below", "south of", "down from")
_ACROSS = ("left of", "west of", "to the left of"), ("right of", "east of", "to the right of")
_TRAIN, _HELD_OUT = slice(0, -1), slice(-1, None)
ASKING = (
    "Go to the cell {where}.",
    "Reach the tile {where}.",
    "Move to the square {where}.",
    "Your goal is the cell {where}.",
    "Walk until you are {where}.",
    "Stop on the square that is {where}.",
    "You want to be {where}.",
    "To reach your goal, go to the square {where}.",
)
"""Ways to ask for a cell. The last one is for held-out paraphrases; its words are those of the others."""
CONTRASTS = (
    "{where}, not {other}",
    "{where} and not {other}",
    "not {other} but {where}",
    "{where} but not {other}",
)
"""Ways to say besides which cell is not meant, so that it matters in which order the words come. The last, as above."""


class Chart(eqx.Module):
    """One map: where puddles are, the number of the thing in each cell, and the cell to reach. Cells are row-major."""

    puddle: Bool[Array, "*batch size size"]
    things: Int[Array, "*batch size size"]
    goal: Int[Array, "*batch"]


class PuddleMaps(AbstractWorld):
    """Go where the words say. Seen are the map and where one is; nothing but the words tells which cell is the goal.

    What is seen is a `Chart` without its goal and the cell, a number in [0, 100): `(puddle, things, cell)`.

    **Arguments:**

    - `kind`: `"local"` or `"global"` instructions.
    - `side`: `"train"`; `"contrasts"`, those instructions of training that say what is not meant; `"combinations"` of
      a thing and a place that `"train"` never asks for; or `"paraphrases"`: the combinations of training, in sentences
      that are not among those of training, though all of their words are.

    **Raises:** `UsageError` for another kind or side.
    """

    kind: str = eqx.field(static=True, default="local")
    side: str = eqx.field(static=True, default="train")

    def __check_init__(self):
        for given, known in ((self.kind, get_args(Kind)), (self.side, get_args(Side))):
            if given not in known:
                raise UsageError(f"there are no instructions {given!r} among puddles; choose {', '.join(known)}")

    @property
    def actions(self) -> Discrete:
        return Discrete(len(MOVES))

    def task(self, *, key: Key) -> Task:
        chart_key, ask_key = jax.random.split(key)
        return self.ask(self.chart(key=chart_key), key=ask_key)

    def chart(self, *, key: Key) -> Chart:
        """A map. About three cells in ten are puddles, and they lie together."""
        wet_key, place_key = jax.random.split(key)
        noise = jnp.pad(jax.random.normal(wet_key, (SIZE, SIZE)), 1)
        smooth = sum(noise[i : i + SIZE, j : j + SIZE] for i in range(3) for j in range(3))
        puddle = smooth > jnp.quantile(smooth, 0.7)
        laid = np.array([*range(1, 1 + len(UNIQUE)), *np.repeat(np.arange(1 + len(UNIQUE), 1 + len(THINGS)), COPIES)])
        cells = jax.random.permutation(place_key, SIZE * SIZE)[: len(laid)]
        things = jnp.zeros(SIZE * SIZE, jnp.int32).at[cells].set(jnp.array(laid, jnp.int32))
        return Chart(puddle, things.reshape(SIZE, SIZE), jnp.zeros((), jnp.int32))

    def ask(self, chart: Chart, *, key: Key) -> Task:
        """A task on this map: an instruction that means one cell of it, in one of its paraphrases."""
        draw_key, word_key = jax.random.split(key)
        asked, told = _asked(self.kind, self.side), jnp.array(_told(self.kind, self.side))
        drawn = jax.random.randint(draw_key, (CANDIDATES,), 0, len(asked))
        goals, meant = jax.vmap(functools.partial(_meant, chart))(jnp.array(asked)[drawn])
        first = jnp.argmax(meant)  # all but never is there none
        words = told[drawn[first], jax.random.randint(word_key, (), 0, told.shape[1])]
        parameters = eqx.tree_at(lambda chart: chart.goal, chart, goals[first])
        return Task(parameters=parameters, instruction=words.astype(jnp.int32))

    def reset(self, task: Task, *, key: Key) -> tuple[Int[Array, ""], tuple[Array, Array, Array]]:
        away = jax.random.randint(key, (), 1, SIZE * SIZE)
        cell = (task.parameters.goal + away) % (SIZE * SIZE)  # any but the goal
        return cell, self._seen(task, cell)

    def step(
        self, state: Int[Array, ""], task: Task, action: Int[Array, ""], *, key: Key | None = None
    ) -> tuple[Int[Array, ""], Outcome]:
        cell = jnp.array(AFTER, jnp.int32)[state, action]
        over = cell == task.parameters.goal
        reward = self.rewards(task.parameters)[cell]
        return cell, Outcome(self._seen(task, cell), reward, 1.0 - over, over)

    def _seen(self, task: Task, cell: Int[Array, ""]) -> tuple[Array, Array, Array]:
        return task.parameters.puddle, task.parameters.things, cell

    @staticmethod
    def rewards(chart: Chart) -> Float[Array, "cells"]:
        """What it earns to enter each cell; 2 for a goal in a puddle."""
        return PUDDLE * chart.puddle.reshape(-1) + GOAL * (jnp.arange(SIZE * SIZE) == chart.goal)

    @staticmethod
    def values(chart: Chart, discount: float) -> Float[Array, "cells"]:
        """V(s) = R(s) + γ maxₛ′ V(s′), with what entering s earns counted in, as in the paper; R(s) for the goal."""
        rewards, there = PuddleMaps.rewards(chart), jnp.arange(SIZE * SIZE) == chart.goal
        better = lambda _, values: rewards + discount * jnp.max(values[AFTER], axis=1) * ~there
        return jax.lax.fori_loop(0, 3 * SIZE, better, jnp.where(there, rewards, -GOAL))


AFTER: np.ndarray = np.array(
    [
        [
            SIZE * (row + down) + column + right if 0 <= row + down < SIZE and 0 <= column + right < SIZE else cell
            for down, right in MOVES
        ]
        for cell, (row, column) in enumerate(itertools.product(range(SIZE), repeat=2))
    ]
)
"""Where each move leads from each cell, `[100, 4]`: off the map is nowhere."""


def _meant(chart: Chart, asked: Int[Array, "5"]) -> tuple[Int[Array, ""], Bool[Array, ""]]:
    """The cell that is meant by a thing, a direction and an offset, and whether they do mean one cell."""
    thing, direction, offset = asked[0], asked[1:3], asked[3:]
    cells = jnp.array(list(itertools.product(range(SIZE), repeat=2)))
    far = jnp.where(chart.things.reshape(-1) == thing, cells @ direction, -2 * SIZE)
    row, column = cells[jnp.argmax(far)] + offset
    inside = (row >= 0) & (row < SIZE) & (column >= 0) & (column < SIZE)
    return SIZE * row + column, inside & (jnp.sum(far == jnp.max(far)) == 1)


@functools.cache
def _asked(kind: str, side: str) -> np.ndarray:
    """All that may be asked, a row each: the thing, the direction in which it is the last of its kind, the offset.

    Of the combinations of a thing with a direction, or, where there is one, with an offset, one in four is held out,
    so that training meets each of them with others.
    """
    things = range(1, 1 + len(UNIQUE)) if kind == "local" else range(1 + len(UNIQUE), 1 + len(THINGS))
    directions = ANYWHERE if kind == "local" else DIRECTIONS
    rows = []
    for thing, direction, offset in itertools.product(things, directions, OFFSETS):
        with_thing = OFFSETS.index(offset) if kind == "local" else DIRECTIONS.index(direction)
        held_out = (with_thing + 3 * thing) % 4 == 1
        if held_out == (side == "combinations"):
            rows.append((thing, *direction, *offset))
    return np.array(rows, np.int32)


@functools.cache
def _told(kind: str, side: str) -> np.ndarray:
    """Each of `_asked` in words, `[asked, paraphrases, words]`."""
    return np.array(
        [[vocabulary().tokens(text) for text in _sentences(*row, side=side)] for row in _asked(kind, side).tolist()],
        np.int16,
    )


@functools.cache
def vocabulary() -> Vocabulary:
    """The words of all instructions. Those that are held out are made of the words of training."""
    kinds = get_args(Kind)
    rows = [row for kind in kinds for row in _asked(kind, "train").tolist()]
    texts = [text for row in rows for side in ("train", "paraphrases") for text in _sentences(*row, side=side)]
    return Vocabulary.of_texts(texts)


PARAPHRASES = 60  # of each


@functools.cache
def _sentences(thing: int, south: int, east: int, down: int, right: int, *, side: str) -> list[str]:
    """Paraphrases, of which every other one says what is not meant. Which ones is drawn by what is asked alone."""
    of = _HELD_OUT if side == "paraphrases" else _TRAIN
    # Of one choice at a time, a generator of NumPy takes ten times as long.
    rng = random.Random(repr((side == "paraphrases", thing, south, east, down, right)))
    pick = rng.choice

    def place(thing: int, south: int, east: int, down: int, right: int) -> str:
        name = THINGS[thing - 1]
        named = f"the {name}" if (south, east) == (0, 0) else pick(_farthest(south, east)[of]).format(name)
        return pick(_beside(down, right)[of]).format(named)

    def another() -> str:
        """Another thing of the same sort, with a place that is drawn alike."""
        names, directions = (UNIQUE, ANYWHERE) if thing <= len(UNIQUE) else (SEVERAL, DIRECTIONS)
        base = 1 if thing <= len(UNIQUE) else 1 + len(UNIQUE)
        other = base + (thing - base + rng.randrange(1, len(names))) % len(names)
        return place(other, *pick(directions), *pick(OFFSETS))

    def sentence(contrast: bool) -> str:
        where = place(thing, south, east, down, right)
        if contrast:
            where = pick(CONTRASTS[of]).format(where=where, other=another())
        return pick(ASKING[of]).format(where=where)

    return [sentence(side == "contrasts" or number % 2 == 1) for number in range(PARAPHRASES)]


def _beside(down: int, right: int) -> tuple[str, ...]:
    """A place beside a thing, which goes where the braces are."""
    if (down, right) == (0, 0):
        return ("on {}", "at {}", "just where {} is", "just on {}")
    ups, across = _UP[down > 0], _ACROSS[right > 0]
    if down and right:
        one, other = [way.removesuffix(" of").removesuffix(" from") for way in ups], across
        return (
            f"diagonally {one[0]} and {other[0]} {{}}",
            f"{one[1]} {other[1]} {{}}",
            f"{one[0]} and {other[2]} {{}}",
            f"one cell {other[0]} and one cell {ups[0]} {{}}",
        )
    ways = ups if down else across
    number, s = ("two", "s") if abs(down + right) == 2 else ("one", "")
    return (
        f"{number} cell{s} {ways[0]} {{}}",
        f"{number} {ways[1]} {{}}",
        f"{number} square{s} {ways[2]} {{}}",
        f"{number} square{s} {ways[0]} {{}}",
    )


def _farthest(south: int, east: int) -> tuple[str, ...]:
    """The last of several things in a direction; the kind goes where the braces are."""
    up, side = ("upper", "", "lower")[south + 1], ("left", "", "right")[east + 1]
    north, west = ("north", "", "south")[south + 1], ("west", "", "east")[east + 1]
    if south and east:
        return (
            f"the {{}} nearest to the {up} {side} corner",
            f"the most {north}{west}ern {{}}",
            f"the {{}} closest to the {north} {west} corner",
            f"the {{}} that is nearest to the {north} {west} corner",
        )
    edge, word = (("top", "", "bottom")[south + 1], north) if south else (side, west)
    return (
        f"the {edge}most {{}}",
        f"the {word}ernmost {{}}",
        f"the {{}} nearest to the {edge} edge",
        f"the {{}} closest to the {word} edge",
    )
