"""PPO: many small steps on one rollout, none of them far.

Schulman and others, *Proximal policy optimization algorithms*, 2017, with the advantages of Schulman and others,
*High-dimensional continuous control using generalized advantage estimation*, ICLR 2016.

| paper | here |
|---|---|
| π(a | s), V(s) | `network(percept, memory)`: `Output.policy`, `Output.value` |
| rₜ(θ) = π(aₜ | sₜ) / π_old(aₜ | sₜ) | `ratio`, from `notes["log_prob"]` |
| Âₜ | `AbstractOnPolicy.judge`, normalised in each minibatch |
| L^CLIP (eq. 7) | `policy_loss` |
| c₁ L^VF, c₂ S (eq. 9) | `value_weight`, `entropy_weight` (`core.on_policy`) |
| K epochs, minibatches of size M | `epochs`, `minibatches` |

The value loss is not clipped: Andrychowicz and others (*What matters in on-policy reinforcement learning?*, ICLR 2021)
found that clipping it hurts.
"""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.chance import shuffled
from headstart.core.on_policy import AbstractOnPolicy, OnPolicyState
from headstart.core.optimise import clipped_adam
from headstart.core.scan import scan
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Key, Metrics, Number, Output, Step
from headstart.errors import UsageError

__all__ = ["PPO"]


class PPO(AbstractOnPolicy):
    """Learns a policy and a value on-policy.

    **Arguments:** those of `AbstractOnPolicy`, and

    - `epochs`, `minibatches`: passes over a rollout, and gradient steps in each.
    - `reach`: ε, how far a probability may move before its gain counts no more.

    **Raises:** `UsageError` for more minibatches than segments: as many as lanes where the network remembers.
    """

    name: ClassVar[str] = "ppo"

    source: AbstractSource = Chain()
    discount: Number = 0.99
    trace: Number = 0.95
    epochs: int = 4
    minibatches: int = 4
    reach: float = 0.2
    value_weight: Number = 0.5
    entropy_weight: Number | optax.Schedule = 0.01
    learning_rate: Number | optax.Schedule = 2.5e-4
    clip: float = 0.5

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return clipped_adam(self.learning_rate, self.clip, eps=1e-5)

    def learn(self, state: OnPolicyState, batch: Step, *, key: Key) -> tuple[OnPolicyState, Metrics]:
        def step(state: OnPolicyState, drawn: tuple[Array, Key]) -> tuple[OnPolicyState, Metrics]:
            chosen, key = drawn
            return self.gradient_step(state, jax.tree.map(lambda leaf: leaf[:, chosen], batch), key=key)

        count = batch.reward.shape[1]
        if count < self.minibatches:
            raise UsageError(
                f"{count} segments make no {self.minibatches} minibatches; ask for more lanes, or for fewer minibatches"
            )
        order_key, loss_key = jax.random.split(key)
        shuffle = lambda key: shuffled(count, key=key)[: count // self.minibatches * self.minibatches]
        order = jax.vmap(shuffle)(jax.random.split(order_key, self.epochs))
        chosen = order.reshape(self.epochs * self.minibatches, -1)
        state, metrics = scan(step, state, (chosen, jax.random.split(loss_key, chosen.shape[0])))
        return state, jax.tree.map(jnp.mean, metrics)

    def policy_loss(self, output: Output, batch: Step) -> Float[Array, ""]:
        advantage = batch.notes["advantage"]
        advantage = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
        ratio = jnp.exp(output.policy.log_prob(batch.action) - batch.notes["log_prob"])
        near = jnp.clip(ratio, 1.0 - self.reach, 1.0 + self.reach)
        return -jnp.mean(jnp.minimum(ratio * advantage, near * advantage))
