"""Hindsight: steps per second with a gradient step for each, and how long a robot takes to reach where it is told.

FetchReach is stable-baselines3's SAC at the settings that RL Baselines3 Zoo publishes for it, against our recipe. Both
begin cold and look every 800 and 1,000 steps whether 19 of 20 greedy episodes end at their goal; imports, compilation
and the looking itself are part of the seconds.

Throughput is measured at equal settings but for the batches of SAC, ours of 250 and theirs of 256: two layers of 64 on
FetchReach, and DQN of one layer of 256 in batches of 240 on 15 bits. Ours steps eight robots or sixteen rows of bits
side by side between two rounds of gradient steps, which is what lanes are for; theirs steps one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from headstart import recipes
from headstart.bench.comparison import Comparison, Limit, Pair, in_turn
from headstart.bench.peers import ROBOTS, PeerFailed, ask_once, environment, talk
from headstart.bench.timing import matmul_limit
from headstart.core.hosted import Hosted, survey
from headstart.core.networks import ActionValues
from headstart.core.process import Online
from headstart.core.scan import scan
from headstart.errors import HeadstartError
from headstart.goals.hindsight import Hindsight
from headstart.progress import AbstractObserver
from headstart.scratch.dqn import DQN
from headstart.scratch.sac import SAC
from headstart.worlds.bit_flipping import BitFlipping

__all__ = ["compare"]

SUCCESS, MOST, EPISODES = 0.95, 30_000, 20  # of episodes; steps after which a seed has failed
PAIRS, THREADS, BITS, WIDTH = 3, 2, 15, 256
ALONE = 200  # steps of each robot without an agent
ZOO = {"batch_size": 256, "gamma": 0.95, "learning_rate": 1e-3, "learning_starts": 1_000, "buffer_size": 1_000_000}


def compare(*, observer: AbstractObserver, quick: bool) -> list[Comparison]:
    """Against stable-baselines3: throughput twice, then seconds and steps to success."""
    settings = {"learning_rate": 1e-3, "buffer_size": 100_000}
    sac = {"bits": 0, "widths": [64, 64], "settings": settings | {"batch_size": 256, "gamma": 0.95}}
    dqn = {"bits": BITS, "widths": [WIDTH], "settings": settings | {"batch_size": 240, "gamma": 0.93}}
    return [
        _throughput("fetchreach", "FetchReach", robots, 400, sac, 1_000, stepping, observer=observer, quick=quick),
        _throughput("bits", "15 bits", bits, 240, dqn, 2_000, products, observer=observer, quick=quick),
        *_until_success(observer=observer, quick=quick),
    ]


def robots() -> Callable[[], Any]:
    """400 steps of eight robots, and 400 gradient steps of 250."""
    process = _robots()
    assert isinstance(process.learner, SAC)
    learner = replace(process.learner, batch=40, minibatches=8, updates=400, capacity=100_000, warmup=200)
    return _stepped(replace(process, learner=learner))


def _robots() -> Hosted:
    process = recipes.find("fetchreach-hindsight").process
    assert isinstance(process, Hosted)
    return process


def bits() -> Callable[[], Any]:
    """240 steps of sixteen rows, and 240 gradient steps of sixteen segments of 15."""
    world = BitFlipping(BITS)
    learner = DQN(source=Hindsight(world), discount=0.93, segment=BITS, batch=16, updates=240, warmup=200)
    return _stepped(Online(world, partial(ActionValues, world, width=WIDTH, depth=1), learner, lanes=16, length=BITS))


def stepping() -> Limit:
    """What the robots themselves allow: random actions, and nobody who learns."""
    host = _robots().host
    survey(host, 10)  # starts the environments
    begun = time.perf_counter()
    survey(host, ALONE)
    alone = ALONE * host.lanes / (time.perf_counter() - begun)
    return Limit(alone, f"eight robots that nobody teaches make {alone:,.0f} random steps/s side by side")


def products() -> Limit:
    """What the matrix products of a gradient step allow: three looks at the batch, of which one is learned from."""
    look = 2 * WIDTH * (2 * BITS + BITS)
    return matmul_limit(5 * 240 * look, "step with its gradient step")


def _stepped(process: Any) -> Callable[[], Any]:
    """A function that takes eight iterations of a process, each from where the last one ended."""
    state = process.init(key=jax.random.key(0))
    if process.compiled:
        keys = jax.random.split(jax.random.key(1), 8)
        run = eqx.filter_jit(lambda state: scan(lambda state, key: process.step(state, key=key), state, keys)[0])
    else:

        def run(state: Any) -> Any:
            for index in range(8):
                state, _ = process.step(state, key=jax.random.fold_in(jax.random.key(1), index))
            return state

    def go_on() -> None:
        nonlocal state
        state = jax.block_until_ready(run(state))

    return go_on


def _throughput(
    name: str,
    title: str,
    ours: Callable[[], Callable[[], Any]],
    steps: int,
    theirs: dict[str, Any],
    many: int,
    limit: Callable[[], Limit],
    *,
    observer: AbstractObserver,
    quick: bool,
) -> Comparison:
    """Steps per second: `steps` of ours in an iteration, and `many` of theirs in a measurement; and the `limit`."""
    what = f"hindsight on {title}, a gradient step for each step"
    comparison = Comparison(f"hindsight-{name}", what, "steps/s", ROBOTS.name, None, quick=quick)
    observer.say(f"{comparison.name}: starting ...")
    try:
        python = environment(ROBOTS, observer=observer)
        run = ours()
        run()  # compiles

        def rate() -> float:
            begun = time.perf_counter()
            run()
            return 8 * steps / (time.perf_counter() - begun)

        settings = theirs | {"steps": 100 if quick else many, "threads": THREADS}
        with talk(ROBOTS.name, python, "sb3_hindsight", **settings) as peer:
            pairs = in_turn(rate, lambda: peer.ask()["rate"], 1 if quick else PAIRS, observer=observer)
            return replace(comparison, pairs=pairs, limit=limit(), versions=peer.versions)
    except HeadstartError as error:
        return comparison.unmeasured(str(error))


def _until_success(*, observer: AbstractObserver, quick: bool) -> list[Comparison]:
    """Seconds and steps from a cold process to success on FetchReach, with a new seed for each pair."""
    what = "from a cold process to 95 % success on FetchReach, compilation included"
    seconds = Comparison("fetchreach-seconds", what, "s", ROBOTS.name, 4.0, quick=quick)
    steps = Comparison(
        "fetchreach-steps", "steps to 95 % success on FetchReach", "steps", ROBOTS.name, 1.0, quick=quick
    )
    observer.say(f"{seconds.name}: starting ...")
    answers: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}

    def run(who: str, python: Path, script: str, **settings: Any) -> float:
        seed = len(answers[who])
        answer = ask_once(who, python, script, until=SUCCESS, most=MOST, seed=seed, episodes=EPISODES, **settings)
        if answer["success"] < SUCCESS:
            raise PeerFailed(f"{script} with seed {seed} had {answer['success']:.2f} after {answer['steps']:,} steps.")
        answers[who].append(answer)
        return answer["seconds"]

    try:
        python = environment(ROBOTS, observer=observer)
        theirs = {"every": 1_000, "threads": THREADS, "settings": ZOO}
        pairs = in_turn(
            lambda: run("ours", Path(sys.executable), "headstart_fetchreach"),
            lambda: run("theirs", python, "sb3_fetchreach", **theirs),
            1 if quick else PAIRS,
            observer=observer,
        )
        both = zip(answers["ours"], answers["theirs"], strict=True)
        taken = tuple(Pair(ours["steps"], theirs["steps"]) for ours, theirs in both)
        return [replace(seconds, pairs=pairs), replace(steps, pairs=taken)]
    except HeadstartError as error:
        return [each.unmeasured(str(error)) for each in (seconds, steps)]
