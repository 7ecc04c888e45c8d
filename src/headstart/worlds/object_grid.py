"""A grid of objects, and a list of instructions: visit this, pick up that, transform two of those.

After the domain of Oh, Singh, Lee and Kohli, *Zero-shot task generalization with multi-task deep reinforcement
learning*, ICML 2017, section 6, in two dimensions: what is asked for are pairs of a verb and an object, one after the
other; to do to an object what was not asked for ends it all; every step costs a little; and now and then a box appears,
which no instruction speaks of, pays whoever transforms it, and is gone again soon.

The grid is a torus: its edges are joined, and one sees all of it from where one stands, who is always in the middle.
Whatever was picked up or transformed is gone, and another one of its kind appears somewhere else, so that no list
becomes impossible.

Two families of verbs. In the `"independent"` one, a verb means the same whatever it is said of: visit, pick up,
transform. In the `"dependent"` one, "interact" means to pick up an object of the first class and to transform one of
the second, and "counter" means the other of the two; the class of an object can be seen nowhere. Of the 24 pairs of
either family 16 are for training and 8 are held out, of every object one; each verb and each object occurs in both.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

__all__ = [
    "BOX",
    "CUMULANTS",
    "KINDS",
    "LONGEST",
    "OBJECTS",
    "SIZES",
    "VERBS",
    "WORDS",
    "Family",
    "ObjectGrid",
    "Side",
    "Standing",
    "View",
    "asked",
    "check_apart",
    "done",
    "pairs",
    "words",
]

SIZES = (7, 10)
OBJECTS = ("cow", "pig", "duck", "cat", "tree", "rock", "gold", "well")
"""Kinds of objects. As a number, one is its place here and 1 more: 0 is nothing. The first four are the first class."""

BOX = len(OBJECTS) + 1
"""The number of a box, of which no instruction speaks."""

KINDS = BOX  # of what may lie in a cell, numbered from 1

Family = Literal["independent", "dependent"]
Side = Literal["train", "held-out", "all"]

VERBS: dict[str, tuple[str, ...]] = {
    "independent": ("visit", "pick up", "transform"),
    "dependent": ("visit", "interact", "counter"),
}
"""The verbs of each family. As a number, one is its place here and 1 more."""

WORDS = 3
"""Words of an instruction: the numbers of its verb and its object, and how many times. Zeros are no instruction."""

LONGEST = 100
"""Instructions in a list, at most."""

CUMULANTS = ("instructions", "boxes", "boxes gone", "wrong", "lists")
"""What `Outcome.cumulants` counts, each for one step: instructions carried out, boxes transformed, boxes that are gone
for whatever reason, objects to which was done what nobody asked for, and lists that were finished."""

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1), (0, 0), (0, 0), (0, 0))
PICK, TRANSFORM, STAY = 4, 5, 6  # actions after the four moves: up, right, down, left

STEP, FINISHED, WRONG, BOXED = -0.02, 1.0, -1.0, 0.5  # what a step, a list, a wrong deed and a box are worth
PAUSE, EACH = 20, 10  # steps that there are for a list, and for each of its instructions besides

# The verb, by its place, that is held out of each object: each verb of two objects or three.
_HELD_OUT = {"independent": (0, 1, 2, 0, 1, 2, 1, 2), "dependent": (1, 2, 0, 1, 2, 1, 0, 2)}


def _check(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise UsageError(f"there is no {name} {given!r} of the object grid; choose {', '.join(known)}")


def pairs(side: str = "train", family: str = "independent") -> tuple[tuple[int, int], ...]:
    """The pairs of a verb and an object, by their numbers, of a side of a family.

    **Arguments:**

    - `side`: `"train"`, 16 pairs; `"held-out"`, the 8 others; or `"all"` 24.
    - `family`: `"independent"` or `"dependent"`.

    **Raises:** `UsageError` for another side or family.
    """
    _check("side", side, get_args(Side))
    _check("family", family, get_args(Family))
    every = [(verb, thing) for verb in range(1, 4) for thing in range(1, BOX)]
    held_out = [(verb + 1, thing) for thing, verb in enumerate(_HELD_OUT[family], start=1)]
    return tuple(pair for pair in every if side == "all" or (pair in held_out) == (side == "held-out"))


def check_apart(training: Collection[tuple[int, int]], held_out: Collection[tuple[int, int]]) -> None:
    """Nothing if no pair is on both sides.

    **Raises:** `UsageError` naming one that is.
    """
    both = sorted(set(training) & set(held_out))
    if both:
        raise UsageError(
            f"{len(both)} pairs of a verb and an object are in training and held out, the first of them {both[0]}; "
            "take them from one side"
        )


def words(*instructions: tuple[int, int, int], slots: int | None = None) -> Int[Array, "words"]:
    """A list of instructions, each a verb, an object and how many times, as a `Task` has it.

    **Arguments:**

    - `slots`: for how many instructions there is room; as many as there are if `None`.

    **Raises:** `UsageError` for no instruction, or for more than there is room for.
    """
    room = len(instructions) if slots is None else slots
    _check_length(len(instructions), room)
    flat = [number for instruction in instructions for number in instruction]
    return jnp.array(flat + [0] * (WORDS * room - len(flat)), jnp.int32)


def asked(family: str, verb: Int[Array, "*batch"], thing: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
    """What a verb asks for: 0 is to be in the same cell, 1 to pick up, 2 to transform.

    A box is transformed by any verb but "visit".
    """
    deed = verb - 1
    if family == "dependent":
        swapped = (thing > len(OBJECTS) // 2) & (deed > 0)
        deed = jnp.where(swapped, 3 - deed, deed)
    return jnp.where((thing == BOX) & (deed > 0), 2, deed)


class View(eqx.Module):
    """What is seen: the number of what lies in each cell, 0 for nothing, with oneself in the middle; and the number of
    what the last step picked up, and of what it transformed, 0 for nothing."""

    cells: Int[Array, "*batch size size"]
    picked: Int[Array, "*batch"]
    transformed: Int[Array, "*batch"]

    @property
    def planes(self) -> Float[Array, "*batch size size kinds"]:
        """One plane for each kind of what may lie in a cell, 1 where it does: objects by number, and then boxes."""
        return jax.nn.one_hot(self.cells - 1, KINDS)


def done(view: View, family: str, verb: Int[Array, ""], thing: Int[Array, ""]) -> Bool[Array, ""]:
    """Whether what was just seen is what a verb asks to be done to an object, once. Unbatched."""
    middle = view.cells.shape[-1] // 2
    deed = asked(family, verb, thing)
    found = jnp.stack([view.cells[middle, middle], view.picked, view.transformed])
    return (deed >= 0) & (thing > 0) & (found[jnp.maximum(deed, 0)] == thing)


class Standing(eqx.Module):
    """Where a game stands: one's cell, row and column; what lies where; what was picked up and transformed last; the
    place in the list, and how often it is to be done still; steps taken, and steps for which a box has lain there."""

    place: Int[Array, "2"]
    things: Int[Array, "size size"]
    picked: Int[Array, ""]
    transformed: Int[Array, ""]
    index: Int[Array, ""]
    remaining: Int[Array, ""]
    steps: Int[Array, ""]
    age: Int[Array, ""]


class ObjectGrid(AbstractWorld):
    """Carry out a list of instructions, in order. Actions: up, right, down, left, pick up, transform, stay.

    A task's instruction is `[slots · 3]`: see `WORDS`. The list is finished, and the episode over, with the last of
    them, which pays 1; a step costs 0.02, a wrong deed 1, and a box pays 0.5. How far one has come is not told.

    **Arguments:**

    - `pairs`: those of a verb and an object, by number, that instructions are drawn from, with equal chances.
    - `family`: what verbs mean, `"independent"` or `"dependent"` of what they are said of.
    - `length`: instructions in a list, at most 100; `shortest`: at least, as many as `length` if `None`.
    - `slots`: for how many there is room in the instruction, as many as `length` if `None`.
    - `counts`: how many times an instruction other than a visit may be asked for, at most.
    - `size`: cells along an edge, 7 or 10.
    - `copies`: of each object.
    - `events`: the chance, at each step, that a box appears where there is none.
    - `lasting`: steps after which a box that nobody has transformed is gone.
    - `each`: what an instruction is worth that is carried out, besides the list as a whole.
    - `limit`: steps of an episode; 20, and 10 for each time that something is to be done, if `None`.

    **Raises:** `UsageError` for a list of no instruction, or of more than 100 or than there is room for; for another
    size or family; for no pair or one that there is not; and for numbers out of their range.
    """

    pairs: tuple[tuple[int, int], ...] = eqx.field(static=True, default=pairs())
    family: str = eqx.field(static=True, default="independent")
    length: int = eqx.field(static=True, default=1)
    shortest: int | None = eqx.field(static=True, default=None)
    slots: int | None = eqx.field(static=True, default=None)
    counts: int = eqx.field(static=True, default=1)
    size: int = eqx.field(static=True, default=7)
    copies: int = eqx.field(static=True, default=2)
    events: float = eqx.field(static=True, default=0.0)
    lasting: int = eqx.field(static=True, default=15)
    each: float = eqx.field(static=True, default=0.0)
    limit: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        _check("family", self.family, get_args(Family))
        _check_length(self.length, self.room)
        if not 1 <= self.fewest <= self.length:
            raise UsageError(
                f"lists of {self.fewest} to {self.length} instructions cannot be had; begin with 1 or more"
            )
        if self.size not in SIZES:
            raise UsageError(
                f"an object grid of {self.size} by {self.size} cells cannot be had; ask for a size of 7 or 10"
            )
        if not 0 <= self.events <= 1:
            raise UsageError(f"boxes cannot appear with a chance of {self.events}; give one of 0 to 1")
        for name, given, most in (
            ("counts", self.counts, 9),
            ("copies", self.copies, 4),
            ("lasting", self.lasting, None),
        ):
            if given < 1 or (most is not None and given > most):
                raise UsageError(f"{name} of {given} cannot be had; ask for 1 {f'to {most}' if most else 'or more'}")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"a limit of {self.limit} steps leaves none; ask for 1 step or more")
        strange = sorted(set(self.pairs) - {*pairs("all"), (3, BOX)})
        if strange or not self.pairs:
            raise UsageError(
                f"{strange[0] if strange else 'no pair at all'} is no pair of a verb, 1 to 3, and an object, 1 to "
                f"{len(OBJECTS)}; take some of pairs('all')"
            )

    @property
    def actions(self) -> Discrete:
        return Discrete(len(MOVES))

    @property
    def room(self) -> int:
        """For how many instructions there is room in a task."""
        return self.length if self.slots is None else self.slots

    @property
    def fewest(self) -> int:
        return self.length if self.shortest is None else self.shortest

    def task(self, *, key: Key) -> Task:
        length_key, pair_key, count_key = jax.random.split(key, 3)
        length = jax.random.randint(length_key, (), self.fewest, self.length + 1)
        chosen = jnp.array(self.pairs, jnp.int32)[jax.random.randint(pair_key, (self.room,), 0, len(self.pairs))]
        times = jax.random.randint(count_key, (self.room, 1), 1, self.counts + 1)
        times = jnp.where(chosen[:, :1] == 1, 1, times)  # to visit something twice in a row is nothing new
        listed = jnp.concatenate([chosen, times], axis=1) * (jnp.arange(self.room) < length)[:, None]
        return Task(instruction=listed.ravel())

    def reset(self, task: Task, *, key: Key) -> tuple[Standing, View]:
        cells = self.size * self.size
        lying = (
            jnp.zeros(cells, jnp.int32)
            .at[: self.copies * len(OBJECTS)]
            .set(jnp.tile(jnp.arange(1, BOX, dtype=jnp.int32), self.copies))
        )
        # Whatever lies anywhere is shuffled, and one stands in the cell that was last: it was empty.
        order = jnp.argsort(jax.random.uniform(key, (cells,)))
        things = jnp.zeros(cells, jnp.int32).at[order].set(lying).reshape(self.size, self.size)
        zero = jnp.zeros((), jnp.int32)
        place = jnp.stack(jnp.divmod(order[-1], self.size)).astype(jnp.int32)
        state = Standing(place, things, zero, zero, zero, self._listed(task)[0, 2], zero, zero)
        return state, self._see(state)

    def step(self, state: Standing, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Standing, Outcome]:
        event_key, cell_key = jax.random.split(key)
        listed = self._listed(task)
        place = (state.place + jnp.array(MOVES, jnp.int32)[action]) % self.size
        on = state.things[place[0], place[1]]
        picked = jnp.where((action == PICK) & (on != BOX), on, 0)
        transformed = jnp.where(action == TRANSFORM, on, 0)
        taken = jnp.maximum(picked, transformed)

        # What is gone appears elsewhere; a box that is gone does not, until chance has it so.
        nowhere = jnp.zeros((), jnp.int32)
        boxed, lay = transformed == BOX, jnp.any(state.things == BOX)
        gone = lay & ~boxed & (state.age + 1 >= self.lasting)
        things = jnp.where(gone & (state.things == BOX), nowhere, state.things)
        things = things.at[place[0], place[1]].set(jnp.where(taken > 0, nowhere, on * ~(gone & (on == BOX))))
        chance = jax.random.uniform(cell_key, things.shape).at[place[0], place[1]].set(-1.0)
        things = self._put(things, jnp.where(boxed, 0, taken), chance)
        appears = ~lay & jax.random.bernoulli(event_key, self.events)
        things = self._put(things, jnp.where(appears, BOX, 0), chance)
        age = jnp.where(lay & ~boxed & ~gone, state.age + 1, 0)

        after = Standing(place, things, picked, transformed, state.index, state.remaining, state.steps + 1, age)
        view = self._see(after)
        verb, thing, _ = listed[state.index]
        hit = done(view, self.family, verb, thing)
        # To visit is to be there, whatever one does: but to do something to what is visited was not asked for.
        hit = hit & ((verb != 1) | (taken == 0))
        wrong = (taken > 0) & ~boxed & ~hit
        remaining = state.remaining - hit
        onwards = hit & (remaining <= 0)
        index = state.index + onwards
        finished = onwards & (index >= jnp.sum(listed[:, 0] > 0))
        index = jnp.minimum(index, self.room - 1)
        remaining = jnp.where(onwards, listed[index, 2], remaining)
        limit = PAUSE + EACH * jnp.sum(listed[:, 2]) if self.limit is None else self.limit
        after = Standing(place, things, picked, transformed, index, remaining, after.steps, age)
        over = wrong | finished
        counted = jnp.stack([onwards, boxed, boxed | gone, wrong, finished]).astype(jnp.float32)
        reward = STEP + counted @ jnp.array([self.each, BOXED, 0.0, WRONG, FINISHED])
        return after, Outcome(view, reward, 1.0 - over, over | (after.steps >= limit), counted)

    def _listed(self, task: Task) -> Int[Array, "slots 3"]:
        assert task.instruction is not None
        return task.instruction.reshape(-1, WORDS)

    def _see(self, state: Standing) -> View:
        cells = jnp.roll(state.things, self.size // 2 - state.place, axis=(0, 1))
        return View(cells, state.picked, state.transformed)

    def _put(
        self, things: Int[Array, "size size"], what: Int[Array, ""], chance: Float[Array, "size size"]
    ) -> Int[Array, "size size"]:
        """Something into an empty cell that is not one's own, or nothing if it is 0."""
        cell = jnp.argmax(jnp.where(things == 0, chance, -2.0))
        flat = things.ravel()
        return flat.at[cell].set(jnp.where(what > 0, what, flat[cell])).reshape(things.shape)


def _check_length(length: int, room: int) -> None:
    if length < 1:
        raise UsageError(f"a list of {length} instructions asks for nothing; give 1 to {LONGEST}")
    if max(length, room) > LONGEST:
        raise UsageError(f"a list of {max(length, room):,} instructions is too long; give {LONGEST} at most")
    if room < length:
        raise UsageError(f"there is room for {room} instructions, and a list has {length}; give as many slots or more")
