"""Recipes of agents that are told something in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from headstart.recipes.recipe import Recipe, online

if TYPE_CHECKING:
    from headstart.core.network import AbstractNetwork
    from headstart.core.process import Online
    from headstart.core.types import Key
    from headstart.core.world import AbstractWorld

__all__ = ["friends_textvin", "grounding", "objectgrid_analogies"]


def friends_textvin(iterations: int = 600) -> Recipe:
    """Text-VIN reads which things are friends and which are enemies, and plays with things that it never met.

    Narasimhan and others, 2018. In half of its games it cannot see the numbers of things, so that it must read.
    """
    from headstart.instructions.encoders import BagOfWords
    from headstart.instructions.grounding import evaluate
    from headstart.instructions.text_vin import TextVIN
    from headstart.worlds.friends_and_enemies import FriendsAndEnemies

    world = FriendsAndEnemies(hidden=0.5)
    recipe = online(grounding(partial(TextVIN, world, encoder=BagOfWords), world, iterations), iterations)
    return dataclasses.replace(recipe, evaluate=evaluate, observes="what the world shows, and what is said of things")


def grounding(
    network: Callable[[Key], AbstractNetwork],
    world: AbstractWorld,
    iterations: int,
    *,
    epsilon: float = 1.0,
    teacher: AbstractNetwork | None = None,
    lanes: int = 32,
) -> Online:
    """DQN with the discount of Narasimhan and others, in games of some 10 steps.

    **Arguments:**

    - `network`, `world`, `iterations`: as for any process; its exploration is over in a third of the iterations.
    - `epsilon`: of exploration, at first.
    - `teacher`: whom to mimic instead, with the same settings: see `headstart.experience.actor_mimic`.
    """
    from headstart.core.process import Online
    from headstart.experience.actor_mimic import ActorMimic
    from headstart.scratch.dqn import DQN

    length = 8
    steps = iterations * lanes * length
    settings: dict[str, Any] = {
        "discount": 0.8,
        "capacity": 100_000,
        "updates": 16,
        "warmup": min(4_000, steps // 4),
        "epsilon": (epsilon, 0.05),
        "explore": steps // 3,
        "period": 200,
    }
    learner = DQN(**settings) if teacher is None else ActorMimic(**settings, teacher=teacher)
    return Online(world, network, learner, lanes, length)


def objectgrid_analogies(iterations: int = 160) -> Recipe:
    """One skill for 24 pairs of a verb and an object, of which 8 are never trained with but known by analogy.

    Oh and others, 2017: teachers at first, then rewards, and a network that says when it is done.
    """
    from headstart.instructions.skills import Analogies, evaluate, learning

    recipe = online(learning("independent", iterations, analogies=Analogies()), iterations)
    return dataclasses.replace(recipe, evaluate=evaluate, observes="what the world shows, and one instruction")
