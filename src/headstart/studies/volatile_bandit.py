"""Does a recurrent network learn to learn faster where the world changes more often?

Method: Wang and others, *Prefrontal cortex as a meta-reinforcement learning system*, Nature Neuroscience 2018, after
Behrens and others, *Learning the value of information in an uncertain world*, Nature Neuroscience 2007: a long
short-term memory of 48 units, trained on episodes of 200 pulls of two arms, which change places with a probability of
0.01 after each pull in one half of the episodes and of 0.1 in the other. Its weights then stay as they are. From what
it chooses under either hazard, the learning rate is fitted of the learner with a constant one that is most likely to
have chosen so (`headstart.experience.behaviour.fit`); the ratio of the two is the score, which pairs two rates of one
network. No pull changes what later ones can earn, so it is trained with a discount of 0: at 0.9, as at longer returns,
rewards that the choice had no part in add noise, and the network that was tried so had a ratio at the very bar.

The model that is fitted has one value for both arms. With a value for each arm, of which the chosen one alone is
learned, an observer who takes every world for one of hazard 0.01 would have a ratio of 1.4, though it treats both
alike: see `headstart.experience.behaviour`. With one value its ratio is 1.0, and that of `IdealObserver`
(`headstart.experience.classical.reversals`), who infers the hazard, 1.6: there is little above the bar of 1.5 that a
network could reach.

Controls whose ratio must stay below the bar: a network whose own memory is blanked at each pull, though it hears of the
last one; and two that were trained under one hazard alone. One that does not hear its rewards has no learning rate to
speak of: it must earn nearly what any arm does, within a tenth of the way to who knows the family. That the able one
does learn is said by what it earns: nine tenths of that way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from headstart.configuration import configuration
from headstart.core.network import AbstractNetwork
from headstart.core.process import Online
from headstart.core.types import Key
from headstart.experience.classical.reversals import IdealObserver
from headstart.experience.prefrontal import learning_rates
from headstart.progress import AbstractObserver
from headstart.recipes.experience import prefrontal
from headstart.studies.book import Book, Scores
from headstart.studies.pupils import Deaf, Forgetful, judged, taught
from headstart.studies.study import Arm, Paper, Result, Verdict, arms_of, conclude, must_fail, reaches, seeds_of
from headstart.worlds.bandits import VolatileBandit

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "A recurrent network that has met worlds which change seldom and worlds which change often finds out in which one "
    "it is, and learns faster in the latter, with its weights as they are."
)
PAPER = Paper("wang2018", ("simulation of volatility",))

SEEDS, QUICK_SEEDS = 5, 3
ITERATIONS, LANES, WIDTH = 320, 256, 48
EPISODES = 1_000  # under each hazard, that judge whoever is judged, for each seed
RATIO = 1.5  # the bar
ANY, KNOWING = 0.5, 0.709  # what a pull earns by any arm, and on average over both hazards who knows the family
FOUND, FAILED = (ANY + share * (KNOWING - ANY) for share in (0.9, 0.1))
WORLD = VolatileBandit()

ABLE, DEAF, LAST = "network", "rewards not heard", "last pull alone heard"
ALONE = {f"hazard {hazard:g} alone in training": VolatileBandit((hazard,)) for hazard in WORLD.hazards}
IDEAL = "ideal observer"


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    scores = dict(book("players", (seeds, EPISODES, repr(WORLD)), partial(play, seeds)))
    for name, process in pupils().items():
        observer.say(f"{name}: {ITERATIONS * LANES:,} episodes from each of {seeds} seeds ...")
        about = (name, seeds, ITERATIONS, EPISODES, repr(WORLD), configuration(process))
        how = partial(taught, process, ITERATIONS, seeds, partial(measured, name))
        scores.update(book(name.replace(" ", "-"), about, how))
    arms = arms_of(scores)
    return conclude(
        "volatile_bandit",
        CLAIM,
        PAPER,
        arms,
        judge(arms, quick=quick),
        quick=quick,
        seconds=book.seconds,
        kinds=book.kinds,
    )


def pupils() -> dict[str, Online]:
    """Who is trained, by name."""

    def pupil(around: Callable[..., AbstractNetwork] = lambda inner: inner, world: VolatileBandit = WORLD) -> Online:
        plain = prefrontal(world, world.pulls, ITERATIONS, discount=0.0, lanes=LANES, width=WIDTH)
        return replace(plain, network=lambda key: around(plain.network(key)))

    alone = {name: pupil(world=world) for name, world in ALONE.items()}
    return {ABLE: pupil(), DEAF: pupil(Deaf), LAST: pupil(Forgetful), **alone}


def measured(name: str, network: AbstractNetwork, key: Key) -> dict[str, float]:
    """What a pull earns on average over both hazards, the learning rate under each, and how many times the first it is.

    Of who does not hear of rewards, only what it earns: no learning rate would say anything.
    """
    found = learning_rates(WORLD, network, EPISODES, key=key)
    reward = {f"{name}, reward": float(np.mean([np.mean(seen.reward) for seen, _ in found.values()]))}
    if name == DEAF:
        return reward
    low, high = (float(fitted.rate) for _, fitted in found.values())
    rates = {f"{name}, learning rate under {hazard:g}": rate for hazard, rate in zip(found, (low, high), strict=True)}
    return reward | rates | {f"{name}, ratio of learning rates": high / low}


def play(seeds: int) -> Scores:
    """The same of who knows the family, and of who takes it for a family of one hazard."""
    players = {IDEAL: IdealObserver(WORLD)}
    players |= {f"{IDEAL} of {world.hazards[0]:g} alone": IdealObserver(world) for world in ALONE.values()}
    return {
        arm: found for each in players for arm, found in judged(players[each], seeds, partial(measured, each)).items()
    }


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    ratio = lambda name: arms[f"{name}, ratio of learning rates"]
    return (
        reaches(ratio(ABLE), RATIO, claim=f"{ABLE}: ratio of learning rates", quick=quick),
        reaches(arms[f"{ABLE}, reward"], FOUND, claim=f"{ABLE}: nine tenths of what can be earned", quick=quick),
        *(
            must_fail(ratio(name), RATIO, claim=f"{name}: no such ratio of learning rates", quick=quick)
            for name in (LAST, *ALONE)
        ),
        must_fail(arms[f"{DEAF}, reward"], FAILED, claim=f"{DEAF}: earns next to nothing", quick=quick),
    )
