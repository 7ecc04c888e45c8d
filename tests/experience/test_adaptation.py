"""Adaptation by gradient: who is judged in which tasks, what an expert earns, and what is refused."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.networks import Actor
from headstart.core.types import Task
from headstart.core.wrappers import Among, OneTask
from headstart.errors import BadData, UsageError
from headstart.experience.adaptation import adapted, evaluate, expert, held_out
from headstart.experience.maml import MAML, MAMLState
from headstart.experience.meta_gradient import InnerStep
from headstart.worlds.navigation import Direction, Navigation, SparseCorners

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def small(world=Navigation(), rate=0.5):  # noqa: B008
    return MAML(world, partial(Actor, world, width=4, depth=1), InnerStep(rate), tasks=4, lanes=4, length=10)


def places(*rows):
    return Task(parameters=jnp.array(rows))


def test_an_expert_goes_straight_to_its_goal():
    """By hand: 0.3 and 0.2 are 3 steps away, and it is 0.2 and 0.1, then 0.1 and 0, then there."""
    found = expert(Navigation(), places([0.3, 0.2], [-0.05, 0.0]), lanes=2, length=100, key=jax.random.key(0))
    np.testing.assert_allclose(found, [-(np.hypot(0.2, 0.1) + 0.1), 0.0], atol=1e-5)


def test_experts_of_either_direction_run_and_of_every_corner_arrive():
    ways = Task(parameters=jnp.array([1.0, -1.0]))
    ran = expert(Direction(), ways, lanes=20, length=100, key=jax.random.key(0))
    assert ((ran > 210) & (ran < 219.4)).all()
    corners = places([2.0, 2.0], [2.0, -2.0], [-2.0, -2.0], [-2.0, 2.0])
    earned = expert(SparseCorners(), corners, lanes=20, length=100, key=jax.random.key(0))
    # What pays is the way from where coordinates sum to 0.5 or a stride more, on the diagonal.
    assert ((earned > np.hypot(2, 2) - np.hypot(0.5, 0.5)) & (earned < np.hypot(2, 2))).all()


def test_a_rate_of_nothing_adapts_nothing_and_lessons_are_of_another_task():
    process = small(rate=0.0)
    network = process.network(jax.random.key(0))
    tasks = places([0.5, 0.5], [-0.5, 0.2], [0.1, -0.3])
    networks, _ = process.adapt(network, tasks, 2, key=jax.random.key(1))
    for before, after in zip(
        jax.tree.leaves(eqx.filter(network, eqx.is_array)),
        jax.tree.leaves(eqx.filter(networks, eqx.is_array)),
        strict=True,
    ):
        np.testing.assert_array_equal(after, np.broadcast_to(before, after.shape))
    process, key = small(), jax.random.key(2)
    rolled = jax.tree.map(lambda leaf: jnp.roll(leaf, 1, axis=0), tasks)
    misled, judged = process.adapt(network, tasks, 1, key=key, lessons=rolled)
    own, elsewhere = process.adapt(network, rolled, 1, key=key)
    # It learns what who was in the other task learns, and is judged at first as who learned nothing.
    for one, two in zip(*(jax.tree.leaves(eqx.filter(each, eqx.is_array)) for each in (misled, own)), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
    _, plain = process.adapt(network, tasks, 0, key=key)
    assert not np.allclose(judged[:, 1], elsewhere[:, 1])
    assert plain.shape == (3, 1)


def test_an_update_that_diverges_is_named():
    process = small(rate=1e30)
    network = process.network(jax.random.key(0))
    with pytest.raises(BadData, match=r"in task 0 .* after update [12] is not finite; lower the rate .* from 1e\+30"):
        adapted(process, network, places([0.5, 0.5], [0.1, 0.2]), updates=2, key=jax.random.key(1))


def test_tasks_that_were_trained_in_are_not_held_out():
    corners = places([2.0, 2.0], [2.0, -2.0])
    seen = small(Among(SparseCorners(), corners))
    drawn = jax.vmap(lambda key: seen.world.task(key=key))(jax.random.split(jax.random.key(0), 50))
    np.testing.assert_array_equal(np.unique(drawn.parameters, axis=0), [[2, -2], [2, 2]])
    with pytest.raises(UsageError, match="held out but also trained on"):
        held_out(seen, 20, key=jax.random.key(0))
    apart = small(Among(Navigation(), places([0.1, 0.2], [0.3, 0.4])))
    assert held_out(apart, 20, key=jax.random.key(0)).parameters.shape == (20, 2)


def test_a_family_of_one_task_is_refused():
    class Narrow(Navigation):
        def task(self, *, key):
            return Task(parameters=jnp.array([0.1, 0.2]))

    with pytest.raises(BadData, match="one and the same task"):
        held_out(small(Narrow()), 4, key=jax.random.key(0))
    with pytest.raises(UsageError, match="family of one task"):
        small(OneTask(Navigation(), Task(parameters=jnp.array([0.1, 0.2]))))


def test_an_evaluation_shows_updates_and_the_gap_they_close():
    process = small()
    state = MAMLState(process.network(jax.random.key(0)), None)
    found = evaluate(process, state, title="places", episodes=130, seed=0)
    assert found.figures["tasks"] == 32
    figures = found.figures
    first, second = figures["learned, 0 updates"], figures["learned, 1 updates"]
    assert -20 < first < 0
    assert figures["learned, gap closed by 1 update"] == pytest.approx((second - first) / (figures["expert"] - first))
    assert "curve" in dict(found.report.images)
    assert "updates in this task before" in found.report.html()
