"""Meta-World's ML1 through Gymnasium: one thing that a robot's arm is to do, and many goals, none of which it is shown.

Yu and others, *Meta-World: a benchmark and evaluation for multi-task and meta reinforcement learning*, CoRL 2019; as
McLean and others (*Meta-World+*, 2025) keep it. What learns in these environments is to find the goal out from the
rewards, episode after episode, so an environment here is a whole trial: several episodes of one goal.

| Meta-World | here |
|---|---|
| a task, which is a pickle | never made nor read: its goal is drawn by the environment itself, and held |
| `reset(seed=...)`, which is ignored | heeded: it decides which of the goals the next trials have |
| 50 goals to learn with and others to be judged by | `side`, and `goals`; no goal is on both sides |
| success: true at any step of an episode | `info["success"]`, true from that step to the end of the episode |
| H = 500 | `limit` |

    host = gymnasium_host(goal_trials("reach-v3", episodes=3), lanes=4)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from jaxtyping import Float

from headstart.errors import UsageError, require, unknown

__all__ = ["goal_trials"]

Side = Literal["train", "test"]
LONGEST = 500  # steps of an episode, Meta-World's own


def goal_trials(
    name: str,
    *,
    side: str = "train",
    episodes: int = 10,
    goals: int = 50,
    limit: int = LONGEST,
    hidden: bool = True,
    seed: int = 0,
) -> Callable[[], Any]:
    """What makes an environment of trials: `episodes` episodes of one goal, then those of another one.

    Observed are Meta-World's 39 numbers, of which the last three are zeros where the goal is hidden, and 1 where an
    episode begins, as in `headstart.core.wrappers.Trials`. The end of a trial is a truncation.

    **Arguments:**

    - `name`: as Meta-World names it: `"reach-v3"`, `"push-v3"`, ...
    - `side`: whose goals are met, `"train"` or `"test"`.
    - `episodes`: in a trial.
    - `goals`: how many there are of a side. The first of them stay the same where more are asked for.
    - `limit`: steps of an episode, 1 to 500.
    - `hidden`: whether the goal cannot be seen. To show it is a control: nothing is then left to find out.
    - `seed`: decides on all goals of both sides.

    **Raises:** `MissingExtra` without `metaworld`; `UsageError` for what there is not, or none of.
    """
    known = require("metaworld.env_dict", "metaworld").ENV_CLS_MAP
    if name not in known:
        raise unknown("environment of Meta-World", name, known)
    if side not in get_args(Side):
        raise unknown("side", side, get_args(Side))
    if min(episodes, goals) < 1 or not 1 <= limit <= LONGEST:
        raise UsageError(
            f"{episodes} episodes of {limit} steps with {goals} goals are no trials; ask for 1 episode and 1 goal or "
            f"more, and 1 to {LONGEST} steps"
        )
    drawn = _drawn(known[name], [seed, get_args(Side).index(side)], goals)
    return lambda: _environment(known[name], drawn, episodes, limit, hidden)


def _drawn(kind: type, seed: list[int], goals: int) -> Float[np.ndarray, "goals numbers"]:
    """Goals, each with where things lie at first, as the environment itself draws them."""
    environment = kind()
    environment._set_task_called = True  # its own check that a pickle was read
    environment._freeze_rand_vec, environment.seeded_rand_vec = False, True
    environment.seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    found = []
    for _ in range(goals):
        environment.reset()
        found.append(np.array(environment._last_rand_vec))
    environment.close()
    return np.stack(found)


def _environment(kind: type, goals: Float[np.ndarray, "goals numbers"], episodes: int, limit: int, hidden: bool) -> Any:
    gymnasium = require("gymnasium", "gymnasium")

    class GoalTrials(gymnasium.Env):
        """Trials of one goal each. `info` has the number of the goal, of the episode, and whether it succeeded yet."""

        metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

        def __init__(self) -> None:
            self.inner = kind()
            self.inner._set_task_called = True
            self.inner._freeze_rand_vec = True
            self.inner._partially_observable = hidden
            # What is seen is cut to bounds that were made while the goal was hidden, which would hide it for ever.
            vars(self.inner).pop("sawyer_observation_space", None)
            self.action_space = self.inner.action_space
            # What Meta-World says of its bounds leaves out where its robots go: an observation may be anything.
            self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (40,), np.float32)
            self.goal = self.episode = self.steps = 0
            self.succeeded = False

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
            super().reset(seed=seed)
            self.goal, self.episode = int(self.np_random.integers(len(goals))), 0
            return self._begun(), self._info()

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            seen, reward, _, _, info = self.inner.step(np.asarray(action, np.float32))
            self.steps += 1
            self.succeeded = self.succeeded or bool(info["success"])
            known = self._info()
            if self.steps < limit:
                return self._shown(seen, begins=False), float(reward), False, False, known
            self.episode += 1
            if self.episode < episodes:
                return self._begun(), float(reward), False, False, known
            return self._shown(seen, begins=False), float(reward), False, True, known

        def close(self) -> None:
            self.inner.close()

        def _begun(self) -> Any:
            self.inner._last_rand_vec = goals[self.goal].copy()
            self.steps, self.succeeded = 0, False
            return self._shown(self.inner.reset()[0], begins=True)

        def _shown(self, seen: Any, *, begins: bool) -> Any:
            return np.append(seen, begins).astype(np.float32)

        def _info(self) -> dict[str, Any]:
            return {"goal": self.goal, "episode": self.episode, "success": self.succeeded}

    return GoalTrials()
