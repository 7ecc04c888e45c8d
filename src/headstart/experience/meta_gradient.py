"""The gradient through a policy-gradient step, and what it owes to the trajectories that the step was made from.

Finn, Abbeel and Levine, *Model-agnostic meta-learning for fast adaptation of deep networks*, ICML 2017; Foerster and
others, *DiCE: the infinitely differentiable Monte Carlo estimator*, ICML 2018; Farquhar, Whiteson and Foerster, *Loaded
DiCE*, NeurIPS 2019; Stadie and others, *Some considerations on learning to explore via meta-reinforcement learning*
(E-MAML), 2018; Rothfuss and others, *ProMP: proximal meta-policy search*, ICLR 2019.

    θ′ = θ + α ∇ L(θ, D),  D of K trajectories by π(θ);      J(θ) = E[D by π(θ)] E[τ′ by π(θ′)] R(τ′)
    ∇J = E[ (I + α ∇²L)ᵀ ∇ log π(τ′ | θ′) R(τ′)  +  ∇ log π(D | θ) R(τ′) ]

The first term holds D fast. The second says that θ also chose D: the **credit** of having explored well. What is wrong
in much code is that it leaves the second term out and says nothing. Three ways to deal with it:

| L | ∇L | ∇²L, of one step | what is learned |
|---|---|---|---|
| `plain`: log π · A | g A | H A | the first term alone; with `credit`, ∇J exactly (E-MAML) |
| `dice`: (☐ⁿᵒʷ − ☐ᵇᵉᶠᵒʳᵉ) · A | g A | (g gᵀ + H + g g₀ᵀ + g₀ gᵀ) A | ∇J to first order in α, and ∇² E[R] without bias |
| `low_variance`: π / π_old · A | g A | (g gᵀ + H) A | as `dice`, without what earlier steps (g₀) owe to later ones |

Here g and H are the derivatives of log π of this step, g₀ the sum of the g before it, and ☐ = exp(x − stop(x)) of the
sum of log π up to a moment. All three have the same gradient, so that policies adapt alike: it is the initial policy
that learns another thing. To put `credit` on top of `dice` or `low_variance` counts it twice.

| paper | here |
|---|---|
| θ, θ′ | a network; `InnerStep()(network, rollout)` |
| α | `InnerStep.rate` |
| D, τ′ | `MetaProblem.inner` (one rollout a step), `MetaProblem.outer` |
| A | `notes["advantage"]`, normalised; 0 after an episode's end, where `notes["counts"]` is 0 |
| R(τ′) of the second term | `MetaProblem.worth`: above the other tasks' mean, in the units of the first term |
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork, relive
from headstart.core.optimise import learns
from headstart.core.policies import AbstractPolicy
from headstart.core.types import Rollout
from headstart.errors import UsageError

__all__ = ["InnerStep", "MetaProblem", "Surrogate", "average", "dice", "low_variance", "plain"]

Surrogate = Callable[[Float[Array, "T B"], Rollout], Float[Array, "T B"]]
"""`(log π of what was done, the rollout) -> L`, of each step."""


def plain(log_prob: Float[Array, "T B"], rollout: Rollout) -> Float[Array, "T B"]:
    """log π · A: its gradient is right, and its second derivative lacks what θ owes to having chosen the actions."""
    return log_prob * rollout.notes["advantage"]


def dice(log_prob: Float[Array, "T B"], rollout: Rollout) -> Float[Array, "T B"]:
    """(☐ up to this step − ☐ before it) · A (Farquhar 2019): unbiased second derivatives, of high variance.

    With A the sum of the rewards that follow, this is Foerster's Σ ☐ᵗ rᵗ but for a constant.
    """
    history = jnp.cumsum(log_prob * rollout.notes["counts"], axis=0)
    now = jnp.exp(history - jax.lax.stop_gradient(history))
    before = jnp.concatenate([jnp.ones_like(now[:1]), now[:-1]])
    return (now - before) * rollout.notes["advantage"]


def low_variance(log_prob: Float[Array, "T B"], rollout: Rollout) -> Float[Array, "T B"]:
    """π / π_old · A (Rothfuss 2019): a small bias for much less variance."""
    return jnp.exp(log_prob - rollout.notes["log_prob"]) * rollout.notes["advantage"]


class InnerStep(eqx.Module):
    """One policy-gradient step on one rollout, as a differentiable function of the network.

    **Arguments:**

    - `rate`: α, the size of the step, 0 or more.
    - `surrogate`: what the step ascends: `plain`, `dice` or `low_variance`.
    - `first_order`: take ∇L for a constant, as first-order MAML does. Then the surrogate makes no difference.

    **Raises:** `UsageError` for a rate that is negative or not finite.
    """

    rate: float = 0.1
    surrogate: Surrogate = low_variance
    first_order: bool = False

    def __check_init__(self):
        if not 0 <= self.rate < float("inf"):
            raise UsageError(f"an inner step at a rate of {self.rate} leads nowhere; take a number of 0 or more")

    def __call__(self, network: AbstractNetwork, rollout: Rollout, scale: Float[Array, ""] | float = 1.0):
        """The network after a step of `scale` times the rate, on a rollout `[T, B]` with an advantage in its notes."""
        arrays, rest = learns(network)

        def surrogate(arrays) -> Float[Array, ""]:
            log_prob = relive(eqx.combine(arrays, rest), rollout).policy.log_prob(rollout.action)
            return average(self.surrogate(log_prob, rollout), rollout)

        ascent = jax.grad(surrogate)(arrays)
        if self.first_order:
            ascent = jax.lax.stop_gradient(ascent)
        return eqx.combine(jax.tree.map(lambda leaf, up: leaf + self.rate * scale * up, arrays, ascent), rest)


class MetaProblem(eqx.Module):
    """What an initial network is to be good for: tasks, in each of which trajectories were gathered and a step made.

    - `step`: the inner step.
    - `inner`: for each inner step in turn, the rollouts that it was made from, `[tasks, T, B]`.
    - `outer`: the rollouts of the adapted policies, `[tasks, T, B]`.
    - `worth`: of each task's exploration, `[tasks]`.
    - `credit`: the weight of that; 1 is E-MAML, 0 holds the trajectories fast.
    """

    step: InnerStep
    inner: tuple[Rollout, ...]
    outer: Rollout
    worth: Float[Array, "tasks"]
    credit: float = 0.0

    def thinned(self, every: int) -> MetaProblem:
        """The same problem, of which only the first and then each `every`-th step of all trajectories is left.

        **Raises:** `UsageError` for a network that remembers: to it, steps mean something only one after the other.
        """
        if any(rollout.notes["memory"] is not None for rollout in self.inner):
            raise UsageError(f"a network that remembers cannot relive 1 of {every} steps; ask for every one, with 1")
        cut = lambda rollout: jax.tree.map(lambda leaf: leaf[:, ::every], rollout)
        return MetaProblem(self.step, tuple(map(cut, self.inner)), cut(self.outer), self.worth, self.credit)

    def policies(self, network: AbstractNetwork) -> tuple[AbstractPolicy, ...]:
        """The policies of an initial network at all that was met, `[tasks, T, B]`: before each step, and after all."""

        def one(inner: tuple[Rollout, ...], outer: Rollout) -> tuple[AbstractPolicy, ...]:
            found, adapted = [], network
            for rollout in inner:
                found.append(relive(adapted, rollout).policy)
                adapted = self.step(adapted, rollout)
            return (*found, relive(adapted, outer).policy)

        return jax.vmap(one)(self.inner, self.outer)

    def gain(self, policies: tuple[AbstractPolicy, ...], clip: float | None = None) -> Float[Array, ""]:
        """How much better those policies are than the ones that acted, to first order: the mean over tasks.

        **Arguments:**

        - `clip`: how far a probability may move before its gain counts no more; `None` is any distance.
        """
        *before, after = policies

        def improved(policy: AbstractPolicy, rollout: Rollout) -> Float[Array, ""]:
            ratio = jnp.exp(policy.log_prob(rollout.action) - rollout.notes["log_prob"])
            advantage = rollout.notes["advantage"]
            near = ratio if clip is None else jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
            return average(jnp.minimum(ratio * advantage, near * advantage), rollout)

        def explored(policy: AbstractPolicy, rollout: Rollout) -> Float[Array, ""]:
            # The sum, not the mean: the credit is for all trajectories together.
            moved = policy.log_prob(rollout.action) - rollout.notes["log_prob"]
            return jnp.sum(moved * rollout.notes["counts"])

        gained = jnp.mean(jax.vmap(improved)(after, self.outer))
        if self.credit:
            for policy, rollout in zip(before, self.inner, strict=True):
                gained += self.credit * jnp.mean(self.worth * jax.vmap(explored)(policy, rollout))
        return gained

    def moved(self, old: tuple[AbstractPolicy, ...], new: tuple[AbstractPolicy, ...]) -> Float[Array, ""]:
        """How far the adapted policies moved, in nats: KL(old ‖ new), the mean over tasks and over all that was met."""
        return jnp.mean(jax.vmap(_divergence)(old[-1], new[-1], self.outer))

    def strayed(self, old: tuple[AbstractPolicy, ...], new: tuple[AbstractPolicy, ...]) -> Float[Array, ""]:
        """The same of the policies before each inner step, on what those steps were made from."""
        each = zip(old[:-1], new[:-1], self.inner, strict=True)
        return jnp.mean(jnp.stack([jnp.mean(jax.vmap(_divergence)(*pair)) for pair in each]))


def average(values: Float[Array, "T B"], rollout: Rollout) -> Float[Array, ""]:
    """The mean over the steps that count: those up to and with the end of a lane's first episode."""
    counts = rollout.notes["counts"]
    return jnp.sum(values * counts) / jnp.sum(counts)


def _divergence(old: AbstractPolicy, new: AbstractPolicy, rollout: Rollout) -> Float[Array, ""]:
    return average(old.divergence(new), rollout)
