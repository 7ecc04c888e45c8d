"""MAML by TRPO on the plane: meta-iterations per second, gathering included.

The peer, tristandeleu's pytorch-maml-rl, is on no index, and runs only with a Gym and a NumPy of 2020 and a patch for
what PyTorch has since removed. So it is not measured here: its figure was **recorded** once, on two cores, with its own
`2d-navigation.yaml`: 20 tasks, 20 + 20 trajectories of 100 steps, two layers of 64, second order. Ours is measured
with the same numbers. A ratio of figures from two machines is worth less than one of a pair, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax

from headstart.bench.comparison import Comparison, Pair
from headstart.bench.timing import matmul_limit, rate
from headstart.core.scan import scan
from headstart.experience.maml import MAML, TRPO
from headstart.progress import AbstractObserver
from headstart.recipes.experience import adapting
from headstart.worlds.navigation import Navigation

__all__ = ["compare"]

RECORDED = 0.197  # meta-iterations a second: the median of 0.197, 0.201 and 0.187
BAR = 20.0
WIDTH, TIMES = 64, 5

#: Multiplications and additions of one look at a percept, by the policy (2-64-64-2).
LOOK = 2 * (2 * WIDTH + WIDTH * WIDTH + WIDTH * 2)


def looks(process: MAML) -> float:
    """How many times one iteration looks at percepts, or pays as much, for each of its steps before the update.

    Forwards is one look, a gradient three. To act, twice, with the update between them: 5. The meta-gradient: both
    gradients, and a second derivative of six looks: 12. One try of an outer step: 4. Each product with F: twice the
    second derivative and two forwards and backwards of two, 16, from one step of so many as are judged.
    """
    assert isinstance(process.outer, TRPO)
    return 5 + 12 + 4 + 16 * (process.outer.region.iterations + 1) / process.outer.every


def iterations_per_second(process: MAML, iterations: int) -> Callable[[], float]:
    """Our own rate, gathering and learning."""
    keys = jax.random.split(jax.random.key(1), iterations)
    run = eqx.filter_jit(lambda state: scan(lambda state, key: process.step(state, key=key), state, keys))
    state = eqx.filter_jit(process.init)(key=jax.random.key(0))
    return rate(run, state, lambda _: iterations)


def compare(*, observer: AbstractObserver, quick: bool) -> list[Comparison]:
    """Ours, beside what was recorded of pytorch-maml-rl."""
    process = adapting(Navigation(), width=WIDTH)
    ours = iterations_per_second(process, 1 if quick else 8)
    steps = process.tasks * process.lanes * process.length
    measured = [ours() for _ in range(2 if quick else TIMES)]
    for value in measured:
        observer.say(f"  ours {value:,.3g} meta-iterations/s; theirs was recorded at {RECORDED:,.3g}")
    what = (
        f"MAML on the plane, {process.tasks} tasks of {process.lanes} + {process.lanes} trajectories, two layers of 64"
    )
    return [
        Comparison(
            "maml",
            what,
            "meta-iterations/s",
            "pytorch-maml-rl",
            BAR,
            tuple(Pair(value, RECORDED) for value in measured),
            matmul_limit(LOOK * steps * looks(process), "meta-iteration"),
            quick=quick,
            recorded=True,
        )
    ]
