"""Who meets the game, and how strong they are after so many games of it: the arms of the main job's comparison.

The universal agent, with one kind of knowledge or with all of it, and a learner from scratch. All are judged on the
same game by the same opponents; a learner's games are games of self-play.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActorCritic
from headstart.core.process import Online, OnlineState
from headstart.core.types import Choice, Key, Percept, Task
from headstart.newgame.agent import UniversalAgent
from headstart.scratch.ppo import PPO
from headstart.worlds.boardgames.engine import BoardGames
from headstart.worlds.boardgames.ladder import AbstractOpponent, Match, TreeSearch, greedy, play
from headstart.worlds.boardgames.trials import Ending, GameTrials, no_ending

__all__ = ["EPISODES", "KNOWLEDGE", "Meeting", "improve", "learn_from_scratch"]

EPISODES = 10

#: What each arm of the universal agent knows before its first game: (it is told the rules, it sees demonstrations).
KNOWLEDGE = {
    "rules only": (True, False),
    "trials only": (False, False),
    "demonstrations only": (False, True),
    "hybrid": (True, True),
}


class Meeting(eqx.Module):
    """One game, what is told of it, and games of it that others played. `lanes` trials are played at a time."""

    games: BoardGames
    demonstrations: Ending
    lanes: int = eqx.field(static=True, default=8)

    @property
    def world(self) -> GameTrials:
        return GameTrials(self.games, episodes=EPISODES)

    def tasks(self, *, told: bool, shown: bool) -> Task:
        """The game in every lane, `[lanes, ...]`, with or without its words and its demonstrations."""
        task = self.games.nth(0, key=jax.random.key(0))
        assert task.instruction is not None
        nothing = jax.tree.map(
            lambda leaf, like: jnp.broadcast_to(leaf, like.shape), no_ending(self.games.canvas), self.demonstrations
        )
        task = Task(
            parameters=task.parameters,
            instruction=task.instruction * told,
            demonstration=self.demonstrations if shown else nothing,
        )
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.lanes, *leaf.shape)), task)

    def judge(self, agent: UniversalAgent, opponent: AbstractOpponent, *, key: Key) -> dict[str, Match]:
        """The universal agent with each kind of knowledge, against one opponent."""
        tasks = [self.tasks(told=told, shown=shown) for told, shown in KNOWLEDGE.values()]
        together = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *tasks)
        match = _play(self.world, agent, opponent, together, key)
        part = lambda index: jax.tree.map(lambda leaf: leaf[index * self.lanes :][: self.lanes], match)
        return {name: part(index) for index, name in enumerate(KNOWLEDGE)}

    def judge_one(self, network: AbstractNetwork, opponent: AbstractOpponent, *, told: bool, key: Key) -> Match:
        """Any agent, against one opponent."""
        return _play(self.world, network, opponent, self.tasks(told=told, shown=told), key)


@eqx.filter_jit
def _play(world: GameTrials, network: AbstractNetwork, opponent: AbstractOpponent, tasks: Task, key: Key) -> Match:
    return play(world, network, _acts(network), opponent, tasks, key=key)


def _acts(network: AbstractNetwork):
    """The universal agent sees the last ending too; a network from scratch sees the board alone."""
    act = greedy(network)
    if isinstance(network, UniversalAgent):
        return act

    def board_alone(percept: Percept, memory: Any, *, key: Key) -> tuple[Choice, Any]:
        return act(
            eqx.tree_at(lambda percept: percept.observation, percept, percept.observation.board), memory, key=key
        )

    return board_alone


def demonstrate(games: BoardGames, count: int, *, key: Key) -> Ending:
    """The endings `[count]` of games between two tree searches over the true rules, begun with a few random moves."""
    world, expert = GameTrials(games, episodes=1), TreeSearch(64)
    task = games.nth(0, key=key)
    tasks = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), task)

    def move(carry):
        states, going, key = carry
        key, action_key = jax.random.split(key)
        action = expert(games, tasks, states.game, key=action_key)
        after, outcome = jax.vmap(lambda state, task, action: world.step(state, task, action, key=key))(
            states, tasks, action
        )
        keep = lambda new, old: jnp.where(going.reshape(going.shape + (1,) * (new.ndim - 1)), new, old)
        return jax.tree.map(keep, after, states), going & ~outcome.last, key

    states, _ = jax.vmap(lambda task: world.reset(task, key=key))(tasks)
    ended = jax.lax.while_loop(lambda carry: jnp.any(carry[1]), move, (states, jnp.ones(count, bool), key))
    return ended[0].ending


def learn_from_scratch(games: BoardGames, counts: list[int], *, key: Key) -> Iterator[tuple[int, ActorCritic]]:
    """PPO by self-play, paused whenever it has played the next of `counts` games: yields the true count and itself."""
    process = Online(
        games,
        partial(ActorCritic, games, width=128),
        PPO(discount=1.0, trace=0.95, learning_rate=5e-4, entropy_weight=0.05, clip=1.0),
        lanes=64,
        length=16,
    )
    init_key, step_key = jax.random.split(key)
    yield from _pause(process, eqx.filter_jit(process.init)(key=init_key), counts, step_key)


def improve(
    world: GameTrials, agent: UniversalAgent, counts: list[int], *, key: Key
) -> Iterator[tuple[int, UniversalAgent]]:
    """The universal agent goes on learning from the reward of its own games, in small steps; yields as above."""
    process = Online(
        world,
        lambda key: agent,
        PPO(discount=1.0, trace=0.95, learning_rate=1e-4, entropy_weight=0.02, clip=0.5, epochs=2, minibatches=2),
        lanes=8,
        length=16,
    )
    init_key, step_key = jax.random.split(key)
    yield from _pause(process, eqx.filter_jit(process.init)(key=init_key), counts, step_key)


def _pause(process: Online, state: OnlineState, counts: list[int], key: Key) -> Iterator[tuple[int, Any]]:
    step = eqx.filter_jit(lambda state, key: process.step(state, key=key))
    games, iteration = 0, 0
    for count in counts:
        while games < count:
            state, metrics = step(state, jax.random.fold_in(key, iteration))
            games, iteration = games + int(np.asarray(metrics["episode/ends"])), iteration + 1
        yield games, state.learner.network
