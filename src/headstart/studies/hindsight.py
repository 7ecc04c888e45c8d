"""Does it pay to replay what was done as if it had been meant?

Method: DQN with hindsight on bit flipping, where nothing is heard until the goal is reached: of 15 bits, random flips
reach it once in some 2,800 episodes.

Ablation: the same learner without hindsight; it must manage 8 bits, or it would be broken, and fail at 15. Controls
that must fail, at 15 bits: other goals without a judgement of what was done (the reward stays the old goal's), and a
network that is not shown the goal. Goals of other episodes must do less than those of the own one.

The same with real actions: SAC shoves a disc to a place on a table, with hindsight and without. It stands for the
paper's robots, whose own task is what the recipe `fetchpush-hindsight` learns.

Success is the share of 1,000 random pairs of start and goal that are solved without exploration, and still are when the
episode is over, after a sixteenth, an eighth, a quarter, a half and all of the steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart import greedy
from headstart.configuration import configuration
from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.process import Online
from headstart.core.scan import scan
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Key, Output, Percept, Step
from headstart.core.world import AbstractGoalWorld
from headstart.goals.hindsight import Hindsight
from headstart.progress import AbstractObserver
from headstart.recipes.goals import flipping, pushing
from headstart.studies.book import Book, Scores
from headstart.studies.study import (
    Arm,
    Paper,
    Result,
    Verdict,
    arms_of,
    beats,
    conclude,
    must_fail,
    nowhere_below,
    reaches,
    seeds_of,
)
from headstart.worlds.bit_flipping import BitFlipping
from headstart.worlds.push import Push

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "Replaying what was done as if it had been meant solves 15 bits in 100,000 steps, in which the same learner "
    "without it solves nothing, and the same holds of shoving a disc to a place in 120,000."
)
PAPER = Paper("andrychowicz2017", ("figure 1", "section 4.5"))

#: Steps in the world by number of bits, and on the table.
STEPS = {8: 40_000, 15: 100_000, 20: 300_000}
PUSHES = 120_000
LOOKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
PIECE = 8  # iterations between which a look may fall
PAIRS = 1_000
SEEDS, QUICK_SEEDS, PUSH_SEEDS = 10, 3, 5  # a seed on the table takes minutes
SOLVED, NEARLY, FAILED, RARE = 0.95, 0.9, 0.05, 0.15  # success that counts as such
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
    """One arm: what a recipe trains but for its source, for how long, from how many seeds, and if the goal is shown."""

    sighted: Online
    steps: int
    seeds: int = SEEDS
    blind: bool = False

    @property
    def process(self) -> Online:
        """What is trained: blind if this arm is."""
        sighted = self.sighted
        if not self.blind:
            return sighted
        return dataclasses.replace(sighted, network=lambda key: Blind(sighted.network(key)))


def pupils() -> dict[str, Pupil]:
    """All arms by name. The paper's `final` has one replay for each step, and its `future` k of them."""

    def flips(bits: int, source: Callable[[BitFlipping], AbstractSource], **how: Any) -> Pupil:
        world = BitFlipping(bits)
        return Pupil(flipping(world, source(world)), STEPS[bits], **how)

    def pushes(source: Callable[[Push], AbstractSource]) -> Pupil:
        return Pupil(pushing(Push(), source(Push())), PUSHES, PUSH_SEEDS)

    nothing = lambda world: Chain(())
    return {
        "8 bits, future": flips(8, Hindsight),
        "8 bits, no hindsight": flips(8, nothing),
        "15 bits, future": flips(15, Hindsight),
        "15 bits, final": flips(15, partial(Hindsight, strategy="final", replays=1.0)),
        "15 bits, other episodes": flips(15, Strangers),
        "15 bits, no hindsight": flips(15, nothing),
        "15 bits, not judged": flips(15, Unjudged),
        "15 bits, goal not shown": flips(15, Hindsight, blind=True),
        "20 bits, future": flips(20, Hindsight),
        "push, future": pushes(Hindsight),
        "push, no hindsight": pushes(nothing),
    }


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    scores: Scores = {}
    for name, pupil in pupils().items():
        count = seeds_of(seeds, quick=quick, full=pupil.seeds, few=QUICK_SEEDS)
        observer.say(f"{name}: {pupil.steps:,} steps from each of {count} seeds ...")
        about = (name, count, pupil.steps, LOOKS, PAIRS, pupil.blind, configuration(pupil.sighted))
        scores |= book(name.replace(", ", "-").replace(" ", "-"), about, partial(learn, name, pupil, count))
    arms = arms_of(scores)
    verdicts = judge(arms, quick=quick)
    return conclude("hindsight", CLAIM, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds)


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""

    def looks(name: str) -> list[Arm]:
        return [arm for other, arm in arms.items() if other.startswith(f"{name}, ")]

    def area(name: str) -> Arm:
        """The mean over all looks, for each seed: how early, and how well."""
        return Arm.of(np.mean([arm.scores for arm in looks(name)], axis=0))

    def solves(name: str, bar: float) -> Verdict:
        return reaches(looks(name)[-1], bar, claim=f"{name}: success at the end", quick=quick)

    def fails(name: str, bar: float = FAILED) -> Verdict:
        return must_fail(looks(name)[-1], bar, claim=f"{name}: no success at the end", quick=quick)

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
        solves("push, future", NEARLY),
        fails("push, no hindsight", RARE),
    )


def learn(name: str, pupil: Pupil, seeds: int) -> Scores:
    """The success of each seed at each look. The seeds learn side by side."""
    process = pupil.process
    each = process.lanes * process.length
    # In pieces of one length, so that little is compiled.
    looks = sorted({PIECE * max(round(pupil.steps * look / each / PIECE), 1) for look in LOOKS})
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
        for start in range(done, look, PIECE):
            states = go_on(states, start + jnp.arange(PIECE))
        found = eqx.filter_jit(eqx.filter_vmap(partial(success, process)))(states.learner.network, judge_keys)
        scores[f"{name}, {look * each:,} steps"] = np.asarray(found, float).tolist()
    return scores


def success(process: Online, network: AbstractNetwork, key: Key) -> Float[Array, ""]:
    """The share of random pairs that are solved without exploration, at the end of an episode of a rollout's length."""
    world = process.world
    assert isinstance(world, AbstractGoalWorld)

    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(greedy.best(output.policy, percept)), memory

    def at_goal(step: Step) -> Bool[Array, ""]:
        return world.judge(world.achieved(step.after.observation), step.percept.goal)[1]

    begin_key, act_key = jax.random.split(key)
    lanes = begin(world, network, PAIRS, key=begin_key)
    _, played = collect(world, network, act, lanes, process.length, key=act_key)
    first = jnp.argmax(played.last, axis=0)  # where the first episode of each lane ends
    ends = jax.tree.map(lambda leaf: leaf[first, jnp.arange(PAIRS)], played)
    return jnp.mean(jax.vmap(at_goal)(ends))
