"""Does it pay to set goals, and to learn to reach them, where nothing is earned on the way?

Method: a manager that sets a goal every 10 steps in a space that is learned, and a worker that is rewarded for reaching
it, both by PPO (`headstart.goals.goal_directed`), in two worlds of a slow point: apples to gather among bombs, and a
goal in the room behind a doorway. Baselines: flat PPO with as many steps, and a worker whose goal is drawn at random
once an episode and stays.

Controls that must fail: goals shuffled between managers and workers (each worker pursues the goal of another lane's
manager), goals drawn at random by nobody at all, and a goal for every single step (c = 1). To fail is not to reach the
bar of the method: a fifth more than the flat one's return, and 0.2 of success in the maze.

A score is the mean return of 256 episodes without exploration, which in the maze is the share that reaches the goal, at
a quarter, a half, three quarters and all of the steps. Whether a worker reaches its goals is the cosine between what
was commanded and the move that was made, in the space, over all goals of these episodes; a push against a wall is no
move, so it is asked where there are no walls within, among the apples.

The thesis gives the idea and was not available in full: worlds, budgets and sizes are design choices of ours.

**Settings** were searched for alike, in either world with three to ten seeds that the study does not use: plain PPO or
`Patient`, learning rates of 0.001 and 0.003, discounts of 0.99 and 0.997 a step. Among the apples the best of the eight
had a return of 2.36 with a manager (`Patient`, 0.001, 0.997; the others 2.27 and more) and of 1.68 without (PPO, 0.001,
0.997; a flat `Patient` met no apple).

**The maze** was made so large that its reward is rare, as was meant. Before it has earned anything, PPO drifts, its
advantages being scaled to one size, and in a smaller maze (start and goal half way to the corners, a goal of radius
0.25, and then 0.15) drifting took the flat policy through the doorway and over the goal in two of three, and then in
two of ten seeds. In this one four of 40 runs got there, ten with each of four settings, of which the study has the best
(PPO, 0.003, 0.99); with a manager, all 10 with `Patient`, five at either rate. In a larger one (start and goal at 0.7
of the way, a doorway from 0.2 to 0.7), in which the study was run before, both are rarer: 12 of 20 seeds found the goal
with a manager and 1 of 20 without.

**A goal for every step** is not the same as no goals: its worker still learns, from a reward in every step, to push as
hard as it can, in a space of moves. So it explores further than a flat policy, and where apples lie near enough to be
met that way it gathers as much as a hierarchy whose goals last. Worlds in which it would not, and the hierarchy still
gathers a fifth more than a flat policy, were looked for, with five seeds and the same search: slower points (by a
fifth), smaller apples (a reach of 0.08), more and smaller fields, and none within two fields of the start. In the last
of these, and there alone, it met nothing (0.03, against 1.85 with goals that last), but there the flat policy had 1.54;
and with plain PPO for a manager, which drifts, it had 1.62 there too. These searches were made by hand: the study does
not repeat them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from headstart.configuration import configuration
from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.networks import ActorCritic
from headstart.core.process import Online
from headstart.core.scan import scan
from headstart.core.types import Choice, Key, Percept
from headstart.goals.goal_directed import GoalDirected, Hierarchy
from headstart.progress import AbstractObserver
from headstart.recipes.goals import goal_directed
from headstart.scratch.ppo import PPO
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
    reaches,
    seeds_of,
)
from headstart.worlds.point import PointGather, TwoRoomMaze

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "Setting goals and learning to reach them gathers a fifth more than a flat policy does in as many steps, and gets "
    "behind a doorway where that one never does."
)
PAPER = Paper("binz2017goal", ("abstract",))

#: Steps in the world.
STEPS = {"gather": 307_200, "maze": 614_400}
LOOKS = 4
PIECE = 4  # updates at a time
FLAT = {"gather": PPO(learning_rate=1e-3, discount=0.997), "maze": PPO(learning_rate=3e-3, discount=0.99)}
RATE = 1e-3  # of manager and worker; a goal's discount of 0.97 comes to 0.997 for a step
EPISODES = 256
SEEDS, QUICK_SEEDS = 20, 3  # whether a seed finds the goal is a matter of luck: 10 would decide little
MORE = 1.2  # times the flat return, among apples
SOLVED, FAILED = 0.7, 0.2  # success in the maze
REACHED = 0.7  # cosine of what was commanded and what was done


class Shuffled(GoalDirected):
    """A control: each worker gets the goal that another lane's manager has set."""

    def convey(
        self, said: Float[Array, "B d"], before: Float[Array, "B d"], first: Bool[Array, "B"], *, key: Key
    ) -> Float[Array, "B d"]:
        return jnp.roll(said, jax.random.randint(key, (), 1, len(said)), axis=0)


class Unmanaged(GoalDirected):
    """A control: each worker gets goals from nobody, drawn anew each time."""

    def convey(
        self, said: Float[Array, "B d"], before: Float[Array, "B d"], first: Bool[Array, "B"], *, key: Key
    ) -> Float[Array, "B d"]:
        return jax.random.uniform(key, said.shape, minval=-1.0, maxval=1.0)


class Stubborn(Unmanaged):
    """A baseline: a goal is drawn when an episode begins, and is set again and again until it ends."""

    def convey(
        self, said: Float[Array, "B d"], before: Float[Array, "B d"], first: Bool[Array, "B"], *, key: Key
    ) -> Float[Array, "B d"]:
        return jnp.where(first[:, None], super().convey(said, before, first, key=key), before)


@dataclass(frozen=True)
class Pupil:
    """One arm: where, and how it learns."""

    place: str
    world: PointGather | TwoRoomMaze
    process: GoalDirected | Online


def pupils() -> dict[str, Pupil]:
    """All arms by name. Manager, worker and flat policy have networks and rollouts of the same sizes."""
    found: dict[str, Pupil] = {}
    for place, world in (("gather", PointGather()), ("maze", TwoRoomMaze())):
        goals = goal_directed(world, RATE)
        same = {field.name: getattr(goals, field.name) for field in dataclasses.fields(goals)}
        # As many steps between updates, and a discount for each goal that comes to the same.
        manager = dataclasses.replace(goals.manager, discount=goals.manager.discount ** (1 / goals.every))
        often = dataclasses.replace(goals, every=1, stretches=goals.length, manager=manager)
        found |= {
            f"{place}, hierarchical": Pupil(place, world, goals),
            f"{place}, flat": Pupil(
                place, world, Online(world, partial(ActorCritic, world), FLAT[place], goals.lanes, goals.length)
            ),
            f"{place}, one random goal": Pupil(place, world, Stubborn(**same)),
            f"{place}, shuffled goals": Pupil(place, world, Shuffled(**same)),
            f"{place}, random goals": Pupil(place, world, Unmanaged(**same)),
            f"{place}, a goal each step": Pupil(place, world, often),
        }
    return found


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    scores: Scores = {}
    for name, pupil in pupils().items():
        observer.say(f"{name}: {STEPS[pupil.place]:,} steps from each of {seeds} seeds ...")
        about = (name, seeds, STEPS[pupil.place], LOOKS, EPISODES, configuration(pupil.process))
        scores |= book(name.replace(", ", "-").replace(" ", "-"), about, partial(learn, name, pupil, seeds))
    arms = arms_of(scores)
    verdicts = judge(arms, quick=quick)
    return conclude("goal_directed", CLAIM, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds)


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""

    def end(name: str) -> Arm:
        return [arm for other, arm in arms.items() if other.startswith(f"{name}, ")][-1]

    def fails(place: str, name: str, bar: float) -> Verdict:
        return must_fail(end(f"{place}, {name}"), bar, claim=f"{place}, {name}: fails", quick=quick)

    flat = end("gather, flat")
    more = Arm.of(MORE * np.asarray(flat.scores))
    controls = ("shuffled goals", "random goals", "a goal each step")
    cosine = arms["gather, hierarchical: cosine of command and move"]
    return (
        beats(end("gather, hierarchical"), more, claim=f"gather: hierarchical is above {MORE} times flat", quick=quick),
        reaches(end("maze, hierarchical"), SOLVED, claim="maze, hierarchical: success", quick=quick),
        fails("maze", "flat", FAILED),
        reaches(cosine, REACHED, claim="gather: the worker reaches what is commanded", quick=quick),
        *(fails("gather", name, MORE * flat.iqm) for name in controls),
        *(fails("maze", name, FAILED) for name in controls),
    )


def learn(name: str, pupil: Pupil, seeds: int) -> Scores:
    """The scores of each seed at each look, and at the end how well goals are reached. The seeds learn side by side."""
    process = pupil.process
    each = process.lanes * process.length
    looks = [round(STEPS[pupil.place] * look / LOOKS / each) for look in range(1, LOOKS + 1)]
    init_keys, step_keys, judge_keys = (jax.random.split(jax.random.key(at), seeds) for at in range(3))

    @eqx.filter_jit
    def go_on(states: Any, iterations: Array) -> Any:
        def one(state: Any, key: Key) -> Any:
            step = lambda state, index: (process.step(state, key=jax.random.fold_in(key, index))[0], None)
            return scan(step, state, iterations)[0]

        return eqx.filter_vmap(one)(states, step_keys)

    play = (
        partial(pursued, process, pupil.world.limit)
        if isinstance(process, GoalDirected)
        else partial(played, pupil.world)
    )
    judged = eqx.filter_jit(eqx.filter_vmap(play))
    states = eqx.filter_jit(eqx.filter_vmap(lambda key: process.init(key=key)))(init_keys)
    scores: Scores = {}
    for done, look in zip([0, *looks], looks, strict=False):
        for start in range(done, look, PIECE):  # of one length, so that little is compiled
            states = go_on(states, jnp.arange(start, min(start + PIECE, look)))
        returns, *cosine = judged(states.learner.network, judge_keys)
        scores[f"{name}, {look * each:,} steps"] = np.asarray(returns, float).tolist()
    if cosine:
        scores[f"{name}: cosine of command and move"] = np.asarray(cosine[0], float).tolist()
    return scores


def played(world: PointGather | TwoRoomMaze, network: AbstractNetwork, key: Key) -> tuple[Float[Array, ""]]:
    """The mean return of a flat policy's first episodes."""

    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(output.policy.mode()), memory

    begin_key, act_key = jax.random.split(key)
    lanes = begin(world, network, EPISODES, key=begin_key)
    _, steps = collect(world, network, act, lanes, world.limit, key=act_key)
    return (jnp.mean(jnp.sum(steps.reward * _first(steps.last), axis=0)),)


def pursued(
    process: GoalDirected, steps: int, network: Hierarchy, key: Key
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The same of a hierarchy, whose goals reach its workers as in training, and how well these reached them."""
    begin_key, act_key = jax.random.split(key)
    lanes = begin(process.whole, network.manager, EPISODES, key=begin_key)
    none = jnp.zeros((EPISODES, network.place.out_size))
    keys = jax.random.split(act_key, steps // process.every)
    stretch = lambda carry, key: process.stretch(network, *carry, key=key, explore=False)
    _, (ordered, done) = scan(stretch, (lanes, none), keys)
    counted = _first(ordered.last)
    goal = done.percept.goal[:, 0]
    move = goal - done.after.goal[:, -1]
    length = jnp.linalg.norm(goal, axis=-1) * jnp.linalg.norm(move, axis=-1)
    cosine = jnp.sum(goal * move, axis=-1) / jnp.maximum(length, 1e-8)
    return jnp.mean(jnp.sum(ordered.reward * counted, axis=0)), jnp.sum(cosine * counted) / jnp.sum(counted)


def _first(last: Bool[Array, "T B"]) -> Float[Array, "T B"]:
    """1 on the first episode of each lane, 0 on those after it."""
    return (jnp.cumsum(last, axis=0) - last == 0).astype(jnp.float32)
