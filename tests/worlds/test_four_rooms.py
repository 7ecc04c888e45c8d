"""Four rooms, with lava and without: where moves lead, what is seen, and what is known of the whole grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.four_rooms import AFTER, CELLS, SHOWN, FourRooms, LavaWorld

pytestmark = pytest.mark.usefixtures("quick_to_compile")

WORLD, DISCOUNT = FourRooms(), 0.95
CELL = {tuple(cell): number for number, cell in enumerate(CELLS.tolist())}


def test_there_are_104_cells_and_all_moves_but_into_walls_can_be_undone():
    assert AFTER.shape == (104, 4)
    cells = np.arange(104)
    for move, back in ((0, 2), (1, 3), (2, 0), (3, 1)):
        moved = AFTER[:, move] != cells
        np.testing.assert_array_equal(AFTER[AFTER[moved, move], back], cells[moved])
    assert AFTER[CELL[1, 1]].tolist() == [CELL[1, 1], CELL[1, 2], CELL[2, 1], CELL[1, 1]]
    assert AFTER[CELL[3, 6]].tolist() == [CELL[3, 6], CELL[3, 7], CELL[3, 6], CELL[3, 5]]  # a door


def test_entering_the_goal_earns_1_and_ends_the_episode():
    task = WORLD.asking(jnp.array(CELL[1, 3]))
    state, outcome = WORLD.step(jnp.array(CELL[1, 1], jnp.int32), task, jnp.array(1))
    assert (state, outcome.reward, outcome.discount, outcome.last) == (CELL[1, 2], 0, 1, False)
    _, outcome = WORLD.step(state, task, jnp.array(1))
    assert (outcome.reward, outcome.discount, outcome.last) == (1, 0, True)


def test_lava_ends_the_episode_and_earns_nothing():
    world = LavaWorld()
    beside, lava = CELL[2, 2], CELL[2, 3]
    assert world.lava[lava]
    _, outcome = world.step(jnp.array(beside, jnp.int32), world.asking(jnp.array(CELL[1, 1])), jnp.array(1))
    assert (outcome.reward, outcome.discount, outcome.last) == (0, 0, True)


@pytest.mark.parametrize("world", [WORLD, FourRooms(goals=(3, 70)), LavaWorld()])
def test_starts_and_goals_are_drawn_from_all_that_may_be(world):
    def draw(key):
        task = world.task(key=key)
        return task.parameters, world.reset(task, key=jax.random.fold_in(key, 1))[0]

    goals, starts = map(np.asarray, jax.vmap(draw)(jax.random.split(jax.random.key(0), 2_000)))
    assert set(goals) == (set(world.goals) or set(np.flatnonzero(~world.lava)))
    assert set(starts) == set(np.flatnonzero(~world.lava))
    assert np.all(starts != goals)


@pytest.mark.parametrize("shown", SHOWN)
def test_each_cell_is_seen_as_another_and_achieves_itself(shown):
    world = FourRooms(shown)
    views = world.views()
    assert len(np.unique(np.asarray(views).reshape(104, -1), axis=0)) == 104
    assert np.abs(views).max() <= 1
    pairs = jax.vmap(lambda a: jax.vmap(lambda b: world.judge(world.achieved(a), b)[1])(views))(views)
    np.testing.assert_array_equal(pairs, np.eye(104, dtype=bool))


def test_values_are_those_of_the_shortest_ways():
    """A search in breadth, from every goal."""
    for world in (WORLD, LavaWorld()):
        values = np.asarray(world.values(DISCOUNT))
        for goal in np.flatnonzero(~world.lava):
            distance = {goal: 0}
            queue = [goal]
            for cell in queue:
                for other in np.unique(np.nonzero(cell == AFTER)[0]):
                    if other not in distance and not world.lava[other]:
                        distance[other] = distance[cell] + 1
                        queue.append(other)
            assert len(distance) == np.sum(~world.lava)  # all can be reached, lava or not
            expected = [DISCOUNT ** distance[cell] if cell in distance else 0.0 for cell in range(104)]
            np.testing.assert_allclose(values[:, goal], expected, rtol=1e-4)


def test_quality_is_the_share_of_the_best_return():
    goal = jnp.array(CELL[1, 3])
    best = WORLD.lookahead(WORLD.values(DISCOUNT)[:, goal], goal)
    np.testing.assert_allclose(WORLD.quality(best, goal, DISCOUNT), 1.0, rtol=1e-5)
    # Who always goes right arrives from two cells only, after one step and after two: by hand.
    right = jnp.full(104, 1)
    expected = (DISCOUNT + DISCOUNT**2) / (np.sum(WORLD.values(DISCOUNT)[:, goal]) - 1)
    np.testing.assert_allclose(WORLD.quality(right, goal, DISCOUNT), expected, rtol=1e-4)
    # A detour of two steps costs γ² there, and wherever the way leads through it.
    worse = best.at[CELL[1, 1]].set(2).at[CELL[2, 1]].set(1)
    assert 0.9 < WORLD.quality(worse, goal, DISCOUNT) < 1.0


def test_the_lookahead_avoids_lava_whatever_it_is_said_to_be_worth():
    world = LavaWorld()
    goal = jnp.array(CELL[1, 1])
    values = jnp.where(jnp.array(world.lava), 9.0, world.values(DISCOUNT)[:, goal])
    np.testing.assert_allclose(world.quality(world.lookahead(values, goal), goal, DISCOUNT), 1.0, rtol=1e-5)


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="choose coordinates, one-hot, image"):
        FourRooms("words")
    with pytest.raises(UsageError, match="cell 104 cannot be a goal"):
        FourRooms(goals=(104,))
    with pytest.raises(UsageError, match=f"cell {CELL[2, 3]} cannot be a goal"):
        LavaWorld(goals=(CELL[2, 3],))


def test_a_goal_that_is_nowhere_never_ends_an_episode():
    world = FourRooms("one-hot")
    nowhere = Task(goal=jnp.zeros(104))
    over = jax.vmap(lambda cell, move: world.step(cell, nowhere, move)[1].last)
    cells, moves = jnp.repeat(jnp.arange(104, dtype=jnp.int32), 4), jnp.tile(jnp.arange(4), 104)
    assert world.reset(nowhere, key=jax.random.key(0))[0] >= 0
    assert not np.any(over(cells, moves))
