"""Can many demons learn from one stream, each its own question, at a constant cost for each?

Method: a random walk of 200,000 steps through four rooms is all that is seen. From it, GQ(λ) answers five questions
whose answers can be solved for: a cumulant, a continuation that varies, and a terminal payoff, of the walk itself, and
two of another policy. And 84 demons learn, off-policy and by Q-learning, how soon each its own goal could be reached;
their tables are then factorised, and two networks regressed onto the embeddings (Schaul and others, 2015, algorithm 1),
for the goals of these demons and for the fifth that had none. With 50 demons half of the goals have none: that is told,
and not judged.

The error of an answer is its root mean square over all cells and moves, as a share of the range of the true answers.
The quality of a policy is that of the study `uvfa`, of the best move by Q(s, a, g) itself.

Controls that must fail: demons that take the other policy for that of the walk, whose errors must be large; and goals
shown to the network of goals under another's coordinates. That a demon among many costs what one among few does is
measured in seconds, on the machine that the study runs on: where both crowds are too many for the processor's nearest
caches, for fewer demons are dearer for what a step costs at all, and cheaper for what fits there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from headstart.core.types import Key, Percept, Rollout, Step
from headstart.goals.horde import AbstractQuestion, Horde, Reach
from headstart.goals.uvfa import Regression, TwoStream, factorise, universal_table
from headstart.progress import AbstractObserver
from headstart.studies.book import Book, Scores
from headstart.studies.study import (
    Arm,
    Paper,
    Result,
    Verdict,
    arms_of,
    conclude,
    must_fail,
    reaches,
    seeds_of,
)
from headstart.worlds.four_rooms import AFTER, CELLS, FourRooms

__all__ = ["CLAIM", "PAPER", "Tabulated", "questions", "run", "solve", "walk"]

CLAIM = (
    "Demons learn from one random walk what they were asked, off-policy and at a constant cost for each, and their "
    "tables make a universal value function."
)
PAPER = Paper("sutton2011", ("section 5", "section 6"))

WORLD, DISCOUNT, RANK = FourRooms(), 0.95, 20
STEPS = 200_000
COUNT, MOVES = AFTER.shape
DEMONS, FEWER = COUNT - COUNT // 5, 50
FITTED = Regression(steps=4_000)
RIDGE = 0.003  # a table of action values that is all known is to be met closely: actions differ by little
TRACE, CORRECTION = 0.6, 0.001
RATE, LAST_RATE, GREEDY_RATE = 0.5, 0.01, 0.5
CROWDS, CROWD_STEPS, AGAIN, TIMES = (1, 8, 64, 512, 4_096), 100, 5, 10
SEEDS, QUICK_SEEDS = 10, 3

ERROR, GOOD, HELD_OUT, MEANINGLESS, COSTLIER = 0.02, 0.95, 0.80, 0.25, 2.0
DOORS = [number for number, cell in enumerate(CELLS.tolist()) if cell in ([3, 6], [6, 2], [7, 9], [10, 6])]


class Tabulated(AbstractQuestion):
    """A question of numbered states: π by state and action, and c, γ and z on entering a state."""

    target: Float[Array | np.ndarray, "*demons states actions"]
    pays: Float[Array | np.ndarray, "*demons states"]
    on: Float[Array | np.ndarray, "*demons states"]
    end: Float[Array | np.ndarray, "*demons states"]

    def policy(self, observation: Int[Array, ""], values: Float[Array, "actions"]) -> Float[Array, "actions"]:
        return self.target[observation]

    def cumulant(self, observation: Int[Array, ""], action: Int[Array, ""], after: Int[Array, ""]) -> Float[Array, ""]:
        return self.pays[after]

    def continuation(self, observation: Int[Array, ""]) -> Float[Array, ""]:
        return self.on[observation]

    def payoff(self, observation: Int[Array, ""]) -> Float[Array, ""]:
        return self.end[observation]


def questions() -> dict[str, Tabulated]:
    """Five questions by name: three of the random walk, two of who mostly goes right."""
    everywhere, nothing = np.ones(COUNT), np.zeros(COUNT)
    first_room = np.all(CELLS < 6, axis=1) * 1.0
    outside_doors = np.where(np.isin(np.arange(COUNT), DOORS), 0.0, 0.95)
    last_door = (np.arange(COUNT) == DOORS[-1]) * 1.0
    walking, right = np.full((COUNT, MOVES), 0.25), np.tile([0.1, 0.7, 0.1, 0.1], (COUNT, 1))
    asked = {
        "cumulant": (walking, first_room, 0.9 * everywhere, nothing),
        "varying continuation": (walking, everywhere, outside_doors, nothing),
        "terminal payoff": (walking, nothing, outside_doors, last_door),
        "cumulant, of another policy": (right, first_room, 0.9 * everywhere, nothing),
        "terminal payoff, of another policy": (right, nothing, outside_doors, last_door),
    }
    return {name: Tabulated(*(np.asarray(each, np.float32) for each in parts)) for name, parts in asked.items()}


def solve(question: Tabulated) -> Float[np.ndarray, "states actions"]:
    """q of a question by its definition, as linear equations: q(s, a) = c(s′) + (1 − γ(s′)) z(s′) + γ(s′) v(s′)."""
    target, pays, on, end = (np.asarray(each, float) for each in jax.tree.leaves(question))
    earned = pays + (1.0 - on) * end
    leads = np.einsum("sa,san->sn", target, np.eye(COUNT)[AFTER])
    value = np.linalg.solve(np.eye(COUNT) - leads * on, leads @ earned)
    return (earned + on * value)[AFTER]


def walk(key: Key, steps: int) -> Rollout:
    """One random walk `[steps]` without an end, in which a cell is seen as its number."""
    start_key, move_key = jax.random.split(key)
    moves = jax.random.randint(move_key, (steps,), 0, MOVES)
    start = jax.random.randint(start_key, (), 0, COUNT)
    _, cells = jax.lax.scan(lambda cell, move: (jnp.array(AFTER, jnp.int32)[cell, move], cell), start, moves)
    first = jnp.arange(steps) == 0
    nothing, always = jnp.zeros(steps), jnp.ones(steps)
    after = Percept(jnp.array(AFTER, jnp.int32)[cells, moves], jnp.zeros(steps, bool))
    notes = {"log_prob": jnp.full(steps, -np.log(MOVES), jnp.float32)}
    return Step(Percept(cells, first), moves, nothing, always, jnp.zeros(steps, bool), after, notes=notes)


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    learning = (STEPS, DEMONS, FEWER, TRACE, CORRECTION, RATE, LAST_RATE, GREEDY_RATE, RIDGE, FITTED.steps)
    scores: Scores = {}
    for name, measure in {"answers": answers, "goals": goals}.items():
        observer.say(f"{name}: {STEPS:,} steps from each of {seeds} seeds ...")
        scores |= book(name, (name, seeds, *learning), partial(_each, measure, seeds))
    scores |= book("cost", ("cost", CROWDS, CROWD_STEPS, AGAIN, TIMES), cost)
    arms = arms_of(scores)
    verdicts = judge(arms, quick=quick)
    return conclude("horde", CLAIM, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds)


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    errors = [name for name in arms if name.startswith("error") and "for the walk" not in name]
    mistaken = [name for name in arms if name.startswith("error") and "for the walk" in name]
    good = partial(reaches, quick=quick)
    return (
        *(must_fail(arms[name], ERROR, claim=f"{name}: small", quick=quick) for name in errors),
        *(good(arms[name], ERROR, claim=f"{name}: large") for name in mistaken),
        good(arms["demons: own goals"], GOOD, claim="demons, off-policy: policy quality for their goals"),
        good(arms["universal: goals of demons"], GOOD, claim="two streams from the demons: quality for their goals"),
        good(arms["universal: other goals"], HELD_OUT, claim="two streams from the demons: quality for other goals"),
        must_fail(
            arms["universal: other goals, permuted"], MEANINGLESS, claim="goals permuted: poor policies", quick=quick
        ),
        must_fail(
            arms["a demon among 4,096 as a multiple of one among 512"],
            COSTLIER,
            claim="a demon among 4,096 costs not even twice what one among 512 does",
            quick=quick,
        ),
    )


def _each(measure: Callable[[Key], dict[str, Float[Array, ""]]], seeds: int) -> Scores:
    """The arms of a part, for each seed."""
    compiled = eqx.filter_jit(measure)
    found = [compiled(jax.random.key(seed)) for seed in range(seeds)]
    return {name: [float(each[name]) for each in found] for name in found[0]}


def answers(key: Key) -> dict[str, Float[Array, ""]]:
    """The errors of the demons that predict, and of those that take another policy for that of the walk."""
    asked = questions()
    rate = optax.exponential_decay(RATE, STEPS, LAST_RATE / RATE)
    horde = Horde(_crowd(list(asked.values())), _numbered, MOVES, rate, correction=CORRECTION, trace=TRACE)
    stream = walk(key, STEPS)
    found = jnp.swapaxes(horde.learn(horde.init(stream.percept.observation[0]), stream).weights, 1, 2)
    # What the walk itself would get is another answer.
    others = {name: question for name, question in asked.items() if "another policy" in name}
    walking = [replace(question, target=asked["cumulant"].target) for question in others.values()]
    horde = eqx.tree_at(lambda horde: horde.questions, horde, _crowd(walking))
    mistaken = jnp.swapaxes(horde.learn(horde.init(stream.percept.observation[0]), stream).weights, 1, 2)

    def error(answer: Float[Array, "states actions"], question: Tabulated) -> Float[Array, ""]:
        truth = solve(question)
        return jnp.sqrt(jnp.mean((answer - truth) ** 2)) / np.ptp(truth)

    return {f"error: {name}": error(each, asked[name]) for name, each in zip(asked, found, strict=True)} | {
        f"error: {name}, taken for the walk's": error(each, asked[name])
        for name, each in zip(others, mistaken, strict=True)
    }


def goals(key: Key) -> dict[str, Float[Array, ""]]:
    """The policies of the demons that want to reach a goal, and those of two streams that were taught by them."""
    order_key, walk_key, *keys = jax.random.split(key, 5)
    order = jax.random.permutation(order_key, COUNT)
    own, others = order[:DEMONS], order[DEMONS:]
    horde = Horde(Reach(own, _there, DISCOUNT), _numbered, MOVES, GREEDY_RATE, correction=0.0)
    stream = walk(walk_key, STEPS)
    learned = horde.learn(horde.init(stream.percept.observation[0]), stream).weights
    tables = jnp.transpose(learned, (2, 1, 0))  # [states, actions, goals]
    shown = WORLD.views()

    def quality(tables: Float[Array, "states actions goals"], goals: Int[Array, "goals"]) -> Float[Array, ""]:
        moves = jnp.argmax(tables, axis=1)
        return jnp.mean(jax.vmap(lambda moves, goal: WORLD.quality(moves, goal, DISCOUNT), (1, 0))(moves, goals))

    def universal(demons: int, wanted: Float[Array, "given told"], key: Key) -> Float[Array, "states actions all"]:
        """The action values of all goals, by what so many demons know and by how their goals were shown."""
        factor_key, network_key, fit_key = jax.random.split(key, 3)
        table = tables[..., :demons].reshape(-1, demons)
        embeddings = factorise(table, jnp.ones(table.shape, bool), RANK, key=factor_key, ridge=RIDGE)
        network = TwoStream(COUNT, wanted.shape[1], MOVES, network_key, rank=RANK)
        network = FITTED.embed(network, jnp.eye(COUNT), wanted, embeddings, key=fit_key)
        return universal_table(network, jnp.eye(COUNT), shown)

    found = universal(DEMONS, shown[own], keys[0])
    permuted = universal(DEMONS, shown[jax.random.permutation(keys[1], own)], keys[0])
    fewer = universal(FEWER, shown[order[:FEWER]], keys[2])
    return {
        "demons: own goals": quality(tables, own),
        "universal: goals of demons": quality(found[..., own], own),
        "universal: other goals": quality(found[..., others], others),
        "universal: other goals, permuted": quality(permuted[..., others], others),
        f"universal: other goals, {FEWER} demons": quality(fewer[..., order[FEWER:]], order[FEWER:]),
    }


def cost() -> Scores:
    """Microseconds that a step of the stream takes for each demon: the least of some, the crowds taking turns."""
    stream = jax.block_until_ready(eqx.filter_jit(walk)(jax.random.key(0), CROWD_STEPS))
    runs = {}
    for crowd in CROWDS:
        horde = Horde(Reach(jnp.arange(crowd) % COUNT, _there, DISCOUNT), _numbered, MOVES, GREEDY_RATE)
        state = horde.init(stream.percept.observation[0])
        runs[crowd] = partial(eqx.filter_jit(Horde.learn), horde, state, stream)
        jax.block_until_ready(runs[crowd]())
    taken: dict[int, list[float]] = {crowd: [] for crowd in CROWDS}
    for _ in range(TIMES):
        turn: dict[int, list[float]] = {crowd: [] for crowd in CROWDS}
        for _ in range(AGAIN):
            for crowd, learn in runs.items():
                started = time.perf_counter()
                jax.block_until_ready(learn())
                turn[crowd].append(1e6 * (time.perf_counter() - started) / CROWD_STEPS / crowd)
        for crowd in CROWDS:
            taken[crowd].append(min(turn[crowd]))  # whatever else a machine does only makes it slower
    ratios = [many / few for many, few in zip(taken[CROWDS[-1]], taken[CROWDS[-2]], strict=True)]
    words = {f"microseconds a step, for each of {crowd:,} demons": taken[crowd] for crowd in CROWDS}
    return words | {"a demon among 4,096 as a multiple of one among 512": ratios}


def _crowd(asked: list[Tabulated]) -> Tabulated:
    return jax.tree.map(lambda *each: jnp.stack(each), *asked)


def _numbered(cell: Int[Array, ""]) -> Float[Array, "states"]:
    return jax.nn.one_hot(cell, COUNT)


def _there(cell: Int[Array, ""], goal: Int[Array, ""]) -> Array:
    return cell == goal
