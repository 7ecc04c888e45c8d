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

    return _judged(trying(Trials(Bandit(5), 10), 10, iterations), iterations)


def trying(world: AbstractWorld, length: int, iterations: int, *, lanes: int = 1_024, width: int = 64) -> Online:
    """PPO and two gated recurrent units, one for the value, in trials of `length` steps: one a lane for every update.

    γ and λ are those of the paper's own code. The learning rate falls to nothing.
    """
    import optax

    from headstart.core.networks import TwinRecurrentActorCritic
    from headstart.core.process import Online
    from headstart.scratch.ppo import PPO

    learner = PPO(discount=0.99, trace=0.3, entropy_weight=0.0)
    rate = optax.linear_schedule(2e-3, 0.0, iterations * learner.epochs * learner.minibatches)
    learner = dataclasses.replace(learner, learning_rate=rate)
    return Online(world, partial(TwinRecurrentActorCritic, world, width=width), learner, lanes, length)


def _judged(process: Online, iterations: int) -> Recipe:
    """Judged by what each episode of a new task is worth to it."""
    from headstart.experience.trials import evaluate

    return dataclasses.replace(online(process, iterations), evaluate=evaluate)
