"""What DDPG, TD3 and SAC share: a policy that climbs the values of critics, which learn from replayed segments.

A learner of this kind says how it explores, what its critics are to learn, and what its actor is to climb. One gradient
step moves all parts at once, each with an optimiser of its own: the actor sees the critics as they were before it.
"""

from __future__ import annotations

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from headstart.core.network import AbstractActionCritic, AbstractNetwork, Memory, relive
from headstart.core.off_policy import AbstractOffPolicy, Learned, OffPolicyState
from headstart.core.optimise import descend
from headstart.core.policies import Squashed
from headstart.core.source import AbstractSource
from headstart.core.types import Choice, Frozen, Key, Metrics, Number, Percept, Step
from headstart.errors import UsageError

__all__ = ["UNBOUNDED", "AbstractActorCritics", "AbstractDeterministic"]

UNBOUNDED = (-math.inf, math.inf)


class AbstractActorCritics(AbstractOffPolicy):
    """Learns real actions in [−1, 1]. Until the warm-up is over, it acts uniformly at random.

    **Fields of each:** those of `AbstractOffPolicy`, and

    - `discount`: γ, per step.
    - `bounds`: the least and the greatest value there can be, to which targets are clipped: from −1 / (1 − γ) to 0
      where each step costs 1.
    - `delay`: gradient steps of the critics for one of the actor.

    **Raises:** `UsageError` for a network without critics of actions, or one that remembers.
    """

    discount: eqx.AbstractVar[Number]
    bounds: eqx.AbstractVar[tuple[float, float]]
    delay: eqx.AbstractVar[int]

    @abc.abstractmethod
    def explore(self, policy: Squashed, *, key: Key) -> Float[Array, "size"]:
        """An action to learn from."""

    @abc.abstractmethod
    def targets(self, learned: Learned, batch: Step, *, key: Key) -> Float[Array, "L N"]:
        """What the critics are to say of each step of the batch, before it is clipped."""

    @abc.abstractmethod
    def climb(
        self, network: AbstractActionCritic, own: Any, percept: Percept, policy: Squashed, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        """The loss of the actor, and of what is tuned beside it. The critics in `network` have no gradients."""

    def parts(self, network: AbstractNetwork, own: Any, source: AbstractSource) -> tuple[Any, ...]:
        assert isinstance(network, AbstractActionCritic)
        return network.actor, network.critics, own, source

    def init(self, network: AbstractNetwork, example: Step, *, key: Key) -> OffPolicyState:
        if not isinstance(network, AbstractActionCritic):
            raise UsageError(
                f"{type(self).__name__} needs critics of actions, which {type(network).__name__} has not; "
                "use headstart.core.networks.ActorCritics"
            )
        if network.initial() is not None:
            raise UsageError(f"{type(self).__name__} learns no memory; use a network without, or DQN or PPO")
        return super().init(network, example, key=key)

    def act(self, state: OffPolicyState, percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        random_key, explore_key = jax.random.split(key)
        output, memory = state.network(percept, memory)
        action = self.explore(output.policy, key=explore_key)
        random = jax.random.uniform(random_key, action.shape, minval=-1.0, maxval=1.0)
        return Choice(jnp.where(state.steps < self.warmup, random, action)), memory

    def gradient_step(self, learned: Learned, batch: Step, *, key: Key) -> tuple[Learned, Metrics]:
        target_key, climb_key, source_key = jax.random.split(key, 3)
        targets = self.targets(learned, batch, key=target_key)
        targets = jax.lax.stop_gradient(jnp.clip(targets, *self.bounds))

        def loss(parts: tuple[Any, ...]) -> tuple[Float[Array, ""], Metrics]:
            *ours, own, source = parts
            network = _with(learned.network, *ours)
            values = judge(network, batch.percept, batch.action)
            critics = 0.5 * jnp.mean(jnp.sum((values - targets[..., None]) ** 2, axis=-1))
            outputs = relive(network, batch)
            still = _with(network, network.actor, Frozen(network.critics)())
            actor, metrics = self.climb(still, own, batch.percept, outputs.policy, key=climb_key)
            extra, reported = source.loss(network, batch, outputs, key=source_key)
            name = type(self).__name__.lower()
            metrics = {f"{name}/critics": critics, f"{name}/value": jnp.mean(values)} | metrics | reported
            return critics + actor + extra, metrics

        before = self.parts(learned.network, learned.own, learned.source)
        after, optimisers, descent = descend(loss, before, self.optimiser, learned.optimisers)
        gradients = learned.gradients + descent.made
        due = (self.delay == 1) | (gradients % self.delay == 0)  # the first, so that nothing is compiled for it
        keep = lambda new, old: jnp.where(due, new, old) if eqx.is_array(new) else new
        actor, state = jax.tree.map(keep, (after[0], optimisers[0]), (before[0], learned.optimisers[0]))
        network = _with(learned.network, actor, after[1])
        target = self.follow(learned.target, network, descent.made & (gradients % self.period == 0))
        metrics = descent.reported(type(self).__name__.lower())
        return Learned(network, target, after[2], after[3], (state, *optimisers[1:]), gradients), metrics


class AbstractDeterministic(AbstractActorCritics):
    """Of these, the learners whose policy is one action, which noise has to vary.

    **Fields of each:** those of `AbstractActorCritics`, and

    - `noise`: of exploration, as a standard deviation in units of actions; `random`: how often an action is drawn
      uniformly instead.
    - `effort`: the cost of an action's mean square to the actor.

    `random` and `effort` are of Andrychowicz and others (*Hindsight experience replay*, 2017, appendix A), who let a
    robot act at random in three steps of ten and charge the actor for large actions.
    """

    noise: eqx.AbstractVar[float]
    random: eqx.AbstractVar[float]
    effort: eqx.AbstractVar[float]

    def explore(self, policy: Squashed, *, key: Key) -> Float[Array, "size"]:
        noise_key, uniform_key, random_key = jax.random.split(key, 3)
        action = policy.mode()
        near = jnp.clip(action + self.noise * jax.random.normal(noise_key, action.shape), -1.0, 1.0)
        anywhere = jax.random.uniform(uniform_key, action.shape, minval=-1.0, maxval=1.0)
        return jnp.where(jax.random.uniform(random_key) < self.random, anywhere, near)

    def climb(
        self, network: AbstractActionCritic, own: Any, percept: Percept, policy: Squashed, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        action = policy.mode()
        value = jnp.mean(judge(network, percept, action)[..., 0])
        return self.effort * jnp.mean(action**2) - value, {f"{type(self).__name__.lower()}/climbed": value}


def judge(network: AbstractNetwork, percept: Percept, action: Float[Array, "L N size"]) -> Float[Array, "L N critics"]:
    """What every critic says of a batch of actions."""
    assert isinstance(network, AbstractActionCritic)
    return jax.vmap(jax.vmap(network.judge))(percept, action)


def choose(network: AbstractNetwork, percept: Percept) -> Squashed:
    """What the actor would do at each moment of a batch."""
    return jax.vmap(jax.vmap(lambda percept: network(percept, None)[0].policy))(percept)


def _with(network: AbstractNetwork, actor: PyTree, critics: PyTree) -> AbstractActionCritic:
    return eqx.tree_at(lambda network: (network.actor, network.critics), network, (actor, critics))
