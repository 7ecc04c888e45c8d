"""DDPG: learning real actions off-policy, by climbing the value of one's own action.

Lillicrap and others, *Continuous control with deep reinforcement learning*, ICLR 2016 (algorithm 1).

| paper | here |
|---|---|
| μ(s; θ^μ) | `network(percept, memory)`, the mode of whose `Output.policy` is the action |
| Q(s, a; θ^Q) | `network.judge(percept, action)`, the first critic |
| μ′, Q′, τ | `Learned.target`, which moves the fraction `blend` in each gradient step |
| N, exploration noise | `noise`, the standard deviation of independent normals |
| y = r + γ Q′(s′, μ′(s′)) | `DDPG.targets`, through cuts but never through true ends |
| ∇ Q(s, μ(s)) | `DDPG.climb` |

Where we differ: noise is independent in time, as Fujimoto and others (2018) found no worse than the paper's process;
actor and critic have one learning rate; no batch normalisation. `random` and `effort` are of Andrychowicz and others
(2017, appendix A), who let a robot act at random in three steps of ten and charge the actor for large actions.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.network import AbstractActionCritic
from headstart.core.off_policy import Learned
from headstart.core.policies import Squashed
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Key, Metrics, Percept, Step
from headstart.scratch.actor_critics import UNBOUNDED, AbstractActorCritics, choose, judge

__all__ = ["DDPG"]


class DDPG(AbstractActorCritics):
    """Learns a deterministic policy and its value.

    **Arguments:** those of `AbstractActorCritics`, and

    - `noise`: of exploration, as a standard deviation in units of actions; `random`: how often an action is drawn
      uniformly instead.
    - `effort`: the cost of an action's mean square to the actor.
    """

    source: AbstractSource = Chain()
    discount: float = 0.99
    capacity: int = 100_000
    segment: int = 1
    batch: int = 256
    minibatches: int = 1
    updates: int = 1
    warmup: int = 1_000
    noise: float = 0.1
    random: float = 0.0
    effort: float = 0.0
    bounds: tuple[float, float] = UNBOUNDED
    delay: int = 1
    period: int = 1
    blend: float = 0.005
    learning_rate: float | optax.Schedule = 1e-3
    clip: float = 10.0

    def explore(self, policy: Squashed, *, key: Key) -> Float[Array, "size"]:
        return disturbed(policy.mode(), self.noise, self.random, key=key)

    def targets(self, learned: Learned, batch: Step, *, key: Key) -> Float[Array, "L N"]:
        target = learned.target()
        following = choose(target, batch.after).mode()
        return batch.reward + self.discount * batch.discount * judge(target, batch.after, following)[..., 0]

    def climb(
        self, network: AbstractActionCritic, own: Any, percept: Percept, policy: Squashed, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        action = policy.mode()
        value = jnp.mean(judge(network, percept, action)[..., 0])
        return self.effort * jnp.mean(action**2) - value, {"ddpg/climbed": value}


def disturbed(action: Float[Array, "size"], noise: float, random: float, *, key: Key) -> Float[Array, "size"]:
    """An action with normal noise; or, as often as `random` says, a uniformly random one."""
    noise_key, uniform_key, random_key = jax.random.split(key, 3)
    near = jnp.clip(action + noise * jax.random.normal(noise_key, action.shape), -1.0, 1.0)
    anywhere = jax.random.uniform(uniform_key, action.shape, minval=-1.0, maxval=1.0)
    return jnp.where(jax.random.uniform(random_key) < random, anywhere, near)
