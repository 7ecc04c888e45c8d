"""Trials: what each episode of a new task is worth to an agent that remembers those before it.

Duan and others, *RL²: fast reinforcement learning via slow reinforcement learning*, 2016; Wang and others, *Learning to
reinforcement learn*, 2016. The method needs nothing of its own: `headstart.core.wrappers.Trials` makes several episodes
of one task a trial, a network that remembers hears what it did and what came of it, and any learner that keeps memory
within a trial learns to learn. This is how such an agent is judged.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart.core.collect import Act, Lanes, begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.process import Online
from headstart.core.types import Choice, Key, Percept, Step
from headstart.core.wrappers import Trials
from headstart.errors import BadData
from headstart.evaluation import Curve
from headstart.greedy import Evaluation
from headstart.plots import adaptation_curves
from headstart.report import Report

__all__ = ["evaluate", "played", "sampling"]

ENDLESS = 100_000  # steps without an end
GROUPS = 16  # of trials, whose means an interval is of


def evaluate(process: Online, state: Any, *, title: str, episodes: int, seed: int) -> Evaluation:
    """The return of each episode of `episodes` trials in new tasks: a k-shot curve, with memory and without.

    Without, memory is blanked before every episode, last action and reward included. Actions are sampled from the
    policy, as in training: how it explores is what was learned.

    **Raises:** `BadData` if a trial does not end.
    """
    trials = process.world
    assert isinstance(trials, Trials)
    network = state.learner.network
    count = max(episodes // GROUPS, 1) * GROUPS
    keep_key, blank_key = jax.random.split(jax.random.key(seed))
    kept = played(trials, network, count, key=keep_key)
    alone = played(Trials(trials.world, 1), network, count, key=blank_key)
    numbers = np.arange(trials.episodes)
    curves = {
        "memory kept": Curve(numbers, _grouped(kept)),
        "memory blanked before each episode": Curve(numbers, np.repeat(_grouped(alone), len(numbers), axis=-1)),
    }
    figures = {
        "trials": count,
        "return of a trial": float(kept.sum(axis=1).mean()),
        "first episode": float(kept[:, 0].mean()),
        "last episode": float(kept[:, -1].mean()),
        "memory blanked": float(alone.mean() * trials.episodes),
    }
    figure = adaptation_curves(curves, games="episodes of this task before", score="return of an episode")
    report = Report(title).text(
        f"{count:,} trials of {trials.episodes} episodes, each in a task that was drawn anew. The interval is over "
        f"{GROUPS} groups of them, and of this one run: what another seed would have learned, it does not say."
    )
    shown = report.figure(figure, "curve", alt="Return of an episode by episodes before, with memory and without")
    return Evaluation(figures, shown.facts(figures))


def played(
    trials: Trials, network: AbstractNetwork, count: int, *, key: Key
) -> Float[np.ndarray, "{count} {trials.episodes}"]:
    """The return of every episode of one trial in each of `count` lanes, with actions that are sampled.

    **Raises:** `BadData` if a trial has no end in 100,000 steps.
    """
    found, endless = _play(trials, network, count, ENDLESS, key)
    if bool(endless):
        raise BadData(f"a trial has no end in {ENDLESS:,} steps; wrap the world of its episodes in a time limit.")
    return np.asarray(found)


def sampling(network: AbstractNetwork) -> Act:
    """Acts by a network's policy, sampled as in training: how an agent explores is part of what it has learned."""

    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(output.policy.sample(key=key)), memory

    return act


@eqx.filter_jit
def _play(
    trials: Trials, network: AbstractNetwork, count: int, most: int, key: Key
) -> tuple[Float[Array, "{count} {trials.episodes}"], Bool[Array, ""]]:
    """The returns, and whether some trial was still going on after as many steps as there may be."""
    begin_key, act_key = jax.random.split(key)

    def goes_on(carry: tuple[Lanes, _Earned, Array]) -> Array:
        _, earned, index = carry
        return ~jnp.all(earned.over) & (index < most)

    def step(carry: tuple[Lanes, _Earned, Array]) -> tuple[Lanes, _Earned, Array]:
        lanes, earned, index = carry
        lanes, steps = collect(trials, network, sampling(network), lanes, 1, key=jax.random.fold_in(act_key, index))
        return lanes, earned.count(jax.tree.map(lambda leaf: leaf[0], steps)), index + 1

    lanes = begin(trials, network, count, key=begin_key)
    # No lane is in an episode yet: the flag of its first moment brings it into number 0.
    earned = _Earned(jnp.zeros((count, trials.episodes)), jnp.full(count, -1), jnp.zeros(count, bool))
    _, earned, _ = jax.lax.while_loop(goes_on, step, (lanes, earned, jnp.zeros((), jnp.int32)))
    return earned.returns, ~jnp.all(earned.over)


class _Earned(eqx.Module):
    """The returns of a trial's episodes, the number of the one that each lane is in, and whether its trial is over."""

    returns: Float[Array, "lanes episodes"]
    number: Int[Array, "lanes"]
    over: Bool[Array, "lanes"]

    def count(self, step: Step) -> _Earned:
        number = self.number + step.percept.observation.begins.astype(jnp.int32)
        here = jax.nn.one_hot(number, self.returns.shape[1])
        returns = self.returns + here * jnp.where(self.over, 0.0, step.reward)[:, None]
        return _Earned(returns, number, self.over | step.last)


def _grouped(returns: Float[np.ndarray, "trials episodes"]) -> Float[np.ndarray, "groups 1 episodes"]:
    return returns.reshape(GROUPS, -1, returns.shape[1]).mean(axis=1)[:, None]
