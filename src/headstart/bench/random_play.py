"""Random play of board games: our general engine, whose rules are arrays, against games that `pgx` wrote out by hand.

Both run in one harness: 1,024 lanes, a uniform choice among the legal actions by their cumulative sum, the observation
computed and read, a finished game begun anew.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from headstart.bench.comparison import Comparison, Limit, in_turn
from headstart.bench.timing import rate
from headstart.core.types import Key, Task
from headstart.errors import HeadstartError, require
from headstart.progress import AbstractObserver
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.rules import CLASSICS, Rules

__all__ = ["Contender", "compare"]

LANES = 1024
PAIRS = 9


@dataclass(frozen=True)
class Contender:
    """A game, unbatched, as the harness wants it; `step` returns the state, the observation and whether it is over."""

    begin: Callable[[Key], Any]
    legal: Callable[[Any], Bool[Array, "actions"]]
    step: Callable[[Any, Int[Array, ""]], tuple[Any, Array, Bool[Array, ""]]]


def choose(legal: Bool[Array, "B actions"], *, key: Key) -> Int[Array, "B"]:
    """One of the legal actions of each lane, all equally likely."""
    count = jnp.sum(legal, axis=-1)
    nth = jnp.floor(jax.random.uniform(key, count.shape) * count).astype(jnp.int32) + 1
    return jnp.argmax(jnp.cumsum(legal, axis=-1) == nth[:, None], axis=-1)


def moves_per_second(contender: Contender, lanes: int, moves: int) -> Callable[[], float]:
    """A function that plays `moves` moves in each lane, compiled already, and returns moves per second."""
    fresh = jax.jit(jax.vmap(contender.begin))(jax.random.split(jax.random.key(0), lanes))

    def move(carry, key):
        states, seen = carry
        actions = choose(jax.vmap(contender.legal)(states), key=key)
        states, observations, over = jax.vmap(contender.step)(states, actions)
        renewed = jax.tree.map(
            lambda new, old: jnp.where(over.reshape(lanes, *(1,) * (old.ndim - 1)), new, old), fresh, states
        )
        # What nobody reads, the compiler would not compute.
        return (renewed, seen + jnp.sum(observations, dtype=jnp.int32)), None

    @jax.jit
    def play(states):
        return jax.lax.scan(move, (states, jnp.int32(0)), jax.random.split(jax.random.key(1), moves))[0]

    return rate(play, fresh, lambda _: lanes * moves)


def ours(rules: Rules) -> Contender:
    """A game of the general engine."""
    world = BoardGames(stack([compile_rules(rules)]))
    task = Task(parameters=jax.tree.map(lambda leaf: leaf[0], world.games))

    def step(state, action):
        state, outcome = world.step(state, task, action)
        return state, outcome.observation, outcome.last

    return Contender(
        begin=lambda key: world.reset(task, key=key)[0], legal=lambda state: world.legal(state, task), step=step
    )


def theirs(game: Any, begin: Callable[[Key], Any] | None = None) -> Contender:
    """A game of `pgx`."""

    def step(state, action):
        state = game.step(state, action)
        return state, state.observation, state.terminated | state.truncated

    return Contender(begin=begin or game.init, legal=lambda state: state.legal_action_mask, step=step)


def small_hex(size: int) -> Contender:
    """Hex of `pgx` on a board of another size: its public `init` makes 11 by 11 cells, whatever the size."""
    game = require("pgx.hex", "games").Hex(size=size)
    cells = size**2

    def begin(key):
        state = game._init(key)
        return state.replace(
            _x=state._x._replace(board=jnp.zeros(cells, jnp.int32)),
            legal_action_mask=jnp.ones(cells + 1, bool).at[cells].set(False),
            observation=jnp.zeros((size, size, 4), bool),
        )

    return theirs(game, begin)


def nothing(rules: Rules) -> Contender:
    """No game at all: every cell stays legal, and what is seen is the move. Choosing alone bounds any game's rate."""
    cells = rules.rows * rules.columns
    return Contender(
        begin=lambda key: jnp.int32(0),
        legal=lambda state: jnp.arange(cells) != state,
        step=lambda state, action: (action.astype(jnp.int32), action, action < 0),
    )


def compare(*, observer: AbstractObserver, quick: bool, lanes: int = LANES) -> list[Comparison]:
    """Connect four and hex on 8 by 8 against `pgx`, with its own hex on 11 by 11 for reference."""
    moves, pairs = (16, 3) if quick else (256, PAIRS)
    pgx = lambda name: theirs(require("pgx", "games").make(name))
    rivals: list[tuple[str, str, Rules, Callable[[], Contender], float | None]] = [
        ("connect-four", "connect four", CLASSICS["connect_four"], lambda: pgx("connect_four"), 0.5),
        ("hex", "hex on 8 by 8", CLASSICS["hex"], lambda: small_hex(8), 0.5),
        ("hex-11", "hex, ours on 8 by 8 and theirs on 11 by 11", CLASSICS["hex"], lambda: pgx("hex"), None),
    ]
    comparisons = []
    measure_ours = functools.cache(
        lambda rules: moves_per_second(ours(rules), lanes, moves)
    )  # hex is compiled once for two
    for name, words, rules, rival, bar in rivals:
        what = f"random play of {words}, {lanes:,} lanes, observed, begun anew when over"
        comparison = Comparison(f"engine-{name}", what, "moves/s", "pgx", bar, quick=quick)
        observer.say(f"{comparison.name}: compiling ...")
        try:
            contenders = measure_ours(rules), moves_per_second(rival(), lanes, moves)
            bound = Limit(
                moves_per_second(nothing(rules), lanes, moves)(), "choosing a move, without any game behind it"
            )
            measured = in_turn(*contenders, pairs, observer=observer)
            comparisons.append(replace(comparison, pairs=measured, limit=bound))
        except HeadstartError as error:
            comparisons.append(comparison.unmeasured(str(error)))
    return comparisons
