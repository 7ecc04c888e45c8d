"""Named agents, one composition each: the shop window.

    recipe = find("cartpole-ppo")
    state = train(recipe.process, recipe.iterations, key=jax.random.key(0))

A recipe is a function, so that listing them builds nothing and imports little.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import UsageError, unknown

if TYPE_CHECKING:
    from headstart.core.network import AbstractNetwork
    from headstart.core.process import AbstractProcess, Online, ProcessState
    from headstart.core.source import AbstractSource
    from headstart.core.world import AbstractWorld
    from headstart.goals.goal_directed import GoalDirected
    from headstart.greedy import Evaluation
    from headstart.scratch.actor_critics import AbstractActorCritics
    from headstart.scratch.dqn import DQN
    from headstart.scratch.sac import SAC
    from headstart.worlds.bit_flipping import BitFlipping
    from headstart.worlds.push import Push

__all__ = [
    "PUBLISHED",
    "RECIPES",
    "Recipe",
    "about",
    "configuration",
    "find",
    "flipping",
    "goal_directed",
    "pushing",
    "restore",
]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """An agent in a world, ready to be trained.

    - `process`: what `train` runs.
    - `iterations`: for how long, so that it learns what it should.
    - `configuration`: what makes two runs of it the same, as JSON.
    - `observes`: what the agent may observe, in words.
    - `steps`: steps of the world in an iteration, all lanes together.
    - `chunk`, `every`: iterations per call of the compiled program, and between checkpoints.
    - `evaluate`: `(process, state, *, title, episodes, seed)`, how its trained agent is judged; `None` where only a
      study can.
    """

    process: AbstractProcess
    iterations: int
    configuration: dict[str, Any]
    observes: str
    steps: int
    chunk: int = 16
    every: int = 128
    evaluate: Callable[..., Evaluation] | None = None


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

    learner = DQN(updates=16, batch=128, learning_rate=5e-4, explore=20_000, period=50)
    return _dqn(CartPole(), learner, iterations, lanes=8, length=16, width=128)


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
    import optax

    from headstart.scratch.dqn import DQN
    from headstart.worlds.classic_control import Acrobot

    # As the rate falls to nothing, greedy play no longer changes from one look to the next.
    rate = optax.linear_schedule(1e-3, 0.0, 16 * iterations)
    learner = DQN(updates=16, batch=128, learning_rate=rate, explore=20_000, period=100)
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
    return _online(Online(world, partial(ActorCritic, world, width=32), learner, lanes=64, length=128), iterations)


def mountaincar_dqn(iterations: int = 1_000) -> Recipe:
    """Double DQN rocks a weak car out of a valley; solved at a mean return of −110, which it does not always reach.

    −110 is the `reward_threshold` that Gymnasium registers for MountainCar-v0; RL Baselines3 Zoo reports about −101.
    Here the goal is found by chance, after 16 to 40 thousand steps in the seeds that were tried; greedy play then
    varied between −103 and −177.
    """
    from headstart.scratch.dqn import DQN
    from headstart.worlds.classic_control import MountainCar

    # Every step costs 1, so what was never tried looks best: values that fall fast, in a short memory, explore.
    learner = DQN(updates=64, batch=128, learning_rate=2e-3, capacity=10_000, explore=8_000, period=50)
    return _dqn(MountainCar(), learner, iterations, lanes=8, length=8, width=64)


def bitflipping_hindsight(iterations: int = 400) -> Recipe:
    """DQN with hindsight turns any 15 bits into any others; the shortest ways have a mean return of −6.5.

    Without hindsight goals are met too rarely to learn from (Andrychowicz and others, 2017, figure 1): by random flips,
    one in some 2,800 episodes.
    """
    from headstart.goals.hindsight import Hindsight
    from headstart.worlds.bit_flipping import BitFlipping

    world = BitFlipping(15)
    return _online(flipping(world, Hindsight(world)), iterations)


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
    return _online(Online(world, network, learner(**settings), lanes=4, length=16), iterations)


def push_hindsight(iterations: int = 200) -> Recipe:
    """SAC with hindsight shoves a disc to any place on a table, where nothing is earned on the way."""
    from headstart.goals.hindsight import Hindsight
    from headstart.worlds.push import Push

    world = Push()
    return _online(pushing(world, Hindsight(world)), iterations)


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
    from headstart.core.hosted import Hosted, survey
    from headstart.goals.hindsight import Hindsight
    from headstart.worlds.adapters.goals import gymnasium_goals
    from headstart.worlds.adapters.gymnasium import gymnasium_host

    host = gymnasium_host(name, lanes)
    seeing = partial(network, host, typical=survey(host, look))
    learner = learn(source=Hindsight(gymnasium_goals(name)))
    return dataclasses.replace(_online(Hosted(host, seeing, learner, length=50), iterations), chunk=1, every=25)


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
    return _online(Online(world, partial(TwoStream.of, goals), learner, lanes=16, length=32), iterations)


def pointgather_goals(iterations: int = 150) -> Recipe:
    """One policy sets goals and another reaches them: a slow point gathers apples and leaves bombs where they are.

    `headstart study goal_directed` asks whether a flat policy gathers less from as many steps.
    """
    from headstart.worlds.point import PointGather

    return _online(goal_directed(PointGather()), iterations)


def goal_directed(world: AbstractWorld) -> GoalDirected:
    """A manager with a goal for every 10 steps and a worker, both PPO, in a world with real actions."""
    from headstart.goals.goal_directed import GoalDirected, Patient
    from headstart.scratch.ppo import PPO

    manager = Patient(learning_rate=1e-3, discount=0.97)
    return GoalDirected(world, every=10, manager=manager, worker=PPO(learning_rate=1e-3, discount=0.95))


def newgame(iterations: int | None = None) -> Recipe:
    """The agent that meets new board games: self-play over thousands of them, reading their rules."""
    from headstart.newgame.judged import evaluate
    from headstart.newgame.training import Training, process

    settings = Training() if iterations is None else Training(iterations=iterations)
    return Recipe(
        process=process(settings),
        iterations=settings.iterations,
        configuration={"training": dataclasses.asdict(settings)},
        observes="the board, the rules in words, and how earlier games of the trial ended",
        steps=settings.lanes * settings.length,
        chunk=4,
        every=16,
        evaluate=evaluate,
    )


def reading(iterations: int | None = None) -> Recipe:
    """The reader of rules alone: what texts say, learned from texts whose facts are known."""
    from headstart.newgame.reading import Lessons, evaluate, process

    settings = Lessons() if iterations is None else Lessons(iterations=iterations)
    return Recipe(
        process=process(settings),
        iterations=settings.iterations,
        configuration={"lessons": dataclasses.asdict(settings)},
        observes="the rules in words",
        steps=settings.lessons * settings.texts,
        chunk=4,
        every=32,
        evaluate=evaluate,
    )


RECIPES: dict[str, Callable[..., Recipe]] = {
    "cartpole-ppo": cartpole_ppo,
    "cartpole-dqn": cartpole_dqn,
    "acrobot-ppo": acrobot_ppo,
    "acrobot-dqn": acrobot_dqn,
    "mountaincar-ppo": mountaincar_ppo,
    "mountaincar-dqn": mountaincar_dqn,
    "pendulum-ddpg": pendulum_ddpg,
    "pendulum-td3": pendulum_td3,
    "pendulum-sac": pendulum_sac,
    "bitflipping-hindsight": bitflipping_hindsight,
    "push-hindsight": push_hindsight,
    "fetchreach-hindsight": fetchreach_hindsight,
    "fetchpush-hindsight": fetchpush_hindsight,
    "fourrooms-uvfa": fourrooms_uvfa,
    "pointgather-goals": pointgather_goals,
    "newgame": newgame,
    "reading": reading,
}

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


def about(name: str) -> str:
    """What a recipe is, in one line."""
    return (inspect.getdoc(RECIPES[name]) or "").partition("\n")[0]


def find(name: str, iterations: int | None = None) -> Recipe:
    """The recipe of that name, for as many iterations as it says or as are asked for.

    **Raises:** `UsageError` with the nearest name, if there is none.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    recipe = RECIPES[name]() if iterations is None else RECIPES[name](iterations)
    asked = {"recipe": name, "iterations": recipe.iterations}
    return dataclasses.replace(recipe, configuration=asked | recipe.configuration)


def restore(directory: Path, *, warn: Callable[[str], None]) -> tuple[Recipe, int, ProcessState]:
    """What was trained in a run directory: its recipe, the iterations done, and the state it reached.

    Whoever calls holds the directory's lock (`headstart.rundir.locked`): a run in progress deletes old checkpoints.

    **Raises:** `UsageError` for a directory without a run of a recipe; `CannotResume` if the recipe has changed since;
    `StorageError` if no checkpoint is intact.
    """
    import jax

    from headstart import checkpoint, rundir
    from headstart.run import FREE

    stored = rundir.read(directory)
    asked = stored["configuration"] if stored else {}
    if stored is None or asked.get("recipe") not in RECIPES:
        raise UsageError(f"{directory} holds no run of a recipe; headstart train makes one.")
    if not checkpoint.present(directory / "checkpoints"):
        raise UsageError(f"{directory} has stored no checkpoint yet; the command that made it goes on.")
    recipe = find(asked["recipe"], asked.get("iterations"))
    now = rundir.about(recipe.configuration, stored["seed"], recipe.observes)
    rundir.check(stored, now, free=FREE, override=False, warn=warn)
    like = recipe.process.outline(key=jax.random.key(stored["seed"]))
    return recipe, *checkpoint.restore(directory / "checkpoints", like, warn=warn)


def configuration(value: Any) -> Any:
    """A composition as JSON: what it is made of and with which numbers, so that a change of any of them is noticed."""
    import equinox as eqx

    if isinstance(value, partial):
        named = {"call": configuration(value.func)} | {key: configuration(item) for key, item in value.keywords.items()}
        return named | ({"arguments": [configuration(item) for item in value.args]} if value.args else {})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: configuration(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"class": type(value).__name__} | fields
    if isinstance(value, tuple | list):
        return [configuration(item) for item in value]
    if isinstance(value, bool | int | float | str | None):
        return value
    if eqx.is_array(value):
        return value.tolist() if value.size <= 16 else f"{value.dtype}{list(value.shape)}"
    name = getattr(value, "__qualname__", type(value).__name__)
    if inspect.isfunction(value) and value.__closure__:
        # Such as a schedule of optax, which is a function that keeps its numbers to itself.
        kept = zip(value.__code__.co_freevars, value.__closure__, strict=True)
        return {"call": name} | {key: configuration(cell.cell_contents) for key, cell in kept}
    return name


def _ppo(world: AbstractWorld, iterations: int) -> Recipe:
    from headstart.core.networks import ActorCritic
    from headstart.core.process import Online
    from headstart.scratch.ppo import PPO

    return _online(Online(world, partial(ActorCritic, world), PPO(learning_rate=1e-3), lanes=64, length=32), iterations)


def _dqn(world: AbstractWorld, learner: DQN, iterations: int, *, lanes: int, length: int, width: int) -> Recipe:
    from headstart.core.networks import ActionValues
    from headstart.core.process import Online

    network = partial(ActionValues, world, width=width)
    return _online(Online(world, network, learner, lanes=lanes, length=length), iterations)


def _online(process: Any, iterations: int) -> Recipe:
    from headstart.greedy import evaluate

    return Recipe(
        process=process,
        iterations=iterations,
        configuration={"process": configuration(process)},
        observes="what the world shows",
        steps=(process.lanes if hasattr(process, "lanes") else process.host.lanes) * process.length,
        evaluate=evaluate,
    )
