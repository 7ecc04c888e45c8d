"""Who has the learning set of Harlow's task, by hand."""

import jax
import jax.numpy as jnp

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.types import Output
from headstart.worlds.harlow import BITS, CENTRE, LEFT, RIGHT


class Knowing(AbstractNetwork):
    """Remembers the looks of an object that was good, or the opposite of one that was not."""

    def initial(self):
        return jnp.zeros(BITS)

    def __call__(self, percept, memory):
        sight = percept.observation
        begins = sight.cross > 0
        memory = memory + begins * percept.reward * (sight.left + sight.right)
        better = jnp.where(sight.left @ memory >= sight.right @ memory, LEFT, RIGHT)
        action = jnp.where(begins, CENTRE, better)
        return Output(Categorical(100.0 * jax.nn.one_hot(action, 3)), jnp.zeros(())), memory
