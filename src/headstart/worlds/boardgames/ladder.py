"""A fixed ladder of opponents, and matches against them.

Random; one ply (wins at once where that is possible, and never loses at once where it need not); and tree search over
the true rules with random playouts, at several budgets. Strength is the mean score against all of them: 1 for a win,
½ for a draw.

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
import mctx
from jaxtyping import Array, Bool, Float, Int

from headstart.core.collect import Lanes
from headstart.core.network import AbstractNetwork
from headstart.core.types import Key, Outcome, Percept, Task
from headstart.core.world import perceive
from headstart.scratch.alphazero import any_of, search
from headstart.worlds.boardgames.engine import BoardGames, Position
from headstart.worlds.boardgames.trials import Ending, GameTrials

__all__ = [
    "LADDER",
    "AbstractMover",
    "AbstractOpponent",
    "Each",
    "Greedy",
    "Ladder",
    "Match",
    "OnePly",
    "Random",
    "Searching",
    "TreeSearch",
    "play",
]

LONGEST = 130  # moves in a game: at most 2 × 64, and the swap


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
    """Monte-Carlo tree search with uniform priors, whose leaves are judged by playing them out at random.

    The tree is that of Danihelka and others (*Policy improvement by planning with Gumbel*, ICLR 2022): with few
    simulations, halving the moves under consideration finds more than walking down one path does.

    **Arguments:**

    - `simulations`: positions added to the tree for each move.
    """

    simulations: int = eqx.field(static=True)

    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        legal = jax.vmap(world.legal)

        def recurrent(_, key: Key, action: Int[Array, "B"], positions: Position):
            positions, outcome, value = play_out(world, tasks, positions, action, key=key)
            answer = mctx.RecurrentFnOutput(
                reward=outcome.reward,
                discount=outcome.discount,
                prior_logits=jnp.where(legal(positions, tasks), 0.0, -1e9),
                value=value,
            )
            return answer, positions

        allowed = legal(positions, tasks)
        root = mctx.RootFnOutput(
            prior_logits=jnp.where(allowed, 0.0, -1e9), value=jnp.zeros(positions.moves.shape), embedding=positions
        )
        result = mctx.gumbel_muzero_policy(
            None,
            key,
            root,
            recurrent,
            self.simulations,
            invalid_actions=~allowed,
            qtransform=partial(mctx.qtransform_completed_by_mix_value, value_scale=1.0, use_mixed_value=False),
        )
        return result.action.astype(jnp.int32)


def play_out(
    world: BoardGames, tasks: Task, positions: Position, action: Int[Array, "B"], *, key: Key
) -> tuple[Position, Outcome, Float[Array, "B"]]:
    """The positions after an action, what came of it, and how random play would have gone on from there.

    The last is from the side of the player about to move then: 1, 0 or −1, and 0 where the game is over.
    """

    def move(carry):
        begun, first, result, sign, positions, key = carry
        key, action_key = jax.random.split(key)
        drawn = any_of(jax.vmap(world.legal)(positions, tasks), key=action_key)
        # The first move is the one that was asked for: a loop of one body is compiled once.
        after, outcome = jax.vmap(world.step)(positions, tasks, jnp.where(begun, drawn, action))
        earned = jnp.where(begun, sign * outcome.reward, 0.0)
        first = jax.tree.map(lambda new, old: jnp.where(begun, old, new), (after, outcome), first)
        sign = jnp.where(begun, sign * outcome.discount, jnp.abs(outcome.discount))
        return jnp.array(True), first, result + earned, sign, after, key

    outcome = jax.eval_shape(jax.vmap(world.step), positions, tasks, action)[1]
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), outcome)
    count = action.shape[0]
    begin = (jnp.array(False), (positions, nothing), jnp.zeros(count), jnp.ones(count), positions, key)
    _, (after, outcome), result, _, _, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[3] != 0), move, begin)
    return after, outcome, result


#: The rungs, by name.
LADDER: dict[str, AbstractOpponent] = {
    "random": Random(),
    "one ply": OnePly(),
    "search 16": TreeSearch(16),
    "search 64": TreeSearch(64),
}


class Ladder(AbstractOpponent):
    """All rungs at once: the lanes fall into equal parts, in order, one for each."""

    rungs: tuple[AbstractOpponent, ...] = tuple(LADDER.values())

    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        lanes = positions.moves.shape[0] // len(self.rungs)
        part = lambda tree, index: jax.tree.map(lambda leaf: leaf[index * lanes :][:lanes], tree)
        keys = jax.random.split(key, len(self.rungs))
        return jnp.concatenate(
            [
                rung(world, part(tasks, index), part(positions, index), key=rung_key)
                for index, (rung, rung_key) in enumerate(zip(self.rungs, keys, strict=True))
            ]
        )


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
