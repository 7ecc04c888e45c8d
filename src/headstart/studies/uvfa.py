"""Can one function hold the values of all goals, also of those never trained on?

Method: in four rooms (104 cells, γ = 0.95) a table of known values V(s, g) is factorised to rank 20, two networks are
regressed onto the embeddings, and their product is the value of every state and goal. Known are a half of the entries,
or all of the goals but a fifth. Cells and goals are shown by their coordinates. Such goals are then learned by
bootstrapping, from these networks and from fresh ones: most are known well enough from the start, which counts as one
step. So are goals in a room of which no goal was known, where something is left to learn.

Ablations: one stream with as many weights, and two streams from end to end, at equal gradient steps. Controls that must
fail: goals shown to the network of goals under another's coordinates; rank 1; goals shown as one of 104 numbers, which
says nothing of a goal that is held out.

The score is the quality of the policy: the true discounted return of the best move by one look ahead, over all starts
together, as a share of the best return there is. It is computed, not sampled, and averaged over goals. The paper's
policies are softmax; ours are greedy, which forgives less, and the look ahead knows that to enter the goal earns 1.
Rank 2 at its best has a quality of 0.35 (the singular values of the true table), so that rank 1 must stay below it.

Told, and not judged: what either reaches in four times the gradient steps, of which one stream makes more use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key
from headstart.goals.uvfa import (
    AbstractUniversal,
    OneStream,
    Regression,
    TwoStream,
    factorise,
    universal_table,
)
from headstart.progress import AbstractObserver
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
from headstart.worlds.four_rooms import AFTER, CELLS, FourRooms

__all__ = ["CLAIM", "PAPER", "policy_quality", "run"]

CLAIM = (
    "Two streams, regressed onto the factors of a table of known values, have good policies for entries and goals that "
    "the table lacks, where one stream has worse ones."
)
PAPER = Paper("schaul2015", ("section 4.1", "section 4.2", "section 4.3"))

WORLD, DISCOUNT, RANK = FourRooms(), 0.95, 20
FITTED = Regression()
LONGER = 4  # times as many gradient steps, for the arms that are told only
HELD_OUT = len(CELLS) // 5
WIDE = 194  # of one stream, so that it has as many weights as two of 128
FOURTH = np.flatnonzero((CELLS[:, 0] > 7) & (CELLS[:, 1] > 6))  # the cells of the room at the lower right
NEW_GOALS, NEW_STEPS, NEW_RATE = 8, 1_000, 1e-3  # goals that are learned anew; gradient steps at most; their rate
LEARNED = 0.9  # the quality at which a new goal counts as learned
SEEDS, QUICK_SEEDS = 10, 3

ENTRIES, GOALS, MARGIN, FASTER = 0.95, 0.80, 0.05, 3.0
MEANINGLESS, RANK_2 = 0.25, 0.35


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    settings = (seeds, RANK, FITTED.steps, FITTED.batch, FITTED.learning_rate, LONGER, NEW_GOALS, NEW_STEPS, NEW_RATE)
    scores: Scores = {}
    for name, measure in PARTS.items():
        observer.say(f"{name}: {seeds} seeds ...")
        scores |= book(name.replace(" ", "-"), (name, *settings), partial(_each, measure, seeds))
    arms = arms_of(scores)
    verdicts = judge(arms, quick=quick)
    return conclude("uvfa", CLAIM, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds)


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    two, one = arms["held-out goals: two streams"], arms["held-out goals: one stream"]

    def faster(name: str) -> Verdict:
        claim = f"{name}: learned so many times faster from embeddings"
        return reaches(arms[f"{name}: times faster"], FASTER, claim=claim, quick=quick)

    def fails(name: str, bar: float) -> Verdict:
        return must_fail(arms[name], bar, claim=f"{name}: poor policies", quick=quick)

    return (
        reaches(arms["entries: half known"], ENTRIES, claim="half of the entries known: policy quality", quick=quick),
        reaches(two, GOALS, claim="held-out goals: policy quality of two streams", quick=quick),
        beats(two, one, by=MARGIN, claim="held-out goals: two streams are above one", quick=quick),
        faster("held-out goals"),
        faster("a new room"),
        fails("held-out goals: goals permuted", MEANINGLESS),
        fails("held-out goals: one-hot", MEANINGLESS),
        fails("held-out goals: rank 1", RANK_2),
        fails("entries: half known, rank 1", RANK_2),
    )


def _each(measure: Callable[[Key], dict[str, Float[Array, ""]]], seeds: int) -> Scores:
    """The arms of a part, for each seed: one program, seed after seed, for networks side by side gain nothing here."""
    compiled = eqx.filter_jit(measure)
    found = [compiled(jax.random.key(seed)) for seed in range(seeds)]
    return {name: [float(each[name]) for each in found] for name in found[0]}


def entries(key: Key) -> dict[str, Float[Array, ""]]:
    """Arms of which a share of all entries is known, whatever their goals."""
    table, shown = WORLD.values(DISCOUNT), WORLD.views()
    known_key, *keys = jax.random.split(key, 5)
    chance = jax.random.uniform(known_key, table.shape)
    asked = {"a quarter": (0.25, RANK), "half": (0.5, RANK), "three quarters": (0.75, RANK), "half, rank 1": (0.5, 1)}

    def arm(share: float, rank: int, key: Key) -> Float[Array, ""]:
        return jnp.mean(policy_quality(taught(shown, shown, table, chance < share, rank, key)(shown)))

    names = ("a quarter known", "half known", "three quarters known", "half known, rank 1")
    return {
        f"entries: {name}": arm(*each, arm_key) for name, each, arm_key in zip(names, asked.values(), keys, strict=True)
    }


def goals(key: Key) -> dict[str, Float[Array, ""]]:
    """Arms of which all is known of four fifths of the goals, and nothing of the others, for which they are judged."""
    order_key, embed_key, one_key, other_key, permute_key = jax.random.split(key, 5)
    order = jax.random.permutation(order_key, len(CELLS))
    held_out, given = order[:HELD_OUT], order[HELD_OUT:]
    shown, numbered = WORLD.views(), jnp.eye(len(CELLS))
    table = WORLD.values(DISCOUNT)[:, given]
    known = jnp.ones(table.shape, bool)

    def quality(found: Callable, wanted: Array = shown) -> Float[Array, ""]:
        return jnp.mean(policy_quality(found(wanted))[held_out])

    def two(steps: int = 1, rank: int = RANK, wanted: Array = shown[given]) -> Callable:
        return taught(shown, wanted, table, known, rank, embed_key, steps)

    def from_end_to_end(network: AbstractUniversal, steps: int = 1) -> Float[Array, ""]:
        fitted = _longer(steps).fit(network, shown, shown[given], table, known, key=other_key)
        return quality(lambda wanted: universal_table(fitted, shown, wanted)[:, 0])

    one = OneStream(shown.shape[1], shown.shape[1], 1, one_key, width=WIDE)
    fresh = TwoStream(shown.shape[1], shown.shape[1], 1, one_key, rank=RANK)
    found = {
        "two streams": quality(two()),
        "one stream": from_end_to_end(one),
        "two streams from end to end": from_end_to_end(fresh),
        "two streams, four times the steps": quality(two(LONGER)),
        "one stream, four times the steps": from_end_to_end(one, LONGER),
        "goals permuted": quality(two(wanted=shown[given][jax.random.permutation(permute_key, len(given))])),
        "one-hot": quality(two(wanted=numbered[given]), numbered),
        "rank 1": quality(two(rank=1)),
    }
    return {f"held-out goals: {name}": score for name, score in found.items()}


def new_goals(key: Key) -> dict[str, Float[Array, ""]]:
    """How much faster goals are learned by who knows the values of others: held-out goals, and those of a new room."""
    order_key, draw_key, embed_key, fresh_key = jax.random.split(key, 4)
    shown, table = WORLD.views(), WORLD.values(DISCOUNT)
    order = jax.random.permutation(order_key, len(CELLS))
    fourth = jax.random.permutation(draw_key, jnp.array(FOURTH))
    others = jnp.array(np.setdiff1d(np.arange(len(CELLS)), FOURTH))
    splits = {"held-out goals": (order[HELD_OUT:], order[:HELD_OUT]), "a new room": (others, fourth)}
    fresh = TwoStream(shown.shape[1], shown.shape[1], 1, fresh_key, rank=RANK)
    found: dict[str, Float[Array, ""]] = {}
    for name, (given, new) in splits.items():
        known = jnp.ones((len(CELLS), len(given)), bool)
        embedded = embed(shown, shown[given], table[:, given], known, RANK, embed_key)
        taken = [jnp.mean(jax.lax.map(partial(steps_to_learn, each), new[:NEW_GOALS])) for each in (fresh, embedded)]
        found |= {
            f"{name}: gradient steps from scratch": taken[0],
            f"{name}: gradient steps from embeddings": taken[1],
            f"{name}: times faster": taken[0] / taken[1],
        }
    return found


PARTS = {"entries": entries, "goals": goals, "new goals": new_goals}


def embed(
    shown: Float[Array, "cells seen"],
    wanted: Float[Array, "goals told"],
    table: Float[Array, "cells goals"],
    known: Bool[Array, "cells goals"],
    rank: int,
    key: Key,
    steps: int = 1,
) -> TwoStream:
    """Stages 1 and 2."""
    factor_key, network_key, fit_key = jax.random.split(key, 3)
    embeddings = factorise(table, known, rank, key=factor_key)
    network = TwoStream(shown.shape[1], wanted.shape[1], 1, network_key, rank=rank)
    return _longer(steps).embed(network, shown, wanted, embeddings, key=fit_key)


def taught(shown: Array, wanted: Array, table: Array, known: Array, rank: int, key: Key, steps: int = 1) -> Callable:
    """What two streams say of any goals after stages 1 and 2: a function from goals, as they are shown, to V(s, g)."""
    network = embed(shown, wanted, table, known, rank, key, steps)
    return lambda goals: universal_table(network, shown, goals)[:, 0]


def steps_to_learn(network: TwoStream, goal: Int[Array, ""]) -> Float[Array, ""]:
    """Gradient steps until the policy for a goal is good, by bootstrapping: V(s, g) ← γ maxₐ V(s′, g), and V(g, g) = 1.

    All cells are in every step, and targets are of the network as it is. What is good at once counts as one step.
    """
    shown, optimiser = WORLD.views(), optax.adam(NEW_RATE)
    learned, rest = eqx.partition(network, eqx.is_inexact_array)

    def values(learned: TwoStream) -> Float[Array, "cells"]:
        return universal_table(eqx.combine(learned, rest), shown, shown[goal][None])[:, 0, 0]

    def poor(carry) -> Bool[Array, ""]:
        learned, _, steps = carry
        moves = WORLD.lookahead(values(learned), goal)
        return (WORLD.quality(moves, goal, DISCOUNT) < LEARNED) & (steps < NEW_STEPS)

    def step(carry):
        learned, state, steps = carry
        now = jnp.minimum(values(learned), 1.0).at[goal].set(1.0)
        targets = (DISCOUNT * jnp.max(now[AFTER], axis=1)).at[goal].set(1.0)
        gradient = jax.grad(lambda learned: jnp.mean((values(learned) - targets) ** 2))(learned)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(learned, updates), state, steps + 1

    start = (learned, optimiser.init(learned), jnp.zeros((), jnp.int32))
    return jnp.maximum(jax.lax.while_loop(poor, step, start)[2], 1).astype(jnp.float32)


def policy_quality(values: Float[Array, "cells goals"]) -> Float[Array, "goals"]:
    """Of the best moves by V(s, g), for every goal."""
    each = lambda values, goal: WORLD.quality(WORLD.lookahead(values, goal), goal, DISCOUNT)
    return jax.vmap(each, in_axes=(1, 0))(values, jnp.arange(len(CELLS)))


def _longer(times: int) -> Regression:
    return Regression(FITTED.steps * times, FITTED.batch, FITTED.learning_rate)
