"""Is there an initial policy from which one step of policy gradient makes a good one, in a task that was never met?

Method: MAML (Finn and others, 2017) by TRPO, 20 tasks in an iteration and 20 trajectories of 100 steps in each before
and after its inner step (`headstart.recipes.experience.adapting`), on a plane whose goal is not shown and with a runner
that is not told which way to run (`headstart.worlds.navigation`). It is judged in 40 tasks by returns after 0, 1, 2 and
3 updates, each from 20 trajectories of its own: by α at first, and by α / 2 thereafter. The share of the way to an
expert, who was told the task, that the first update goes is the **gap closed**; on the plane, it is also taken from
where a policy drawn at random begins.

Beside it: a policy drawn at random, and one that was **pre-trained**: by the same process with an inner rate of 0,
which is TRPO on all tasks at once; both adapt with the rate of the method. The directions are two, so none is held out
there, as with the cheetah of the paper.

Controls that must fail: an inner rate of 0 in training and when it is judged; the pre-trained policy; and the learned
policy with its updates made from **another task's trajectories** (on the runner, from those of the other direction).

**Credit.** Who adapts by a step also chose what the step is made from, and the usual code gives no credit for it.

- On a bandit of three arms whose every case is counted (`headstart.studies.enumerated_bandit`), each estimator's
  meta-gradient is compared with finite differences of the true objective, at four policies that favour one of the arms
  that pay: there, what is missing shows. (At a uniform policy nothing is missing.)
- On the sparse corners of Rothfuss and others (2019), where only one's own quarter pays: ProMP (the low-variance
  surrogate, the clipped outer step), MAML as it is usually written (`plain`, TRPO), and a control that holds the whole
  inner step fast (first order). ProMP is to reach MAML's final return in 0.6 of its samples at most, and to end above
  the control.

All that learn in one world have the same budget, networks and inner rate. The rates are those of the authors.

How large the rate is decides what a policy that was not meta-learned can do. Before this study, the runner was tried
with ten times the authors' rate: its gradient is then so clear that one update of a pre-trained policy closes a third
of the gap, where MAML closes nearly all of it with either rate. That was one seed, and is why the rate is the authors'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from headstart.configuration import configuration
from headstart.core.network import AbstractNetwork
from headstart.core.scan import scan
from headstart.core.types import Key, Task
from headstart.evaluation import gap_closed
from headstart.experience.adaptation import UPDATES, adapted, expert, held_out
from headstart.experience.maml import MAML, Clipped
from headstart.experience.meta_gradient import InnerStep, dice, low_variance, plain
from headstart.progress import AbstractObserver
from headstart.recipes.experience import adapting
from headstart.studies.book import Book, Scores
from headstart.studies.enumerated_bandit import compared
from headstart.studies.study import (
    Arm,
    Paper,
    Result,
    Verdict,
    arms_of,
    at_least,
    beats,
    conclude,
    must_fail,
    reaches,
    seeds_of,
)
from headstart.worlds.navigation import Direction, Navigation, SparseCorners

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "From an initial policy that was learned by MAML, one step of policy gradient closes most of the gap to an expert "
    "in a new task, where a policy that was trained on all tasks at once does not; and the initial policy is credited "
    "for how it explores only by an estimator that knows who chose the actions."
)
PAPER = Paper("finn2017maml", ("figure 4", "figure 5"))

SEEDS, QUICK_SEEDS = 3, 1
TASKS = 40  # that judge
CLOSED, PRETRAINED, RANDOM, FAILED = 0.6, 0.15, 0.35, 0.15  # bars of gaps closed by one update
SAVED = 0.4  # of MAML's samples, by ProMP
RIGHT, WRONG = 0.999, 0.95  # cosines with the true meta-gradient: who has it, and who misses the credit
SMOOTH = 10  # iterations that a return in training is the mean of

NAVIGATION, DIRECTION, CORNERS, GRADIENT = "navigation", "direction", "corners", "gradient"
LEARNED, FRESH, TRAINED, NO_STEP, MISLED = (
    "MAML",
    "random initialisation",
    "pre-trained",
    "inner rate 0",
    "another task's trajectories",
)
PROMP, PLAIN, STOPPED = "ProMP", "MAML, plain", "stop-gradient everywhere"


@dataclass(frozen=True)
class Place:
    """A family of tasks, how it is learned in, and for how many iterations."""

    process: MAML
    iterations: int


PLACES = {
    NAVIGATION: Place(adapting(Navigation()), 100),
    DIRECTION: Place(adapting(Direction(), rate=0.1), 40),
}
CORNER = Place(adapting(SparseCorners()), 100)
POLICIES = np.array([[0.6, -0.3, 0.0], [0.6, 0.0, -0.3], [-0.3, 0.6, 0.0], [0.0, 0.6, -0.3]])
"""Logits: one of the two arms that pay in some task is favoured."""
ESTIMATORS = {
    "plain": (InnerStep(0.05, plain), 0.0),
    "plain, with credit": (InnerStep(0.05, plain), 1.0),
    "DiCE": (InnerStep(0.05, dice), 0.0),
    "low variance": (InnerStep(0.05, low_variance), 0.0),
    "first order": (InnerStep(0.05, first_order=True), 0.0),
}


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    scores = book(GRADIENT, (POLICIES.tolist(), sorted(ESTIMATORS)), differ)
    for name, place in PLACES.items():
        observer.say(f"{name}: {place.iterations} iterations, with an inner step and without, from {seeds} seeds ...")
        about = (seeds, TASKS, place.iterations, configuration(place.process))
        scores |= book(name, about, partial(adapt, name, place, seeds))
    observer.say(f"{CORNERS}: {CORNER.iterations} iterations of {len(explorers())} estimators from {seeds} seeds ...")
    about = (seeds, SMOOTH, CORNER.iterations, configuration(list(explorers().values())))
    scores |= book(CORNERS, about, partial(explore, seeds))
    arms = arms_of(scores)
    return conclude(
        "maml", CLAIM, PAPER, arms, judge(arms, quick=quick), quick=quick, seconds=book.seconds, kinds=book.kinds
    )


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    gap = lambda place, who: arms[f"{place}: {who}, gap closed"]

    def learns(place: str) -> tuple[Verdict, ...]:
        curve = [arms[_point(place, LEARNED, point)] for point in range(UPDATES + 1)]
        return (
            reaches(gap(place, LEARNED), CLOSED, claim=f"{place}: one update closes most of the gap", quick=quick),
            *(
                at_least(after, before, claim=f"{place}: update {number} loses nothing", quick=quick)
                for number, (before, after) in enumerate(pairwise(curve), 1)
            ),
            *(
                must_fail(gap(place, who), FAILED, claim=f"{place}, {who}: fails", quick=quick)
                for who in (NO_STEP, MISLED)
            ),
        )

    after = [arms[_point(NAVIGATION, who, 1)] for who in (LEARNED, TRAINED)]
    first, final = f"{CORNERS}: {PROMP}", [arms[f"{CORNERS}: {who}, final"] for who in (PROMP, STOPPED)]
    return (
        *learns(NAVIGATION),
        reaches(
            arms[f"{NAVIGATION}: {LEARNED}, gap closed from a random start"],
            CLOSED,
            claim=f"{NAVIGATION}: of the gap from a random start too",
            quick=quick,
        ),
        beats(*after, claim=f"{NAVIGATION}: more after one update than pre-trained", quick=quick),
        *learns(DIRECTION),
        must_fail(gap(DIRECTION, TRAINED), PRETRAINED, claim=f"{DIRECTION}, {TRAINED}: fails", quick=quick),
        must_fail(gap(DIRECTION, FRESH), RANDOM, claim=f"{DIRECTION}, {FRESH}: fails", quick=quick),
        reaches(arms[f"{first}, samples saved"], SAVED, claim=f"{first} saves samples of {PLAIN}", quick=quick),
        beats(*final, claim=f"{first} ends above {STOPPED}", quick=quick),
        *(
            reaches(arms[f"{GRADIENT}: {who}"], RIGHT, claim=f"{GRADIENT}: {who} is the true one", quick=quick)
            for who in ("plain, with credit", "DiCE", "low variance")
        ),
        must_fail(arms[f"{GRADIENT}: plain"], WRONG, claim=f"{GRADIENT}, plain: misses the credit", quick=quick),
    )


def differ() -> Scores:
    """The cosine of each estimator's meta-gradient with the true one, at each policy, and its share of the norm."""
    scores: Scores = {}
    for name, (step, credit) in ESTIMATORS.items():
        found = [compared(step, policy, credit=credit) for policy in POLICIES]
        scores[f"{GRADIENT}: {name}"] = [cosine for cosine, _ in found]
        scores[f"{GRADIENT}: {name}, norm"] = [norm for _, norm in found]
    return scores


def adapt(name: str, place: Place, seeds: int) -> Scores:
    """Returns by updates, and the gap that the first one closes, of all who adapt in one family."""
    scores: Scores = {}
    process, still = place.process, replace(place.process, inner=replace(place.process.inner, rate=0.0))
    learned, without = (_taught(each, place.iterations) for each in (process, still))
    for seed in range(seeds):
        train_key, fresh_key, task_key, adapt_key, expert_key = jax.random.split(jax.random.key(seed), 5)
        tasks = _spread(process, task_key)
        (network, _), (all_at_once, _) = learned(train_key), without(train_key)
        world: Any = process.world
        best = float(expert(world, tasks, lanes=process.lanes, length=process.length, key=expert_key).mean())
        # One task further on: the tasks are listed so that it is never the same one.
        lessons = jax.tree.map(lambda leaf: jnp.roll(leaf, 1, axis=0), tasks)
        found = {
            LEARNED: adapted(process, network, tasks, key=adapt_key),
            FRESH: adapted(process, process.network(fresh_key), tasks, key=adapt_key),
            TRAINED: adapted(process, all_at_once, tasks, key=adapt_key),
            NO_STEP: adapted(still, all_at_once, tasks, key=adapt_key),
            MISLED: adapted(process, network, tasks, key=adapt_key, lessons=lessons),
        }
        curves = {who: returns.mean(axis=0) for who, returns in found.items()}
        rows = {_point(name, who, at): curve[at] for who, curve in curves.items() for at in range(UPDATES + 1)}
        for who, curve in curves.items():
            rows[f"{name}: {who}, gap closed"] = float(gap_closed(curve[1], before=curve[0], oracle=best))
        rows[f"{name}: {LEARNED}, gap closed from a random start"] = float(
            gap_closed(curves[LEARNED][1], before=curves[FRESH][0], oracle=best)
        )
        for who, value in (rows | {f"{name}: expert": best}).items():
            scores.setdefault(who, []).append(float(value))
    return scores


def explorers() -> dict[str, MAML]:
    """Who learns to explore, by name."""
    process, rate = CORNER.process, CORNER.process.inner.rate
    return {
        PROMP: replace(process, inner=InnerStep(rate, low_variance), outer=Clipped()),
        PLAIN: replace(process, inner=InnerStep(rate, plain)),
        STOPPED: replace(process, inner=InnerStep(rate, first_order=True)),
    }


def explore(seeds: int) -> Scores:
    """Returns after one update while learning: at last, and in which share of MAML's samples ProMP came as far."""
    scores: Scores = {}
    smooth = lambda curve: np.convolve(curve, np.full(SMOOTH, 1 / SMOOTH), mode="valid")
    learned = {name: _taught(process, CORNER.iterations) for name, process in explorers().items()}
    for seed in range(seeds):
        key = jax.random.key(seed)
        curves = {name: smooth(np.asarray(each(key)[1])) for name, each in learned.items()}
        reached = np.flatnonzero(curves[PROMP] >= curves[PLAIN][-1])
        used = (reached[0] + SMOOTH) / CORNER.iterations if reached.size else 1.0
        rows = {f"{CORNERS}: {name}, final": curve[-1] for name, curve in curves.items()}
        rows |= {f"{CORNERS}: {PROMP}, samples saved": 1.0 - used}
        for name, value in rows.items():
            scores.setdefault(name, []).append(float(value))
    return scores


def _taught(process: MAML, iterations: int):
    """A function from a key to the initial network that is learned, and the return after an update, by iteration."""

    @eqx.filter_jit
    def learn(key: Key) -> tuple[AbstractNetwork, Float[Array, "iterations"]]:
        init_key, step_key = jax.random.split(key)

        def step(state: Any, index: Array) -> tuple[Any, Array]:
            state, metrics = process.step(state, key=jax.random.fold_in(step_key, index))
            return state, metrics["episode/return"]

        state, earned = scan(step, process.init(key=init_key), jnp.arange(iterations))
        return state.network, earned

    return learn


def _spread(process: MAML, key: Key) -> Task:
    """Tasks that judge: drawn from the family, or both directions in turn."""
    if isinstance(process.world, Direction):
        return Task(parameters=jnp.where(jnp.arange(TASKS) % 2 == 0, 1.0, -1.0))
    return held_out(process, TASKS, key=key)


def _point(place: str, who: str, updates: int) -> str:
    """An arm that is a point of a curve: by the steps in the task that an update was made from."""
    process = PLACES[place].process
    return f"{place}: {who}, {updates * process.lanes * process.length:,} steps"
