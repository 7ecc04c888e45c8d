"""Does an agent that is told in words what to do come to do it, and does it understand words that it never met?

BabyAI (Chevalier-Boisvert and others, ICLR 2019): one thing to go to (GoToObj), one of eight (GoToLocal), and one of
eight to pick up that may be told by where it lay at first (PickupLoc). An agent learns by PPO, from rewards alone, in
4,000 levels of one kind, and is judged by the share of missions in other levels that it fulfils within 64 steps,
without exploration. A learned encoder reads words; a frozen one has read a great many other texts before
(`headstart.instructions.minilm`), and a layer that is learned says what its embeddings mean here. All else is the same,
the learning rate too: of 0.001 and 0.0025 the one at which the learned encoder came further in GoToLocal.

Control that must fail: in training, each level comes with the mission of another one. It is judged by missions that are
true. Not in GoToObj: where there is one thing, nobody needs to be told which.

Paraphrases are missions in other words, which neither has met: another verb, another name of the thing, of its colour,
of its place, or all of these (`headstart.worlds.adapters.babyai.reworded`). By how much the frozen encoder is to be
better there was set before it was trained.

Beside it, what was published: the episodes that agents by PPO took to a success rate of 0.99, in thousands. Ours are
those to 0.9 in new levels, looked at ten times on the way; so the two are not to be compared by their ratio. They are
given as others quote them, and were not compared with the papers themselves.

| level | BabyAI, table 3 | BabyAI 1.1 (Hui and others, 2020), table 1 |
|---|---|---|
| GoToLocal | 903–1,114 | 242 ± 15 to 1,311 ± 251 |
| PickupLoc | 1,447–1,643 | 710 ± 166 to 1,797 ± 290 |
| GoToObj | none | none |

Where the frozen weights are not at hand, the study says so and measures the learned encoder alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from headstart.configuration import configuration
from headstart.core.learner import LearnerState
from headstart.core.process import AbstractProcess, Online, OnlineState
from headstart.core.types import Key, Metrics
from headstart.errors import UsageError
from headstart.instructions.encoders import AbstractEncoder, BagOfWords
from headstart.instructions.minilm import SHA256, MiniLM, Sentences
from headstart.instructions.missions import HELD_OUT, carried_out
from headstart.progress import AbstractObserver
from headstart.recipes.instructions import following
from headstart.studies.book import Book, Scores
from headstart.studies.pupils import trained
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
from headstart.worlds.adapters.babyai import PARTS, BabyAI, Levels, draw_levels, reworded, vocabulary

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "From instructions alone an agent comes to do what it is told in levels that it never met, and by a frozen encoder "
    "that has read a great many other texts it also understands words that it never met."
)
ALONE = "From instructions alone an agent comes to do what it is told in levels that it never met."
PAPER = Paper("chevalierboisvert2019babyai", ("table 3",))

SEEDS, QUICK_SEEDS = 3, 1
SUCCESS, MARGIN = 0.9, 0.2
LEARNED, FROZEN, SHUFFLED = "learned encoder", "frozen encoder", "missions of other levels"
ALONE_IN_THE_ROOM = "GoToObj"
ALL = "all"

Numbered = Callable[[str], Int[np.ndarray, "numbers"]]  # how an encoder takes a text in
Maker = Callable[..., AbstractEncoder]  # (size, *, key)


@dataclass(frozen=True)
class Size:
    """How much is learned and judged.

    - `iterations`: of each level, of 4,096 steps each. They are looked at in `stages` equal parts.
    - `levels`: to train with. `judged`: that judge, of other seeds.
    """

    iterations: Mapping[str, int]
    stages: int = 10
    levels: int = 4_000
    judged: int = 500


FULL = Size({"GoToObj": 30, "GoToLocal": 120, "PickupLoc": 160})


class Counted(eqx.Module):
    """A state of `Online`, and the episodes that ended so far."""

    online: OnlineState
    episodes: Array

    @property
    def learner(self) -> LearnerState:
        return self.online.learner


class Counting(AbstractProcess):
    """A process that counts its episodes."""

    process: Online

    def init(self, *, key: Key) -> Counted:
        return Counted(self.process.init(key=key), jnp.zeros(()))

    def step(self, state: Counted, *, key: Key) -> tuple[Counted, Metrics]:
        online, metrics = self.process.step(state.online, key=key)
        return Counted(online, state.episodes + metrics["episode/count"]), metrics


@dataclass(frozen=True)
class Judges:
    """The levels that judge, with their own missions and with these in other words, by what is said otherwise."""

    levels: Levels
    missions: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, levels: Levels) -> Judges:
        """One paraphrase of each mission and part, the same wherever it occurs; no part that no mission has."""
        distinct = sorted(set(levels.missions))
        found: dict[str, tuple[str, ...]] = {}
        for number, name in enumerate((*PARTS, ALL)):
            rng = np.random.default_rng(number)
            parts = PARTS if name == ALL else (name,)
            said = {mission: reworded(mission, parts, rng) for mission in distinct}
            if any(mission != other for mission, other in said.items()):
                found[name] = tuple(said[mission] for mission in levels.missions)
        return cls(levels, found)


def embedded(
    judges: Mapping[str, Judges], taught: Mapping[str, Levels], embed: Callable[[list[str]], np.ndarray]
) -> tuple[Numbered, Float[Array, "texts 384"]]:
    """Every text of the study as the number of a row, and the rows: frozen embeddings, less what all missions that are
    trained with have in common, and of length 1 on average again."""
    met = sorted({mission for levels in taught.values() for mission in levels.missions})
    other = {text for each in judges.values() for said in each.missions.values() for text in said}
    other |= {text for each in judges.values() for text in each.levels.missions}
    texts = [*met, *sorted(other - set(met))]
    rows = {text: row for row, text in enumerate(texts)}
    found = embed(texts)
    found = found - found[: len(met)].mean(axis=0)
    found = found / np.linalg.norm(found[: len(met)], axis=1).mean()
    return lambda text: np.array([rows[text]], np.int32), jnp.asarray(found, jnp.float32)


@dataclass(frozen=True)
class Pupil:
    """Who is trained: how it takes texts in, and what makes its encoder; whether each level comes with the mission of
    another one."""

    numbered: Numbered
    encoder: Maker
    shuffled: bool = False
    of: str = ""


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver, size: Size = FULL) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`.

    **Raises:** `MissingExtra` without `minigrid`.
    """
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    observer.say(f"{len(size.iterations)} × {size.levels + size.judged:,} levels are made ...")
    taught = {name: draw_levels(name, size.levels) for name in size.iterations}
    judges = {name: Judges.of(draw_levels(name, size.judged, seed=HELD_OUT)) for name in size.iterations}
    words = vocabulary()
    learned = Pupil(words.tokens, partial(BagOfWords, words.size))
    pupils = {LEARNED: learned, SHUFFLED: Pupil(learned.numbered, learned.encoder, shuffled=True)}
    claim = CLAIM
    try:
        observer.say("missions are embedded ...")
        numbered, table = embedded(judges, taught, MiniLM())
        # What is frozen is data of a program, not part of it: it is large.
        frozen = Partial(lambda table, size, *, key: Sentences(table, size, key=key), table)
        pupils[FROZEN] = Pupil(numbered, frozen, of=SHA256)
    except UsageError as error:
        observer.warn(f"the frozen encoder is not measured: {error}")
        claim = ALONE
    scores: Scores = {}
    for level, iterations in size.iterations.items():
        for who, pupil in pupils.items():
            if level == ALONE_IN_THE_ROOM and who != LEARNED:
                continue
            process = lessons(pupil, taught[level], iterations)
            steps = iterations * process.process.lanes * process.process.length
            observer.say(f"{level}, {who}: {steps:,} steps from each of {seeds} seeds ...")
            about = (level, who, seeds, asdict(size), pupil.of, judges[level].missions, configuration(process))
            measure = partial(learn, f"{level}, {who}", pupil, process, iterations, size, judges[level], seeds)
            scores |= book(f"{level}-{who}".replace(" ", "-"), about, measure)
    arms = arms_of(scores)
    verdicts = judge(arms, quick=quick)
    return conclude("babyai", claim, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds)


def lessons(pupil: Pupil, levels: Levels, iterations: int) -> Counting:
    """How a pupil is trained."""
    world = BabyAI.of(levels, pupil.numbered)
    if pupil.shuffled:
        # Levels are drawn each for itself, so that the next one's mission is any other one's.
        world = eqx.tree_at(lambda world: world.told, world, jnp.roll(world.told, 1, axis=0))
    return Counting(following(world, iterations, encoder=pupil.encoder))


def learn(
    name: str, pupil: Pupil, process: Counting, iterations: int, size: Size, judges: Judges, seeds: int
) -> Scores:
    """How a pupil does in new levels after its lessons, with their missions and with these in other words; and how many
    thousand steps and episodes it was before it came to the success rate that is asked for: all, if it never did."""
    scores: Scores = {}
    own = BabyAI.of(judges.levels, pupil.numbered)
    per_stage = iterations // size.stages * process.process.lanes * process.process.length
    for seed in range(seeds):
        train_key, judge_key = jax.random.split(jax.random.key(seed))
        found: dict[str, Any] = {}
        needed: tuple[float, float] | None = None
        for stage, state in enumerate(trained(process, iterations, size.stages, key=train_key), start=1):
            done = carried_out(own, state.learner.network, size.judged, key=judge_key)
            reached = (stage * per_stage / 1_000, float(state.episodes) / 1_000)
            if needed is None and (done.fulfilled.mean() >= SUCCESS or stage == size.stages):
                needed = reached
        assert needed is not None
        found[""] = done.fulfilled.mean()
        found[": steps of a mission"] = done.steps.mean()
        found[f": thousand steps to {SUCCESS}"], found[f": thousand episodes to {SUCCESS}"] = needed
        if not pupil.shuffled:
            for part, missions in judges.missions.items():
                told = np.stack([pupil.numbered(mission) for mission in missions])
                world = eqx.tree_at(lambda world: world.told, own, jnp.asarray(told))
                done = carried_out(world, state.learner.network, size.judged, key=judge_key)
                found[f": {part} in other words"] = done.fulfilled.mean()
        for what, score in found.items():
            scores.setdefault(name + what, []).append(float(score))
    return scores


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    arm = lambda level, who, what="": arms[f"{level}, {who}{what}"]
    levels = [name.removesuffix(f", {LEARNED}") for name in arms if name.endswith(LEARNED)]
    choosing = [level for level in levels if level != ALONE_IN_THE_ROOM]
    every = [who for who in (LEARNED, FROZEN) if any(f", {who}" in name for name in arms)]
    verdicts = [
        reaches(arm(level, who), SUCCESS, claim=f"{level}, {who}: success rate", quick=quick)
        for who in every
        for level in (levels if who == LEARNED else choosing)
    ]
    for level in choosing:
        verdicts += [
            must_fail(arm(level, SHUFFLED), SUCCESS, claim=f"{level}, {SHUFFLED}: fails", quick=quick),
            beats(
                arm(level, LEARNED),
                arm(level, SHUFFLED),
                by=MARGIN,
                claim=f"{level}: far better than with {SHUFFLED}",
                quick=quick,
            ),
        ]
    said = f": {ALL} in other words"
    if FROZEN in every:
        verdicts += [
            beats(
                arm(level, FROZEN, said),
                arm(level, LEARNED, said),
                by=MARGIN,
                claim=f"{level}, {ALL} in other words: {FROZEN} far above {LEARNED}",
                quick=quick,
            )
            for level in choosing
        ]
    return tuple(verdicts)
