"""DQN: learning action values off-policy, from replayed segments.

Mnih and others, *Human-level control through deep reinforcement learning*, Nature 2015 (algorithm 1). The default
target is that of van Hasselt and others, *Deep reinforcement learning with double Q-learning*, AAAI 2016 (section
"Double DQN"); `double=False` gives the target of 2015.

| paper | here |
|---|---|
| Q(s, ·; θ) | `network(percept, memory)`, whose `Output.policy` is the action values `[actions]` |
| θ⁻, target parameters | `Learned.target` |
| ε, annealed linearly | `epsilon` |
| D, replay memory | `headstart.core.replay.Replay`, of segments; a segment of one step is a transition |
| C, steps between target updates | `period`, in gradient steps; `blend` below 1 makes it a Polyak average |
| y = r + γ Q(s′, argmaxₐ Q(s′, a; θ); θ⁻) | `DQN._targets`, through cuts but never through true ends |
| (y − Q(s, a; θ))² | `DQN._loss`, with half of it, and the gradient's norm clipped in the place of the error |

The paper clips the error to [−1, 1], where rewards are too. We do not: values of about 100, as CartPole's are, are then
learned slowly and as medians rather than means, so that the rare end is not heard (measured: a greedy mean return of
about 100 of 500, where squared errors reach 500).

A recurrent network starts each segment from the memory it recorded when acting, and `after` from the one recorded
after acting (stored state of Kapturowski and others, *Recurrent experience replay*, ICLR 2019, without burn-in).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from headstart.core.network import Memory, relive
from headstart.core.off_policy import AbstractOffPolicy, Learned, OffPolicyState
from headstart.core.optimise import descend
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Key, Metrics, Number, Percept, Rollout, Step

__all__ = ["DQN"]


class DQN(AbstractOffPolicy):
    """Learns the value of each discrete action, acting ε-greedily.

    **Arguments:** those of `AbstractOffPolicy`, and

    - `discount`: γ, per step.
    - `epsilon`: probability of a random action at first and at last; `explore`: steps between the two.
    - `double`: the network chooses the action of the successor and the target judges it.
    """

    source: AbstractSource = Chain()
    discount: Number = 0.99
    capacity: int = 100_000
    segment: int = 1
    batch: int = 64
    minibatches: int = 1
    updates: int = 1
    warmup: int = 1_000
    epsilon: tuple[float, float] = (1.0, 0.05)
    explore: int = 10_000
    period: int = 500
    blend: float = 1.0
    double: bool = True
    learning_rate: Number | optax.Schedule = 1e-3
    clip: float = 10.0

    def act(self, state: OffPolicyState, percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        explore_key, action_key = jax.random.split(key)
        output, memory = state.network(percept, memory)
        best = _best(output.policy, percept.legal)
        level = jnp.zeros_like(output.policy) if percept.legal is None else jnp.where(percept.legal, 0.0, -jnp.inf)
        random = jax.random.categorical(action_key, level)
        explores = jax.random.uniform(explore_key) < self._epsilon(state.steps)
        return Choice(jnp.where(explores, random, best).astype(jnp.int32)), memory

    def update(self, state: OffPolicyState, rollout: Rollout, *, key: Key) -> tuple[OffPolicyState, Metrics]:
        state, metrics = super().update(state, rollout, key=key)
        return state, metrics | {"dqn/epsilon": self._epsilon(state.steps)}

    def _epsilon(self, steps: Int[Array, ""]) -> Float[Array, ""]:
        first, final = self.epsilon
        return first + (final - first) * jnp.clip(steps / max(self.explore, 1), 0.0, 1.0)

    def gradient_step(self, learned: Learned, batch: Step, *, key: Key) -> tuple[Learned, Metrics]:
        targets = self._targets(learned, batch)
        (network, source), optimisers, descent = descend(
            lambda parts: self._loss(parts, batch, targets, key),
            (learned.network, learned.source),
            self.optimiser,
            learned.optimisers,
        )
        gradients = learned.gradients + descent.made
        target = self.follow(learned.target, network, descent.made & (gradients % self.period == 0))
        return Learned(network, target, learned.own, source, optimisers, gradients), descent.reported("dqn")

    def _targets(self, learned: Learned, batch: Step) -> Float[Array, "L N"]:
        """y, for every step of the batch."""
        value = lambda network: jax.vmap(jax.vmap(network))(batch.after, batch.notes["memory_after"])[0].policy
        judged = value(learned.target())
        chosen = _best(value(learned.network) if self.double else judged, batch.after.legal)
        following = jnp.take_along_axis(judged, chosen[..., None], axis=-1)[..., 0]
        return jax.lax.stop_gradient(batch.reward + self.discount * batch.discount * following)

    def _loss(self, parts, batch: Step, targets: Float[Array, "L N"], key: Key):
        network, source = parts
        outputs = relive(network, batch)
        taken = jnp.take_along_axis(outputs.policy, batch.action[..., None], axis=-1)[..., 0]
        loss = jnp.mean(optax.losses.l2_loss(taken, targets))
        extra, reported = source.loss(network, batch, outputs, key=key)
        return loss + extra, {"dqn/loss": loss, "dqn/value": jnp.mean(taken)} | reported


def _best(values: Float[Array, "*batch actions"], legal: Bool[Array, "*batch actions"] | None) -> Int[Array, "*batch"]:
    return jnp.argmax(values if legal is None else jnp.where(legal, values, -jnp.inf), axis=-1)
