"""A2C by hand on one decision, on the probes, across a trial, and with a source that says nothing."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from compiled import CHUNK, learned

from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActorCritic, RecurrentActorCritic
from headstart.core.optimise import clipped_adam, clipped_rmsprop
from headstart.core.policies import Categorical
from headstart.core.process import Online
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Frozen, Output, Percept, Step
from headstart.core.wrappers import Trials
from headstart.errors import UsageError
from headstart.scratch.a2c import A2C
from headstart.worlds.probes import Matched, Secret

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)


class Table(AbstractNetwork):
    """Two logits and a value, whatever is seen."""

    logits: jax.Array
    value: jax.Array

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(Categorical(self.logits, None), self.value), None


def plain(learning_rate, clip):
    """Down the gradient, and no more."""
    return optax.sgd(learning_rate)


def rollout(network, action, reward, discount, last):
    """One lane; leaves `[T, 1, ...]`."""
    column = lambda values, kind: jnp.array(values, kind)[:, None]
    shape = (len(action), 1)
    percept = Percept(jnp.zeros((*shape, 1)), jnp.zeros(shape, bool))
    action = column(action, jnp.int32)
    return Step(
        percept=percept,
        action=action,
        reward=column(reward, jnp.float32),
        discount=column(discount, jnp.float32),
        last=column(last, bool),
        after=percept,
        notes={
            "log_prob": jnp.zeros(shape),
            "value": jnp.full(shape, network.value),
            "memory": None,
            "memory_after": None,
        },
    )


def test_one_update_is_the_gradient_by_hand():
    """γ = ½ and V = ¼. Returns: 1 + ½ 2 = 2 and 2 before an end; then, before a cut, −1 + ½ ¼."""
    network = Table(jnp.array([0.3, -0.2]), jnp.array(0.25))
    steps = rollout(network, [0, 1, 1], [1.0, 2.0, -1.0], [1.0, 0.0, 1.0], [False, True, True])
    learner = A2C(discount=0.5, learning_rate=0.1, value_weight=0.4, entropy_weight=0.3, optimise=plain)
    state, metrics = learner.update(learner.init(network, steps, key=KEY), steps, key=KEY)
    advantage = np.array([2.0, 2.0, -0.875]) - 0.25
    chance = np.exp([0.3, -0.2]) / np.exp([0.3, -0.2]).sum()
    entropy = -np.sum(chance * np.log(chance))
    by_policy = np.mean((np.eye(2)[[0, 1, 1]] - chance) * advantage[:, None], axis=0)
    by_entropy = -chance * (np.log(chance) + entropy)
    np.testing.assert_allclose(state.network.logits, [0.3, -0.2] + 0.1 * (by_policy + 0.3 * by_entropy), rtol=1e-5)
    np.testing.assert_allclose(state.network.value, 0.25 + 0.1 * 0.4 * advantage.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["a2c/value"], 0.5 * np.mean(advantage**2), rtol=1e-5)
    np.testing.assert_allclose(metrics["a2c/entropy"], entropy, rtol=1e-5)


def test_a_trace_below_one_shortens_the_returns():
    """λ = 0: what the next step is worth is its value, ¼, and not what it earned: 1 + ½ ¼."""
    network = Table(jnp.zeros(2), jnp.array(0.25))
    steps = rollout(network, [0, 1], [1.0, 2.0], [1.0, 0.0], [False, True])
    judged = lambda trace: A2C(discount=0.5, trace=trace).judge(steps, network).notes["target"][:, 0].tolist()
    assert judged(0.0) == [1.125, 2.0]
    assert judged(1.0) == [2.0, 2.0]


def test_the_entropys_weight_follows_its_schedule():
    """Nothing is earned and values are right, so logits move by 0.1 β ∇H alone: β is 1, then ½, then 0."""
    network = Table(jnp.array([1.0, -1.0]), jnp.array(0.0))
    steps = rollout(network, [0, 1], [0.0, 0.0], [0.0, 0.0], [True, True])
    learner = A2C(learning_rate=0.1, entropy_weight=optax.linear_schedule(1.0, 0.0, 2), optimise=plain)
    state, logits = learner.init(network, steps, key=KEY), np.array([1.0, -1.0])
    for weight in (1.0, 0.5, 0.0):
        state, _ = learner.update(state, steps, key=KEY)
        chance = np.exp(logits) / np.exp(logits).sum()
        entropy = -np.sum(chance * np.log(chance))
        logits = logits - 0.1 * weight * chance * (np.log(chance) + entropy)
        np.testing.assert_allclose(state.network.logits, logits, rtol=1e-5)
    assert int(state.gradients) == 3
    assert A2C().init(network, steps, key=KEY).gradients is None


SMALL = partial(ActorCritic, Matched(), width=16, depth=1)


def probed(iterations, source=Chain(), optimise=clipped_rmsprop):  # noqa: B008
    learner = A2C(source=source, discount=0.5, learning_rate=1e-2, optimise=optimise)
    return learned(Online(Matched(), SMALL, learner, lanes=64, length=4), iterations)


@pytest.mark.parametrize("optimise", [clipped_rmsprop, clipped_adam])
def test_policy_and_value_follow_what_is_seen(optimise):
    state, metrics = probed(100, optimise=optimise)
    returns = metrics["episode/return"]
    assert returns[0] < 0.5
    assert returns[-5:].mean() > 0.9
    for seen in (1.0, -1.0):
        output, _ = state.network(Percept(jnp.array([seen]), jnp.array(True)), None)
        assert float(output.value) == pytest.approx(1.0, abs=0.1)
        assert int(output.policy.mode()) == (seen > 0)


def test_memory_kept_across_a_trial_recalls_what_its_first_episode_revealed():
    world = Trials(Secret(), 2)
    learner = A2C(discount=0.5, learning_rate=3e-3, optimise=clipped_adam)
    process = Online(world, partial(RecurrentActorCritic, world, width=16), learner, lanes=64, length=8)
    _, metrics = learned(process, 200)
    # The first episode is a guess, worth 0; the second is worth 1 to who remembers.
    assert metrics["episode/return"][:5].mean() < 0.4
    assert metrics["episode/return"][-10:].mean() > 0.8


class Pull(AbstractSource):
    """Pulls values towards a number of its own that learns too."""

    weight: Frozen[jax.Array]
    centre: jax.Array

    def loss(self, network, batch, outputs, *, key):
        distance = jnp.mean((outputs.value - self.centre) ** 2)
        return self.weight() * distance, {"pull/distance": distance}


@pytest.mark.exact
def test_a_source_of_weight_zero_leaves_the_learner_bit_identical():
    pull = lambda weight: Chain((Pull(Frozen(jnp.array(weight)), jnp.array(5.0)),))
    plain, silent, heard = (probed(CHUNK, source)[0] for source in (Chain(), pull(0.0), pull(1.0)))
    assert eqx.tree_equal(plain.network, silent.network)
    assert eqx.tree_equal(plain.optimisers[0], silent.optimisers[0])
    assert not eqx.tree_equal(plain.network, heard.network)


@pytest.mark.parametrize("changed", ["goal", "action"])
def test_a_source_that_falsifies_what_was_noted_is_refused(changed):
    class Relabel(AbstractSource):
        changes = frozenset({changed, "reward"})

    with pytest.raises(UsageError, match=rf"A2C cannot .* changes the {changed}.*off-policy"):
        A2C(source=Chain((Relabel(),)))
