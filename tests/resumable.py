"""A command that trains a small process in a run directory, for tests that kill it: `resumable.py NAME DIRECTORY N`.

With `--die-at-sync K` it kills itself, as `kill -9` would, on the K-th call of `fsync`: in the midst of saving.
"""

import argparse
import os
import signal
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp

from headstart import run as running
from headstart.core.process import AbstractProcess
from headstart.errors import HeadstartError
from headstart.progress import Quiet


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


PROCESSES = {"tiny": Tiny, "slow": Slow}


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PROCESSES)
    parser.add_argument("directory")
    parser.add_argument("iterations", type=int)
    parser.add_argument("--die-at-sync", type=int, default=0)
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
            observer=Quiet(),
        )
    except HeadstartError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
