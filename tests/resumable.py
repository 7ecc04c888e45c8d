"""A command that trains a small process in a run directory, for tests that kill it: `resumable.py NAME DIRECTORY N`.

With `--die-at-sync K` it kills itself, as `kill -9` would, on the K-th call of `fsync`: in the midst of saving.
"""

import argparse
import os
import signal
import sys
import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp

from headstart import run as running
from headstart.core.network import AbstractNetwork
from headstart.core.process import AbstractProcess, Online
from headstart.core.types import Outcome, Output, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import HeadstartError
from headstart.progress import observer


class TinyState(eqx.Module):
    weight: jax.Array
    replay: jax.Array
    cursor: jax.Array
    key: jax.Array
    activation: object = jax.nn.tanh


class Tiny(AbstractProcess):
    """A chaotic recursion with a ring of memory: one bit lost anywhere changes every bit that follows."""

    size: int = 16
    capacity: int = 64
    poison: int = -1  # the iteration from which its loss is NaN

    def init(self, *, key):
        return TinyState(
            jax.random.normal(key, (self.size, self.size)),
            jnp.zeros((self.capacity, self.size), jnp.bfloat16),
            jnp.zeros((), jnp.int32),
            key,
        )

    def step(self, state, *, key):
        carried, drawn_key = jax.random.split(state.key)
        drawn = state.replay[jax.random.randint(drawn_key, (), 0, self.capacity)]
        noise = jax.random.normal(key, (self.size,))
        weight = state.activation(state.weight @ state.weight + jnp.outer(drawn, noise) + noise)
        replay = state.replay.at[state.cursor % self.capacity].set(weight[0].astype(jnp.bfloat16))
        loss = (
            jnp.where(state.cursor >= self.poison, jnp.nan, jnp.mean(weight**2)) if self.poison >= 0 else weight.mean()
        )
        none_ended = jnp.where(state.cursor % 3 == 0, jnp.nan, 1.0)
        metrics = {"tiny/loss": loss, "episode/return": none_ended, "tiny/cursor": state.cursor}
        return TinyState(weight, replay, state.cursor + 1, carried), metrics


class Plain(Tiny):
    """The same on the host: nothing to compile."""

    compiled = False


class Slow(Plain):
    """Half a second an iteration."""

    def step(self, state, *, key):
        time.sleep(0.5)
        return Tiny.step(self, state, key=key)


class Walk(AbstractWorld):
    """A random walk between two ends, of which the right one pays."""

    @property
    def actions(self):
        return Discrete(2)

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        place = jax.random.uniform(key, (1,), minval=-0.5, maxval=0.5)
        return place, place

    def step(self, state, task, action, *, key):
        place = state + 0.2 * (2 * action - 1) + 0.1 * jax.random.normal(key, (1,))
        over = jnp.abs(place[0]) > 1
        reward = jnp.where(place[0] > 1, 1.0, 0.0)
        return place, Outcome(place, reward, 1.0 - over, over)


class Values(AbstractNetwork):
    """Action values by a small perceptron."""

    body: eqx.nn.MLP

    def __init__(self, key):
        self.body = eqx.nn.MLP(1, 2, 16, 1, key=key)

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(self.body(percept.observation)), None


def dqn():
    """DQN, whose state holds a replay and the moments of an optimiser."""
    from headstart.scratch.dqn import DQN

    learner = DQN(capacity=1024, segment=4, batch=8, warmup=64, explore=500, period=20)
    return Online(Walk(), Values, learner, lanes=8, length=4)


def ppo():
    """Recurrent PPO, which carries memories and the moments of an optimiser."""
    from headstart.core.networks import RecurrentActorCritic
    from headstart.scratch.ppo import PPO

    network = partial(RecurrentActorCritic, Walk(), width=8)
    return Online(Walk(), network, PPO(minibatches=2), lanes=8, length=4)


PROCESSES = {"tiny": Tiny, "slow": Slow, "dqn": dqn, "ppo": ppo}


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PROCESSES)
    parser.add_argument("directory")
    parser.add_argument("iterations", type=int)
    parser.add_argument("--die-at-sync", type=int, default=0)
    parser.add_argument("--progress", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.die_at_sync:
        sync, calls = os.fsync, iter(range(1, asked.die_at_sync))
        os.fsync = lambda handle: sync(handle) if next(calls, None) else os.kill(os.getpid(), signal.SIGKILL)
    try:
        running.run(
            PROCESSES[asked.name](),
            asked.iterations,
            directory=asked.directory,
            configuration={"name": asked.name},
            seed=3,
            every=16,
            chunk=8,
            observer=observer(quiet=not asked.progress),
        )
    except HeadstartError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
