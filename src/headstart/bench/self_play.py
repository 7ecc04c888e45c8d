"""Gumbel AlphaZero plays connect four against itself: `headstart.scratch.alphazero` against `pgx` with `mctx`.

Theirs is the way in which the two are used together in the open: the game's `step` in a wrapper that begins it anew,
`gumbel_muzero_policy` with completed Q-values, illegal logits masked by hand. Network, 32 simulations and 128 games at
once are the same, and nobody learns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import mctx

from headstart.bench.comparison import Comparison, in_turn
from headstart.bench.residual import ResidualTower
from headstart.bench.timing import matmul_limit, rate
from headstart.core.collect import begin, collect_lanes
from headstart.core.world import AbstractTwoPlayerWorld, Discrete
from headstart.errors import HeadstartError, require
from headstart.progress import AbstractObserver
from headstart.scratch.alphazero import search
from headstart.worlds.adapters.pgx import pgx_world
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.rules import CLASSICS

__all__ = ["compare"]

LANES, SIMULATIONS = 128, 32
PAIRS = 5


def ours(
    world: AbstractTwoPlayerWorld, lanes: int, simulations: int, moves: int
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Games per second of our search in a world; and, once that is measured, how many moves a game took."""
    network = tower(world)
    played: list[float] = []

    def decide(lanes, *, key):
        return search(world, network, lanes, simulations=simulations, key=key)

    @eqx.filter_jit
    def play(state):
        lanes, key = state
        key, play_key = jax.random.split(key)
        lanes, rollout = collect_lanes(world, network, decide, lanes, moves, key=play_key)
        return (lanes, key), jnp.sum(rollout.last)

    def count(games) -> float:
        played.append(float(games))
        return played[-1]

    state = begin(world, network, lanes, key=jax.random.key(1)), jax.random.key(2)
    return rate(play, state, count), lambda: len(played) * lanes * moves / sum(played)


def theirs(lanes: int, simulations: int, moves: int) -> Callable[[], float]:
    """Games per second in the way of `pgx` and `mctx`."""
    game = require("pgx", "games").make("connect_four")
    auto_reset = require("pgx.experimental.wrappers", "games").auto_reset
    look = jax.vmap(tower(connect_four()).look)

    def recurrent(_, key, action, state):
        mover = state.current_player
        state = jax.vmap(game.step)(state, action)
        logits, value = look(state.observation)
        logits = logits - jnp.max(logits, axis=-1, keepdims=True)
        logits = jnp.where(state.legal_action_mask, logits, jnp.finfo(logits.dtype).min)
        answer = mctx.RecurrentFnOutput(
            reward=state.rewards[jnp.arange(lanes), mover],
            discount=jnp.where(state.terminated, 0.0, -1.0),
            prior_logits=logits,
            value=jnp.where(state.terminated, 0.0, value),
        )
        return answer, state

    def move(state, key):
        search_key, reset_key = jax.random.split(key)
        logits, value = look(state.observation)
        chosen = mctx.gumbel_muzero_policy(
            None,
            search_key,
            mctx.RootFnOutput(prior_logits=logits, value=value, embedding=state),
            recurrent,
            simulations,
            invalid_actions=~state.legal_action_mask,
            qtransform=mctx.qtransform_completed_by_mix_value,
            gumbel_scale=1.0,
        )
        keys = jax.random.split(reset_key, lanes)
        after = jax.vmap(auto_reset(game.step, game.init))(state, chosen.action, keys)
        mover = state.current_player
        # What a learner is given; as in ours, it is computed and kept.
        data = (state.observation, chosen.action_weights, after.rewards[jnp.arange(lanes), mover], after.terminated)
        return after, data

    @jax.jit
    def play(state):
        states, key = state
        key, play_key = jax.random.split(key)
        states, data = jax.lax.scan(move, states, jax.random.split(play_key, moves))
        return (states, key), (jnp.sum(data[-1]), data)

    states = jax.vmap(game.init)(jax.random.split(jax.random.key(1), lanes))
    return rate(play, (states, jax.random.key(2)), lambda done: float(done[0]))


def connect_four() -> AbstractTwoPlayerWorld:
    """Connect four of `pgx`."""
    return cast(AbstractTwoPlayerWorld, pgx_world("connect_four"))


def tower(world: AbstractTwoPlayerWorld) -> ResidualTower:
    """The network for a world, the same for both sides."""
    assert isinstance(world.actions, Discrete)
    return ResidualTower(seen(world), world.actions.count, jax.random.key(0))


def seen(world: AbstractTwoPlayerWorld) -> tuple[int, int, int]:
    """Rows, columns and planes of what is observed."""
    return jax.eval_shape(lambda key: world.reset(world.task(key=key), key=key)[1], jax.random.key(0)).shape


def look_flops(world: AbstractTwoPlayerWorld) -> float:
    """Multiplications and additions of one look at a board."""
    return tower(world).flops(*seen(world)[:2])


def compare(
    *, observer: AbstractObserver, quick: bool, lanes: int = LANES, simulations: int = SIMULATIONS
) -> list[Comparison]:
    """In the same world at the same network; and in the world of our general engine, for reference."""
    moves, pairs = (32, 2) if quick else (128, PAIRS)
    engine = BoardGames(stack([compile_rules(CLASSICS["connect_four"])]), canvas=7)
    worlds: list[tuple[str, str, Callable[[], AbstractTwoPlayerWorld], float | None]] = [
        ("self-play", "connect four of pgx", connect_four, 1.0),
        ("self-play-engine", "connect four of our general engine against that of pgx", lambda: engine, None),
    ]
    rival = functools.cache(lambda: theirs(lanes, simulations, moves))  # compiled once for both
    comparisons = []
    for name, words, world_of, bar in worlds:
        what = f"Gumbel AlphaZero self-play, {words}, {simulations} simulations, {lanes} games at once"
        comparison = Comparison(name, what, "games/s", "pgx with mctx", bar, quick=quick)
        observer.say(f"{comparison.name}: compiling ...")
        try:
            world = world_of()
            measure, moves_a_game = ours(world, lanes, simulations, moves)
            measured = in_turn(measure, rival(), pairs, observer=observer)
            limit = matmul_limit(moves_a_game() * (simulations + 1) * look_flops(world), "game")
            comparisons.append(replace(comparison, pairs=measured, limit=limit))
        except HeadstartError as error:
            comparisons.append(comparison.unmeasured(str(error)))
    return comparisons
