"""Grounded spatial reasoning: an instruction becomes a filter over the map, and the value of every cell follows.

Janner, Narasimhan and Barzilay, *Representation learning for grounded spatial reasoning*, TACL 2018 (section 4). What
is next to what is a *local* matter: the text makes a kernel, with which the things on the map are convolved.
What lies furthest to the north is a *global* one: the text makes three coefficients, of a map that rises from row to
row, of one that rises from column to column, and of a constant one. Small convolutions then make values of both and of
the lie of the land.

The paper's kernel is 3 by 3, and its text 30 numbers. A kernel of 3 by 3 does not reach "two cells left of the well",
and 30 numbers cannot say each of six things in each of thirteen places by a layer that is linear. So here the kernel is
5 by 5 and the text 128 numbers, for whatever reads. Maps rise from −1 to 1 and not from 0 to 9, which with a constant
map spans the same, but does not drown what is near. Five hidden layers of convolutions follow, as values reach far.

| paper | here |
|---|---|
| φ₁(s), embedded objects; φ₂(s), the layout | `things`, `land` |
| h(x), the text; ψ₁(x), a kernel; ψ₂(x) = (β₁, β₂, β₃) | `encoder`; `kernel`; `coefficients` |
| z₁ = ψ₁(x) ∗ φ₁(s); z₂ = β₁ G₁ + β₂ G₂ + β₃ J | `local`; `gradient` |
| f_cnn([z₁; z₂; φ₂(s)]) = V̂(s, x) | `tail` |
| Θ by ℒ(s) = E (V̂ − V)², V known | `Regression` |
| Θ by reinforcement learning, algorithm 1 | `Walking` |

Beside it stand the two that the paper compares it to: `UVFAText`, a universal value function approximator whose goal
is a text (Schaul and others, 2015), and `ConvolutionalText`, whose image and text meet in a layer of rectified units.
All of them read by the same encoder, and say the values of all cells of a map at once.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from headstart.core.networks import Linear
from headstart.core.optimise import clipped_adam, descend, prepare
from headstart.core.types import Key, Metrics, Task
from headstart.instructions.encoders import AbstractEncoder, Recurrent
from headstart.worlds.puddles import AFTER, SIZE, THINGS, Chart, PuddleMaps, vocabulary

__all__ = [
    "AbstractValueMap",
    "ConvolutionalText",
    "Grounded",
    "Regression",
    "UVFAText",
    "Walk",
    "Walking",
    "walk",
]

CELLS = SIZE * SIZE
TEXT = 128  # numbers of an encoded text
REACH = 2  # how many cells from a thing a place may be that a kernel of words finds
THING = 7  # numbers of an embedded thing
DEPTH = 5  # hidden layers of convolutions, after those of words
ValueMap = TypeVar("ValueMap", bound="AbstractValueMap")
NewEncoder = Callable[..., AbstractEncoder]
ENCODER: NewEncoder = partial(Recurrent, width=15)


class AbstractValueMap(eqx.Module):
    """The value of being in each cell of a map, for whoever was told to go somewhere."""

    @abc.abstractmethod
    def __call__(self, task: Task) -> Float[Array, "cells"]:
        """Of a task, the land, the things and the instruction are looked at; what else it holds must not be."""


class Grounded(AbstractValueMap):
    """The paper's model. Without `local` it has no kernel, and without `gradient` no coefficients: for ablations.

    **Arguments:**

    - `encoder`: made as `encoder(vocabulary, size, key=key)`.
    - `width`: channels of the hidden convolutions; `depth`: how many layers.
    """

    land: Float[Array, "2"]
    things: Float[Array, "numbers thing"]
    encoder: AbstractEncoder
    kernel: Linear
    coefficients: Linear
    tail: tuple[Linear, ...]
    local: bool = eqx.field(static=True)
    gradient: bool = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        *,
        encoder: NewEncoder = ENCODER,
        width: int = 32,
        depth: int = DEPTH,
        local: bool = True,
        gradient: bool = True,
    ):
        land_key, things_key, encoder_key, kernel_key, coefficients_key, *tail_keys = jax.random.split(key, 6 + depth)
        self.land = jax.random.normal(land_key, (2,))
        self.things = jax.random.normal(things_key, (1 + len(THINGS), THING))
        self.encoder = encoder(vocabulary().size, TEXT, key=encoder_key)
        self.kernel = Linear.drawn(TEXT, (2 * REACH + 1) ** 2 * THING, key=kernel_key)
        self.coefficients = Linear.drawn(TEXT, 3, key=coefficients_key)
        sizes = [3, *[width] * depth, 1]
        self.tail = tuple(
            Linear.drawn(9 * inputs, outputs, key=each)
            for inputs, outputs, each in zip(sizes[:-1], sizes[1:], tail_keys, strict=True)
        )
        self.local, self.gradient = local, gradient

    def __call__(self, task: Task) -> Float[Array, "cells"]:
        chart, text = task.parameters, read(self.encoder, task)
        things = jax.nn.one_hot(chart.things, len(self.things)) @ self.things
        near = neighbourhoods(things, REACH) @ self.kernel(text)
        down, right = jnp.meshgrid(*[jnp.linspace(-1.0, 1.0, SIZE)] * 2, indexing="ij")
        far = jnp.stack([down, right, jnp.ones_like(down)], axis=-1) @ self.coefficients(text)
        # A map that is flat says nothing, and the convolutions keep their shape.
        maps = [near * self.local, far * self.gradient, self.land[chart.puddle.astype(int)]]
        hidden = jnp.stack(maps, axis=-1)
        for layer in self.tail[:-1]:
            hidden = jax.nn.relu(layer(neighbourhoods(hidden)))
        return self.tail[-1](neighbourhoods(hidden)).reshape(CELLS)


class UVFAText(AbstractValueMap):
    """φ(s)·ψ(x): rank 7 of each cell, by two perceptrons of the whole map, and of the text.

    **Arguments:** those of `Grounded` that it has.
    """

    things: Float[Array, "numbers thing"]
    encoder: AbstractEncoder
    of_land: eqx.nn.MLP
    of_things: eqx.nn.MLP
    of_text: Linear

    def __init__(self, key: Key, *, encoder: NewEncoder = ENCODER, rank: int = 7, width: int = 128):
        things_key, encoder_key, land_key, of_things_key, text_key = jax.random.split(key, 5)
        self.things = jax.random.normal(things_key, (1 + len(THINGS), THING))
        self.encoder = encoder(vocabulary().size, TEXT, key=encoder_key)
        self.of_land = eqx.nn.MLP(CELLS, rank * CELLS, width, 2, key=land_key)
        self.of_things = eqx.nn.MLP(THING * CELLS, rank * CELLS, width, 2, key=of_things_key)
        self.of_text = Linear.drawn(TEXT, rank, key=text_key)

    def __call__(self, task: Task) -> Float[Array, "cells"]:
        chart = task.parameters
        things = jax.nn.one_hot(chart.things, len(self.things)) @ self.things
        cells = self.of_land(chart.puddle.ravel().astype(jnp.float32)) + self.of_things(things.ravel())
        return cells.reshape(CELLS, -1) @ self.of_text(read(self.encoder, task))


class ConvolutionalText(AbstractValueMap):
    """Convolutions of the map, laid beside the text at each cell, and further ones of both. No map is made of the text.

    **Arguments:** those of `Grounded` that it has.
    """

    land: Float[Array, "2"]
    things: Float[Array, "numbers thing"]
    encoder: AbstractEncoder
    of_map: Linear
    tail: tuple[Linear, ...]

    def __init__(self, key: Key, *, encoder: NewEncoder = ENCODER, width: int = 32, depth: int = DEPTH):
        land_key, things_key, encoder_key, map_key, *tail_keys = jax.random.split(key, 5 + depth)
        self.land = jax.random.normal(land_key, (2,))
        self.things = jax.random.normal(things_key, (1 + len(THINGS), THING))
        self.encoder = encoder(vocabulary().size, TEXT, key=encoder_key)
        self.of_map = Linear.drawn(9 * (THING + 1), width, key=map_key)
        sizes, outputs = [9 * width + TEXT, *[9 * width] * depth], [*[width] * depth, 1]
        self.tail = tuple(Linear.drawn(*size, key=each) for *size, each in zip(sizes, outputs, tail_keys, strict=True))

    def __call__(self, task: Task) -> Float[Array, "cells"]:
        chart, text = task.parameters, read(self.encoder, task)
        things = jax.nn.one_hot(chart.things, len(self.things)) @ self.things
        seen = jnp.concatenate([things, self.land[chart.puddle.astype(int)][..., None]], axis=-1)
        hidden = jax.nn.relu(self.of_map(neighbourhoods(seen)))
        said = jnp.broadcast_to(text, (SIZE, SIZE, text.size))
        for number, layer in enumerate(self.tail):
            around = neighbourhoods(hidden)
            hidden = layer(jnp.concatenate([around, said], axis=-1) if number == 0 else around)
            hidden = jax.nn.relu(hidden) if number < len(self.tail) - 1 else hidden
        return hidden.reshape(CELLS)


def read(encoder: AbstractEncoder, task: Task) -> Float[Array, "size"]:
    """What a task's instruction says."""
    assert task.instruction is not None
    return encoder(task.instruction)


def neighbourhoods(maps: Float[Array, "rows columns channels"], reach: int = 1) -> Float[Array, "rows columns around"]:
    """Of each cell the 3 by 3 cells around it, or more for a reach of more, laid end to end; zeros beyond the edge.

    A convolution is then a product, which on CPUs is several times as fast at these sizes.
    """
    rows, columns, _ = maps.shape
    wide = jnp.pad(maps, ((reach, reach), (reach, reach), (0, 0)))
    offsets = range(2 * reach + 1)
    return jnp.concatenate([wide[i : i + rows, j : j + columns] for i in offsets for j in offsets], axis=-1)


class Regression(eqx.Module):
    """Values that are known, of every cell of maps, are fitted by Adam, whose rate falls to 0 on a cosine.

    **Arguments:**

    - `steps`: of the gradient; `batch`: tasks in each.
    - `learning_rate`: at first; `discount`: γ of the values.
    """

    steps: int = 10_000
    batch: int = 32
    learning_rate: float = 2e-3
    discount: float = 0.95

    def fit(self, network: ValueMap, tasks: Task, *, key: Key) -> ValueMap:
        """The network, fitted to these tasks `[tasks]`."""
        values = jax.vmap(lambda chart: PuddleMaps.values(chart, self.discount))(tasks.parameters)
        optimiser = optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.steps))
        arrays, rest = eqx.partition(network, eqx.is_array)

        def step(carry: tuple[PyTree, tuple], key: Key) -> tuple[tuple[PyTree, tuple], None]:
            arrays, states = carry
            chosen = jax.random.randint(key, (self.batch,), 0, len(values))
            batch, wanted = jax.tree.map(lambda leaf: leaf[chosen], (tasks, values))

            def loss(parts: tuple[ValueMap]) -> tuple[Float[Array, ""], Metrics]:
                return jnp.mean((jax.vmap(parts[0])(batch) - wanted) ** 2), {}

            (network,), states, _ = descend(loss, (eqx.combine(arrays, rest),), optimiser, states)
            return (eqx.filter(network, eqx.is_array), states), None

        begun = (arrays, prepare(optimiser, (network,)))
        (arrays, _), _ = jax.lax.scan(step, begun, jax.random.split(key, self.steps))
        return eqx.combine(arrays, rest)


class Walking(eqx.Module):
    """Nothing is known but what was met: algorithm 1 of the paper.

    In rounds, a few tasks are walked in, each cell to the neighbour of the highest value among those not yet entered,
    or to any of them by chance. V(s) is then moved to R(s) + γ maxₛ′ V⁻(s′), over cells that were entered, for tasks
    that were walked in at any time. What a cell earns and where moves lead never changes, so that all that there is to
    replay of a task is which of its cells were entered.

    **Arguments:**

    - `rounds`: of `walks` tasks each, and of `updates` gradient steps with `batch` tasks each.
    - `epsilon`: the chance of a move at random, at first; it falls to a tenth of it.
    - `refresh`: rounds after which V⁻ becomes V.
    - `learning_rate`, `discount`: as for `Regression`.
    """

    rounds: int = 1_000
    walks: int = 64
    updates: int = 10
    batch: int = 32
    epsilon: float = 0.5
    refresh: int = 2
    learning_rate: float = 2e-3
    discount: float = 0.95

    def fit(self, network: ValueMap, tasks: Task, *, key: Key) -> ValueMap:
        """The network, after so many rounds in these tasks `[tasks]`."""
        count = tasks.parameters.goal.size
        rewards = jax.vmap(PuddleMaps.rewards)(tasks.parameters)
        ends = jnp.arange(CELLS) == tasks.parameters.goal[:, None]
        rate = optax.cosine_decay_schedule(self.learning_rate, self.rounds * self.updates)
        optimiser = clipped_adam(rate, 1.0)
        arrays, rest = eqx.partition(network, eqx.is_array)
        of = lambda arrays: eqx.combine(arrays, rest)

        def learn(carry: tuple[PyTree, tuple], key: Key, *, old: PyTree, entered: Bool[Array, "tasks cells"]) -> tuple:
            """One gradient step, on tasks of which something was entered, all of them alike."""
            arrays, states = carry
            walked = jnp.cumsum(jnp.any(entered, axis=1))
            drawn = jax.random.randint(key, (self.batch,), 0, walked[-1])
            chosen = jnp.searchsorted(walked, drawn, side="right")
            batch, been = jax.tree.map(lambda leaf: leaf[chosen], (tasks, entered))
            ahead = jnp.max(jax.vmap(of(old))(batch)[:, AFTER], axis=-1)
            wanted = rewards[chosen] + self.discount * ahead * ~ends[chosen]

            def loss(parts: tuple[ValueMap]) -> tuple[Float[Array, ""], Metrics]:
                errors = optax.huber_loss(jax.vmap(parts[0])(batch), wanted)
                return jnp.sum(errors * been) / jnp.sum(been), {}

            (network,), states, _ = descend(loss, (of(arrays),), optimiser, states)
            return (eqx.filter(network, eqx.is_array), states), None

        def go_round(carry: tuple, drawn: tuple[Int[Array, ""], Key]) -> tuple[tuple, None]:
            arrays, states, old, entered = carry
            number, key = drawn
            choose_key, walk_key, learn_key = jax.random.split(key, 3)
            chosen = jax.random.choice(choose_key, count, (self.walks,), replace=False)
            epsilon = self.epsilon * (1.0 - 0.9 * number / self.rounds)
            going = jax.vmap(lambda task, key: walk(of(arrays)(task), task, epsilon=epsilon, key=key).entered)
            been = going(jax.tree.map(lambda leaf: leaf[chosen], tasks), jax.random.split(walk_key, self.walks))
            entered = entered.at[chosen].set(entered[chosen] | been)
            old = jax.tree.map(lambda new, old: jnp.where(number % self.refresh == 0, new, old), arrays, old)
            keys = jax.random.split(learn_key, self.updates)
            (arrays, states), _ = jax.lax.scan(partial(learn, old=old, entered=entered), (arrays, states), keys)
            return (arrays, states, old, entered), None

        begun = (arrays, prepare(optimiser, (network,)), arrays, jnp.zeros((count, CELLS), bool))
        drawn = (jnp.arange(self.rounds), jax.random.split(key, self.rounds))
        ended, _ = jax.lax.scan(go_round, begun, drawn)
        return of(ended[0])


STEPS = 75  # of a walk, at most


class Walk(eqx.Module):
    """Which cells were entered, the first among them; what each step earned; whether the walk ended at the goal."""

    entered: Bool[Array, "*batch cells"]
    rewards: Float[Array, "*batch steps"]
    reached: Bool[Array, "*batch"]


def walk(values: Float[Array, "cells"], task: Task, *, epsilon: Float[Array, ""] | float = 0.0, key: Key) -> Walk:
    """Go from any cell but the goal to the neighbour of the highest value among those not yet entered.

    `epsilon` is the chance, at each step, that all of these are liked alike. The walk ends at the goal, where all
    around was entered, or after 75 steps.
    """
    chart: Chart = task.parameters
    rewards, after = PuddleMaps.rewards(chart), jnp.array(AFTER)
    start_key, walk_key = jax.random.split(key)
    start = (chart.goal + jax.random.randint(start_key, (), 1, CELLS)) % CELLS

    def move(carry: tuple[Int[Array, ""], Bool[Array, "cells"], Bool[Array, ""]], key: Key) -> tuple[tuple, Array]:
        cell, entered, over = carry
        chance_key, any_key = jax.random.split(key)
        around = after[cell]
        by_chance = jax.random.bernoulli(chance_key, epsilon)
        liked = jnp.where(by_chance, jax.random.uniform(any_key, around.shape), values[around])
        free = ~entered[around]
        over = over | ~jnp.any(free)
        onto = jnp.where(over, cell, around[jnp.argmax(jnp.where(free, liked, -jnp.inf))])
        return (onto, entered.at[onto].set(True), over | (onto == chart.goal)), jnp.where(over, 0.0, rewards[onto])

    begun = (start, jnp.arange(CELLS) == start, jnp.zeros((), bool))
    (cell, entered, _), earned = jax.lax.scan(move, begun, jax.random.split(walk_key, STEPS))
    return Walk(entered, earned, cell == chart.goal)
