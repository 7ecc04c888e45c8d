"""A path with forks, at each of which a sign tells the way: related tasks read signs alike and go other ways.

A sign has a colour and a shape, each one of `kinds`. What it says is a word: the number (colour + `factor` · shape)
mod `kinds`; `ways` tells which way each word means. So tasks of one factor share how signs are read, and of two factors
none helps with the other: `kinds` is a prime, and of the signs that have one word by the one factor, each has another
word by the other (they are orthogonal Latin squares). No colour and no shape tells anything by itself.

The right way leads to the next fork and earns a share of 1, 1 / `forks`; any other is a dead end, where the episode
ends. The whole path earns 1. Who chooses at random earns (1/ways + 1/ways² + ...) / `forks`. Signs are drawn anew at
each fork. After the colour-to-action rules that tests of lifelong learning use; the construction is ours.

Observed: which colour and which shape it is, as ones among zeros, and `distractions` normal numbers that say nothing.
`dead` further ways never lead on.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

__all__ = ["Fork", "Signposts"]


class Fork(eqx.Module):
    """The sign that is before one's eyes, and how many forks are behind one."""

    colour: Int[Array, ""]
    shape: Int[Array, ""]
    passed: Int[Array, ""]


class Signposts(AbstractWorld):
    """Follow the signs.

    **Arguments:**

    - `factor`: how signs are read, from 1 to `kinds` − 1.
    - `ways`: which way each of the `kinds` words means, each way once; the word itself if left out.
    - `kinds`: colours, shapes and words, a prime.
    - `forks`: of the whole path.
    - `distractions`, `dead`: observations that say nothing, and ways that never lead on, beyond the others.

    **Raises:** `UsageError` for what is none of that.
    """

    factor: int = eqx.field(static=True, default=1)
    ways: tuple[int, ...] = eqx.field(static=True, default=())
    kinds: int = eqx.field(static=True, default=7)
    forks: int = eqx.field(static=True, default=5)
    distractions: int = eqx.field(static=True, default=0)
    dead: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.kinds < 2 or any(self.kinds % divisor == 0 for divisor in range(2, self.kinds)):
            raise UsageError(f"signs of {self.kinds} kinds are not told apart by every factor; choose a prime")
        if not 1 <= self.factor < self.kinds:
            raise UsageError(f"signs cannot be read by the factor {self.factor}; choose 1 to {self.kinds - 1}")
        if self.ways and sorted(self.ways) != list(range(self.kinds)):
            raise UsageError(f"ways = {self.ways} must hold each of 0 to {self.kinds - 1} once")
        if self.forks < 1 or self.distractions < 0 or self.dead < 0:
            raise UsageError("a path needs 1 fork or more, and no fewer than 0 distractions and dead ways")

    @property
    def actions(self) -> Discrete:
        return Discrete(self.kinds + self.dead)

    def task(self, *, key: Key) -> Task:
        return Task()

    def reset(self, task: Task, *, key: Key) -> tuple[Fork, Float[Array, "seen"]]:
        return self._come_to(jnp.zeros((), jnp.int32), key)

    def step(self, state: Fork, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Fork, Outcome]:
        right = action == self.way(state)
        state, seen = self._come_to(state.passed + right, key)
        over = ~right | (state.passed >= self.forks)
        return state, Outcome(seen, right / self.forks, 1.0 - over, over)

    def way(self, state: Fork) -> Int[Array, ""]:
        """Where the sign points."""
        word = (state.colour + self.factor * state.shape) % self.kinds
        return jnp.array(self.ways or tuple(range(self.kinds)), jnp.int32)[word]

    def _come_to(self, passed: Int[Array, ""], key: Key) -> tuple[Fork, Float[Array, "seen"]]:
        sign_key, other_key = jax.random.split(key)
        colour, shape = jax.random.randint(sign_key, (2,), 0, self.kinds)
        both = jax.nn.one_hot(jnp.stack([colour, shape]), self.kinds).ravel()
        seen = jnp.concatenate([both, jax.random.normal(other_key, (self.distractions,))])
        return Fork(colour, shape, passed), seen
