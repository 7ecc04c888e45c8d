import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from counting import Rememberer
from headstart.core.network import AbstractNetwork, blank, parameters
from headstart.core.types import Output, Percept

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Cell(AbstractNetwork):
    """A gated recurrent unit that begins at ones, so that blanking shows."""

    cell: eqx.nn.GRUCell

    def initial(self):
        return jnp.ones(4)

    def __call__(self, percept, memory):
        memory = self.cell(percept.observation, memory)
        return Output(None, jnp.sum(memory), memory), memory


class Plain(AbstractNetwork):
    """Remembers nothing."""

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(None, jnp.sum(percept.observation)), None


FIRST = jnp.array([False, False, True, False, True, False])


@pytest.fixture(scope="module")
def percepts():
    return Percept(jax.random.normal(jax.random.key(0), (6, 3)), FIRST)


def test_unroll_is_a_loop_that_blanks_where_an_episode_begins(percepts):
    network = Cell(eqx.nn.GRUCell(3, 4, key=jax.random.key(1)))
    entering = jnp.full(4, 0.5)
    outputs, final = network.unroll(percepts, entering)
    memory = entering
    for t in range(6):
        if FIRST[t]:
            memory = jnp.ones(4)
        output, memory = network(jax.tree.map(lambda leaf, t=t: leaf[t], percepts), memory)
        np.testing.assert_allclose(outputs.features[t], output.features, rtol=1e-5)
        np.testing.assert_allclose(outputs.value[t], output.value, rtol=1e-5)
    np.testing.assert_allclose(final, memory, rtol=1e-5)


def test_what_came_before_a_beginning_does_not_pass_it(percepts):
    network = Cell(eqx.nn.GRUCell(3, 4, key=jax.random.key(1)))
    one, _ = network.unroll(percepts, jnp.zeros(4))
    other, _ = network.unroll(percepts, jnp.full(4, 9.0))
    assert not np.allclose(one.value[:2], other.value[:2])
    assert (one.value[2:] == other.value[2:]).all()


def test_a_network_without_memory_gives_the_same_for_each_moment(percepts):
    outputs, memory = Plain().unroll(percepts, None)
    assert memory is None
    np.testing.assert_allclose(outputs.value, percepts.observation.sum(-1), rtol=1e-6)


def test_blank_touches_nothing_but_beginnings():
    network = Rememberer()
    assert float(blank(network, jnp.array(7.0), jnp.array(False))) == 7
    assert float(blank(network, jnp.array(7.0), jnp.array(True))) == 0
    assert blank(Plain(), None, jnp.array(True)) is None


def test_parameters_are_what_learns():
    network = Cell(eqx.nn.GRUCell(3, 4, key=jax.random.key(1)))
    assert len(jax.tree.leaves(parameters(network))) == 4
