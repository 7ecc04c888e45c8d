"""What reading costs: steps per second with and without text, collecting and learning, in two ways to read.

Theirs is ours with all words withheld: the same world, network and learner, where nothing is read. So the ratio, below
1, is what is left of the speed.

**Board games**: the training of the universal agent. Its words are encoded once a task: as a trial begins they are read
into the memory, and none of its moves reads them again (`headstart.newgame.training`). Besides, as many texts as its
settings say are read in each iteration to learn how.

**Friends and enemies**: text-VIN by DQN. What is replayed must be read again whenever it is learned from, since what
reads has learned in between; so this is what it costs to read at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.bench.comparison import Comparison, in_turn
from headstart.bench.timing import rate
from headstart.core.process import AbstractProcess, Online
from headstart.core.scan import scan
from headstart.core.types import Key
from headstart.instructions.encoders import AbstractEncoder, BagOfWords
from headstart.instructions.text_vin import TextVIN
from headstart.newgame.training import Practice, Training
from headstart.newgame.training import process as practice
from headstart.progress import AbstractObserver
from headstart.recipes.instructions import grounding
from headstart.worlds.boardgames.engine import BoardGames
from headstart.worlds.friends_and_enemies import FriendsAndEnemies

__all__ = ["Unread", "compare"]

TIMES = 5
WITHHELD = "the same, words withheld"
GAMES = 64
"""Different board games. How many there are does not change how fast they are played."""


class Unread(AbstractEncoder):
    """An encoder that does not look at the words: zeros, whatever they say. **Arguments:** those of `Recurrent`."""

    size: int = eqx.field(static=True)

    def __init__(self, vocabulary: int, size: int, *, key: Key):
        self.size = size

    def __call__(self, tokens: Int[Array, "words"]) -> Float[Array, "size"]:
        return jnp.zeros(self.size)


def board_games(settings: Training) -> tuple[Practice, Practice]:
    """The training of the universal agent, with words and with none; in few moves it learns from as few texts."""
    told, usual = practice(settings), Training()
    share = told.lanes * told.length / (usual.lanes * usual.length)
    told = replace(told, texts=max(int(told.texts * share), told.lessons))
    return told, replace(told, games=BoardGames(told.games.games, None, canvas=told.games.canvas))


def friends(iterations: int) -> tuple[Online, Online]:
    """Text-VIN as the recipe has it, with words and with none."""
    world = FriendsAndEnemies(hidden=0.5)
    of = lambda encoder: grounding(partial(TextVIN, world, encoder=encoder), world, iterations)
    return of(BagOfWords), of(Unread)


def steps_per_second(process: Practice | Online, iterations: int) -> Callable[[], float]:
    """How fast a process goes, in steps of the world in all lanes together."""
    keys = jax.random.split(jax.random.key(1), iterations)
    run = eqx.filter_jit(lambda state: scan(lambda state, key: process.step(state, key=key), state, keys))
    return rate(run, _begun(process), lambda _: float(iterations * process.lanes * process.length))


def _begun(process: AbstractProcess) -> Any:
    return eqx.filter_jit(process.init)(key=jax.random.key(0))


def compare(*, observer: AbstractObserver, quick: bool) -> list[Comparison]:
    """Ours with text, beside ours without."""
    small = Training(games=GAMES, paraphrases=1)
    if quick:
        small = replace(small, lanes=16, length=16, minibatch=64)
    # So many iterations that what is replayed has begun to be learned from in the first of them.
    iterations = 8 if quick else 64
    every: dict[str, tuple[str, tuple[Any, Any], int]] = {
        "reading-board-games": (
            f"training of the universal agent, {small.lanes} trials of {small.length} moves, read once a trial",
            board_games(small),
            1,
        ),
        "reading-friends": (
            "text-VIN by DQN among friends and enemies, 32 lanes, read at every step and whenever it is replayed",
            friends(iterations),
            iterations,
        ),
    }
    found = []
    for name, (what, (told, untold), count) in every.items():
        observer.say(f"  {name}: compiling with words and without ...")
        measures = steps_per_second(told, count), steps_per_second(untold, count)
        pairs = in_turn(*measures, 2 if quick else TIMES, observer=observer)
        found.append(Comparison(name, what, "steps/s", WITHHELD, None, pairs, quick=quick))
    return found
