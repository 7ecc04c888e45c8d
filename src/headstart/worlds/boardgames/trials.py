"""Several games of one rule set in a row, with the end of the last one still in sight.

What a game teaches of its own rules is mostly in how it ends: who had won, on which position, by whose move.
`GameTrials` keeps that `Ending` in sight during the next game, told neutrally (the winner's stones, the loser's
stones), so that an agent with memory can learn the rules from play without having to remember single positions. The
same `Ending`s, of games that somebody else played, are what a demonstration shows.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractTwoPlayerWorld, Discrete
from headstart.worlds.boardgames.bits import Bits
from headstart.worlds.boardgames.engine import BoardGames, Game, Position

__all__ = ["Ending", "GameTrials", "Sight", "no_ending"]


class Ending(eqx.Module):
    """How a game ended. Leading axes broadcast.

    `board` `[canvas, canvas, 5]` shows the winner's stones, the loser's stones (colour 0 and colour 1 after a draw),
    the cells of the board, the cells that the last move changed, and whether the edges are joined. `verdict` is one-hot
    over: no game has ended yet, a draw, the player who moved last won, that player lost; its last entry says that the
    winner is colour 1.
    """

    board: Bool[Array, "*axes canvas canvas 5"]
    verdict: Float[Array, "*axes 5"]


class Sight(eqx.Module):
    """What a player sees: the board from their own side (see `PLANES`), and how the last game of this trial ended."""

    board: Bool[Array, "*axes canvas canvas 6"]
    ending: Ending


class TrialPosition(eqx.Module):
    """Where a trial stands: the game in progress, how many have ended, and how the last one did."""

    game: Position
    ended: Int[Array, ""]
    ending: Ending


def no_ending(canvas: int) -> Ending:
    """The ending of no game at all."""
    return Ending(jnp.zeros((canvas, canvas, 5), bool), jnp.zeros(5).at[0].set(1.0))


class GameTrials(AbstractTwoPlayerWorld):
    """A trial is `episodes` games of one task. Memory is kept across them; values are not: each game is its own goal.

    **Arguments:**

    - `games`: the world of single games.
    - `episodes`: how many games make a trial.
    - `silent`: the share of trials in which the words are withheld (all tokens 0), so that the rules must be found out.
    """

    games: BoardGames
    episodes: int = eqx.field(static=True, default=10)
    silent: float = 0.0

    @property
    def actions(self) -> Discrete:
        return self.games.actions

    def task(self, *, key: Key) -> Task:
        task_key, silence_key = jax.random.split(key)
        task = self.games.task(key=task_key)
        spoken = ~jax.random.bernoulli(silence_key, self.silent)
        instruction = None if task.instruction is None else task.instruction * spoken
        return Task(parameters=task.parameters, instruction=instruction)

    def reset(self, task: Task, *, key: Key) -> tuple[TrialPosition, Sight]:
        game, board = self.games.reset(task, key=key)
        ending = no_ending(self.games.canvas)
        return TrialPosition(game, jnp.zeros((), jnp.int32), ending), Sight(board, ending)

    def step(
        self, state: TrialPosition, task: Task, action: Int[Array, ""], *, key: Key
    ) -> tuple[TrialPosition, Outcome]:
        game, outcome = self.games.step(state.game, task, action, key=key)
        over = outcome.last
        ended = state.ended + over
        ending = _where(over, self._ending(task.parameters, state.game, game, outcome.reward), state.ending)
        fresh, board = self.games.reset(task, key=key)
        again = over & (ended < self.episodes)
        after = TrialPosition(_where(again, fresh, game), ended, ending)
        sight = Sight(_where(again, board, outcome.observation), ending)
        return after, Outcome(sight, outcome.reward, outcome.discount, last=ended >= self.episodes)

    def legal(self, state: TrialPosition, task: Task) -> Bool[Array, "actions"]:
        return self.games.legal(state.game, task)

    def player(self, state: TrialPosition) -> Int[Array, ""]:
        return self.games.player(state.game)

    def _ending(self, game: Game, before: Position, after: Position, reward: Float[Array, ""]) -> Ending:
        """`reward` is that of colour `before.colour`, which moved last."""
        winner = jnp.where(reward < 0, 1 - before.colour, before.colour) * (reward != 0)
        first, second = after.stones
        changed = _exclusive(before.stones[0], first) | _exclusive(before.stones[1], second)
        sets = [first.where(winner == 0, second), second.where(winner == 0, first), game.board, changed]
        planes = [cells.cells(self.games.canvas) for cells in sets]
        board = jnp.stack([*planes, jnp.broadcast_to(game.shape.torus, planes[0].shape)], axis=-1)
        verdict = jnp.stack([jnp.array(False), reward == 0, reward > 0, reward < 0, winner == 1])
        return Ending(board, verdict.astype(jnp.float32))


def _exclusive(one: Bits, other: Bits) -> Bits:
    return (one | other) & ~(one & other)


def _where(condition: Bool[Array, ""], yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda new, old: jnp.where(condition, new, old), yes, no)
