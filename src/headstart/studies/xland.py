"""Does who has played many rulesets of XLand-MiniGrid find out, within a few episodes, what a new one asks?

Method: RL² (Duan and others, 2016) as the baseline of XLand-MiniGrid (Nikulin and others, 2024) has it: a gated
recurrent unit that sees the tiles before it, hears what it did and what that earned, and is trained by PPO on the
return of whole trials, which are five episodes of one ruleset. Four things lie in a room, in other places in each
episode, and one of them is to be held, or to be next to: which, is not told. It is judged in goals that no training
met, nor anything else with the same rules: a fifth of them is held out. Nothing is learned by gradient there.

To be shown: it earns more in the fifth episode than in the first, by 0.15 and by a factor of 1.4, and the fifth episode
of those who do badly (the 20th percentile) is worth more than that of the same network whose memory is blanked before
each episode. The sum of all five, which is the score of XLand-MiniGrid's benchmarks, is measured beside them.

Controls that must fail, which is to gain less than a third of what is asked for between the first episode and the
fifth: the same network with its memory blanked before each episode, last action and reward included (so each is its
first), and one that is trained and judged in trials of which each episode has another ruleset. A network that is
trained without hearing what it earns must gain less than one that does. It need not gain nothing: that a goal was
reached also shows in the room, in which all things have changed places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np

from headstart.configuration import configuration
from headstart.core.network import AbstractNetwork
from headstart.core.process import Online
from headstart.core.types import Key
from headstart.core.wrappers import Trials
from headstart.evaluation import fingerprint
from headstart.experience.trials import played
from headstart.experience.xland import PERCENTILE, benchmark, score
from headstart.progress import AbstractObserver
from headstart.recipes.experience import exploring
from headstart.studies.book import Book, Scores
from headstart.studies.pupils import Deaf, taught
from headstart.studies.rl2 import Unrelated
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

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "A recurrent network that was trained in many rulesets of XLand-MiniGrid earns more in the fifth episode of one "
    "that it never met than in the first, and by its memory alone."
)
PAPER = Paper("nikulin2024xland", ("the evaluation by consecutive episodes of one ruleset",))

TRIALS = 4_096  # that judge a network
SEEDS, QUICK_SEEDS = 3, 3
ITERATIONS = 480
GAIN, FACTOR = 0.15, 1.4  # bars: of the fifth episode over the first
FAILED = GAIN / 3  # what a control may gain

ABLE, BLANKED = "RL²", "memory blanked each episode"
DEAF, UNRELATED = "rewards not heard", "another ruleset each episode"


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    training, held_out = benchmark()
    rulesets = fingerprint((training.world, held_out.world))
    scores: Scores = {}
    for name, process in pupils(training).items():
        steps = ITERATIONS * process.lanes * process.length
        observer.say(f"{name}: {steps:,} steps from each of {seeds} seeds ...")
        about = (name, seeds, ITERATIONS, TRIALS, rulesets, configuration(process))
        how = partial(taught, process, ITERATIONS, seeds, partial(judged, name, held_out))
        scores.update(book(name.replace(" ", "-"), about, how))
    arms = arms_of(scores)
    return conclude(
        "xland", CLAIM, PAPER, arms, judge(arms, quick=quick), quick=quick, seconds=book.seconds, kinds=book.kinds
    )


def pupils(training: Trials) -> dict[str, Online]:
    """Who is trained, by name."""

    def pupil(
        trials: type[Trials] = Trials, around: Callable[[AbstractNetwork], AbstractNetwork] = lambda inner: inner
    ) -> Online:
        plain = exploring(trials(training.world, training.episodes), ITERATIONS)
        return replace(plain, network=lambda key: around(plain.network(key)))

    return {ABLE: pupil(), DEAF: pupil(around=Deaf), UNRELATED: pupil(trials=Unrelated)}


def judged(name: str, held_out: Trials, network: AbstractNetwork, key: Key) -> dict[str, float]:
    """What a network earns in rulesets that were held out: in each episode, and in all of a trial."""
    keep_key, blank_key = jax.random.split(key)
    kind = Unrelated if name == UNRELATED else Trials
    found = figures(name, played(kind(held_out.world, held_out.episodes), network, TRIALS, key=keep_key))
    if name != ABLE:
        return found
    # As many first episodes, five to a row: whoever has no memory of the others plays each as its first.
    count = TRIALS * held_out.episodes
    alone = played(Trials(held_out.world, 1), network, count, key=blank_key).reshape(TRIALS, held_out.episodes)
    return found | figures(BLANKED, alone)


def figures(name: str, returns: np.ndarray) -> dict[str, float]:
    """All that is said of the returns `[trials, episodes]` of one network."""
    mean = returns.mean(axis=0)
    found = {f"{name}, {number} episodes before": float(earned) for number, earned in enumerate(mean)}
    found |= {f"{name}, {what}": figure for what, figure in score(returns).items()}
    found[f"{name}, gained"] = float(mean[-1] - mean[0])
    found[f"{name}, last by first"] = float(mean[-1] / max(mean[0], 1e-3))
    found[f"{name}, 20th percentile of the last"] = float(np.percentile(returns[:, -1], PERCENTILE))
    return found


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    last = "20th percentile of the last"
    return (
        reaches(arms[f"{ABLE}, gained"], GAIN, claim="gained from the first episode to the fifth", quick=quick),
        reaches(arms[f"{ABLE}, last by first"], FACTOR, claim="the fifth episode by the first", quick=quick),
        beats(
            arms[f"{ABLE}, {last}"],
            arms[f"{BLANKED}, {last}"],
            claim=f"{last} is above that with {BLANKED}",
            quick=quick,
        ),
        *(
            must_fail(arms[f"{name}, gained"], FAILED, claim=f"{name}: gains nothing", quick=quick)
            for name in (BLANKED, UNRELATED)
        ),
        beats(arms[f"{ABLE}, gained"], arms[f"{DEAF}, gained"], claim=f"{DEAF}: gains less", quick=quick),
    )
