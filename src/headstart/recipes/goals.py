"""Agents that are told a goal, or set goals of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from headstart.recipes.recipe import Recipe, online

if TYPE_CHECKING:
    from headstart.core.network import AbstractNetwork
    from headstart.core.process import Online
    from headstart.core.source import AbstractSource
    from headstart.core.world import AbstractWorld
    from headstart.goals.goal_directed import GoalDirected
    from headstart.scratch.actor_critics import AbstractActorCritics
    from headstart.scratch.sac import SAC
    from headstart.worlds.bit_flipping import BitFlipping
    from headstart.worlds.push import Push

__all__ = [
    "bitflipping_hindsight",
    "fetchpush_hindsight",
    "fetchreach_hindsight",
    "flipping",
    "fourrooms_uvfa",
    "goal_directed",
    "pointgather_goals",
    "push_hindsight",
    "pushing",
]


def bitflipping_hindsight(iterations: int = 400) -> Recipe:
    """DQN with hindsight turns any 15 bits into any others; the shortest ways have a mean return of −6.5.

    Without hindsight goals are met too rarely to learn from (Andrychowicz and others, 2017, figure 1): by random flips,
    one in some 2,800 episodes.
    """
    from headstart.goals.hindsight import Hindsight
    from headstart.worlds.bit_flipping import BitFlipping

    world = BitFlipping(15)
    return online(flipping(world, Hindsight(world)), iterations)


def flipping(world: BitFlipping, source: AbstractSource) -> Online:
    """DQN with a source on bit flipping, in segments as long as the longest episode."""
    from headstart.core.networks import ActionValues
    from headstart.core.process import Online
    from headstart.scratch.dqn import DQN

    learner = DQN(
        source=source,
        discount=1 - 1 / world.bits,
        capacity=200_000,
        segment=world.bits,
        batch=16,
        updates=40,
        epsilon=(1.0, 0.1),
        explore=20_000,
        period=40,
    )
    return Online(world, partial(ActionValues, world, width=256, depth=1), learner, lanes=16, length=world.bits)


def push_hindsight(iterations: int = 200) -> Recipe:
    """SAC with hindsight shoves a disc to any place on a table, where nothing is earned on the way."""
    from headstart.goals.hindsight import Hindsight
    from headstart.worlds.push import Push

    world = Push()
    return online(pushing(world, Hindsight(world)), iterations)


def pushing(world: Push, source: AbstractSource) -> Online:
    """SAC with a source on the table, in segments of whole episodes."""
    from headstart.core.networks import ActorCritics
    from headstart.core.process import Online

    return Online(world, partial(ActorCritics, world, width=128), _reaching(source), lanes=16, length=50)


def fetchreach_hindsight(iterations: int = 10) -> Recipe:
    """SAC with hindsight brings a robot's gripper anywhere: FetchReach-v4 of Gymnasium-Robotics, in 4,000 steps."""
    from headstart.core.networks import ActorCritics

    learn = partial(_reaching, horizon=20, lanes=8, warmup=400)
    return _fetch("FetchReach-v4", partial(ActorCritics, width=64), learn, iterations, lanes=8)


def fetchpush_hindsight(iterations: int = 1_250) -> Recipe:
    """DDPG with hindsight has a robot push a box anywhere: FetchPush-v4 of Gymnasium-Robotics, in a million steps.

    After the settings of Andrychowicz and others (2017) in their published code: three steps of ten are random, and
    large actions cost. Where we differ: one process in the place of 19, and so a gradient step on 1,000 steps for every
    20 of the robot; the target follows in each gradient step.
    """
    from headstart.core.networks import ActorCritics
    from headstart.scratch.ddpg import DDPG

    learn = partial(
        DDPG,
        discount=0.98,
        bounds=(-50.0, 0.0),
        capacity=500_000,
        segment=50,
        batch=400,
        minibatches=20,
        updates=40,
        noise=0.2,
        random=0.3,
        effort=1.0,
        blend=0.05,
    )
    network = partial(ActorCritics, width=256, depth=3, critics=1)
    # A box that nobody pushed has not turned: what is typical shows after many episodes at random.
    recipe = _fetch("FetchPush-v4", network, learn, iterations, lanes=16, look=500)
    return dataclasses.replace(recipe, every=125)


def _fetch(
    name: str,
    network: Callable[..., AbstractNetwork],
    learn: Callable[..., AbstractActorCritics],
    iterations: int,
    *,
    lanes: int,
    look: int = 50,
) -> Recipe:
    """A robot's task, of whose 50 steps each costs 1 until the goal is reached."""
    from headstart.core.hosted import Hosted
    from headstart.goals.hindsight import Hindsight
    from headstart.worlds.adapters.goals import gymnasium_goals
    from headstart.worlds.adapters.gymnasium import gymnasium_host

    host = gymnasium_host(name, lanes)
    learner = learn(source=Hindsight(gymnasium_goals(name)))
    process = Hosted(host, partial(network, host), learner, length=50, survey_steps=look)
    return dataclasses.replace(online(process, iterations), chunk=1, every=25)


def _reaching(source: AbstractSource, *, horizon: int = 50, lanes: int = 16, warmup: int = 1_000) -> SAC:
    """SAC for tasks of 50 steps that each cost 1 until a goal is reached: no value is below −`horizon`.

    400 gradient steps for an episode in every lane: with 16, one for every second step; with 8, as many as steps, which
    a robot that takes longer than a gradient step can be given. Batches are mixed out of twice as many episodes as were
    just played.
    """
    from headstart.scratch.sac import SAC

    return SAC(
        source=source,
        discount=1 - 1 / horizon,
        bounds=(-float(horizon), 0.0),
        capacity=400_000,
        segment=50,
        batch=2 * lanes,
        minibatches=lanes // 2,
        updates=400,
        warmup=warmup,
        temperature=0.1,
        blend=0.05,
    )


def fourrooms_uvfa(iterations: int = 400) -> Recipe:
    """DQN with two streams and hindsight goes from any cell of four rooms to any other; 1 is earned by arriving.

    The universal value function of Schaul and others (2015), learned by bootstrapping alone: no table is known.
    In the one seed that was tried, it arrived in 32 steps for 0.80 of all pairs of start and goal, and 0.82 before
    that; who moves at random does for 0.13.
    """
    from headstart.core.process import Online
    from headstart.core.wrappers import TimeLimit
    from headstart.goals.hindsight import Hindsight
    from headstart.goals.uvfa import TwoStream
    from headstart.scratch.dqn import DQN
    from headstart.worlds.four_rooms import FourRooms

    # By coordinates, neighbouring goals look alike to two fresh networks: a number each tells them apart.
    goals = FourRooms("one-hot")
    learner = DQN(
        source=Hindsight(goals),
        discount=0.9,
        segment=32,
        batch=32,
        updates=32,
        epsilon=(1.0, 0.2),
        explore=20_000,
        period=50,
        learning_rate=3e-3,
        clip=1.0,
    )
    world = TimeLimit(goals, 32)
    return online(Online(world, partial(TwoStream.of, goals), learner, lanes=16, length=32), iterations)


def pointgather_goals(iterations: int = 150) -> Recipe:
    """One policy sets goals and another reaches them: a slow point gathers apples and leaves bombs where they are.

    `headstart study goal_directed` asks whether a flat policy gathers less from as many steps.
    """
    from headstart.worlds.point import PointGather

    return online(goal_directed(PointGather()), iterations)


def goal_directed(world: AbstractWorld, learning_rate: float = 1e-3) -> GoalDirected:
    """A manager with a goal for every 10 steps and a worker, both PPO, in a world with real actions."""
    from headstart.goals.goal_directed import GoalDirected, Patient
    from headstart.scratch.ppo import PPO

    manager = Patient(learning_rate=learning_rate, discount=0.97)
    return GoalDirected(world, every=10, manager=manager, worker=PPO(learning_rate=learning_rate, discount=0.95))
