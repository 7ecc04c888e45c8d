"""Text-VIN: what is said of a thing tells it from others of its kind, and plans reach as far as they look."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Percept
from headstart.instructions.encoders import BagOfWords
from headstart.instructions.spatial import neighbourhoods
from headstart.instructions.text_vin import TextVIN, _convolved
from headstart.worlds.friends_and_enemies import SIZE, FriendsAndEnemies, Seen

pytestmark = pytest.mark.usefixtures("quick_to_compile")

world = FriendsAndEnemies()
new = partial(TextVIN, world, encoder=BagOfWords, width=16)
task = world.task(key=jax.random.key(0))


def seeing(place=(4, 4), cells=((2, 2), (6, 6)), numbers=(0, 4), there=(True, True), instruction=task.instruction):
    seen = Seen(jnp.array(place), jnp.array(numbers), jnp.array(cells), jnp.array(there))
    return Percept(seen, jnp.array(False), instruction=instruction)


def values(network, percept):
    return np.asarray(eqx.filter_jit(network)(percept, None)[0].policy)


def test_things_that_are_said_to_be_alike_are_alike_whatever_their_place_in_the_list():
    network = new(jax.random.key(1))
    swapped = jnp.roll(task.instruction.reshape(2, -1), 1, axis=0).ravel()
    other = seeing(cells=((6, 6), (2, 2)), numbers=(4, 0), instruction=swapped)
    np.testing.assert_allclose(values(network, seeing()), values(network, other), rtol=1e-4, atol=1e-6)
    assert not np.allclose(values(network, seeing()), values(network, seeing(instruction=swapped)))


def test_whoever_was_touched_is_nowhere_and_says_nothing():
    network = new(jax.random.key(1))
    gone = partial(seeing, there=(False, True))
    half = task.instruction.size // 2
    silent = task.instruction.at[:half].set(0)
    np.testing.assert_array_equal(values(network, gone()), values(network, gone(cells=((0, 0), (6, 6)))))
    np.testing.assert_array_equal(values(network, gone()), values(network, gone(instruction=silent)))


@pytest.mark.parametrize("steps", [1, 3])
def test_a_plan_reaches_as_far_as_it_has_steps(steps):
    """What lies beyond the steps and the two convolutions does not matter to the plan."""
    network = new(jax.random.key(2), steps=steps)

    def planned(distance):
        percept = seeing(place=(0, 0), cells=((0, distance), (7, 0)))
        what, where = network.embed(percept)
        rewards = _convolved(network.rewards, what, neighbourhoods(where))
        return np.asarray(network.planned(rewards, percept.observation))

    near = [not np.allclose(planned(distance), planned(7), atol=1e-7) for distance in range(1, 7)]
    assert near == [distance <= steps + 1 for distance in range(1, 7)]


def test_without_steps_nothing_is_planned():
    network = new(jax.random.key(3), steps=0)
    other = eqx.tree_at(lambda network: network.rewards.weight, network, network.rewards.weight + 1)
    np.testing.assert_array_equal(values(network, seeing()), values(other, seeing()))
    assert values(network, seeing()).shape == (5,)
    assert SIZE == 8


def test_what_few_things_say_to_their_cells_is_the_convolution_of_the_whole_map():
    network = new(jax.random.key(4))
    what, where = network.embed(seeing(place=(0, 5), cells=((0, 5), (7, 7))))
    whole = jnp.einsum("rct,tk->rck", where, what)
    for layer in (network.rewards, network.convolutions[0]):
        found = _convolved(layer, what, neighbourhoods(where))
        np.testing.assert_allclose(found, layer(neighbourhoods(whole)), rtol=1e-4, atol=1e-6)
