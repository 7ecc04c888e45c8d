"""The long short-term memory: what is remembered is added to, so that gradients pass through long stretches of time.

Hochreiter and Schmidhuber, *Long short-term memory*, Neural Computation 1997; with the forget gate of Gers and others,
*Learning to forget: continual prediction with LSTM*, Neural Computation 2000.

    i = σ(Wᵢ x + Uᵢ h + bᵢ)        f = σ(W_f x + U_f h + b_f)
    g = tanh(W_g x + U_g h + b_g)   o = σ(Wₒ x + Uₒ h + bₒ)
    c′ = f ⊙ c + i ⊙ g              h′ = o ⊙ tanh(c′)

| paper | here |
|---|---|
| x; h, c | `heard`; `state`, a pair, whose first is also the output |
| i, f, o: input, forget and output gate | `write`, `keep`, `show` |
| g, squashed input | `candidate` |
| Wᵢ, W_f, W_g, Wₒ one above the other; U; b | `weight_ih`; `weight_hh`; `bias` |

The biases of the forget gates are drawn around 1 and not around 0, as Gers and others advise: a cell that forgets half
of everything at each moment does not live to learn what it should have kept.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.network import AbstractCell
from headstart.core.types import Key

__all__ = ["LSTM"]

State = tuple[Float[Array, "width"], Float[Array, "width"]]  # h and c


class LSTM(AbstractCell):
    """A long short-term memory, with Equinox's own weights but for the forget gates' bias. Its state begins as zeros.

    **Arguments:**

    - `inputs`, `width`: how many numbers it hears, and how many it says. It remembers twice as many.
    """

    weight_ih: Float[Array, "4*width inputs"]
    weight_hh: Float[Array, "4*width width"]
    bias: Float[Array, "4*width"]

    def __init__(self, inputs: int, width: int, *, key: Key):
        cell = eqx.nn.LSTMCell(inputs, width, key=key)
        assert cell.bias is not None
        self.weight_ih, self.weight_hh = cell.weight_ih, cell.weight_hh
        self.bias = cell.bias.at[width : 2 * width].add(1.0)

    def initial(self) -> State:
        nothing = jnp.zeros(self.weight_hh.shape[1])
        return nothing, nothing

    def __call__(self, heard: Float[Array, "inputs"], state: State) -> tuple[Float[Array, "width"], State]:
        said, cell = state
        # Products that keep a batch in rows: see `headstart.core.networks.Linear`.
        gates = heard @ self.weight_ih.T + said @ self.weight_hh.T + self.bias
        write, keep, candidate, show = jnp.split(gates, 4)
        cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(write) * jnp.tanh(candidate)
        said = jax.nn.sigmoid(show) * jnp.tanh(cell)
        return said, (said, cell)
