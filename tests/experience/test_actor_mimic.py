"""Actor-Mimic: what a teacher would do is learned, and nothing of what is earned."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActionValues
from headstart.core.process import Online, train_at_once
from headstart.core.types import Output, Percept
from headstart.experience.actor_mimic import ActorMimic
from headstart.worlds.probes import Matched

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Contrary(AbstractNetwork):
    """Values that prefer the action which does not match what is seen, by one."""

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(jnp.array([1.0, -1.0]) * jnp.sign(percept.observation[0]) * 0.5), None


def test_a_student_does_as_its_teacher_whatever_it_earns():
    world = Matched()
    seen = lambda state: np.asarray(
        [
            jax.nn.softmax(state.learner.network(Percept(jnp.array([sight]), jnp.array(True)), None)[0].policy)
            for sight in (-1.0, 1.0)
        ]
    )
    learner = ActorMimic(
        teacher=Contrary(), temperature=0.5, warmup=32, batch=32, updates=4, learning_rate=3e-3, explore=1
    )
    process = Online(world, lambda key: ActionValues(world, key, width=16), learner, lanes=8, length=4)
    state = eqx.filter_jit(train_at_once)(process, 200, key=jax.random.key(0))
    share = 1 / (1 + np.exp(-2.0))  # softmax of ±0.5 by 0.5
    expected = {-1.0: [1 - share, share], 1.0: [share, 1 - share]}
    np.testing.assert_allclose(seen(state), [expected[-1.0], expected[1.0]], atol=0.05)
