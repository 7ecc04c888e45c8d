"""Foresight: what a model of the world says of the very next step, taught to a policy that will have no model.

A policy improvement with one step of looking ahead: the policy in closed form that gains most from the rewards at hand
while it stays near the old one (Abdolmaleki and others, *Maximum a posteriori policy optimisation*, ICLR 2018, eq. 7,
with the next reward in place of the action value):

    q(a | s) ∝ π(a | s) · exp(boldness · r(s, a))
    L = weight · mean over s of  −Σₐ q(a | s) log π(a | s),  with no gradient into q

Where the next reward is the same whatever one does, q is π and nothing is taught: there the learner is on its own. In a
board game it teaches to win when one can, which a learner from outcomes alone finds out by chance.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from headstart.core.network import AbstractNetwork
from headstart.core.source import AbstractSource
from headstart.core.types import Key, Metrics, Outcome, Output, Step, Task
from headstart.core.world import AbstractWorld, Discrete, State
from headstart.core.wrappers import Like

__all__ = ["Foresight"]


class Foresight(AbstractSource):
    """Teaches a policy over discrete actions what each of them would earn at once.

    The world must be deterministic in its next reward. In training it is asked what every action would have earned;
    the agent itself is never shown that.

    **Arguments:**

    - `weight`: of the loss.
    - `boldness`: how many nats a unit of reward is worth against the old policy.
    """

    weight: float = 1.0
    boldness: float = 6.0

    def stage(self, world: AbstractWorld) -> AbstractWorld:
        return Foreseen(world)

    def loss(
        self, network: AbstractNetwork, batch: Step, outputs: Output, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        log_probs = outputs.policy.log_probs
        rewards = batch.cumulants
        assert rewards is not None, "the world must be staged by this source"
        better = jax.nn.softmax(jax.lax.stop_gradient(log_probs) + self.boldness * rewards, axis=-1)
        loss = -jnp.mean(jnp.sum(better * log_probs, axis=-1))
        legal = batch.percept.legal
        possible = jnp.ones(rewards.shape, bool) if legal is None else legal
        best = jnp.max(jnp.where(possible, rewards, -jnp.inf), axis=-1, keepdims=True)
        matters = jnp.any((rewards < best) & possible, axis=-1)
        seen = jnp.sum(jnp.exp(log_probs) * (rewards == best), axis=-1)
        share = jnp.sum(seen * matters) / jnp.maximum(jnp.sum(matters), 1)
        return self.weight * loss, {"foresight/seen": share}


class Foreseen(Like):
    """A world whose outcomes say, as cumulants `[actions]`, what each action would have earned in its place."""

    world: AbstractWorld

    def step(self, state: State, task: Task, action: PyTree[Array], *, key: Key) -> tuple[State, Outcome]:
        assert isinstance(self.actions, Discrete), "there must be finitely many actions to look at each"
        earn = lambda action: self.world.step(state, task, action, key=key)[1].reward
        rewards = jax.vmap(earn)(jnp.arange(self.actions.count))
        after, outcome = self.world.step(state, task, action, key=key)
        return after, eqx.tree_at(lambda outcome: outcome.cumulants, outcome, rewards, is_leaf=lambda x: x is None)
