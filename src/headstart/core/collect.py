"""Experience: B lanes of one world, T steps, in order.

`collect` alone resets. It draws a new task at every reset, and it records the true successor before it does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from headstart.core.network import AbstractNetwork, Memory, blank
from headstart.core.types import Choice, Key, Outcome, Percept, Rollout, Step, Task
from headstart.core.world import AbstractWorld, State, perceive

__all__ = ["Act", "Decide", "Lanes", "begin", "collect", "collect_lanes", "example", "follow"]

Act = Callable[..., tuple[Choice, Memory]]  # (percept, memory, *, key), unbatched
Decide = Callable[..., tuple[Choice, Memory]]  # (lanes, *, key), all lanes at once


class Lanes(eqx.Module):
    """Where each of B lanes stands: leaves `[B, ...]`. `memory` is the agent's on entering `percept`."""

    task: Task
    state: State
    percept: Percept
    memory: Memory


def _open(world: AbstractWorld, *, key: Key) -> tuple[Task, State, Percept]:
    task_key, reset_key = jax.random.split(key)
    task = world.task(key=task_key)
    state, observation = world.reset(task, key=reset_key)
    percept = perceive(
        world,
        task,
        state,
        observation,
        first=jnp.array(True),
        action=world.actions.zero(),
        reward=jnp.zeros(()),
        discount=jnp.zeros(()),
    )
    return task, state, percept


def follow(
    world: AbstractWorld, task: Task, state: State, action: PyTree[Array], key: Key
) -> tuple[State, Outcome, Percept]:
    """One step of one lane, never reset: where it leads, what the world answers, and what the agent then perceives."""
    state, outcome = world.step(state, task, action, key=key)
    after = perceive(
        world,
        task,
        state,
        outcome.observation,
        first=jnp.array(False),
        action=action,
        reward=outcome.reward,
        discount=outcome.discount,
    )
    return state, outcome, after


def begin(world: AbstractWorld, network: AbstractNetwork, lanes: int, *, key: Key) -> Lanes:
    """`lanes` lanes at the start of a task each, with the network's initial memory."""
    task, state, percept = jax.vmap(lambda key: _open(world, key=key))(jax.random.split(key, lanes))
    memory = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (lanes, *jnp.shape(leaf))), network.initial())
    return Lanes(task, state, percept, memory)


def collect(
    world: AbstractWorld, network: AbstractNetwork, act: Act, lanes: Lanes, length: int, *, key: Key
) -> tuple[Lanes, Rollout]:
    """`length` steps in every lane: returns where the lanes stand now, and the rollout `[length, B]`.

    **Arguments:**

    - `network`: only for its initial memory, which a lane gets back where `percept.first`.
    - `act`: `(percept, memory, *, key) -> (Choice, memory)`, unbatched.

    `notes` gain `memory`, the agent's memory on entering each step, and `memory_after`, that on entering `after`: a
    recurrent value of the true successor needs the second, because the next lane step may already be another task.
    """

    def decide(lanes: Lanes, *, key: Key) -> tuple[Choice, Memory]:
        keys = jax.random.split(key, lanes.percept.first.shape[0])
        return jax.vmap(lambda percept, memory, key: act(percept, memory, key=key))(lanes.percept, lanes.memory, keys)

    return collect_lanes(world, network, decide, lanes, length, key=key)


def collect_lanes(
    world: AbstractWorld, network: AbstractNetwork, decide: Decide, lanes: Lanes, length: int, *, key: Key
) -> tuple[Lanes, Rollout]:
    """`collect` for agents that decide for all lanes at once and may look at the world's state, as a planner does.

    `decide` is `(lanes, *, key) -> (Choice, memory)`, with leaves `[B, ...]`.
    """

    count = lanes.percept.first.shape[0]
    # All keys are drawn at once: a few numbers at a time cost a CPU as much as some thousands.
    act_key, step_key, reset_key = jax.random.split(key, 3)
    act_keys = jax.random.split(act_key, length)
    step_keys, reset_keys = (jax.random.split(each, (length, count)) for each in (step_key, reset_key))

    def advance(lanes: Lanes, drawn: tuple[Key, Array, Array]) -> tuple[Lanes, Step]:
        act_key, step_keys, reset_keys = drawn
        memory = jax.vmap(blank, in_axes=(None, 0, 0))(network, lanes.memory, lanes.percept.first)
        choice, memory_after = decide(Lanes(lanes.task, lanes.state, lanes.percept, memory), key=act_key)
        state, outcome, after = jax.vmap(partial(follow, world))(lanes.task, lanes.state, choice.action, step_keys)
        step = Step(
            percept=lanes.percept,
            action=choice.action,
            reward=outcome.reward,
            discount=outcome.discount,
            last=outcome.last,
            after=after,
            cumulants=outcome.cumulants,
            notes=choice.notes | {"memory": memory, "memory_after": memory_after},
        )

        def renew(on: PyTree) -> PyTree:
            fresh = jax.vmap(lambda key: _open(world, key=key))(reset_keys)
            return jax.tree.map(lambda new, old: jnp.where(_expand(step.last, new), new, old), fresh, on)

        # Most steps end no episode: then nothing is drawn and nothing is copied.
        task, state, percept = jax.lax.cond(jnp.any(step.last), renew, lambda on: on, (lanes.task, state, after))
        return Lanes(task, state, percept, memory_after), step

    return jax.lax.scan(advance, lanes, (act_keys, step_keys, reset_keys))


def example(world: AbstractWorld, network: AbstractNetwork, *, key: Key) -> Step:
    """One unbatched `Step` of zeros with the shapes and types that `collect` records.

    Its notes hold the two memories alone: a learner that stores more adds what it writes itself.
    """

    def one(key: Key) -> Step:
        idle = lambda percept, memory, *, key: (Choice(world.actions.zero()), memory)
        _, rollout = collect(world, network, idle, begin(world, network, 1, key=key), 1, key=key)
        return jax.tree.map(lambda leaf: leaf[0, 0], rollout)

    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(one, key))


def _expand(flag: Bool[Array, "b"], like: Array) -> Array:
    return flag.reshape(flag.shape + (1,) * (like.ndim - 1))
