"""What off-policy learners share: how what is drawn is shared out, the warm-up, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect, example
from headstart.core.network import AbstractNetwork
from headstart.core.off_policy import AbstractOffPolicy, Learned
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Outcome, Output, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)


class Numbered(AbstractWorld):
    """The n-th step earns n, without end."""

    @property
    def actions(self):
        return Discrete(2)

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        return jnp.zeros(()), jnp.zeros(1)

    def step(self, state, task, action, *, key):
        return state + 1, Outcome((state + 1)[None], state, jnp.ones(()), jnp.array(False))


class Sums(AbstractNetwork):
    """Keeps what it was given: the number of steps, and the sums of their rewards and of the squares."""

    given: jax.Array
    keeps: bool = eqx.field(static=True, default=False)

    def initial(self):
        return jnp.zeros(()) if self.keeps else None

    def __call__(self, percept, memory):
        return Output(jnp.zeros(2)), memory


class Adder(AbstractOffPolicy):
    """Learns nothing but what it was given."""

    source: AbstractSource = Chain()
    capacity: int = 64
    segment: int = 8
    batch: int = 4
    minibatches: int = 1
    updates: int = 1
    warmup: int = 0
    period: int = 1
    blend: float = 1.0
    learning_rate: float = 0.1
    clip: float = 1.0

    def act(self, state, percept, memory, *, key):
        return Choice(jnp.zeros((), jnp.int32)), memory

    def gradient_step(self, learned, batch, *, key):
        reward = batch.reward
        given = learned.network.given + jnp.stack([jnp.sum(reward**power) for power in range(3)])
        network = eqx.tree_at(lambda network: network.given, learned.network, given)
        made = learned.gradients + 1
        moved = Learned(network, learned.target, learned.own, learned.source, learned.optimisers, made)
        return moved, {"adder/size": jnp.asarray(reward.size, jnp.float32)}


def updated(network=None, **settings):
    """The learner's state after one rollout of 8 steps in one lane, and its metrics."""
    learner, world, network = Adder(**settings), Numbered(), network or Sums(jnp.zeros(3))

    @eqx.filter_jit
    def run():
        state = learner.init(network, example(world, network, key=KEY), key=KEY)
        act = lambda percept, memory, *, key: learner.act(state, percept, memory, key=key)
        _, rollout = collect(world, network, act, begin(world, network, 1, key=KEY), 8, key=KEY)
        return learner.update(state, rollout, key=KEY)

    return run()


@pytest.mark.parametrize(("minibatches", "updates", "size"), [(1, 2, 32), (4, 8, 8), (16, 32, 2)])
def test_what_is_drawn_is_shared_out_and_nothing_is_lost(minibatches, updates, size):
    """There is one segment only, so that every draw holds four of its copies: whoever shuffles must keep the sums."""
    state, metrics = updated(minibatches=minibatches, updates=updates)
    assert metrics["adder/size"] == size
    assert state.learned.gradients == updates
    once = np.array([8, 28, 140])  # of 0 to 7
    np.testing.assert_allclose(state.network.given, 4 * (updates // minibatches) * once)


def test_what_cannot_be_shared_out_evenly_is_left_out_by_chance():
    state, metrics = updated(minibatches=5, updates=5)
    assert metrics["adder/size"] == 6
    assert state.network.given[0] == 30


def test_segments_stay_whole_where_something_is_remembered():
    state, metrics = updated(network=Sums(jnp.zeros(3), keeps=True), minibatches=2, updates=2)
    assert metrics["adder/size"] == 16
    np.testing.assert_allclose(state.network.given, 4 * np.array([8, 28, 140]))


def test_nothing_is_learned_before_the_warm_up_is_over():
    for warmup, learns in ((9, False), (8, True)):
        state, metrics = updated(warmup=warmup)
        assert state.steps == 8
        assert bool(state.learned.gradients) == bool(state.network.given.any()) == learns
        assert metrics["adder/size"] == 32 * learns  # a number even so: one that is none would stop a run


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="Adder cannot make 3 gradient steps in groups of 2; choose a multiple"):
        Adder(minibatches=2, updates=3)
    with pytest.raises(UsageError, match="draws 32 and cannot share them among 33 gradient steps; raise batch"):
        updated(minibatches=33, updates=33)

    class Nosy(AbstractSource):
        needs = frozenset({"log_prob"})

    with pytest.raises(UsageError, match="Adder records no log_prob, which its source needs"):
        Adder(source=Nosy())
