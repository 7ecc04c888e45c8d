"""Learners: pure functions of experience. A learner never sees a world, so it cannot cheat and need not care."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx

from headstart.core.network import AbstractNetwork, Memory
from headstart.core.source import AbstractSource
from headstart.core.types import Choice, Key, Metrics, Percept, Rollout, Step

__all__ = ["AbstractLearner", "LearnerState"]

LearnerState = Any  # a named Module of each learner's own; it has a field `network`


class AbstractLearner(eqx.Module):
    """Learns from rollouts, helped by its `source`. Fields are hyper-parameters; what evolves is the state."""

    source: eqx.AbstractVar[AbstractSource]

    @abc.abstractmethod
    def init(self, network: AbstractNetwork, example: Step, *, key: Key) -> LearnerState:
        """The state before any experience. `example` is one `Step`, unbatched: shapes and types, not values."""

    @abc.abstractmethod
    def act(self, state: LearnerState, percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        """An exploring action for one moment of one lane. `memory` is already blanked where `percept.first`."""

    @abc.abstractmethod
    def update(self, state: LearnerState, rollout: Rollout, *, key: Key) -> tuple[LearnerState, Metrics]:
        """Learn from a rollout `[T, B]`."""
