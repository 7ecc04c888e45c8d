"""Q-learning: each step corrects the value of what was done, at once, and is forgotten.

Watkins and Dayan, *Q-learning*, Machine Learning 8, 1992, with actions drawn by the softmax of their values, as in
Sutton and Barto, *Reinforcement Learning*, 1998, section 2.3.

    Q(s, a) ← Q(s, a) + α (r + γ maxₐ′ Q(s′, a′) − Q(s, a)),        π(a | s) ∝ exp(β Q(s, a))

| paper | here |
|---|---|
| Q(s, ·) | `network(percept, memory)`, whose `Output.policy` is the action values `[actions]`; `Table` is a table |
| α, γ | `learning_rate`, `discount` |
| β, the inverse temperature | `inverse_temperature` |

With a `Table` and one lane this is Q-learning to the letter. With any other network of action values it is a step of
α down the gradient of half the squared error, the target held fast.
"""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.learner import AbstractLearner
from headstart.core.network import AbstractNetwork, Memory, relive
from headstart.core.networks import flat
from headstart.core.optimise import descend, prepare
from headstart.core.policies import Categorical
from headstart.core.scan import scan
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Key, Metrics, Number, Output, Percept, Rollout, Step
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

__all__ = ["QLearning", "QLearningState", "Table"]


class Table(AbstractNetwork):
    """A value for each action in each state, 0 at first; remembers nothing.

    Values are linear in what is observed: a table where that is numbers of which one is 1 and the others 0.

    **Arguments:**

    - `world`: what is observed, and which discrete actions there are.

    **Raises:** `UsageError` for real actions.
    """

    values: Float[Array, "states actions"]

    def __init__(self, world: AbstractWorld, key: Key):
        if not isinstance(world.actions, Discrete):
            raise UsageError(f"a table has no room for the real actions of {type(world).__name__}; use SAC, or PPO")
        shown = jax.eval_shape(lambda key: world.reset(world.task(key=key), key=key)[1], key)
        states = sum(leaf.size for leaf in jax.tree.leaves(shown))
        self.values = jnp.zeros((states, world.actions.count))

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        # A sum and no product: on some devices products of 32 bits are rounded to fewer.
        return Output(jnp.sum(flat(percept.observation)[:, None] * self.values, axis=0)), None


class QLearningState(eqx.Module):
    """What evolves. `optimisers` has one state for the network and one for the source."""

    network: AbstractNetwork
    source: AbstractSource
    optimisers: tuple[optax.OptState, ...]


class QLearning(AbstractLearner):
    """Learns the value of each discrete action from every step in turn, and acts by the softmax of them.

    The steps of a rollout are learned from in order. What several lanes did at the same moment is averaged, so a cell
    of a table that one of B lanes visits moves by α / B of its error.

    **Arguments:**

    - `source`: whatever else is known. It may not need `log_prob`.
    - `learning_rate`: α, from 0 to 1 for a table; a number or an optax schedule over steps.
    - `inverse_temperature`: β; the greater, the likelier is the best action.
    - `discount`: γ, per step.

    **Raises:** `UsageError` for a source that needs more than is recorded.
    """

    source: AbstractSource = Chain()
    learning_rate: Number | optax.Schedule = 0.1
    inverse_temperature: Number = 1.0
    discount: Number = 0.99

    def __check_init__(self):
        missing = self.source.needs - {"memory", "memory_after"}
        if missing:
            raise UsageError(
                f"QLearning records no {', '.join(sorted(missing))}, which its source needs; use a learner that does"
            )

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return optax.sgd(self.learning_rate)

    def init(self, network: AbstractNetwork, example: Step, *, key: Key) -> QLearningState:
        return QLearningState(network, self.source, prepare(self.optimiser, (network, self.source)))

    def act(self, state: QLearningState, percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = state.network(percept, memory)
        policy = Categorical(self.inverse_temperature * output.policy, percept.legal)
        return Choice(policy.sample(key=key)), memory

    def update(self, state: QLearningState, rollout: Rollout, *, key: Key) -> tuple[QLearningState, Metrics]:
        observe_key, rewrite_key, learn_key = jax.random.split(key, 3)
        source = state.source.observe(rollout, state.network, key=observe_key)
        batch = source.rewrite(rollout, state.network, key=rewrite_key)
        state = QLearningState(state.network, source, state.optimisers)
        moments = jax.tree.map(lambda leaf: leaf[:, None], batch)  # each a batch of segments of one step
        keys = jax.random.split(learn_key, rollout.reward.shape[0])
        state, metrics = scan(self._correct, state, (moments, keys))
        return state, jax.tree.map(jnp.mean, metrics)

    def _correct(self, state: QLearningState, met: tuple[Step, Key]) -> tuple[QLearningState, Metrics]:
        moment, key = met
        targets = self._targets(state.network, moment)
        (network, source), optimisers, descent = descend(
            partial(self._loss, moment=moment, targets=targets, key=key),
            (state.network, state.source),
            self.optimiser,
            state.optimisers,
        )
        return QLearningState(network, source, optimisers), descent.reported("q")

    def _targets(self, network: AbstractNetwork, moment: Step) -> Float[Array, "L N"]:
        """r + γ maxₐ′ Q(s′, a′): through cuts, but never through true ends."""
        values = jax.vmap(jax.vmap(network))(moment.after, moment.notes["memory_after"])[0].policy
        legal = moment.after.legal
        best = jnp.max(values if legal is None else jnp.where(legal, values, -jnp.inf), axis=-1)
        # Where nothing is legal there is nothing to come.
        following = jnp.where(moment.discount == 0, 0.0, best)
        return moment.reward + self.discount * moment.discount * following

    def _loss(self, parts, *, moment: Step, targets: Float[Array, "L N"], key: Key):
        network, source = parts
        outputs = relive(network, moment)
        taken = jnp.take_along_axis(outputs.policy, moment.action[..., None], axis=-1)[..., 0]
        loss = jnp.mean(optax.losses.l2_loss(taken, targets))
        extra, reported = source.loss(network, moment, outputs, key=key)
        return loss + extra, {"q/loss": loss, "q/value": jnp.mean(taken)} | reported
