"""Seeing with what was said in mind: an instruction makes the filters through which each cell of an image is seen.

What is said multiplies what is seen, as in the agents of BabyAI (Chevalier-Boisvert and others, ICLR 2019), which take
it from Perez and others, *FiLM: visual reasoning with a general conditioning layer*, AAAI 2018: features of
an image are scaled and shifted by the sentence. In an image of numbers a feature is that a layer has a certain number
at a cell, and there are few of these. So here the sentence scales each of them for each filter:

    h_k(x) = relu(Σₙ Wₙₖ(s) xₙ + bₖ(s))     for each cell, with x one-hot in each layer, and the sentence s

That a ball is red and that both were said is then one product and one threshold, which is soon learned.

| BabyAI | here |
|---|---|
| s, of a GRU over words | `encoder(instruction)`: any of `headstart.instructions.encoders` |
| FiLM of convolutions | `filters`: W(s) and b(s), linear in s; `at_once`, one layer over all cells |
| an LSTM that remembers | `cell`, a GRU unless another one is given |
| | what was done last is heard too |
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from headstart.core.cells import GRU
from headstart.core.network import AbstractCell, AbstractRecurrent
from headstart.core.networks import Head, Linear, head, orthogonal
from headstart.core.types import Key, Output, Percept
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError
from headstart.instructions.encoders import AbstractEncoder

__all__ = ["Filtered"]


class Filtered(AbstractRecurrent):
    """A policy and a value from an image of numbers, an instruction, and a memory of both and of what was done.

    **Arguments:**

    - `world`: of discrete actions, whose observation has an `image` `[columns, rows, layers]` of numbers, as that of
      `headstart.worlds.adapters.babyai.BabyAI` has, and whose tasks have an instruction.
    - `numbers`: how many numbers there are in each layer of an image. Further layers are not looked at.
    - `encoder`: makes what reads: `encoder(size, key=key)`.
    - `size`: of the embedding of an instruction. `count`: of filters.
    - `width`: of the layer over all cells, and of the cell that remembers.
    - `cell`: makes what remembers: `cell(inputs, width, key=key)`.

    **Raises:** `UsageError` for a world of real actions or without instructions.
    """

    encoder: AbstractEncoder
    filters: Linear
    at_once: Linear
    cell: AbstractCell
    actor: Linear
    critic: Linear
    head: Head
    numbers: tuple[int, ...] = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def __init__(
        self,
        world: AbstractWorld,
        key: Key,
        *,
        numbers: tuple[int, ...],
        encoder: Callable[..., AbstractEncoder],
        size: int = 32,
        count: int = 8,
        width: int = 64,
        cell: Callable[..., AbstractCell] = GRU,
    ):
        def begun(key: Key):
            task = world.task(key=key)
            return task.instruction, world.reset(task, key=key)[1]

        instruction, observation = jax.eval_shape(begun, jax.random.key(0))
        if not isinstance(world.actions, Discrete) or instruction is None:
            raise UsageError(
                f"{type(world).__name__} has no instructions, or no discrete actions, and Filtered needs both; "
                "use RecurrentActorCritic"
            )
        encoder_key, filter_key, layer_key, cell_key, actor_key, critic_key = jax.random.split(key, 6)
        columns, rows, _ = observation.image.shape
        self.numbers, self.count, self.head = numbers, count, head(world.actions)
        self.encoder = encoder(size, key=encoder_key)
        self.filters = Linear.drawn(size, (sum(numbers) + 1) * count, key=filter_key)
        self.at_once = Linear.drawn(columns * rows * count + size + self.head.size, width, key=layer_key)
        self.cell = cell(width, width, key=cell_key)
        self.actor = orthogonal(width, self.head.size, 0.01, actor_key)
        self.critic = orthogonal(width, 1, 1.0, critic_key)

    def look(
        self, image: Integer[Array, "columns rows layers"], told: Float[Array, "size"]
    ) -> Float[Array, "columns rows count"]:
        """What each filter shows of each cell, after this was said."""
        layers = [jax.nn.one_hot(image[..., at], size, dtype=told.dtype) for at, size in enumerate(self.numbers)]
        filters = self.filters(told).reshape(-1, self.count)
        return jax.nn.relu(jnp.concatenate(layers, axis=-1) @ filters[:-1] + filters[-1])

    def hear(self, percept: Percept) -> Float[Array, "width"]:
        assert percept.instruction is not None
        told = self.encoder(percept.instruction)
        # At first nothing was done yet, which action 0 would not say.
        did = jnp.where(percept.first, 0.0, jax.nn.one_hot(percept.action, self.head.size))
        seen = self.look(percept.observation.image, told).ravel()
        return jax.nn.relu(self.at_once(jnp.concatenate([seen, told, did])))

    def judge(self, said: Float[Array, "width"], percept: Percept) -> Output:
        return Output(self.head(self.actor(said), percept), self.critic(said)[0], said)
