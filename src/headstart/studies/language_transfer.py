"""Does reading what things are let an agent play with things that it never met?

Method: Narasimhan, Barzilay and Jaakkola, *Grounding language for transfer in deep reinforcement learning* (2018), in
`headstart.worlds.friends_and_enemies`: six kinds of things in the source and six others in the target, with other
numbers, of which every property was met before, but never these together. Text-VIN learns in the source by DQN, and
goes on in the target.

What things are called is learned much sooner than what is said of them: text-VIN that saw all numbers in 200,000 steps
came to 0.99 in the source and to 0.39 in the target, with words or without. So in half of its games in the source no
number can be seen. So it is for all who hear words. Who hears none sees all numbers.

Compared, each with as many steps in the source: text-DQN, which hears the words and does not plan; a value iteration
network of numbers alone; Actor-Mimic of that one. All go on in the target, where one that learned nothing before begins
too. Controls, of text-VIN: in the target, what is said of one thing is said of another, of the other role, which must
be worse than no words; no words, which must be no better than numbers alone; and, in the source too, words that are
drawn anew whenever something is said.

A score is the mean return of a game, −1 to 1, without exploration. The jump start is that before anything was learned
in the target; "on average" is over the time of learning there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from headstart.configuration import configuration
from headstart.core.network import AbstractNetwork
from headstart.core.process import Online, train_at_once
from headstart.core.types import Key
from headstart.instructions.encoders import BagOfWords
from headstart.instructions.grounding import PLACES, earned
from headstart.instructions.text_vin import TextVIN
from headstart.progress import AbstractObserver
from headstart.recipes.instructions import grounding
from headstart.studies.book import Book, Scores
from headstart.studies.pupils import gone_on, taught
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
from headstart.worlds.friends_and_enemies import FriendsAndEnemies, vocabulary

__all__ = ["CLAIM", "PAPER", "Babble", "run"]

CLAIM = (
    "An agent that has read what things are plays with new things as soon as it reads what those are, where agents "
    "that know things by their numbers begin anew."
)
PAPER = Paper("narasimhan2018grounding", ("section 6",))

SEEDS, QUICK_SEEDS = 5, 3
LANES = 32
SOURCE, TARGET, STAGES = 600, 120, 4  # iterations of so many lanes and steps; parts of the time in the target
JUDGED = 1_000  # games that judge
HIDDEN = 0.5
RANGE = 2.0  # of returns

JUMP, SHARE, AVERAGE, LEARNED, FAILED = 0.25 * RANGE, 0.4, 0.1 * RANGE, 0.8, 0.1 * RANGE

TEXT, FLAT, NUMBERS, MIMIC = "text-VIN", "text-DQN", "numbers alone", "Actor-Mimic"
BABBLE, SCRATCH = "words that mean nothing", "nothing learned before"
SIDES = {place: FriendsAndEnemies(*of) for place, of in PLACES.items()}


class Babble(FriendsAndEnemies):
    """A control: what is said are words by chance, others each time."""

    def say(self, numbers: Int[Array, "things"], *, key: Key) -> Int[Array, "words"]:
        said = super().say(numbers, key=key)
        return jnp.where(said > 0, jax.random.randint(key, said.shape, 1, vocabulary().size), 0).astype(said.dtype)


@dataclass(frozen=True)
class Pupil:
    """Who learns: with which network, and where, first and last; and for how many iterations at first."""

    network: Callable[[Key], AbstractNetwork]
    source: FriendsAndEnemies
    target: FriendsAndEnemies
    iterations: int = SOURCE


def pupils() -> dict[str, Pupil]:
    """Who learns, by name."""
    vin = partial(TextVIN, SIDES["source"], encoder=BagOfWords)
    dqn = partial(vin, steps=0)
    heard, target = FriendsAndEnemies(hidden=HIDDEN), SIDES["target"]
    silent = FriendsAndEnemies(told="nothing"), SIDES["target, no words"]
    return {
        TEXT: Pupil(vin, heard, target),
        FLAT: Pupil(dqn, heard, target),
        NUMBERS: Pupil(vin, *silent),
        MIMIC: Pupil(dqn, *silent),
        BABBLE: Pupil(vin, Babble(hidden=HIDDEN), Babble("target")),
        SCRATCH: Pupil(vin, heard, target, iterations=0),
    }


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    scores: Scores = {}
    every = pupils()
    for name, pupil in every.items():
        if name == MIMIC:
            continue  # learns of whom it mimics, as soon as that one has learned
        process = _learning(pupil.network, pupil.source, pupil.iterations)
        steps = pupil.iterations * LANES * process.length
        observer.say(f"{name}: {steps:,} steps in the source, from each of {seeds} seeds ...")
        about = (name, seeds, SOURCE, TARGET, STAGES, JUDGED, configuration(process), repr(pupil.target))
        scores |= book(name.replace(" ", "-"), about, partial(learn, name, every, seeds))
    arms = arms_of(scores)
    verdicts = judge(arms, quick=quick)
    return conclude(
        "language_transfer", CLAIM, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds
    )


def _learning(*given: Any, **more: Any) -> Online:
    return grounding(*given, **more, lanes=LANES)


def learn(name: str, every: Mapping[str, Pupil], seeds: int) -> Scores:
    """What a pupil earns after the source, and as it goes on in the target; and so does who mimics it, if anybody."""
    pupil, mimic = every[name], every[MIMIC]

    @eqx.filter_jit
    def mimicked(teacher: AbstractNetwork, key: Key) -> AbstractNetwork:
        process = _learning(mimic.network, mimic.source, mimic.iterations, teacher=teacher)
        return train_at_once(process, mimic.iterations, key=key).learner.network

    def judge(network: AbstractNetwork, key: Key) -> dict[str, float]:
        judge_key, mimic_key = jax.random.split(key)
        found = measured(name, pupil, network, judge_key)
        return found | measured(MIMIC, mimic, mimicked(network, mimic_key), judge_key) if name == NUMBERS else found

    return taught(_learning(pupil.network, pupil.source, pupil.iterations), pupil.iterations, seeds, judge)


def measured(name: str, pupil: Pupil, network: AbstractNetwork, key: Key) -> dict[str, float]:
    """The mean returns of a network, by where it plays."""
    judge_key, learn_key = jax.random.split(key)
    worlds = {"source": pupil.source, "target": pupil.target}
    if name == TEXT:
        worlds = SIDES
    found = {f"{name}: {side}": earned(world, network, JUDGED, key=judge_key) for side, world in worlds.items()}
    on = _learning(pupil.network, pupil.target, TARGET, epsilon=0.2)
    after = [
        earned(pupil.target, each, JUDGED, key=judge_key)
        for each in gone_on(on, network, TARGET, STAGES, key=learn_key)
    ]
    return found | {f"{name}: target, on average": float(np.mean([found[f"{name}: target"], *after]))}


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    of = lambda name, side="target": arms[f"{name}: {side}"]
    average = "target, on average"
    source, numbers = of(TEXT, "source").iqm, of(NUMBERS).iqm
    return (
        reaches(of(TEXT, "source"), LEARNED, claim="source: learned", quick=quick),
        beats(of(TEXT), of(NUMBERS), by=JUMP, claim=f"jump start: above that of {NUMBERS}", quick=quick),
        reaches(of(TEXT), SHARE * source, claim="jump start: 0.4 of the source", quick=quick),
        reaches(
            of(TEXT, "target, new sentences"), SHARE * source, claim="jump start, new sentences: the same", quick=quick
        ),
        *(
            beats(of(TEXT, average), of(name, average), by=AVERAGE, claim=f"on average: above {name}", quick=quick)
            for name in (FLAT, NUMBERS, MIMIC, SCRATCH)
        ),
        beats(
            of(TEXT, "target, no words"),
            of(TEXT, "target, words of another thing"),
            claim="words of another thing: worse than none",
            quick=quick,
        ),
        *(
            must_fail(arm, numbers + FAILED, claim=f"{said}: no better than {NUMBERS}", quick=quick)
            for said, arm in (("no words", of(TEXT, "target, no words")), (BABBLE, of(BABBLE)))
        ),
    )
