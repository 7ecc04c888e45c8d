"""Agents that learn to learn: each task of a family teaches how to find one's way in the next."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from headstart.recipes.recipe import Recipe, online

if TYPE_CHECKING:
    from headstart.core.process import Online
    from headstart.core.world import AbstractWorld

__all__ = ["bandit_rl2", "trying"]


def bandit_rl2(iterations: int = 300) -> Recipe:
    """A recurrent network that has pulled many bandits finds the best of 5 arms in 10 pulls.

    RL² (Duan and others, 2016). The most that any player can earn in them is 6.66, and pulling any arm earns 5.
    """
    from headstart.core.wrappers import Trials
    from headstart.worlds.bandits import Bandit

    return _judged(trying(Trials(Bandit(5), 10), 10, iterations, unit=5.0), iterations)


def trying(
    world: AbstractWorld, length: int, iterations: int, *, unit: float, lanes: int = 1_024, width: int = 64
) -> Online:
    """PPO and two memories, one for the value, in trials of `length` steps: one a lane for every update.

    γ and λ are those of the paper's own code; its memory is a gated recurrent unit, which learns the same from some ten
    times as many trials. The learning rate and what is paid for entropy fall to nothing. `unit` is about what a trial's
    discounted return is.
    """
    import optax

    from headstart.core.networks import TwinRecurrentActorCritic
    from headstart.core.process import Online
    from headstart.core.source import RewardUnit
    from headstart.memory.fast_weights import FastWeights
    from headstart.scratch.ppo import PPO

    learner = PPO(RewardUnit(unit), discount=0.99, trace=0.3, minibatches=8)
    falling = lambda start: optax.linear_schedule(start, 0.0, iterations * learner.epochs * learner.minibatches)
    learner = dataclasses.replace(learner, learning_rate=falling(1e-3), entropy_weight=falling(0.03))
    network = partial(TwinRecurrentActorCritic, world, width=width, cell=FastWeights)
    return Online(world, network, learner, lanes, length)


def _judged(process: Online, iterations: int) -> Recipe:
    """Judged by what each episode of a new task is worth to it."""
    from headstart.experience.trials import evaluate

    return dataclasses.replace(online(process, iterations), evaluate=evaluate)
