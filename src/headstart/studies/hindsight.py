"""Does it pay to replay what was done as if it had been meant?

Method: DQN with hindsight on bit flipping, where nothing is heard until the goal is reached, which chance never does.

Ablation: the same learner without hindsight; it must manage 8 bits, or it would be broken, and fail at 15. Controls
that must fail, at 15 bits: other goals without a judgement of what was done (the reward stays the old goal's), and a
network that is not shown the goal. Goals that were reached in other episodes must do less than those of the own one.

Success is the share of 1,000 random pairs of start and goal that are solved without exploration, after a quarter, a
half, three quarters and all of the steps. The robot tasks of the paper are not part of this study.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from headstart import recipes
from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.process import Online
from headstart.core.scan import scan
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Key, Output, Percept, Step
from headstart.goals.hindsight import Hindsight
from headstart.progress import AbstractObserver
from headstart.studies.book import Book, Scores
from headstart.studies.study import Arm, Paper, Result, Verdict, beats, conclude, must_fail, nowhere_below
from headstart.worlds.bit_flipping import BitFlipping

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = "Replaying what was done as if it had been meant solves bit flipping, which the same learner without it cannot."
PAPER = Paper("andrychowicz2017", ("figure 1", "section 4.5"))

#: Steps in the world by number of bits: enough for hindsight by far, and for its ablation on 8 bits.
STEPS = {8: 40_000, 15: 100_000, 20: 300_000}
LOOKS = 4
PAIRS = 1_000
SEEDS, QUICK_SEEDS = 10, 3
#: Success that counts as solved, and success that counts as failure (the bars were set before anything was measured).
SOLVED, NEARLY, FAILED = 0.95, 0.9, 0.05


class Unjudged(Hindsight):
    """A control: other goals, and the reward that was earned towards the old one."""

    def rewrite(self, batch: Step, network: AbstractNetwork, *, key: Key) -> Step:
        told = super().rewrite(batch, network, key=key)
        judged = lambda step: (step.reward, step.discount)
        return eqx.tree_at(judged, told, judged(batch))


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
    def process(self) -> Online:
        """What the recipe `bitflipping-hindsight` trains, but for what makes this arm."""
        process = recipes.flipping(BitFlipping(self.bits), self.source)
        if not self.blind:
            return process
        return dataclasses.replace(process, network=lambda key: Blind(process.network(key)))


def pupils() -> dict[str, Pupil]:
    """All arms by name."""
    hindsight = lambda bits, strategy: Hindsight(BitFlipping(bits), strategy=strategy)
    return {
        "8 bits, future": Pupil(8, hindsight(8, "future")),
        "8 bits, no hindsight": Pupil(8, Chain(())),
        "15 bits, future": Pupil(15, hindsight(15, "future")),
        "15 bits, final": Pupil(15, hindsight(15, "final")),
        "15 bits, other episodes": Pupil(15, hindsight(15, "random")),
        "15 bits, no hindsight": Pupil(15, Chain(())),
        "15 bits, not judged": Pupil(15, Unjudged(BitFlipping(15))),
        "15 bits, goal not shown": Pupil(15, hindsight(15, "future"), blind=True),
        "20 bits, future": Pupil(20, hindsight(20, "future")),
    }


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds or (QUICK_SEEDS if quick else SEEDS)
    scores: Scores = {}
    for name, pupil in pupils().items():
        observer.say(f"{name}: {STEPS[pupil.bits]:,} steps from each of {seeds} seeds ...")
        about = (name, seeds, STEPS[pupil.bits], recipes.find("bitflipping-hindsight").configuration)
        scores |= book(name.replace(", ", "-").replace(" ", "-"), about, lambda: learn(name, pupil, seeds))  # noqa: B023
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

    def at_the_end(name: str) -> Arm:
        return [arm for arm_name, arm in arms.items() if arm_name.startswith(f"{name}, ")][-1]

    def area(name: str) -> Arm:
        """The mean over all looks, for each seed: how early, and how well."""
        looks = [arm.scores for arm_name, arm in arms.items() if arm_name.startswith(f"{name}, ")]
        return Arm.of(np.mean(looks, axis=0))

    def solves(name: str, bar: float) -> Verdict:
        arm = at_the_end(name)
        low = arm.iqm if arm.interval is None else arm.interval[0]
        few = quick and arm.interval is None
        return Verdict(f"{name}: success of at least {bar:g}", "undecided" if few else low >= bar, low, bar)

    def fails(name: str) -> Verdict:
        return must_fail(at_the_end(name), FAILED, claim=f"{name}: fails", quick=quick)

    future, final, none = (area(f"15 bits, {arm}") for arm in ("future", "final", "no hindsight"))
    return (
        solves("8 bits, future", SOLVED),
        solves("8 bits, no hindsight", SOLVED),
        solves("15 bits, future", SOLVED),
        solves("20 bits, future", NEARLY),
        nowhere_below(future, final, claim="15 bits: future is not below final, over all looks", quick=quick),
        beats(final, none, claim="15 bits: final is above no hindsight, over all looks", quick=quick),
        beats(
            future,
            area("15 bits, other episodes"),
            claim="15 bits: goals of the own episode are above those of others, over all looks",
            quick=quick,
        ),
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

    _, played = collect(world, network, act, begin(world, network, PAIRS, key=key), world.bits, key=key)
    first = jnp.argmax(played.last, axis=0)  # where the first episode of each lane ends
    return jnp.mean(played.discount[first, jnp.arange(PAIRS)] == 0)
