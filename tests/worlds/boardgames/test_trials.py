"""A trial keeps its task and shows how the last game ended, from nobody's side."""

import jax
import jax.numpy as jnp
import numpy as np

from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.trials import GameTrials


def test_an_ending_stays_in_sight_during_the_next_game():
    world = GameTrials(BoardGames(stack([compile_rules(CLASSICS["tic_tac_toe"])]), canvas=4), episodes=2)
    key = jax.random.key(0)
    task = world.task(key=key)
    state, sight = world.reset(task, key=key)
    step = jax.jit(lambda state, action: world.step(state, task, action, key=key))
    assert float(sight.ending.verdict[0]) == 1, "no game has ended yet"
    for action in (0, 4, 1, 5, 2):  # the beginner completes the top row
        state, outcome = step(state, jnp.int32(action))
    assert float(outcome.reward) == 1
    assert float(outcome.discount) == 0
    assert not bool(outcome.last), "the trial goes on"
    ending, board = outcome.observation.ending, outcome.observation.board
    assert not np.asarray(board[..., :2]).any(), "a new game has begun"
    np.testing.assert_array_equal(np.asarray(ending.verdict), [0, 0, 1, 0, 0])
    assert set(map(tuple, np.argwhere(np.asarray(ending.board[..., 0])))) == {(0, 0), (0, 1), (0, 2)}
    assert set(map(tuple, np.argwhere(np.asarray(ending.board[..., 3])))) == {(0, 2)}
    for action in (0, 4, 1, 5, 2):
        state, outcome = step(state, jnp.int32(action))
    assert bool(outcome.last), "two games make this trial"
