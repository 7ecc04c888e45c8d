"""Carried over: the same arrays, what does not fit named, and what is held held by every kind of learner."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.networks import ActionValues, ActorCritic, ActorCritics, RecurrentActorCritic
from headstart.core.process import Online, train
from headstart.errors import UsageError
from headstart.experience.net2net import grow
from headstart.experience.transfer import Held, HeldActionCritic, Transferred, carry_over, hold, parts, whole
from headstart.scratch.dqn import DQN
from headstart.scratch.ppo import PPO
from headstart.scratch.sac import SAC
from headstart.worlds.classic_control import CartPole, Pendulum
from headstart.worlds.probes import Matched

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY, OTHER = jax.random.split(jax.random.key(0))
small = partial(ActorCritic, Matched(), width=4)


def differ(one, other):
    """The names of the arrays that are not the same in both."""
    leaves = [jax.tree_util.tree_leaves_with_path(whole(each)) for each in (one, other)]
    return {
        jax.tree_util.keystr(path)[1:]
        for (path, a), (_, b) in zip(*leaves, strict=True)
        if eqx.is_array(a) and not np.array_equal(a, b)
    }


def test_all_is_carried_over_but_what_begins_anew():
    trained, fresh = small(KEY), small(OTHER)
    trained = jax.tree.map(lambda leaf: leaf + 1 if eqx.is_inexact_array(leaf) else leaf, trained)
    every = set(parts(fresh))
    assert len(every) == 12
    assert differ(carry_over(trained, fresh), trained) == set()
    begun = carry_over(trained, fresh, renewed=["actor.layers[2]", "critic.layers[0].bias"])
    again = {"actor.layers[2].weight", "actor.layers[2].bias", "critic.layers[0].bias"}
    assert differ(begun, trained) == again
    assert differ(begun, fresh) == every - again


def test_a_name_is_no_prefix_of_another():
    """`actor.layers[1` is how the names of four layers begin."""
    deep = ActorCritic(Matched(), KEY, width=2, depth=12)
    held = hold(deep, ["actor.layers[1]"]).held.frozen
    assert {name for name in parts(deep) if name in parts(held)} == {"actor.layers[1].weight", "actor.layers[1].bias"}


@pytest.mark.parametrize(
    ("trained", "fresh", "told"),
    [
        (
            small,
            partial(ActorCritic, Matched(), width=5),
            r"actor.layers\[0\].weight is float32\[4, 1\] in the trained",
        ),
        (small, partial(ActorCritic, Matched(), width=4, depth=3), r"actor.layers\[2\].weight is float32\[2, 4\] in"),
        (small, partial(ActionValues, Matched(), width=4), "is an ActorCritic and the new one an ActionValues"),
    ],
)
def test_what_does_not_fit_is_named_in_one_sentence(trained, fresh, told):
    with pytest.raises(UsageError, match=told) as found:
        carry_over(trained(KEY), fresh(OTHER))
    assert "\n" not in str(found.value)


def test_other_units_do_not_fit_though_the_shapes_do():
    trained = small(KEY)
    other = eqx.tree_at(lambda net: net.actor.activation, trained, jax.nn.relu)
    with pytest.raises(UsageError, match=r"actor.activation is tanh in the trained network and relu in the new one"):
        carry_over(trained, other)


def test_a_part_that_does_not_fit_may_begin_anew():
    from headstart.worlds.classic_control import Acrobot

    trained = ActorCritic(CartPole(), KEY, width=4)
    fresh = ActorCritic(Acrobot(), OTHER, width=4)
    ends = ["actor.layers[0].weight", "actor.layers[2]", "critic.layers[0].weight"]
    begun = carry_over(trained, fresh, renewed=ends)
    assert jnp.array_equal(begun.actor.layers[1].weight, trained.actor.layers[1].weight)
    with pytest.raises(UsageError, match=r"actor.layers\[2\].weight is"):
        carry_over(trained, fresh, renewed=[ends[0], ends[2]])


@pytest.mark.parametrize("function", [hold, lambda network, names: carry_over(network, network, renewed=names)])
def test_a_part_that_is_not_there_is_refused_with_the_nearest_one(function):
    with pytest.raises(UsageError, match=r"no part of an ActorCritic 'actr.layers\[0\].weight'; did you mean 'actor"):
        function(small(KEY), ["actr.layers[0].weight"])


LEARNERS = [
    (
        Matched(),
        partial(ActorCritic, width=4),
        PPO(epochs=1, minibatches=1, learning_rate=0.1),
        ["actor.layers[0]", "critic.layers[1].weight"],
    ),
    (Matched(), partial(RecurrentActorCritic, width=4), PPO(epochs=1, minibatches=1), ["cell", "embed.bias"]),
    (
        Matched(),
        partial(ActionValues, width=4),
        DQN(warmup=0, capacity=64, batch=8, period=1),
        ["values.layers[0]", "values.layers[2].bias"],
    ),
    (
        Pendulum(),
        partial(ActorCritics, width=4, critics=2),
        SAC(warmup=0, capacity=64, batch=8),
        ["actor.layers[0]", "critics[1]"],
    ),
]


@pytest.mark.parametrize(("world", "network", "learner", "held"), LEARNERS, ids=lambda value: type(value).__name__)
def test_what_is_held_never_changes_and_all_else_learns(world, network, learner, held):
    make = partial(network, world)
    trained = make(KEY)
    begun = Transferred(make, trained, held=tuple(held))
    state = train(Online(world, begun, learner, lanes=4, length=8), 2, key=OTHER, chunk=2)
    learned = state.learner.network
    assert isinstance(learned, Held)
    still = {
        name
        for name in parts(trained)
        if any(name == part or name.startswith((f"{part}.", f"{part}[")) for part in held)
    }
    assert still
    assert differ(learned, trained) == set(parts(trained)) - still
    # Training takes its first state's memory over, but not that of the network it began from.
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(trained) if eqx.is_array(leaf))


def test_a_network_that_is_held_does_what_it_did():
    network = RecurrentActorCritic(Matched(), KEY, width=4)
    held = hold(network, ["cell"])
    process = Online(Matched(), lambda key: network, PPO(), lanes=2, length=4)
    lanes = process.init(key=KEY).lanes
    out, memory = network(*jax.tree.map(lambda leaf: leaf[0], (lanes.percept, lanes.memory)))
    again, memory_again = held(*jax.tree.map(lambda leaf: leaf[0], (lanes.percept, lanes.memory)))
    assert eqx.tree_equal((out, memory), (again, memory_again))
    percepts = jax.tree.map(lambda leaf: jnp.stack([leaf[0]] * 3), lanes.percept)
    assert eqx.tree_equal(network.unroll(percepts, memory), held.unroll(percepts, memory))
    assert isinstance(hold(ActorCritics(Pendulum(), KEY, width=4), ["actor"]), HeldActionCritic)


def test_a_network_of_which_parts_were_held_is_carried_over_whole():
    trained = hold(small(KEY), ["actor"])
    begun = Transferred(small, trained, held=("critic",))(OTHER)
    assert differ(begun, trained) == set()
    assert not any("actor" in name for name in parts(begun.held.frozen))


def test_without_a_trained_network_the_shapes_are_those_of_with_one():
    with_one = Transferred(small, small(KEY), held=("actor",))
    without = Transferred(small, None, held=("actor",))
    shapes = lambda begun: eqx.filter_eval_shape(begun, KEY)
    assert eqx.tree_equal(shapes(with_one), shapes(without))


def test_a_network_that_was_made_to_fit_is_carried_over():
    wide = partial(ActorCritic, Matched(), width=8)
    begun = Transferred(wide, small(KEY), fit=grow, renewed=("critic",))(OTHER)
    grown = grow(small(KEY), wide(OTHER))
    assert not {name for name in differ(begun, grown) if name.startswith("actor")}
    assert eqx.tree_equal(begun.critic, wide(OTHER).critic)
    assert not eqx.tree_equal(begun.critic, grown.critic)
