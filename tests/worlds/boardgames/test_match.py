"""Matches: every game is scored from the right side, memory lasts for a trial, and everybody has their own lanes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.types import Output, Task
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.ladder import AbstractOpponent, Ladder, OnePly, Random, TreeSearch
from headstart.worlds.boardgames.match import Each, Greedy, Searching, play
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.trials import GameTrials

LANES, EPISODES = 8, 3


class Likes(AbstractNetwork):
    """Prefers actions in an order of its own, and remembers how many games have ended."""

    order: Float[Array, "actions"]

    def initial(self):
        return jnp.zeros(())

    def __call__(self, percept, memory):
        memory = jnp.where(percept.first, 0.0, memory) + ((percept.discount == 0) & ~percept.first)
        return Output(Categorical(self.order, percept.legal), jnp.zeros(())), memory


class First(AbstractOpponent):
    """The first legal action."""

    def __call__(self, world, tasks, positions, *, key):
        return jnp.argmax(jax.vmap(world.legal)(positions, tasks), axis=-1).astype(jnp.int32)


@pytest.fixture(scope="module")
def world():
    games = BoardGames(stack([compile_rules(CLASSICS["tic_tac_toe"])]), canvas=3)
    return GameTrials(games, episodes=EPISODES)


def tasks(world, lanes=LANES):
    task = Task(parameters=world.games.nth(0, key=jax.random.key(0)).parameters)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (lanes, *leaf.shape)), task)


FORWARDS = -jnp.arange(11.0)  # nine cells, to pass, and to swap


@pytest.fixture(scope="module")
def against_first(world):
    return play(world, Greedy(Likes(FORWARDS)), Ladder((First(),)), tasks(world), key=jax.random.key(0))


def test_who_begins_wins_when_both_take_the_first_cell(against_first):
    """0 2 4 6 is a diagonal: whoever begins wins with their fourth move; sides change with lanes and games."""
    lane, game = np.mgrid[:LANES, :EPISODES]
    np.testing.assert_array_equal(np.asarray(against_first.scores), ((lane + game) % 2 == 0).astype(float))
    played = np.asarray(against_first.actions)[:, : 7 * EPISODES]
    np.testing.assert_array_equal(played, np.tile(np.arange(7), (LANES, EPISODES)))
    assert np.all(np.asarray(against_first.actions)[:, 7 * EPISODES :] == -1)


def test_endings_show_the_winner_and_memory_counts_them(against_first):
    winners = np.asarray(against_first.endings.board[..., 0]).reshape(LANES, EPISODES, 9)
    assert np.all(winners == np.isin(np.arange(9), (0, 2, 4, 6)))
    # The last ending is told to nobody: the trial is over, and those who wait for others remember nothing of it.
    np.testing.assert_array_equal(np.asarray(against_first.memory), EPISODES - 1)


def test_a_blanked_memory_holds_nothing_of_earlier_games(world, against_first):
    match = play(
        world, Greedy(Likes(FORWARDS)), Ladder((First(),)), tasks(world), key=jax.random.key(0), forgetful=True
    )
    np.testing.assert_array_equal(np.asarray(match.memory), 0)
    np.testing.assert_array_equal(np.asarray(match.scores), np.asarray(against_first.scores))


def test_each_mover_has_its_own_lanes(world):
    """Two movers in two groups: lanes are [groups, movers, ...], and each is as it would be alone."""
    movers = Greedy(Likes(jnp.stack([FORWARDS, -FORWARDS])))
    both = play(world, Each(movers, 2), Ladder((First(), First())), tasks(world), key=jax.random.key(0))
    opened = np.asarray(both.actions)[:, :2].reshape(2, 2, 2, 2)  # groups, movers, lanes, the first two moves
    # In even lanes the mover begins with its first choice, in odd ones it answers cell 0.
    np.testing.assert_array_equal(opened[:, 0, 0, 0], 0)
    np.testing.assert_array_equal(opened[:, 1, 0, 0], 8)
    np.testing.assert_array_equal(opened[:, 0, 1], [[0, 1]] * 2)
    np.testing.assert_array_equal(opened[:, 1, 1], [[0, 8]] * 2)


def test_opponents_play_both_sides_when_nobody_else_does(world):
    match = play(world, None, Ladder((First(),)), tasks(world), key=jax.random.key(0))
    assert match.memory is None
    np.testing.assert_array_equal(np.asarray(match.actions)[:, :7], np.tile(np.arange(7), (LANES, 1)))


@pytest.mark.slow
def test_searching_makes_a_player_of_one_that_only_likes_cells(world):
    ladder = Ladder((OnePly(),))
    alone, searching = (
        float(jnp.mean(play(world, mover, ladder, tasks(world, 32), key=jax.random.key(3)).scores))
        for mover in (Greedy(Likes(FORWARDS)), Searching(world, Likes(0 * FORWARDS), 32))
    )
    assert searching > alone + 0.1


@pytest.mark.slow
def test_stronger_rungs_score_better_against_the_same_player(world):
    rungs = (Random(), OnePly(), TreeSearch(32))
    match = play(world, Greedy(Likes(FORWARDS)), Ladder(rungs), tasks(world, 96), key=jax.random.key(2))
    scores = np.asarray(match.scores).reshape(3, -1).mean(axis=1)
    assert scores[0] > scores[1] > scores[2], scores
