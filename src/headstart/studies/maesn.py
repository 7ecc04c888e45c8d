"""Does a latent that is drawn once per episode explore where noise of actions does not find anything?

Method: Gupta, Mendonca, Liu, Abbeel and Levine, *Meta-reinforcement learning of structured exploration strategies*,
NeurIPS 2018, for a point instead of their robots (`headstart.worlds.half_circle`). Training is in 64 tasks, in which
every step says the way, as in the authors' code. What was learned is judged in 30 tasks that were held out, in which
only arriving pays: within 0.5 of a goal on the half circle of radius 2. Before each of 5 updates, 20 episodes are
played. A task is *found* where any of the 20 earns anything, and an episode has *stayed* that still earns in its last
step. With MAESN only the latent's Gaussian moves, from N(0, 1), and the network stays as it is; who has no latent moves
all weights, by policy gradient.

| arm | what it is |
|---|---|
| MAESN | the method, with step sizes of a half |
| step sizes learned | the same, but that the outer step moves them too; nothing is claimed of it |
| latent space | the same but for the inner step: Gaussians are learned by the outer step alone |
| MAML | no latent; an initial policy, by the same trust region |
| pre-trained | no latent; one policy for all tasks, by the same trust region |
| from scratch | a network that was drawn |
| knowing | who was told the task |

Controls, with the same budget: **each step** draws its latent anew, in training as afterwards; **no divergence** has
β = 0, so that nothing keeps the tasks' Gaussians where the prior is; and in **permuted**, the Gaussian that has adapted
to one task is judged in another one by the outer step, drawn anew in each iteration. All must explore as badly as noise
of actions. That the latents of the method cover the half circle is said by where episodes end with latents of the
prior: in how many of eight parts of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from headstart.configuration import configuration
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.networks import Actor
from headstart.core.policies import Gaussian
from headstart.core.process import AbstractProcess, train_at_once
from headstart.core.types import Key, Outcome, Output, Percept, Rollout, Task
from headstart.core.world import AbstractWorld, State
from headstart.core.wrappers import Like, OneTask
from headstart.evaluation import check_held_out
from headstart.experience.exploration import by_latents, by_weights, found, knowing, listed, stayed
from headstart.experience.maesn import MAESN, Draws, Explorer, gathered
from headstart.experience.maml import MAML, judged
from headstart.experience.meta_gradient import InnerStep
from headstart.progress import AbstractObserver
from headstart.recipes.experience import latent_exploring
from headstart.studies.book import Book, Scores
from headstart.studies.pupils import each_of, keys_of
from headstart.studies.study import Arm, Paper, Result, Verdict, arms_of, beats, conclude, must_fail, reaches, seeds_of
from headstart.worlds.half_circle import HalfCircle, spread

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "A policy that is told a latent, drawn once per episode from what was learned in related tasks, finds what pays in "
    "nearly all new ones and then stays there, where noise of actions finds next to nothing."
)
PAPER = Paper("gupta2018maesn", ("figure 4", "figure 5"))

SEEDS, QUICK_SEEDS = 5, 3
ITERATIONS, WIDTH = 300, 64
TASKS = spread(30)
WORLD = HalfCircle(reach=0.5)
UPDATES = 5
RATE = 0.5  # of the inner step of who has no latent
PARTS = 8  # of the half circle
EPISODES = 16  # in each held-out task, whose ends are looked at
ENDS = 0.02  # the share of all episodes that must end in a part for it to be covered
FOUND, LOST = 0.9, 0.4  # bars: tasks found
STAYED, LEFT, BETTER = 0.7, 0.3, 0.15  # bars: episodes that stayed after all updates
COVERED = 6.0  # parts

METHOD, RATES, SPACE, MAML_ARM, PRETRAINED, SCRATCH, KNOWING = (
    "MAESN",
    "step sizes learned",
    "latent space",
    "MAML",
    "pre-trained",
    "from scratch",
    "knowing",
)
EACH, FREE, PERMUTED = "a latent each step", "no divergence", "permuted tasks"


class Untold(AbstractNetwork):
    """A network to which every latent is 0, whether or not one is told."""

    network: AbstractNetwork
    size: int

    def initial(self) -> Memory:
        return self.network.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        return self.network(replace(percept, goal=(None, jnp.zeros(self.size))), memory)


class Restless(Like):
    """A world in which the latent is drawn anew in each step, and shown beside what is observed."""

    world: AbstractWorld
    latent: Gaussian

    def reset(self, task: Task, *, key: Key) -> tuple[State, PyTree[Array]]:
        reset_key, latent_key = jax.random.split(key)
        state, seen = self.world.reset(task, key=reset_key)
        return state, (seen, self.latent.sample(key=latent_key))

    def step(self, state: State, task: Task, action: PyTree[Array], *, key: Key) -> tuple[State, Outcome]:
        step_key, latent_key = jax.random.split(key)
        state, outcome = self.world.step(state, task, action, key=step_key)
        seen = (outcome.observation, self.latent.sample(key=latent_key))
        return state, eqx.tree_at(lambda outcome: outcome.observation, outcome, seen)


class EachStep(MAESN):
    """A control: a latent is drawn in each step, and credited with what followed it, above what usually does."""

    def explore(
        self, world: AbstractWorld, network: AbstractNetwork, source: Gaussian, task: Task, *, key: Key
    ) -> tuple[Rollout, Draws]:
        rollout = gathered(Restless(OneTask(world, task), source), network, self.lanes, self.length, key=key)
        rollout, _ = judged(rollout, self.discount, self.trace)
        follow = lambda after, reward: (reward + self.discount * after,) * 2
        _, earned = jax.lax.scan(follow, jnp.zeros(self.lanes), rollout.reward, reverse=True)
        earned = earned - jnp.mean(earned, axis=1, keepdims=True)
        observation: Any = rollout.percept.observation
        return rollout, Draws.of(source, observation[1].reshape(-1, self.size), earned.reshape(-1))


class Permuted(MAESN):
    """A control: the outer step judges the Gaussian of one task in another one."""

    def judges(self, numbers: Int[Array, "tasks"], *, key: Key) -> Int[Array, "tasks"]:
        return jax.random.permutation(key, numbers)


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    check_held_out(listed(latent_exploring(HalfCircle()).training, "training"), listed(TASKS, "held out"))
    about = (seeds, ITERATIONS, UPDATES, RATE, PARTS, EPISODES, ENDS, repr(WORLD), np.asarray(TASKS.parameters))
    scores: Scores = {}
    for name, (process, judge_one) in pupils().items():
        iterations = 0 if name in (SCRATCH, KNOWING) else ITERATIONS
        observer.say(f"{name}: {iterations} iterations from each of {seeds} seeds ...")
        how = partial(learn, name, process, iterations, seeds, judge_one)
        scores.update(book(name.replace(" ", "-"), (name, *about, configuration(process)), how))
    arms = arms_of(scores)
    return conclude(
        "maesn", CLAIM, PAPER, arms, judge(arms, quick=quick), quick=quick, seconds=book.seconds, kinds=book.kinds
    )


Judge = Callable[[Any, Any, Key], Mapping[str, float]]


def pupils() -> dict[str, tuple[AbstractProcess, Judge]]:
    """Who is trained, and how each is judged, by name."""
    method = latent_exploring(HalfCircle(), width=WIDTH)
    shared = {each: getattr(method, each) for each in ("tasks", "lanes", "length", "discount", "trace")}
    same = {each.name: getattr(method, each.name) for each in fields(method)}
    maml = MAML(Of(HalfCircle(), method.training), partial(Actor, HalfCircle(), width=WIDTH), InnerStep(RATE), **shared)
    untold = lambda told, key: Untold(method.network(told, key), method.size)
    return {
        METHOD: (method, with_latents),
        RATES: (replace(method, held=False), with_latents),
        SPACE: (replace(method, steps=0), with_latents),
        MAML_ARM: (maml, without),
        PRETRAINED: (replace(method, steps=0, network=untold), without),
        SCRATCH: (maml, without),
        KNOWING: (maml, told),
        EACH: (EachStep(**same), with_latents),
        FREE: (replace(method, weight=0.0), with_latents),
        PERMUTED: (Permuted(**same), with_latents),
    }


class Of(Like):
    """A world whose tasks are those of a list."""

    world: AbstractWorld
    tasks: Task

    def task(self, *, key: Key) -> Task:
        return jax.tree.map(lambda leaf: jax.random.choice(key, leaf), self.tasks)


def learn(name: str, process: AbstractProcess, iterations: int, seeds: int, judge_one: Judge) -> Scores:
    """Train from each of `seeds` seeds in turn, and judge what comes of it. All arms are judged with the same keys."""
    learned = lambda key: train_at_once(process, iterations, key=key)
    train_keys, judge_keys = keys_of(seeds)
    scores: Scores = {}
    for state, judge_key in zip(each_of(learned, train_keys), judge_keys, strict=True):
        for what, score in judge_one(process, state, judge_key).items():
            scores.setdefault(f"{name}, {what}", []).append(score)
    return scores


def with_latents(process: MAESN, state: Explorer, key: Key) -> dict[str, float]:
    """Of who adapts its latent's Gaussian; and in how many parts of the half circle its episodes end at first."""
    adapt_key, cover_key = jax.random.split(key)
    _, rollout = by_latents(process, state, WORLD, TASKS, UPDATES, key=adapt_key)
    _, first = by_latents(process, state, WORLD, TASKS, 0, key=cover_key)
    seen: Any = first.after.observation
    place = seen[0] if isinstance(process, EachStep) else seen
    return curve(rollout) | {"parts covered": covered(np.asarray(place)[:, 0, -1, :EPISODES].reshape(-1, 2))}


def without(process: Any, state: Any, key: Key) -> dict[str, float]:
    """Of who adapts all weights."""
    there = MAML(WORLD, process.network, InnerStep(RATE), lanes=process.lanes, length=process.length)
    return curve(by_weights(there, state.network, TASKS, UPDATES, key=key))


def told(process: MAML, state: Any, key: Key) -> dict[str, float]:
    """Of who is told the task."""
    return curve(knowing(WORLD, TASKS, process.lanes, process.length, key=key))


def curve(rollout: Rollout) -> dict[str, float]:
    """The share of tasks in which anything is found before an update, and of episodes that stay after each."""
    shares = stayed(rollout).mean(axis=0)
    after = {f"stayed after {point} updates": float(share) for point, share in enumerate(shares)}
    return {"found": float(found(rollout)[:, 0].mean())} | after


def covered(places: Float[np.ndarray, "episodes 2"]) -> float:
    """In how many parts of the half circle episodes end: near enough to it that a goal there would pay."""
    radius, angle = np.hypot(*places.T), np.arctan2(places[:, 1], places[:, 0])
    near = np.abs(radius - HalfCircle.radius) < WORLD.reach
    ends, _ = np.histogram(angle[near], bins=PARTS, range=(0.0, np.pi))
    return float(np.sum(ends >= ENDS * len(places)))


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    at_first = lambda name: arms[f"{name}, found"]
    at_last = lambda name: arms[f"{name}, stayed after {UPDATES} updates"]
    return (
        reaches(at_first(METHOD), FOUND, claim=f"{METHOD}: new tasks found before an update", quick=quick),
        *(
            must_fail(at_first(name), LOST, claim=f"{name}: few tasks found", quick=quick)
            for name in (MAML_ARM, SCRATCH)
        ),
        reaches(at_last(METHOD), STAYED, claim=f"{METHOD}: episodes that stay after {UPDATES} updates", quick=quick),
        must_fail(at_last(MAML_ARM), LEFT, claim=f"{MAML_ARM}: few episodes stay", quick=quick),
        beats(
            at_last(METHOD),
            at_last(SPACE),
            by=BETTER,
            claim=f"{METHOD}: more episodes stay than in the {SPACE}",
            quick=quick,
        ),
        reaches(
            arms[f"{METHOD}, parts covered"], COVERED, claim=f"{METHOD}: parts of the half circle covered", quick=quick
        ),
        *(
            must_fail(at_first(name), LOST, claim=f"{name}: few tasks found", quick=quick)
            for name in (EACH, FREE, PERMUTED)
        ),
    )
