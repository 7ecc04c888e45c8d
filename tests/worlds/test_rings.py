"""Rings: what each way round pays, by hand, and what the best policy of all earns."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.rings import LARGE, Ring

pytestmark = pytest.mark.usefixtures("quick_to_compile")

ON, BACK = 0, 1


def walked(ring, actions, task=None, place=None):
    """The states and rewards of who does these."""
    task = ring.task(key=jax.random.key(0)) if task is None else task
    state = ring.reset(task, key=jax.random.key(0))[0] if place is None else jnp.array(place)
    places, rewards = [], []
    for action in actions:
        state, outcome = ring.step(state, task, jnp.array(action))
        np.testing.assert_array_equal(outcome.observation, np.eye(ring.states)[int(state)])
        assert (float(outcome.discount), bool(outcome.last)) == (1.0, False)
        places.append(int(state))
        rewards.append(float(outcome.reward))
    return places, rewards


def test_small_rewards_one_way_round_end_in_the_large_loss():
    assert walked(Ring(), [ON] * 4) == ([3, 0, 1, 2], [1.0, -6.0, 1.0, 1.0])


def test_small_losses_the_other_way_round_end_in_the_large_reward():
    assert walked(Ring(), [BACK] * 4) == ([1, 0, 3, 2], [-1.0, -1.0, 6.0, -1.0])


def test_to_turn_back_takes_back_what_was_earned():
    for place, action in itertools.product(range(4), (ON, BACK)):
        assert sum(walked(Ring(), [action, 1 - action], place=place)[1]) == 0


def test_it_begins_in_the_middle():
    for states, middle in ((4, 2), (5, 2), (10, 5)):
        state, observation = Ring(states).reset(Task(), key=jax.random.key(0))
        assert int(state) == middle
        np.testing.assert_array_equal(observation, np.eye(states)[middle])


@pytest.mark.parametrize(("states", "best"), [(4, 0.75), (8, 0.625), (10, 0.6)])
def test_the_papers_rings_pay_what_it_says(states, best):
    ring = Ring(states, LARGE[states])
    assert ring.best == pytest.approx(best)
    assert np.mean(walked(ring, [BACK] * states)[1]) == pytest.approx(best)


def test_where_the_large_reward_is_small_it_pays_to_go_the_other_way():
    ring = Ring(8, 2.0)
    assert ring.best == pytest.approx(0.625)
    assert np.mean(walked(ring, [ON] * 8)[1]) == pytest.approx(0.625)


@pytest.mark.parametrize("ring", [Ring(4), Ring(5, 2.0), Ring(5, 4.0), Ring(3, 1.0, 0.5)])
def test_no_policy_earns_more(ring):
    """Of all policies that choose by the state alone, one of which is always among the best, until they repeat."""

    def earned(policy, place):
        task, state, seen, total = Task(parameters=jnp.array(ring.large)), place, {}, [0.0]
        while state not in seen:
            seen[state] = len(total) - 1
            (state,), (reward,) = walked(ring, [policy[state]], task, state)
            total.append(total[-1] + reward)
        first = seen[state]
        return (total[-1] - total[first]) / (len(total) - 1 - first)

    policies = itertools.product((ON, BACK), repeat=ring.states)
    assert max(earned(policy, ring.states // 2) for policy in policies) == pytest.approx(ring.best)


def test_a_task_is_its_large_reward_so_a_switch_is_another_task():
    ring = Ring(4)
    assert float(ring.task(key=jax.random.key(0)).parameters) == 6.0
    assert walked(ring, [BACK] * 3, Task(parameters=jnp.array(2.5)))[1] == [-1.0, -1.0, 2.5]


def test_a_ring_of_two_is_refused():
    with pytest.raises(UsageError, match="a ring of 2 states"):
        Ring(2)
