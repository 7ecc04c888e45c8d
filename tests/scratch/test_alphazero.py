"""Gumbel AlphaZero: the sign of a value, the improved policy, and learning from its own games."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect_lanes
from headstart.core.networks import ActorCritic
from headstart.core.process import train
from headstart.scratch.alphazero import AlphaZero, search
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.ladder import OnePly, greedy, play
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.trials import GameTrials


@pytest.fixture(scope="module")
def world():
    return BoardGames(stack([compile_rules(CLASSICS["tic_tac_toe"])]), canvas=3)


def test_search_finds_the_win_and_the_block(world):
    network = ActorCritic(world, jax.random.key(0))
    lanes = begin(world, network, 2, key=jax.random.key(0))
    # Lane 0: the mover completes the top row. Lane 1: the mover must stop the other from completing it.
    games = [(0, 3, 1, 4), (3, 0, 8, 1)]
    for moves in zip(*games, strict=True):
        decide = lambda lanes, *, key, moves=moves: _given(lanes, moves)
        lanes, _ = collect_lanes(world, network, decide, lanes, 1, key=jax.random.key(0))
    found = eqx.filter_jit(search)(
        world, network, lanes, simulations=96, considered=9, noise=0.0, key=jax.random.key(1)
    )
    np.testing.assert_array_equal(found[0].action, [2, 2])
    value = found[0].notes["value"]
    assert float(value[0]) > float(value[1]), "to win is worth more than to be about to lose"


def _given(lanes, moves):
    from headstart.core.types import Choice

    return Choice(jnp.array(moves, jnp.int32), {}), lanes.memory


@pytest.mark.slow
def test_learns_tic_tac_toe_from_nothing(world):
    process = AlphaZero(
        world, partial(ActorCritic, world, width=128), simulations=16, lanes=64, length=16, minibatch=256, passes=2
    )
    state = train(process, 150, key=jax.random.key(0))
    network = state.network
    trials = GameTrials(world, episodes=4)
    tasks = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (64, *leaf.shape)), world.nth(0, key=jax.random.key(0)))

    def board_alone(percept, memory, *, key):
        seen = eqx.tree_at(lambda percept: percept.observation, percept, percept.observation.board)
        return greedy(network)(seen, memory, key=key)

    match = eqx.filter_jit(play)(trials, network, board_alone, OnePly(), tasks, key=jax.random.key(1))
    assert float(jnp.mean(match.scores)) > 0.85
