"""The maze of pixels: walls stop, the goal pays, and codes say which label they are and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.image_maze import FREE, ImageMaze, Walking, distances

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)
STAY, UP, RIGHT, DOWN, LEFT = range(5)


def at(row, column, steps=0):
    return Walking(jnp.array([row, column]), jnp.array(steps, jnp.int32))


@pytest.mark.parametrize(
    ("action", "place"), [(STAY, (0, 3)), (UP, (0, 3)), (RIGHT, (0, 4)), (DOWN, (1, 3)), (LEFT, (0, 2))]
)
def test_an_action_is_a_step(action, place):
    state, _ = ImageMaze().step(at(0, 3), Task(parameters=jnp.array(0)), jnp.array(action), key=KEY)
    np.testing.assert_array_equal(state.place, place)


def test_a_wall_stops():
    assert not FREE[1, 1]
    state, _ = ImageMaze().step(at(0, 1), Task(parameters=jnp.array(0)), jnp.array(DOWN), key=KEY)
    np.testing.assert_array_equal(state.place, (0, 1))


def test_every_step_on_the_goal_pays_and_none_ends_the_episode():
    world, task = ImageMaze(), Task(parameters=jnp.array(3))
    row, column = np.asarray(world.cells[3])
    state, outcome = world.step(at(row, column), task, jnp.array(STAY), key=KEY)
    assert (outcome.reward, outcome.discount, outcome.last) == (1, 1, False)
    _, outcome = world.step(state, Task(parameters=jnp.array(4)), jnp.array(STAY), key=KEY)
    assert outcome.reward == 0
    _, outcome = world.step(at(row, column, steps=31), task, jnp.array(STAY), key=KEY)
    assert (outcome.discount, outcome.last) == (1, True)


def test_the_agent_is_the_brightest_cell():
    image = ImageMaze().show(jnp.array([2, 5]), key=KEY)
    cells = np.asarray(image, float).reshape(8, 4, 8, 4).mean(axis=(1, 3)) / 255
    np.testing.assert_array_equal(np.unravel_index(cells.argmax(), cells.shape), (2, 5))
    np.testing.assert_allclose(cells[~FREE], 0.5, atol=0.1)


@pytest.mark.parametrize("domain", ["tones", "glyphs"])
def test_an_instance_is_like_those_of_its_own_label(domain):
    """But for jitter, which a comparison of pixels must undo: the least difference over all shifts."""
    world = ImageMaze(domain=domain)
    tell = jax.jit(jax.vmap(lambda label, key: world.tell(label, key=key)))
    drawn = lambda seed: np.asarray(tell(jnp.arange(20), jax.random.split(jax.random.key(seed), 20)), float)[..., 0]
    one, two = drawn(0), drawn(1)
    assert np.any(one != two)
    shifts = [(0, 0)] if domain == "tones" else [(i, j) for i in range(-4, 5) for j in range(-4, 5)]
    moved = np.stack([np.roll(two, shift, axis=(1, 2)) for shift in shifts])
    differ = np.abs(one[None, :, None] - moved[:, None]).mean(axis=(-2, -1)).min(axis=0)
    np.testing.assert_array_equal(differ.argmin(axis=1), np.arange(20))


def test_labels_have_cells_of_their_own_and_a_part_of_them_can_be_asked_for():
    world = ImageMaze(first=12)
    assert len(np.unique(world.cells, axis=0)) == 20
    assert FREE[tuple(np.asarray(world.cells).T)].all()
    draw = lambda world: jax.jit(jax.vmap(lambda key: world.task(key=key).parameters))(jax.random.split(KEY, 300))
    labels = lambda world: set(np.asarray(draw(world)).tolist())
    assert labels(world) == set(range(12, 20))
    assert labels(ImageMaze(count=12)) == set(range(12))
    np.testing.assert_array_equal(world.cells, ImageMaze(count=12).cells)


def test_distances_are_those_of_a_walk():
    found = np.asarray(jax.jit(distances)(jnp.array([0, 0])))
    assert found[0, 7] == 7
    assert found[1, 0] == 1
    assert (found[~FREE] == 64).all()
    for row, column in np.argwhere(FREE & (found > 0)):
        beside = [(row + i, column + j) for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        assert min(found[b] for b in beside if min(b) >= 0 and max(b) < 8) == found[row, column] - 1


def test_what_cannot_be_asked_for_is_refused():
    with pytest.raises(UsageError, match="told as 'smells'; choose tones or glyphs"):
        ImageMaze(domain="smells")
    with pytest.raises(UsageError, match="45 free cells, not 46"):
        ImageMaze(goals=46)
    with pytest.raises(UsageError, match="9 labels from 12 on are not among 20"):
        ImageMaze(first=12, count=9)
