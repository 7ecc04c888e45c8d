"""A2C: one step up the gradient of the policy for each rollout.

Mnih and others, *Asynchronous methods for deep reinforcement learning*, ICML 2016, section 4 (advantage actor-critic),
with all lanes in step and not asynchronously. It is the learner of Wang and others, *Learning to reinforcement learn*,
2016, and *Prefrontal cortex as a meta-reinforcement learning system*, Nature Neuroscience 2018: in the activations of
the recurrent networks that it trains, another learner comes about.

    ∇θ log π(aₜ | sₜ; θ) (Rₜ − V(sₜ; θᵥ)) + β ∇θ H(π(· | sₜ; θ)),    ∇θᵥ (Rₜ − V(sₜ; θᵥ))²

| paper | here |
|---|---|
| π(a | s; θ), V(s; θᵥ) | `network(percept, memory)`: `Output.policy`, `Output.value` |
| t_max, actors | `length` and `lanes` of `headstart.core.process.Online` |
| Rₜ, the sum of rewards to the rollout's end and the value there | `notes["target"]`, of `AbstractOnPolicy.judge` |
| Rₜ − V(sₜ) | `notes["advantage"]`; a `trace` below 1 makes it that of Schulman (ICLR 2016) |
| β | `entropy_weight`; Wang lets it fall from 1 to 0: `optax.linear_schedule(1.0, 0.0, steps)` |
| shared RMSProp: η, α, ε | `optimise`: `clipped_rmsprop`, its `learning_rate`, `decay` and `eps` |

A network with memory is unrolled, and its gradients go back, through the whole rollout. In Wang's papers that is a
whole episode: so let `length` be a multiple of an episode's steps. Of their settings, the two-step task has a discount
of 0.9, a `learning_rate` of 7e-4 and both weights at 0.05; the bandits of 2016 have a discount of 0.8.

The paper adds the gradients of a rollout up. Here they are averaged, so that the number of lanes and steps is not
hidden in the size of a step; RMSProp, which divides by the size of gradients, makes little of the difference. The paper
does not clip gradients, and here they are clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.on_policy import AbstractOnPolicy, OnPolicyState
from headstart.core.optimise import clipped_rmsprop
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Key, Metrics, Number, Output, Step

__all__ = ["A2C"]


class A2C(AbstractOnPolicy):
    """Learns a policy and a value on-policy, by one gradient step a rollout.

    **Arguments:** those of `AbstractOnPolicy`, and

    - `optimise`: makes the optimiser of a learning rate and a clip: `headstart.core.optimise.clipped_rmsprop`, or
      `clipped_adam` beside it.
    """

    name: ClassVar[str] = "a2c"

    source: AbstractSource = Chain()
    discount: Number = 0.99
    trace: Number = 1.0
    value_weight: Number = 0.5
    entropy_weight: Number | optax.Schedule = 0.01
    learning_rate: Number | optax.Schedule = 7e-4
    clip: float = 0.5
    optimise: Callable[..., optax.GradientTransformation] = clipped_rmsprop

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return self.optimise(self.learning_rate, self.clip)

    def learn(self, state: OnPolicyState, batch: Step, *, key: Key) -> tuple[OnPolicyState, Metrics]:
        return self.gradient_step(state, batch, key=key)

    def policy_loss(self, output: Output, batch: Step) -> Float[Array, ""]:
        advantage = jax.lax.stop_gradient(batch.notes["advantage"])
        return -jnp.mean(output.policy.log_prob(batch.action) * advantage)
