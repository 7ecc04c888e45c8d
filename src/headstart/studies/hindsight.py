"""Does it pay to replay what was done as if it had been meant?

Method: DQN with hindsight on bit flipping, where nothing is heard until the goal is reached: of 15 bits, random flips
reach it once in some 2,800 episodes.

Ablation: the same learner without hindsight; it must manage 8 bits, or it would be broken, and fail at 15. Controls
that must fail, at 15 bits: other goals without a judgement of what was done (the reward stays the old goal's), and a
network that is not shown the goal. Goals of other episodes must do less than those of the own one.

Success is the share of 1,000 random pairs of start and goal that are solved without exploration, after a quarter, a
half, three quarters and all of the steps. The robot tasks of the paper are not part of this study.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from headstart import recipes
from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.process import Online
from headstart.core.scan import scan
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Key, Output, Percept, Step
from headstart.errors import UsageError
from headstart.goals.hindsight import Hindsight
from headstart.progress import AbstractObserver
from headstart.studies.book import Book, Scores
from headstart.studies.study import (
    FEWEST,
    Arm,
    Paper,
    Result,
    Verdict,
    beats,
    conclude,
    must_fail,
    nowhere_below,
    reaches,
)
from headstart.worlds.bit_flipping import BitFlipping

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "Replaying what was done as if it had been meant solves 15 bits in 100,000 steps, in which the same learner "
    "without it solves nothing."
)
PAPER = Paper("andrychowicz2017", ("figure 1", "section 4.5"))

#: Steps in the world by number of bits.
STEPS = {8: 40_000, 15: 100_000, 20: 300_000}
LOOKS = 4
PAIRS = 1_000
SEEDS, QUICK_SEEDS = 10, 3
SOLVED, NEARLY, FAILED = 0.95, 0.9, 0.05  # success that counts as such
MARGIN = 0.05  # of success, over all looks, by which one arm is above another


class Unjudged(Hindsight):
    """A control: other goals are asked for, and what was earned and heard is still of the old one."""

    def rewrite(self, batch: Step, network: AbstractNetwork, *, key: Key) -> Step:
        goals = lambda step: (step.percept.goal, step.after.goal)
        return eqx.tree_at(goals, batch, goals(super().rewrite(batch, network, key=key)))


class Strangers(Hindsight):
    """A control: goals that were achieved at any time in other segments of the batch, and never in the own one."""

    def when(self, batch: Step, *, key: Key) -> tuple[Int[Array, "L N"], Int[Array, "L N"]]:
        length, count = batch.reward.shape
        time_key, segment_key = jax.random.split(key)
        further = jax.random.randint(segment_key, (length, count), 1, count)
        return jax.random.randint(time_key, (length, count), 0, length), (jnp.arange(count) + further) % count


class Blind(AbstractNetwork):
    """A control: a network whose goal is always zero."""

    network: AbstractNetwork

    def initial(self) -> Memory:
        return self.network.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        unseen = jax.tree.map(jnp.zeros_like, percept.goal)
        return self.network(eqx.tree_at(lambda percept: percept.goal, percept, unseen), memory)


@dataclass(frozen=True)
class Pupil:
    """One arm: how many bits, with which source, and whether the goal is shown."""

    bits: int
    source: AbstractSource
    blind: bool = False

    @property
    def sighted(self) -> Online:
        """What the recipe `bitflipping-hindsight` trains, but for the bits and the source."""
        return recipes.flipping(BitFlipping(self.bits), self.source)

    @property
    def process(self) -> Online:
        """The same, and blind if this arm is."""
        sighted = self.sighted
        if not self.blind:
            return sighted
        return dataclasses.replace(sighted, network=lambda key: Blind(sighted.network(key)))


def pupils() -> dict[str, Pupil]:
    """All arms by name. The paper's `final` has one replay for each step, and its `future` k of them."""
    bits = {count: BitFlipping(count) for count in STEPS}
    return {
        "8 bits, future": Pupil(8, Hindsight(bits[8])),
        "8 bits, no hindsight": Pupil(8, Chain(())),
        "15 bits, future": Pupil(15, Hindsight(bits[15])),
        "15 bits, final": Pupil(15, Hindsight(bits[15], strategy="final", replays=1.0)),
        "15 bits, other episodes": Pupil(15, Strangers(bits[15])),
        "15 bits, no hindsight": Pupil(15, Chain(())),
        "15 bits, not judged": Pupil(15, Unjudged(bits[15])),
        "15 bits, goal not shown": Pupil(15, Hindsight(bits[15]), blind=True),
        "20 bits, future": Pupil(20, Hindsight(bits[20])),
    }


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds or (QUICK_SEEDS if quick else SEEDS)
    if seeds < FEWEST and not quick:
        raise UsageError(f"{seeds} seed(s) cannot decide this claim; run at least {FEWEST}, or ask for --quick.")
    scores: Scores = {}
    for name, pupil in pupils().items():
        observer.say(f"{name}: {STEPS[pupil.bits]:,} steps from each of {seeds} seeds ...")
        about = (name, seeds, STEPS[pupil.bits], LOOKS, PAIRS, pupil.blind, recipes.configuration(pupil.sighted))
        scores |= book(name.replace(", ", "-").replace(" ", "-"), about, partial(learn, name, pupil, seeds))
    arms = {name: Arm.of(np.asarray(found)[:, None]) for name, found in scores.items()}
    return conclude(
        study="hindsight",
        claim=CLAIM,
        paper=PAPER,
        arms=arms,
        verdicts=judge(arms, quick=quick),
        seed=0,
        quick=quick,
        started=time.monotonic() - book.seconds,
    )


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""

    def looks(name: str) -> list[Arm]:
        return [arm for other, arm in arms.items() if other.startswith(f"{name}, ")]

    def area(name: str) -> Arm:
        """The mean over all looks, for each seed: how early, and how well."""
        return Arm.of(np.mean([arm.scores for arm in looks(name)], axis=0))

    def solves(name: str, bar: float) -> Verdict:
        return reaches(looks(name)[-1], bar, claim=f"{name}: success at the end", quick=quick)

    def fails(name: str) -> Verdict:
        return must_fail(looks(name)[-1], FAILED, claim=f"{name}: no success at the end", quick=quick)

    def above(first: str, second: str) -> Verdict:
        claim = f"15 bits: {first} is above {second}, over all looks"
        return beats(area(f"15 bits, {first}"), area(f"15 bits, {second}"), by=MARGIN, claim=claim, quick=quick)

    future, final = (area(f"15 bits, {arm}") for arm in ("future", "final"))
    return (
        solves("8 bits, future", SOLVED),
        solves("8 bits, no hindsight", SOLVED),
        solves("15 bits, future", SOLVED),
        solves("20 bits, future", NEARLY),
        nowhere_below(future, final, claim="15 bits: future is not below final, over all looks", quick=quick),
        above("final", "no hindsight"),
        above("future", "other episodes"),
        *(fails(f"15 bits, {arm}") for arm in ("no hindsight", "not judged", "goal not shown")),
    )


def learn(name: str, pupil: Pupil, seeds: int) -> Scores:
    """The success of each seed at each look. The seeds learn side by side."""
    process = pupil.process
    each = process.lanes * process.length
    looks = [round(STEPS[pupil.bits] * look / LOOKS / each) for look in range(1, LOOKS + 1)]
    init_keys, step_keys, judge_keys = (jax.random.split(jax.random.key(at), seeds) for at in range(3))

    @eqx.filter_jit
    def go_on(states: Any, iterations: Array) -> Any:
        def one(state: Any, key: Key) -> Any:
            step = lambda state, index: (process.step(state, key=jax.random.fold_in(key, index))[0], None)
            return scan(step, state, iterations)[0]

        return eqx.filter_vmap(one)(states, step_keys)

    states = eqx.filter_jit(eqx.filter_vmap(lambda key: process.init(key=key)))(init_keys)
    scores: Scores = {}
    for done, look in zip([0, *looks], looks, strict=False):
        for start in range(done, look, 8):  # in pieces of few lengths, so that little is compiled
            states = go_on(states, jnp.arange(start, min(start + 8, look)))
        found = eqx.filter_jit(eqx.filter_vmap(success))(process.world, states.learner.network, judge_keys)
        scores[f"{name}, {look * each:,} steps"] = np.asarray(found, float).tolist()
    return scores


def success(world: BitFlipping, network: AbstractNetwork, key: Key) -> Float[Array, ""]:
    """The share of random pairs that are solved without exploration."""

    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(jnp.argmax(output.policy).astype(jnp.int32)), memory

    begin_key, act_key = jax.random.split(key)
    lanes = begin(world, network, PAIRS, key=begin_key)
    _, played = collect(world, network, act, lanes, world.bits, key=act_key)
    first = jnp.argmax(played.last, axis=0)  # where the first episode of each lane ends
    return jnp.mean(played.discount[first, jnp.arange(PAIRS)] == 0)
