"""Learners from scratch, on the tasks that everybody knows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from headstart.recipes.recipe import Recipe, online

if TYPE_CHECKING:
    import optax

    from headstart.core.world import AbstractWorld
    from headstart.scratch.actor_critics import AbstractActorCritics
    from headstart.scratch.dqn import DQN

__all__ = [
    "PUBLISHED",
    "acrobot_dqn",
    "acrobot_ppo",
    "cartpole_dqn",
    "cartpole_ppo",
    "mountaincar_dqn",
    "mountaincar_ppo",
    "pendulum_ddpg",
    "pendulum_sac",
    "pendulum_td3",
]

#: The mean return that counts as solved: the `reward_threshold` that Gymnasium registers, or, for the pendulum, which
#: has none, what RL Baselines3 Zoo reports of the same learner after as many steps.
PUBLISHED: dict[str, float] = {
    "cartpole-ppo": 475,
    "cartpole-dqn": 475,
    "acrobot-ppo": -100,
    "acrobot-dqn": -100,
    "mountaincar-ppo": -110,
    "mountaincar-dqn": -110,
    "pendulum-ddpg": -152.1,
    "pendulum-td3": -151.9,
    "pendulum-sac": -157.0,
}


def cartpole_ppo(iterations: int = 200) -> Recipe:
    """PPO balances a pole on a cart; solved at a mean return of 475 of 500.

    475 is the `reward_threshold` that Gymnasium registers for CartPole-v1; RL Baselines3 Zoo reports 500.
    """
    from headstart.worlds.classic_control import CartPole

    return _ppo(CartPole(), iterations)


def cartpole_dqn(iterations: int = 1_200) -> Recipe:
    """Double DQN balances a pole on a cart; solved at a mean return of 475 of 500.

    475 is the `reward_threshold` that Gymnasium registers for CartPole-v1; RL Baselines3 Zoo reports 500.
    """
    from headstart.scratch.dqn import DQN
    from headstart.worlds.classic_control import CartPole

    learner = DQN(updates=16, batch=128, learning_rate=_fading(1e-3, 16 * iterations), explore=20_000, period=50)
    return _dqn(CartPole(), learner, iterations, lanes=8, length=16, width=256)


def acrobot_ppo(iterations: int = 300) -> Recipe:
    """PPO swings a two-link arm up; solved at a mean return of −100.

    −100 is the `reward_threshold` that Gymnasium registers for Acrobot-v1; RL Baselines3 Zoo reports about −73.
    """
    from headstart.worlds.classic_control import Acrobot

    return _ppo(Acrobot(), iterations)


def acrobot_dqn(iterations: int = 1_000) -> Recipe:
    """Double DQN swings a two-link arm up; solved at a mean return of −100.

    −100 is the `reward_threshold` that Gymnasium registers for Acrobot-v1; RL Baselines3 Zoo reports about −77.
    """
    from headstart.scratch.dqn import DQN
    from headstart.worlds.classic_control import Acrobot

    learner = DQN(updates=16, batch=128, learning_rate=_fading(1e-3, 16 * iterations), explore=20_000, period=100)
    return _dqn(Acrobot(), learner, iterations, lanes=8, length=16, width=128)


def mountaincar_ppo(iterations: int = 400) -> Recipe:
    """PPO rocks a weak car out of a valley; solved at a mean return of −110.

    −110 is the `reward_threshold` that Gymnasium registers for MountainCar-v0; RL Baselines3 Zoo reports about −110.
    A car at random hardly ever arrives. But values fall with every step that is taken, and what was never seen keeps
    looking better: long rollouts of many lanes, in units that the network can tell apart, get there.
    """
    from headstart.core.networks import ActorCritic
    from headstart.core.process import Online
    from headstart.core.wrappers import Rescaled
    from headstart.scratch.ppo import PPO
    from headstart.worlds.classic_control import MountainCar

    world = Rescaled(MountainCar(), low=(-1.2, -0.07), high=(0.6, 0.07))
    learner = PPO(trace=0.98, minibatches=8, entropy_weight=0.003, learning_rate=1e-3)
    return online(Online(world, partial(ActorCritic, world, width=32), learner, lanes=64, length=128), iterations)


def mountaincar_dqn(iterations: int = 3_000) -> Recipe:
    """Double DQN rocks a weak car out of a valley; solved at a mean return of −110.

    −110 is the `reward_threshold` that Gymnasium registers for MountainCar-v0; RL Baselines3 Zoo reports about −101.
    Every step costs 1, so what was never tried looks best, and that is all that explores: the network has to be able
    to tell it from what was, and so it sees numbers between −5 and 5.
    """
    from headstart.core.wrappers import Rescaled
    from headstart.scratch.dqn import DQN
    from headstart.worlds.classic_control import MountainCar

    world = Rescaled(MountainCar(), low=(-0.48, -0.014), high=(-0.12, 0.014))  # a fifth of its bounds
    rate = _fading(1e-3, 64 * iterations)
    learner = DQN(updates=64, batch=128, learning_rate=rate, capacity=50_000, explore=8_000, period=50)
    return _dqn(world, learner, iterations, lanes=8, length=8, width=256)


def pendulum_ddpg(iterations: int = 320) -> Recipe:
    """DDPG swings a pendulum up and holds it; RL Baselines3 Zoo reports a mean return of −152."""
    from headstart.scratch.ddpg import DDPG

    return _pendulum(DDPG, 1, iterations)


def pendulum_td3(iterations: int = 320) -> Recipe:
    """TD3 swings a pendulum up and holds it; RL Baselines3 Zoo reports a mean return of −152."""
    from headstart.scratch.td3 import TD3

    return _pendulum(TD3, 2, iterations)


def pendulum_sac(iterations: int = 320) -> Recipe:
    """SAC swings a pendulum up and holds it; RL Baselines3 Zoo reports a mean return of −157."""
    from headstart.scratch.sac import SAC

    return _pendulum(SAC, 2, iterations)


def _pendulum(learner: Callable[..., AbstractActorCritics], critics: int, iterations: int) -> Recipe:
    """20,480 steps, as many as the Zoo's, with a gradient step for each."""
    from headstart.core.networks import ActorCritics
    from headstart.core.process import Online
    from headstart.worlds.classic_control import Pendulum

    world = Pendulum()
    network = partial(ActorCritics, world, width=64, critics=critics)
    settings = {"discount": 0.98, "updates": 64, "capacity": 50_000}
    return online(Online(world, network, learner(**settings), lanes=4, length=16), iterations)


def _ppo(world: AbstractWorld, iterations: int) -> Recipe:
    from headstart.core.networks import ActorCritic
    from headstart.core.process import Online
    from headstart.scratch.ppo import PPO

    return online(Online(world, partial(ActorCritic, world), PPO(learning_rate=1e-3), lanes=64, length=32), iterations)


def _fading(rate: float, gradients: int) -> optax.Schedule:
    """A learning rate that falls to nothing, so that greedy play no longer changes from one look to the next."""
    import optax

    return optax.linear_schedule(rate, 0.0, gradients)


def _dqn(world: AbstractWorld, learner: DQN, iterations: int, *, lanes: int, length: int, width: int) -> Recipe:
    from headstart.core.networks import ActionValues
    from headstart.core.process import Online

    network = partial(ActionValues, world, width=width)
    return online(Online(world, network, learner, lanes=lanes, length=length), iterations)
