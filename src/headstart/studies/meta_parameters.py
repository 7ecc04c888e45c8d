"""Do learning rate, inverse temperature and discount find their own values?

Method: Q-learning on rings (`headstart.worlds.rings`), whose three meta-parameters are tuned by the rule of
Schweighofer and Doya, 2003 (`headstart.experience.meta_parameters`), with 200 agents side by side, each with
meta-parameters of its own. An agent solves its ring if it earns more than 0.95 of the most that can be earned over the
last 5,000 of 30,000 steps. A score is the share of agents that do, with Wilson's interval.

Starts, all with a learning rate of 0.1 (the paper's 0 has no finite b): two that do not solve a ring of 4 states if
left alone, one that does, and two on a ring of 10.

Controls that must fail: meta-parameters that stay as they were; noise, and nothing learned from it (μ = 0); σ permuted
between agents before each update; the σ of one and the same other agent; and normal noise of the same mean square in
place of r̄ − r̿, drawn anew in each step. **Another's noise** is the hardest of them. With permuted noise or a white
signal, the sign changes from step to step, and b moves less. Another's noise stays for 100 steps, as one's own does,
and b moves as far as with the rule, but anywhere: that is search at random. The first run had this control in the place
of permuted noise. It solved a ring of 4 from bad starts in 0.22 and 0.24 of all cases: far below the rule, but with
intervals that leave room for more than a quarter, the bar of all controls. Permuted noise, drawn anew before each
update as had been planned, was added then, and stays below it. Both are held to the same bar.

**What was to be expected.** The paper shows single runs. Its replication by Sarazin, Khamassi, Rano and Girard (300
runs for each start) found that success hangs on the start, falls with the number of states, and that nothing is solved
from β = 10 and γ = 0.5 but with 4 states. So a ring of 10 is a negative result here too, and is claimed as one: the
rule comes to less than half there, and is not shown to be better than permuted noise. A good start, it makes worse.

**The switch.** On a ring of 8, the large reward is 2 for 20,000 steps, when it pays to take the small rewards, and then
12, when it pays to go the other way. Shares are reported, and nothing is claimed of them: r̄ − r̿ falls for all σ
alike, so which way each meta-parameter then moves is chance.

**Curves** show agents with the rule, in 10 groups, each by the mean reward of 5,000 steps, as a share of the most that
can be earned, and by the medians of its meta-parameters without their noise, β in hundreds.
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
from jaxtyping import Array, Float, Int, Shaped

from headstart.configuration import configuration
from headstart.core.process import Online, OnlineState
from headstart.core.scan import scan
from headstart.core.types import Key
from headstart.experience.meta_parameters import MetaParameters, Positive, Share
from headstart.progress import AbstractObserver
from headstart.scratch.q_learning import QLearning, Table
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
from headstart.worlds.rings import LARGE, Ring

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "Tuned by what slow noise does to rewards, learning rate, temperature and discount leave bad starts on a ring of 4 "
    "states. On one of 10 they do no better than by chance, and a good start is made worse."
)
PAPER = Paper("schweighofer2003meta", ("figure 1", "figure 2"))

AGENTS, QUICK_AGENTS = 200, 20
PIECE = 1_000  # steps
STEADY, SWITCH = (30,), (20, 20)  # pieces; before and after the switch
FINAL = 5  # pieces that an agent is judged by, and from one point of a curve to the next
SOLVED = 0.95  # of the most that can be earned
HALF, STAYS, FAILED = 0.5, 0.05, 0.25  # bars: the rule, nothing tuned, the other controls
GROUPS = 10
ACROSS = "agents"


class Permuted(MetaParameters):
    """A control: before each update, the noises of all agents are permuted among them."""

    def signal(self, difference: Float[Array, ""], noise: Float[Array, "tuned"], *, key: Key) -> Float[Array, "tuned"]:
        order = jnp.argsort(jax.lax.all_gather(jax.random.uniform(key), ACROSS))
        noises = jax.lax.all_gather(noise, ACROSS)
        return difference * noises[order[jax.lax.axis_index(ACROSS)]]


class Others(MetaParameters):
    """A control: each b learns from the noise of another agent, which is the same one for ever."""

    def signal(self, difference: Float[Array, ""], noise: Float[Array, "tuned"], *, key: Key) -> Float[Array, "tuned"]:
        count = jax.lax.psum(1, ACROSS)
        following = [(agent, (agent + 1) % count) for agent in range(count)]
        return difference * jax.lax.ppermute(noise, ACROSS, following)


class White(MetaParameters):
    """A control: in place of r̄ − r̿ is a normal number of the mean square that it has among the agents."""

    def signal(self, difference: Float[Array, ""], noise: Float[Array, "tuned"], *, key: Key) -> Float[Array, "tuned"]:
        size = jnp.sqrt(jax.lax.pmean(difference**2, ACROSS))
        return size * jax.random.normal(key) * noise


RULE = "rule"
PLAYERS: dict[str, tuple[type[MetaParameters], float, float]] = {  # with μ and ν
    RULE: (MetaParameters, 0.2, 1.0),
    "fixed": (MetaParameters, 0.0, 0.0),
    "noise alone": (MetaParameters, 0.0, 1.0),
    "permuted noise": (Permuted, 0.2, 1.0),
    "another's noise": (Others, 0.2, 1.0),
    "white signal": (White, 0.2, 1.0),
}


@dataclass(frozen=True)
class Start:
    """A ring, and the inverse temperature and the discount with which an agent begins in it."""

    states: int
    beta: float
    gamma: float

    def __str__(self) -> str:
        return f"{self.states} states from β {self.beta:g} and γ {self.gamma:g}"


BAD = (Start(4, 10.0, 0.5), Start(4, 1.0, 0.5))
GOOD = Start(4, 1.0, 0.99)
LARGER = (Start(10, 1.0, 0.99), Start(10, 10.0, 0.5))
SWITCHED = Start(8, 1.0, 0.5)
SMALL_FIRST = 2.0  # the large reward before the switch
COMPARED = (RULE, "fixed", "noise alone")  # after it


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    agents = seeds_of(seeds, quick=quick, full=AGENTS, few=QUICK_AGENTS)
    scores: Scores = {}

    for start, pieces in {**dict.fromkeys((*BAD, GOOD, *LARGER), STEADY), SWITCHED: SWITCH}.items():
        players = {player: pupil(start, player) for player in PLAYERS if start != SWITCHED or player in COMPARED}
        observer.say(f"{start}: {sum(pieces) * PIECE:,} steps of {agents} agents, {len(players)} times ...")
        about = (agents, pieces, PIECE, FINAL, SOLVED, SMALL_FIRST, configuration(list(players.values())))
        learned = partial(learn, start, players, pieces, agents)
        scores |= book(f"{start.states}-states-{start.beta:g}-{start.gamma:g}", about, learned)
    drawn = {name for name in scores if name.endswith(" steps")}
    shares = {name: Arm.share(found) for name, found in scores.items() if name not in drawn}
    arms = shares | arms_of({name: scores[name] for name in scores if name in drawn})
    return conclude(
        "meta_parameters",
        CLAIM,
        PAPER,
        arms,
        judge(arms, quick=quick),
        quick=quick,
        seconds=book.seconds,
        kinds=book.kinds,
    )


def pupil(start: Start, player: str) -> Online:
    """An agent, alone in its ring: it learns from each step before the next."""
    kind, rate, spread = PLAYERS[player]
    learner = QLearning(
        learning_rate=jnp.array(0.1), inverse_temperature=jnp.array(start.beta), discount=jnp.array(start.gamma)
    )
    tuned = (Share("learning_rate"), Positive("inverse_temperature"), Share("discount"))
    tuning = kind(learner, tuned, rate=jnp.array(rate), spread=jnp.array(spread))
    world = Ring(start.states, LARGE[start.states])
    return Online(world, partial(Table, world), tuning, lanes=1, length=1)


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    controls = [player for player in PLAYERS if player != RULE]

    def rescued(start: Start) -> tuple[Verdict, ...]:
        ruled, others = arms[f"{start}, {RULE}"], [arms[f"{start}, {player}"] for player in controls]
        strongest = max(others, key=lambda arm: arm.estimate.interval or (arm.iqm, arm.iqm))
        return (
            reaches(ruled, HALF, claim=f"{start}: half of all agents solve it", quick=quick),
            beats(ruled, strongest, claim=f"{start}: more than with any control", quick=quick),
            *(
                must_fail(
                    arms[f"{start}, {player}"],
                    STAYS if player == "fixed" else FAILED,
                    claim=f"{start}, {player}: fails",
                    quick=quick,
                )
                for player in controls
            ),
        )

    def hopeless(start: Start) -> tuple[Verdict, ...]:
        ruled, permuted = arms[f"{start}, {RULE}"], arms[f"{start}, permuted noise"]
        return (
            must_fail(ruled, HALF, claim=f"{start}: the rule fails", quick=quick),
            nowhere_below(permuted, ruled, claim=f"{start}: permuted noise is not shown to be worse", quick=quick),
        )

    fixed, ruled = arms[f"{GOOD}, fixed"], arms[f"{GOOD}, {RULE}"]
    return (
        *(verdict for start in BAD for verdict in rescued(start)),
        beats(fixed, ruled, claim=f"{GOOD}: the rule does worse than what it began with", quick=quick),
        *(verdict for start in LARGER for verdict in hopeless(start)),
    )


def learn(start: Start, players: Mapping[str, Online], pieces: tuple[int, ...], agents: int) -> Scores:
    """Who solves the ring, with each player in turn, and the curves of the rule where they are drawn."""
    scores: Scores = {}
    for player, process in players.items():
        share, values = lives(process, pieces, agents)
        ends = np.cumsum(pieces)
        *before, solved = [share[end - FINAL : end].mean(axis=0) > SOLVED for end in ends]
        found = {f"{start}, {player}": solved}
        if before:
            again = solved[before[-1]]
            found |= {f"{start}, {player}: before the switch": before[-1]}
            found |= {f"{start}, {player}: again, of those": again} if again.size else {}
        scores |= {name: each.astype(float).tolist() for name, each in found.items()}
        if player == RULE and start in (*BAD, SWITCHED):
            scores |= _curves(start, share, values)
    return scores


def lives(
    process: Online, pieces: tuple[int, ...], agents: int
) -> tuple[Float[np.ndarray, "pieces agents"], Float[np.ndarray, "pieces agents 3"]]:
    """What agents that learn side by side earned in each piece, as a share of the most, and the values they reached.

    The large reward is the ring's own in the last of the periods, and `SMALL_FIRST` in one before.
    """
    ring: Any = process.world
    tuning: Any = process.learner
    init_key, step_key = jax.random.split(jax.random.key(0))
    keys = jax.random.split(step_key, agents)
    states = _begin(process, jax.random.split(init_key, agents))
    share: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for large in [SMALL_FIRST] * sum(pieces[:-1]) + [ring.large] * pieces[-1]:
        states = eqx.tree_at(lambda states: states.lanes.task.parameters, states, jnp.full((agents, 1), large))
        states, earned = _go_on(process, states, keys, jnp.array(len(share) * PIECE))
        share.append(np.asarray(earned) / Ring(ring.states, large, ring.small).best)
        bases = states.learner.base
        reached = [jax.vmap(each.value)(bases[:, at]) for at, each in enumerate(tuning.tuned)]
        values.append(np.stack(reached, axis=-1))
    return np.stack(share), np.stack(values)


def _curves(start: Start, share: np.ndarray, values: np.ndarray) -> Scores:
    """The agents in groups, after every `FINAL` pieces."""
    scores: Scores = {}
    groups = np.array_split(np.arange(share.shape[1]), min(GROUPS, share.shape[1]))
    for end in range(FINAL, len(share) + 1, FINAL):
        at = f"{end * PIECE:,} steps"
        earned = share[end - FINAL : end].mean(axis=0)
        scores[f"{start}: reward, {at}"] = [float(earned[group].mean()) for group in groups]
        for name, value in zip(("α", "β in hundreds", "γ"), (values[end - 1] * [1.0, 0.01, 1.0]).T, strict=True):
            scores[f"{start}: {name}, {at}"] = [float(np.median(value[group])) for group in groups]
    return scores


@eqx.filter_jit
def _begin(process: Online, keys: Shaped[Array, "agents"]) -> OnlineState:
    return eqx.filter_vmap(lambda key: process.init(key=key))(keys)


@eqx.filter_jit
def _go_on(
    process: Online, states: OnlineState, keys: Shaped[Array, "agents"], done: Int[Array, ""]
) -> tuple[OnlineState, Float[Array, "agents"]]:
    """The agents after a piece, and what each earned a step."""

    def one(state: OnlineState, key: Key) -> tuple[OnlineState, Float[Array, ""]]:
        def step(state: OnlineState, index: Int[Array, ""]) -> tuple[OnlineState, Float[Array, ""]]:
            state, _ = process.step(state, key=jax.random.fold_in(key, index))
            earned = state.lanes.percept.reward  # by this very step: nothing is ever reset
            assert earned is not None
            return state, earned[0]

        state, rewards = scan(step, state, done + jnp.arange(PIECE))
        return state, jnp.mean(rewards)

    return eqx.filter_vmap(one, axis_name=ACROSS)(states, keys)
