"""Does who knows by analogy what words mean carry out instructions never met, and lists much longer than any before?

Method: Oh, Singh, Lee and Kohli, *Zero-shot task generalization with multi-task deep reinforcement learning* (2017), in
a grid of objects on a torus, 7 by 7, that is seen as a whole. Two parts.

*Skills.* One network learns 16 of 24 pairs of a verb and an object, from teachers at first and then from rewards, and
is judged by the other 8; in a family of verbs that mean the same of all objects, and in one where that depends on an
object's class, which nothing shows. The embedding of a pair is made of the product of a verb's numbers and an
object's. To be shown: with analogies at least 0.85 of the pairs never trained with succeed, and 0.3 more than
without; where verbs depend on objects at least 0.8, and without analogies at most 0.2. Analogies are told of all 24
pairs, by their names. The pairs that are held out where verbs depend on objects were chosen anew once, after a result:
at first no visit was among them, and with analogies 0.413 succeeded after 60 iterations with one seed. Measured beside
it: analogies among the pairs of training alone, which leave the others open.
Controls that must fail, which is to gain less than 0.3 over no analogies: analogies that are permuted. And what hears
of another pair than is asked for must fail with at least 0.8 of the pairs that it was trained with.

*Lists.* A controller learns with that skill, which stays as it is, from lists of one to four instructions of training,
and boxes that appear with a chance of 0.03 at each step. It is judged by lists of 4 of training, of 10, and of 20
instructions of which none was ever trained with. To be shown: with a gate that is learned, half of the lists of 20
are finished, at least twice as many as by a controller that updates at each step and by one that does so where a
subtask ends; a flat controller finishes at most 0.05 of them; and at least 0.8 of all boxes are transformed before they
are gone. Controls that must fail, which is to finish less than half of what is asked for: a pointer that is
held, a gate that is never open, and instructions that are shuffled. A gate that is always open is the first of the two
others. What a controller hears, and that boxes tempt it from the beginning, was chosen for all gates after short runs
with a seed that is none of these: before, no box was transformed, and 0.15 of the lists of 20 that it never met were
finished.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.configuration import configuration
from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.options import Options
from headstart.core.process import Online, train_at_once
from headstart.core.types import Choice, Key, Output, Percept
from headstart.core.world import AbstractWorld
from headstart.instructions import controller, skills
from headstart.instructions.analogies import Analogies
from headstart.instructions.controller import New, hardened, lists, subtasks
from headstart.instructions.skills import finished
from headstart.progress import AbstractObserver
from headstart.studies.book import Book, Scores
from headstart.studies.pupils import each_of, keys_of, nth, stacked, taught
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
from headstart.worlds.object_grid import EACH, OBJECTS, PAUSE, WORDS, ObjectGrid, check_apart, pairs

__all__ = ["CLAIM", "PAPER", "Another", "run"]

CLAIM = (
    "An agent that is told analogies carries out instructions that it was never trained with, and one that decides "
    "when to look at its list carries out lists that are five times as long as those of its training."
)
PAPER = Paper("oh2017zeroshot", ("table 1", "table 2"))

SEEDS, QUICK_SEEDS = 3, 3
SKILL = 500  # iterations of 256 lanes and 8 steps
SOFT, HARD = 500, 1_000  # iterations of 64 lanes and 32 steps: 3 million
JUDGED = 512  # episodes that judge
FAMILIES = ("independent", "dependent")

TOLD, AMONG, NONE, PERMUTED = "analogies", "analogies of training alone", "no analogies", "analogies permuted"
OTHER = "another pair heard"
DYNAMIC, SHORT, LONG, FLAT = "gate learned", "gate always open", "gate open at ends", "flat"
NEVER, HELD, SHUFFLED = "gate never open", "pointer held", "instructions shuffled"
LISTS = {
    "4, train": (4, "train"),
    "10, held out": (10, "held-out"),
    "20, train": (20, "train"),
    "20, held out": (20, "held-out"),
}

UNSEEN = {"independent": 0.85, "dependent": 0.8}  # bars: of the pairs never trained with
GAIN, WITHOUT = 0.3, 0.2  # over no analogies; what there may be without
LISTED, TIMES, FLATLY, BOXES = 0.5, 2.0, 0.05, 0.8


class Another(AbstractNetwork):
    """A network that hears of another pair than is asked for: of the next verb, and of the next object."""

    network: AbstractNetwork

    def initial(self) -> Memory:
        return self.network.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        assert percept.instruction is not None
        verb, thing, times = percept.instruction.reshape(-1, WORDS).T
        there, listed = verb > 0, thing <= len(OBJECTS)
        verb = jnp.where(there, verb % 3 + 1, 0)
        thing = jnp.where(there & listed, thing % len(OBJECTS) + 1, thing)
        said = jnp.stack([verb, thing, times], axis=1).ravel()
        return self.network(eqx.tree_at(lambda percept: percept.instruction, percept, said), memory)


def analogies(family: str) -> dict[str, Analogies | None]:
    """What each pupil of a family is told, by its name."""
    every = Analogies(pairs("all", family), family)
    of = {TOLD: every, NONE: None, PERMUTED: Analogies(every.known, family, permuted=True)}
    # Where objects have classes, hardly any analogy is among the pairs of training.
    return of | {AMONG: Analogies(pairs("train", family), family)} if family == "independent" else of


@dataclass(frozen=True)
class Pupil:
    """Who learns to carry out lists: with a skill, if it is `able`, and with which gate and pointer."""

    gates: str = "learned"
    points: bool = True
    able: bool = True


PUPILS = {
    DYNAMIC: Pupil(),
    SHORT: Pupil("always"),
    LONG: Pupil("done"),
    FLAT: Pupil(able=False),
    NEVER: Pupil("never"),
    HELD: Pupil(points=False),
}


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    scores: Scores = {}
    for family in FAMILIES:
        check_apart(pairs("train", family), pairs("held-out", family))
        for name, told in analogies(family).items():
            process = skills.learning(family, SKILL, analogies=told)
            observer.say(f"{family}, {name}: {seeds} seeds ...")
            about: tuple = (family, name, seeds, SKILL, JUDGED, configuration(process))
            judge = partial(skilled, f"{family}, {name}", family)
            measure = partial(taught, process, SKILL, seeds, judge)
            scores |= book(f"{family}-{name}".replace(" ", "-"), about, measure)
    skill = functools.cache(partial(able, seeds))  # which is learned when it is asked for, and once
    for name, pupil in PUPILS.items():
        observer.say(f"{name}: lists, {seeds} seeds ...")
        about = (
            name,
            seeds,
            SKILL,
            SOFT,
            HARD,
            JUDGED,
            configuration(pupil),
            configuration(controller.learning(None, 1)),
        )
        scores |= book(name.replace(" ", "-"), about, partial(learn, name, pupil, skill, seeds))
    arms = arms_of(dict(sorted(scores.items(), key=lambda item: place(item[0]))))
    verdicts = judge_all(arms, quick=quick)
    return conclude(
        "task_generalization", CLAIM, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds
    )


def able(seeds: int) -> AbstractNetwork:
    """The skills `[seeds]` that controllers have: those of the first arm, of the same seed."""
    family = FAMILIES[0]
    process = skills.learning(family, SKILL, analogies=analogies(family)[TOLD])
    learned = lambda key: train_at_once(process, SKILL, key=key).learner.network
    return stacked(each_of(learned, keys_of(seeds)[0]))


def skilled(name: str, family: str, network: AbstractNetwork, key: Key) -> dict[str, float]:
    """How many single instructions succeed, by the side of their pairs."""
    sides = {side: ObjectGrid(pairs(side, family), family) for side in ("train", "held-out")}
    found = {f"{name}: {side}": finished(world, network, JUDGED, key=key) for side, world in sides.items()}
    if name == f"{family}, {TOLD}":
        found[f"{family}, {OTHER}"] = finished(sides["train"], Another(network), JUDGED, key=key)
    return found


def learn(name: str, pupil: Pupil, skill: Callable[[], AbstractNetwork], seeds: int) -> Scores:
    """What a controller finishes, by the lists; and of its boxes, how many were transformed."""
    of_seed = skill() if pupil.able else None
    made = partial(controller.learning, nth(of_seed, 0), gates=pupil.gates, points=pupil.points)
    soft, hard, whole = made(SOFT, hard=False), made(HARD), made(SOFT + HARD)
    trained = lambda process, count, key: train_at_once(process, count, key=key).learner.network

    def learned(skill: AbstractNetwork | None, soft_key: Key, hard_key: Key) -> AbstractNetwork:
        if skill is None:  # whose updates know no gate
            return trained(whole, SOFT + HARD, soft_key)
        network = trained(_with(soft, skill), SOFT, soft_key)
        return trained(hardened(_with(hard, skill), network), HARD, hard_key)

    soft_keys, hard_keys, judge_keys = keys_of(seeds, 3)
    scores: Scores = {}
    for seed, network in enumerate(each_of(learned, of_seed, soft_keys, hard_keys)):
        for what, score in listed(name, nth(of_seed, seed), network, judge_keys[seed]).items():
            scores.setdefault(what, []).append(score)
    return scores


def _with(process: Online, skill: AbstractNetwork) -> Online:
    """The process with another skill, so that one program does for the skills of all seeds: they are arrays in it."""
    assert isinstance(process.world, Options)
    assert isinstance(process.network, New)
    world = replace(process.world, skill=skill)
    return replace(process, world=world, network=replace(process.network, world=world))


def listed(name: str, skill: AbstractNetwork | None, network: AbstractNetwork, key: Key) -> dict[str, float]:
    """What of the lists is finished, and of the boxes transformed."""
    found: dict[str, float] = {}
    for said, (length, side) in LISTS.items():
        grid = lists(length, side)
        world = grid if skill is None else Options(grid, skill, subtasks())
        of = succeeded(world, network, length, key)
        found |= {
            f"{name}: {said}": of["finished"],
            f"{name}, boxes: {said}": of["boxes"],
            f"{name}, gate: {said}": of["gate"],
        }
        if name == DYNAMIC:
            found[f"{SHUFFLED}: {said}"] = succeeded(world, Another(network), length, key)["finished"]
    return found


def succeeded(world: AbstractWorld, network: AbstractNetwork, length: int, key: Key) -> dict[str, float]:
    """Of the first episodes of so many lanes: the share that was finished, and of boxes that are gone, those that were
    transformed; and how often the gate was open."""
    finished, boxes, gate = _played(world, network, PAUSE + EACH * length, JUDGED, key)
    return {"finished": float(finished), "boxes": float(boxes), "gate": float(gate)}


@eqx.filter_jit
def _played(
    world: AbstractWorld, network: AbstractNetwork, steps: int, lanes: int, key: Key
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    begin_key, play_key = jax.random.split(key)

    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(output.policy.mode(), {"gate": jnp.asarray(output.features)}), memory

    _, rollout = collect(world, network, act, begin(world, network, lanes, key=begin_key), steps, key=play_key)
    assert rollout.cumulants is not None
    first = jnp.cumsum(rollout.last, axis=0) - rollout.last == 0
    counted = jnp.sum(rollout.cumulants * first[..., None], axis=(0, 1))
    gate = jnp.sum(rollout.notes["gate"] * first) / jnp.sum(first)
    return counted[4] / lanes, counted[1] / jnp.maximum(counted[2], 1.0), gate


def place(arm: str) -> tuple[int, int]:
    """Where an arm stands, so that whoever was asked for the same stands together: single instructions, and of each
    kind of list what was finished, the boxes, and the gates."""
    name, _, said = arm.partition(": ")
    if said not in LISTS:
        return 0, 0
    measured = 2 if name.endswith(", boxes") else 3 if name.endswith(", gate") else 1
    return measured, list(LISTS).index(said)


def judge_all(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    verdicts: list[Verdict] = []
    for family, bar in UNSEEN.items():
        of = lambda name, side="held-out", family=family: arms[f"{family}, {name}: {side}"]
        verdicts += [
            reaches(of(TOLD), bar, claim=f"{family}: pairs never trained with", quick=quick),
            beats(of(TOLD), of(NONE), by=GAIN, claim=f"{family}: more than with {NONE}", quick=quick),
            must_fail(of(PERMUTED), of(NONE).iqm + GAIN, claim=f"{family}, {PERMUTED}: do not help", quick=quick),
            must_fail(arms[f"{family}, {OTHER}"], WITHOUT, claim=f"{family}, {OTHER}: fails", quick=quick),
        ]
    dependent = arms[f"dependent, {NONE}: held-out"]
    verdicts.append(must_fail(dependent, WITHOUT, claim=f"dependent, {NONE}: fails", quick=quick))

    long = lambda name: arms[f"{name}: 20, held out"]
    verdicts.append(reaches(long(DYNAMIC), LISTED, claim="lists of 20 never trained with", quick=quick))
    for name in (SHORT, LONG):
        twice = arms_of({"": [TIMES * score for (score,) in long(name).scores]})[""]
        verdicts.append(beats(long(DYNAMIC), twice, claim=f"lists of 20: twice as many as with {name}", quick=quick))
    verdicts.append(reaches(arms[f"{DYNAMIC}, boxes: 20, held out"], BOXES, claim="boxes are transformed", quick=quick))
    verdicts.append(must_fail(long(FLAT), FLATLY, claim=f"lists of 20, {FLAT}: fails", quick=quick))
    verdicts += [
        must_fail(long(name), LISTED / 2, claim=f"lists of 20, {name}: fails", quick=quick)
        for name in (NEVER, HELD, SHUFFLED)
    ]
    return tuple(verdicts)
