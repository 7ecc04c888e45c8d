import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.replay import Replay, bytes_needed
from headstart.core.types import Percept, Step
from headstart.errors import UsageError


def steps(values):
    """A step whose every field tells its value."""
    values = jnp.asarray(values, jnp.float32)
    percept = Percept(values[..., None] * jnp.ones(3), values < 0)
    flag = jnp.zeros(values.shape, bool)
    return Step(percept, values.astype(jnp.int32), values, values, flag, percept)


def rollout(time, lanes, start=0):
    """Values start, start + 1, ... in time; lanes are 1000 apart."""
    return steps(start + jnp.arange(time)[:, None] + 1000 * jnp.arange(lanes))


@pytest.mark.parametrize(("capacity", "length", "time", "lanes"), [(8, 1, 4, 2), (7, 3, 6, 2)])
def test_the_ring_holds_the_latest_segments_and_samples_no_other(capacity, length, time, lanes):
    replay = Replay.create(steps(0), capacity, length)
    written = []
    add, sample = jax.jit(Replay.add), jax.jit(Replay.sample, static_argnums=1)
    for round in range(4):
        block = rollout(time, lanes, start=1 + round * time)
        replay = add(replay, block)
        for begin in range(0, time, length):
            written += [np.asarray(block.reward[begin : begin + length, lane]) for lane in range(lanes)]
        recent = {tuple(segment) for segment in written[-capacity:]}
        assert int(replay.size) == len(recent)
        drawn = sample(replay, 256, key=jax.random.key(round))
        assert drawn.percept.observation.shape == (length, 256, 3)
        assert {tuple(segment) for segment in np.asarray(drawn.reward).T} == recent
        np.testing.assert_array_equal(drawn.action, drawn.percept.observation[..., 1])


def test_the_estimate_of_bytes_is_exact():
    replay = Replay.create(steps(0), 6, 5)
    assert bytes_needed(steps(0), 6, 5) == sum(leaf.nbytes for leaf in jax.tree.leaves(replay.segments))


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="segments of 3"):
        Replay.create(steps(0), 6, 3).add(rollout(4, 1))
    with pytest.raises(UsageError, match="raise its capacity"):
        Replay.create(steps(0), 6, 1).add(rollout(4, 2))
    with pytest.raises(UsageError, match="holds nothing"):
        Replay.create(steps(0), 0, 1)
