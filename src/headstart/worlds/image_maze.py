"""A maze seen as an image, with goals that are told in another domain: as tones, or as a glyph.

A world for rewards that must be perceived (Edwards, Sood and Isbell, *Cross-domain perceptual reward functions*, 2017):
what is wanted is never shown as it will look, but as its name would sound or be written. The paper's own tasks and
modalities could not be consulted; maze, tones and glyphs are design choices of ours, and no data set is used.

Goals are cells. Each has a label, and each label a code that a seed has drawn once: a melody, of which a spectrogram
with noise is told, or a glyph, of which an instance with jitter and noise is shown. The codes of two labels have
nothing to do with each other, nor with where their cells lie: what is not learned of a goal cannot be guessed.
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

__all__ = ["DOMAINS", "FREE", "ImageMaze", "Walking", "distances"]

DOMAINS = ("tones", "glyphs")

MAP = """
........
.##.##..
.#....#.
...##.#.
.#..#...
.##...#.
....#.#.
.##.#...
"""
FREE = np.array([[mark == "." for mark in line] for line in MAP.split()])
MOVES = np.array([[0, 0], [-1, 0], [0, 1], [1, 0], [0, -1]])
PIXELS = 4  # of a cell, in either direction
TIMES = TONES = 16  # of a spectrogram, and so the size of a glyph
NOTES = 4  # of a melody


class Walking(eqx.Module):
    """Row and column, and the steps since the reset."""

    place: Int[Array, "2"]
    steps: Int[Array, ""]


class ImageMaze(AbstractWorld):
    """Go to a cell and stay there: 1 for every step that ends on the goal, 32 steps an episode.

    Actions: stay, up, right, down, left; a wall stops. Observed: an image of 32 by 32 grey pixels with noise, the agent
    the brightest cell in it. The goal is an array of 16 by 16. Both are bytes. No episode ends at its goal: where one
    is must be seen.

    **Arguments:**

    - `goals`: how many cells have labels, drawn from the free cells.
    - `first`, `count`: which of the labels are asked for, a `count` of them from `first` on; all by default. So a part
      of them can be held out.
    - `domain`: how a goal is told, `"tones"` or `"glyphs"`.
    - `seed`: which cells, and which codes.

    **Raises:** `UsageError` for a domain that there is not, more goals than cells, or labels beyond the last.
    """

    goals: int = eqx.field(static=True, default=20)
    first: int = eqx.field(static=True, default=0)
    count: int | None = eqx.field(static=True, default=None)
    domain: str = eqx.field(static=True, default="tones")
    seed: int = eqx.field(static=True, default=0)

    limit: ClassVar[int] = 32
    noise: ClassVar[float] = 0.1  # standard deviation, in images as in goals, of a brightness from 0 to 1

    def __check_init__(self):
        if self.domain not in DOMAINS:
            raise UsageError(f"a goal cannot be told as {self.domain!r}; choose {' or '.join(DOMAINS)}")
        if not 0 < self.goals <= FREE.sum():
            raise UsageError(f"the maze has {FREE.sum()} free cells, not {self.goals}; ask for fewer goals")
        if not 0 <= self.first < self.first + self.asked <= self.goals:
            raise UsageError(
                f"{self.asked} labels from {self.first} on are not among {self.goals}; ask for some of these"
            )

    @property
    def asked(self) -> int:
        """How many labels are asked for."""
        return self.goals - self.first if self.count is None else self.count

    @property
    def actions(self) -> Discrete:
        return Discrete(len(MOVES))

    @property
    def cells(self) -> Int[Array, "goals 2"]:
        """The cell of each label."""
        return jnp.asarray(self._drawn(0).permutation(np.argwhere(FREE))[: self.goals], jnp.int32)

    def task(self, *, key: Key) -> Task:
        """A label and an instance of its code. The label is the world's own knowledge: no agent is told it."""
        label_key, code_key = jax.random.split(key)
        label = jax.random.randint(label_key, (), self.first, self.first + self.asked)
        return Task(parameters=label, goal=self.tell(label, key=code_key))

    def reset(self, task: Task, *, key: Key) -> tuple[Walking, UInt8[Array, "32 32 1"]]:
        start_key, show_key = jax.random.split(key)
        place = jax.random.choice(start_key, jnp.asarray(np.argwhere(FREE), jnp.int32))
        return Walking(place, jnp.zeros((), jnp.int32)), self.show(place, key=show_key)

    def step(self, state: Walking, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Walking, Outcome]:
        moved = jnp.clip(state.place + jnp.asarray(MOVES, jnp.int32)[action], 0, FREE.shape[0] - 1)
        place = jnp.where(jnp.asarray(FREE)[moved[0], moved[1]], moved, state.place)
        steps = state.steps + 1
        reward = jnp.all(place == self.cells[task.parameters]).astype(jnp.float32)
        return Walking(place, steps), Outcome(self.show(place, key=key), reward, jnp.ones(()), steps >= self.limit)

    def show(self, place: Int[Array, "2"], *, key: Key) -> UInt8[Array, "32 32 1"]:
        """An image of the agent in that place: walls are grey, floors dark, the agent is bright."""
        shades = jnp.where(jnp.asarray(FREE), 0.0, 0.5).at[place[0], place[1]].set(1.0)
        return self._bytes(_enlarged(shades, PIXELS), key)

    def tell(self, label: Int[Array, ""], *, key: Key) -> UInt8[Array, "16 16 1"]:
        """An instance of a label's code in the domain."""
        noise_key, jitter_key = jax.random.split(key)
        code = self._melody(label) if self.domain == "tones" else self._glyph(label, jitter_key)
        return self._bytes(code, noise_key)

    def _melody(self, label: Int[Array, ""]) -> Float[Array, "16 16"]:
        """A few notes one after another, each smeared over its neighbours in pitch: time runs down, pitch across."""
        tunes = jnp.asarray(self._drawn(1).integers(0, TONES, (self.goals, NOTES)), jnp.int32)
        pitch = jnp.repeat(tunes[label], TIMES // NOTES)
        return jnp.exp(-0.5 * (jnp.arange(TONES) - pitch[:, None]) ** 2.0)

    def _glyph(self, label: Int[Array, ""], key: Key) -> Float[Array, "16 16"]:
        """Six by six dots, twice as large, somewhere near the middle."""
        dots = jnp.asarray(self._drawn(2).integers(0, 2, (self.goals, 6, 6)), jnp.float32)[label]
        whole = jnp.pad(_enlarged(dots, 2), 2)
        return jnp.roll(whole, jax.random.randint(key, (2,), -2, 3), axis=(0, 1))

    def _bytes(self, shades: Float[Array, "rows columns"], key: Key) -> UInt8[Array, "rows columns 1"]:
        noisy = shades + self.noise * jax.random.normal(key, shades.shape)
        return (jnp.clip(noisy, 0.0, 1.0) * 255).astype(jnp.uint8)[..., None]

    def _drawn(self, what: int) -> np.random.Generator:
        # NumPy's, as cells and codes are constants of a compiled program: nothing is drawn again in every step.
        return np.random.default_rng((self.seed, what))


def _enlarged(shades: Float[Array, "rows columns"], times: int) -> Float[Array, "more_rows more_columns"]:
    return jnp.repeat(jnp.repeat(shades, times, axis=0), times, axis=1)


def distances(cell: Int[Array, "2"]) -> Int[Array, "8 8"]:
    """Steps from every cell to that one; 64 in walls."""
    far = FREE.size
    found = jnp.full(FREE.shape, far, jnp.int32).at[cell[0], cell[1]].set(0)

    def nearer(_, found: Array) -> Array:
        wide = jnp.pad(found, 1, constant_values=far)
        beside = jnp.minimum(jnp.minimum(wide[:-2, 1:-1], wide[2:, 1:-1]), jnp.minimum(wide[1:-1, :-2], wide[1:-1, 2:]))
        return jnp.where(jnp.asarray(FREE), jnp.minimum(found, beside + 1), far)

    return jax.lax.fori_loop(0, far, nearer, found)
