"""Games of `pgx` as worlds.

Koyama and others, *Pgx: hardware-accelerated parallel game simulators for reinforcement learning*, NeurIPS 2023.
Its games never reset themselves unless wrapped, and are not wrapped here: `collect` resets.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractTwoPlayerWorld, AbstractWorld, Discrete
from headstart.errors import UsageError, require

__all__ = ["PgxGame", "PgxSolo", "pgx_world"]


def pgx_world(name: str) -> PgxGame | PgxSolo:
    """The world of a `pgx` game: `"connect_four"`, `"tic_tac_toe"`, `"minatar-breakout"`, ...

    **Raises:** `MissingExtra` without `pgx`; `UsageError` for an unknown game or one of three or more players.
    """
    pgx = require("pgx", "games")
    if name not in pgx.available_envs():
        raise UsageError(f"pgx has no game {name!r}; it has {', '.join(sorted(pgx.available_envs()))}")
    game = pgx.make(name)
    if game.num_players > 2:
        raise UsageError(f"{name} has {game.num_players} players; only games of one or two can be a world")
    return (PgxSolo if game.num_players == 1 else PgxGame)(game)


class PgxSolo(AbstractWorld):
    """A game for one player, such as MinAtar's."""

    game: Any = eqx.field(static=True)

    @property
    def actions(self) -> Discrete:
        return Discrete(self.game.num_actions)

    def task(self, *, key: Key) -> Task:
        return Task()

    def reset(self, task: Task, *, key: Key) -> tuple[Any, PyTree[Array]]:
        state = self.game.init(key)
        return _unseen(state), state.observation

    def step(self, state: Any, task: Task, action: PyTree[Array], *, key: Key) -> tuple[Any, Outcome]:
        following = self.game.step(state, action, key)
        return _unseen(following), Outcome(
            observation=following.observation,
            reward=following.rewards[state.current_player].astype(jnp.float32),
            discount=self._discount(state, following),
            last=following.terminated | following.truncated,
        )

    def legal(self, state: Any, task: Task) -> Bool[Array, "actions"]:
        return state.legal_action_mask

    def _discount(self, state: Any, following: Any) -> Array:
        return jnp.where(following.terminated, 0.0, 1.0)


class PgxGame(PgxSolo, AbstractTwoPlayerWorld):
    """A zero-sum game of two, seen and rewarded from the side of whoever moves.

    An illegal action ends the game with reward −1 for who took it, as `pgx` has it.
    """

    def reset(self, task: Task, *, key: Key) -> tuple[Any, PyTree[Array]]:
        # pgx draws which of its players begins; the one who does is our player 0, and is kept beside the state.
        state = self.game.init(key)
        return (_unseen(state), state.current_player), state.observation

    def step(self, state: Any, task: Task, action: PyTree[Array], *, key: Key) -> tuple[Any, Outcome]:
        inner, began = state
        following, outcome = super().step(inner, task, action, key=key)
        return (following, began), outcome

    def legal(self, state: Any, task: Task) -> Bool[Array, "actions"]:
        return state[0].legal_action_mask

    def player(self, state: Any) -> Int[Array, ""]:
        inner, began = state
        return (inner.current_player != began).astype(jnp.int32)

    def _discount(self, state: Any, following: Any) -> Array:
        passes = jnp.where(following.current_player == state.current_player, 1.0, -1.0)
        return jnp.where(following.terminated, 0.0, passes)


def _unseen(state: Any) -> Any:
    """The state without what is seen of it: up to three quarters of what a search would keep for every node."""
    return state.replace(observation=None)
