"""RL² in XLand-MiniGrid: steps per second, learning included, at the settings of that project's own baseline.

The peer, `training/train_meta_task.py` of xland-minigrid 0.9.3, is in no package, and does not import as it is with a
Python of 3.11 or later. So it is not measured here: its figure was **recorded** once, on two cores, after a patch: 256
lanes in a room of 9 by 9, a view of 5 by 5, trivial rulesets that were generated, 32 steps an update, one epoch of 4
minibatches, a gated recurrent unit and heads of 64, 90 thousand parameters. Ours is measured with the same numbers, in
trials of five episodes, and a network of as many parameters that takes tiles in otherwise
(`headstart.worlds.xland.network`). A ratio of figures from two machines is worth less than one of a pair, and decides
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax

from headstart.bench.comparison import Comparison, Pair
from headstart.bench.timing import matmul_limit, rate
from headstart.core.process import Online
from headstart.core.scan import scan
from headstart.experience.xland import benchmark
from headstart.progress import AbstractObserver
from headstart.scratch.ppo import PPO
from headstart.worlds.xland.network import SIZES, TileActorCritic
from headstart.worlds.xland.rulesets import TRIVIAL

__all__ = ["compare"]

RECORDED = 2_568.0  # steps a second: the median of 2,973, 2,303 and 2,568
BAR = 5.0
LANES, LENGTH, MINIBATCHES, WIDTH, FEATURES, TIMES = 256, 32, 4, 64, 32, 5
VIEW, ACTIONS = 5, 6

#: Multiplications and additions of one look at a percept: what is seen, what is heard of it, the cell, and two heads. A
#: step is looked at once when acting, and three times over (forwards, and backwards twice) in the one epoch.
SEEN = VIEW**2 * sum(SIZES) * FEATURES
LOOK = 2 * (SEEN + (VIEW**2 * FEATURES + 4 + ACTIONS + 3) * WIDTH + 6 * WIDTH**2 + 2 * WIDTH**2 + WIDTH * (ACTIONS + 1))
STEP = LOOK * (1 + 3)


def training() -> Online:
    """What is measured."""
    world, _ = benchmark(TRIVIAL, size=9, steps=None)
    learner = PPO(epochs=1, minibatches=MINIBATCHES, learning_rate=1e-3)
    network = partial(TileActorCritic, world, width=WIDTH, features=FEATURES)
    return Online(world, network, learner, lanes=LANES, length=LENGTH)


def steps_per_second(iterations: int) -> Callable[[], float]:
    """Our own rate, collecting and learning."""
    process = training()
    keys = jax.random.split(jax.random.key(1), iterations)
    run = eqx.filter_jit(lambda state: scan(lambda state, key: process.step(state, key=key), state, keys))
    state = eqx.filter_jit(process.init)(key=jax.random.key(0))
    return rate(run, state, lambda _: iterations * LANES * LENGTH)


def compare(*, observer: AbstractObserver, quick: bool) -> list[Comparison]:
    """Ours, beside what was recorded of xland-minigrid's baseline."""
    ours = steps_per_second(2 if quick else 16)
    measured = [ours() for _ in range(2 if quick else TIMES)]
    for value in measured:
        observer.say(f"  ours {value:,.0f} steps/s; theirs was recorded at {RECORDED:,.0f}")
    what = f"recurrent PPO on trivial rulesets, {LANES} lanes, {LENGTH} steps, 1 epoch of {MINIBATCHES}, 90k parameters"
    return [
        Comparison(
            "xland",
            what,
            "steps/s",
            "xland-minigrid",
            BAR,
            tuple(Pair(value, RECORDED) for value in measured),
            matmul_limit(STEP, "step, acted and learned,"),
            quick=quick,
            recorded=True,
        )
    ]
