"""Can a recurrent network learn how to find its way in a new task, from many tasks like it?

Method: RL² (Duan and others, 2016), a network that remembers, trained by PPO on the return of whole trials, which are
several episodes of one task: bandits of 5 arms with 10 and with 100 pulls, and tabular MDPs of 10 states with 10
episodes. Nothing is learned by gradient in the tasks that judge it, and the policy is sampled as in training.

The paper's memory is a gated recurrent unit, trained on up to 250 million steps. In a thirtieth of them, one has not
learned to keep apart what it did in ten states; memory here is `headstart.memory.fast_weights.FastWeights`, which is
built to. The gated unit is an arm beside it, as wide and trained as long, of which nothing is claimed. To find the best
arm in 100 pulls takes the most training, in small batches and with long traces: one seed came to 75.4 after 6 million
pulls in 512 lanes, and in 128 lanes with λ 0.9 to 76.5, 76.7 and 77.3 after 3, 6 and 12 million, so that it is
49 million here.

Beside it, on tasks of the same family, the classical players of `headstart.experience.classical`, who were told the
family: UCB with its constant tuned on the very tasks that it is judged by (untuned it proves nothing), and posterior
sampling and greedy planning for MDPs, with the prior that the published comparison has (a mean reward of 0, where tasks
have 1) and with the right one. The most that anybody can earn with 5 arms and 10 pulls is known exactly.

Controls that must fail: the same network with its memory blanked before each episode, last action and reward included
(it begins as many trials of one episode); one that is trained without hearing what it earned; and one that is trained
in trials of which each episode is another task. To fail is to stay within a tenth of the way from who does anything to
the best there is. A memory that is blanked while the last action and reward are heard would be no control: to stay with
what paid and leave what did not is already worth 6.29 of 6.66.

A score is the mean return of trials that no training met: tasks are drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from headstart.configuration import configuration
from headstart.core.network import AbstractNetwork
from headstart.core.networks import TwinRecurrentActorCritic
from headstart.core.process import Online
from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld
from headstart.core.wrappers import Counted, Sight, Trials
from headstart.experience.classical import bandits, mdps
from headstart.experience.trials import played
from headstart.progress import AbstractObserver
from headstart.recipes.experience import trying
from headstart.studies.book import Book, Scores
from headstart.studies.pupils import Deaf, taught
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
from headstart.worlds.bandits import Bandit
from headstart.worlds.tabular import TabularMDP

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "A recurrent network that was trained on many bandits and many small MDPs finds its way in a new one as well as "
    "the best players that were made for these families by hand, and by its memory alone."
)
PAPER = Paper("duan2016", ("table 1", "table 2"))

TRIALS = 20_000  # that judge a network
TASKS = 2_000  # that judge a classical player, for each of as many seeds
SEEDS, QUICK_SEEDS = 5, 3
WIDTH = 64
BEST = 6.660  # of 5 arms in 10 pulls: `bandits.bayes_optimal_value(5, 10)`
ORACLE = 219.0  # in ten episodes of an MDP, by value iteration
NEARLY, MANY, MDP = 6.60, 77.5, 148.0  # bars: 10 pulls, 100 pulls, MDPs
FAILED = 0.1  # of the way from any action to the best there is


class Unrelated(Trials):
    """A control: trials whose every episode is another task."""

    def reset(self, task: Task, *, key: Key) -> tuple[Counted, Sight]:
        state, sight = super().reset(task, key=key)
        return Counted((task, state.inner), state.count), sight

    def step(self, state: Counted, task: Task, action: PyTree[Array], *, key: Key) -> tuple[Counted, Outcome]:
        step_key, task_key = jax.random.split(key)
        task, inner = state.inner
        after, outcome = super().step(Counted(inner, state.count), task, action, key=step_key)
        # The end of the trial is left as it is: `collect` is to see the true successor.
        another = (after.count > state.count) & ~outcome.last
        drawn = self.world.task(key=task_key)
        inner, observation = self.world.reset(drawn, key=jax.random.fold_in(task_key, 1))
        now = task, after.inner, outcome.observation.observation
        task, inner, observation = jax.tree.map(
            lambda new, old: jnp.where(another, new, old), (drawn, inner, observation), now
        )
        see = lambda outcome: outcome.observation.observation
        return Counted((task, inner), after.count), eqx.tree_at(see, outcome, observation)


@dataclass(frozen=True)
class Pupil:
    """What is trained, and the trials that it is judged by, of each arm that it is."""

    process: Online
    judged: Mapping[str, Trials]


@dataclass(frozen=True)
class Family:
    """Tasks of one kind: their world, the steps of an episode, the episodes of a trial, and how they are trained in.

    `trace` is λ, and `unit` that of returns (`headstart.core.source.RewardUnit`); `anything` is what a trial earns on
    average by any actions, and `best` the most it can.
    """

    world: AbstractWorld
    horizon: int
    episodes: int
    steps: int
    lanes: int
    trace: float
    unit: float
    anything: float
    best: float

    @property
    def length(self) -> int:
        return self.horizon * self.episodes

    @property
    def iterations(self) -> int:
        return self.steps // (self.lanes * self.length)

    @property
    def hopeless(self) -> float:
        """What a control may earn."""
        return self.anything + FAILED * (self.best - self.anything)

    def pupil(
        self, name: str, trials: type[Trials] = Trials, around: Callable[..., Any] = lambda inner: inner
    ) -> Pupil:
        """Who is trained in trials of this family, with something around the network."""
        whole = trials(self.world, self.episodes)
        plain = trying(
            whole, self.length, self.iterations, unit=self.unit, trace=self.trace, lanes=self.lanes, width=WIDTH
        )
        return Pupil(replace(plain, network=lambda key: around(plain.network(key))), {name: whole})


FAMILIES = {
    "10 pulls": Family(Bandit(5), 1, 10, 3_072_000, 1_024, 0.3, 5.0, 5.0, BEST),
    "100 pulls": Family(Bandit(5), 1, 100, 49_152_000, 128, 0.9, 30.0, 50.0, 78.7),
    "MDP": Family(TabularMDP(), 10, 10, 8_192_000, 512, 0.3, 30.0, 100.0, ORACLE),
}
CONTROLLED = ("10 pulls", "MDP")  # families that the controls are run in


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    scores: Scores = {}

    def measure(name: str, about: Any, how: Callable[[], Scores]) -> None:
        scores.update(book(name.replace(", ", "-").replace(" ", "-"), (name, seeds, *about), how))

    for family, each in FAMILIES.items():
        measure(f"{family}, classical", (TASKS, repr(each.world)), partial(play, family, seeds))
        for name, pupil in pupils(family).items():
            observer.say(f"{name}: {each.steps:,} steps from each of {seeds} seeds ...")
            about = (each.steps, TRIALS, sorted(pupil.judged), configuration(pupil.process))
            measure(name, about, partial(learn, pupil, each, seeds))
    arms = arms_of(scores)
    return conclude(
        "rl2", CLAIM, PAPER, arms, judge(arms, quick=quick), quick=quick, seconds=book.seconds, kinds=book.kinds
    )


def pupils(family: str) -> dict[str, Pupil]:
    """Who is trained in a family, by name."""
    each = FAMILIES[family]
    names = ("RL²", "RL², gated recurrent unit", "rewards not heard", "another task each episode")
    able, gated, deaf, unrelated = (f"{family}, {name}" for name in names)
    pupil = each.pupil(able)
    if family not in CONTROLLED:
        return {able: pupil}
    whole = Trials(each.world, each.episodes)
    unit = replace(pupil.process, network=partial(TwinRecurrentActorCritic, whole, width=WIDTH))
    forgetful = {f"{family}, memory blanked each episode": Trials(each.world, 1)}
    return {
        able: replace(pupil, judged={**pupil.judged, **forgetful}),
        gated: Pupil(unit, {gated: whole}),
        deaf: each.pupil(deaf, around=Deaf),
        unrelated: each.pupil(unrelated, trials=Unrelated),
    }


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    meta = {family: arms[f"{family}, RL²"] for family in FAMILIES}

    def above(family: str, player: str, errors: int) -> Verdict:
        """Standard errors of the player's mean, over its seeds: above it by as many, or below by no more."""
        other = np.asarray(arms[f"{family}, {player}"].scores)
        error = float(np.std(other) / np.sqrt(max(other.size - 1, 1)))
        words = f"{errors} standard errors above" if errors > 0 else f"no more than {-errors} standard error below"
        return reaches(
            meta[family], float(other.mean()) + errors * error, claim=f"{family}: {words} {player}", quick=quick
        )

    fails = ("memory blanked each episode", "rewards not heard", "another task each episode")
    return (
        reaches(meta["10 pulls"], NEARLY, claim="10 pulls: 0.99 of the most that can be earned", quick=quick),
        reaches(meta["100 pulls"], MANY, claim="100 pulls: earned", quick=quick),
        above("100 pulls", "tuned UCB", -1),
        reaches(meta["MDP"], MDP, claim="MDP: earned", quick=quick),
        above("MDP", "posterior sampling, prior mean 0", 3),
        above("MDP", "greedy planning, prior mean 0", 3),
        *(
            must_fail(
                arms[f"{family}, {name}"], FAMILIES[family].hopeless, claim=f"{family}, {name}: fails", quick=quick
            )
            for family in CONTROLLED
            for name in fails
        ),
    )


def learn(pupil: Pupil, family: Family, seeds: int) -> Scores:
    """The mean return of a trial after training, wherever the pupil is judged. The seeds learn in turn."""

    def judge(network: AbstractNetwork, key: Key) -> dict[str, float]:
        mean = lambda trials: family.episodes * float(played(trials, network, TRIALS, key=key).mean())
        return {name: mean(trials) for name, trials in pupil.judged.items()}

    return taught(pupil.process, family.iterations, seeds, judge)


def play(family: str, seeds: int) -> Scores:
    """What the classical players earn in a family, each with as many tasks for each seed."""
    each = FAMILIES[family]
    world, episodes = each.world, each.episodes
    if isinstance(world, TabularMDP):
        players: dict[str, Callable[..., Array]] = {
            "posterior sampling, prior mean 0": partial(mdps.psrl, prior_mean=0.0),
            "posterior sampling, prior mean 1": partial(mdps.psrl, prior_mean=1.0),
            "greedy planning, prior mean 0": partial(mdps.certainty_equivalent, prior_mean=0.0),
            "greedy planning, prior mean 1": partial(mdps.certainty_equivalent, prior_mean=1.0),
            "any action": mdps.random_walk,
            "the truth known": mdps.oracle,
        }
    else:
        players = {
            "tuned UCB": lambda *task, key: bandits.tuned_ucb(*task, key=key)[0],
            "Gittins index": bandits.gittins,
            "Thompson sampling": bandits.thompson,
            "greedy": bandits.greedy,
            "any arm": bandits.random_pulls,
        }
    scores: Scores = {f"{family}, {name}": [] for name in players}
    for seed in range(seeds):
        task_key, play_key = jax.random.split(jax.random.key(seed))
        tasks = jax.vmap(lambda key: world.task(key=key))(jax.random.split(task_key, TASKS))
        for name, player in players.items():
            found = jnp.sum(player(world, tasks, episodes, key=play_key), axis=1)
            scores[f"{family}, {name}"].append(float(jnp.mean(found)))
    return scores
