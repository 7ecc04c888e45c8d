"""The goals of a Gymnasium goal environment, for hindsight: judged by the environment's own `compute_reward`.

The convention of Gymnasium-Robotics: an observation is a dict of `observation`, `achieved_goal` and `desired_goal`, and
`compute_reward(achieved_goal, desired_goal, info)` takes one of each or a batch. `GymnasiumHost` shows the achieved
goal after the rest of the observation, so that both can be told apart again.

Judging goes through `jax.pure_callback`, which stepping must not: `compute_reward` depends on its arguments alone, and
one call takes a whole batch. It is tried before it is believed; should it raise later all the same, its answer is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from headstart.core.world import AbstractGoals
from headstart.errors import BadData, UsageError
from headstart.worlds.adapters.gymnasium import maker
from headstart.worlds.adapters.spaces import goal_fault

__all__ = ["GymnasiumGoals", "at_goal", "disagreement", "gymnasium_goals"]

EPISODES, STEPS = 3, 60  # what is stepped at random before a judgement is believed


class GymnasiumGoals(AbstractGoals):
    """Judges by an environment's own word.

    Make it by `gymnasium_goals`, which looks whether the word can be taken.

    **Arguments:**

    - `environment`: what to ask; it is never stepped.
    - `size`: numbers in a goal.
    - `terminates`: whether a goal that was reached ends the episode, as `compute_terminated` says.
    """

    environment: Any = eqx.field(static=True)
    size: int = eqx.field(static=True)
    terminates: bool = eqx.field(static=True, default=False)

    @property
    def ends(self) -> bool:  # type: ignore[override]
        return self.terminates

    def achieved(self, observation: Float[Array, "seen"]) -> Float[Array, "size"]:
        return observation[-self.size :]

    def judge(
        self, achieved: Float[Array, "size"], goal: Float[Array, "size"]
    ) -> tuple[Float[Array, ""], Bool[Array, ""]]:
        """One call for a whole batch under `vmap`. What cannot be judged is NaN, which no gradient step survives.

        A goal is reached where the episode would end, or, if none does, where the reward is that of the goal itself.
        """
        answer = (jax.ShapeDtypeStruct((), jnp.float32), jax.ShapeDtypeStruct((), jnp.bool_))
        return jax.pure_callback(self._ask, answer, achieved, goal, vmap_method="broadcast_all")

    def _ask(self, achieved: Any, goal: Any) -> tuple[np.ndarray, np.ndarray]:
        achieved, goal = (np.asarray(each, np.float32) for each in (achieved, goal))
        shape = achieved.shape[:-1]
        flat = [each.reshape(-1, self.size) for each in (achieved, goal)]
        try:
            reward = np.asarray(_rewards(self.environment, *flat), np.float32)
            reached = _ended(self.environment, *flat) if self.terminates else _paid(self.environment, flat[1], reward)
        except Exception:  # whatever it is: raised inside a compiled program, it would bury its own sentence
            return np.full(shape, np.nan, np.float32), np.zeros(shape, bool)
        return reward.reshape(shape), reached.reshape(shape)


def gymnasium_goals(target: Any) -> GymnasiumGoals:
    """The goals of an environment, once random episodes have shown that it judges as it pays.

    **Arguments:**

    - `target`: as of `gymnasium_host`: a Gymnasium id, a class or a callable without arguments.

    **Raises:** `UsageError` for an environment without goals, or with such as are no vectors; `BadData` where
    `compute_reward` takes no batch, pays otherwise than `step` did, or where every episode begins at its goal.
    """
    environment = maker(target)()
    named = environment.unwrapped
    name = type(named).__name__
    if fault := goal_fault(environment.observation_space) or (
        None if hasattr(named, "compute_reward") else "it has no compute_reward"
    ):
        raise UsageError(f"{name} has no goals that hindsight can use: {fault}")
    environment.action_space.seed(0)
    reached, terminates = [], False
    for episode in range(EPISODES):
        begun, _ = environment.reset(seed=episode)
        for step in range(1, STEPS + 1):
            observation, reward, terminated, truncated, info = environment.step(environment.action_space.sample())
            if sentence := disagreement(named, observation, reward, info):
                raise BadData(f"{name}, episode {episode}, step {step}: {sentence}")
            goal = np.asarray(observation["desired_goal"])
            if hasattr(named, "compute_terminated"):
                terminates |= bool(_ended(named, goal[None], goal[None])[0])
            if terminated or truncated:
                break
        reached.append(at_goal(named, begun))
    if all(reached):
        raise BadData(f"{name} begins every episode at its goal; draw goals apart from where an episode begins")
    return GymnasiumGoals(named, environment.observation_space["desired_goal"].shape[0], terminates)


def at_goal(environment: Any, observation: Any) -> bool:
    """Whether a moment is paid as one that is exactly at its goal is."""
    achieved, desired = (np.asarray(observation[key])[None] for key in ("achieved_goal", "desired_goal"))
    return bool(_paid(environment, desired, _rewards(environment, achieved, desired))[0])


def disagreement(environment: Any, observation: Any, reward: Any, info: Any) -> str | None:
    """What is wrong with `compute_reward`, by the side of what `step` has just paid; `None` if they agree."""
    achieved, desired = (np.asarray(observation[key]) for key in ("achieved_goal", "desired_goal"))
    try:
        again = np.asarray(environment.compute_reward(achieved[None], desired[None], np.array([info])))
    except Exception as error:
        return f"compute_reward of a batch raised {type(error).__name__}: {error}; accept leading axes"
    if again.shape != (1,):
        return f"compute_reward of a batch of 1 has shape {again.shape}; reduce over the last axis alone"
    if not np.isclose(again[0], reward, atol=1e-5):
        return f"compute_reward gives {again[0]} where step gave {reward}; let step call compute_reward"
    return None


def _rewards(environment: Any, achieved: np.ndarray, goal: np.ndarray) -> Any:
    return environment.compute_reward(achieved, goal, np.array([{}] * len(achieved)))


def _paid(environment: Any, goal: np.ndarray, reward: Any) -> np.ndarray:
    """Whether a reward is what is paid exactly at the goal."""
    return np.asarray(np.isclose(reward, _rewards(environment, goal, goal)))


def _ended(environment: Any, achieved: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """By `compute_terminated`, which knows no batches."""
    ask: Callable[..., Any] = environment.compute_terminated
    return np.array([bool(ask(*pair, {})) for pair in zip(achieved, goal, strict=True)])
