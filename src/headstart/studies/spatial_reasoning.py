"""Does a filter that is made of words find places that were never asked for so, on maps that were never seen?

Method: Janner, Narasimhan and Barzilay, *Representation learning for grounded spatial reasoning* (2018), in maps of
`headstart.worlds.puddles`: 300 for each kind of instruction, local and global, with 36 instructions each. Values of all
cells are known in most arms, as in the paper's study of what is represented; in two, nothing is known but what walks
have met. The compared are a universal value function approximator and a convolutional network of as many words, which
read by encoders of the same kind and are fitted in as many steps.

Ablations: no kernel; no gradients. The one is to be worse where the text is local, the other where it is global.
Controls that must fail: instructions that are shuffled among the goals of their map, or among those of all maps; and,
where it is said what is not meant, an encoder that does not mind the order of words.

The score is minus the distance from the cell of the highest value to the goal, in moves, on maps that no arm has seen:
asked as in training, for combinations of things and places that training never asked for, and in sentences that it
never used. How often the goal is reached would say little: a walk that never turns back stumbles over it.

How all are fitted was chosen anew, after results with seeds that no arm has and a first run of the local half. With
kernels of 3 by 3, texts of 30 numbers and values that fade by 0.95 a move, the filter was 1.3 to 1.7 moves away on
local instructions, and with 12 sentences for each place 3.4 to 3.7 on new ones; with three hidden layers of
convolutions it was 2.4 to 2.8 away on global ones. Now values fade by 0.9, as those of the paper's data do, and there
are 60 sentences.

To fail is to stay within a tenth of the way from who does not hear any words to no error at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.configuration import configuration
from headstart.core.types import Key, Task
from headstart.instructions.encoders import BagOfWords
from headstart.instructions.spatial import (
    AbstractValueMap,
    ConvolutionalText,
    Grounded,
    Regression,
    UVFAText,
    Walking,
)
from headstart.progress import AbstractObserver
from headstart.studies.book import Book, Scores
from headstart.studies.pupils import each_of, keys_of
from headstart.studies.study import (
    Arm,
    Paper,
    Result,
    Verdict,
    arms_of,
    beats,
    conclude,
    must_fail,
    reaches,
    seeds_of,
)
from headstart.worlds.puddles import SIZE, PuddleMaps

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "A model that makes a filter of the words finds the cell that is meant on new maps, also for new combinations of "
    "words, where models of the same words without such a filter are far from it."
)
PAPER = Paper("janner2018spatial", ("section 6",))

SEEDS, QUICK_SEEDS = 3, 3
CHARTS, ASKED = 300, 36  # maps to learn from, and instructions on each
JUDGED = 1_000  # tasks that judge, on as many maps
FITTED = Regression(steps=10_000, batch=64, learning_rate=5e-3, discount=0.9)
WALKED = Walking(rounds=600, learning_rate=1e-2)
WIDTH = 32  # channels of convolutions
SIDES = ("train", "contrasts", "combinations", "paraphrases")
JUDGED_BY = {"train": "new maps", "combinations": "new combinations", "paraphrases": "new sentences"}

NEAR = {"local": -1.5, "global": -2.0}  # minus the error that is allowed
NEARER = 0.45  # of the error of the universal value function approximator
FAILED = 0.1  # of the way from who hears nothing to no error

Words = Int[Array, "charts asked words"]


def as_told(words: Words, key: Key) -> Words:
    return words


def unheard(words: Words, key: Key) -> Words:
    """No instruction has a word."""
    return jnp.zeros_like(words)


def of_the_same_map(words: Words, key: Key) -> Words:
    """Instructions are shuffled among the goals of their map."""
    return jax.vmap(jax.random.permutation)(jax.random.split(key, len(words)), words)


def of_another_map(words: Words, key: Key) -> Words:
    """Instructions are shuffled among all maps."""
    return jax.random.permutation(key, words.reshape(-1, words.shape[-1])).reshape(words.shape)


@dataclass(frozen=True)
class Pupil:
    """Who learns, by what, from tasks of which what is heard."""

    network: Callable[[Key], AbstractValueMap]
    fitted: Regression | Walking = FITTED
    heard: Callable[[Words, Key], Words] = as_told


FILTER, UVFA, CONVOLUTIONS = "filter of words", "universal values", "convolutions beside words"
NO_KERNEL, NO_GRADIENTS, BAG, SILENT = "no kernel", "no gradients", "order of words not minded", "words not heard"
SHUFFLED, ELSEWHERE = "words of another goal of the map", "words of another map"
WALKING = ", from walks"

_filter = partial(Grounded, width=WIDTH)
PUPILS = {
    FILTER: Pupil(_filter),
    UVFA: Pupil(UVFAText),
    CONVOLUTIONS: Pupil(partial(ConvolutionalText, width=WIDTH)),
    NO_KERNEL: Pupil(partial(_filter, local=False)),
    NO_GRADIENTS: Pupil(partial(_filter, gradient=False)),
    BAG: Pupil(partial(_filter, encoder=partial(BagOfWords, width=15))),
    SILENT: Pupil(_filter, heard=unheard),
    SHUFFLED: Pupil(_filter, heard=of_the_same_map),
    ELSEWHERE: Pupil(_filter, heard=of_another_map),
    FILTER + WALKING: Pupil(_filter, WALKED),
    UVFA + WALKING: Pupil(UVFAText, WALKED),
}


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    scores: Scores = {}
    for kind in NEAR:
        for name, pupil in PUPILS.items():
            observer.say(f"{kind}, {name}: {seeds} seeds ...")
            about = (kind, name, seeds, CHARTS, ASKED, JUDGED, WIDTH, configuration(pupil.fitted))
            measure = partial(learn, kind, name, pupil, seeds)
            scores |= book(f"{kind}-{name}".replace(", ", "-").replace(" ", "-"), about, measure)
    arms = arms_of(scores)
    verdicts = judge(arms, quick=quick)
    return conclude(
        "spatial_reasoning", CLAIM, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds
    )


def learn(kind: str, name: str, pupil: Pupil, seeds: int) -> Scores:
    """Minus the mean error on each side, for each seed. All pupils of a seed learn from the same maps."""

    def found(learn_key: Key, judge_key: Key, new_key: Key, fit_key: Key) -> dict[str, Float[Array, ""]]:
        tasks = tasks_on(PuddleMaps(kind), CHARTS, ASKED, heard=pupil.heard, key=learn_key)
        network = pupil.fitted.fit(pupil.network(new_key), tasks, key=fit_key)
        # Who learned without words is judged without them: with words, it would hear what it never did.
        heard = unheard if pupil.heard is unheard else as_told
        return {
            side: error(network, tasks_on(PuddleMaps(kind, side), JUDGED, 1, heard=heard, key=judge_key))
            for side in SIDES
        }

    by_seed = each_of(found, *keys_of(seeds, 4))
    return {f"{kind}, {name}: {side}": [-float(each[side]) for each in by_seed] for side in SIDES}


def tasks_on(
    world: PuddleMaps, charts: int, asked: int, *, heard: Callable[[Words, Key], Words] = as_told, key: Key
) -> Task:
    """Tasks `[charts · asked]`: so many instructions on each of so many maps, and what is heard of them."""
    chart_key, ask_key, heard_key = jax.random.split(key, 3)
    drawn = jax.vmap(lambda key: world.chart(key=key))(jax.random.split(chart_key, charts))
    on_one = jax.vmap(lambda chart, key: world.ask(chart, key=key), in_axes=(None, 0))
    tasks = jax.vmap(on_one)(drawn, jax.random.split(ask_key, (charts, asked)))
    assert tasks.instruction is not None
    tasks = Task(tasks.parameters, instruction=heard(tasks.instruction, heard_key))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tasks)


def error(network: AbstractValueMap, tasks: Task) -> Float[Array, ""]:
    """How many moves lie between the cell of the highest value and the goal, on average."""
    best = jnp.argmax(jax.lax.map(network, tasks, batch_size=50), axis=1)
    (row, column), (goal_row, goal_column) = jnp.divmod(best, SIZE), jnp.divmod(tasks.parameters.goal, SIZE)
    return jnp.mean(jnp.abs(row - goal_row) + jnp.abs(column - goal_column))


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    verdicts: list[Verdict] = []
    for kind, near in NEAR.items():
        of = lambda name, side="train", kind=kind: arms[f"{kind}, {name}: {side}"]

        def share(name: str, other: str, of: Callable[..., Arm] = of) -> Arm:
            """What part of the other's error the first does not make, seed by seed."""
            pairs = zip(of(name).scores, of(other).scores, strict=True)
            return arms_of({"": [1 - first[0] / second[0] for first, second in pairs]})[""]

        silent = -of(SILENT).iqm
        ablated = NO_KERNEL if kind == "local" else NO_GRADIENTS
        verdicts += [
            reaches(of(FILTER, side), near, claim=f"{kind}, {FILTER}: minus the error, {said}", quick=quick)
            for side, said in JUDGED_BY.items()
        ]
        verdicts += [
            reaches(
                share(FILTER + by, UVFA + by), NEARER, claim=f"{kind}{by}: of the error of {UVFA} lacks", quick=quick
            )
            for by in ("", WALKING)
        ]
        verdicts += [
            beats(of(FILTER), of(ablated), claim=f"{kind}: nearer than with {ablated}", quick=quick),
            must_fail(of(BAG, "contrasts"), near, claim=f"{kind}, {BAG}: fails where it matters", quick=quick),
            *(
                must_fail(of(name), -(1 - FAILED) * silent, claim=f"{kind}, {name}: fails", quick=quick)
                for name in (SHUFFLED, ELSEWHERE)
            ),
        ]
    return tuple(verdicts)
