"""A fixed ladder of opponents, and matches against them.

Random; one ply (wins at once where that is possible, and never loses at once where it need not); and tree search over
the true rules with random playouts, at several budgets. Strength is the mean score against all of them: 1 for a win,
½ for a draw.

Games are played in trials (see `GameTrials`), many lanes at once, each lane a trial of a game of its own; sides change
with every game.
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import mctx
from jaxtyping import Array, Float, Int

from headstart.core.collect import Act
from headstart.core.network import AbstractNetwork, blank
from headstart.core.types import Choice, Key, Percept, Task
from headstart.core.world import perceive
from headstart.scratch.alphazero import any_of, playout
from headstart.worlds.boardgames.engine import BoardGames, Position
from headstart.worlds.boardgames.trials import GameTrials

__all__ = ["LADDER", "AbstractOpponent", "Match", "OnePly", "Random", "TreeSearch", "greedy", "play"]


class AbstractOpponent(eqx.Module):
    """Somebody who knows the rules. All lanes at once: leaves `[B, ...]`."""

    @abc.abstractmethod
    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        """A legal action for each position."""


class Random(AbstractOpponent):
    """Any legal action, each as likely as any other."""

    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        return any_of(jax.vmap(world.legal)(positions, tasks), key=key)


class OnePly(AbstractOpponent):
    """The action with the best reward at once; any of them where there are several."""

    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        legal = jax.vmap(world.legal)(positions, tasks)
        outcome = lambda position, task, action: world.step(position, task, action)[1].reward
        each = jax.vmap(jax.vmap(outcome, in_axes=(None, None, 0)), in_axes=(0, 0, None))
        rewards = jnp.where(legal, each(positions, tasks, jnp.arange(legal.shape[-1])), -jnp.inf)
        return any_of(rewards == jnp.max(rewards, axis=-1, keepdims=True), key=key)


class TreeSearch(AbstractOpponent):
    """Monte-Carlo tree search (UCT's successor with PUCT, uniform priors) whose leaves are judged by random playouts.

    **Arguments:**

    - `simulations`: positions added to the tree for each move.
    """

    simulations: int = eqx.field(static=True)

    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        logits = lambda positions: jnp.where(jax.vmap(world.legal)(positions, tasks), 0.0, -1e9)

        def recurrent(_, key: Key, action: Int[Array, "B"], positions: Position):
            positions, outcome = jax.vmap(world.step)(positions, tasks, action)
            value = playout(world, tasks, positions, outcome.last, key=key)
            answer = mctx.RecurrentFnOutput(
                reward=outcome.reward, discount=outcome.discount, prior_logits=logits(positions), value=value
            )
            return answer, positions

        root = mctx.RootFnOutput(
            prior_logits=logits(positions), value=jnp.zeros(positions.moves.shape), embedding=positions
        )
        result = mctx.muzero_policy(
            None,
            key,
            root,
            recurrent,
            self.simulations,
            invalid_actions=~jax.vmap(world.legal)(positions, tasks),
            dirichlet_fraction=0.0,
            temperature=0.0,
        )
        return result.action.astype(jnp.int32)


#: The rungs, by name.
LADDER: dict[str, AbstractOpponent] = {
    "random": Random(),
    "one ply": OnePly(),
    "search 16": TreeSearch(16),
    "search 64": TreeSearch(64),
}


class Match(eqx.Module):
    """What was played: `scores` `[B, episodes]`, 1 for a win of the agent, ½ for a draw, and the actions of every game.

    `actions` `[B, moves]` are in order over the whole trial, −1 after its end.
    """

    scores: Float[Array, "B episodes"]
    actions: Int[Array, "B moves"]


def greedy(network: AbstractNetwork) -> Act:
    """The network's most probable action, as `play` and `collect` want it."""

    def act(percept: Percept, memory: Any, *, key: Key) -> tuple[Choice, Any]:
        output, memory = network(percept, memory)
        return Choice(output.policy.mode().astype(jnp.int32)), memory

    return act


def play(
    world: GameTrials,
    network: AbstractNetwork,
    act: Act,
    opponent: AbstractOpponent,
    tasks: Task,
    *,
    key: Key,
    forgetful: bool = False,
) -> Match:
    """One trial in each lane: the agent against the opponent, the agent beginning every other game.

    **Arguments:**

    - `network`: for its initial memory. The memory sees every position of the trial, whoever is to move.
    - `tasks`: leaves `[B, ...]`, the game of each lane and what the agent is told of it.
    - `forgetful`: blank the memory at the end of every game: the control for what memory contributes.
    """
    count = jax.tree.leaves(tasks)[0].shape[0]
    lanes = jnp.arange(count)
    longest = 128 * world.episodes

    def look(task, state, observation, first, action, reward, discount):
        return perceive(world, task, state, observation, first=first, action=action, reward=reward, discount=discount)

    def go_on(carry):
        time, states, percepts, memory, scores, actions, done, key = carry
        key, mine_key, theirs_key, step_key = jax.random.split(key, 4)
        fresh = percepts.first | ((percepts.discount == 0) & forgetful)
        memory = jax.vmap(blank, in_axes=(None, 0, 0))(network, memory, fresh)
        percepts = eqx.tree_at(lambda percept: percept.first, percepts, fresh)
        choice, memory = jax.vmap(lambda percept, memory, key: act(percept, memory, key=key))(
            percepts, memory, jax.random.split(mine_key, count)
        )
        game = states.ended
        mine = jax.vmap(world.player)(states) == (lanes + game) % 2
        theirs = opponent(world.games, tasks, states.game, key=theirs_key)
        action = jnp.where(mine, choice.action, theirs)
        states, outcome = jax.vmap(lambda state, task, action, key: world.step(state, task, action, key=key))(
            states, tasks, action, jax.random.split(step_key, count)
        )
        over = (outcome.discount == 0) & ~done
        score = 0.5 + 0.5 * jnp.where(mine, outcome.reward, -outcome.reward)
        place = jnp.minimum(game, world.episodes - 1)
        scores = scores.at[lanes, place].set(jnp.where(over, score, scores[lanes, place]))
        actions = actions.at[:, time].set(jnp.where(done, -1, action))
        percepts = jax.vmap(look)(
            tasks, states, outcome.observation, jnp.zeros(count, bool), action, outcome.reward, outcome.discount
        )
        return time + 1, states, percepts, memory, scores, actions, done | outcome.last, key

    begin_key, play_key = jax.random.split(key)
    states, observations = jax.vmap(lambda task, key: world.reset(task, key=key))(
        tasks, jax.random.split(begin_key, count)
    )
    zero = jnp.zeros(count)
    action = jnp.zeros(count, jnp.int32)
    percepts = jax.vmap(look)(tasks, states, observations, jnp.ones(count, bool), action, zero, zero)
    memory = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), network.initial())
    scores, actions = jnp.full((count, world.episodes), jnp.nan), jnp.full((count, longest), -1, jnp.int32)
    begun = (jnp.zeros((), jnp.int32), states, percepts, memory, scores, actions, jnp.zeros(count, bool), play_key)
    going = lambda carry: (carry[0] < longest) & ~jnp.all(carry[6])
    ended = jax.lax.while_loop(going, go_on, begun)
    return Match(ended[4], ended[5])
