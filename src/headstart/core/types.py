"""The data that flows between worlds, agents and sources.

Every class is a pytree. What a task lacks is `None`: an empty pytree, which costs nothing and needs no branch.
Shapes name the leading axes once: `*batch` is `[]` for one moment of one lane, `[T, B]` in a rollout (time-major) and
`[L, N]` in a batch of segments.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

__all__ = ["Choice", "Frozen", "Key", "Metrics", "Number", "Outcome", "Output", "Percept", "Rollout", "Step", "Task"]

Key = PRNGKeyArray
Metrics = dict[str, Array]
Number = float | Float[Array, ""]
"""A hyper-parameter that may be an array, so that it can be tuned as the learner learns, or vmapped."""

Wrapped = TypeVar("Wrapped")


class Task(eqx.Module):
    """One task of a world's family, as data: it can be drawn, vmapped, shuffled, split and stored.

    `parameters` is what the world needs to know, and no agent ever sees it. The other fields are what an agent may be
    told; `collect` copies them into every `Percept`.
    """

    parameters: PyTree = None
    goal: PyTree[Array] | None = None
    instruction: Int[Array, "*batch words"] | None = None
    demonstration: PyTree[Array] | None = None


class Percept(eqx.Module):
    """All that the agent may condition on at one moment.

    `action`, `reward` and `discount` say what the agent did last and what came of it: zeros when `first`. Where several
    episodes make one, as in a trial, the world's observation tells where one begins.
    """

    observation: PyTree[Array]
    first: Bool[Array, "*batch"]
    goal: PyTree[Array] | None = None
    instruction: Int[Array, "*batch words"] | None = None
    demonstration: PyTree[Array] | None = None
    legal: Bool[Array, "*batch actions"] | None = None
    action: PyTree[Array] | None = None
    reward: Float[Array, "*batch"] | None = None
    discount: Float[Array, "*batch"] | None = None


class Outcome(eqx.Module):
    """What a world answers to an action.

    `discount` is 0 where the task truly ended and 1 elsewhere (−1 where the turn passes to an opponent: see
    `AbstractTwoPlayerWorld`); `last` also marks where it was merely cut short. A learner bootstraps through `last`,
    never through a discount of 0.
    """

    observation: PyTree[Array]
    reward: Float[Array, "*batch"]
    discount: Float[Array, "*batch"]
    last: Bool[Array, "*batch"]
    cumulants: Float[Array, "*batch k"] | None = None


class Step(eqx.Module):
    """One transition. A `Rollout` is a `Step` with leaves `[T, B, ...]`; a batch has leaves `[L, N, ...]`.

    `after` is the true successor, recorded before any reset. `notes` holds what the agent wrote down when it acted
    (`log_prob`, `value`, `memory`) and what sources add (`teacher`).
    """

    percept: Percept
    action: PyTree[Array]
    reward: Float[Array, "*batch"]
    discount: Float[Array, "*batch"]
    last: Bool[Array, "*batch"]
    after: Percept
    cumulants: Float[Array, "*batch k"] | None = None
    notes: dict[str, PyTree[Array]] = eqx.field(default_factory=dict)


Rollout = Step


class Output(eqx.Module):
    """What a network says of one percept: a distribution over actions, the universal value V(s, g), and features.

    `policy` is a distribution of `headstart.core.policies`, or the action values of a value-based agent.
    `features` is whatever auxiliary losses may share; `None` if the network offers nothing.
    """

    policy: Any
    value: Float[Array, "*batch"] | None = None
    features: PyTree[Array] | None = None


class Choice(eqx.Module):
    """An action, and what the agent wants to remember about having chosen it."""

    action: PyTree[Array]
    notes: dict[str, PyTree[Array]] = eqx.field(default_factory=dict)


class Frozen(eqx.Module, Generic[Wrapped]):
    """Holds what must never learn: a teacher, a random target, data. `Frozen(x)()` is `x` without gradients."""

    frozen: Wrapped

    def __call__(self) -> Wrapped:
        arrays, rest = eqx.partition(self.frozen, eqx.is_array)
        return eqx.combine(jax.tree.map(jax.lax.stop_gradient, arrays), rest)


def zeros_like(tree: PyTree) -> PyTree:
    """The same pytree, with every array zero (False for booleans)."""
    return jax.tree.map(jnp.zeros_like, tree)
