"""The gated recurrent unit, the cell that networks with memory have unless they are given another.

Cho and others, *Learning phrase representations using RNN encoder–decoder for statistical machine translation*, EMNLP
2014, section 2.3. As in most libraries, the reset gate acts after the product with the state and not before it.

    r = σ(Wᵣ x + Uᵣ h + bᵣ)
    z = σ(W_z x + U_z h + b_z)
    h̃ = tanh(W x + b + r ⊙ (U h + c))
    h′ = z ⊙ h + (1 − z) ⊙ h̃

| paper | here |
|---|---|
| x, h | `heard`, `state`, which is also the output |
| r, z, h̃ | `reset`, `keep`, `candidate` |
| Wᵣ, W_z, W one above the other; Uᵣ, U_z, U | `weight_ih`, `weight_hh` |
| bᵣ, b_z, b; c | `bias`, `bias_n` |
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.network import AbstractCell
from headstart.core.types import Key

__all__ = ["GRU"]


class GRU(AbstractCell):
    """A gated recurrent unit, with Equinox's own weights. Its state is its output, and zeros to begin with.

    **Arguments:**

    - `inputs`, `width`: how many numbers it hears, and how many it remembers.
    """

    weight_ih: Float[Array, "3*width inputs"]
    weight_hh: Float[Array, "3*width width"]
    bias: Float[Array, "3*width"]
    bias_n: Float[Array, "width"]

    def __init__(self, inputs: int, width: int, *, key: Key):
        cell = eqx.nn.GRUCell(inputs, width, key=key)
        assert cell.bias is not None
        assert cell.bias_n is not None
        self.weight_ih, self.weight_hh, self.bias, self.bias_n = cell.weight_ih, cell.weight_hh, cell.bias, cell.bias_n

    def initial(self) -> Float[Array, "width"]:
        return jnp.zeros_like(self.bias_n)

    def __call__(
        self, heard: Float[Array, "inputs"], state: Float[Array, "width"]
    ) -> tuple[Float[Array, "width"], Float[Array, "width"]]:
        # Products that keep a batch in rows: see `headstart.core.networks.Linear`.
        of_heard = jnp.split(heard @ self.weight_ih.T + self.bias, 3)
        of_state = jnp.split(state @ self.weight_hh.T, 3)
        reset = jax.nn.sigmoid(of_heard[0] + of_state[0])
        keep = jax.nn.sigmoid(of_heard[1] + of_state[1])
        candidate = jnp.tanh(of_heard[2] + reset * (of_state[2] + self.bias_n))
        state = candidate + keep * (state - candidate)
        return state, state
