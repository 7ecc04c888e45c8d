"""The engine agrees, at every position of 10,000 random games each, with an independent implementation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.rules import CLASSICS, Rules

pgx = pytest.importorskip("pgx")

GAMES = 10_000
CANVAS = 8
PASS, SWAP = CANVAS**2, CANVAS**2 + 1


def world_of(*rules: Rules) -> BoardGames:
    return BoardGames(stack([compile_rules(rule) for rule in rules]))


def cell(row, column):
    return row * CANVAS + column


def grid(rows, columns):
    return [cell(row, column) for row in range(rows) for column in range(columns)]


def rival(name):
    """The independent game, and a function from a key to its first state."""
    if name != "hex":
        game = pgx.make({"reversi": "othello"}.get(name, name))
        return game, game.init
    from pgx.hex import Hex

    def init(key):  # its public `init` makes 11 by 11 cells, whatever the size
        state = game._init(key)
        board = state._x._replace(board=jnp.zeros(64, jnp.int32))
        legal = jnp.ones(65, bool).at[64].set(False)
        return state.replace(_x=board, legal_action_mask=legal, observation=jnp.zeros((8, 8, 4), bool))

    game = Hex(size=8)
    return game, init


# Our action for each of theirs. In hex they mirror a stone that is swapped, and we swap the players instead: the same
# game, seen in a mirror once it has been swapped.
TRANSLATION = {
    "tic_tac_toe": grid(3, 3),
    "connect_four": None,
    "reversi": [*grid(8, 8), PASS],
    "hex": [*grid(8, 8), SWAP],
}


@pytest.mark.parametrize("name", TRANSLATION)
def test_agrees_with_an_independent_implementation(name):
    rules = {**CLASSICS, "hex": Rules("hex", 8, 8, cells="hex", winning="connect", swap=True)}[name]
    ours, (theirs, init) = world_of(rules), rival(name)
    game = jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], ours.games)
    task = Task(parameters=game)
    key = jax.random.key(0)

    def translate(action, position):
        if name == "connect_four":  # they name a column; the stone lands on the cell of it that we may place on
            column = position.placeable.cells()[:, action]
            return cell(jnp.argmax(column), action)
        mapped = jnp.array(TRANSLATION[name])[action]
        if name == "hex":
            mirrored = jnp.where(action < 64, cell(action % 8, action // 8), mapped)
            return jnp.where(position.swapped, mirrored, mapped)
        return mapped

    def legal_in_their_terms(position):
        legal = ours.legal(position, task)
        if name == "connect_four":
            return legal[:PASS].reshape(CANVAS, CANVAS).any(axis=0)[:7]
        return legal[jax.vmap(lambda action: translate(action, position))(jnp.arange(len(TRANSLATION[name])))]

    def play(key):
        begin_key, play_key = jax.random.split(key)
        rival_state = init(begin_key)
        # They toss a coin for which of two ids begins; ours is always 0.
        beginner = rival_state.current_player

        def step(carry, key):
            rival_state, position, over, agree = carry
            legal = rival_state.legal_action_mask
            agree &= over | jnp.all(legal == legal_in_their_terms(position))
            agree &= over | ((rival_state.current_player ^ beginner) == ours.player(position))
            action = jax.random.categorical(key, jnp.where(legal, 0.0, -jnp.inf))
            rival_next = theirs.step(rival_state, action)
            mover = rival_state.current_player
            position_next, outcome = ours.step(position, task, translate(action, position))
            agree &= over | (outcome.last == rival_next.terminated)
            agree &= over | (outcome.reward == rival_next.rewards[mover])
            now = (rival_next, position_next, over | rival_next.terminated, agree)
            held = jax.tree.map(lambda new, old: jnp.where(over, old, new), now[:2], carry[:2])
            return (*held, *now[2:]), None

        position, _ = ours.reset(task, key=key)
        length = {"tic_tac_toe": 9, "connect_four": 42, "reversi": 128, "hex": 65}[name]
        carry = (rival_state, position, jnp.array(False), jnp.array(True))
        (_, _, over, agree), _ = jax.lax.scan(step, carry, jax.random.split(play_key, length))
        return over, agree

    over, agree = jax.jit(jax.vmap(play))(jax.random.split(key, GAMES))
    assert np.all(over), "every game must have been played to its end"
    assert np.all(agree)


# What no other implementation has, against positions worked out by hand.

MOVE = eqx.filter_jit(lambda world, task, position, action: world.step(position, task, action))


def played(rules: Rules, *moves):
    """The position and the last outcome after moves given as (row, column), or as an action."""
    world = world_of(rules)
    task = Task(parameters=jax.tree.map(lambda leaf: leaf[0], world.games))
    position, _ = world.reset(task, key=jax.random.key(0))
    outcome = None
    for move in moves:
        action = jnp.int32(cell(*move) if isinstance(move, tuple) else move)
        assert bool(world.legal(position, task)[action]), f"{move} is not legal"
        position, outcome = MOVE(world, task, position, action)
    return world, task, position, outcome


def test_misere_turns_the_reward_round():
    line = [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
    assert float(played(Rules("plain", 3, 3), *line)[3].reward) == 1
    assert float(played(Rules("misere", 3, 3, misere=True), *line)[3].reward) == -1


def test_a_line_may_cross_joined_edges():
    line = [(0, 2), (1, 0), (0, 3), (1, 1), (0, 0)]
    assert not bool(played(Rules("walls", 4, 4), *line)[3].last)
    assert bool(played(Rules("torus", 4, 4, edges="torus"), *line)[3].last)


def test_a_dropped_stone_rests_on_floor_stone_or_hole():
    rules = Rules("drop", 4, 4, holes=((2, 1),), placing="drop")
    world, task, position, _ = played(rules)
    legal = np.asarray(world.legal(position, task))[:PASS].reshape(CANVAS, CANVAS)
    assert set(map(tuple, np.argwhere(legal))) == {(3, 0), (3, 1), (3, 2), (3, 3), (1, 1)}


def test_custody_takes_stones_off_and_flip_turns_them():
    moves = [(0, 0), (0, 1), (3, 3), (0, 2), (0, 3)]
    for capture, own, enemy in (("custody", 3, 0), ("flip", 5, 0)):
        position = played(Rules("capture", 4, 4, capture=capture, winning="most"), *moves)[2]
        assert (int(position.stones[0].count()), int(position.stones[1].count())) == (own, enemy)


def test_two_stones_a_turn_after_a_first_of_one():
    rules = Rules("double", 5, 5, length=5, stones=2)
    world, _, position, outcome = played(rules, (0, 0), (1, 0))
    assert int(world.player(position)) == 1
    assert float(outcome.discount) == 1, "the same player moves again"
    _, _, position, outcome = played(rules, (0, 0), (1, 0), (1, 1))
    assert float(outcome.discount) == -1, "now the turn passes"


def test_a_swap_exchanges_the_players_and_not_the_stones():
    rules = Rules("pie", 5, 5, cells="hex", winning="connect", swap=True)
    world, task, position, outcome = played(rules, (2, 2), SWAP)
    assert int(world.player(position)) == 0
    assert bool(position.stones[0].cells()[2, 2])
    assert not bool(world.legal(position, task)[SWAP])
    assert float(outcome.reward) == 0


def test_a_full_board_without_a_line_is_a_draw():
    moves = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 0), (1, 2), (2, 1), (2, 0), (2, 2)]
    outcome = played(Rules("draw", 3, 3), *moves)[3]
    assert bool(outcome.last)
    assert float(outcome.reward) == 0
    assert float(outcome.discount) == 0
