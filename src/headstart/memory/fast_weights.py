"""Fast weights that associate a moment with the one that followed it: what came of it when it was like this before?

Schlag, Irie and Schmidhuber, *Linear transformers are secretly fast weight programmers*, ICML 2021, after Schmidhuber,
*Learning to control fast-weight memories*, Neural Computation 4, 1992.

A gated recurrent unit has to learn, by its gates, to keep what it did in one state of the world apart from what it did
in another. Here that is how memory is built: a table of sums, to which each moment adds what it hears, at the address
of the moment before. So it is heard what was done in a state, and what that earned, at the address of that state, and
who is in such a state again reads it all at once.

    a = φ(A x),   v = (relu(V x), 1)
    S′ = S + a₋₁ vᵀ
    (s, n) = aᵀ S′,   y = relu(O (x, s / (n + ½), ln(1 + n)))

| paper | here |
|---|---|
| x, y | `heard`, what is said |
| key, query | `address`: the key is that of the moment before, the query that of this one, both by one layer |
| value v, with 1 to count | `value` |
| φ | the softmax of `SHARPNESS` times the layer: a moment is at few addresses |
| fast weights W, normaliser z | `sums` S, and its last column; a₋₁ is the rest of the state |
| W φ(q) / (z · φ(q)) | `read`: the mean of what came then, half a nothing counted in; and how often that was |

The sums of a segment are linear in what is written, so all of its moments are found at once: an address times those of
the moments before it, as in attention, and no loop. Nothing fades: it is for trials of some hundreds of moments.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.network import AbstractCell
from headstart.core.networks import Linear
from headstart.core.types import Key

__all__ = ["FastWeights"]

SHARPNESS = 4.0
"""Of addresses before anything is learned. At 1, all moments would be nearly everywhere."""

State = tuple[Float[Array, "slots columns"], Float[Array, "slots"]]


class FastWeights(AbstractCell):
    """A table of what followed what. Its state is the sums, and the address of the last moment; zeros to begin with.

    **Arguments:**

    - `inputs`, `width`: how many numbers it hears; how many it says, and keeps at an address.
    - `slots`: how many addresses there are. A state has slots · (width + 2) numbers.
    """

    address: Linear
    value: Linear
    out: Linear
    slots: int = eqx.field(static=True)

    def __init__(self, inputs: int, width: int, *, slots: int = 16, key: Key):
        address_key, value_key, out_key = jax.random.split(key, 3)
        self.address = Linear.drawn(inputs, slots, key=address_key)
        self.value = Linear.drawn(inputs, width, key=value_key)
        self.out = Linear.drawn(inputs + width + 1, width, key=out_key)
        self.slots = slots

    def initial(self) -> State:
        return jnp.zeros((self.slots, self.value.bias.size + 1)), jnp.zeros(self.slots)

    def __call__(self, heard: Float[Array, "inputs"], state: State) -> tuple[Float[Array, "width"], State]:
        sums, before = state
        address, value = self._parts(heard)
        sums = sums + before[:, None] * value
        return self._say(heard, address @ sums), (sums, address)

    def unroll(
        self, heard: Float[Array, "L inputs"], first: Bool[Array, "L"], state: State
    ) -> tuple[Float[Array, "L width"], State]:
        """As `AbstractCell.unroll`, all moments at once: L² products of addresses, and no loop."""
        sums, before = state
        address, value = jax.vmap(self._parts)(heard)
        before = jnp.concatenate([before[None], address[:-1]])
        before = jnp.where(first[:, None], 0.0, before)  # nothing came before a first moment
        # Since when memory was not blanked: moments of one number share theirs, those of 0 the state on entering too.
        begun = jnp.cumsum(first)
        moment = jnp.arange(first.size)
        shared = (moment[:, None] >= moment) & (begun[:, None] == begun)
        of_entering = jnp.where(begun[:, None] == 0, address, 0.0) @ sums
        read = jnp.where(shared, address @ before.T, 0.0) @ value + of_entering
        said = jax.vmap(self._say)(heard, read)
        written = jnp.where(shared[-1][:, None], before, 0.0).T @ value
        return said, (jnp.where(begun[-1] == 0, sums, 0.0) + written, address[-1])

    def _parts(self, heard: Float[Array, "inputs"]) -> tuple[Float[Array, "slots"], Float[Array, "columns"]]:
        """Where a moment is, and what is written of it."""
        address = jax.nn.softmax(SHARPNESS * self.address(heard))
        return address, jnp.append(jax.nn.relu(self.value(heard)), 1.0)

    def _say(self, heard: Float[Array, "inputs"], read: Float[Array, "columns"]) -> Float[Array, "width"]:
        total, count = read[:-1], read[-1:]
        return jax.nn.relu(self.out(jnp.concatenate([heard, total / (count + 0.5), jnp.log1p(count)])))
