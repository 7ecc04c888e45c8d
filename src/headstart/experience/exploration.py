"""Exploration: whether what pays in a new task is found at all, and how soon it then is done.

Gupta, Mendonca, Liu, Abbeel and Levine, *Meta-reinforcement learning of structured exploration strategies*, NeurIPS
2018, section 6.2: a k-shot curve in tasks that were held out, where only arriving pays. Before each update as many
episodes are played as it is made from, and they also tell how good it is by now.

| arm | here |
|---|---|
| MAESN | `by_latents`, from N(0, 1): the network stays, and μ and σ move by the step sizes that were learned |
| from scratch | `by_weights`, from a network that was drawn |
| MAML; pre-trained on all tasks at once | `by_weights`, from a network that was learned so |
| oracle | `knowing`: who was told the task |

Those of networks that take a training of their own are arms of the study `maesn`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from headstart.core.network import AbstractNetwork
from headstart.core.networks import Actor
from headstart.core.policies import Gaussian
from headstart.core.scan import scan
from headstart.core.types import Key, Output, Percept, Rollout, Task
from headstart.core.world import AbstractWorld
from headstart.core.wrappers import OneTask
from headstart.evaluation import Curve, check_held_out
from headstart.experience.maesn import MAESN, Explorer, gathered, prior
from headstart.experience.maml import MAML
from headstart.experience.meta_gradient import InnerStep
from headstart.greedy import Evaluation
from headstart.plots import adaptation_curves
from headstart.report import Report

__all__ = ["by_latents", "by_weights", "evaluate", "found", "knowing", "listed", "stayed"]

UPDATES = 5
GROUPS = 16  # of tasks, whose means an interval is of
SURE = -20.0  # log σ of who does not tremble
SCRATCH = InnerStep(0.5)  # by which a network that was drawn adapts


@eqx.filter_jit
def by_latents(
    process: MAESN, state: Explorer, world: AbstractWorld, tasks: Task, updates: int, *, key: Key
) -> tuple[Gaussian, Rollout]:
    """Adapt to each of many new tasks, from the prior: the Gaussians after 0 to `updates` updates, and their episodes.

    **Arguments:**

    - `world`: where, which may pay otherwise than where training was.
    - `tasks`: leaves `[tasks, ...]`.
    - `updates`: 0 or more.

    Returns leaves `[tasks, points, size]`, and a rollout `[tasks, points, T, B]`.
    """

    def one(task: Task, key: Key):
        def point(source: Gaussian, key: Key):
            rollout, draws = process.explore(world, state.network, source, task, key=key)
            return state.move(source, draws), (source, rollout)

        return scan(point, prior(process.size), jax.random.split(key, updates + 1))[1]

    return jax.vmap(one)(tasks, jax.random.split(key, _count(tasks)))


@eqx.filter_jit
def by_weights(process: MAML, network: AbstractNetwork, tasks: Task, updates: int, *, key: Key) -> Rollout:
    """Adapt all weights to each of many new tasks, in the world of the process, by its inner step: the episodes.

    Returns a rollout `[tasks, points, T, B]`, of the policies after 0 to `updates` updates.
    """

    def one(task: Task, key: Key):
        def point(adapted: AbstractNetwork, key: Key):
            rollout, _ = process.explore(adapted, task, key=key)
            return process.inner(adapted, rollout), rollout

        return scan(point, network, jax.random.split(key, updates + 1))[1]

    return jax.vmap(one)(tasks, jax.random.split(key, _count(tasks)))


@eqx.filter_jit
def knowing(world: Any, tasks: Task, lanes: int, length: int, *, key: Key) -> Rollout:
    """Episodes of who was told the task, in each of many: a rollout `[tasks, 1, T, B]`. The world has an `expert`."""

    def one(task: Task, key: Key) -> Rollout:
        rollout = gathered(OneTask(world, task), _Knowing(partial(world.expert, task)), lanes, length, key=key)
        return jax.tree.map(lambda leaf: leaf[None], rollout)

    return jax.vmap(one)(tasks, jax.random.split(key, _count(tasks)))


def found(rollout: Rollout) -> Bool[np.ndarray, "tasks points"]:
    """Whether any episode earned anything, where only arriving pays."""
    return np.asarray(jnp.any(rollout.reward > 0, axis=(2, 3)))


def stayed(rollout: Rollout) -> Float[np.ndarray, "tasks points"]:
    """The share of episodes that still earn in their last step, where only arriving pays."""
    return np.asarray(jnp.mean(rollout.reward[:, :, -1] > 0, axis=-1))


def evaluate(
    process: MAESN, state: Explorer, *, world: AbstractWorld, title: str, episodes: int, seed: int
) -> Evaluation:
    """The k-shot curve of what was learned, of a policy from scratch, and the level of who knows the task.

    There are as many tasks as make about `episodes` episodes at each point, and 16 at least.

    **Arguments:**

    - `world`: where only arriving pays, with an `expert`. Its tasks are drawn anew.

    **Raises:** `UsageError` if one of them was trained on.
    """
    count = max(episodes // process.lanes // GROUPS, 1) * GROUPS
    task_key, fresh_key, learned_key, scratch_key, expert_key = jax.random.split(jax.random.key(seed), 5)
    tasks = jax.vmap(lambda key: world.task(key=key))(jax.random.split(task_key, count))
    check_held_out(listed(process.training, "training"), listed(tasks, "new"))
    drawn = partial(Actor, world)
    scratch = MAML(world, drawn, SCRATCH, lanes=process.lanes, length=process.length, discount=process.discount)
    rollouts = {
        "learned": by_latents(process, state, world, tasks, UPDATES, key=learned_key)[1],
        "from scratch": by_weights(scratch, drawn(fresh_key), tasks, UPDATES, key=scratch_key),
    }
    best = knowing(world, tasks, process.lanes, process.length, key=expert_key)
    figures: dict[str, Any] = {"tasks": count, "episodes for an update": process.lanes}
    curves = {}
    for name, rollout in rollouts.items():
        returns = _returns(rollout)
        figures[f"{name}, tasks in which anything was found before an update"] = float(found(rollout)[:, 0].mean())
        for point in (0, UPDATES):
            figures[f"{name}, return after {point} updates"] = float(returns[:, point].mean())
            figures[f"{name}, episodes that end there after {point} updates"] = float(stayed(rollout)[:, point].mean())
        grouped = returns.reshape(GROUPS, -1, UPDATES + 1).mean(axis=1)[:, None]
        curves[name] = Curve(np.arange(UPDATES + 1), grouped)
    figures["who knows the task, return"] = level = float(_returns(best).mean())
    figure = adaptation_curves(
        curves, games="updates in this task before", score="return", levels={"who knows the task": level}
    )
    report = Report(title).text(
        f"{count:,} tasks that were drawn anew, in which only arriving pays, and {process.lanes} episodes in each "
        f"before every update. The interval is over {GROUPS} groups of tasks, and of this one run: what another seed "
        "would have learned, it does not say."
    )
    shown = report.figure(figure, "curve", alt="Return by updates before, of what was learned and from scratch")
    return Evaluation(figures, shown.facts(figures))


class _Knowing(AbstractNetwork):
    """Does what an expert does, `observation -> action`."""

    expert: Any

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        action = self.expert(percept.observation)
        return Output(Gaussian(action, jnp.full_like(action, SURE))), None


def _returns(rollout: Rollout) -> Float[np.ndarray, "tasks points"]:
    return np.asarray(jnp.mean(jnp.sum(rollout.reward, axis=2), axis=-1))


def _count(tasks: Task) -> int:
    return jax.tree.leaves(tasks)[0].shape[0]


def listed(tasks: Task, name: str) -> dict[str, Task]:
    """Tasks `[count]` one by one, by name and number."""
    arrays = jax.tree.map(np.asarray, tasks)
    return {f"{name} {at}": jax.tree.map(lambda leaf, at=at: leaf[at], arrays) for at in range(_count(tasks))}
