import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.adapters.pgx import pgx_world


def play(world, games, moves, key):
    """Random legal games; every leaf `[moves, games]`, with `live` false after the end."""

    def game(key):
        reset_key, key = jax.random.split(key)
        state, _ = world.reset(Task(), key=reset_key)

        def move(carry, key):
            state, over = carry
            choice_key, step_key = jax.random.split(key)
            legal = world.legal(state, Task())
            action = jax.random.categorical(choice_key, jnp.where(legal, 0.0, -jnp.inf))
            mover = world.player(state)
            state, outcome = world.step(state, Task(), action, key=step_key)
            rewards = jnp.roll(state[0].rewards, state[1])  # pgx's own, by its absolute players
            return (state, over | outcome.last), (mover, outcome.reward, outcome.discount, outcome.last, ~over, rewards)

        return jax.lax.scan(move, (state, jnp.array(False)), jax.random.split(key, moves))[1]

    return [np.asarray(leaf) for leaf in jax.jit(jax.vmap(game))(jax.random.split(key, games))]


@pytest.mark.parametrize(("name", "moves"), [("tic_tac_toe", 9), ("connect_four", 42)])
def test_random_games_end_with_the_movers_reward_and_a_turned_sign(name, moves):
    mover, reward, discount, last, live, rewards = play(pgx_world(name), 64, moves, jax.random.key(0))
    assert last.any(axis=1).all()
    assert (mover[:, 0] == 0).all()
    assert (mover[:, :-1] != mover[:, 1:])[live[:, 1:]].all()
    assert (discount[live & ~last] == -1).all()
    assert (discount[live & last] == 0).all()
    # Only the mover of the last move can have won in these games, so the reward is never negative; pgx agrees.
    assert set(np.unique(reward[live])) <= {0.0, 1.0}
    assert (reward[live & last] == 1).mean() > 0.5
    assert (rewards.sum(-1) == 0).all()
    assert (reward == np.abs(rewards).max(-1))[live].all()


def test_an_unknown_game_is_named():
    with pytest.raises(UsageError, match="connect_four"):
        pgx_world("connect_five")


@pytest.mark.parametrize("name", ["connect_four", "minatar-breakout"])
def test_a_state_keeps_nothing_of_what_was_seen_so_that_a_search_need_not(name):
    world = pgx_world(name)
    state, observation = jax.eval_shape(lambda key: world.reset(Task(), key=key), jax.random.key(0))
    assert observation.shape not in {leaf.shape for leaf in jax.tree.leaves(state)}
    after, outcome = jax.eval_shape(
        lambda state, key: world.step(state, Task(), jnp.zeros((), jnp.int32), key=key), state, jax.random.key(1)
    )
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    assert outcome.observation.shape == observation.shape
