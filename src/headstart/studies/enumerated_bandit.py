"""The meta-gradient on a bandit that is small enough to count all that can happen in it.

Three arms, a softmax policy, one inner step from a few pulls, and one pull after it. The reference is NumPy in 64 bits
that shares nothing with `headstart.experience.meta_gradient`: every set of pulls D, the step it leads to, every arm
that may then be pulled, and how likely all that is. Its finite differences are the gradient that an estimator should
have on average; the library's own is its expectation over the very same cases.

No arm of `TASKS` is better than another over all tasks: so to first order in the rate nothing is to be gained, and all
that is left to learn is how to explore. An estimator that gives no credit for having chosen the pulls then misses much,
unless the policy is uniform, or nearly so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork, Memory
from headstart.core.policies import Categorical
from headstart.core.types import Output, Percept, Rollout, Step
from headstart.experience.meta_gradient import InnerStep, MetaProblem

__all__ = ["ARMS", "TASKS", "Logits", "compared", "estimated", "objective", "pulled", "slope", "softmax", "stepped"]

ARMS = 3
TASKS = np.array([[1.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
"""What each task pays for each arm."""

Vector = Float[np.ndarray, "arms"]


class Logits(AbstractNetwork):
    """A policy that is the same everywhere."""

    logits: Float[Array, "arms"]

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        return Output(Categorical(self.logits)), None


def softmax(logits: Vector) -> Vector:
    """Probabilities."""
    raised = np.exp(logits - logits.max())
    return raised / raised.sum()


def pulled(arms: np.ndarray, advantage: np.ndarray, log_prob: np.ndarray) -> Rollout:
    """Rollouts of arms `[..., T, B]`, of which each was pulled with that log-probability."""
    none, (advantages, log_probs) = jnp.zeros(arms.shape), (jnp.asarray(x, jnp.float32) for x in (advantage, log_prob))
    percept = Percept(observation=none[..., None], first=none == 0)
    notes = {"advantage": advantages, "log_prob": log_probs, "counts": none + 1, "memory": None, "memory_after": None}
    return Step(percept, jnp.asarray(arms), advantages, none, none == 0, percept, notes=notes)


def stepped(theta: Vector, drawn: tuple[int, ...], paid: Vector, rate: float) -> Vector:
    """θ′, by hand: the gradient of log softmax is one for the arm that was pulled, less the probabilities."""
    return theta + rate * np.mean([paid[arm] * (np.eye(ARMS)[arm] - softmax(theta)) for arm in drawn], axis=0)


def objective(theta: Vector, draws: int, rate: float) -> float:
    """Σ over tasks of E[D by θ] E[τ by θ′] R, with `draws` pulls in D."""
    return sum(
        float(np.prod(softmax(theta)[list(drawn)]) * softmax(stepped(theta, drawn, paid, rate)) @ paid)
        for paid in TASKS
        for drawn in itertools.product(range(ARMS), repeat=draws)
    )


def slope(function: Callable[[Vector], Any], theta: Vector, by: float = 1e-4) -> Float[np.ndarray, "arms *value"]:
    """The gradient of a number, or of each number of an array, by central differences."""
    ways = np.eye(len(theta))
    return np.array([(function(theta + by * way) - function(theta - by * way)) / (2 * by) for way in ways])


def estimated(step: InnerStep, theta: Vector, draws: int, credit: float = 0.0) -> Vector:
    """The expectation of the library's meta-gradient: all draws and all arms as so many tasks, weighted."""
    cases = [
        (paid, drawn, arm)
        for paid in TASKS
        for drawn in itertools.product(range(ARMS), repeat=draws)
        for arm in range(ARMS)
    ]
    after = [softmax(stepped(theta, drawn, paid, step.rate))[arm] for paid, drawn, arm in cases]
    likely = np.prod([softmax(theta)[list(drawn)] for _, drawn, _ in cases], axis=1) * after * len(cases)
    worth = likely * [paid[arm] for paid, _, arm in cases]
    drawn_arms = np.array([drawn for _, drawn, _ in cases])[:, None, :]
    earned = np.array([paid[list(drawn)] for paid, drawn, _ in cases])[:, None, :]
    arms = np.array([arm for *_, arm in cases])[:, None, None]
    problem = MetaProblem(
        step,
        (pulled(drawn_arms, earned, np.log(softmax(theta))[drawn_arms]),),
        pulled(arms, worth[:, None, None], np.log(after)[:, None, None]),
        jnp.asarray(worth, jnp.float32),
        credit,
    )
    gain = lambda logits: problem.gain(problem.policies(Logits(logits)))
    return np.asarray(jax.jit(jax.grad(gain))(jnp.asarray(theta, jnp.float32)), float)


def compared(step: InnerStep, theta: Vector, draws: int = 2, credit: float = 0.0) -> tuple[float, float]:
    """Cosine of the library's meta-gradient with the true one, and its norm as a share of the true norm."""
    true = slope(lambda theta: objective(theta, draws, step.rate), theta)
    found = estimated(step, theta, draws, credit)
    norms = float(np.linalg.norm(found)), float(np.linalg.norm(true))
    return float(found @ true) / norms[0] / norms[1], norms[0] / norms[1]
