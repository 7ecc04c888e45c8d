"""Learning off-policy: what was done is stored, and learned from again and again.

What DQN, DDPG, TD3 and SAC share: a replay, a warm-up, gradient steps on what is drawn from it, and a target network
that follows. A learner of this kind says how it acts and what one gradient step is.

    rollout ──add──▶ replay ──sample──▶ segments ──source.rewrite──▶ batch ──gradient steps──▶ network ──▶ target
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Int, Shaped

from headstart.core.chance import shuffled
from headstart.core.learner import AbstractLearner
from headstart.core.network import AbstractNetwork, segments
from headstart.core.optimise import clipped_adam, prepare
from headstart.core.replay import Replay
from headstart.core.scan import scan
from headstart.core.source import AbstractSource
from headstart.core.types import Frozen, Key, Metrics, Number, Rollout, Step
from headstart.errors import UsageError

__all__ = ["AbstractOffPolicy", "Learned", "OffPolicyState"]


class Learned(eqx.Module):
    """What a gradient step changes. `optimisers` has one state for each of the learner's parts, the source last.

    `own` is what a learner tunes beside its network, as SAC its temperature; `()` if that is nothing.
    """

    network: AbstractNetwork
    target: Frozen[AbstractNetwork]
    own: Any
    source: AbstractSource
    optimisers: tuple[optax.OptState, ...]
    gradients: Int[Array, ""]


class OffPolicyState(eqx.Module):
    """What evolves: what was learned, what is remembered, and how many steps were taken in all lanes together."""

    learned: Learned
    replay: Replay
    steps: Int[Array, ""]

    @property
    def network(self) -> AbstractNetwork:
        return self.learned.network


class AbstractOffPolicy(AbstractLearner):
    """A learner from replayed segments.

    **Fields of each:**

    - `source`: whatever else is known. It may not need `log_prob`, which an old action no longer has.
    - `capacity`: steps that the replay holds; `segment`: steps in each of its segments, a divisor of the rollout's.
    - `batch`: segments drawn at a time, and `minibatches`: the gradient steps that share them. Where nothing is
      remembered, their single steps are mixed before they are shared out: with long segments, of which each has much
      of its own, many that are drawn at once teach more than few drawn often, and for less.
    - `updates`: gradient steps for each rollout, a multiple of `minibatches`.
    - `warmup`: steps before the first gradient step.
    - `period`, `blend`: every `period` gradient steps, the target moves the fraction `blend` towards the network.
    - `learning_rate`: a number or an optax schedule over gradient steps; `clip`: the greatest gradient norm, for each
      part separately.

    **Raises:** `UsageError` for a source that needs more than is recorded, and for gradient steps that cannot be shared
    out.
    """

    capacity: eqx.AbstractVar[int]
    segment: eqx.AbstractVar[int]
    batch: eqx.AbstractVar[int]
    minibatches: eqx.AbstractVar[int]
    updates: eqx.AbstractVar[int]
    warmup: eqx.AbstractVar[int]
    period: eqx.AbstractVar[int]
    blend: eqx.AbstractVar[float]
    learning_rate: eqx.AbstractVar[Number | optax.Schedule]
    clip: eqx.AbstractVar[float]

    def __check_init__(self):
        missing = self.source.needs - {"memory", "memory_after"}
        name = type(self).__name__
        if missing:
            raise UsageError(
                f"{name} records no {', '.join(sorted(missing))}, which its source needs; use a learner that does"
            )
        if self.minibatches < 1 or self.updates % self.minibatches:
            raise UsageError(
                f"{name} cannot make {self.updates} gradient steps in groups of {self.minibatches}; choose a multiple"
            )

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return clipped_adam(self.learning_rate, self.clip)

    def parts(self, network: AbstractNetwork, own: Any, source: AbstractSource) -> tuple[Any, ...]:
        """What has an optimiser of its own, in order, the source last."""
        return network, source

    def begin(self) -> Any:
        """What the learner tunes beside its network, before any experience."""
        return ()

    @abc.abstractmethod
    def gradient_step(self, learned: Learned, batch: Step, *, key: Key) -> tuple[Learned, Metrics]:
        """One step on a batch `[L, N]` that the source has rewritten."""

    def init(self, network: AbstractNetwork, example: Step, *, key: Key) -> OffPolicyState:
        copy = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True) if eqx.is_array(leaf) else leaf, network)
        own = self.begin()
        optimisers = prepare(self.optimiser, self.parts(network, own, self.source))
        learned = Learned(network, Frozen(copy), own, self.source, optimisers, jnp.zeros((), jnp.int32))
        replay = Replay.create(example, max(self.capacity // self.segment, 1), self.segment)
        return OffPolicyState(learned, replay, jnp.zeros((), jnp.int32))

    def update(self, state: OffPolicyState, rollout: Rollout, *, key: Key) -> tuple[OffPolicyState, Metrics]:
        observe_key, learn_key = jax.random.split(key)
        source = state.learned.source.observe(rollout, state.network, key=observe_key)
        learned = eqx.tree_at(lambda learned: learned.source, state.learned, source)
        replay, steps = state.replay.add(rollout), state.steps + rollout.reward.size

        draw = lambda learned, keys: self._draw(learned, replay, keys)
        # All at once: each splitting is a loop of its own to compile.
        keys = jax.random.split(learn_key, (self.updates // self.minibatches, 3 + self.minibatches))
        learned, metrics = _once_ready(steps >= self.warmup, lambda learned: scan(draw, learned, keys), learned)
        metrics = jax.tree.map(jnp.mean, metrics)
        return OffPolicyState(learned, replay, steps), metrics

    def _draw(self, learned: Learned, replay: Replay, keys: Shaped[Array, "n"]) -> tuple[Learned, Metrics]:
        """The gradient steps on what is drawn at once, of which each takes one of the `keys`, after the first three."""
        sample_key, rewrite_key, order_key, step_keys = keys[0], keys[1], keys[2], keys[3:]
        batch = replay.sample(self.batch, key=sample_key)
        batch = learned.source.rewrite(batch, learned.network, key=rewrite_key)
        if self.minibatches == 1:
            return self.gradient_step(learned, batch, key=step_keys[0])
        batch = segments(batch)
        count = batch.reward.shape[1]
        if count < self.minibatches:
            raise UsageError(
                f"{type(self).__name__} draws {count} and cannot share them among {self.minibatches} gradient steps; "
                "raise batch, or ask for fewer minibatches"
            )
        order = shuffled(count, key=order_key)[: count // self.minibatches * self.minibatches]

        def step(learned: Learned, drawn: tuple[Array, Key]) -> tuple[Learned, Metrics]:
            chosen, key = drawn
            return self.gradient_step(learned, jax.tree.map(lambda leaf: leaf[:, chosen], batch), key=key)

        return scan(step, learned, (order.reshape(self.minibatches, -1), step_keys))

    def follow(self, target: Frozen, network: AbstractNetwork, due: Bool[Array, ""]) -> Frozen:
        """The target, nearer to the network where that is `due`."""
        arrays, static = eqx.partition(network, eqx.is_inexact_array)
        old = eqx.filter(target.frozen, eqx.is_inexact_array)
        near = optax.incremental_update(arrays, old, self.blend)
        return Frozen(eqx.combine(jax.tree.map(lambda new, old: jnp.where(due, new, old), near, old), static))


def _once_ready(
    ready: Bool[Array, ""], learn: Callable[[Learned], tuple[Learned, Metrics]], learned: Learned
) -> tuple[Learned, Metrics]:
    """What comes of learning, or else what was there before, with 0 for metrics: NaN would stop the run."""
    arrays, static = eqx.partition(learned, eqx.is_array)

    def wiser(arrays: Learned) -> tuple[Learned, Metrics]:
        fresh, metrics = learn(eqx.combine(arrays, static))
        return eqx.filter(fresh, eqx.is_array), metrics

    traced = eqx.filter_closure_convert(wiser, arrays)  # once: neither for its shapes nor as a branch again
    shapes = eqx.filter_eval_shape(traced, arrays)[1]
    nothing = jax.tree.map(lambda metric: jnp.zeros(metric.shape, metric.dtype), shapes)
    arrays, metrics = jax.lax.cond(ready, lambda arrays: traced(arrays), lambda arrays: (arrays, nothing), arrays)
    return eqx.combine(arrays, static), metrics
