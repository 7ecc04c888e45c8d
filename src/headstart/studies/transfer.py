"""Is what was learned in one task worth something in the next, and for the reason that it should be?

Three tasks follow one that was learned before. In all of them signs are read as in the source task
(`headstart.worlds.signposts`), whose paths go other ways:

| target | what is other | how one begins |
|---|---|---|
| near | two of the seven words mean each other's way | with the same network |
| far | every word means another way | with the policy's hidden layers held and its last layer new; or beside it |
| large | as near, and there are more things to see and ways to go | with a network that is grown to fit |

Beside it is what `headstart.experience.progressive` does. Who learns from scratch has the same network, budget, keys
and settings, which were chosen by how it learns alone; the steps of the source task are not counted, as is usual. Each
seed has a source agent of its own. A score is the mean return of paths that are walked without exploration: 1 is the
whole path, and 0.03 is chance.

The measures are those of Taylor and Stone, *Transfer learning for reinforcement learning domains: a survey*, JMLR 2009:
jump start, time to threshold, and where curves arrive, with the forward transfer of Wołczyk and others, *Continual
World*, NeurIPS 2021 (`headstart.experience.transfer_measures`). The time that is saved is a share of what scratch
takes with the same seed, and a curve that never arrives takes the whole budget.

Controls that must fail, each in the method's place:

- an unrelated source: learned as well, on a path as long, but signs are read in another way, orthogonal to this one;
- a source whose arrays are permuted within: it has the very same numbers;
- hidden layers held that were never trained, or that read signs in the unrelated way;
- old columns that were never trained.

A control of the weights that one begins with and then trains may have neither a jump start nor a forward transfer worth
the name, and one whose layers are held must never arrive. That it is the control and not the budget that fails is said
by scratch and by both sources, which must arrive.

**What is forgotten.** After the far task the network that went on by itself has lost the source task, and an old column
has not, by construction: it is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from headstart import greedy
from headstart.configuration import configuration
from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.networks import ActorCritic
from headstart.core.process import Online, OnlineState
from headstart.core.scan import scan
from headstart.core.types import Choice, Key, Percept
from headstart.experience.net2net import grow
from headstart.experience.progressive import Progressive
from headstart.experience.transfer import Transferred
from headstart.experience.transfer_measures import area, asymptote, forward_transfer, jump_start, time_to_threshold
from headstart.progress import AbstractObserver
from headstart.scratch.ppo import PPO
from headstart.studies.book import Book, Scores
from headstart.studies.study import (
    Arm,
    Paper,
    Result,
    Verdict,
    arms_of,
    conclude,
    must_fail,
    nowhere_below,
    reaches,
    seeds_of,
)
from headstart.worlds.signposts import Signposts

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "Whoever begins with what a related task has taught begins higher, arrives sooner and ends no lower than from "
    "scratch: with the same network, with one that is grown, with layers that are held, and with columns beside."
)
PAPER = Paper("taylor2009transfer", ("metrics of transfer",))

SEEDS, QUICK_SEEDS = 10, 3
LANES, LENGTH = 64, 16
PIECE = 5  # iterations from one point of a curve to the next
POINTS = 20  # after the first, which is before anything is learned
SOURCE_PIECES = 40
WIDTH, LARGER = 64, 128
PATHS = 1_024  # that a point is measured by
FINAL = 3  # points that say where a curve arrives
LEVEL = 0.8  # the threshold
HIGHER, SAVED, FORWARD = 0.2, 0.5, 0.3  # bars of the method
FLAT, IDLE, LOST = 0.1, 0.1, 0.5  # of the controls: jump start, forward transfer, where they arrive
KEPT, FORGOTTEN = 0.02, 0.5  # of the source task's score, that is lost

SOURCE = Signposts()
UNRELATED = Signposts(factor=3)
NEAR = Signposts(ways=(1, 0, 2, 3, 4, 5, 6))
FAR = Signposts(ways=(3, 4, 5, 6, 0, 1, 2))
LARGE = Signposts(ways=NEAR.ways, distractions=4, dead=2)

HIDDEN = ("actor.layers[0]", "actor.layers[1]")
END = ("actor.layers[2]",)

SCRATCH, SAME, STRANGE, PERMUTED = "scratch", "same network", "unrelated source", "permuted source"
HELD, HELD_STRANGE, HELD_RANDOM = "layers held", "unrelated layers held", "untrained layers held"
COLUMNS, COLUMNS_RANDOM = "columns", "untrained columns"
GROWN, GROWN_STRANGE = "grown", "unrelated source, grown"
LARGE_SCRATCH = "scratch, as large"

Networks = AbstractNetwork  # one for each seed: leaves [seeds, ...]


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all targets, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    count = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    keys = jax.random.split(jax.random.key(0), count)
    sources: dict[str, Networks] = {}
    scores: Scores = {}

    def source(name: str) -> Networks:
        """What was trained in a source task, unless all that needs it was measured before."""
        if name not in sources:
            world = SOURCE if name == "related" else UNRELATED
            observer.say(f"{name} source: {SOURCE_PIECES * PIECE * LANES * LENGTH:,} steps ...")
            learning = process(world)
            states = started(learning, scratch(world, WIDTH, keys), keys)
            for piece in range(SOURCE_PIECES):
                states = go_on(learning, states, keys, jnp.array(piece * PIECE))
            sources[name] = states.learner.network
        return sources[name]

    def learned() -> Scores:
        worlds = {"related": SOURCE, "unrelated": UNRELATED}
        return {f"source: {name}": walked(world, source(name), keys).tolist() for name, world in worlds.items()}

    about: tuple[Any, ...] = (count, LANES, LENGTH, PIECE, SOURCE_PIECES, WIDTH, PATHS, repr((SOURCE, UNRELATED)))
    about += (configuration(process(SOURCE)),)
    scores |= book("sources", about, learned)
    for name, world in {"near": NEAR, "far": FAR, "large": LARGE}.items():
        observer.say(f"{name}: {POINTS * PIECE * LANES * LENGTH:,} steps from each of {count} seeds, for each arm ...")

        def measure(name: str = name, world: Signposts = world) -> Scores:
            return measured(name, world, beginners(name, world, source, keys), keys)

        scores |= book(name, (*about, name, POINTS, LARGER, FINAL, LEVEL, repr(world)), measure)
    arms = arms_of(scores)
    return conclude(
        "transfer", CLAIM, PAPER, arms, judge(arms, quick=quick), quick=quick, seconds=book.seconds, kinds=book.kinds
    )


def process(world: Signposts) -> Online:
    """PPO as everybody has it here; whoever begins brings a network.

    With less reward for entropy, or with fewer units, it is soon sure of the wrong way for some signs, and never tries
    another. From scratch in the source task, with keys that the study does not use, every one of five networks walks
    the whole path after 40,960 steps; with half of that reward some need 122,880, and 16 units walk 0.76 of it after
    409,600. Nothing was chosen by how a target is learned.
    """
    learner = PPO(discount=0.9, learning_rate=3e-3, entropy_weight=0.4)
    return Online(world, partial(ActorCritic, world, width=WIDTH), learner, LANES, LENGTH)


def beginners(name: str, world: Signposts, source: Any, keys: Shaped[Array, "seeds"]) -> dict[str, Networks]:
    """Who begins in a target, by name."""
    make = partial(ActorCritic, world, width=WIDTH)
    begun = lambda trained: of_each(lambda old, key: Transferred(make, old)(key), trained, keys)
    if name == "near":
        permuted = of_each(permute, source("related"), keys)
        return {
            SCRATCH: scratch(world, WIDTH, keys),
            SAME: begun(source("related")),
            STRANGE: begun(source("unrelated")),
            PERMUTED: begun(permuted),
        }
    if name == "far":
        untrained = scratch(SOURCE, WIDTH, jax.vmap(partial(jax.random.fold_in, data=1))(keys))
        still = lambda trained: of_each(
            lambda old, key: Transferred(make, old, renewed=END, held=HIDDEN)(key), trained, keys
        )
        beside = lambda trained: of_each(
            lambda old, key: Progressive.after(old, make(key), key=jax.random.fold_in(key, 1)), trained, keys
        )
        return {
            SCRATCH: scratch(world, WIDTH, keys),
            SAME: begun(source("related")),
            HELD: still(source("related")),
            HELD_STRANGE: still(source("unrelated")),
            HELD_RANDOM: still(untrained),
            COLUMNS: beside(source("related")),
            COLUMNS_RANDOM: beside(untrained),
        }
    wide = partial(ActorCritic, world, width=LARGER)
    grown = lambda trained: of_each(lambda old, key: Transferred(wide, old, fit=grow)(key), trained, keys)
    return {
        LARGE_SCRATCH: scratch(world, LARGER, keys),
        GROWN: grown(source("related")),
        GROWN_STRANGE: grown(source("unrelated")),
    }


def scratch(world: Signposts, width: int, keys: Shaped[Array, "seeds"]) -> Networks:
    """Networks that know nothing."""
    return eqx.filter_jit(eqx.filter_vmap(lambda key: ActorCritic(world, key, width=width)))(keys)


def of_each(begin: Any, trained: Networks, keys: Shaped[Array, "seeds"]) -> Networks:
    """What `(trained, key)` makes of the network of each seed."""
    return eqx.filter_jit(eqx.filter_vmap(begin))(trained, keys)


def permute(network: AbstractNetwork, key: Key) -> AbstractNetwork:
    """A control: every array has the numbers that it had, in any order."""
    leaves, structure = jax.tree.flatten(network)
    keys = jax.random.split(key, len(leaves))
    mixed = [
        jax.random.permutation(each, leaf.ravel()).reshape(leaf.shape) if eqx.is_array(leaf) else leaf
        for leaf, each in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, mixed)


def measured(name: str, world: Signposts, begun: Mapping[str, Networks], keys: Shaped[Array, "seeds"]) -> Scores:
    """The curve of each, and by how much it differs from that of the first, who learns from scratch."""
    each = LANES * LENGTH * PIECE
    steps, learning = np.arange(POINTS + 1) * each, process(world)
    curves: dict[str, Float[np.ndarray, "seeds points"]] = {}
    scores: Scores = {}
    for who, networks in begun.items():
        states = started(learning, networks, keys)
        points = [walked(world, states.learner.network, keys)]
        for piece in range(POINTS):
            states = go_on(learning, states, keys, jnp.array(piece * PIECE))
            points.append(walked(world, states.learner.network, keys))
        curves[who] = np.stack(points, axis=-1)
        for at, point in zip(steps, points, strict=True):
            scores[f"{name}: {who}, {at:,} steps"] = point.tolist()
        if name == "far" and who in (SAME, COLUMNS):
            before, after = (walked(SOURCE, inner(each), keys) for each in (networks, states.learner.network))
            forgotten = before - after
            scores[f"{name}: {who}: forgotten of the source"] = forgotten.tolist()
    reference = next(iter(curves.values()))
    budget = float(steps[-1])
    time = lambda curve: np.minimum(time_to_threshold(steps, curve, LEVEL), budget)
    for who, curve in curves.items():
        scores[f"{name}: {who}: arrives at"] = asymptote(steps, curve, final=FINAL).tolist()
        scores[f"{name}: {who}: area"] = area(steps, curve).tolist()
        scores[f"{name}: {who}: steps to {LEVEL}, in thousands"] = (time(curve) / 1000).tolist()
        if curve is not reference:
            scores[f"{name}: {who}: jump start"] = jump_start(steps, curve, reference).tolist()
            scores[f"{name}: {who}: forward transfer"] = forward_transfer(steps, curve, reference).tolist()
            scores[f"{name}: {who}: time saved"] = (1 - time(curve) / time(reference)).tolist()
    return scores


def inner(networks: Networks) -> Networks:
    """The network that knew the source task: the column before, where there is one."""
    if not isinstance(networks, Progressive):
        return networks
    before = lambda column: column.before.frozen
    return Progressive(before(networks.actor), before(networks.critic), networks.head)


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""

    def of(target: str, who: str, what: str) -> Arm:
        return arms[f"{target}: {who}: {what}"]

    def gains(target: str, who: str, bars: Mapping[str, float]) -> tuple[Verdict, ...]:
        return tuple(
            reaches(of(target, who, what), bar, claim=f"{target}: {who}: {what}", quick=quick)
            for what, bar in bars.items()
        )

    def idles(target: str, who: str, bars: Mapping[str, float]) -> tuple[Verdict, ...]:
        return tuple(
            must_fail(of(target, who, what), bar, claim=f"{target}: {who}: no {what}", quick=quick)
            for what, bar in bars.items()
        )

    def no_lower(target: str, who: str, than: str) -> Verdict:
        claim = f"{target}: {who}: does not arrive lower than scratch"
        return nowhere_below(of(target, who, "arrives at"), of(target, than, "arrives at"), claim=claim, quick=quick)

    better = {"jump start": HIGHER, "time saved": SAVED, "forward transfer": FORWARD}
    later = {"time saved": SAVED, "forward transfer": FORWARD}  # whose first policy cannot be right
    idle = {"jump start": FLAT, "forward transfer": IDLE}
    astray = lambda who: must_fail(of("far", who, "arrives at"), LOST, claim=f"far: {who}: never arrives", quick=quick)
    arrives = lambda target, who: reaches(
        of(target, who, "arrives at"), LEVEL, claim=f"{target}: {who}: arrives", quick=quick
    )
    taught = lambda name: reaches(arms[f"source: {name}"], LEVEL, claim=f"source: {name}: arrives", quick=quick)
    return (
        taught("related"),
        taught("unrelated"),
        arrives("near", SCRATCH),
        *gains("near", SAME, better),
        no_lower("near", SAME, SCRATCH),
        *idles("near", STRANGE, idle),
        *idles("near", PERMUTED, idle),
        arrives("far", SCRATCH),
        *gains("far", HELD, later),
        no_lower("far", HELD, SCRATCH),
        astray(HELD_STRANGE),
        astray(HELD_RANDOM),
        *gains("far", COLUMNS, later),
        *idles("far", COLUMNS_RANDOM, {"forward transfer": IDLE}),
        must_fail(
            of("far", COLUMNS, "forgotten of the source"), KEPT, claim=f"far: {COLUMNS}: nothing forgotten", quick=quick
        ),
        reaches(
            of("far", SAME, "forgotten of the source"), FORGOTTEN, claim=f"far: {SAME}: forgets the source", quick=quick
        ),
        arrives("large", LARGE_SCRATCH),
        *gains("large", GROWN, better),
        no_lower("large", GROWN, LARGE_SCRATCH),
        *idles("large", GROWN_STRANGE, idle),
    )


@eqx.filter_jit
def started(process: Online, networks: Networks, keys: Shaped[Array, "seeds"]) -> OnlineState:
    """The state of each seed before its first step, with the network that it was given."""

    def one(network: AbstractNetwork, key: Key) -> OnlineState:
        # Copies: the first piece takes over the memory of what it is given.
        own = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True) if eqx.is_array(leaf) else leaf, network)
        return replace(process, network=lambda key: own).init(key=key)

    return eqx.filter_vmap(one)(networks, keys)


@eqx.filter_jit
def go_on(process: Online, states: OnlineState, keys: Shaped[Array, "seeds"], done: Int[Array, ""]) -> OnlineState:
    """All seeds after a piece more, side by side."""

    def one(state: OnlineState, key: Key) -> OnlineState:
        step = lambda state, index: (process.step(state, key=jax.random.fold_in(key, index))[0], None)
        return scan(step, state, done + jnp.arange(PIECE))[0]

    return eqx.filter_vmap(one)(states, keys)


def walked(world: Signposts, networks: Networks, keys: Shaped[Array, "seeds"]) -> Float[np.ndarray, " seeds"]:
    """The mean return of each seed's network over `PATHS` paths, without exploration."""
    return np.asarray(_walked(world, networks, keys), float)


@eqx.filter_jit
def _walked(world: Signposts, networks: Networks, keys: Shaped[Array, "seeds"]) -> Float[Array, "seeds"]:
    def act(network: AbstractNetwork, percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(greedy.best(output.policy, percept)), memory

    def one(network: AbstractNetwork, key: Key) -> Float[Array, ""]:
        begin_key, act_key = jax.random.split(jax.random.fold_in(key, 2))
        lanes = begin(world, network, PATHS, key=begin_key)
        _, rollout = collect(world, network, partial(act, network), lanes, world.forks, key=act_key)
        counts = jnp.cumsum(rollout.last, axis=0) - rollout.last == 0
        return jnp.mean(jnp.sum(rollout.reward * counts, axis=0))

    return eqx.filter_vmap(one)(networks, keys)
