"""Progressive columns: the paper's equation by hand, and old columns that never change."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.networks import ActorCritic
from headstart.core.optimise import learns
from headstart.core.process import Online, train
from headstart.errors import UsageError
from headstart.experience.progressive import SMALL, Progressive
from headstart.scratch.ppo import PPO
from headstart.worlds.classic_control import Acrobot, CartPole
from headstart.worlds.probes import Matched

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY, OTHER, THIRD = jax.random.split(jax.random.key(0), 3)


def make(key, width=4):
    return ActorCritic(Matched(), key, width=width)


def test_a_new_column_is_equation_2():
    old, fresh = make(KEY), make(OTHER, width=3)
    column = Progressive.after(old, fresh, key=THIRD).actor
    seen = jnp.array([0.7])
    one = jnp.tanh(old.actor.layers[0](seen))
    two = jnp.tanh(old.actor.layers[1](one))

    def lateral(at, heard):
        adapter = column.adapters[at]
        return (
            adapter.reach.weight @ jnp.tanh(adapter.reduce.weight @ (adapter.scale * heard) + adapter.reduce.bias)
            + adapter.reach.bias
        )

    new_one = jnp.tanh(fresh.actor.layers[0](seen))
    new_two = jnp.tanh(fresh.actor.layers[1](new_one) + lateral(0, one))
    assert np.allclose(column(seen), fresh.actor.layers[2](new_two) + lateral(1, two), atol=1e-6)
    assert 0 < column.adapters[0].scale < SMALL


def test_a_third_column_hears_both_earlier_ones():
    two = Progressive.after(make(KEY), make(OTHER, width=3), key=THIRD)
    three = Progressive.after(two, make(THIRD, width=5), key=KEY)
    seen = jnp.array([0.7])
    assert three.actor.width == 12
    hidden, _ = two.actor.layers(seen)
    adapter, perceptron = three.actor.adapters[0], three.actor.perceptron
    own = jnp.tanh(perceptron.layers[0](seen))
    heard = adapter(hidden[0], jnp.tanh)
    found, _ = three.actor.layers(seen)
    assert np.allclose(found[1][:7], hidden[1], atol=1e-6)
    assert np.allclose(found[1][7:], jnp.tanh(perceptron.layers[1](own) + heard), atol=1e-6)


def test_an_old_column_never_changes_and_all_of_the_new_one_learns():
    old = make(KEY)
    network = lambda key: Progressive.after(old, make(key), key=key)
    learner = PPO(epochs=1, minibatches=1, learning_rate=0.1)
    process = Online(Matched(), network, learner, lanes=4, length=8)
    fresh = jax.random.split(jax.random.split(OTHER)[0], 3)[0]  # as `train` and `Online.init` split their keys
    before = network(fresh)
    after = train(process, 3, key=OTHER, chunk=3).learner.network
    assert eqx.tree_equal(after.actor.before.frozen.perceptron, old.actor)
    assert eqx.tree_equal(after.critic.before.frozen.perceptron, old.critic)
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), learns(before)[0], learns(after)[0])
    assert all(jax.tree.leaves(moved))
    assert len(jax.tree.leaves(moved)) == 2 * (3 * 2 + 2 * 5)


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(
        UsageError, match="a new column sees 6 numbers and has depth 2, and the columns before it 4 and 2"
    ):
        Progressive.after(ActorCritic(CartPole(), KEY), ActorCritic(Acrobot(), OTHER), key=THIRD)
