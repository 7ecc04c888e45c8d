"""How the universal agent is trained: Gumbel AlphaZero by self-play over thousands of games, reading their rule texts.

Three sources of knowledge beside the outcome of games: the words, the endings of earlier games of the same trial, and
the true rules, which the search may use in training (never the agent, and never at test time).
"""

from __future__ import annotations

import dataclasses

import optax

from headstart.newgame.agent import TaskInference, UniversalAgent
from headstart.scratch.alphazero import AlphaZero
from headstart.worlds.boardgames.family import draw_games, world_of
from headstart.worlds.boardgames.trials import GameTrials

__all__ = ["Training", "process"]


@dataclasses.dataclass(frozen=True)
class Training:
    """The settings of a training run. Those of the prior that ships are in its `config.json`.

    **Arguments:**

    - `games`: how many training games are drawn; none has a held-out combination of rules.
    - `paraphrases`: rule texts per game.
    - `canvas`: boards are drawn up to this many rows and columns. The network plays on larger ones too.
    - `episodes`: games in a trial; `silent`: the share of trials without words.
    """

    iterations: int = 160
    games: int = 4000
    paraphrases: int = 8
    canvas: int = 5
    episodes: int = 8
    silent: float = 0.25
    lanes: int = 128
    length: int = 32
    simulations: int = 4
    learning_rate: float = 3e-3
    seed: int = 0


def process(settings: Training) -> AlphaZero:
    """The training run as a process."""
    games = draw_games(settings.games, "train", seed=settings.seed, canvas=settings.canvas)
    world = world_of(games, canvas=settings.canvas, paraphrases=settings.paraphrases, seed=settings.seed)
    minibatch = 512
    updates = settings.iterations * settings.lanes * settings.length * 2 // minibatch
    return AlphaZero(
        world=GameTrials(world, episodes=settings.episodes, silent=settings.silent),
        network=lambda key: UniversalAgent(key=key),
        source=TaskInference(),
        simulations=settings.simulations,
        considered=settings.simulations,
        glance=8.0,
        boldness=0.02,
        lanes=settings.lanes,
        length=settings.length,
        minibatch=minibatch,
        passes=2,
        trace=0.95,
        learning_rate=optax.warmup_cosine_decay_schedule(
            0.0, settings.learning_rate, max(updates // 50, 1), max(updates, 2), settings.learning_rate / 50
        ),
    )
