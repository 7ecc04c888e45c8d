"""`collect` under a world that counts: nothing is lost, doubled, or seen too late."""

import jax
import numpy as np
import pytest

from counting import Counting, Rememberer, act
from headstart.core.collect import begin, collect, example

pytestmark = pytest.mark.usefixtures("quick_to_compile")

NETWORK = Rememberer()
LANES, LENGTH = 3, 7


@pytest.fixture(scope="module")
def rollouts():
    """Two rollouts in a row, as one would be; leaves `[14, lanes, ...]`, and where the lanes stand after each."""
    world = Counting(length=3)

    @jax.jit
    def two(key):
        lanes_key, *keys = jax.random.split(key, 3)
        lanes = begin(world, NETWORK, LANES, key=lanes_key)
        halves, stands = [], []
        for key in keys:
            lanes, rollout = collect(world, NETWORK, act(NETWORK), lanes, LENGTH, key=key)
            halves.append(rollout)
            stands.append(lanes)
        return halves, stands

    halves, stands = two(jax.random.key(0))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *halves), stands


def test_every_episode_is_whole(rollouts):
    steps, _ = rollouts
    clock = np.arange(2 * LENGTH)[:, None] % 3
    assert (steps.percept.observation[..., 2] == clock).all()
    assert (steps.reward == clock + 1).all()
    assert (steps.cumulants[..., 0] == 10 * steps.reward).all()
    assert (steps.percept.first == (clock == 0)).all()
    assert (steps.last == (clock == 2)).all()
    assert (steps.discount == 1 - steps.last).all()
    assert (steps.action == 2).all()


def test_the_successor_is_recorded_before_the_reset(rollouts):
    steps, stands = rollouts
    assert (steps.after.observation[..., 2] == steps.reward).all()  # 3 at the end, not the 0 of the next episode
    assert (steps.after.observation[..., :2] == steps.percept.observation[..., :2]).all()
    assert (steps.after.goal == steps.percept.goal).all()
    assert not steps.after.first.any()
    # The next moment is that successor, unless an episode ended.
    flowed = (steps.after.observation[:-1] == steps.percept.observation[1:]).all(-1)
    assert (flowed == ~steps.last[:-1]).all()
    assert (stands[0].percept.observation == steps.percept.observation[LENGTH]).all()


def test_each_reset_draws_a_new_task_and_each_lane_its_own(rollouts):
    steps, _ = rollouts
    tasks, nonces = steps.percept.observation[..., 0], steps.percept.observation[..., 1]
    for numbers in (tasks, nonces):
        begun = numbers[steps.percept.first]
        assert len(set(begun)) == begun.size == 5 * LANES
    assert (steps.percept.goal == tasks).all()


def test_the_agent_hears_what_it_did_and_what_came_of_it(rollouts):
    steps, _ = rollouts
    first = steps.percept.first
    assert (steps.after.reward == steps.reward).all()
    assert (steps.after.discount == steps.discount).all()
    assert (steps.after.action == 2).all()
    assert (steps.percept.action == np.where(first, 0, 2)).all()
    assert (steps.percept.reward == np.where(first, 0, steps.percept.observation[..., 2])).all()
    assert (steps.percept.discount == np.where(first, 0, 1)).all()


def test_both_memories_are_noted(rollouts):
    steps, _ = rollouts
    clock = np.arange(2 * LENGTH)[:, None] % 3
    assert (steps.notes["memory"] == clock).all()  # blanked where a moment is first
    assert (steps.notes["memory_after"] == clock + 1).all()
    assert (steps.notes["value"] == 2 * clock + 1).all()


def test_an_example_has_the_shapes_and_types_of_a_step(rollouts):
    steps, _ = rollouts
    empty = example(Counting(), NETWORK, key=jax.random.key(0))
    assert set(empty.notes) == {"memory", "memory_after"}
    recorded = {name: getattr(steps, name) for name in ("percept", "action", "reward", "discount", "last", "after")}
    for name, leaves in recorded.items():
        told = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), getattr(empty, name))
        assert told == jax.tree.map(lambda leaf: (leaf.shape[2:], leaf.dtype), leaves)
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(empty))
