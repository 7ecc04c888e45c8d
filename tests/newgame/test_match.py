"""Matches are played by the rules and counted right, and movers and opponents see what is one move away.

All matches are of tic-tac-toe, half of them misère, and every one is replayed without the engine, from the actions
alone.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.types import Output, Task
from headstart.newgame.match import Each, Greedy, Searching, play
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.ladder import Ladder, OnePly, Random, TreeSearch
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.trials import GameTrials

pytestmark = pytest.mark.usefixtures("quick_to_compile")

RUNGS = {"random": Random(), "one ply": OnePly(), "search": TreeSearch(24)}
LANES, EPISODES = 24, 4  # trials against each rung, and games in each
ROWS = [{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {0, 3, 6}, {1, 4, 7}, {2, 5, 8}, {0, 4, 8}, {2, 4, 6}]


class Preferring(AbstractNetwork):
    """Has an order of preference and no idea of the game; it remembers how many games have ended."""

    logits: Float[Array, "actions"]

    def initial(self):
        return jnp.zeros(())

    def __call__(self, percept, memory):
        memory = memory + ((percept.discount == 0) & ~percept.first)
        return Output(Categorical(self.logits, percept.legal), jnp.zeros(())), memory


FIRST_LEGAL = Preferring(-jnp.arange(11.0))


def is_misere(lane):
    return lane % LANES >= LANES // 2


@pytest.fixture(scope="module")
def world():
    games = [compile_rules(CLASSICS[name]) for name in ("tic_tac_toe", "misere_tic_tac_toe")]
    return GameTrials(BoardGames(stack(games), canvas=3), episodes=EPISODES)


@pytest.fixture(scope="module")
def match(world):
    """A match of a mover against all rungs at once: the first third of the lanes meets the first of them."""
    which = jnp.array([int(is_misere(lane)) for lane in range(3 * LANES)])
    game = jax.tree.map(lambda leaf: leaf[which], world.games.games)
    return partial(play, world, opponent=Ladder(tuple(RUNGS.values())), tasks=Task(parameters=game))


@pytest.fixture(scope="module")
def greedy(match):
    return match(Greedy(FIRST_LEGAL), key=jax.random.key(1))


@pytest.fixture(scope="module")
def searching(world, match):
    return match(Searching(world, Preferring(jnp.zeros(11)), 16), key=jax.random.key(2))


@pytest.fixture(scope="module")
def opponents(match):
    return match(None, key=jax.random.key(3))


class Move(NamedTuple):
    """A move: who made it in which game, which cells were theirs and the other's before, and the cell."""

    agent: bool
    misere: bool
    own: frozenset
    enemy: frozenset
    cell: int


def wins(cells):
    return any(row <= set(cells) for row in ROWS)


def replay(match):
    """Of each lane, its games: each a list of `Move`s, legal and as far as to the game's end."""
    return [_games(lane, actions) for lane, actions in enumerate(np.asarray(match.actions).tolist())]


def _games(lane, actions):
    games, moves, stones = [], [], (set(), set())
    for action in actions[: actions.index(-1)]:
        player = len(moves) % 2
        own, enemy = stones[player], stones[1 - player]
        assert action in set(range(9)) - own - enemy, "a legal move"
        mine = (lane + len(games)) % 2 == player
        moves.append(Move(mine, is_misere(lane), frozenset(own), frozenset(enemy), action))
        own.add(action)
        if wins(own) or len(moves) == 9:
            games, moves, stones = [*games, moves], [], (set(), set())
    assert not moves, "no game is broken off"
    return games


def score(game):
    last = game[-1]
    return float(last.agent != last.misere) if wins(last.own | {last.cell}) else 0.5


def counts(games, *, agent, misere):
    """Of the agent's moves (or its opponent's): how many could, and need not, complete a line; and how many did."""
    chances = [
        move
        for lane in games
        for game in lane
        for move in game
        if (move.agent, move.misere) == (agent, misere)
        if len({wins(move.own | {cell}) for cell in set(range(9)) - move.own - move.enemy}) == 2
    ]
    return len(chances), sum(wins(move.own | {move.cell}) for move in chances)


@pytest.mark.parametrize("name", ["greedy", pytest.param("searching", marks=pytest.mark.slow), "opponents"])
def test_every_game_is_scored_from_the_side_of_the_agent(name, request):
    match = request.getfixturevalue(name)
    assert np.asarray(match.scores).tolist() == [[score(game) for game in games] for games in replay(match)]
    assert match.scores.shape == (3 * LANES, EPISODES)


def test_endings_say_who_won_and_where_the_stones_stood(greedy):
    for lane, games in enumerate(replay(greedy)):
        for number, game in enumerate(games):
            board, verdict = (np.asarray(leaf[lane, number]) for leaf in (greedy.endings.board, greedy.endings.verdict))
            last, won = game[-1], score(game) != 0.5
            second = (len(game) % 2 == 0) != last.misere
            assert verdict.tolist() == [0, not won, won and not last.misere, won and last.misere, won and second]
            if won:
                movers = 1 if last.misere else 0
                assert set(np.flatnonzero(board[..., movers])) == last.own | {last.cell}
                assert set(np.flatnonzero(board[..., 1 - movers])) == last.enemy
            assert set(np.flatnonzero(board[..., 3])) == {last.cell}


def test_sides_change_with_every_game_and_from_lane_to_lane(greedy):
    begins = np.array([[game[0].agent for game in games] for games in replay(greedy)])
    assert begins[0].tolist() == [True, False, True, False]
    assert (begins[1:] != begins[:-1]).all()


def test_rungs_are_in_order_and_each_has_its_part_of_the_lanes(greedy):
    means = np.asarray(greedy.scores).reshape(3, -1).mean(axis=1)
    assert means[0] > means[1] > means[2], means


def of_rung(match, rung):
    return replay(match)[list(RUNGS).index(rung) * LANES :][:LANES]


def test_one_ply_wins_at_once_where_it_can_and_never_loses_at_once_where_it_need_not(greedy):
    chances, taken = counts(of_rung(greedy, "one ply"), agent=False, misere=False)
    assert chances == taken > 10
    chances, taken = counts(of_rung(greedy, "one ply"), agent=False, misere=True)
    assert (chances > 10, taken) == (True, 0)


def test_search_does_so_far_more_often_than_random_play(greedy):
    """Not always: with few playouts, a move after which all of them were won looks as good as one that wins."""
    share = lambda rung, misere: np.divide(*counts(of_rung(greedy, rung), agent=False, misere=misere)[::-1])
    assert share("search", False) > 1.3 * share("random", False)
    assert share("search", True) < 0.5 * share("random", True)


@pytest.mark.slow
def test_searching_finds_the_win_in_one_that_its_network_does_not_see(searching, greedy):
    chances, taken = counts(replay(searching), agent=True, misere=False)
    assert chances == taken > 50
    chances, taken = counts(replay(greedy), agent=True, misere=False)
    assert taken < chances, "whoever prefers the first cell overlooks some"


def test_an_opponent_can_play_both_sides(opponents):
    for agent in (True, False):
        chances, taken = counts(of_rung(opponents, "one ply"), agent=agent, misere=False)
        assert chances == taken > 10


def test_greedy_takes_what_its_network_likes_best(greedy):
    moves = [move for games in replay(greedy) for game in games for move in game if move.agent]
    assert all(move.cell == min(set(range(9)) - move.own - move.enemy) for move in moves)


def test_each_mover_has_its_own_lanes_of_every_group(match):
    likes = jnp.stack([10.0 * jax.nn.one_hot(cell, 11) for cell in (4, 8)])
    games = replay(match(Each(Greedy(Preferring(likes)), groups=3), key=jax.random.key(1)))
    opening = np.array([lane[0][0].cell if lane[0][0].agent else -1 for lane in games]).reshape(3, 2, -1)
    assert [set(cells.tolist()) - {-1} for cells in opening.swapaxes(0, 1).reshape(2, -1)] == [{4}, {8}]


def test_memory_is_kept_through_a_trial_unless_it_is_blanked(greedy, match):
    forgetful = match(Greedy(FIRST_LEGAL), key=jax.random.key(1), forgetful=True)
    assert set(np.asarray(greedy.memory)) == {EPISODES - 1}, "the last end is not perceived: nothing follows it"
    assert set(np.asarray(forgetful.memory)) == {0}
    np.testing.assert_array_equal(forgetful.actions, greedy.actions)
