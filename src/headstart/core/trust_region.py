"""TRPO's step: as far along the natural gradient as policies may move, and only if it gains.

Schulman and others, *Trust region policy optimization*, ICML 2015, section 6 and appendix C.

    maximise g · (θ′ − θ)  where  ½ (θ′ − θ) · F (θ′ − θ) ≤ δ:   θ′ = θ + √(2 δ / x · F x) x  with  F x = g

| paper | here |
|---|---|
| θ | `vector` |
| δ | `reach`, in nats |
| L(θ), whose gradient is g | `gain(outputs(vector))` |
| D_KL(θ_old, θ) | `divergence(outputs(old), outputs(vector))` |
| F = Jᵀ M J (appendix C.1) | `outputs` or some of them, linearised (J); the curvature of `divergence` in these (M) |
| conjugate gradients, backtracking | `iterations`; `shrink`, `tries` |

As the divergence is least where nothing has moved, Jᵀ M J is its second derivative exactly. So where `outputs` holds a
gradient step of its own, as in MAML, no third derivative is needed, nor the finite differences of Finn and others.

Most of a step's time goes into products with F. F only says which way to go: how far, and whether at all, is for the
backtracking to find, from all that was met. So F may be judged from less, as that appendix proposes: see `curvature`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from headstart.core.types import Metrics
from headstart.errors import UsageError

__all__ = ["Move", "TrustRegion"]


Judged = tuple[Callable[[Float[Array, "size"]], Any], Callable[[Any, Any], Float[Array, ""]]]


class Move(eqx.Module):
    """A step that was tried `tries` times: what it gained, how far it went, and whether it was `made` at all."""

    vector: Float[Array, "size"]
    gained: Float[Array, ""]
    divergence: Float[Array, ""]
    tries: Int[Array, ""]
    made: Bool[Array, ""]

    def reported(self, owner: str) -> Metrics:
        """What the step gained, its divergence and the tries it took, in the owner's name; zeros if it was not made."""
        return {
            f"{owner}/gained": self.gained,
            f"{owner}/divergence": self.divergence,
            f"{owner}/tries": self.tries.astype(jnp.float32),
            f"{owner}/made": self.made.astype(jnp.float32),
        }


class TrustRegion(eqx.Module):
    """How far a step may go, and how it is found.

    **Arguments:**

    - `reach`: δ, the greatest divergence, in nats.
    - `iterations`: of conjugate gradients. `damping`: what is added to F's diagonal, so that they converge.
    - `shrink`, `tries`: a step that gains nothing or goes too far is shortened by that factor, so many times at most.

    **Raises:** `UsageError` for a region of no size, or a step that is never tried or never shortened.
    """

    reach: float = 0.01
    iterations: int = 10
    damping: float = 1e-5
    shrink: float = 0.8
    tries: int = 15

    def __check_init__(self):
        if not self.reach > 0:
            raise UsageError(
                f"a trust region that reaches {self.reach} nats holds no step; let it reach further than 0"
            )
        if self.iterations < 1 or self.tries < 1:
            raise UsageError("a trust region needs 1 iteration and 1 try or more; ask for them")
        if not 0 < self.shrink < 1:
            raise UsageError(f"to shrink a step by {self.shrink} does not end; take a factor between 0 and 1")

    def ascend(
        self,
        gain: Callable[[Any], Float[Array, ""]],
        outputs: Callable[[Float[Array, "size"]], Any],
        divergence: Callable[[Any, Any], Float[Array, ""]],
        vector: Float[Array, "size"],
        *,
        curvature: Judged | None = None,
    ) -> Move:
        """One step up `gain(outputs(vector))`; none where no try gains, such as where a number is not finite.

        **Arguments:**

        - `outputs`: what the parameters make: policies, as a pytree of arrays.
        - `divergence`: `(old, new) -> nats`, of two such outputs.
        - `curvature`: `(outputs, divergence)` that F is judged from; those above if `None`.
        """
        old, pull = jax.vjp(outputs, vector)
        before, slope = jax.value_and_grad(gain)(old)
        (gradient,) = pull(slope)

        some_outputs, some_divergence = curvature or (outputs, divergence)
        some, push = jax.linearize(some_outputs, vector)
        back = jax.linear_transpose(push, vector)

        def bend(tangent: PyTree) -> PyTree:
            return jax.jvp(jax.grad(lambda new: some_divergence(some, new)), (some,), (tangent,))[1]

        fisher = lambda tangent: back(bend(push(tangent)))[0] + self.damping * tangent
        way, _ = jax.scipy.sparse.linalg.cg(fisher, gradient, maxiter=self.iterations)
        whole = jnp.sqrt(2.0 * self.reach / jnp.vdot(way, fisher(way))) * way

        def attempt(last: Move) -> Move:
            moved = vector + self.shrink**last.tries * whole
            made = outputs(moved)
            gained, apart = gain(made) - before, divergence(old, made)
            return Move(moved, gained, apart, last.tries + 1, (gained > 0) & (apart <= self.reach))

        nowhere = Move(vector, jnp.zeros(()), jnp.zeros(()), jnp.zeros((), jnp.int32), jnp.array(False))
        found = jax.lax.while_loop(lambda move: ~move.made & (move.tries < self.tries), attempt, nowhere)
        stay = eqx.tree_at(lambda move: move.tries, nowhere, found.tries)
        return jax.tree.map(lambda new, old: jnp.where(found.made, new, old), found, stay)
