"""Does a network that was trained on bandits of one structure learn in a way that fits this structure?

Method: Wang and others, *Learning to reinforcement learn*, 2016, sections 3.1.2 and 3.1.3: a long short-term memory of
48 units, trained by reward alone on a family of bandits, whose weights then stay as they are. In the dependent
families, of two arms the second pays as often as the first does not, in 100 pulls: 0.1 and 0.9 (easy), 0.25 and 0.75
(medium), 0.4 and 0.6 (hard). In the informative one, ten arms pay 1 but for one, which pays 5, and the eleventh pays
least and tells which one that is, in 5 pulls.

A score is regret: what the better arm would have earned on average, and did not. Beside the network that was trained on
the medium family stand, on tasks of the same family, the classical players of `headstart.experience.classical.bandits`:
one who knows that the arms depend on each other (`mirrored`), whom nobody betters, and those who take each arm for
itself, as most algorithms do: Gittins' index, UCB with its constant tuned on the very tasks that it is judged by,
Thompson sampling and the greedy. To be better than these, structure must have been found. And what was found is of the
family: on hard bandits, who was trained on easy ones, where few pulls tell all, must do worse than who was trained on
medium ones.

In a dependent bandit no pull changes what others can earn, and either arm tells as much: it is trained with a discount
of 0, as in `headstart.studies.volatile_bandit`. In the informative one the first pull is an outlay: the discount and λ
are 1. There it is paid 1.5 for entropy at first, for 6,000 updates of 512 episodes. To ask is worth less than any other
pull until the answer is understood, and the answer is never heard by who does not ask: paid 0.5 or less, every network
that was tried had given up asking before it understood, and then tried one arm after the other for 11 of 20.55.

Controls: a network that does not hear its rewards must be no better than any arm, within a tenth of the way from there
to who knows the structure; and one that hears of its last pull alone must not come near the bar.
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
from headstart.experience.behaviour import behave
from headstart.experience.classical import bandits
from headstart.progress import AbstractObserver
from headstart.recipes.experience import prefrontal
from headstart.studies.book import Book, Scores
from headstart.studies.pupils import Deaf, Forgetful, taught
from headstart.studies.study import Arm, Paper, Result, Verdict, arms_of, beats, conclude, must_fail, reaches, seeds_of
from headstart.worlds.bandits import EASY, HARD, MEDIUM, DependentBandit, InformativeBandit

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "A recurrent network that was trained on bandits whose arms depend on each other makes use of it, with its weights "
    "as they are, and better than algorithms that take each arm for itself."
)
PAPER = Paper("wang2016", ("figure 2", "figure 3"))

SEEDS, QUICK_SEEDS = 5, 3
ITERATIONS, LANES = {"dependent": 120, "informative": 6_000}, {"dependent": 256, "informative": 512}
WIDTH = 48
PULLS = 100
ASKING = 1.5  # what is paid for entropy at first where asking must be found out
EPISODES = 10_000  # that judge whoever is judged, for each seed
FAMILIES = {"easy": EASY, "medium": MEDIUM, "hard": HARD}
KNOWING, ANY = 0.99, 25.0  # regret on the medium family: of who knows the structure, and of any arm
BAR = 1.3 * KNOWING
HOPELESS = ANY - 0.1 * (ANY - KNOWING)  # what a control may regret at the least
ASKED, MOST = 0.95, 20.55  # of first pulls that ask the eleventh arm; what an informative bandit is worth

ABLE, EASED = "trained on medium", "trained on easy"
DEAF, LAST, INFORMED = "rewards not heard", "last pull alone heard", "informative"
PLAYERS: dict[str, Callable[..., jax.Array]] = {
    "structure known": bandits.mirrored,
    "Gittins index": bandits.gittins,
    "tuned UCB": lambda *task, key: bandits.tuned_ucb(*task, key=key)[0],
    "Thompson sampling": bandits.thompson,
    "greedy": bandits.greedy,
}


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS)
    scores: Scores = {}
    for family in FAMILIES:
        played = (family, seeds, EPISODES, PULLS, repr(bandit(family)))
        scores.update(book(f"players-{family}", played, partial(play, family, seeds)))
    for name, process in pupils().items():
        iterations = ITERATIONS["informative" if name == INFORMED else "dependent"]
        observer.say(f"{name}: {iterations * process.lanes:,} episodes from each of {seeds} seeds ...")
        about = (name, seeds, iterations, EPISODES, PULLS, configuration(process))
        how = partial(taught, process, iterations, seeds, partial(measured, name))
        scores.update(book(name.replace(" ", "-"), about, how))
    arms = arms_of(scores)
    return conclude(
        "structured_bandit",
        CLAIM,
        PAPER,
        arms,
        judge(arms, quick=quick),
        quick=quick,
        seconds=book.seconds,
        kinds=book.kinds,
    )


def bandit(family: str) -> DependentBandit:
    """The bandits of a family."""
    return DependentBandit(FAMILIES[family])


def pupils() -> dict[str, Online]:
    """Who is trained, by name."""

    def pupil(family: str, around: Callable[..., AbstractNetwork] = lambda inner: inner) -> Online:
        world = Trials(bandit(family), PULLS)
        plain = prefrontal(world, PULLS, ITERATIONS["dependent"], discount=0.0, lanes=LANES["dependent"], width=WIDTH)
        return replace(plain, network=lambda key: around(plain.network(key)))

    world = InformativeBandit()
    iterations, lanes = ITERATIONS["informative"], LANES["informative"]
    informed = prefrontal(
        world, world.pulls, iterations, discount=1.0, trace=1.0, entropy=ASKING, lanes=lanes, width=WIDTH
    )
    return {
        ABLE: pupil("medium"),
        EASED: pupil("easy"),
        DEAF: pupil("medium", Deaf),
        LAST: pupil("medium", Forgetful),
        INFORMED: informed,
    }


def measured(name: str, network: AbstractNetwork, key: Key) -> dict[str, float]:
    """What is regretted in 100 pulls, in the families that a pupil is for; of the informed, how often it asks first."""
    if name == INFORMED:
        world = InformativeBandit()
        seen = behave(world, network, EPISODES, world.pulls, key=key)
        asked = np.mean(np.asarray(seen.action)[:, 0] == world.actions.count - 1)
        return {f"{name}, asked first": float(asked), f"{name}, return": float(np.mean(np.sum(seen.reward, axis=1)))}

    def regret(family: str) -> float:
        seen = behave(Trials(bandit(family), PULLS), network, EPISODES, PULLS, key=key)
        return _regret(family, seen.reward)

    met = FAMILIES if name in (ABLE, EASED) else ("medium",)
    return {f"{family}, {name}": regret(family) for family in met}


def play(family: str, seeds: int) -> Scores:
    """What the classical players regret in a family, each with as many tasks for each seed."""
    world = bandit(family)
    scores: Scores = {f"{family}, {name}": [] for name in PLAYERS}
    for seed in range(seeds):
        task_key, play_key = jax.random.split(jax.random.key(seed))
        tasks = jax.vmap(lambda key: world.task(key=key))(jax.random.split(task_key, EPISODES))
        for name, player in PLAYERS.items():
            found = player(world, tasks, PULLS, key=play_key)
            scores[f"{family}, {name}"].append(_regret(family, found))
    return scores


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    able = arms[f"medium, {ABLE}"]
    hard = {name: arms[f"hard, {name}"] for name in (ABLE, EASED)}
    return (
        must_fail(able, BAR, claim="medium: regret below 1.3 times that of who knows the structure", quick=quick),
        *(
            beats(arms[f"medium, {name}"], able, claim=f"medium: regret below that of {name}", quick=quick)
            for name in ("Gittins index", "tuned UCB", "Thompson sampling")
        ),
        beats(hard[EASED], hard[ABLE], claim=f"hard: more regret if {EASED} than if {ABLE}", quick=quick),
        reaches(arms[f"{INFORMED}, asked first"], ASKED, claim=f"{INFORMED}: asks first", quick=quick),
        reaches(arms[f"{INFORMED}, return"], 0.95 * MOST, claim=f"{INFORMED}: 0.95 of the most there is", quick=quick),
        reaches(arms[f"medium, {DEAF}"], HOPELESS, claim=f"{DEAF}: no better than any arm", quick=quick),
        reaches(arms[f"medium, {LAST}"], 2 * BAR, claim=f"{LAST}: twice the bar's regret or more", quick=quick),
    )


def _regret(family: str, reward: jax.Array) -> float:
    return PULLS * max(FAMILIES[family]) - float(np.mean(np.sum(np.asarray(reward), axis=1)))
