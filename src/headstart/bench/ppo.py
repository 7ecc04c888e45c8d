"""PPO on CartPole: steps per second, learning included, at the same settings as the peers.

64 lanes (stable-baselines3 also with the 8 that its users have), 128 steps, 4 epochs of 4 minibatches, a constant
learning rate of 2.5e-4, and two perceptrons of two tanh layers of 64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import equinox as eqx
import jax

from headstart.bench.comparison import Comparison, Limit, in_turn
from headstart.bench.peers import REJAX, STABLE_BASELINES, Peer, environment, talk
from headstart.bench.timing import matmul_limit, rate
from headstart.core.networks import ActorCritic
from headstart.core.process import Online
from headstart.core.scan import scan
from headstart.errors import HeadstartError
from headstart.progress import AbstractObserver
from headstart.scratch.ppo import PPO
from headstart.worlds.classic_control import CartPole

__all__ = ["compare"]

LANES, LENGTH, EPOCHS, MINIBATCHES, LEARNING_RATE, CLIP = 64, 128, 4, 4, 2.5e-4, 0.5
PAIRS = 9

#: Multiplications and additions of one look at a percept, by the policy (4-64-64-2) and by the value (4-64-64-1); a
#: step is looked at once when acting, and three times over (forwards, and backwards twice) in each epoch.
LOOK = 2 * (4 * 64 + 64 * 64 + 64 * 2) + 2 * (4 * 64 + 64 * 64 + 64)
STEP = LOOK * (1 + 3 * EPOCHS)


@dataclass(frozen=True)
class Rival:
    """One peer at one width. `settings` are what its script wants, but for the iterations in a measurement."""

    name: str
    peer: Peer
    script: str
    lanes: int
    bar: float | None
    iterations: int
    settings: dict[str, Any]


def rejax() -> Rival:
    settings: dict[str, Any] = {
        "num_envs": LANES,
        "num_steps": LENGTH,
        "num_epochs": EPOCHS,
        "num_minibatches": MINIBATCHES,
    }
    settings |= {"learning_rate": LEARNING_RATE, "max_grad_norm": CLIP}
    return Rival("ppo-rejax", REJAX, "rejax_cartpole", LANES, 1.0, 32, {"settings": settings})


def stable_baselines(name: str, lanes: int, bar: float | None) -> Rival:
    settings: dict[str, Any] = {"n_steps": LENGTH, "n_epochs": EPOCHS, "batch_size": lanes * LENGTH // MINIBATCHES}
    settings |= {"learning_rate": LEARNING_RATE, "max_grad_norm": CLIP, "ent_coef": 0.01, "vf_coef": 0.5}
    # One thread is its best with networks of this size.
    about = {"lanes": lanes, "threads": 1, "settings": settings}
    return Rival(name, STABLE_BASELINES, "sb3_cartpole", lanes, bar, 16 * 8 // lanes, about)


RIVALS = (
    rejax(),
    stable_baselines("ppo-sb3", 8, 25.0),
    stable_baselines("ppo-sb3-64", 64, None),
)


def steps_per_second(iterations: int) -> Callable[[], float]:
    """Our own rate, collecting and learning."""
    world = CartPole()
    learner = PPO(epochs=EPOCHS, minibatches=MINIBATCHES, learning_rate=LEARNING_RATE, clip=CLIP)
    process = Online(world, partial(ActorCritic, world), learner, lanes=LANES, length=LENGTH)
    keys = jax.random.split(jax.random.key(1), iterations)
    run = eqx.filter_jit(lambda state: scan(lambda state, key: process.step(state, key=key), state, keys))
    state = eqx.filter_jit(process.init)(key=jax.random.key(0))
    return rate(run, state, lambda _: iterations * LANES * LENGTH)


def compare(*, observer: AbstractObserver, quick: bool) -> list[Comparison]:
    """PPO against rejax and stable-baselines3."""
    ours = steps_per_second(2 if quick else 32)
    limit = matmul_limit(STEP, "step, acted and learned,")
    return [_against(rival, ours, observer=observer, quick=quick, limit=limit) for rival in RIVALS]


def _against(
    rival: Rival, ours: Callable[[], float], *, observer: AbstractObserver, quick: bool, limit: Limit
) -> Comparison:
    what = f"PPO on CartPole, {LANES} lanes against {rival.lanes}, {LENGTH} steps, {EPOCHS} epochs of {MINIBATCHES}"
    comparison = Comparison(rival.name, what, "steps/s", rival.peer.name, rival.bar, limit=limit, quick=quick)
    observer.say(f"{comparison.name}: starting ...")
    iterations = 1 if quick else rival.iterations
    try:
        python = environment(rival.peer, observer=observer)
        with talk(rival.peer.name, python, rival.script, iterations=iterations, **rival.settings) as theirs:
            pairs = in_turn(ours, lambda: theirs.ask()["rate"], 3 if quick else PAIRS, observer=observer)
            return replace(comparison, pairs=pairs, versions=theirs.versions)
    except HeadstartError as error:
        return comparison.unmeasured(str(error))
