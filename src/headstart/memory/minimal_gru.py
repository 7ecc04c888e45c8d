"""A gated recurrent unit that is parallel in time: its gates hear the input and not the state.

Feng and others, *Were RNNs all we needed?*, 2024, section 3.1 (minGRU).

    z = σ(W_z x)
    h̃ = W x
    h′ = (1 − z) ⊙ h + z ⊙ h̃

| paper | here |
|---|---|
| x, h | `heard`, `state`, which is also the output |
| W_z and W, one above the other | `layer`, with a bias for each |
| 1 − z | `keep` |
| z ⊙ h̃ | `new` |
| the parallel scan, of aₜ = 1 − zₜ and bₜ = zₜ ⊙ h̃ₜ | `unroll`, by `jax.lax.associative_scan` |

As neither z nor h̃ depends on h, a moment is the map h ↦ a h + b, and two such maps one after the other are one again:
b₂ + a₂ (b₁ + a₁ h). So the states of a segment of L moments are found in about 2 log₂ L products, and not in L. A
moment that blanks the state is the map with a = 0. The paper computes with logarithms, for which h̃ has to be positive;
a is between 0 and 1, so products of it may vanish but never overflow, and nothing is lost without.

What the state could have said to the gates has to be said by another layer of cells, or by the input.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.network import AbstractCell
from headstart.core.networks import Linear
from headstart.core.types import Key

__all__ = ["MinimalGRU"]


class MinimalGRU(AbstractCell):
    """A minimal gated recurrent unit. Its state is its output, and zeros to begin with.

    **Arguments:**

    - `inputs`, `width`: how many numbers it hears, and how many it remembers.
    """

    layer: Linear

    def __init__(self, inputs: int, width: int, *, key: Key):
        self.layer = Linear.drawn(inputs, 2 * width, key=key)

    def initial(self) -> Float[Array, "width"]:
        return jnp.zeros(self.layer.bias.size // 2)

    def __call__(
        self, heard: Float[Array, "inputs"], state: Float[Array, "width"]
    ) -> tuple[Float[Array, "width"], Float[Array, "width"]]:
        keep, new = self._change(heard)
        state = keep * state + new
        return state, state

    def unroll(
        self, heard: Float[Array, "L inputs"], first: Bool[Array, "L"], state: Float[Array, "width"]
    ) -> tuple[Float[Array, "L width"], Float[Array, "width"]]:
        """As `AbstractCell.unroll`, all moments at once."""
        keep, new = jax.vmap(self._change)(heard)
        keep = jnp.where(first[:, None], 0.0, keep)  # nothing of the past is let through, and the initial state is 0
        new = new.at[0].add(keep[0] * state)

        def both(earlier: tuple[Array, Array], later: tuple[Array, Array]) -> tuple[Array, Array]:
            return earlier[0] * later[0], later[0] * earlier[1] + later[1]

        _, states = jax.lax.associative_scan(both, (keep, new))
        return states, states[-1]

    def _change(self, heard: Float[Array, "inputs"]) -> tuple[Float[Array, "width"], Float[Array, "width"]]:
        """What of the state is kept, 0 to 1, and what is added to it."""
        gate, candidate = jnp.split(self.layer(heard), 2)
        return jax.nn.sigmoid(-gate), jax.nn.sigmoid(gate) * candidate
