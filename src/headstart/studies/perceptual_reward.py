"""Can a goal that is told in another domain reward what is seen?

Method: two encoders learn from pairs which tones go with which images of a maze, and DQN then learns to go where the
tones say, rewarded by how alike they are and by nothing else. Its success is that of the last step of an episode: to be
on the goal's cell, without exploration. Compared with the same learner under the true reward.

Controls that must fail: partners drawn at random while the encoders learn, the reward of another goal than the one that
success is measured by, and encoders that have learned nothing. Told apart: goals of which no pair was ever shown. Their
codes have nothing in common with the others, so nobody can know them; they are reported, and no bar is set.

Also reported: how much of the maze looks more like a goal than the goal itself does, which is what a learner could be
misled by, and the correlation of likeness with nearness. Nobody taught what is near, so none is asked for.

Numbers of goals, steps and cells are design choices of ours, as are all of the world.
"""

from __future__ import annotations

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

from headstart.configuration import configuration
from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.process import Online
from headstart.core.scan import scan
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Frozen, Key, Percept
from headstart.goals.perceptual_reward import ImageActionValues, Likeness, PerceptualReward, learn, threshold
from headstart.progress import AbstractObserver
from headstart.scratch.dqn import DQN
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
from headstart.worlds.image_maze import FREE, ImageMaze, distances

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "A likeness of tones to images, learned from pairs, rewards as well as the truth: a learner that hears nothing "
    "else goes where the tones say."
)
PAPER = Paper("edwards2017cdpr", ("abstract",))

TRAINED = 12  # of 20 goals are in pairs and asked for; the others are held out
LESSONS = 300  # gradient steps of the encoders
STEPS = 100_000  # of the learner
EPISODES = 512  # that success is measured in
INSTANCES = 16  # of each goal and cell that likeness is measured with
SEEDS, QUICK_SEEDS = 10, 3
FOUND = 0.95  # of the goals that were trained have their own cell as the likest one
SHARE = 0.9  # of the success under the true reward
LEARNED = 0.8  # success under the true reward: with less, a share of it would say little
FAILED = 0.15


class Misnamed(ImageMaze):
    """A control: a goal is told by the code of the next label, and so rewarded where that one's cell is."""

    def tell(self, label: Int[Array, ""], *, key: Key) -> Array:
        return super().tell(self.first + (label - self.first + 1) % self.asked, key=key)


@dataclass(frozen=True)
class Pupil:
    """One arm: where it learns, and by what it is rewarded: the truth, or a likeness of some `schooling`."""

    world: ImageMaze
    schooling: str | None

    def process(self, source: AbstractSource) -> Online:
        learner = DQN(
            source=source,
            discount=0.9,
            capacity=20_000,
            updates=16,
            epsilon=(1.0, 0.1),
            explore=10_000,
            period=100,
        )
        return Online(self.world, partial(ImageActionValues, self.world), learner, lanes=16, length=4)


def pupils() -> dict[str, Pupil]:
    """All arms that learn to walk."""
    known = ImageMaze(count=TRAINED)
    return {
        "true reward": Pupil(known, None),
        "learned reward": Pupil(known, "paired"),
        "shuffled pairs": Pupil(known, "shuffled"),
        "another goal's reward": Pupil(Misnamed(count=TRAINED), "paired"),
        "untrained encoders": Pupil(known, "untrained"),
        "held-out goals, learned reward": Pupil(ImageMaze(first=TRAINED), "paired"),
    }


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    scores: Scores = {}
    for domain in ("tones", "glyphs"):
        observer.say(f"likeness of {domain}: {LESSONS} lessons from each of {seeds} seeds ...")
        about: tuple[Any, ...] = ("likeness", domain, seeds, LESSONS, TRAINED, INSTANCES)
        scores |= book(f"likeness-{domain}", about, partial(look, domain, seeds))
    for name, pupil in pupils().items():
        observer.say(f"{name}: {STEPS:,} steps from each of {seeds} seeds ...")
        settings = configuration(pupil.process(Chain(())))
        about = (name, seeds, STEPS, LESSONS, TRAINED, EPISODES, pupil.schooling, settings)
        scores |= book(name.replace(", ", "-").replace(" ", "-"), about, partial(walk, name, pupil, seeds))
    arms = arms_of(scores)
    verdicts = judge(arms, quick=quick)
    return conclude(
        "perceptual_reward", CLAIM, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds
    )


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    most = Arm.of(SHARE * np.asarray(arms["true reward"].scores))
    controls = ("shuffled pairs", "another goal's reward", "untrained encoders")
    return (
        *(
            reaches(arms[f"{domain}: goals found"], FOUND, claim=f"{domain}: goals find their cells", quick=quick)
            for domain in ("tones", "glyphs")
        ),
        reaches(arms["true reward"], LEARNED, claim="true reward: success", quick=quick),
        beats(arms["learned reward"], most, claim=f"learned reward: {SHARE} of the true one's success", quick=quick),
        *(must_fail(arms[name], FAILED, claim=f"{name}: no success", quick=quick) for name in controls),
    )


def schooled(world: ImageMaze, schooling: str, *, key: Key) -> tuple[Likeness, Float[Array, ""]]:
    """A likeness and its threshold, learned from pairs of the world's labels, or not."""
    begin_key, learn_key, divide_key = jax.random.split(key, 3)

    def draw(*, key: Key, count: int = 64) -> tuple[Array, Array, Array]:
        pair_key, mix_key = jax.random.split(key)
        images, goals, others = pairs(world, count, key=pair_key)
        if schooling == "shuffled":
            goals = jax.random.permutation(mix_key, goals)
        return images, goals, others

    likeness = Likeness(world, begin_key)
    if schooling != "untrained":
        likeness, _ = learn(likeness, draw, LESSONS, key=learn_key)
    return likeness, threshold(likeness, *draw(key=divide_key, count=512))


def pairs(world: ImageMaze, count: int, *, key: Key) -> tuple[Array, Array, Array]:
    """Images of goals' cells, the goals as they are told, and twice as many images of anywhere."""
    label_key, show_key, tell_key, place_key, other_key = jax.random.split(key, 5)
    labels = jax.random.randint(label_key, (count,), world.first, world.first + world.asked)
    show = lambda places, key: jax.vmap(lambda place, key: world.show(place, key=key))(
        places, jax.random.split(key, len(places))
    )
    tell = jax.vmap(lambda label, key: world.tell(label, key=key))
    places = jax.random.choice(place_key, jnp.asarray(np.argwhere(FREE), jnp.int32), (2 * count,))
    return show(world.cells[labels], show_key), tell(labels, jax.random.split(tell_key, count)), show(places, other_key)


def look(domain: str, seeds: int) -> Scores:
    """What the likeness of each seed finds among all free cells, by new instances of images and goals."""
    world = ImageMaze(count=TRAINED, domain=domain)
    free = jnp.asarray(np.argwhere(FREE), jnp.int32)
    own = jnp.argmax(jnp.all(world.cells[:, None] == free, axis=-1), axis=-1)
    near = -jax.vmap(lambda cell: distances(cell)[free[:, 0], free[:, 1]])(world.cells).astype(jnp.float32)

    def one(key: Key) -> dict[str, Array]:
        school_key, show_key, tell_key = jax.random.split(key, 3)
        likeness, _ = schooled(world, "paired", key=school_key)
        show = lambda place, key: likeness.seen(world.show(place, key=key))
        tell = lambda label, key: likeness.told(world.tell(label, key=key))
        seen = jax.vmap(lambda key: jax.vmap(show)(free, jax.random.split(key, len(free))))(
            jax.random.split(show_key, INSTANCES)
        )
        told = jax.vmap(lambda key: jax.vmap(tell)(jnp.arange(world.goals), jax.random.split(key, world.goals)))(
            jax.random.split(tell_key, INSTANCES)
        )
        alike = jnp.einsum("igd,icd->igc", told, seen)  # [instances, goals, free cells]
        found = jnp.mean(jnp.argmax(alike, axis=-1) == own, axis=0)
        mean = jnp.mean(alike, axis=0)
        likelier = jnp.mean(mean > jnp.take_along_axis(mean, own[:, None], axis=1), axis=1)
        nearness = jax.vmap(lambda one, other: jnp.corrcoef(one, other)[0, 1])(mean, near)
        return {
            "goals found": jnp.mean(found[:TRAINED]),
            "held-out goals found": jnp.mean(found[TRAINED:]),
            "cells likelier than the goal's": jnp.mean(likelier[:TRAINED]),
            "held-out goals, cells likelier than the goal's": jnp.mean(likelier[TRAINED:]),
            "correlation of likeness with nearness": jnp.mean(nearness[:TRAINED]),
        }

    found = eqx.filter_jit(jax.vmap(one))(jax.random.split(jax.random.key(1), seeds))
    return {f"{domain}: {name}": np.asarray(values, float).tolist() for name, values in found.items()}


def walk(name: str, pupil: Pupil, seeds: int) -> Scores:
    """The success of each seed at the end. The seeds learn side by side."""
    school_keys, init_keys, step_keys, judge_keys = (jax.random.split(jax.random.key(at), seeds) for at in range(1, 5))
    taught = ImageMaze(count=TRAINED)  # all arms' encoders were shown the same pairs

    def begun(school_key: Key, init_key: Key) -> tuple[Any, Any]:
        source: AbstractSource = Chain(())
        if pupil.schooling is not None:
            likeness, level = schooled(taught, pupil.schooling, key=school_key)
            source = PerceptualReward(Frozen(likeness), level)
        return source, pupil.process(source).init(key=init_key)

    idle = pupil.process(Chain(()))
    iterations = STEPS // (idle.lanes * idle.length)

    @eqx.filter_jit
    def go_on(sources: Any, states: Any, indices: Array) -> Any:
        def one(source: AbstractSource, state: Any, key: Key) -> Any:
            process = pupil.process(source)
            step = lambda state, index: (process.step(state, key=jax.random.fold_in(key, index))[0], None)
            return scan(step, state, indices)[0]

        return eqx.filter_vmap(one)(sources, states, step_keys)

    sources, states = eqx.filter_jit(eqx.filter_vmap(begun))(school_keys, init_keys)
    states = go_on(sources, states, jnp.arange(iterations))
    found = eqx.filter_jit(eqx.filter_vmap(partial(success, pupil.world)))(states.learner.network, judge_keys)
    return {name: np.asarray(found, float).tolist()}


def success(world: ImageMaze, network: AbstractNetwork, key: Key) -> Float[Array, ""]:
    """The share of episodes that end on the goal's cell, without exploration."""

    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(jnp.argmax(output.policy).astype(jnp.int32)), memory

    begin_key, act_key = jax.random.split(key)
    _, played = collect(world, network, act, begin(world, network, EPISODES, key=begin_key), world.limit, key=act_key)
    return jnp.mean(played.reward[-1])
