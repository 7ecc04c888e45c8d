"""Friends and enemies: things of unknown names, and what a person says of them.

After the first game of Narasimhan, Barzilay and Jaakkola, *Grounding language for transfer in deep reinforcement
learning*, JAIR 2018, section 5: to touch a friend earns 1, and to have touched all of them wins; to touch an enemy
costs 1 and ends the game. Which is which cannot be seen. A thing is known by its number, and by some sentences on what
it does to who touches it, where it goes and how fast. Here are two roles, three ways to go and two paces; half of the
twelve kinds are those of the source, and the other half, with other numbers, those of the target: no kind of the target
was ever met, but each of its properties was, with others. So who knows the numbers alone begins anew, and who has read
can tell friend from enemy at once.

The sentences are our own (`friends_phrases.toml`).
"""

from __future__ import annotations

import functools
import itertools
import tomllib
from importlib import resources
from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError
from headstart.instructions.vocabulary import Vocabulary

__all__ = ["KINDS", "SIZE", "FriendsAndEnemies", "Seen", "Side", "Told", "describe", "vocabulary"]

SIZE = 8
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1), (0, 0))  # up, right, down, left, stay

Side = Literal["source", "target"]
Told = Literal["train", "held-out", "nothing", "permuted"]

ROLES, WAYS, PACES = ("friend", "enemy"), ("chases", "flees", "wanders"), ("quick", "slow")
_ALL = tuple(itertools.product(range(2), range(3), range(2)))
# Of each role, way and pace, source and target have as many: no property alone tells the role.
KINDS: dict[str, tuple[tuple[int, int, int], ...]] = {
    side: tuple(kind for kind in _ALL if (sum(kind) % 2 == 0) == (side == "source")) for side in get_args(Side)
}
"""Role, way and pace of each kind of a side, as numbers. A thing's own number says which of these it is, no more."""

PARAPHRASES = 40  # of each kind and set of phrases


class Seen(eqx.Module):
    """What is seen: one's own cell, row and column, and of each thing its number in [0, 12), or −1 where it is hidden,
    its cell, and whether it is there still."""

    place: Int[Array, "*batch 2"]
    numbers: Int[Array, "*batch things"]
    cells: Int[Array, "*batch things 2"]
    there: Bool[Array, "*batch things"]


class Things(eqx.Module):
    """Of a task: the number of each thing, friends first, and whether numbers can be seen."""

    numbers: Int[Array, "*batch things"]
    numbered: Bool[Array, "*batch"]


class Standing(eqx.Module):
    """Where a game stands: what is seen, and how many steps were taken."""

    seen: Seen
    steps: Int[Array, ""]


class FriendsAndEnemies(AbstractWorld):
    """Touch the friends, and no enemy. The instruction is what is said of each thing, `[things · words]`, in order.

    **Arguments:**

    - `side`: whose kinds are met, `"source"` or `"target"`. Numbers 0 to 5 are those of the source.
    - `told`: in which phrases: of `"train"` or `"held-out"`; `"nothing"`, where all words are withheld; or
      `"permuted"`, where what is said of one kind of a side is said of another, of the other role.
    - `each`: how many friends there are, and how many enemies.
    - `limit`: steps of a game.
    - `hidden`: the share of games in which no number can be seen, 0 to 1. Numbers are learned sooner than words, and
      whoever knows each thing of the source by its number has no need to read: what it then knows of the target is
      nothing. In a game without numbers it must.

    **Raises:** `UsageError` for another side or set of phrases, for none of each, or a share that is none.
    """

    side: str = eqx.field(static=True, default="source")
    told: str = eqx.field(static=True, default="train")
    each: int = eqx.field(static=True, default=1)
    limit: int = eqx.field(static=True, default=40)
    hidden: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if not 0 <= self.hidden <= 1:
            raise UsageError(f"numbers cannot be hidden in a share of {self.hidden} of the games; give 0 to 1")
        for given, known in ((self.side, get_args(Side)), (self.told, get_args(Told))):
            if given not in known:
                raise UsageError(f"there is no {given!r} among friends and enemies; choose {', '.join(known)}")
        if not 1 <= self.each <= 3:
            raise UsageError(f"{self.each} friends and as many enemies cannot be had; ask for 1 to 3 of each")

    @property
    def actions(self) -> Discrete:
        return Discrete(len(MOVES))

    @property
    def things(self) -> int:
        return 2 * self.each

    def task(self, *, key: Key) -> Task:
        kind_key, word_key, hide_key = jax.random.split(key, 3)
        kinds = self._kinds()
        half = len(kinds) // 2
        draw = jax.vmap(lambda key: jax.random.permutation(key, half)[: self.each])(jax.random.split(kind_key))
        numbers = (draw + jnp.array([[0], [half]])).ravel()  # friends, then enemies
        numbers = numbers + (len(kinds) if self.side == "target" else 0)
        numbered = ~jax.random.bernoulli(hide_key, self.hidden)
        return Task(parameters=Things(numbers, numbered), instruction=self.say(numbers, key=word_key))

    def say(self, numbers: Int[Array, "things"], *, key: Key) -> Int[Array, "words"]:
        """What is said of these things, one after the other."""
        told = jnp.array(_told(self.side, "held-out" if self.told == "held-out" else "train"))
        own = numbers % len(told)
        if self.told == "permuted":
            own = (own + len(told) // 2) % len(told)
        chosen = jax.random.randint(key, numbers.shape, 0, told.shape[1])
        words = told[own, chosen].astype(jnp.int32).ravel()
        return jnp.zeros_like(words) if self.told == "nothing" else words

    def reset(self, task: Task, *, key: Key) -> tuple[Standing, Seen]:
        cells = jax.random.permutation(key, SIZE * SIZE)[: 1 + self.things]
        cells = jnp.stack(jnp.divmod(cells, SIZE), axis=-1)
        things = task.parameters
        numbers = jnp.where(things.numbered, things.numbers, -1)
        seen = Seen(cells[0], numbers, cells[1:], jnp.ones(self.things, bool))
        return Standing(seen, jnp.zeros((), jnp.int32)), seen

    def step(self, state: Standing, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Standing, Outcome]:
        before, steps = state.seen, state.steps + 1
        role, way, pace = self._kinds()[task.parameters.numbers % 6].T
        inside = lambda cell: jnp.clip(cell, 0, SIZE - 1)
        place = inside(before.place + jnp.array(MOVES)[action])
        # Who is about to be touched does not get out of the way: things move after that, those that are quick at two
        # of three steps, those that are slow at one.
        touched = before.there & jnp.all(before.cells == place, axis=-1)
        rests = touched | ((steps % 3 == 0) == (pace == 0))
        cells = jnp.where(rests[:, None], before.cells, self._gone(before.cells, place, way, key))
        touched = touched | (before.there & jnp.all(cells == place, axis=-1))
        reward = jnp.sum(touched * jnp.where(role == 0, 1.0, -1.0))
        there = before.there & ~touched
        over = jnp.any(touched & (role == 1)) | ~jnp.any(there & (role == 0))
        seen = Seen(place, before.numbers, cells, there)
        return Standing(seen, steps), Outcome(seen, reward, 1.0 - over, over | (steps >= self.limit))

    def _gone(
        self, cells: Int[Array, "things 2"], place: Int[Array, "2"], way: Int[Array, "things"], key: Key
    ) -> Int[Array, "things 2"]:
        """Where things go: nearer, further away, or anywhere; ties are broken by chance."""
        options = jnp.clip(cells[:, None] + jnp.array(MOVES[:4]), 0, SIZE - 1)
        far = jnp.sum(jnp.abs(options - place), axis=-1).astype(jnp.float32)
        liked = jnp.select([way[:, None] == 0, way[:, None] == 1], [-far, far], jnp.zeros_like(far))
        liked = liked + 0.5 * jax.random.uniform(key, liked.shape)
        return jnp.take_along_axis(options, jnp.argmax(liked, axis=1)[:, None, None], axis=1)[:, 0]

    def _kinds(self) -> Int[Array, "kinds 3"]:
        return jnp.array(sorted(KINDS[self.side]), jnp.int32)


@functools.cache
def _phrases() -> dict[str, dict[str, list[str]]]:
    text = resources.files(__package__).joinpath("friends_phrases.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def describe(role: str, way: str, pace: str, rng: np.random.Generator, told: str = "train") -> str:
    """What a person may say of a thing: three sentences in any order, or two of them in one.

    **Arguments:**

    - `role`, `way`, `pace`: by their names in `friends_phrases.toml`.
    - `rng`: decides on words and order. It is advanced.
    - `told`: `"train"` or `"held-out"`.
    """
    pick = lambda options: options[int(rng.integers(len(options)))]
    order = [(role, way, pace)[index] for index in rng.permutation(3)]
    said = [pick(_phrases()[says][told]) for says in order]
    joined = bool(rng.integers(2))
    named = [phrase.format(it=word) for phrase, word in zip(said, ("this thing", "it", "it"), strict=True)]
    return f"{named[0]}. {named[1]} and {named[2]}." if joined else f"{'. '.join(named)}."


@functools.cache
def _told(side: str, told: str) -> Int[np.ndarray, "kinds paraphrases words"]:
    return np.array(
        [[vocabulary().tokens(text) for text in _texts(kind, told)] for kind in sorted(KINDS[side])], np.int16
    )


def _texts(kind: tuple[int, int, int], told: str) -> list[str]:
    rng = np.random.default_rng([*kind, told == "held-out"])
    role, way, pace = kind
    return [describe(ROLES[role], WAYS[way], PACES[pace], rng, told) for _ in range(PARAPHRASES)]


@functools.cache
def vocabulary() -> Vocabulary:
    """The words of all descriptions."""
    return Vocabulary.of_texts(text for kind in _ALL for told in ("train", "held-out") for text in _texts(kind, told))
