"""The network that both sides of the self-play comparison are guided by: a small residual tower over a board."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.types import Key, Output, Percept

__all__ = ["ResidualTower"]


class Convolution(eqx.Module):
    """A convolution over `[rows, columns, channels]`, the order in which CPUs are quickest."""

    weight: Float[Array, "side side inputs outputs"]
    bias: Float[Array, "outputs"]

    def __init__(self, inputs: int, outputs: int, side: int, *, key: Key):
        scale = (2.0 / (side * side * inputs)) ** 0.5
        self.weight = scale * jax.random.normal(key, (side, side, inputs, outputs))
        self.bias = jnp.zeros(outputs)

    def __call__(self, board: Float[Array, "rows columns inputs"]) -> Float[Array, "rows columns outputs"]:
        order = ("NHWC", "HWIO", "NHWC")
        found = jax.lax.conv_general_dilated(board[None], self.weight, (1, 1), "SAME", dimension_numbers=order)
        return found[0] + self.bias


class ResidualTower(AbstractNetwork):
    """He and others, *Identity mappings in deep residual networks*, 2016, without normalisation; remembers nothing.

    **Arguments:**

    - `shape`: rows, columns and planes of the board; `actions`: how many there are.
    - `channels`, `blocks`: width and depth.
    """

    stem: Convolution
    blocks: tuple[tuple[Convolution, Convolution], ...]
    heads: tuple[Convolution, Convolution]
    policy: eqx.nn.Linear
    value: eqx.nn.MLP

    def __init__(self, shape: tuple[int, int, int], actions: int, key: Key, *, channels: int = 32, blocks: int = 2):
        stem_key, blocks_key, policy_key, value_key, *heads_keys = jax.random.split(key, 6)
        rows, columns, planes = shape
        wide = lambda key: Convolution(channels, channels, 3, key=key)
        self.stem = Convolution(planes, channels, 3, key=stem_key)
        self.blocks = tuple((wide(first), wide(second)) for first, second in jax.random.split(blocks_key, (blocks, 2)))
        self.heads = Convolution(channels, 2, 1, key=heads_keys[0]), Convolution(channels, 1, 1, key=heads_keys[1])
        self.policy = eqx.nn.Linear(2 * rows * columns, actions, key=policy_key)
        self.value = eqx.nn.MLP(rows * columns, "scalar", channels, 1, final_activation=jnp.tanh, key=value_key)

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        logits, value = self.look(percept.observation)
        return Output(Categorical(logits, percept.legal), value), None

    def look(self, board: Array) -> tuple[Float[Array, "actions"], Float[Array, ""]]:
        """Logits, not masked, and the value of a board `[rows, columns, planes]`."""
        seen = self.stem(board.astype(jnp.float32))
        for first, second in self.blocks:
            seen = seen + second(jax.nn.relu(first(jax.nn.relu(seen))))
        policy, value = (jax.nn.relu(head(jax.nn.relu(seen))).reshape(-1) for head in self.heads)
        return self.policy(policy), self.value(value)

    def flops(self, rows: int, columns: int) -> float:
        """Multiplications and additions of one look."""
        arrays = jax.tree.leaves(eqx.filter(self, eqx.is_array))
        size = lambda axes: sum(leaf.size for leaf in arrays if leaf.ndim == axes)
        return 2.0 * (rows * columns * size(4) + size(2))
