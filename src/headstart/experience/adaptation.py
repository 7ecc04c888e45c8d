"""Adaptation: what a policy earns in a new task before, and after, each of a few steps of policy gradient.

Finn, Abbeel and Levine, *Model-agnostic meta-learning for fast adaptation of deep networks*, ICML 2017, figures 4 and
5: the k-shot curve of a learned initial policy, beside one that was drawn at random and an expert who knows the task.
Each update is made from trajectories of its own; the first by α, and later ones by α / 2, as in the authors' code
(`MAML.adapt`). Which share of the way from before to the expert an update goes is the *gap closed*.

| arm | here |
|---|---|
| MAML | `adapted`, from the network that was learned |
| random initialisation | `adapted`, from `process.network` |
| pre-trained | `adapted`, from a network that `process` learned with a rate of 0, which is TRPO on all tasks at once |
| oracle | `expert` |

A policy that was trained on all tasks is an arm of the study `maml`, as it takes a training of its own.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.scan import scan
from headstart.core.types import Key, Task
from headstart.core.wrappers import Among
from headstart.errors import BadData
from headstart.evaluation import Curve, check_held_out, gap_closed
from headstart.experience.maml import MAML
from headstart.greedy import Evaluation
from headstart.plots import adaptation_curves
from headstart.report import Report

__all__ = ["Expert", "adapted", "evaluate", "expert", "held_out"]

UPDATES = 3  # as in the paper's figures
GROUPS = 16  # of tasks, whose means an interval is of


@runtime_checkable
class Expert(Protocol):
    """A world that knows what to do in each of its tasks."""

    def expert(self, task: Task, observation: Any) -> Array:
        """The action of who was told the task. Unbatched."""
        ...


def held_out(process: MAML, count: int, *, key: Key) -> Task:
    """Tasks `[count, ...]` that the process was not trained on.

    They are drawn from the family, which never shows the same one twice where tasks are drawn from a continuum. Where
    training was in some tasks of a list (`headstart.core.wrappers.Among`), none may be among those.

    **Raises:** `UsageError` if a task is in both; `BadData` for a family of one task.
    """
    world = process.world.world if isinstance(process.world, Among) else process.world
    tasks = jax.vmap(lambda key: world.task(key=key))(jax.random.split(key, count))
    listed = _listed(tasks)
    if isinstance(process.world, Among):
        check_held_out({f"training {name}": task for name, task in _listed(process.world.tasks).items()}, listed)
    first = listed["0"]
    if count > 1 and all(jax.tree.all(jax.tree.map(np.array_equal, first, other)) for other in listed.values()):
        raise BadData(f"{count} draws gave one and the same task, which leaves nothing to adapt to; widen the family.")
    return tasks


def adapted(
    process: MAML,
    network: AbstractNetwork,
    tasks: Task,
    updates: int = UPDATES,
    *,
    key: Key,
    lessons: Task | None = None,
) -> Float[np.ndarray, "tasks points"]:
    """The mean returns in each task after 0 to `updates` updates: see `MAML.adapt`.

    **Raises:** `BadData` where an update leads to what is not finite, with the task and the update.
    """
    networks, found = process.adapt(network, tasks, updates, key=key, lessons=lessons)
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(networks, eqx.is_inexact_array))]
    shape = found.shape
    finite = np.all([np.isfinite(leaf).reshape(*shape, -1).all(axis=-1) for leaf in leaves], axis=0)
    broken = np.argwhere(~(finite & np.isfinite(found)))
    if len(broken):
        task, update = broken[0]
        what = _listed(tasks)[str(task)]
        raise BadData(
            f"in task {task} ({jax.tree.leaves(what)}) the policy after update {update} is not finite; lower the rate "
            f"of the inner step from {float(process.inner.rate):g}."
        )
    return np.asarray(found)


def expert(world: Expert, tasks: Task, *, lanes: int, length: int, key: Key) -> Float[np.ndarray, "tasks"]:
    """What who was told the task earns in each, on average over first episodes of `lanes` lanes in `length` steps."""
    return np.asarray(_expert(world, tasks, lanes, length, key))


@eqx.filter_jit
def _expert(world: Any, tasks: Task, lanes: int, length: int, key: Key) -> Float[Array, "tasks"]:
    def lane(task: Task, key: Key) -> Float[Array, ""]:
        reset_key, step_key = jax.random.split(key)
        state, observation = world.reset(task, key=reset_key)

        def step(carry, key: Key):
            state, observation, over = carry
            state, outcome = world.step(state, task, world.expert(task, observation), key=key)
            return (state, outcome.observation, over | outcome.last), jnp.where(over, 0.0, outcome.reward)

        _, earned = scan(step, (state, observation, jnp.array(False)), jax.random.split(step_key, length))
        return jnp.sum(earned)

    count = jax.tree.leaves(tasks)[0].shape[0]
    keys = jax.random.split(key, (count, lanes))
    return jnp.mean(jax.vmap(jax.vmap(lane, in_axes=(None, 0)))(tasks, keys), axis=1)


def evaluate(process: MAML, state: Any, *, title: str, episodes: int, seed: int) -> Evaluation:
    """The k-shot curve of what was learned, of a policy drawn at random, and the expert if the world has one.

    There are as many tasks as make about `episodes` trajectories at each point, and 16 at least.

    **Raises:** as `held_out` and `adapted`.
    """
    count = max(episodes // process.lanes // GROUPS, 1) * GROUPS
    task_key, fresh_key, adapt_key, expert_key = jax.random.split(jax.random.key(seed), 4)
    tasks = held_out(process, count, key=task_key)
    networks = {"learned": state.network, "random initialisation": process.network(fresh_key)}
    found = {name: adapted(process, network, tasks, key=adapt_key) for name, network in networks.items()}
    numbers = np.arange(UPDATES + 1)
    curves = {name: Curve(numbers, _grouped(returns)) for name, returns in found.items()}
    figures: dict[str, Any] = {"tasks": count, "trajectories for an update": process.lanes}
    for name, returns in found.items():
        figures |= {f"{name}, {point} updates": float(mean) for point, mean in enumerate(returns.mean(axis=0))}
    world = process.world.world if isinstance(process.world, Among) else process.world
    levels = {}
    if isinstance(world, Expert):
        best = expert(world, tasks, lanes=process.lanes, length=process.length, key=expert_key).mean()
        levels = {"expert": float(best)}
        figures["expert"] = float(best)
        for name, returns in found.items():
            before, after = returns.mean(axis=0)[:2]
            figures[f"{name}, gap closed by 1 update"] = float(gap_closed(after, before=before, oracle=best))
    figure = adaptation_curves(curves, games="updates in this task before", score="return", levels=levels)
    report = Report(title).text(
        f"{count:,} tasks that were drawn anew, and {process.lanes} trajectories of {process.length} steps in each "
        f"before every update. The interval is over {GROUPS} groups of tasks, and of this one run: what another seed "
        "would have learned, it does not say."
    )
    shown = report.figure(figure, "curve", alt="Return by updates before, of a learned and of a random initial policy")
    return Evaluation(figures, shown.facts(figures))


def _listed(tasks: Task) -> dict[str, Task]:
    arrays = jax.tree.map(np.asarray, tasks)
    count = jax.tree.leaves(arrays)[0].shape[0]
    return {str(at): jax.tree.map(lambda leaf, at=at: leaf[at], arrays) for at in range(count)}


def _grouped(returns: Float[np.ndarray, "tasks points"]) -> Float[np.ndarray, "groups 1 points"]:
    return returns.reshape(GROUPS, -1, returns.shape[1]).mean(axis=1)[:, None]
