"""Signposts: what signs say, by enumeration, and what a path earns, by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.signposts import Fork, Signposts

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)


def words(world):
    """The way of every sign, `[colour, shape]`."""
    numbers = jnp.arange(world.kinds)
    way = lambda colour, shape: world.way(Fork(colour, shape, jnp.array(0)))
    return np.asarray(jax.vmap(jax.vmap(way, in_axes=(None, 0)), in_axes=(0, None))(numbers, numbers))


@pytest.mark.parametrize("factor", range(1, 5))
def test_no_colour_and_no_shape_tells_anything_by_itself(factor):
    table = words(Signposts(factor, kinds=5))
    for line in (*table, *table.T):
        assert sorted(line) == list(range(5))


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(range(1, 5), 2)))
def test_signs_that_are_alike_by_one_factor_are_all_different_by_another(one, other):
    first, second = words(Signposts(one, kinds=5)), words(Signposts(other, kinds=5))
    assert len(set(zip(first.ravel(), second.ravel(), strict=True))) == 25


def test_ways_say_where_words_point():
    plain, turned = Signposts(2, kinds=5), Signposts(2, (4, 0, 1, 2, 3), kinds=5)
    assert np.array_equal(words(turned), (words(plain) - 1) % 5)


def test_the_whole_path_earns_1_and_a_wrong_way_is_the_end():
    world = Signposts(kinds=5, forks=4)
    state, seen = world.reset(Task(), key=KEY)
    for passed in range(1, 5):
        assert np.array_equal(seen, np.eye(5)[jnp.array([state.colour, state.shape])].ravel())
        state, outcome = world.step(state, Task(), world.way(state), key=jax.random.fold_in(KEY, passed))
        seen = outcome.observation
        assert (float(outcome.reward), int(state.passed)) == (0.25, passed)
        assert bool(outcome.last) == (passed == 4) == (float(outcome.discount) == 0)
    state, _ = world.reset(Task(), key=KEY)
    state, outcome = world.step(state, Task(), (world.way(state) + 1) % 5, key=KEY)
    assert (float(outcome.reward), float(outcome.discount), bool(outcome.last)) == (0.0, 0.0, True)


def test_signs_are_drawn_anew_and_all_are_met():
    states, _ = jax.vmap(lambda key: Signposts(kinds=3).reset(Task(), key=key))(jax.random.split(KEY, 200))
    assert len(set(zip(states.colour.tolist(), states.shape.tolist(), strict=True))) == 9


def test_distractions_and_dead_ways_are_beyond_the_others():
    world = Signposts(kinds=5, distractions=3, dead=2)
    assert world.actions.count == 7
    state, seen = world.reset(Task(), key=KEY)
    _, other = world.reset(Task(), key=jax.random.key(9))
    assert seen.shape == (13,)
    assert not np.any(seen[10:] == other[10:])
    for dead in (5, 6):
        assert bool(world.step(state, Task(), jnp.array(dead), key=KEY)[1].last)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"kinds": 6}, "signs of 6 kinds are not told apart by every factor; choose a prime"),
        ({"kinds": 1}, "signs of 1 kinds"),
        ({"factor": 0}, "by the factor 0; choose 1 to 6"),
        ({"factor": 7}, "by the factor 7"),
        ({"ways": (0, 1, 2, 3, 4, 5, 5)}, "must hold each of 0 to 6 once"),
        ({"forks": 0}, "a path needs 1 fork or more"),
        ({"dead": -1}, "no fewer than 0 distractions"),
    ],
)
def test_what_is_no_path_is_refused(given, told):
    with pytest.raises(UsageError, match=told):
        Signposts(**given)
