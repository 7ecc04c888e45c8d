"""Gumbel AlphaZero: search and learning improve each other, by self-play from nothing.

Silver and others, *Mastering the game of Go without human knowledge*, 2017 (AlphaGo Zero) and *A general reinforcement
learning algorithm that masters chess, shogi, and Go through self-play*, 2018 (AlphaZero); with the search of Danihelka
and others, *Policy improvement by planning with Gumbel*, ICLR 2022, which improves a policy with as few as two
simulations. The search itself is `mctx`.

| paper | here |
|---|---|
| (p, v) = f_θ(s) | `network(percept, memory)`: `Output.policy`, `Output.value` |
| π, improved policy (2022, eq. 11) | `notes["target"]`, mctx's `action_weights` |
| z, outcome | λ-return of the searched root values; λ = 1 is the outcome |
| n, simulations | `simulations` |
| m, actions sampled without replacement | `considered` |
| l = (z − v)² − πᵀ log p (2017, eq. 1) | `_loss`; weight decay in the optimiser |

Read with care: after a turn passes the discount is −1, within a turn of two moves it is 1 and at the end 0, all of
which the world says; illegal actions are masked inside the tree as well; a game that the rollout cuts off is
bootstrapped from the searched value of the next position.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import mctx
import optax
from jaxtyping import Array, Bool, Float, Int

from headstart.core.collect import Lanes, begin, collect_lanes
from headstart.core.network import AbstractNetwork, Memory, unroll
from headstart.core.optimise import clipped_adam, descend, prepare
from headstart.core.process import AbstractProcess
from headstart.core.scan import scan
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Key, Metrics, Percept, Rollout, Step, Task
from headstart.core.world import AbstractTwoPlayerWorld, State, perceive

__all__ = ["AlphaZero", "AlphaZeroState", "any_of", "playout", "search"]


class AlphaZeroState(eqx.Module):
    """What evolves: who learns, one optimiser for the network and one for the source, and the games in progress."""

    network: AbstractNetwork
    source: AbstractSource
    optimisers: tuple[optax.OptState, ...]
    lanes: Lanes


class AlphaZero(AbstractProcess):
    """Self-play with search, then one pass of learning over what was played.

    **Arguments:**

    - `world`: a two-player world, which is also the model that is searched.
    - `network`: a function from a key to a fresh network.
    - `source`: whatever else is known; its `loss` shares the agent's gradient.
    - `simulations`, `considered`: n and m of the search.
    - `glance`: how much the root's prior logits gain per unit of reward that an action earns at once. 0 is the paper;
      with few simulations, a look at every action keeps the search from missing a move that ends the game.
    - `lanes`, `length`: games side by side, and moves in each between two updates.
    - `passes`, `minibatch`: passes over a rollout, and positions in each gradient step (a divisor of all of them).
    - `horizon`: for how many moves gradients go back through memory (a divisor of `length`); each stretch of that many
      starts from the memory recorded when it was played.
    - `playouts`: how much of a leaf's value comes from playing it out at random, the rest being the network's: the
      mixing parameter of AlphaGo (Silver and others, Nature 2016). 0 is AlphaZero; above, a search is worth something
      before the network is.
    - `boldness`: how much a searched value moves the policy target; `value_scale` of mctx.
    - `trace`: λ of the value target.
    - `learning_rate`: a number or an optax schedule over gradient steps; `clip`: the greatest gradient norm.
    """

    world: AbstractTwoPlayerWorld
    network: Callable[[Key], AbstractNetwork]
    source: AbstractSource = Chain()
    simulations: int = 16
    considered: int = 16
    glance: float = 0.0
    playouts: float = 0.0
    boldness: float = 0.1
    lanes: int = 128
    length: int = 32
    passes: int = 1
    minibatch: int = 1024
    horizon: int = 1
    trace: float = 1.0
    value_weight: float = 1.0
    learning_rate: float | optax.Schedule = 1e-3
    weight_decay: float = 1e-4
    clip: float = 1.0

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return clipped_adam(self.learning_rate, self.clip, weight_decay=self.weight_decay)

    def init(self, *, key: Key) -> AlphaZeroState:
        network_key, lanes_key = jax.random.split(key)
        return self.resume(self.network(network_key), key=lanes_key)

    def resume(self, network: AbstractNetwork, *, key: Key) -> AlphaZeroState:
        """The state of a process that goes on from a network that has already learned."""
        lanes = begin(self._stage(self.source), network, self.lanes, key=key)
        return AlphaZeroState(network, self.source, prepare(self.optimiser, (network, self.source)), lanes)

    def step(self, state: AlphaZeroState, *, key: Key) -> tuple[AlphaZeroState, Metrics]:
        play_key, observe_key, learn_key = jax.random.split(key, 3)
        world = self._stage(state.source)

        def decide(lanes: Lanes, *, key: Key) -> tuple[Choice, Memory]:
            return search(
                world,
                state.network,
                lanes,
                simulations=self.simulations,
                considered=self.considered,
                glance=self.glance,
                playouts=self.playouts,
                boldness=self.boldness,
                key=key,
            )

        lanes, rollout = collect_lanes(world, state.network, decide, state.lanes, self.length, key=play_key)
        source = state.source.observe(rollout, state.network, key=observe_key)
        rollout = _with_returns(rollout, state.network, self.trace)
        state, metrics = self._learn(
            AlphaZeroState(state.network, source, state.optimisers, lanes), rollout, key=learn_key
        )
        played = {"game/count": jnp.sum(rollout.discount == 0), "game/draws": _share_of_draws(rollout)}
        return state, metrics | played

    def _stage(self, source: AbstractSource) -> AbstractTwoPlayerWorld:
        return cast(AbstractTwoPlayerWorld, source.stage(self.world))

    def _learn(self, state: AlphaZeroState, rollout: Rollout, *, key: Key) -> tuple[AlphaZeroState, Metrics]:
        stretches = jax.tree.map(lambda leaf: _cut(leaf, self.horizon), rollout)
        total, size = self.lanes * self.length // self.horizon, self.minibatch // self.horizon

        def one(state: AlphaZeroState, drawn) -> tuple[AlphaZeroState, Metrics]:
            chosen, key = drawn
            rewrite_key, loss_key = jax.random.split(key)
            batch = jax.tree.map(lambda leaf: leaf[:, chosen], stretches)
            batch = state.source.rewrite(batch, state.network, key=rewrite_key)
            (network, source), optimisers, descent = descend(
                lambda parts: self._loss(parts, batch, loss_key),
                (state.network, state.source),
                self.optimiser,
                state.optimisers,
            )
            return AlphaZeroState(network, source, optimisers, state.lanes), descent.reported("alphazero")

        order_key, loss_key = jax.random.split(key)
        shuffle = lambda key: jax.random.permutation(key, total)[: total // size * size]
        order = jax.vmap(shuffle)(jax.random.split(order_key, self.passes)).reshape(-1, size)
        state, metrics = scan(one, state, (order, jax.random.split(loss_key, order.shape[0])))
        return state, jax.tree.map(jnp.mean, metrics)

    def _loss(self, parts: tuple[AbstractNetwork, AbstractSource], batch: Step, key: Key):
        network, source = parts
        memory = jax.tree.map(lambda leaf: leaf[0], batch.notes["memory"])
        outputs, _ = jax.vmap(unroll, in_axes=(None, 1, 0), out_axes=(1, 0))(network, batch.percept, memory)
        target = batch.notes["target"]
        policy = -jnp.mean(jnp.sum(target * outputs.policy.log_probs, axis=-1))
        surprise = policy + jnp.mean(jnp.sum(jax.scipy.special.xlogy(target, target), axis=-1))
        value = jnp.mean((outputs.value - batch.notes["return"]) ** 2)
        extra, reported = source.loss(network, batch, outputs, key=key)
        metrics = {"alphazero/policy": surprise, "alphazero/value": value}
        return policy + self.value_weight * value + extra, metrics | reported


def search(
    world: AbstractTwoPlayerWorld,
    network: AbstractNetwork,
    lanes: Lanes,
    *,
    simulations: int,
    considered: int = 16,
    glance: float = 0.0,
    playouts: float = 0.0,
    boldness: float = 0.1,
    noise: float = 1.0,
    key: Key,
) -> tuple[Choice, Memory]:
    """An action for every lane by searching the world, guided by the network. Leaves are `[B, ...]`.

    **Arguments:**

    - `noise`: scale of the Gumbel noise at the root: 1 to explore, 0 for the move that the search thinks best.

    Returns the choice, whose notes hold the improved policy `target` and the searched `value`, and the memory after.
    Within the tree no instruction is read: a network acts there on what it already knows.
    """
    outputs, memory = jax.vmap(network)(lanes.percept, lanes.memory)
    logits = outputs.policy.log_probs
    if glance:
        logits = logits + glance * _rewards_at_once(world, lanes, logits.shape[-1])

    def imagine(task, state, memory, action, key):
        state, outcome = world.step(state, task, action, key=key)
        percept = perceive(
            world,
            task,
            state,
            outcome.observation,
            first=jnp.array(False),
            action=action,
            reward=outcome.reward,
            discount=outcome.discount,
        )
        output, memory = network(_in_mind(percept), memory)
        return outcome, output, state, memory

    def recurrent(_, key: Key, action: Array, embedding):
        state, memory = embedding
        step_key, playout_key = jax.random.split(key)
        keys = jax.random.split(step_key, action.shape[0])
        outcome, output, state, memory = jax.vmap(imagine)(lanes.task, state, memory, action, keys)
        value = output.value
        if playouts:
            ended = outcome.discount == 0
            value += playouts * (playout(world, lanes.task, state, ended, key=playout_key) - value)
        answer = mctx.RecurrentFnOutput(
            reward=outcome.reward,
            discount=outcome.discount,
            prior_logits=output.policy.log_probs,
            value=value,
        )
        return answer, (state, memory)

    root = mctx.RootFnOutput(prior_logits=logits, value=outputs.value, embedding=(lanes.state, memory))
    result = mctx.gumbel_muzero_policy(
        None,
        key,
        root,
        recurrent,
        simulations,
        invalid_actions=None if lanes.percept.legal is None else ~lanes.percept.legal,
        max_num_considered_actions=considered,
        qtransform=partial(mctx.qtransform_completed_by_mix_value, value_scale=boldness),
        gumbel_scale=noise,
    )
    value = result.search_tree.summary().value
    return Choice(result.action, {"target": result.action_weights, "value": value}), memory


def playout(
    world: AbstractTwoPlayerWorld, tasks: Task, states: State, ended: Bool[Array, "B"], *, key: Key
) -> Float[Array, "B"]:
    """How random play ends, from the side of the player about to move: 1, 0 or −1; 0 in lanes that have `ended`."""

    def play_on(carry):
        states, sign, result, going, key = carry
        key, action_key, step_key = jax.random.split(key, 3)
        legal = jax.vmap(world.legal)(states, tasks)
        assert legal is not None, "a two-player world names its legal actions"
        action = any_of(legal, key=action_key)
        states, outcome = jax.vmap(lambda state, task, action: world.step(state, task, action, key=step_key))(
            states, tasks, action
        )
        result = jnp.where(going, sign * outcome.reward, result)
        going = going & (outcome.discount != 0) & ~outcome.last
        return states, sign * outcome.discount, result, going, key

    begun = (states, jnp.ones(ended.shape), jnp.zeros(ended.shape), ~ended, key)
    return jax.lax.while_loop(lambda carry: jnp.any(carry[3]), play_on, begun)[2]


def any_of(allowed: Bool[Array, "B actions"], *, key: Key) -> Int[Array, "B"]:
    """One of the allowed actions of each lane, all equally likely."""
    chosen = jnp.floor(jax.random.uniform(key, allowed.shape[:1]) * jnp.sum(allowed, axis=-1)).astype(jnp.int32)
    return jnp.argmax(jnp.cumsum(allowed, axis=-1) == (chosen + 1)[:, None], axis=-1).astype(jnp.int32)


def _rewards_at_once(world: AbstractTwoPlayerWorld, lanes: Lanes, actions: int) -> Float[Array, "B actions"]:
    """What every action would earn in this one move. The world must be deterministic for that to be known."""

    def of(state, task, action):
        return world.step(state, task, action, key=jax.random.key(0))[1].reward

    each = jax.vmap(of, in_axes=(None, None, 0))
    return jax.vmap(each, in_axes=(0, 0, None))(lanes.state, lanes.task, jnp.arange(actions))


def _in_mind(percept: Percept) -> Percept:
    """The percept of an imagined moment: nobody speaks there."""
    return eqx.tree_at(
        lambda percept: (percept.instruction, percept.demonstration), percept, (None, None), is_leaf=lambda x: x is None
    )


def _with_returns(rollout: Rollout, network: AbstractNetwork, trace: float) -> Rollout:
    """The rollout with `notes["return"]`: G_t = r_t + γ_t ((1 − λ) v_{t+1} + λ G_{t+1}), γ signed as the world says."""
    final = jax.tree.map(lambda leaf: leaf[-1], (rollout.after, rollout.notes["memory_after"]))
    bootstrap = jax.vmap(network)(*final)[0].value
    assert bootstrap is not None

    def backwards(carry, moment):
        following, value_next = carry
        reward, discount, value = moment
        following = reward + discount * ((1.0 - trace) * value_next + trace * following)
        return (following, value), following

    moments = (rollout.reward, rollout.discount, rollout.notes["value"])
    _, returns = jax.lax.scan(backwards, (bootstrap, bootstrap), moments, reverse=True)
    return eqx.tree_at(lambda rollout: rollout.notes, rollout, rollout.notes | {"return": returns})


def _cut(leaf: Array, horizon: int) -> Array:
    """`[T, B, ...]` as stretches `[horizon, T / horizon * B, ...]`."""
    stretches = leaf.reshape(leaf.shape[0] // horizon, horizon, *leaf.shape[1:])
    return jnp.moveaxis(stretches, 1, 0).reshape(horizon, -1, *leaf.shape[2:])


def _share_of_draws(rollout: Rollout) -> Float[Array, ""]:
    over = rollout.discount == 0
    return jnp.sum(over & (rollout.reward == 0)) / jnp.maximum(jnp.sum(over), 1)
