"""Who learns a game by playing it against itself: from scratch, or from what the universal agent already knows; and who
thinks about it, by playing it in imagination.

Each learner is one pure process, and N of them, one for each of N games, run side by side: a few under one `vmap`,
whose weights the caches of a core hold, and as many such stacks at a time as there are cores. A learner is taken as it
was when it had played as many games as asked, or a few more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActorCritic
from headstart.core.process import AbstractProcess, Online
from headstart.core.scan import scan
from headstart.core.types import Key, Task
from headstart.core.wrappers import OneTask
from headstart.newgame.agent import UniversalAgent
from headstart.newgame.arms import BoardAlone, Settled
from headstart.scratch.alphazero import AlphaZero
from headstart.scratch.ppo import PPO
from headstart.worlds.boardgames.engine import BoardGames
from headstart.worlds.boardgames.facts import imagined
from headstart.worlds.boardgames.network import Player

__all__ = ["alphazero_from_scratch", "improve", "ppo_from_scratch", "settle", "think"]

STACK = 4  # learners under one vmap: measured, 24 of them in one are slower by 40 % on two cores
Learned = Iterator[tuple[np.ndarray, Any]]  # games played `[N]`, and the stack of N networks as they were then


def settle(agent: UniversalAgent, belief: Float[Array, "N facts"]) -> Settled:
    """The agent's player before each of N games, with what it believes of each."""
    alike = lambda leaf: jnp.broadcast_to(leaf, (belief.shape[0], *leaf.shape)) if eqx.is_array(leaf) else leaf
    return Settled(jax.tree.map(alike, agent.player), belief)


def ppo_from_scratch(games: BoardGames, counts: list[int], *, key: Key) -> Learned:
    """PPO by self-play in each game, as it is after each of `counts` games."""
    learner = PPO(discount=1.0, trace=0.95, learning_rate=5e-4, entropy_weight=0.05, clip=1.0)

    def process(task: Task) -> Online:
        world = OneTask(games, task)
        return Online(world, partial(ActorCritic, world, width=128), learner, lanes=64, length=16)

    network = lambda state: state.learner.network
    for played, found in _learn(process, network, (Task(parameters=games.games),), "episode/ends", counts, 4, key):
        yield played, BoardAlone(found)


def alphazero_from_scratch(games: BoardGames, counts: list[int], *, key: Key) -> Learned:
    """Gumbel AlphaZero by self-play in each game, as it is after each of `counts` games.

    Its settings are the best of four that were tried on eight games which the study does not meet, as are `think`'s.
    """

    def process(task: Task) -> AlphaZero:
        world = OneTask(games, task)
        return AlphaZero(
            world,
            partial(ActorCritic, world, width=128),
            simulations=32,
            lanes=32,
            length=16,
            passes=4,
            minibatch=128,
            learning_rate=3e-3,
        )

    network = lambda state: state.network
    for played, found in _learn(process, network, (Task(parameters=games.games),), "game/count", counts, 1, key):
        yield played, BoardAlone(found)


def think(games: BoardGames, settled: Settled, counts: list[int], *, key: Key) -> Learned:
    """The universal agent practises in its head: by search and self-play, in the games that it believes these to be.

    None of the games is played, and their rules are not looked at: what is imagined follows from the belief and from
    what is seen of the board before the first move. The counts are of imagined games.

    **Arguments:**

    - `settled`: as from `settle`.
    """
    seen = jax.vmap(lambda game: games.reset(Task(parameters=game), key=key)[1])(games.games)
    world = BoardGames(jax.vmap(imagined)(settled.belief, seen), canvas=games.canvas)

    def process(task: Task, player: Player) -> AlphaZero:
        return AlphaZero(
            OneTask(world, task),
            lambda key: player,
            simulations=16,
            lanes=64,
            length=16,
            passes=4,
            minibatch=128,
            weight_decay=0.0,
        )

    network = lambda state: state.network
    tasks = Task(parameters=world.games, goal=settled.belief)
    for played, found in _learn(process, network, (tasks, settled.player), "game/count", counts, 1, key):
        yield played, Settled(found, settled.belief)


def improve(games: BoardGames, settled: Settled, counts: list[int], *, key: Key) -> Learned:
    """The universal agent's player goes on from what it can do, by the reward of its own games, in small steps.

    What is believed is the goal of V(s, g), and stays as it is.

    **Arguments:**

    - `settled`: as from `settle`, or as it is after thinking.
    """
    learner = PPO(discount=1.0, trace=0.95, learning_rate=1e-4, entropy_weight=0.02, clip=0.5, epochs=2, minibatches=2)

    def process(task: Task, player: Player) -> Online:
        return Online(OneTask(games, task), lambda key: player, learner, lanes=8, length=8)

    network = lambda state: state.learner.network
    tasks = Task(parameters=games.games, goal=settled.belief)
    for played, found in _learn(process, network, (tasks, settled.player), "episode/ends", counts, 1, key):
        yield played, Settled(found, settled.belief)


def _learn(
    process: Callable[..., AbstractProcess],
    network: Callable[[Any], AbstractNetwork],
    tasks: tuple[Any, ...],
    ended: str,
    counts: list[int],
    chunk: int,
    key: Key,
) -> Learned:
    """One `process(*task)` for each of N `tasks`, a few in a stack and every core with a stack.

    `ended` is the metric that counts games.
    """

    @eqx.filter_jit
    def begin(tasks: Any, keys: Array) -> Any:
        return eqx.filter_vmap(lambda task, key: process(*task).init(key=key))(tasks, keys)

    @eqx.filter_jit
    def go_on(states: Any, tasks: Any, keys: Array, iterations: Array) -> tuple[Any, Array]:
        def one(state: Any, task: Any, key: Key) -> tuple[Any, Array]:
            step = lambda state, iteration: process(*task).step(state, key=jax.random.fold_in(key, iteration))
            state, metrics = scan(step, state, iterations)
            return state, jnp.sum(metrics[ended])

        return eqx.filter_vmap(one)(states, tasks, keys)

    def stack(some: np.ndarray) -> Learned:
        mine, keys = _some(tasks, some), step_keys[some]

        def further(states: Any, there: np.ndarray, done: int) -> tuple[Any, np.ndarray]:
            states, more = go_on(states, _some(mine, there), keys[there], jnp.arange(done, done + chunk))
            return states, np.asarray(more, int)

        return _taken(begin(mine, init_keys[some]), further, network, counts, chunk)

    learners = jax.tree.leaves(eqx.filter(tasks, eqx.is_array))[0].shape[0]
    init_keys, step_keys = (jax.random.split(each, learners) for each in jax.random.split(key))
    stacks = [stack(some) for some in np.array_split(np.arange(learners), -(-learners // STACK))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in counts:
            played, networks = zip(*pool.map(next, stacks), strict=True)
            join = lambda *leaves: jnp.concatenate(leaves) if eqx.is_array(leaves[0]) else leaves[0]
            yield np.concatenate(played), jax.tree.map(join, *networks)


def _taken(
    states: Any,
    further: Callable[[Any, np.ndarray, int], tuple[Any, np.ndarray]],
    network: Callable[[Any], AbstractNetwork],
    counts: list[int],
    chunk: int,
) -> Learned:
    """One stack of learners, each as it was when it had come to each of `counts` games.

    `further` takes the states, whose they are and how many iterations are done; it returns the states after `chunk`
    more, and how many games each played in them.
    """
    learners = jax.tree.leaves(eqx.filter(states, eqx.is_array))[0].shape[0]
    done, played = 0, np.zeros(learners, int)
    there = np.arange(learners)  # whose states these are
    taken = {count: (played, network(states)) for count in counts}
    for count in counts:
        while (taken[count][0] < count).any():
            states, more = further(states, there, done)
            played, done = played.copy(), done + chunk
            played[there] += more
            # One whose games are short comes to a later count while others are on their way to this one.
            for later, (then, networks) in taken.items():
                arrived = (then < later) & (played >= later)
                if arrived.any():
                    found = np.flatnonzero(arrived[there])
                    new = _some(network(states), found)
                    taken[later] = np.where(arrived, played, then), _put(networks, there[found], new)
            # And whoever has come to the last count need not play on; a smaller stack is compiled anew, so seldom.
            left = np.flatnonzero(played[there] < counts[-1])
            if 0 < len(left) <= len(there) / 2:
                there, states = there[left], _some(states, left)
        yield taken.pop(count)


def _some(stack: Any, chosen: np.ndarray) -> Any:
    """Those of a stack."""
    return jax.tree.map(lambda leaf: leaf[chosen] if eqx.is_array(leaf) else leaf, stack)


def _put(stack: Any, places: np.ndarray, new: Any) -> Any:
    """A stack with others in some places."""
    put = lambda old, new: old.at[places].set(new) if eqx.is_array(old) else old
    return jax.tree.map(put, stack, new)
