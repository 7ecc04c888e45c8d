"""Does a network that was trained without a model choose in the two-step task as if it had one?

Method: Wang and others, *Prefrontal cortex as a meta-reinforcement learning system*, Nature Neuroscience 2018: a long
short-term memory of 48 units, trained with a discount of 0.9 on episodes of 100 trials (common transitions 0.8,
reversals 0.025), whose weights then stay as they are. It is judged by what a trial earns and by its stay probabilities.
The paper trains by A2C, which learns it too; PPO takes a quarter of the episodes (`headstart.recipes.experience`).

A plot of these is not diagnostic by itself: `ModelFree` of `headstart.experience.classical.reversals` shows an
interaction of reward and transition too. What no learner of the actions' own values does is to stay *less* often where
an uncommon transition was rewarded than where it was not: the reversal, stay(unrewarded, uncommon) − stay(rewarded,
uncommon). `ModelBased` is who knows the task: nobody earns more.

Of the controls, a network that does not hear its rewards, one to which each trial is as the first, and one that was
trained where both transitions are as common, must earn nearly what any action does, within a tenth of the way to who
knows the task, and must not show the reversal.

Two controls that the field asks for are none in this task, and the study says so by its arms. Not to hear of one's last
action costs nothing: the place is seen, and what it paid tells which place is good, whoever led there. And to blank the
network's own memory, but to let it hear of the last trial, takes little: one trial tells the good place in 9 of 10
cases, and to act on it alone earns 0.682, which is above the bar, with the greatest reversal there is. That such rules
pass for plans, Akam and others showed (*Simple plans or sophisticated habits?*, PLoS Computational Biology 2015). So
the bars alone do not show that anything was learned over trials, and the network must also earn more than this rule by
hand, and more than the network that was left with it.
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
from headstart.experience.behaviour import behave, stay_probabilities
from headstart.experience.classical.reversals import ModelBased, ModelFree
from headstart.experience.prefrontal import reversal
from headstart.progress import AbstractObserver
from headstart.recipes.experience import prefrontal
from headstart.studies.book import Book, Scores
from headstart.studies.pupils import Blank, Deaf, Forgetful, Unaware, judged, taught
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
from headstart.worlds.tabular import TwoStep

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "A recurrent network that was trained by reward alone chooses in the two-step task as if it had a model of it, and "
    "learns over trials which choice is good, with its weights as they are."
)
PAPER = Paper("wang2018", ("simulation of the two-step task",))

SEEDS, QUICK_SEEDS = 5, 3
ITERATIONS, LANES, WIDTH = 96, 256, 48
EPISODES = 2_000  # that judge whoever is judged, for each seed
EARNED, REVERSED = 0.68, 0.15  # bars
KNOWING = 0.705  # what a trial earns who knows the task
HOPELESS = 0.5 + 0.1 * (KNOWING - 0.5)  # what a control may earn
WORLD = TwoStep()
STAYS = ("rewarded common", "rewarded uncommon", "unrewarded common", "unrewarded uncommon")

ABLE = "network"
DEAF, BLANK, RANDOM = "rewards not heard", "nothing remembered", "random transitions in training"
UNAWARE, LAST = "last action not heard", "last trial alone heard"
BASED, FREE, RULE = "model-based", "model-free", "last trial alone by rule"


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
        "two_step", CLAIM, PAPER, arms, judge(arms, quick=quick), quick=quick, seconds=book.seconds, kinds=book.kinds
    )


def pupils() -> dict[str, Online]:
    """Who is trained, by name."""

    def pupil(around: Callable[..., AbstractNetwork] = lambda inner: inner, world: TwoStep = WORLD) -> Online:
        plain = prefrontal(world, world.trials, ITERATIONS, lanes=LANES, width=WIDTH)
        return replace(plain, network=lambda key: around(plain.network(key)))

    return {
        ABLE: pupil(),
        DEAF: pupil(Deaf),
        BLANK: pupil(Blank),
        RANDOM: pupil(world=TwoStep(common=0.5)),
        UNAWARE: pupil(Unaware),
        LAST: pupil(Forgetful),
    }


def measured(name: str, network: AbstractNetwork, key: Key) -> dict[str, float]:
    """What a trial earns on average, the reversal, and the four stay probabilities."""
    found = behave(WORLD, network, EPISODES, WORLD.trials, key=key)
    stays = stay_probabilities(found)
    figures = {"reward": float(np.mean(found.reward)), "reversal": reversal(stays)}
    figures |= {f"stays after {what}": float(share) for what, share in zip(STAYS, np.ravel(stays), strict=True)}
    return {f"{name}, {what}": figure for what, figure in figures.items()}


def play(seeds: int) -> Scores:
    """The same of the players who were given a rule by hand."""
    players = {BASED: ModelBased(WORLD), FREE: ModelFree(), RULE: Forgetful(ModelBased(WORLD))}
    return {
        arm: found for each in players for arm, found in judged(players[each], seeds, partial(measured, each)).items()
    }


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    able = arms[f"{ABLE}, reward"]
    return (
        reaches(able, EARNED, claim=f"{ABLE}: earned in a trial", quick=quick),
        reaches(arms[f"{ABLE}, reversal"], REVERSED, claim=f"{ABLE}: reversal", quick=quick),
        *(
            verdict
            for name in (DEAF, BLANK, RANDOM)
            for verdict in (
                must_fail(arms[f"{name}, reward"], HOPELESS, claim=f"{name}: earns next to nothing", quick=quick),
                must_fail(arms[f"{name}, reversal"], REVERSED, claim=f"{name}: no reversal", quick=quick),
            )
        ),
        reaches(arms[f"{UNAWARE}, reward"], EARNED, claim=f"{UNAWARE}: nothing is lost by it", quick=quick),
        beats(able, arms[f"{RULE}, reward"], claim=f"{ABLE}: earns more than the {RULE}", quick=quick),
        beats(able, arms[f"{LAST}, reward"], claim=f"{ABLE}: earns more than with the {LAST}", quick=quick),
    )
