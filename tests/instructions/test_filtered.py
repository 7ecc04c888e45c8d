"""A network that sees with a sentence in mind: what is said changes what of a cell is kept, and memory what is done."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect
from headstart.core.network import relive
from headstart.core.process import Online, train_at_once
from headstart.core.types import Choice, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError
from headstart.greedy import returns
from headstart.instructions.encoders import BagOfWords
from headstart.instructions.filtered import Filtered
from headstart.scratch.ppo import PPO
from headstart.worlds.classic_control import CartPole

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KINDS, COLOURS, PLACES = 3, 3, 3


class Sight(eqx.Module):
    image: jax.Array


class Pointing(AbstractWorld):
    """A row of things of every kind and colour: to point at the one that is spoken of, by kind and colour, earns 1.

    `late`: the row is not seen any more when it is to be pointed at.
    """

    late: bool = eqx.field(static=True, default=False)

    @property
    def actions(self):
        return Discrete(PLACES)

    def task(self, *, key):
        kind_key, colour_key, which_key = jax.random.split(key, 3)
        kinds = jax.random.permutation(kind_key, KINDS)[:PLACES]
        colours = jax.random.permutation(colour_key, COLOURS)[:PLACES]
        # The second thing is of the kind of the first, the third of its colour: neither word alone tells which.
        kinds, colours = kinds.at[1].set(kinds[0]), colours.at[2].set(colours[0])
        order = jax.random.permutation(which_key, PLACES)
        wanted = jnp.argmin(order)
        words = jnp.stack([1 + kinds[0], 1 + KINDS + colours[0]])
        return Task((jnp.stack([kinds, colours], axis=-1)[order], wanted), instruction=words)

    def reset(self, task, *, key):
        return jnp.zeros((), jnp.int32), Sight(task.parameters[0][:, None])

    def step(self, state, task, action, *, key):
        over = state >= (1 if self.late else 0)
        seen = Sight(jnp.zeros_like(task.parameters[0][:, None]))
        reward = jnp.where(over & (action == task.parameters[1]), 1.0, 0.0)
        return state + 1, Outcome(seen, reward, 1.0 - over, over)


class HalfTold(Pointing):
    def task(self, *, key):
        return eqx.tree_at(
            lambda task: task.instruction, super().task(key=key), replace_fn=lambda said: said.at[1].set(0)
        )


def new(world, key):
    encoder = partial(BagOfWords, 1 + KINDS + COLOURS, width=16)
    return Filtered(world, key, numbers=(KINDS, COLOURS), encoder=encoder, size=16, width=32)


def test_what_is_said_changes_what_is_kept_of_a_cell_and_only_of_that():
    network = new(Pointing(), jax.random.key(0))
    image = jnp.array([[[0, 1]], [[2, 2]], [[1, 0]]])
    said, other = jax.random.normal(jax.random.key(1), (2, 16))
    kept = network.look(image, said)
    assert kept.shape == (3, 1, 8)
    assert not np.allclose(kept, network.look(image, other))
    changed = network.look(image.at[1, 0, 0].set(0), said)
    np.testing.assert_array_equal(kept[0], changed[0])
    assert not np.allclose(kept[1], changed[1])


def test_a_segment_at_once_is_moment_after_moment():
    world = Pointing(late=True)
    network = new(world, jax.random.key(0))
    act = lambda percept, memory, *, key: (Choice(jax.random.randint(key, (), 0, 3)), network(percept, memory)[1])
    _, rollout = collect(world, network, act, begin(world, network, 4, key=jax.random.key(1)), 6, key=jax.random.key(2))
    at_once = relive(network, rollout)
    each = jax.vmap(jax.vmap(lambda percept, memory: network(percept, memory)[0]))(
        rollout.percept, rollout.notes["memory"]
    )
    np.testing.assert_allclose(at_once.policy.log_probs, each.policy.log_probs, atol=1e-5)
    np.testing.assert_allclose(at_once.value, each.value, atol=1e-5)


def test_it_learns_to_point_from_memory_at_what_both_words_say():
    world = Pointing(late=True)
    process = Online(world, partial(new, world), PPO(learning_rate=1e-2, discount=0.9), 64, 8)
    learned = eqx.filter_jit(partial(train_at_once, process, 40))(key=jax.random.key(0)).learner.network
    assert returns(world, learned, episodes=256, key=jax.random.key(1)).mean() >= 0.9
    # By one word of two, every second time at best.
    assert returns(HalfTold(late=True), learned, episodes=256, key=jax.random.key(1)).mean() <= 0.7


def test_a_world_without_instructions_is_refused():
    with pytest.raises(UsageError, match="no instructions"):
        new(CartPole(), jax.random.key(0))
