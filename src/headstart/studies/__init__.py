"""Studies: one file a claim, with its method, its ablation, its control that must fail, and the verdict.

A study is found by name and imported only when it is asked for.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

from headstart.errors import UsageError

if TYPE_CHECKING:
    from headstart.studies.study import Study

__all__ = ["STUDIES", "find"]

STUDIES: dict[str, str] = {
    "newgame": "headstart.studies.newgame",
    "hindsight": "headstart.studies.hindsight",
    "uvfa": "headstart.studies.uvfa",
    "horde": "headstart.studies.horde",
    "goal_directed": "headstart.studies.goal_directed",
    "perceptual_reward": "headstart.studies.perceptual_reward",
    "rl2": "headstart.studies.rl2",
    "maml": "headstart.studies.maml",
    "meta_parameters": "headstart.studies.meta_parameters",
    "two_step": "headstart.studies.two_step",
    "volatile_bandit": "headstart.studies.volatile_bandit",
    "spatial_reasoning": "headstart.studies.spatial_reasoning",
    "language_transfer": "headstart.studies.language_transfer",
    "babyai": "headstart.studies.babyai",
    "task_generalization": "headstart.studies.task_generalization",
    "rule_texts": "headstart.studies.rule_texts",
    "maesn": "headstart.studies.maesn",
    "harlow": "headstart.studies.harlow",
    "structured_bandit": "headstart.studies.structured_bandit",
    "transfer": "headstart.studies.transfer",
    "xland": "headstart.studies.xland",
}
"""The module of each study by its name on the command line."""


def find(name: str) -> Study:
    """Import the study of that name.

    **Raises:** `UsageError` with the nearest name there is, if there is no such study.
    """
    if name not in STUDIES:
        near = difflib.get_close_matches(name, STUDIES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(STUDIES)) or 'none yet'}."
        raise UsageError(f"there is no study {name!r}; {hint}")
    return importlib.import_module(STUDIES[name])
