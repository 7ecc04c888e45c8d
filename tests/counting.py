"""A world that counts: nothing that `collect`, a wrapper or a learner does with it can go unseen."""

import equinox as eqx
import jax
import jax.numpy as jnp

from headstart.core.network import AbstractNetwork
from headstart.core.networks import flat
from headstart.core.types import Choice, Outcome, Output, Task
from headstart.core.world import AbstractWorld, Discrete


class Counting(AbstractWorld):
    """Observed: the number of the task (random, told as the goal too), the reset's nonce, and the steps since.

    Each step earns the number of steps so far. After `length` steps an episode ends, or is cut short.
    """

    length: int = 3
    cut: bool = False

    @property
    def actions(self):
        return Discrete(3)

    def task(self, *, key):
        number = jax.random.uniform(key)
        return Task(parameters=number, goal=number)

    def reset(self, task, *, key):
        state = jnp.stack([task.parameters, jax.random.uniform(key), 0.0])
        return state, state

    def step(self, state, task, action, *, key):
        state = state.at[2].add(1.0)
        last = state[2] >= self.length
        discount = (~last | self.cut).astype(jnp.float32)
        return state, Outcome(state, state[2], discount, last, cumulants=state[2:] * 10)


class Rememberer(AbstractNetwork):
    """Its memory is how many moments it has met since it was blanked; its value is that plus the steps it sees."""

    weight: jax.Array = eqx.field(default_factory=lambda: jnp.ones(()))

    def initial(self):
        return jnp.zeros(())

    def __call__(self, percept, memory):
        memory = memory + self.weight
        return Output(None, memory + flat(percept.observation)[2]), memory


def act(network):
    """Action 2, always; what the network valued is noted."""

    def choose(percept, memory, *, key):
        output, memory = network(percept, memory)
        return Choice(jnp.array(2, jnp.int32), {"value": output.value}), memory

    return choose
