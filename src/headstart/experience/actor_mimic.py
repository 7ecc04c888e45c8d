"""Actor-Mimic: learn to act as a teacher does whose values are known, to begin the next task with what was learned.

Parisotto, Ba and Salakhutdinov, *Actor-Mimic: deep multitask and transfer reinforcement learning*, ICLR 2016, section
3, without its regression of features (section 3.2): the student acts, and learns by cross-entropy what the teacher
would have done.

| paper | here |
|---|---|
| Q_E(s, ·), of an expert | `teacher` |
| π_E, softmax of Q_E by τ | `ActorMimic._targets` |
| π_AMN(· given s; θ) | the softmax of the network's own output |
| L_policy, the cross-entropy over states that the student visits | `ActorMimic._loss` |
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork, relive
from headstart.core.off_policy import Learned
from headstart.core.types import Key, Step
from headstart.scratch.dqn import DQN

__all__ = ["ActorMimic"]


class ActorMimic(DQN):
    """Learns the policy of a teacher of discrete actions, where it comes to by acting ε-greedily itself.

    What it learns is a policy, whose logits stand where DQN has values: as a start for DQN, they are values up to what
    is the same for all actions, and in another unit.

    **Arguments:** those of `DQN`, of which rewards and discounts play no part, and

    - `teacher`: whose `Output.policy` is action values `[actions]`; one that remembers nothing.
    - `temperature`: τ, in the unit of those values.
    """

    teacher: AbstractNetwork = eqx.field(kw_only=True)
    temperature: float = eqx.field(kw_only=True, default=0.1)

    def _targets(self, learned: Learned, batch: Step) -> Float[Array, "L N actions"]:
        """π_E."""
        ask = lambda percept: self.teacher(percept, self.teacher.initial())[0].policy
        return jax.nn.softmax(jax.vmap(jax.vmap(ask))(batch.percept) / self.temperature)

    def _loss(self, parts, batch: Step, targets: Float[Array, "L N actions"], key: Key):
        network, source = parts
        outputs = relive(network, batch)
        loss = -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(outputs.policy), axis=-1))
        extra, reported = source.loss(network, batch, outputs, key=key)
        return loss + extra, {"dqn/loss": loss} | reported
