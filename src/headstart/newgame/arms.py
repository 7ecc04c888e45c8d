"""Who meets the games, and how strong they are: the measurements that the main job and its study are made of.

All arms are judged on the same games by the same ladder of opponents. Games come in a stack: N of them are met side by
side, by one agent or by one learner each.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from headstart.core.network import AbstractNetwork, Memory
from headstart.core.types import Key, Output, Percept, Task
from headstart.newgame.agent import on_board
from headstart.newgame.match import AbstractMover, Each, Greedy, Match, Searching, play
from headstart.worlds.boardgames.engine import BoardGames
from headstart.worlds.boardgames.ladder import LADDER, Ladder, Random
from headstart.worlds.boardgames.network import Player
from headstart.worlds.boardgames.trials import Ending, GameTrials, no_ending

__all__ = ["KNOWLEDGE", "BoardAlone", "Meeting", "Settled"]

#: How many endings of games that others played a demonstration shows.
SHOWN = 8

#: How many games are played at the same time. A match waits for its longest game, and the more games the longer it is.
PARTY = 2

#: What each arm of the universal agent knows before its first game: (it is told the rules, it sees demonstrations).
KNOWLEDGE = {
    "rules only": (True, False),
    "trials only": (False, False),
    "demonstrations only": (False, True),
    "hybrid": (True, True),
}


class BoardAlone(AbstractNetwork):
    """A network that was trained on single games, in a trial: it is shown the board and not how other games ended."""

    network: AbstractNetwork

    def initial(self) -> Memory:
        return self.network.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        board: Any = percept.observation.board
        return self.network(eqx.tree_at(lambda percept: percept.observation, percept, board), memory)


class Settled(AbstractNetwork):
    """A player whose belief about the rules is settled: it has learned from reward to play by this one.

    A stack of them, one for each of N games, has leaves `[N, ...]`.
    """

    player: Player
    belief: Float[Array, "*stack facts"]

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        return self.player(on_board(percept, self.belief), None)


class Meeting(eqx.Module):
    """N games and who is met in them.

    **Arguments:**

    - `lanes`: trials against each rung of the ladder, in each game; an even number, for sides change with lanes too.
    - `rungs`: by name.
    """

    games: BoardGames
    lanes: int = eqx.field(static=True, default=8)
    rungs: tuple[str, ...] = eqx.field(static=True, default=tuple(LADDER))

    @property
    def ladder(self) -> Ladder:
        return Ladder(tuple(LADDER[rung] for rung in self.rungs))

    def tasks(
        self,
        *,
        told: bool = False,
        shown: Ending | None = None,
        words: Int[Array, "N paraphrases words"] | None = None,
    ) -> Task:
        """Every game, and what is known of it before the first move: leaves `[N, paraphrases, ...]`.

        **Arguments:**

        - `told`: whether the agent reads the game's words, or others if `words` are given.
        - `shown`: endings of games that others played, `[N, SHOWN, ...]`.
        """
        words = self.games.words if words is None else words
        assert words is not None
        count, paraphrases = words.shape[:2]
        if shown is None:
            nothing = no_ending(self.games.canvas)
            shown = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, SHOWN, *leaf.shape)), nothing)
        spread = lambda leaf: jnp.broadcast_to(leaf[:, None], (count, paraphrases, *leaf.shape[1:]))
        return Task(
            parameters=jax.tree.map(spread, self.games.games),
            instruction=words.astype(jnp.int32) * told,
            demonstration=jax.tree.map(spread, shown),
        )

    def demonstrate(self, episodes: int, *, key: Key) -> Ending:
        """How games between two of the strongest on the ladder ended: `[N, SHOWN, ...]`."""
        match = self._play(None, self.tasks(), episodes, key=key)
        return jax.tree.map(lambda leaf: leaf[-1].reshape(leaf.shape[1], -1, *leaf.shape[4:])[:, :SHOWN], match.endings)

    def judge(
        self,
        network: AbstractNetwork,
        tasks: Task,
        episodes: int,
        *,
        key: Key,
        each: bool = False,
        simulations: int = 0,
        forgetful: bool = False,
    ) -> Match:
        """Trials against every rung: scores `[rungs, N, lanes, episodes]`.

        **Arguments:**

        - `network`: one agent for all games, or a stack `[N, ...]` of them, if `each` game has its own.
        - `tasks`: as from `tasks`; the lanes take the paraphrases in turn.
        - `simulations`: to search with, over the true rules; 0 for the network alone.
        - `forgetful`: see `play`.
        """
        mover: AbstractMover = Greedy(network)
        if simulations:
            mover = Searching(GameTrials(self.games, episodes=episodes), network, simulations)
        return self._play(
            Each(mover, len(self.rungs)) if each else mover, tasks, episodes, key=key, forgetful=forgetful
        )

    def _play(
        self, mover: AbstractMover | None, tasks: Task, episodes: int, *, key: Key, forgetful: bool = False
    ) -> Match:
        """A match against all rungs: leaves `[rungs, N, lanes, ...]`. Games of about one length share a table."""
        order = np.argsort(self._lengths(), kind="stable")
        tables = np.array_split(order, -(-self.games.count // PARTY))

        def one(table: np.ndarray) -> Match:
            some = lambda tree: jax.tree.map(lambda leaf: leaf[table] if eqx.is_array(leaf) else leaf, tree)
            seated = Each(some(mover.movers), mover.groups) if isinstance(mover, Each) else mover
            party = Meeting(some(self.games), self.lanes, self.rungs)
            return party._table(
                seated, some(tasks), episodes, key=jax.random.fold_in(key, int(table[0])), forgetful=forgetful
            )

        # The quickest table goes first and alone, for it compiles what all others run; then every core has a table.
        first, *rest = tables
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            matches = [one(first), *reversed(list(pool.map(one, reversed(rest))))]
        back = np.argsort(order, kind="stable")
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1)[:, back], *matches)

    def _table(self, mover: AbstractMover | None, tasks: Task, episodes: int, *, key: Key, forgetful: bool) -> Match:
        """`_play`, all games at the same time."""
        shape = (len(self.rungs), self.games.count, self.lanes)
        paraphrase = jnp.arange(self.lanes) % jax.tree.leaves(tasks)[0].shape[1]
        spread = lambda leaf: jnp.broadcast_to(leaf[:, paraphrase], (*shape, *leaf.shape[2:]))
        flat = jax.tree.map(lambda leaf: spread(leaf).reshape(-1, *leaf.shape[2:]), tasks)
        world = GameTrials(self.games, episodes=episodes)
        match = play(world, mover, self.ladder, flat, key=key, forgetful=forgetful)
        return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), match)

    def _lengths(self) -> np.ndarray:
        """How many moves each game takes `[N]`, by a few games of random play."""
        tasks = Task(parameters=jax.tree.map(lambda leaf: jnp.repeat(leaf, self.lanes, axis=0), self.games.games))
        match = play(GameTrials(self.games, episodes=1), None, Random(), tasks, key=jax.random.key(0))
        return np.asarray(match.actions >= 0).sum(axis=-1).reshape(self.games.count, self.lanes).mean(axis=-1)
