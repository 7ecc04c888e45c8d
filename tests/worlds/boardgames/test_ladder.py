"""Each rung of the ladder is stronger than the one below it, and none overlooks what is in front of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.ladder import LADDER, Ladder, OnePly, Random, TreeSearch
from headstart.worlds.boardgames.rules import CLASSICS

LANES = 8


@pytest.fixture(scope="module")
def world():
    return BoardGames(stack([compile_rules(CLASSICS["tic_tac_toe"])]), canvas=3)


def after(world, moves):
    """The position after some moves, in every lane."""
    task = Task(parameters=world.nth(0, key=jax.random.key(0)).parameters)
    tasks = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (LANES, *leaf.shape)), task)
    step, position = jax.jit(world.step), world.reset(task, key=jax.random.key(0))[0]
    for move in moves:
        position, _ = step(position, task, jnp.array(move))
    return tasks, jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (LANES, *leaf.shape)), position)


def test_one_ply_wins_at_once_where_it_can(world):
    tasks, positions = after(world, (0, 4, 1, 5))  # colour 0 holds the first two cells of the top row
    chosen = jax.jit(OnePly())(world, tasks, positions, key=jax.random.key(0))
    assert np.all(np.asarray(chosen) == 2)


def test_search_wins_and_blocks_and_chance_does_neither(world):
    ladder = Ladder((Random(), TreeSearch(32)))
    decide = jax.jit(ladder)
    for moves in ((0, 4, 1, 5), (4, 0, 8, 1)):  # cell 2 wins; cell 2 keeps the other from winning
        tasks, positions = after(world, moves)
        by_chance, searched = np.asarray(decide(world, tasks, positions, key=jax.random.key(1))).reshape(2, -1)
        assert np.all(searched == 2), moves
        assert np.any(by_chance != 2), moves


def test_rungs_are_named_from_weak_to_strong():
    assert list(LADDER) == ["random", "one ply", "search 16", "search 64"]
