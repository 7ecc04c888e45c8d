"""The prefrontal cortex as a meta-learner: a network judged as people and animals are, by its behaviour.

Wang and others, *Prefrontal cortex as a meta-reinforcement learning system*, Nature Neuroscience 2018. A recurrent
network is trained, slowly and by reward alone, in many episodes of a task whose better choice changes; then its weights
stay as they are, and what it goes on to learn within an episode is learned by its activations. It is shown to be
another algorithm than the one that trained it: in the two-step task it infers, though it was trained without a model,
in a volatile bandit it learns faster where the world changes more often, and in Harlow's task it learns in one trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from headstart.core.network import AbstractNetwork
from headstart.core.process import Online
from headstart.core.types import Key, Task
from headstart.core.wrappers import OneTask
from headstart.evaluation import Curve
from headstart.experience.behaviour import Behaviour, Fit, behave, fit, stay_probabilities
from headstart.experience.classical.reversals import IdealObserver, ModelBased, ModelFree
from headstart.greedy import Evaluation
from headstart.plots import adaptation_curves, panels
from headstart.report import Report
from headstart.worlds.bandits import VolatileBandit
from headstart.worlds.harlow import NOVEL, Harlow
from headstart.worlds.tabular import TwoStep

__all__ = ["chosen", "evaluate_harlow", "evaluate_two_step", "evaluate_volatility", "learning_rates", "reversal"]

GROUPS = 16  # of episodes, whose means an interval is of


def reversal(stays: Float[Array, "2 2"]) -> float:
    """By how much the agent is more likely to stay where an uncommon transition was not rewarded than where it was.

    Above 0 it knows that what it met speaks for the other action, which no learner of the actions' own values does:
    such a one also has an interaction of reward and transition, but stays more often where it was rewarded.
    """
    return float(stays[1, 1] - stays[0, 1])


def learning_rates(
    world: VolatileBandit, network: AbstractNetwork, episodes: int, *, key: Key
) -> dict[float, tuple[Behaviour, Fit]]:
    """What a network does under each hazard of a family, in `episodes` episodes each, and the rate that is fitted."""
    found = {}
    for hazard in world.hazards:
        always = OneTask(world, Task(parameters=jnp.asarray(hazard)))
        seen = behave(always, network, episodes, world.pulls, key=key)
        found[hazard] = (seen, fit(seen.action, seen.reward))
    return found


def chosen(world: Harlow, network: AbstractNetwork, episodes: int, *, key: Key) -> Bool[np.ndarray, "episodes trials"]:
    """Where the good object of Harlow's task was chosen. A trial in which none was counts as an error."""
    seen = behave(world, network, episodes, world.moments, key=key)
    return np.asarray(seen.reward)[:, 1::2] > 0


def evaluate_harlow(process: Online, state: Any, *, title: str, episodes: int, seed: int) -> Evaluation:
    """How often the good object is chosen, trial by trial, of known ones and of others: a learning set."""
    world = process.world
    assert isinstance(world, Harlow)
    count, key = _whole(episodes), jax.random.key(seed)
    places = {"objects of its training": world, "objects never seen": replace(world, objects=NOVEL)}
    found = {name: chosen(place, state.learner.network, count, key=key) for name, place in places.items()}
    numbers = np.arange(world.trials)
    grouped = {name: right.reshape(GROUPS, -1, world.trials).mean(axis=1)[:, None] for name, right in found.items()}
    shares = {name: right.mean(axis=0) for name, right in found.items()}
    figures: dict[str, Any] = {"episodes": count}
    figures |= {
        f"good object chosen in trial {number + 1}, {name}": float(share[number])
        for name, share in shares.items()
        for number in numbers
    }
    report = Report(title).text(
        f"{count:,} episodes of {world.trials} trials, each with a pair of its own. In the first trial nobody "
        f"can know better than chance, and who has the learning set knows from the second on. {_said()}"
    )
    figure = adaptation_curves(
        {name: Curve(numbers, each) for name, each in grouped.items()},
        games="trials with these objects before",
        score="good object chosen",
        levels={"chance": 0.5},
    )
    words = "; ".join(f"{name} {', '.join(f'{each:.2f}' for each in share)}" for name, share in shares.items())
    return Evaluation(figures, report.figure(figure, "curve", alt=f"Trial by trial: {words}").facts(figures))


def evaluate_two_step(process: Online, state: Any, *, title: str, episodes: int, seed: int) -> Evaluation:
    """Reward and stay probabilities in `episodes` episodes, beside who is model-based and who is model-free."""
    world = process.world
    assert isinstance(world, TwoStep)
    players = {"the network": state.learner.network, "model-based": ModelBased(world), "model-free": ModelFree()}
    count, key = _whole(episodes), jax.random.key(seed)
    played = {name: behave(world, player, count, world.trials, key=key) for name, player in players.items()}
    stays = {name: stay_probabilities(found) for name, found in played.items()}
    figures = {
        "episodes": count,
        **{f"reward per trial, {name}": float(np.mean(found.reward)) for name, found in played.items()},
        **{f"reversal, {name}": reversal(found) for name, found in stays.items()},
    }
    bars = {name: _stay_bars(found) for name, found in played.items()}
    report = Report(title).text(
        f"{count:,} episodes of {world.trials} trials. Stay probabilities: how often the last choice is made again. "
        "Rewarded after an uncommon transition, who is model-based leaves more often than unrewarded after one. "
        f"{_said()}"
    )
    report = report.figure(
        panels(bars, score="stay probability", limit=1.0), "stays", alt=f"Stay probabilities. {_words(stays)}"
    )
    report = report.figure(_over_trials(played, "trials of this episode before"), "reward", alt=_earned(figures))
    return Evaluation(figures, report.facts(figures))


def evaluate_volatility(process: Online, state: Any, *, title: str, episodes: int, seed: int) -> Evaluation:
    """Learning rates and reward under each hazard in `episodes` episodes, beside an observer who knows the family."""
    world = process.world
    assert isinstance(world, VolatileBandit)
    count, key = _whole(episodes), jax.random.key(seed)
    players = {"the network": state.learner.network, "ideal observer": IdealObserver(world)}
    found = {name: learning_rates(world, player, count, key=key) for name, player in players.items()}
    figures: dict[str, Any] = {"episodes under each hazard": count}
    for name, by_hazard in found.items():
        for hazard, (seen, fitted) in by_hazard.items():
            figures[f"reward per pull under {hazard:g}, {name}"] = float(np.mean(seen.reward))
            figures[f"learning rate under {hazard:g}, {name}"] = float(fitted.rate)
    rates = {
        "": {
            name: {f"hazard {hazard:g}": _rates(seen) for hazard, (seen, _) in by_hazard.items()}
            for name, by_hazard in found.items()
        }
    }
    report = Report(title).text(
        f"{count:,} episodes of {world.pulls} pulls under each hazard, which is the probability that the arms change "
        f"places, and which nobody is told. {_said()}"
    )
    words = "; ".join(f"{name} {value:.2f}" for name, value in figures.items() if name.startswith("learning rate"))
    report = report.figure(panels(rates, score="fitted learning rate"), "rates", alt=words)
    played = {
        f"{name}, hazard {hazard:g}": seen
        for name, by_hazard in found.items()
        for hazard, (seen, _) in by_hazard.items()
    }
    report = report.figure(_over_trials(played, "pulls of this episode before"), "reward", alt=_earned(figures))
    return Evaluation(figures, report.facts(figures))


def _stay_bars(found: Behaviour) -> dict[str, dict[str, np.ndarray]]:
    """The four bars, each of which has an estimate from every group of episodes."""
    of_group = np.asarray(jax.vmap(stay_probabilities)(_grouped(found)))
    return {
        case: {kind: of_group[:, row, column, None] for column, kind in enumerate(("common", "uncommon"))}
        for row, case in enumerate(("rewarded", "unrewarded"))
    }


def _rates(found: Behaviour) -> Float[np.ndarray, "groups 1"]:
    groups = _grouped(found)
    return np.asarray(jax.lax.map(lambda group: fit(*group).rate, (groups.action, groups.reward)))[:, None]


def _over_trials(played: Mapping[str, Behaviour], trials: str) -> Any:
    """Reward against trials: of the first, the second, the next two, the next four, ..."""
    length = next(iter(played.values())).reward.shape[1]
    begins = np.array([0, *(2**power for power in range(length.bit_length()) if 2**power < length)])
    curves = {}
    for name, found in played.items():
        groups = np.asarray(_grouped(found).reward).mean(axis=1)
        means = [part.mean(axis=1) for part in np.split(groups, begins[1:], axis=1)]
        curves[name] = Curve(begins, np.stack(means, axis=-1)[:, None])
    return adaptation_curves(curves, games=trials, score="reward")


def _grouped(found: Behaviour) -> Behaviour:
    return jax.tree.map(lambda leaf: leaf.reshape(GROUPS, -1, *leaf.shape[1:]), found)


def _whole(episodes: int) -> int:
    """As many as make groups of one size."""
    return max(episodes // GROUPS, 1) * GROUPS


def _said() -> str:
    return (
        f"Intervals are over {GROUPS} groups of episodes, and of this one run: what another seed would have learned, "
        "they do not say."
    )


def _words(stays: Mapping[str, Float[Array, "2 2"]]) -> str:
    order = "rewarded and common, rewarded and uncommon, unrewarded and common, unrewarded and uncommon"
    return f"In the order {order}: " + "; ".join(
        f"{name} {', '.join(f'{value:.2f}' for value in np.asarray(found).ravel())}" for name, found in stays.items()
    )


def _earned(figures: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {value:.3f}" for name, value in figures.items() if name.startswith("reward"))
