import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from counting import Counting, Rememberer, act
from headstart.core.collect import begin, collect
from headstart.core.source import AbstractSource, Chain, RewardUnit
from headstart.core.types import Output
from headstart.core.wrappers import TimeLimit
from headstart.errors import UsageError

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)
NETWORK = Rememberer()


class Shorten(AbstractSource):
    """Only the arrow `stage`: episodes of two steps."""

    def stage(self, world):
        return TimeLimit(world, 2)


class Centre(AbstractSource):
    """Fits in `observe`, uses in `rewrite`: rewards minus the mean of those seen."""

    changes = frozenset({"reward"})

    mean: jax.Array = eqx.field(default_factory=lambda: jnp.zeros(()))

    def observe(self, rollout, network, *, key):
        return Centre(jnp.mean(rollout.reward))

    def rewrite(self, batch, network, *, key):
        return eqx.tree_at(lambda batch: batch.reward, batch, batch.reward - self.mean)


class Double(AbstractSource):
    """Only the arrow `rewrite`."""

    needs = frozenset({"log_prob"})
    changes = frozenset({"reward"})

    def rewrite(self, batch, network, *, key):
        return eqx.tree_at(lambda batch: batch.reward, batch, 2 * batch.reward)


class Pull(AbstractSource):
    """Only the arrow `loss`."""

    weight: float = 1.0

    def loss(self, network, batch, outputs, *, key):
        loss = self.weight * jnp.mean(outputs.value**2)
        return loss, {f"pull/{self.weight}": loss}


class Noise(AbstractSource):
    """Adds chance to rewards and to the loss."""

    def rewrite(self, batch, network, *, key):
        noise = jax.random.normal(key, batch.reward.shape)
        return eqx.tree_at(lambda batch: batch.reward, batch, batch.reward + noise)


@pytest.fixture(scope="module")
def gather():
    def rollout(source):
        world = source.stage(Counting())
        lanes = begin(world, NETWORK, 2, key=KEY)
        return jax.jit(lambda: collect(world, NETWORK, act(NETWORK), lanes, 6, key=KEY)[1])()

    return {source: rollout(source()) for source in (Chain, Shorten)}


def learn(source, rollout):
    """What a learner does with a source: observe, then rewrite, then add its loss."""
    source = source.observe(rollout, NETWORK, key=KEY)
    batch = source.rewrite(rollout, NETWORK, key=KEY)
    outputs = Output(None, jnp.full(batch.reward.shape, 3.0))
    return source, batch, *source.loss(NETWORK, batch, outputs, key=KEY)


def test_the_empty_chain_is_the_identity(gather):
    rollout, empty = gather[Chain], Chain(())
    world = Counting()
    assert empty.stage(world) is world
    source, batch, loss, metrics = learn(empty, rollout)
    assert eqx.tree_equal(source, empty)
    assert batch is rollout
    assert (float(loss), metrics) == (0.0, {})
    assert empty.needs == empty.changes == frozenset()


def test_stage_changes_what_is_met(gather):
    assert np.asarray(gather[Chain].last[:, 0]).tolist() == [False, False, True] * 2
    assert np.asarray(gather[Shorten].last[:, 0]).tolist() == [False, True] * 3
    staged = Chain((Shorten(), Chain((Shorten(),)))).stage(Counting())
    assert isinstance(staged.world, TimeLimit)  # each source stages what the one before it made


def test_a_source_observes_before_it_rewrites(gather):
    # Rewards are 1, 2, 3: the mean just fitted is taken away, not that of before, which was 0.
    source, batch, _, _ = learn(Chain((Centre(),)), gather[Chain])
    assert float(source.sources[0].mean) == 2.0
    assert np.asarray(batch.reward[:, 0]).tolist() == [-1.0, 0.0, 1.0] * 2


def test_sources_rewrite_in_order(gather):
    _, batch, _, _ = learn(Chain((Double(), Centre())), gather[Chain])
    assert np.asarray(batch.reward[:3, 0]).tolist() == [0.0, 2.0, 4.0]
    _, batch, _, _ = learn(Chain((Centre(), Double())), gather[Chain])
    assert np.asarray(batch.reward[:3, 0]).tolist() == [-2.0, 0.0, 2.0]


def test_losses_add_and_each_reports_its_own(gather):
    _, _, loss, metrics = learn(Chain((Pull(1.0), Pull(2.0))), gather[Chain])
    assert float(loss) == 27.0
    assert {name: float(value) for name, value in metrics.items()} == {"pull/1.0": 9.0, "pull/2.0": 18.0}


def test_no_rewrite_moves_where_episodes_begin_and_end(gather):
    rollout = gather[Chain]
    _, batch, _, _ = learn(Chain((Centre(), Double(), Noise(), Pull())), rollout)
    assert not eqx.tree_equal(batch.reward, rollout.reward)
    assert eqx.tree_equal((batch.percept.first, batch.last), (rollout.percept.first, rollout.last))


def test_each_source_draws_chance_of_its_own(gather):
    _, once, _, _ = learn(Chain((Noise(),)), gather[Chain])
    _, twice, _, _ = learn(Chain((Noise(), Noise())), gather[Chain])
    first, both = once.reward - gather[Chain].reward, twice.reward - gather[Chain].reward
    assert not np.allclose(both, 2 * first)


def test_a_chain_needs_and_changes_what_its_sources_do():
    chain = Chain((Centre(), Chain((Double(),)), Pull()))
    assert chain.needs == {"log_prob"}
    assert chain.changes == {"reward"}


def test_a_reward_unit_is_for_the_learner_alone(gather):
    rollout = gather[Chain]
    _, batch, _, _ = learn(RewardUnit(4.0), rollout)
    assert np.asarray(batch.reward[:3, 0]).tolist() == [0.25, 0.5, 0.75]
    assert eqx.tree_equal(batch.percept, rollout.percept)
    assert eqx.tree_equal(learn(RewardUnit(1.0), rollout)[1], rollout)
    for unit in (0.0, -1.0):
        with pytest.raises(UsageError, match="more than 0"):
            RewardUnit(unit)
