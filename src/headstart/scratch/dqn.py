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

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from headstart.core.learner import AbstractLearner
from headstart.core.network import AbstractNetwork, Memory, relive
from headstart.core.optimise import clipped_adam, descend, prepare
from headstart.core.replay import Replay
from headstart.core.scan import scan
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Frozen, Key, Metrics, Percept, Rollout, Step
from headstart.errors import UsageError

__all__ = ["DQN", "DQNState", "Learned"]


class Learned(eqx.Module):
    """What a gradient step changes. `optimisers` has one state for the network and one for the source."""

    network: AbstractNetwork
    target: Frozen[AbstractNetwork]
    source: AbstractSource
    optimisers: tuple[optax.OptState, ...]
    gradients: Int[Array, ""]


class DQNState(eqx.Module):
    """What evolves: what was learned, what is remembered, and how many steps were taken in all lanes together."""

    learned: Learned
    replay: Replay
    steps: Int[Array, ""]

    @property
    def network(self) -> AbstractNetwork:
        return self.learned.network


class DQN(AbstractLearner):
    """Learns the value of each discrete action, acting ε-greedily.

    **Arguments:**

    - `source`: whatever else is known. It may not need `log_prob`: ε-greedy acting records none.
    - `discount`: γ, per step.
    - `capacity`: steps that the replay holds; `segment`: steps in each of its segments, a divisor of the rollout's.
    - `batch`: segments in each gradient step; `updates`: gradient steps for each rollout.
    - `warmup`: steps before the first gradient step.
    - `epsilon`: probability of a random action at first and at last; `explore`: steps between the two.
    - `period`, `blend`: every `period` gradient steps, the target moves the fraction `blend` towards the network.
    - `double`: the network chooses the action of the successor and the target judges it.
    - `learning_rate`: a number or an optax schedule over gradient steps; `clip`: the greatest gradient norm, for the
      network and for the source separately.
    """

    source: AbstractSource = Chain()
    discount: float = 0.99
    capacity: int = 100_000
    segment: int = 1
    batch: int = 64
    updates: int = 1
    warmup: int = 1_000
    epsilon: tuple[float, float] = (1.0, 0.05)
    explore: int = 10_000
    period: int = 500
    blend: float = 1.0
    double: bool = True
    learning_rate: float | optax.Schedule = 1e-3
    clip: float = 10.0

    def __check_init__(self):
        missing = self.source.needs - {"memory", "memory_after"}
        if missing:
            raise UsageError(
                f"DQN records no {', '.join(sorted(missing))}, which its source needs; use a learner that does"
            )

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return clipped_adam(self.learning_rate, self.clip)

    def init(self, network: AbstractNetwork, example: Step, *, key: Key) -> DQNState:
        copy = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True) if eqx.is_array(leaf) else leaf, network)
        optimisers = prepare(self.optimiser, (network, self.source))
        learned = Learned(network, Frozen(copy), self.source, optimisers, jnp.zeros((), jnp.int32))
        replay = Replay.create(example, max(self.capacity // self.segment, 1), self.segment)
        return DQNState(learned, replay, jnp.zeros((), jnp.int32))

    def act(self, state: DQNState, percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        explore_key, action_key = jax.random.split(key)
        output, memory = state.network(percept, memory)
        best = _best(output.policy, percept.legal)
        level = jnp.zeros_like(output.policy) if percept.legal is None else jnp.where(percept.legal, 0.0, -jnp.inf)
        random = jax.random.categorical(action_key, level)
        explores = jax.random.uniform(explore_key) < self._epsilon(state.steps)
        return Choice(jnp.where(explores, random, best).astype(jnp.int32)), memory

    def update(self, state: DQNState, rollout: Rollout, *, key: Key) -> tuple[DQNState, Metrics]:
        observe_key, learn_key = jax.random.split(key)
        source = state.learned.source.observe(rollout, state.network, key=observe_key)
        learned = eqx.tree_at(lambda learned: learned.source, state.learned, source)
        replay, steps = state.replay.add(rollout), state.steps + rollout.reward.size

        step = lambda learned, key: self._gradient_step(learned, replay, key=key)
        fresh, metrics = scan(step, learned, jax.random.split(learn_key, self.updates))
        # Computed during the warm-up too, and then dropped: a branch would be traced twice to save one second.
        ready = steps >= self.warmup
        keep = lambda new, old: jnp.where(ready, new, old) if eqx.is_array(new) else new
        learned = jax.tree.map(keep, fresh, learned)
        metrics = jax.tree.map(lambda leaf: jnp.where(ready, jnp.mean(leaf, axis=0), jnp.nan), metrics)
        metrics |= {"dqn/epsilon": self._epsilon(steps)}
        return DQNState(learned, replay, steps), metrics

    def _epsilon(self, steps: Int[Array, ""]) -> Float[Array, ""]:
        first, final = self.epsilon
        return first + (final - first) * jnp.clip(steps / max(self.explore, 1), 0.0, 1.0)

    def _gradient_step(self, state: Learned, replay: Replay, *, key: Key) -> tuple[Learned, Metrics]:
        sample_key, rewrite_key, loss_key = jax.random.split(key, 3)
        batch = state.source.rewrite(replay.sample(self.batch, key=sample_key), state.network, key=rewrite_key)
        targets = self._targets(state, batch)
        (network, source), optimisers, descent = descend(
            lambda parts: self._loss(parts, batch, targets, loss_key),
            (state.network, state.source),
            self.optimiser,
            state.optimisers,
        )
        gradients_done = state.gradients + descent.made
        target = self._follow(state.target, network, descent.made & (gradients_done % self.period == 0))
        return Learned(network, target, source, optimisers, gradients_done), descent.reported("dqn")

    def _targets(self, state: Learned, batch: Step) -> Float[Array, "L N"]:
        """y, for every step of the batch."""
        value = lambda network: jax.vmap(jax.vmap(network))(batch.after, batch.notes["memory_after"])[0].policy
        judged = value(state.target())
        chosen = _best(value(state.network) if self.double else judged, batch.after.legal)
        following = jnp.take_along_axis(judged, chosen[..., None], axis=-1)[..., 0]
        return jax.lax.stop_gradient(batch.reward + self.discount * batch.discount * following)

    def _loss(self, parts, batch: Step, targets: Float[Array, "L N"], key: Key):
        network, source = parts
        outputs = relive(network, batch)
        taken = jnp.take_along_axis(outputs.policy, batch.action[..., None], axis=-1)[..., 0]
        loss = jnp.mean(optax.losses.l2_loss(taken, targets))
        extra, reported = source.loss(network, batch, outputs, key=key)
        return loss + extra, {"dqn/loss": loss, "dqn/value": jnp.mean(taken)} | reported

    def _follow(self, target: Frozen, network: AbstractNetwork, due: Bool[Array, ""]) -> Frozen:
        arrays, static = eqx.partition(network, eqx.is_inexact_array)
        old = eqx.filter(target.frozen, eqx.is_inexact_array)
        near = optax.incremental_update(arrays, old, self.blend)
        return Frozen(eqx.combine(jax.tree.map(lambda new, old: jnp.where(due, new, old), near, old), static))


def _best(values: Float[Array, "*batch actions"], legal: Bool[Array, "*batch actions"] | None) -> Int[Array, "*batch"]:
    return jnp.argmax(values if legal is None else jnp.where(legal, values, -jnp.inf), axis=-1)
