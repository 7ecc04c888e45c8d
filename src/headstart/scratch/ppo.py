"""PPO: many small steps on one rollout, none of them far.

Schulman and others, *Proximal policy optimization algorithms*, 2017, with the advantages of Schulman and others,
*High-dimensional continuous control using generalized advantage estimation*, ICLR 2016.

| paper | here |
|---|---|
| π(a | s), V(s) | `network(percept, memory)`: `Output.policy`, `Output.value` |
| rₜ(θ) = π(aₜ | sₜ) / π_old(aₜ | sₜ) | `ratio`, from `notes["log_prob"]` |
| Âₜ | `generalised_advantages` (`core.returns`), normalised in each minibatch |
| L^CLIP (eq. 7), c₁ L^VF, c₂ S (eq. 9) | `_loss`; `value_weight`, `entropy_weight` |
| K epochs, minibatches of size M | `epochs`, `minibatches` |

Feed-forward and recurrent networks take one path. A rollout is a batch of segments `[L, N]`: for a network that
remembers nothing every step is a segment of its own, for one that remembers a segment is a lane, unrolled from the
memory it had when it began. The value loss is not clipped: Andrychowicz and others (*What matters in on-policy
reinforcement learning?*, ICLR 2021) found that clipping it hurts.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.chance import shuffled
from headstart.core.learner import AbstractLearner
from headstart.core.network import AbstractNetwork, Memory, relive, segments
from headstart.core.optimise import clipped_adam, descend, prepare
from headstart.core.returns import generalised_advantages
from headstart.core.scan import scan
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Key, Metrics, Percept, Rollout, Step
from headstart.errors import UsageError

__all__ = ["PPO", "PPOState"]


class PPOState(eqx.Module):
    """What evolves. `optimisers` has one state for the network and one for the source."""

    network: AbstractNetwork
    source: AbstractSource
    optimisers: tuple[optax.OptState, ...]


class PPO(AbstractLearner):
    """Learns a policy and a value on-policy.

    **Arguments:**

    - `source`: whatever else is known. It may not change goals or actions: the log-probabilities recorded when
      acting would then be those of another question or another answer.
    - `discount`: γ, per step; `trace`: λ.
    - `epochs`, `minibatches`: passes over a rollout, and gradient steps in each.
    - `reach`: ε, how far a probability may move before its gain counts no more.
    - `learning_rate`: a number or an optax schedule over gradient steps; `clip`: the greatest gradient norm, for the
      network and for the source separately.
    """

    source: AbstractSource = Chain()
    discount: float = 0.99
    trace: float = 0.95
    epochs: int = 4
    minibatches: int = 4
    reach: float = 0.2
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    learning_rate: float | optax.Schedule = 2.5e-4
    clip: float = 0.5

    def __check_init__(self):
        changed = self.source.changes & {"goal", "action"}
        if changed:
            raise UsageError(
                f"PPO cannot learn with a source that changes the {' and '.join(sorted(changed))}: its stored "
                "log-probabilities would be false; use an off-policy learner such as DQN"
            )

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return clipped_adam(self.learning_rate, self.clip, eps=1e-5)

    def init(self, network: AbstractNetwork, example: Step, *, key: Key) -> PPOState:
        return PPOState(network, self.source, prepare(self.optimiser, (network, self.source)))

    def act(self, state: PPOState, percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = state.network(percept, memory)
        action = output.policy.sample(key=key)
        return Choice(action, {"log_prob": output.policy.log_prob(action), "value": output.value}), memory

    def update(self, state: PPOState, rollout: Rollout, *, key: Key) -> tuple[PPOState, Metrics]:
        observe_key, rewrite_key, learn_key = jax.random.split(key, 3)
        source = state.source.observe(rollout, state.network, key=observe_key)
        batch = source.rewrite(rollout, state.network, key=rewrite_key)
        batch = segments(self._judge(batch, state.network))
        state = PPOState(state.network, source, state.optimisers)

        def step(state: PPOState, drawn) -> tuple[PPOState, Metrics]:
            chosen, key = drawn
            minibatch = jax.tree.map(lambda leaf: leaf[:, chosen], batch)
            parts, optimisers, descent = descend(
                lambda parts: self._loss(parts, minibatch, key=key),
                (state.network, state.source),
                self.optimiser,
                state.optimisers,
            )
            network, source = parts
            return PPOState(network, source, optimisers), descent.reported("ppo")

        count = batch.reward.shape[1]
        order_key, loss_key = jax.random.split(learn_key)
        shuffle = lambda key: shuffled(count, key=key)[: count // self.minibatches * self.minibatches]
        order = jax.vmap(shuffle)(jax.random.split(order_key, self.epochs))
        chosen = order.reshape(self.epochs * self.minibatches, -1)
        state, metrics = scan(step, state, (chosen, jax.random.split(loss_key, chosen.shape[0])))
        return state, jax.tree.map(jnp.mean, metrics)

    def _judge(self, rollout: Rollout, network: AbstractNetwork) -> Rollout:
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
        self, parts: tuple[AbstractNetwork, AbstractSource], batch: Step, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        network, source = parts
        outputs = relive(network, batch)
        advantage = batch.notes["advantage"]
        advantage = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
        ratio = jnp.exp(outputs.policy.log_prob(batch.action) - batch.notes["log_prob"])
        near = jnp.clip(ratio, 1.0 - self.reach, 1.0 + self.reach)
        policy = -jnp.mean(jnp.minimum(ratio * advantage, near * advantage))
        value = 0.5 * jnp.mean((outputs.value - batch.notes["target"]) ** 2)
        entropy = jnp.mean(outputs.policy.entropy())
        extra, reported = source.loss(network, batch, outputs, key=key)
        loss = policy + self.value_weight * value - self.entropy_weight * entropy
        metrics = {"ppo/policy": policy, "ppo/value": value, "ppo/entropy": entropy}
        return loss + extra, metrics | reported
