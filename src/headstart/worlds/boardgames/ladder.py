"""A fixed ladder of opponents, who know the rules.

Random; one ply (wins at once where that is possible, and never loses at once where it need not); and tree search over
the true rules with random playouts, at several budgets. Strength is the mean score against all of them: 1 for a win,
½ for a draw.
"""

from __future__ import annotations

import abc
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import mctx
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.worlds.boardgames.engine import BoardGames, Position

__all__ = ["LADDER", "AbstractOpponent", "Ladder", "OnePly", "Random", "TreeSearch", "play_out"]


class AbstractOpponent(eqx.Module):
    """Somebody who knows the rules. All lanes at once: leaves `[B, ...]`."""

    @abc.abstractmethod
    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        """A legal action for each position."""


class Random(AbstractOpponent):
    """Any legal action, each as likely as any other."""

    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        return any_of(jax.vmap(world.legal)(positions, tasks), key=key)


class OnePly(AbstractOpponent):
    """The action with the best reward at once; any of them where there are several."""

    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        legal = jax.vmap(world.legal)(positions, tasks)
        outcome = lambda position, task, action: world.step(position, task, action)[1].reward
        each = jax.vmap(jax.vmap(outcome, in_axes=(None, None, 0)), in_axes=(0, 0, None))
        rewards = jnp.where(legal, each(positions, tasks, jnp.arange(legal.shape[-1])), -jnp.inf)
        return any_of(rewards == jnp.max(rewards, axis=-1, keepdims=True), key=key)


class TreeSearch(AbstractOpponent):
    """Monte-Carlo tree search with uniform priors, whose leaves are judged by playing them out at random.

    The tree is that of Danihelka and others (*Policy improvement by planning with Gumbel*, ICLR 2022): with few
    simulations, halving the moves under consideration finds more than walking down one path does.

    **Arguments:**

    - `simulations`: positions added to the tree for each move.
    """

    simulations: int = eqx.field(static=True)

    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        legal = jax.vmap(world.legal)

        def recurrent(_, key: Key, action: Int[Array, "B"], positions: Position):
            positions, outcome, value = play_out(world, tasks, positions, action, key=key)
            answer = mctx.RecurrentFnOutput(
                reward=outcome.reward,
                discount=outcome.discount,
                prior_logits=jnp.where(legal(positions, tasks), 0.0, -1e9),
                value=value,
            )
            return answer, positions

        allowed = legal(positions, tasks)
        root = mctx.RootFnOutput(
            prior_logits=jnp.where(allowed, 0.0, -1e9), value=jnp.zeros(positions.moves.shape), embedding=positions
        )
        result = mctx.gumbel_muzero_policy(
            None,
            key,
            root,
            recurrent,
            self.simulations,
            invalid_actions=~allowed,
            qtransform=partial(mctx.qtransform_completed_by_mix_value, value_scale=1.0, use_mixed_value=False),
        )
        return result.action.astype(jnp.int32)


def play_out(
    world: BoardGames, tasks: Task, positions: Position, action: Int[Array, "B"], *, key: Key
) -> tuple[Position, Outcome, Float[Array, "B"]]:
    """The positions after an action, what came of it, and how random play would have gone on from there.

    The last is from the side of the player about to move then: 1, 0 or −1, and 0 where the game is over.
    """

    def move(carry):
        begun, first, result, sign, positions, key = carry
        key, action_key = jax.random.split(key)
        drawn = any_of(jax.vmap(world.legal)(positions, tasks), key=action_key)
        # The first move is the one that was asked for: a loop of one body is compiled once.
        after, outcome = jax.vmap(world.step)(positions, tasks, jnp.where(begun, drawn, action))
        earned = jnp.where(begun, sign * outcome.reward, 0.0)
        first = jax.tree.map(lambda new, old: jnp.where(begun, old, new), (after, outcome), first)
        sign = jnp.where(begun, sign * outcome.discount, jnp.abs(outcome.discount))
        return jnp.array(True), first, result + earned, sign, after, key

    outcome = jax.eval_shape(jax.vmap(world.step), positions, tasks, action)[1]
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), outcome)
    count = action.shape[0]
    begin = (jnp.array(False), (positions, nothing), jnp.zeros(count), jnp.ones(count), positions, key)
    _, (after, outcome), result, _, _, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[3] != 0), move, begin)
    return after, outcome, result


def any_of(allowed: Bool[Array, "B actions"], *, key: Key) -> Int[Array, "B"]:
    """One of the allowed actions of each lane, all equally likely."""
    chosen = jnp.floor(jax.random.uniform(key, allowed.shape[:1]) * jnp.sum(allowed, axis=-1)).astype(jnp.int32)
    return jnp.argmax(jnp.cumsum(allowed, axis=-1) == (chosen + 1)[:, None], axis=-1).astype(jnp.int32)


#: The rungs, by name.
LADDER: dict[str, AbstractOpponent] = {
    "random": Random(),
    "one ply": OnePly(),
    "search 16": TreeSearch(16),
    "search 64": TreeSearch(64),
}


class Ladder(AbstractOpponent):
    """All rungs at once: the lanes fall into equal parts, in order, one for each."""

    rungs: tuple[AbstractOpponent, ...] = tuple(LADDER.values())

    def __call__(self, world: BoardGames, tasks: Task, positions: Position, *, key: Key) -> Int[Array, "B"]:
        lanes = positions.moves.shape[0] // len(self.rungs)
        part = lambda tree, index: jax.tree.map(lambda leaf: leaf[index * lanes :][:lanes], tree)
        keys = jax.random.split(key, len(self.rungs))
        return jnp.concatenate(
            [
                rung(world, part(tasks, index), part(positions, index), key=rung_key)
                for index, (rung, rung_key) in enumerate(zip(self.rungs, keys, strict=True))
            ]
        )
