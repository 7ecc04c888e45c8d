"""A grown network does what it did: exactly when it is wider, and nearly so when it is deeper and of tanh."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.networks import ActionValues, Actor, ActorCritic, ActorCritics, perceptron
from headstart.core.types import Frozen, Percept
from headstart.core.world import Box, Discrete
from headstart.errors import UsageError
from headstart.experience.net2net import REACH, grow
from headstart.worlds.probes import Matched

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY, OTHER, SEEN = jax.random.split(jax.random.key(0), 3)


class Shaped(Matched):
    """Observations of `size` numbers and `count` actions, real ones if so asked: nothing of it is ever stepped."""

    size: int
    count: int
    real: bool = False

    @property
    def actions(self):
        return Box(-jnp.ones(self.count), jnp.ones(self.count)) if self.real else Discrete(self.count)

    def reset(self, task, *, key):
        return jnp.zeros(self.size), jnp.zeros(self.size)


def stirred(network):
    """With every number moved, so that biases and what begins small are of a size to be seen."""
    leaves, structure = jax.tree.flatten(network)
    keys = jax.random.split(KEY, len(leaves))
    stir = lambda leaf, key: leaf + 0.3 * jax.random.normal(key, leaf.shape) if eqx.is_inexact_array(leaf) else leaf
    return jax.tree.unflatten(structure, [stir(leaf, key) for leaf, key in zip(leaves, keys, strict=True)])


def said(network, seen, legal=None):
    """What a network says of each row of `seen`."""
    one = lambda row: network(Percept(row, jnp.array(True), legal=legal), None)[0]
    return jax.vmap(one)(seen)


ROWS = jax.random.normal(SEEN, (16, 3))
OLD, NEW = Shaped(3, 2), Shaped(5, 4)


@pytest.mark.parametrize("kind", [Actor, ActorCritic, ActionValues])
def test_wider_is_exactly_the_same(kind):
    trained, fresh = stirred(kind(OLD, KEY, width=4)), stirred(kind(OLD, OTHER, width=7))
    grown = grow(trained, fresh)
    before, after = said(trained, ROWS), said(grown, ROWS)
    assert jax.tree.all(jax.tree.map(lambda a, b: np.allclose(a, b, atol=1e-6), before, after))
    # What is new is as it was drawn, and hears of the old units; nothing hears of it yet.
    net, drawn = (each.values if kind is ActionValues else each.actor for each in (grown, fresh))
    assert np.array_equal(net.layers[1].weight[4:], drawn.layers[1].weight[4:])
    assert np.array_equal(net.layers[1].weight[:4, 4:], np.zeros((4, 3)))


def test_new_units_have_a_gradient_from_the_first_step():
    grown = grow(Actor(OLD, KEY, width=4), Actor(OLD, OTHER, width=7))
    last = lambda net: net.actor.layers[2].weight
    gradient = jax.grad(lambda weight: jax.vmap(eqx.tree_at(last, grown, weight).actor)(ROWS)[:, 0].sum())
    assert np.all(np.abs(gradient(last(grown))[0]) > 0)


def test_deeper_rectified_is_exactly_the_same_and_deeper_tanh_nearly():
    rectified = stirred(ActionValues(OLD, KEY, width=4)), ActionValues(OLD, OTHER, width=6, depth=4)
    assert np.allclose(said(grow(*rectified), ROWS).policy, said(rectified[0], ROWS).policy, atol=1e-5)
    trained, fresh = stirred(Actor(OLD, KEY, width=4)), Actor(OLD, OTHER, width=4, depth=3)
    grown = grow(trained, fresh)
    net = trained.actor
    for row in ROWS:
        hidden = jnp.tanh(net.layers[1](jnp.tanh(net.layers[0](row))))
        expected = net.layers[2].weight @ (jnp.tanh(REACH * hidden) / REACH) + net.layers[2].bias
        assert np.allclose(grown.actor(row), expected, atol=1e-5)
        least = 1 - np.tanh(REACH) / REACH
        assert least < 0.014
        assert np.all(
            np.abs(grown.actor(row) - net(row)) <= least * np.abs(net.layers[2].weight) @ np.abs(hidden) + 1e-6
        )


def test_observations_and_actions_beyond_the_old_ones():
    trained, fresh = stirred(ActorCritic(OLD, KEY, width=4)), ActorCritic(NEW, OTHER, width=4)
    grown = grow(trained, fresh)
    more = jnp.concatenate([ROWS, 9 * jnp.ones((16, 2))], axis=1)
    before, after = said(trained, ROWS), said(grown, more)
    assert np.allclose(before.value, after.value, atol=1e-6)
    old, new = jax.vmap(trained.actor)(ROWS), jax.vmap(grown.actor)(more)
    assert np.allclose(old, new[:, :2], atol=1e-6)
    # The new actions are as they were drawn: hardly other than 0.
    assert np.all(np.abs(new[:, 2:]) < 0.1)


def test_mapped_observations_and_actions_do_what_they_are_like():
    """Action 0 is now done by actions 1 and 3, which share its probability; what was seen first is now seen twice."""
    trained, fresh = stirred(ActorCritic(OLD, KEY, width=4)), ActorCritic(Shaped(4, 3), OTHER, width=6)
    grown = grow(trained, fresh, inputs=(2, 0, 0, 1), actions=(1, 0, 0))
    turned = ROWS[:, np.array([2, 0, 0, 1])]
    before, after = said(trained, ROWS), said(grown, turned)
    old, new = (np.exp(each.policy.log_probs) for each in (before, after))
    assert np.allclose(new[:, 0], old[:, 1], atol=1e-6)
    assert np.allclose(new[:, 1:], old[:, :1] / 2, atol=1e-6)
    assert np.allclose(before.value, after.value, atol=1e-6)
    values = stirred(ActionValues(OLD, KEY, width=4)), ActionValues(Shaped(4, 3), OTHER, width=6)
    mapped = grow(*values, inputs=(2, 0, 0, 1), actions=(1, 0, 0))
    assert np.allclose(said(mapped, turned).policy, said(values[0], ROWS).policy[:, np.array([1, 0, 0])], atol=1e-5)


def test_real_actions_are_mapped_in_the_policy_and_in_the_critics():
    old, new = Shaped(3, 2, real=True), Shaped(4, 3, real=True)
    typical = jnp.array([1.0, 2.0, 3.0]), jnp.array([2.0, 1.0, 0.5])
    trained, fresh = stirred(ActorCritics(old, KEY, width=4)), ActorCritics(new, OTHER, width=5)
    trained = eqx.tree_at(lambda net: net.typical, trained, Frozen(typical), is_leaf=lambda leaf: leaf is None)
    fresh = eqx.tree_at(
        lambda net: net.typical, fresh, Frozen((jnp.zeros(4), jnp.ones(4))), is_leaf=lambda leaf: leaf is None
    )
    grown = grow(trained, fresh, inputs=(0, None, 1, 2), actions=(1, 0, None))
    more = jnp.stack([ROWS[:, 0], jnp.full(16, 7.0), ROWS[:, 1], ROWS[:, 2]], axis=1)
    before, after = said(trained, ROWS).policy, said(grown, more).policy
    for name in ("mean", "log_std"):
        assert np.allclose(getattr(before, name)[:, ::-1], getattr(after, name)[:, :2], atol=1e-6)
    act = jax.random.normal(OTHER, (16, 2))
    wider = jnp.concatenate([act[:, ::-1], jnp.full((16, 1), 3.0)], axis=1)
    judge = lambda net, rows, acts: jax.vmap(lambda row, act: net.judge(Percept(row, jnp.array(True)), act))(rows, acts)
    assert np.allclose(judge(trained, ROWS, act), judge(grown, more, wider), atol=1e-5)
    spread = stirred(ActorCritic(old, KEY, width=4))
    assert np.array_equal(
        grow(spread, ActorCritic(new, OTHER, width=4), actions=(1, None, 0)).head.log_std,
        jnp.array([spread.head.log_std[1], 0.0, spread.head.log_std[0]]),
    )


def test_it_can_be_mapped_over_seeds():
    make = lambda size: eqx.filter_vmap(lambda key: ActorCritic(OLD, key, width=size))(jax.random.split(KEY, 3))
    grown = eqx.filter_jit(eqx.filter_vmap(grow))(make(4), make(6))
    assert grown.actor.layers[1].weight.shape == (3, 6, 6)


@pytest.mark.parametrize(
    ("trained", "fresh", "given", "told"),
    [
        (Actor, ActorCritic, {}, "Actor cannot be grown into ActorCritic; both must be the same one"),
        (
            partial(Actor, width=5),
            partial(Actor, width=4),
            {},
            "actor has width 4 and depth 2 in the new network, and 5",
        ),
        (partial(Actor, depth=3), partial(Actor, depth=2), {}, "make it at least as wide and as deep"),
        (Actor, Actor, {"inputs": (0, 1)}, r"inputs must be 3 numbers from 0 to 2, or None, and not \[0, 1\]"),
        (Actor, Actor, {"actions": (0, 2)}, r"actions must be 2 numbers from 0 to 1, or None"),
    ],
)
def test_what_cannot_be_grown_is_refused_in_one_sentence(trained, fresh, given, told):
    with pytest.raises(UsageError, match=told) as found:
        grow(trained(OLD, KEY), fresh(OLD, OTHER), **given)
    assert "\n" not in str(found.value)


def test_fewer_observations_must_be_told_apart():
    with pytest.raises(UsageError, match=r"there are 3 inputs in place of 5; have the layer .* by inputs="):
        grow(Actor(NEW, KEY), Actor(OLD, OTHER))


def test_units_that_cannot_hand_on_what_they_hear_are_not_made_deeper():
    strange = lambda net: eqx.tree_at(lambda net: net.actor.activation, net, jax.nn.sigmoid)
    with pytest.raises(UsageError, match="actor cannot be made deeper"):
        grow(strange(Actor(OLD, KEY)), strange(Actor(OLD, OTHER, depth=3)))
    with pytest.raises(UsageError, match="actor has other units"):
        grow(strange(Actor(OLD, KEY)), Actor(OLD, OTHER))
    flatter = eqx.tree_at(lambda net: net.actor, Actor(OLD, KEY), perceptron(3, 2, 4, 0, scale=1.0, key=KEY))
    with pytest.raises(UsageError, match="actor has no hidden layer"):
        grow(flatter, Actor(OLD, OTHER))
