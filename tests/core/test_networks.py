"""Recurrent networks: what they hear, what they hold, and that a segment at once is moment after moment."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.cells import GRU
from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork
from headstart.core.networks import RecurrentActorCritic, TwinRecurrentActorCritic, hear
from headstart.core.types import Choice
from headstart.core.wrappers import Trials
from headstart.worlds.point import TwoRoomMaze
from headstart.worlds.probes import Acted, Secret

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)
NETWORKS = [RecurrentActorCritic, TwinRecurrentActorCritic]


def rollout(world, network, length, act=None):
    """Leaves `[length, 3, ...]`."""

    def sampled(percept, memory, *, key):
        output, memory = network(percept, memory)
        return Choice(output.policy.sample(key=key)), memory

    @jax.jit
    def gathered():
        lanes = begin(world, network, 3, key=KEY)
        return collect(world, network, act or sampled, lanes, length, key=KEY)[1]

    return gathered()


def test_a_checkpoint_names_the_parts_of_a_recurrent_network_in_this_order():
    """An optimiser moves a network as one vector, so the order is as much of a checkpoint as the names are."""
    network = RecurrentActorCritic(Secret(), KEY, width=8)
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(network, eqx.is_inexact_array))
    assert [(jax.tree_util.keystr(path), *leaf.shape) for path, leaf in leaves] == [
        (".embed.weight", 8, 5),  # the place, two actions, the reward, and whether an episode ended
        (".embed.bias", 8),
        (".cell.weight_ih", 24, 8),
        (".cell.weight_hh", 24, 8),
        (".cell.bias", 24),
        (".cell.bias_n", 8),
        (".actor.weight", 2, 8),
        (".actor.bias", 2),
        (".critic.weight", 1, 8),
        (".critic.bias", 1),
    ]


def test_the_beginning_of_a_trial_is_told_apart_from_every_end_inside_it():
    """`Acted` shows 1 at every moment, and an episode begins at each: what was done tells the first moment of all."""
    world = Trials(Acted(), 3)
    network = RecurrentActorCritic(world, KEY, width=4)
    steps = rollout(world, network, 6, lambda percept, memory, *, key: (Choice(jnp.zeros((), jnp.int32)), memory))
    heard = jax.vmap(partial(hear, world.actions))(jax.tree.map(lambda leaf: leaf[:, 0], steps.percept))
    # Seen, and that an episode begins; action 0, action 1; reward; discount.
    beginning, inside = [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, -1, 1]
    assert heard.tolist() == [beginning, inside, inside] * 2


def test_an_end_inside_a_trial_shows_the_next_beginning_with_what_was_done_last():
    """`Secret` sees 0, then 1: after its second step it waited, action 0 for reward 0, and sees 0 again."""
    world = Trials(Secret(), 2)
    network = RecurrentActorCritic(world, KEY, width=4)
    act = lambda percept, memory, *, key: (Choice((percept.observation.observation[0] == 0).astype(jnp.int32)), memory)
    steps = rollout(world, network, 4, act)
    heard = jax.vmap(partial(hear, world.actions))(jax.tree.map(lambda leaf: leaf[:, 0], steps.percept))
    earned = float(steps.reward[0, 0])
    assert abs(earned) == 1
    chosen = [1, 0, 0, 1, earned, 1]
    assert heard.tolist() == [[0, 1, 0, 0, 0, 0], chosen, [0, 1, 1, 0, 0, 1], chosen]


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("world", [Trials(Secret(), 2), TwoRoomMaze()], ids=["discrete", "real"])
def test_a_segment_at_once_is_moment_after_moment(make, world):
    network = make(world, KEY, width=8)
    steps = rollout(world, network, 7)
    percepts = jax.tree.map(lambda leaf: leaf[2:, 1], steps.percept)
    percepts = eqx.tree_at(lambda percepts: percepts.first, percepts, jnp.arange(5) == 3)
    entering = jax.tree.map(lambda leaf: leaf + 0.5, network.initial())
    at_once, final = eqx.filter_jit(type(network).unroll)(network, percepts, entering)
    step_by_step, last = eqx.filter_jit(AbstractNetwork.unroll)(network, percepts, entering)
    for one, other in zip(jax.tree.leaves((at_once, final)), jax.tree.leaves((step_by_step, last)), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_twins_share_nothing():
    world = Trials(Secret(), 2)
    network = TwinRecurrentActorCritic(world, KEY, width=8)
    steps = rollout(world, network, 4)
    percepts = jax.tree.map(lambda leaf: leaf[:, 0], steps.percept)
    moves = lambda part: any(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(part))

    def moved(judge):
        """The parts of the network that a judgement moves."""
        loss = lambda network: judge(network.unroll(percepts, network.initial())[0])
        gradient = eqx.filter_jit(eqx.filter_grad(loss))(network)
        return {name for name in ("acting", "judging", "actor", "critic") if moves(getattr(gradient, name))}

    assert moved(lambda output: jnp.sum(output.value)) == {"judging", "critic"}
    assert moved(lambda output: jnp.sum(output.policy.log_prob(steps.action[:, 0]))) == {"acting", "actor"}


def test_the_cell_is_whatever_makes_one():
    class Leaky(GRU):
        """Remembers a tenth of what was, and the rest is heard."""

        def __call__(self, heard, state):
            state = 0.1 * state + 0.9 * heard
            return state, state

    network = RecurrentActorCritic(Acted(), KEY, width=8, cell=Leaky)
    assert isinstance(network.cell, Leaky)
    steps = rollout(Acted(), network, 1)
    percept = jax.tree.map(lambda leaf: leaf[0, 0], steps.percept)
    _, memory = network(percept, jnp.ones(8))
    heard = jax.nn.relu(network.embed(hear(Acted().actions, percept)))
    np.testing.assert_allclose(memory, 0.1 + 0.9 * heard, rtol=1e-6)
