"""DDPG: learning real actions off-policy, by climbing the value of one's own action.

Lillicrap and others, *Continuous control with deep reinforcement learning*, ICLR 2016 (algorithm 1).

| paper | here |
|---|---|
| μ(s; θ^μ) | `network(percept, memory)`, the mode of whose `Output.policy` is the action |
| Q(s, a; θ^Q) | `network.judge(percept, action)`, the first critic |
| μ′, Q′, τ | `Learned.target`, which moves the fraction `blend` in each gradient step |
| N, exploration noise | `noise`, the standard deviation of independent normals |
| y = r + γ Q′(s′, μ′(s′)) | `DDPG.targets`, through cuts but never through true ends |
| ∇ Q(s, μ(s)) | `AbstractDeterministic.climb` |

Where we differ: noise is independent in time, as Fujimoto and others (2018) found no worse than the paper's process;
actor and critic have one learning rate; no batch normalisation.
"""

from __future__ import annotations

import optax
from jaxtyping import Array, Float

from headstart.core.off_policy import Learned
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Key, Number, Step
from headstart.scratch.actor_critics import UNBOUNDED, AbstractDeterministic, choose, judge

__all__ = ["DDPG"]


class DDPG(AbstractDeterministic):
    """Learns a deterministic policy and its value.

    **Arguments:** those of `AbstractDeterministic`.
    """

    source: AbstractSource = Chain()
    discount: Number = 0.99
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
    learning_rate: Number | optax.Schedule = 1e-3
    clip: float = 10.0

    def targets(self, learned: Learned, batch: Step, *, key: Key) -> Float[Array, "L N"]:
        target = learned.target()
        following = choose(target, batch.after).mode()
        return batch.reward + self.discount * batch.discount * judge(target, batch.after, following)[..., 0]
