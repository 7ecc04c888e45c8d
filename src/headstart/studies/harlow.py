"""Does a recurrent network form a learning set: does it learn which of two new objects is good in a single trial?

Method: Harlow's task (`headstart.worlds.harlow`), of which Harlow (*The formation of learning sets*, Psychological
Review 1949) says what monkeys do, and Wang and others (*Prefrontal cortex as a meta-reinforcement learning system*,
Nature Neuroscience 2018) what a long short-term memory does that was trained by reward alone. It is trained on pairs of
1,000 objects, and its weights then stay as they are; who judges it shows it pairs of 1,000 others. In the first trial
of a pair it can do no better than chance, and in the second it should choose the good object, wherever it now lies.

It is paid 0.05 for entropy at first, five times as much as in the two-step task. Paid 0.01, two networks of three that
were tried stopped at 0.75 in the second trial. That is what it is worth to remember one bit of an object: the objects
of every other pair do not differ in it, and who is sure of its choice between these too learns no second bit.

A learning set is known by its curve, which is drawn: how often the good object is chosen, by trials with this pair
before, for each stage of training. At first it rises slowly or not at all, and at last it is a step after the first
trial.

Controls, trained as long and in the same way, whose second trial must be at chance, or no more than a tenth of the way
from it to certainty: a network that does not hear its rewards; one whose memory is blanked before each trial, and with
it what its last choice earned, for the chosen object is still in sight and both together are all there is to know; and
one that was trained where the good object of a pair is drawn anew in each trial, so that there is nothing to learn.
The able network itself must be at chance where the objects of each trial are others, or the good one is drawn anew:
else it would have found something that the task gives away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from headstart.configuration import configuration
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.process import Online
from headstart.core.types import Key, Output, Percept, Task, zeros_like
from headstart.experience.prefrontal import chosen
from headstart.progress import AbstractObserver
from headstart.recipes.experience import prefrontal
from headstart.studies.book import Book
from headstart.studies.pupils import Deaf, taught, watched
from headstart.studies.study import Arm, Paper, Result, Verdict, arms_of, conclude, must_fail, reaches, seeds_of
from headstart.worlds.harlow import NOVEL, Harlow, Pair

__all__ = ["CLAIM", "PAPER", "EachTrial", "Redrawn", "Remapped", "run"]

CLAIM = (
    "A recurrent network that was trained by reward alone on many pairs of objects learns in one trial which of two "
    "objects that it never met is good, with its weights as they are."
)
PAPER = Paper("wang2018", ("simulation of Harlow's task",))

SEEDS, QUICK_SEEDS = 5, 3
ITERATIONS, LANES, WIDTH, STAGES = 400, 256, 48, 8
EPISODES = 2_000  # that judge whoever is judged, for each seed
ENTROPY = 0.05  # what is paid for it at first
CHANCE, NEAR, LEARNED, FAILED = 0.5, 0.03, 0.90, 0.55
WORLD = Harlow()

ABLE, DEAF, BLANKED, UNTAUGHT = (
    "network",
    "rewards not heard",
    "memory blanked each trial",
    "nothing to learn in training",
)


class Redrawn(Harlow):
    """A control: every trial has a pair of its own, so that nothing of one is true of the next."""

    def pair(self, task: Task, *, key: Key) -> Pair:
        return self.task(key=key).parameters


class Remapped(Harlow):
    """A control: which of the two objects is good is drawn for each trial."""

    def pair(self, task: Task, *, key: Key) -> Pair:
        return jax.random.permutation(key, task.parameters)


ALTERED = {"objects drawn each trial": Redrawn, "good object drawn each trial": Remapped}


class EachTrial(AbstractNetwork):
    """A network to which each trial of Harlow's task is as the first one: at the cross, all that was before is
    blank."""

    network: AbstractNetwork

    def initial(self) -> Memory:
        return self.network.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        begins = percept.observation.cross > 0
        opening = replace(
            zeros_like(percept), observation=percept.observation, legal=percept.legal, first=jnp.array(True)
        )
        percept, memory = jax.tree.map(
            lambda fresh, old: jnp.where(begins, fresh, old), (opening, self.network.initial()), (percept, memory)
        )
        return self.network(percept, memory)


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    scores = {}
    for name, process in pupils().items():
        observer.say(f"{name}: {ITERATIONS * LANES:,} episodes from each of {seeds} seeds ...")
        about = (name, seeds, ITERATIONS, STAGES, EPISODES, repr(WORLD), configuration(process))
        how = partial(watched, process, ITERATIONS, STAGES, seeds, grown) if name == ABLE else None
        how = how or partial(taught, process, ITERATIONS, seeds, partial(measured, name))
        scores.update(book(name.replace(" ", "-"), about, how))
    arms = arms_of(scores)
    return conclude(
        "harlow", CLAIM, PAPER, arms, judge(arms, quick=quick), quick=quick, seconds=book.seconds, kinds=book.kinds
    )


def pupils() -> dict[str, Online]:
    """Who is trained, by name."""

    def pupil(around: Callable[..., AbstractNetwork] = lambda inner: inner, world: Harlow = WORLD) -> Online:
        plain = prefrontal(world, world.moments, ITERATIONS, entropy=ENTROPY, lanes=LANES, width=WIDTH)
        return replace(plain, network=lambda key: around(plain.network(key)))

    untaught = Remapped(WORLD.objects, WORLD.trials, WORLD.fixation)
    return {ABLE: pupil(), DEAF: pupil(Deaf), BLANKED: pupil(EachTrial), UNTAUGHT: pupil(world=untaught)}


def measured(name: str, network: AbstractNetwork, key: Key, *, world: type[Harlow] = Harlow) -> dict[str, float]:
    """How often the good object is chosen in each trial, of objects that were never met."""
    right = chosen(world(NOVEL, WORLD.trials, WORLD.fixation), network, EPISODES, key=key).mean(axis=0)
    return {f"{name}, {before} trials before": float(share) for before, share in enumerate(right)}


def grown(stage: int, network: AbstractNetwork, key: Key) -> dict[str, float]:
    """The same of the able network in every stage of its training; at last, also in altered worlds."""
    if stage < STAGES:
        return measured(f"after {stage * ITERATIONS // STAGES * LANES:,} episodes", network, key)
    found = measured(ABLE, network, key)
    for name, world in ALTERED.items():
        found |= measured(name, network, key, world=world)
    return found


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    first, second = (arms[f"{ABLE}, {before} trials before"] for before in (0, 1))
    return (
        reaches(first, CHANCE - NEAR, claim=f"{ABLE}: first trial not below chance", quick=quick),
        must_fail(first, CHANCE + NEAR, claim=f"{ABLE}: first trial not above chance", quick=quick),
        reaches(second, LEARNED, claim=f"{ABLE}: second trial", quick=quick),
        *(
            must_fail(arms[f"{name}, 1 trials before"], FAILED, claim=f"{name}: second trial at chance", quick=quick)
            for name in (DEAF, BLANKED, UNTAUGHT, *ALTERED)
        ),
    )
