"""Meta-parameters by hand, on top of any learner, kept in checkpoints, and of each agent its own."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart import checkpoint
from headstart.core.learner import AbstractLearner
from headstart.core.networks import ActionValues, ActorCritic
from headstart.core.process import Online, train_at_once
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Percept, Step
from headstart.errors import UsageError
from headstart.experience.meta_parameters import MetaParameters, Positive, Share
from headstart.scratch.a2c import A2C
from headstart.scratch.dqn import DQN
from headstart.scratch.q_learning import QLearning, Table
from headstart.worlds.probes import Matched
from headstart.worlds.rings import Ring

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)
RING = Ring(3, 4.0)
TUNED = (Share("learning_rate"), Positive("inverse_temperature"), Share("discount"))


def learner(rate=0.1, beta=10.0, gamma=0.5):
    return QLearning(learning_rate=jnp.array(rate), inverse_temperature=jnp.array(beta), discount=jnp.array(gamma))


def rewarded(*rewards):
    """A rollout `[T, B]` in which nothing matters but the rewards."""
    reward = jnp.array(rewards)
    percept = Percept(jnp.ones((*reward.shape, 3)) * jnp.array([1.0, 0.0, 0.0]), jnp.zeros(reward.shape, bool))
    return Step(
        percept=percept,
        action=jnp.zeros(reward.shape, jnp.int32),
        reward=reward,
        discount=jnp.zeros(reward.shape),
        last=jnp.zeros(reward.shape, bool),
        after=percept,
        notes={"memory": None, "memory_after": None},
    )


def begun(tuning, noise=(0.0, 0.0, 0.0)):
    state = tuning.init(Table(RING, KEY), rewarded([0.0]), key=KEY)
    return eqx.tree_at(lambda state: state.noise, state, jnp.array(noise))


def test_the_transforms_are_those_of_the_paper():
    b = jnp.array(0.7)
    np.testing.assert_allclose(Share("x").value(b), 1 - 1 / (1 + np.exp(0.7)), rtol=1e-6)
    np.testing.assert_allclose(Share("x").value(-b), 1 / (1 + np.exp(0.7)), rtol=1e-6)
    np.testing.assert_allclose(Positive("x", unit=0.01).value(b), 0.01 * np.exp(0.7), rtol=1e-6)
    np.testing.assert_allclose(Positive("x", limit=0.5).value(b), np.exp(0.5), rtol=1e-6)
    for each in (Share("x"), Positive("x", unit=0.3)):
        np.testing.assert_allclose(each.value(each.base(jnp.array(0.2))), 0.2, rtol=1e-6)


def test_an_update_is_the_papers_by_hand():
    """τ₁ = τ₂ = 2. Lanes earn 4 on average, then 0: r̄ is 2, 1; r̿ is 1, 1; so the first step alone moves b, by μ σ."""
    tuning = MetaParameters(learner(), TUNED, rate=0.5, recent=2.0, usual=2.0)
    before = begun(tuning, (1.0, -2.0, 0.0))
    state, metrics = tuning.update(before, rewarded([5.0, 3.0], [1.0, -1.0]), key=KEY)
    np.testing.assert_allclose(before.base, [np.log(0.1 / 0.9), np.log(10.0), 0.0], rtol=1e-5)
    np.testing.assert_allclose(state.base - before.base, [0.5, -1.0, 0.0], atol=1e-6)
    assert (float(state.recent), float(state.usual)) == (1.0, 1.0)
    np.testing.assert_allclose(metrics["meta/inverse_temperature"], 10.0 / np.e, rtol=1e-5)
    assert metrics.keys() >= {"meta/learning_rate", "meta/discount", "meta/recent", "meta/usual", "q/loss"}


def test_b_stays_within_its_bound():
    tuning = MetaParameters(learner(), TUNED, rate=100.0, recent=1.0, bound=3.0)
    state, _ = tuning.update(begun(tuning, (1.0, 1.0, -1.0)), rewarded([5.0]), key=KEY)
    np.testing.assert_array_equal(state.base, [3.0, 3.0, -3.0])


def test_noise_is_drawn_anew_when_its_steps_are_over_and_not_within_a_rollout():
    tuning = MetaParameters(learner(), TUNED, every=5)
    state, noises = begun(tuning, (1.0, 1.0, 1.0)), []
    for key in jax.random.split(KEY, 4):
        state, _ = tuning.update(state, rewarded([0.0], [0.0], [0.0]), key=key)
        noises.append(state.noise.tolist())
    assert noises[0] == [1.0, 1.0, 1.0]
    assert noises[1] != noises[0]
    assert noises[2] == noises[1]
    assert noises[3] != noises[2]
    draws = jax.vmap(lambda key: MetaParameters(learner(), TUNED, spread=2.0)._draw(key))(jax.random.split(KEY, 2_000))
    np.testing.assert_allclose((np.mean(draws), np.std(draws)), (0.0, 2.0), atol=0.08)


def test_without_noise_nothing_changes():
    tuning = MetaParameters(learner(), TUNED, spread=0.0)
    state = tuning.init(Table(RING, KEY), rewarded([0.0]), key=KEY)
    after, _ = tuning.update(state, rewarded([9.0], [-3.0]), key=KEY)
    np.testing.assert_array_equal(after.base, state.base)
    now = tuning.at(after)
    np.testing.assert_allclose([now.learning_rate, now.inverse_temperature, now.discount], [0.1, 10.0, 0.5], rtol=1e-5)


A = jnp.array
DEEP = {
    "a2c": (A2C(discount=A(0.5), learning_rate=A(0.01), entropy_weight=A(0.02)), ActorCritic),
    "dqn": (DQN(discount=A(0.5), learning_rate=A(0.01), warmup=0, capacity=64, batch=4), ActionValues),
}


@pytest.mark.parametrize("name", DEEP)
def test_who_is_driven_is_the_learner_with_the_values_that_the_state_says(name):
    inner, network = DEEP[name]
    world = Matched()
    fields = ("discount", "learning_rate") + (("entropy_weight",) if name != "dqn" else ())
    tuned = tuple(Share(field) if field == "discount" else Positive(field, unit=0.01) for field in fields)
    tuning = MetaParameters(inner, tuned)
    process = Online(world, partial(network, world, width=8, depth=1), tuning, lanes=4, length=4)
    plain = lambda learner: Online(world, process.network, learner, lanes=4, length=4)

    @eqx.filter_jit
    def both(key):
        state = process.init(key=key)
        driven, metrics = process.step(state, key=key)
        # The same steps by the plain learner, in the same lanes and with the same keys.
        alone = plain(Plainly(tuning.source, tuning.at(state.learner)))
        undriven, _ = alone.step(eqx.tree_at(lambda state: state.learner, state, state.learner.learner), key=key)
        return state, driven, undriven, metrics

    state, driven, undriven, metrics = both(KEY)
    assert eqx.tree_equal(driven.learner.learner, undriven.learner)
    assert eqx.tree_equal(driven.lanes, undriven.lanes)
    assert not eqx.tree_equal(driven.learner.network, state.learner.network)
    assert metrics.keys() >= {f"meta/{field}" for field in fields}


class Plainly(AbstractLearner):
    """The plain learner, which gets the key that a driven one would get."""

    source: AbstractSource
    learner: AbstractLearner

    def init(self, network, example, *, key):
        return self.learner.init(network, example, key=key)

    def act(self, state, percept, memory, *, key):
        return self.learner.act(state, percept, memory, key=key)

    def update(self, state, rollout, *, key):
        return self.learner.update(state, rollout, key=jax.random.split(key, 3)[0])


def test_a2c_learns_a_probe_while_its_hyper_parameters_move():
    world = Matched()
    tuned = (Share("discount"), Positive("learning_rate", unit=0.01), Positive("entropy_weight", unit=0.01))
    inner = A2C(discount=jnp.array(0.5), learning_rate=jnp.array(0.01), entropy_weight=jnp.array(0.01))
    tuning = MetaParameters(inner, tuned, every=16)
    process = Online(world, partial(ActorCritic, world, width=16, depth=1), tuning, lanes=64, length=4)
    state = eqx.filter_jit(lambda key: train_at_once(process, 150, key=key))(KEY)
    for seen in (1.0, -1.0):
        output, _ = state.learner.network(Percept(jnp.array([seen]), jnp.array(True)), None)
        assert int(output.policy.mode()) == (seen > 0)
    assert float(state.learner.recent) > 0.8
    assert float(jnp.abs(state.learner.base).min()) > 0


def agents(count):
    """A process of one agent, and many of them at once."""
    process = Online(RING, partial(Table, RING), MetaParameters(learner(), TUNED, every=4), lanes=1, length=1)
    run = eqx.filter_jit(eqx.filter_vmap(lambda key: train_at_once(process, 40, key=key)))
    return process, run(jax.random.split(KEY, count))


def test_each_agent_has_meta_parameters_of_its_own():
    _, states = agents(3)
    assert len(np.unique(states.learner.base[:, 0])) == 3
    assert len(np.unique(states.learner.noise[:, 0])) == 3


def test_starts_may_be_vmapped():
    @eqx.filter_vmap
    def begin(gamma):
        tuning = MetaParameters(learner(gamma=gamma), TUNED, spread=0.0)
        return tuning.at(tuning.init(Table(RING, KEY), rewarded([0.0]), key=KEY)).discount

    np.testing.assert_allclose(begin(jnp.array([0.2, 0.9])), [0.2, 0.9], rtol=1e-5)


def test_a_checkpoint_holds_all_of_it(tmp_path):
    process, states = agents(1)
    state = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, states)
    checkpoint.save(tmp_path, 1, state)
    _, restored = checkpoint.restore(tmp_path, process.outline(key=KEY))
    assert eqx.tree_equal(state, restored)
    step = eqx.filter_jit(lambda state: process.step(state, key=KEY)[0])
    assert eqx.tree_equal(step(state), step(restored))


def test_the_source_is_that_of_the_learner():
    source = Chain((Chain(()),))
    assert MetaParameters(QLearning(source, jnp.array(0.1)), (Share("learning_rate"),)).source is source


@pytest.mark.parametrize(
    ("inner", "tuned", "options", "said"),
    [
        (learner(), (Share("discont"),), {}, "no hyper-parameter of QLearning 'discont'; did you mean 'discount'"),
        (QLearning(), (Share("discount"),), {}, r"discount of QLearning is no array .*discount=jnp.array\(...\)"),
        (QLearning(learning_rate=lambda step: 0.1), (Share("learning_rate"),), {}, "learning_rate of QLearning is no"),
        (DQN(), (Share("epsilon"),), {}, "epsilon of DQN is no array of a single number"),
        (DQN(), (Positive("batch"),), {}, "batch of DQN is no array of a single number"),
        (learner(rate=0.0), TUNED, {}, "learning_rate cannot begin at 0; start between 0.000335 and 1"),
        (learner(gamma=1.5), TUNED, {}, "discount cannot begin at 1.5"),
        (learner(beta=-1.0), TUNED, {}, "inverse_temperature cannot begin at -1; start between"),
        (learner(beta=1e5), TUNED, {}, r"inverse_temperature cannot begin at 100000; .* and 2.98e\+03"),
        (learner(), (), {}, "to tune nothing; name each"),
        (learner(), (Share("discount"), Positive("discount")), {}, "to tune discount, discount; name each"),
        (learner(), TUNED, {"every": 0}, "every = 0 .* give 1 or more"),
        (learner(), TUNED, {"recent": 0.0}, "recent = 0.0"),
        (learner(), TUNED, {"rate": -1.0}, "rate = -1.0"),
        (learner(), TUNED, {"spread": -1.0}, "spread = -1.0"),
    ],
)
def test_what_cannot_be_tuned_is_refused(inner, tuned, options, said):
    with pytest.raises(UsageError, match=said):
        MetaParameters(inner, tuned, **options)
