"""Random orders and numbers that are cheap to draw, and to compile."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from headstart.core.types import Key

__all__ = ["gammas", "integers", "shuffled"]

PLACE = 16  # binary digits of 32, at most, that may tell a number's place: the others are left to chance


def shuffled(count: int, *, key: Key) -> Int[Array, "count"]:
    """The numbers from 0 to `count` − 1 in a random order.

    Each number is written behind random digits, and these are sorted. `jax.random.permutation` sorts keys and values,
    and twice, which takes a CPU seven times as long: a quarter of all that PPO does on CartPole. Where two numbers draw
    the same digits, one pair in 65,536 or fewer, the smaller one is first. Of more than 65,536 numbers, too few digits
    would be random, and the order is `jax.random.permutation`'s.
    """
    place = max(count - 1, 1).bit_length()
    if place > PLACE:
        return jax.random.permutation(key, count)
    chance = jax.random.bits(key, (count,), jnp.uint32) >> place << place
    return (jnp.sort(chance | jnp.arange(count, dtype=jnp.uint32)) & (2**place - 1)).astype(jnp.int32)


def integers(shape: tuple[int, ...], low: ArrayLike, high: ArrayLike, *, key: Key) -> Int[Array, "..."]:
    """Numbers from `low` to `high` − 1, each alike.

    The rest of random bits, which favours no number by more than (`high` − `low`) / 2³². `jax.random.randint` draws
    twice to halve the digits of that, and takes three times as long to compile.
    """
    least = jnp.asarray(low, jnp.int32)
    count = (jnp.asarray(high, jnp.int32) - least).astype(jnp.uint32)
    return least + (jax.random.bits(key, shape, jnp.uint32) % count).astype(jnp.int32)


def gammas(concentrations: Float[Array, "*shape"], *, key: Key) -> Float[Array, "*shape"]:
    """Numbers from gamma distributions of these concentrations, 1 or more, and a scale of 1.

    Marsaglia and Tsang, *A simple method for generating gamma variables*, ACM Transactions on Mathematical Software,
    2000: a guess is right in 95 of 100 cases or more, and all that were wrong are guessed again together.
    `jax.random.gamma` guesses for one number after the other, which takes a CPU ten times as long.
    """
    shift = concentrations - 1 / 3
    width = 1 / jnp.sqrt(9 * shift)

    def guess(state):
        key, found, drawn = state
        key, normal_key, uniform_key = jax.random.split(key, 3)
        normal = jax.random.normal(normal_key, concentrations.shape)
        cube = (1 + width * normal) ** 3
        chance = jnp.log(jax.random.uniform(uniform_key, concentrations.shape))
        level = normal**2 / 2 + shift * (1 - cube + jnp.log(jnp.maximum(cube, 1e-30)))
        drawn = jnp.where(found, drawn, shift * cube)
        return key, found | (cube > 0) & (chance < level), drawn

    nothing = jnp.zeros(concentrations.shape)
    return jax.lax.while_loop(lambda state: ~jnp.all(state[1]), guess, (key, nothing > 0, nothing))[2]
