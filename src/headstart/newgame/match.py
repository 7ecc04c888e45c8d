"""Matches of an agent against a ladder of opponents.

Games are played in trials (see `GameTrials`), many lanes at once, each lane a trial of a game of its own; sides change
with every game.
"""

from __future__ import annotations

import abc
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.collect import Lanes
from headstart.core.network import AbstractNetwork
from headstart.core.types import Key, Percept, Task
from headstart.core.world import perceive
from headstart.scratch.alphazero import search
from headstart.worlds.boardgames.ladder import AbstractOpponent
from headstart.worlds.boardgames.trials import Ending, GameTrials

__all__ = ["AbstractMover", "Each", "Greedy", "Match", "Searching", "play"]

LONGEST = 130  # moves in a game: at most 2 × 64, and the swap


class Match(eqx.Module):
    """What was played: `scores` `[B, episodes]`, 1 for a win of the agent, ½ for a draw, and how every game ended.

    `actions` `[B, moves]` are in order over the whole trial, −1 after its end; `memory` is what the agent remembers of
    its trials.
    """

    scores: Float[Array, "B episodes"]
    endings: Ending
    actions: Int[Array, "B moves"]
    memory: Any = None


class AbstractMover(eqx.Module):
    """An agent at the board, all lanes at once: leaves `[B, ...]`."""

    @abc.abstractmethod
    def memory(self, lanes: int) -> Any:
        """What it remembers before it has met anything, for so many lanes."""

    @abc.abstractmethod
    def __call__(self, lanes: Lanes, *, key: Key) -> tuple[Int[Array, "B"], Any]:
        """A legal action for each lane, and the memory after."""


class Greedy(AbstractMover):
    """A network's most probable action."""

    network: AbstractNetwork

    def memory(self, lanes: int) -> Any:
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (lanes, *leaf.shape)), self.network.initial())

    def __call__(self, lanes: Lanes, *, key: Key) -> tuple[Int[Array, "B"], Any]:
        output, memory = jax.vmap(self.network)(lanes.percept, lanes.memory)
        return output.policy.mode().astype(jnp.int32), memory


class Searching(AbstractMover):
    """What Gumbel search over the true rules makes of a network.

    **Arguments:**

    - `world`: the trials that are played.
    - `simulations`: positions added to the tree for each move.
    """

    world: GameTrials
    network: AbstractNetwork
    simulations: int = eqx.field(static=True)

    def memory(self, lanes: int) -> Any:
        return Greedy(self.network).memory(lanes)

    def __call__(self, lanes: Lanes, *, key: Key) -> tuple[Int[Array, "B"], Any]:
        choice, memory = search(self.world, self.network, lanes, simulations=self.simulations, noise=0.0, key=key)
        return choice.action.astype(jnp.int32), memory


class Each(AbstractMover):
    """A stack of N movers; the lanes are `[groups, N, ...]` laid end to end, and each mover has its own of them."""

    movers: AbstractMover
    groups: int = eqx.field(static=True)

    @property
    def count(self) -> int:
        return jax.tree.leaves(eqx.filter(self.movers, eqx.is_array))[0].shape[0]

    def memory(self, lanes: int) -> Any:
        one = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, self.movers)
        return one.memory(lanes)

    def __call__(self, lanes: Lanes, *, key: Key) -> tuple[Int[Array, "B"], Any]:
        deal = lambda leaf: jnp.moveaxis(leaf.reshape(self.groups, self.count, -1, *leaf.shape[1:]), 1, 0)
        flat = lambda leaf: leaf.reshape(self.count, -1, *leaf.shape[3:])
        mine = jax.tree.map(lambda leaf: flat(deal(leaf)), lanes)
        move = lambda mover, lanes, key: mover(lanes, key=key)
        found = eqx.filter_vmap(move, in_axes=(eqx.if_array(0), 0, 0))(
            self.movers, mine, jax.random.split(key, self.count)
        )
        gather = lambda leaf: jnp.moveaxis(leaf.reshape(self.count, self.groups, -1, *leaf.shape[2:]), 0, 1)
        return jax.tree.map(lambda leaf: gather(leaf).reshape(-1, *leaf.shape[2:]), found)


class _Play(eqx.Module):
    """Where the trials of a match stand."""

    states: Any
    percepts: Percept
    time: Int[Array, ""]
    done: Bool[Array, "B"]
    match: Match


def play(
    world: GameTrials,
    mover: AbstractMover | None,
    opponent: AbstractOpponent,
    tasks: Task,
    *,
    key: Key,
    forgetful: bool = False,
) -> Match:
    """One trial in each lane: the agent against the opponent, the agent beginning every other game.

    A loop on the host, around two programs: the opponents and the rules are compiled once for all agents.

    **Arguments:**

    - `mover`: the agent, whose memory sees every position of the trial, whoever is to move; `None` lets the opponent
      play both sides.
    - `tasks`: leaves `[B, ...]`, the game of each lane and what the agent is told of it.
    - `forgetful`: blank the memory at the end of every game: the control for what memory contributes.
    """
    begin_key, play_key = jax.random.split(key)
    at = _begin(world, tasks, begin_key)
    lanes, longest = at.match.actions.shape
    fresh = memory = mover.memory(lanes) if mover else None
    action = jnp.zeros(lanes, jnp.int32)
    for move in range(longest):
        mine_key, theirs_key = jax.random.split(jax.random.fold_in(play_key, move))
        if forgetful:
            at, memory = _forget(at, memory, fresh)
        if mover:
            action, memory = _move(mover, Lanes(tasks, at.states, at.percepts, memory), at.done, mine_key)
        at = _advance(world, opponent, tasks, at, action, jnp.array(mover is not None), theirs_key)
        if bool(jnp.all(at.done)):
            break
    return eqx.tree_at(lambda match: match.memory, at.match, memory, is_leaf=lambda leaf: leaf is None)


@eqx.filter_jit
def _begin(world: GameTrials, tasks: Task, key: Key) -> _Play:
    count = jax.tree.leaves(tasks)[0].shape[0]
    states, observations = jax.vmap(lambda task, key: world.reset(task, key=key))(tasks, jax.random.split(key, count))
    zero, action = jnp.zeros(count), jnp.zeros(count, jnp.int32)
    percepts = jax.vmap(partial(_look, world))(tasks, states, observations, jnp.ones(count, bool), action, zero, zero)
    return _Play(
        states=states,
        percepts=percepts,
        time=jnp.zeros((), jnp.int32),
        done=jnp.zeros(count, bool),
        match=Match(
            scores=jnp.full((count, world.episodes), jnp.nan),
            endings=jax.tree.map(
                lambda leaf: jnp.zeros((count, world.episodes, *leaf.shape[1:]), leaf.dtype), observations.ending
            ),
            actions=jnp.full((count, LONGEST * world.episodes), -1, jnp.int32),
        ),
    )


@eqx.filter_jit
def _move(mover: AbstractMover, lanes: Lanes, done: Bool[Array, "B"], key: Key) -> tuple[Int[Array, "B"], Any]:
    """The actions of all lanes; those whose trial is `done` wait for the others, and remember nothing of it."""
    action, after = mover(lanes, key=key)
    return action, _where(done, lanes.memory, after)


@eqx.filter_jit
def _forget(at: _Play, memory: Any, fresh: Any) -> tuple[_Play, Any]:
    """Where a game has just ended the agent is as new, and is told so."""
    over = at.percepts.first | (at.percepts.discount == 0)
    return eqx.tree_at(lambda at: at.percepts.first, at, over), _where(over, fresh, memory)


def _where(chosen: Bool[Array, "B"], yes: Any, no: Any) -> Any:
    """By lane: leaves `[B, ...]`."""
    pick = lambda one, other: jnp.where(chosen.reshape(-1, *(1,) * (other.ndim - 1)), one, other)
    return jax.tree.map(pick, yes, no)


@eqx.filter_jit
def _advance(
    world: GameTrials,
    opponent: AbstractOpponent,
    tasks: Task,
    at: _Play,
    action: Int[Array, "B"],
    played: Bool[Array, ""],
    key: Key,
) -> _Play:
    """One move in every lane: `action` where it is the agent's turn and an agent is `played`."""
    theirs_key, step_key = jax.random.split(key)
    count = action.shape[0]
    lanes, game = jnp.arange(count), at.states.ended
    mine = jax.vmap(world.player)(at.states) == (lanes + game) % 2
    action = jnp.where(mine & played, action, opponent(world.games, tasks, at.states.game, key=theirs_key))
    states, outcome = jax.vmap(lambda state, task, action, key: world.step(state, task, action, key=key))(
        at.states, tasks, action, jax.random.split(step_key, count)
    )
    over = (outcome.discount == 0) & ~at.done
    score = 0.5 + 0.5 * jnp.where(mine, outcome.reward, -outcome.reward)
    place = jnp.minimum(game, world.episodes - 1)
    percepts = jax.vmap(partial(_look, world))(
        tasks, states, outcome.observation, jnp.zeros(count, bool), action, outcome.reward, outcome.discount
    )

    def note(book: Array, entry: Array) -> Array:
        where = over.reshape(-1, *(1,) * (entry.ndim - 1))
        return book.at[lanes, place].set(jnp.where(where, entry, book[lanes, place]))

    match = Match(
        scores=note(at.match.scores, score),
        endings=jax.tree.map(note, at.match.endings, states.ending),
        actions=at.match.actions.at[:, at.time].set(jnp.where(at.done, -1, action)),
    )
    return _Play(states, percepts, at.time + 1, at.done | outcome.last, match)


def _look(world: GameTrials, task, state, observation, first, action, reward, discount) -> Percept:
    return perceive(world, task, state, observation, first=first, action=action, reward=reward, discount=discount)
