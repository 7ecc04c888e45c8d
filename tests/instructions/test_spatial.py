"""Grounded values: filters are made of words, walks never turn back, and both ways to learn find what is asked for."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.instructions.encoders import BagOfWords
from headstart.instructions.spatial import (
    ConvolutionalText,
    Grounded,
    Regression,
    UVFAText,
    Walking,
    neighbourhoods,
    walk,
)
from headstart.worlds.puddles import AFTER, SIZE, Chart, PuddleMaps

pytestmark = pytest.mark.usefixtures("quick_to_compile")

CELLS = SIZE * SIZE
MAPS = (Grounded, UVFAText, ConvolutionalText)
world = PuddleMaps("local")


def tasks(count, seed=0):
    return jax.jit(jax.vmap(lambda key: world.task(key=key)))(jax.random.split(jax.random.key(seed), count))


def one(tree, index=0):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def test_a_product_of_neighbourhoods_is_a_convolution():
    maps, weight = jax.random.normal(jax.random.key(0), (5, 6, 2)), jax.random.normal(jax.random.key(1), (3, 3, 2, 4))
    expected = jax.lax.conv_general_dilated(
        maps[None], weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(neighbourhoods(maps) @ weight.reshape(18, 4), expected[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("new", MAPS)
def test_values_follow_the_words_and_not_the_goal(new):
    network, task = new(jax.random.key(0)), one(tasks(2))
    say = eqx.filter_jit(network)
    elsewhere = eqx.tree_at(lambda task: task.parameters.goal, task, (task.parameters.goal + 1) % CELLS)
    np.testing.assert_array_equal(say(task), say(elsewhere))
    told = Task(task.parameters, instruction=one(tasks(2), 1).instruction)
    assert not np.allclose(say(task), say(told))


def test_without_its_kernel_or_its_gradients_the_words_are_heard_in_part():
    """Things are seen through the kernel alone, and where a cell lies, away from the edge, by the gradients alone."""
    task = one(tasks(1))
    bare = eqx.tree_at(lambda task: task.parameters.things, task, jnp.zeros((SIZE, SIZE), jnp.int32))
    blind = Grounded(jax.random.key(0), local=False)
    np.testing.assert_array_equal(blind(task), blind(bare))
    nowhere = eqx.filter_jit(Grounded(jax.random.key(0), depth=1, gradient=False))
    flat = Chart(jnp.zeros((SIZE, SIZE), bool), bare.parameters.things, task.parameters.goal)
    dry = Task(flat, instruction=task.instruction)
    middle = np.asarray(nowhere(dry)).reshape(SIZE, SIZE)[4:-4, 4:-4]  # which see no edge
    assert np.allclose(middle, middle[:1, :1], atol=1e-6)


def shortest(goal, cell):
    return abs(goal // SIZE - cell // SIZE) + abs(goal % SIZE - cell % SIZE)


def test_who_knows_the_values_walks_straight_to_the_goal():
    chart = Chart(jnp.zeros((SIZE, SIZE), bool), jnp.zeros((SIZE, SIZE), jnp.int32), jnp.array(44))
    known = PuddleMaps.values(chart, 0.95)
    for seed in range(5):
        found = walk(known, Task(chart), key=jax.random.key(seed))
        start = int(jnp.argmax(found.entered & (known == jnp.min(jnp.where(found.entered, known, jnp.inf)))))
        assert bool(found.reached)
        assert int(found.entered.sum()) == 1 + shortest(44, start)
        assert float(found.rewards.sum()) == 3.0


def test_a_walk_never_enters_a_cell_twice_and_ends_where_it_cannot_go_on():
    task = one(tasks(1))
    for seed in range(20):
        found = walk(jnp.zeros(CELLS), task, epsilon=1.0, key=jax.random.key(seed))
        rewards = PuddleMaps.rewards(task.parameters)
        # Each cell but the first was paid for once: what was earned is what the cells hold, but for one of them.
        unpaid = float(jnp.sum(rewards * found.entered) - found.rewards.sum())
        assert unpaid in {0.0, -1.0}
        assert bool(found.reached) == bool(found.entered[task.parameters.goal])


def error(network, asked):
    best = jnp.argmax(jax.vmap(network)(asked), axis=1)
    goal = asked.parameters.goal
    return float(jnp.mean(jnp.abs(best // SIZE - goal // SIZE) + jnp.abs(best % SIZE - goal % SIZE)))


def test_regression_fits_what_it_is_shown():
    few, new = tasks(16), partial(Grounded, width=8, depth=2)
    fit = eqx.filter_jit(lambda key: Regression(steps=300, batch=16, learning_rate=1e-2).fit(new(key), few, key=key))
    network = fit(jax.random.key(0))
    wanted = jax.vmap(lambda chart: PuddleMaps.values(chart, 0.95))(few.parameters)
    off = lambda network: float(jnp.mean((jax.vmap(network)(few) - wanted) ** 2))
    assert off(network) < 0.6 * float(jnp.mean((wanted - wanted.mean()) ** 2)) < off(new(jax.random.key(0)))


def test_walking_moves_values_only_by_what_was_met():
    """One task: after many walks its goal is known, and values fall with the way to it."""
    asked = tasks(1)
    quick = Walking(rounds=200, walks=1, updates=5, batch=4, learning_rate=1e-2)
    new = partial(Grounded, encoder=partial(BagOfWords, width=8), width=16, depth=2)
    network = eqx.filter_jit(lambda key: quick.fit(new(key), asked, key=key))(jax.random.key(1))
    found = walk(network(one(asked)), one(asked), key=jax.random.key(2))
    assert bool(found.reached)
    assert error(network, asked) <= 2


def test_every_move_is_known_to_the_map():
    assert AFTER.shape == (CELLS, 4)
    assert sorted(set(AFTER[0].tolist())) == [0, 1, 10]
