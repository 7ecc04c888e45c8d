"""Learning on-policy: what was done is learned from at once, and then forgotten.

What PPO and A2C share: a policy that is sampled, the advantages of what it did, and a loss of the policy, the value and
the entropy. A learner of this kind says what its policy is to make small, and how many gradient steps a rollout gives.

    rollout ──source.observe──▶ source ──source.rewrite──▶ advantages ──segments──▶ batch ──gradient steps──▶ network

Feed-forward and recurrent networks take one path. A rollout is a batch of segments `[L, N]`: for a network that
remembers nothing every step is a segment of its own, for one that remembers a segment is a lane, unrolled from the
memory it had when it began.
"""

from __future__ import annotations

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from headstart.core.learner import AbstractLearner
from headstart.core.network import AbstractNetwork, Memory, relive, segments
from headstart.core.optimise import descend, prepare
from headstart.core.returns import generalised_advantages
from headstart.core.source import AbstractSource
from headstart.core.types import Choice, Key, Metrics, Number, Output, Percept, Rollout, Step
from headstart.errors import UsageError

__all__ = ["AbstractOnPolicy", "OnPolicyState"]


class OnPolicyState(eqx.Module):
    """What evolves. `optimisers` has one state for the network and one for the source.

    `gradients` counts gradient steps, for an entropy weight that follows a schedule; `None` for one that does not.
    """

    network: AbstractNetwork
    source: AbstractSource
    optimisers: tuple[optax.OptState, ...]
    gradients: Int[Array, ""] | None = None


class AbstractOnPolicy(AbstractLearner):
    """Learns a policy and a value from rollouts that are used once.

    **Fields of each:**

    - `source`: whatever else is known. It may not change goals or actions: what was recorded when acting would then be
      of another question or another answer.
    - `discount`: γ, per step; `trace`: λ.
    - `value_weight`, `entropy_weight`: of the value's error and the policy's entropy beside the policy's own loss. The
      second is a number or an optax schedule over gradient steps.
    - `learning_rate`: a number or an optax schedule over gradient steps.
    - `clip`: the greatest gradient norm, for the network and for the source separately.

    **Raises:** `UsageError` for a source that changes goals or actions.
    """

    name: ClassVar[str]
    """The owner of its metrics."""

    discount: eqx.AbstractVar[Number]
    trace: eqx.AbstractVar[Number]
    value_weight: eqx.AbstractVar[Number]
    entropy_weight: eqx.AbstractVar[Number | optax.Schedule]
    learning_rate: eqx.AbstractVar[Number | optax.Schedule]
    clip: eqx.AbstractVar[float]

    def __check_init__(self):
        changed = self.source.changes & {"goal", "action"}
        if changed:
            raise UsageError(
                f"{type(self).__name__} cannot learn with a source that changes the {' and '.join(sorted(changed))}: "
                "what was noted when acting would be false; use an off-policy learner such as DQN"
            )

    @property
    @abc.abstractmethod
    def optimiser(self) -> optax.GradientTransformation:
        """What moves the network, and the source apart from it."""

    @abc.abstractmethod
    def policy_loss(self, output: Output, batch: Step) -> Float[Array, ""]:
        """What the policy is to make small over a batch `[L, N]`, whose `notes` have its `advantage`."""

    @abc.abstractmethod
    def learn(self, state: OnPolicyState, batch: Step, *, key: Key) -> tuple[OnPolicyState, Metrics]:
        """The gradient steps on a batch `[L, N]`, whose `notes` have its `advantage` and its `target`."""

    def init(self, network: AbstractNetwork, example: Step, *, key: Key) -> OnPolicyState:
        gradients = jnp.zeros((), jnp.int32) if callable(self.entropy_weight) else None
        return OnPolicyState(network, self.source, prepare(self.optimiser, (network, self.source)), gradients)

    def act(self, state: OnPolicyState, percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = state.network(percept, memory)
        action = output.policy.sample(key=key)
        return Choice(action, {"log_prob": output.policy.log_prob(action), "value": output.value}), memory

    def update(self, state: OnPolicyState, rollout: Rollout, *, key: Key) -> tuple[OnPolicyState, Metrics]:
        observe_key, rewrite_key, learn_key = jax.random.split(key, 3)
        source = state.source.observe(rollout, state.network, key=observe_key)
        batch = source.rewrite(rollout, state.network, key=rewrite_key)
        batch = segments(self.judge(batch, state.network))
        state = OnPolicyState(state.network, source, state.optimisers, state.gradients)
        return self.learn(state, batch, key=learn_key)

    def gradient_step(self, state: OnPolicyState, batch: Step, *, key: Key) -> tuple[OnPolicyState, Metrics]:
        """One step of the network and the source on a batch `[L, N]`, and what there is to report of it."""
        weight = self.entropy_weight(state.gradients) if callable(self.entropy_weight) else self.entropy_weight
        (network, source), optimisers, descent = descend(
            lambda parts: self._loss(parts, batch, weight, key=key),
            (state.network, state.source),
            self.optimiser,
            state.optimisers,
        )
        gradients = None if state.gradients is None else state.gradients + descent.made
        return OnPolicyState(network, source, optimisers, gradients), descent.reported(self.name)

    def judge(self, rollout: Rollout, network: AbstractNetwork) -> Rollout:
        """The rollout with `notes["advantage"]` and `notes["target"]`, both `[T, B]`."""
        value = rollout.notes["value"]

        def of(percept: Percept, memory: Memory) -> Float[Array, ""]:
            judged = network(percept, memory)[0].value
            assert judged is not None
            return judged

        final = jax.tree.map(lambda leaf: leaf[-1], (rollout.after, rollout.notes["memory_after"]))
        following = jnp.concatenate([value[1:], jax.vmap(of)(*final)[None]])
        # The next step's value is that of the true successor, but where an episode was cut short: then, ask.
        cut = rollout.last & (rollout.discount != 0)
        following = jax.lax.cond(
            jnp.any(cut[:-1]),
            lambda: jnp.where(cut, jax.vmap(jax.vmap(of))(rollout.after, rollout.notes["memory_after"]), following),
            lambda: following,
        )
        lanes = jax.vmap(generalised_advantages, in_axes=(1, 1, 1, 1, 1, None), out_axes=1)
        advantage = lanes(rollout.reward, self.discount * rollout.discount, rollout.last, value, following, self.trace)
        notes = rollout.notes | {"advantage": advantage, "target": advantage + value}
        return eqx.tree_at(lambda rollout: rollout.notes, rollout, notes)

    def _loss(
        self,
        parts: tuple[AbstractNetwork, AbstractSource],
        batch: Step,
        entropy_weight: Number,
        *,
        key: Key,
    ) -> tuple[Float[Array, ""], Metrics]:
        network, source = parts
        outputs = relive(network, batch)
        policy = self.policy_loss(outputs, batch)
        value = 0.5 * jnp.mean((outputs.value - batch.notes["target"]) ** 2)
        entropy = jnp.mean(outputs.policy.entropy())
        extra, reported = source.loss(network, batch, outputs, key=key)
        loss = policy + self.value_weight * value - entropy_weight * entropy
        metrics = {f"{self.name}/policy": policy, f"{self.name}/value": value, f"{self.name}/entropy": entropy}
        return loss + extra, metrics | reported
