"""Rings: one way round pays at every step but one, the other way costs at every step but one, and there is no end.

Schweighofer and Doya, *Meta-learning in reinforcement learning*, Neural Networks 16, 2003, sections 3.1 and 3.2, after
Tanaka and others, *Prediction of immediate and future rewards differentially recruits cortico-basal ganglia loops*,
Nature Neuroscience 2004. What the paper leaves open (where the ring is entered) is as in the code of its replication by
Sarazin, Khamassi, Rano and Girard.

Who looks one step ahead takes the small reward again and again, until the large loss eats all of it. Who looks round
the whole ring bears the small losses for the large reward. So how much it pays to look ahead is what a ring asks.

| paper | here |
|---|---|
| r₁, r₂ | `Ring.small`, `Ring.large`; r₂ of a task is its parameter |
| states and r₂: 4 and 6, 8 and 12, 10 and 15 | `LARGE` |
| ⟨r⟩ of the best way round | `Ring.best` |
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

__all__ = ["LARGE", "Ring"]

LARGE = {4: 6.0, 8: 12.0, 10: 15.0}
"""The large reward of the paper's rings, by their number of states."""


class Ring(AbstractWorld):
    """States in a ring, numbered from 0: action 0 goes to the next, action 1 to the one before. There is no end.

    Action 0 earns `small`, but from the last state to the first, where it loses the large reward. Action 1 is the same
    way back and pays the opposite: it costs `small`, but from the first state to the last, where it earns the large
    reward. So going to and fro earns nothing. It begins in the middle. Observed: the state, as `states` numbers of
    which one is 1.

    The parameter of a task, a single number, is its large reward; every task that is drawn has `large`. To change a
    world that an agent is in, change the parameter in `headstart.core.collect.Lanes.task`. As nothing ends, nothing is
    reset; for episodes, wrap it in `headstart.core.wrappers.TimeLimit`.

    **Arguments:**

    - `states`: how many there are, 3 or more: with fewer, both ways lead to the same place.
    - `large`, `small`: r₂ and r₁.

    **Raises:** `UsageError` for fewer than 3 states.
    """

    states: int = eqx.field(static=True, default=4)
    large: float = 6.0
    small: float = 1.0

    def __check_init__(self):
        if self.states < 3:
            raise UsageError(f"a ring of {self.states} states has no two ways round; give it 3 or more")

    @property
    def actions(self) -> Discrete:
        return Discrete(2)

    @property
    def best(self) -> float:
        """The greatest mean reward of a step. To turn back takes back what was earned, so it is that of one way round.

        (r₂ − (n − 1) r₁) / n for action 1 for ever, and its opposite for action 0.
        """
        return abs(self.large - (self.states - 1) * self.small) / self.states

    def task(self, *, key: Key) -> Task:
        return Task(parameters=jnp.full((), self.large, jnp.float32))

    def reset(self, task: Task, *, key: Key) -> tuple[Int[Array, ""], Float[Array, "states"]]:
        place = jnp.full((), self.states // 2, jnp.int32)
        return place, self._show(place)

    def step(
        self, state: Int[Array, ""], task: Task, action: Int[Array, ""], *, key: Key | None = None
    ) -> tuple[Int[Array, ""], Outcome]:
        onwards = action == 0
        place = ((state + jnp.where(onwards, 1, -1)) % self.states).astype(jnp.int32)
        across = jnp.where(onwards, place, state) == 0  # between the last state and the first
        earned = jnp.where(across, -task.parameters, self.small)
        reward = jnp.where(onwards, earned, -earned)
        return place, Outcome(self._show(place), reward, jnp.ones(()), jnp.array(False))

    def _show(self, place: Int[Array, ""]) -> Float[Array, "states"]:
        return jax.nn.one_hot(place, self.states)
