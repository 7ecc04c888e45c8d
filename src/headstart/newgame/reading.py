"""How the universal agent is taught to read, by itself: texts whose facts are known, and no game is played.

A belief lies between reading and playing, so either can be learned without the other. Reading takes minutes and playing
an hour: a better way to read need not wait for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from headstart.core.optimise import descend, prepare
from headstart.core.process import AbstractProcess
from headstart.core.scan import scan
from headstart.core.types import Key, Metrics
from headstart.greedy import Evaluation
from headstart.instructions.encoders import AbstractEncoder
from headstart.instructions.vocabulary import PADDING, UNKNOWN
from headstart.newgame.agent import new_reader
from headstart.report import Report
from headstart.worlds.boardgames.engine import BoardGames
from headstart.worlds.boardgames.facts import FACTS, facts
from headstart.worlds.boardgames.family import Side, draw_games, read_texts, world_of

__all__ = ["Lessons", "Reading", "ReadingState", "evaluate", "misread", "process", "with_gaps"]

GAMES = 100  # whose texts an evaluation reads


class ReadingState(eqx.Module):
    """What evolves."""

    reader: AbstractEncoder
    optimiser: tuple[optax.OptState, ...]


class Reading(AbstractProcess):
    """Reads texts and is told what they meant.

    **Arguments:**

    - `games`: the games that are told of, with words.
    - `reader`: a function from a key to a fresh reader, an encoder from the games' words to log-odds of `FACTS`.
    - `lessons`, `texts`: gradient steps in an iteration, and texts in each.
    - `learning_rate`: of Adam; a number or a schedule over lessons.
    - `missed`: the share of words that are blotted out, so that no single word is relied on.
    """

    games: BoardGames
    reader: Callable[[Key], AbstractEncoder] = new_reader
    lessons: int = 16
    texts: int = 256
    learning_rate: float | optax.Schedule = 1e-2
    missed: float = 0.05

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(self.learning_rate))

    def init(self, *, key: Key) -> ReadingState:
        reader = self.reader(key)
        return ReadingState(reader, prepare(self.optimiser, (reader,)))

    def step(self, state: ReadingState, *, key: Key) -> tuple[ReadingState, Metrics]:
        def lesson(state: ReadingState, key: Key) -> tuple[ReadingState, Metrics]:
            text_key, gap_key = jax.random.split(key)
            tasks = jax.vmap(lambda key: self.games.task(key=key))(jax.random.split(text_key, self.texts))
            words = with_gaps(tasks.instruction, self.missed, key=gap_key)
            meant = jax.vmap(facts)(tasks.parameters)
            (reader,), optimiser, descent = descend(
                lambda parts: misread(jax.vmap(parts[0])(words), meant),
                (state.reader,),
                self.optimiser,
                state.optimiser,
            )
            return ReadingState(reader, optimiser), descent.reported("reading")

        state, metrics = scan(lesson, state, jax.random.split(key, self.lessons))
        return state, jax.tree.map(jnp.mean, metrics)


def with_gaps(words: Int[Array, "texts words"] | None, missed: float, *, key: Key) -> Int[Array, "texts words"]:
    """The texts with a share of their words blotted out: full stops too, so that some sentences run on."""
    assert words is not None, "there is nothing to read in a world without words"
    blotted = jax.random.bernoulli(key, missed, words.shape) & (words != PADDING)
    return jnp.where(blotted, UNKNOWN, words)


def misread(read: Float[Array, "texts facts"], meant: Float[Array, "texts facts"]) -> tuple[Float[Array, ""], Metrics]:
    """How far what was read, in log-odds, is from what was meant: in nats a fact; and the share of facts misread."""
    error = jnp.mean(optax.sigmoid_binary_cross_entropy(read, meant))
    return error, {"reading/error": error, "reading/wrong": jnp.mean((read > 0) != (meant > 0.5))}


@dataclasses.dataclass(frozen=True)
class Lessons:
    """The settings of learning to read. Those of the reader that ships are in the prior's `config.json`.

    **Arguments:**

    - `games`: how many training games are told of; none has a held-out combination of rules.
    - `paraphrases`: rule texts per game.
    - `canvas`: boards have up to this many rows and columns.
    """

    iterations: int = 400
    games: int = 8000
    paraphrases: int = 32
    canvas: int = 5
    lessons: int = 16
    texts: int = 256
    learning_rate: float = 1e-2
    missed: float = 0.05
    seed: int = 0


def process(settings: Lessons) -> Reading:
    """Learning to read as a process."""
    games = draw_games(settings.games, "train", seed=settings.seed, canvas=settings.canvas)
    steps = settings.iterations * settings.lessons
    peak = settings.learning_rate
    return Reading(
        games=world_of(games, canvas=settings.canvas, paraphrases=settings.paraphrases, seed=settings.seed),
        lessons=settings.lessons,
        texts=settings.texts,
        learning_rate=optax.warmup_cosine_decay_schedule(0.0, peak, max(steps // 50, 1), max(steps, 2), peak / 50),
        missed=settings.missed,
    )


def evaluate(process: Reading, state: ReadingState, *, title: str, episodes: int, seed: int) -> Evaluation:
    """The share of facts that are misread in texts of games that training never meets: about `episodes` texts a side.

    A fact that a text need not tell, such as a centre that one sees to be filled, counts too.
    """
    rules = draw_games(GAMES, "held-out", seed=seed, canvas=process.games.canvas)
    meant = np.asarray(jax.vmap(facts)(world_of(rules, canvas=process.games.canvas, paraphrases=1).games)) > 0.5
    sides: tuple[Side, ...] = ("train", "held-out")
    wrong = {}
    for side in sides:
        words = read_texts(rules, side, paraphrases=max(episodes // GAMES, 1), seed=seed).astype(jnp.int32)
        read = eqx.filter_jit(lambda reader, words: jax.vmap(jax.vmap(reader))(words))(state.reader, words)
        wrong[f"{side} words"] = ((np.asarray(read) > 0) != meant[:, None]).mean(axis=(0, 1))
    figures = {name: f"{shares.mean():.2%}" for name, shares in wrong.items()}
    report = Report(title).table(
        ["fact", *wrong],
        [[fact, *(f"{shares[index]:.2%}" for shares in wrong.values())] for index, fact in enumerate(FACTS)],
        caption=f"Share of facts misread, in texts of {GAMES} games whose combination of rules training never meets.",
    )
    return Evaluation(figures, report.facts(figures))
