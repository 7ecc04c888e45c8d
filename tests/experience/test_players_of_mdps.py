"""The classical players of tabular MDPs: plans and beliefs by hand, and what they earn beside published figures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.experience.classical.mdps import Posterior, certainty_equivalent, oracle, plan, psrl, random_walk
from headstart.worlds.tabular import MDP, TabularMDP

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(7)


def drawn(world, count):
    return jax.vmap(lambda key: world.task(key=key))(jax.random.split(jax.random.key(0), count))


def test_a_plan_gives_up_a_reward_for_a_greater_one_if_there_is_time():
    """By hand: in state 0, to stay pays 1 and to leave 0; in state 1 all pays 3 and stays."""
    transitions = jnp.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
    actions, values = plan(MDP(transitions, jnp.array([[1.0, 0.0], [3.0, 3.0]])), 3)
    np.testing.assert_array_equal(values, [[6, 9], [3, 6], [1, 3]])
    np.testing.assert_array_equal(actions[:, 0], [1, 1, 0])


def test_beliefs_are_the_conjugate_ones():
    """By hand: (0 + 3 + 6) / 3, the prior counting as one reward of 0."""
    belief = Posterior.prior(TabularMDP(states=3, choices=2), 0.0)
    for reward, following in ((3.0, 2), (6.0, 1)):
        belief = belief.after(jnp.array(1), jnp.array(0), jnp.array(reward), jnp.array(following))
    np.testing.assert_allclose(belief.means, [[0, 0], [3, 0], [0, 0]])
    np.testing.assert_array_equal(belief.precisions, [[1, 1], [3, 1], [1, 1]])
    np.testing.assert_array_equal(belief.counts[1, 0], [1, 2, 2])
    np.testing.assert_array_equal(np.delete(np.asarray(belief.counts).reshape(6, 3), 2, axis=0), 1)


def test_the_oracle_earns_what_its_plan_is_worth():
    world = TabularMDP()
    tasks = drawn(world, 400)
    values = jax.vmap(lambda mdp: plan(mdp, 10)[1][0, 0])(tasks.parameters)
    surplus = np.sum(oracle(world, tasks, 10, key=KEY), axis=1) - 10 * np.asarray(values)
    assert abs(surplus.mean()) < 4 * surplus.std() / 20
    assert surplus.std() < 15  # of noise alone: 10, and what chance adds to where one gets


def test_tabular_players_earn_what_is_published_or_was_measured_elsewhere():
    """300 tasks of 10 episodes, with a standard error of 1.5. 100.1 and 138.1 are in table 2 of Duan and others."""
    world = TabularMDP()
    tasks = drawn(world, 300)
    total = lambda player, *prior_mean: np.sum(player(world, tasks, 10, *prior_mean, key=KEY), axis=1)
    zero, one = jnp.zeros(()), jnp.ones(())  # arrays, so that each player is compiled once
    earned = {
        "random": total(random_walk),
        "oracle": total(oracle),
        "greedy": total(certainty_equivalent, one),
        "greedy, prior mean 0": total(certainty_equivalent, zero),
        "psrl": total(psrl, one),
        "psrl, prior mean 0": total(psrl, zero),
    }
    elsewhere = (100.1, 219.0, 151.7, 129.0, 132.5, 138.1)
    for (name, totals), figure in zip(earned.items(), elsewhere, strict=True):
        assert abs(totals.mean() - figure) < 6.0, (name, totals.mean())
    assert (earned["greedy"] - earned["psrl"]).mean() > 10
    assert (earned["psrl, prior mean 0"] - earned["greedy, prior mean 0"]).mean() > 3
