"""Processes: anything with `init` and `step` that `train` runs.

A process is pure: its state is a pytree, so a checkpoint of the state and the number of iterations done is a
checkpoint of everything. Iteration i always draws its randomness from `fold_in(key, i)`: a run that was interrupted
draws what it would have drawn.
"""

from __future__ import annotations

import abc
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.collect import Lanes, begin, collect, example
from headstart.core.learner import AbstractLearner, LearnerState
from headstart.core.network import AbstractNetwork
from headstart.core.scan import scan
from headstart.core.types import Key, Metrics, Rollout
from headstart.core.world import AbstractWorld
from headstart.core.wrappers import Trials

__all__ = ["AbstractProcess", "Online", "OnlineState", "ProcessState", "Tally", "train", "train_at_once"]

ProcessState = Any  # a named Module of each process's own


class AbstractProcess(eqx.Module):
    """What `train` runs: one `init`, then as many `step`s as asked.

    `compiled` says that `step` is pure JAX, so that whole chunks of iterations run inside one `jit`.
    """

    compiled: ClassVar[bool] = True

    @abc.abstractmethod
    def init(self, *, key: Key) -> ProcessState:
        """The state before the first iteration."""

    def outline(self, *, key: Key) -> ProcessState:
        """The shapes and types of a state, for a checkpoint to be read into."""
        return eqx.filter_eval_shape(self.init, key=key) if self.compiled else self.init(key=key)

    @abc.abstractmethod
    def step(self, state: ProcessState, *, key: Key) -> tuple[ProcessState, Metrics]:
        """One iteration: gather experience, learn. Metrics are scalars, reduced on the device."""


class Tally(eqx.Module):
    """Returns and lengths of the episodes in progress, one per lane, so that finished ones can be reported."""

    returns: Float[Array, "B"]
    lengths: Int[Array, "B"]

    @staticmethod
    def zero(lanes: int) -> Tally:
        return Tally(jnp.zeros(lanes), jnp.zeros(lanes, jnp.int32))

    def count(self, rollout: Rollout) -> tuple[Tally, Metrics]:
        """The tally after a rollout, and the mean over the episodes that ended in it (NaN if none did)."""

        def step(tally: Tally, moment):
            reward, last = moment
            returns, lengths = tally.returns + reward, tally.lengths + 1
            on = Tally(jnp.where(last, 0.0, returns), jnp.where(last, 0, lengths))
            return on, (jnp.sum(returns * last), jnp.sum(lengths * last), jnp.sum(last))

        tally, (returns, lengths, ended) = jax.lax.scan(step, self, (rollout.reward, rollout.last))
        count = jnp.sum(ended)
        return tally, {
            "episode/return": jnp.sum(returns) / count,
            "episode/length": jnp.sum(lengths) / count,
            "episode/count": count,
            # Within a trial several episodes end before the lane does: those with a discount of 0.
            "episode/ends": jnp.sum((rollout.discount == 0) | rollout.last),
        }


class OnlineState(eqx.Module):
    """What `Online` carries from one iteration to the next."""

    learner: LearnerState
    lanes: Lanes
    tally: Tally


class Online(AbstractProcess):
    """The usual loop: `length` steps in each of `lanes` lanes, then one update of the learner.

    **Arguments:**

    - `world`: where to learn. The learner's source stages it.
    - `network`: a function from a key to a fresh network.
    - `learner`: who learns.
    - `lanes`, `length`: how many copies of the world run side by side, and for how many steps between updates.

    **Warns:** where a network that remembers nothing is to learn in `Trials`.
    """

    world: AbstractWorld
    network: Callable[[Key], AbstractNetwork]
    learner: AbstractLearner
    lanes: int = 64
    length: int = 32

    def init(self, *, key: Key) -> OnlineState:
        network_key, learner_key, lanes_key = jax.random.split(key, 3)
        world = self.learner.source.stage(self.world)
        network = self.network(network_key)
        if isinstance(self.world, Trials) and self.world.episodes > 1 and not jax.tree.leaves(network.initial()):
            warnings.warn(
                f"{type(network).__name__} remembers nothing, so that in the last of {self.world.episodes} episodes of "
                "a task it will be no better than in the first; give it a network with a memory",
                stacklevel=2,
            )
        return OnlineState(
            learner=self.learner.init(network, example(world, network, key=lanes_key), key=learner_key),
            lanes=begin(world, network, self.lanes, key=lanes_key),
            tally=Tally.zero(self.lanes),
        )

    def step(self, state: OnlineState, *, key: Key) -> tuple[OnlineState, Metrics]:
        collect_key, update_key = jax.random.split(key)
        world = self.learner.source.stage(self.world)

        def act(percept, memory, *, key):
            return self.learner.act(state.learner, percept, memory, key=key)

        lanes, rollout = collect(world, state.learner.network, act, state.lanes, self.length, key=collect_key)
        learner, metrics = self.learner.update(state.learner, rollout, key=update_key)
        tally, episodes = state.tally.count(rollout)
        return OnlineState(learner, lanes, tally), metrics | episodes


def train(
    process: AbstractProcess,
    iterations: int,
    *,
    key: Key,
    state: ProcessState | None = None,
    done: int = 0,
    chunk: int = 16,
    after: Callable[[int, ProcessState, dict[str, Any]], None] | None = None,
) -> ProcessState:
    """Run a process for `iterations` iterations in all, of which `done` are behind us; returns its state.

    **Arguments:**

    - `key`: the root of all randomness of this run.
    - `state`: where to go on from; a fresh start if `None`.
    - `chunk`: iterations per call of the compiled program, after each of which `after` is called.
    - `after`: `(done, state, metrics)`, metrics as NumPy arrays of shape `[chunk]`. Saving and reporting happen here.
      It must copy what it keeps of `state`: the next chunk reuses its memory.
    """
    init_key, step_key = jax.random.split(key)
    if state is None:
        state = eqx.filter_jit(process.init)(key=init_key) if process.compiled else process.init(key=init_key)
        state = _strongly_typed(state)

    def iterate(state, index):
        return process.step(state, key=jax.random.fold_in(step_key, index))

    run = eqx.filter_jit(lambda state, indices: scan(iterate, state, indices), donate="all")
    while done < iterations:
        count = min(chunk, iterations - done)
        indices = jnp.arange(done, done + count)
        if process.compiled:
            state, metrics = run(state, indices)
        else:
            rows = []
            for index in indices:
                state, row = iterate(state, index)
                rows.append(row)
            metrics = jax.tree.map(lambda *values: jnp.stack(values), *rows)
        done += count
        if after is not None:
            after(done, state, jax.device_get(metrics))
    return state


def train_at_once(process: AbstractProcess, iterations: int, *, key: Key) -> ProcessState:
    """`train` as one pure function of its key, which may be compiled, and mapped over seeds; nothing is heard of it.

    The process must be one that compiles. It ends where `train` ends with the same key.
    """
    init_key, step_key = jax.random.split(key)
    step = lambda state, index: (process.step(state, key=jax.random.fold_in(step_key, index))[0], None)
    return scan(step, _strongly_typed(process.init(key=init_key)), jnp.arange(iterations))[0]


def _strongly_typed(state: ProcessState) -> ProcessState:
    """The state with no array weakly typed: one that is after `init` but not after `step` would be compiled twice."""
    strong = lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype) if eqx.is_inexact_array(leaf) else leaf
    return jax.tree.map(strong, state)
