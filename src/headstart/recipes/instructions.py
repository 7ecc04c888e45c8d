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
    from headstart.instructions.encoders import AbstractEncoder
    from headstart.worlds.adapters.babyai import BabyAI

__all__ = ["babyai_filtered", "following", "friends_textvin", "grounding", "objectgrid_analogies"]


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


def babyai_filtered(iterations: int = 120) -> Recipe:
    """PPO goes where it is told: missions of BabyAI's GoToLocal, among eight things in a room, in 500,000 steps.

    Chevalier-Boisvert and others, 2019. Takes the extra `babyai`, and some seconds to make 4,000 levels.
    """
    from headstart.instructions.encoders import BagOfWords
    from headstart.instructions.missions import evaluate
    from headstart.worlds.adapters.babyai import BabyAI, draw_levels, vocabulary

    world = BabyAI.of(draw_levels("GoToLocal", 4_000), vocabulary().tokens)
    recipe = online(following(world, iterations, encoder=partial(BagOfWords, vocabulary().size)), iterations)
    return dataclasses.replace(recipe, evaluate=evaluate, observes="7 by 7 cells ahead, and a mission in words")


def following(world: BabyAI, iterations: int, *, encoder: Callable[..., AbstractEncoder]) -> Online:
    """PPO in levels of BabyAI, by a network that sees with the mission in mind.

    **Arguments:**

    - `world`, `iterations`: as for any process; the learning rate falls to a tenth.
    - `encoder`: makes what reads missions: `encoder(size, key=key)`.
    """
    import optax

    from headstart.core.process import Online
    from headstart.instructions.filtered import Filtered
    from headstart.scratch.ppo import PPO
    from headstart.worlds.adapters.babyai import COLOURS, KINDS

    epochs, minibatches = 3, 4
    rate = optax.linear_schedule(2.5e-3, 2.5e-4, iterations * epochs * minibatches)
    network = partial(Filtered, world, numbers=(len(KINDS), len(COLOURS)), encoder=encoder)
    learner = PPO(epochs=epochs, minibatches=minibatches, learning_rate=rate)
    return Online(world, network, learner, lanes=128, length=32)


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
    from headstart.instructions.analogies import Analogies
    from headstart.instructions.skills import evaluate, learning

    recipe = online(learning("independent", iterations, analogies=Analogies()), iterations)
    return dataclasses.replace(recipe, evaluate=evaluate, observes="what the world shows, and one instruction")
