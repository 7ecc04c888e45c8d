"""Foresight: the world says what every action earns, and the policy is drawn towards that and no further."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActorCritic
from headstart.core.policies import Categorical
from headstart.core.source import Chain
from headstart.core.types import Output, Percept, Step, Task
from headstart.imagination.foresight import Foresight
from headstart.scratch.ppo import PPO
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.probes import Acted

pytestmark = pytest.mark.usefixtures("quick_to_compile")

LEGAL = jnp.array([True, True, True, False])
REWARDS = jnp.array([0.0, 0.5, -0.5, 0.5])


def test_cumulants_are_the_rewards_of_every_action():
    games = BoardGames(
        stack([compile_rules(CLASSICS[name]) for name in ("tic_tac_toe", "misere_tic_tac_toe")]), None, 3
    )
    world = Foresight().stage(games)

    @jax.jit
    @partial(jax.vmap, in_axes=(None, None, 0))
    def after(position, task, action):
        return world.step(position, task, action, key=jax.random.key(0))

    for game, at_stake in enumerate((1.0, -1.0)):
        task = games.nth(game, key=jax.random.key(0))
        position, _ = world.reset(task, key=jax.random.key(0))
        for action in (0, 4, 1, 5):  # colour 0 holds two cells of the top row, colour 1 two of the middle
            position = jax.tree.map(lambda leaf: leaf[action], after(position, task, jnp.arange(11))[0])  # noqa: B023
        _, outcome = after(position, task, jnp.arange(11))
        earned, foreseen = np.asarray(outcome.reward), np.asarray(outcome.cumulants)
        np.testing.assert_array_equal(foreseen, np.broadcast_to(earned, (11, 11)))
        assert earned[2] == at_stake
        assert not np.delete(earned, 2).any()


def test_all_else_is_as_in_the_world():
    world = Foresight().stage(Acted())
    assert world.actions.count == 2
    state, observation = world.reset(Task(), key=jax.random.key(0))
    _, outcome = world.step(state, Task(), jnp.array(1), key=jax.random.key(0))
    np.testing.assert_array_equal(outcome.cumulants, [-1, 1])
    assert float(outcome.reward) == 1
    assert bool(outcome.last)
    np.testing.assert_array_equal(observation, [1])


class Nobody(AbstractNetwork):
    """The loss looks at what a network said, and not at the network."""

    def initial(self):
        return None

    def __call__(self, percept, memory):
        raise AssertionError


def loss_of(source, logits, rewards=REWARDS):
    """The loss and what is reported, at one moment in which the last action is illegal."""
    percept = Percept(jnp.zeros((1, 1, 1)), jnp.zeros((1, 1), bool), legal=LEGAL[None, None])
    nothing = jnp.zeros((1, 1))
    step = Step(percept, nothing, nothing, nothing, nothing > 0, percept, cumulants=rewards[None, None])
    outputs = Output(Categorical(logits[None, None], percept.legal), nothing)
    return source.loss(Nobody(), step, outputs, key=jax.random.key(0))


def slope(source, logits, rewards=REWARDS):
    return np.asarray(jax.grad(lambda logits: loss_of(source, logits, rewards)[0])(logits))


LOGITS = jnp.array([0.3, -0.2, 0.1, 2.0])


@pytest.mark.parametrize("boldness", [0.0, 1.0, 6.0])
def test_the_loss_falls_towards_the_policy_that_gains_most_near_the_old_one(boldness):
    """The slope of −Σ q log π in the logits is π − q, which is none where π is q ∝ π_old · exp(boldness · r)."""
    old = jax.nn.softmax(jnp.where(LEGAL, LOGITS, -jnp.inf))
    gain = old * jnp.exp(boldness * REWARDS)
    target = gain / jnp.sum(gain)
    np.testing.assert_allclose(slope(Foresight(boldness=boldness), LOGITS), old - target, atol=1e-6)


def test_nothing_is_taught_where_it_does_not_matter_what_one_does():
    np.testing.assert_allclose(slope(Foresight(), LOGITS, jnp.full(4, -1.0)), 0, atol=1e-6)
    # What only an illegal action would earn does not count either.
    np.testing.assert_allclose(slope(Foresight(), LOGITS, jnp.array([0.0, 0.0, 0.0, 1.0])), 0, atol=1e-6)


def test_the_weight_scales_the_loss():
    once, twice = (slope(Foresight(weight=weight), LOGITS) for weight in (1.0, 2.0))
    np.testing.assert_allclose(twice, 2 * once, atol=1e-6)


def test_it_reports_how_likely_the_best_action_is_where_there_is_one():
    _, metrics = loss_of(Foresight(), LOGITS)
    likely = jax.nn.softmax(jnp.where(LEGAL, LOGITS, -jnp.inf))
    assert float(metrics["foresight/seen"]) == pytest.approx(float(likely[1]))
    _, metrics = loss_of(Foresight(), LOGITS, jnp.zeros(4))
    assert float(metrics["foresight/seen"]) == 0


@pytest.mark.exact
def test_a_weight_of_zero_leaves_the_learner_bit_identical():
    network, key = ActorCritic(Acted(), jax.random.key(0), width=8), jax.random.key(1)
    draw = lambda *shape: jax.random.normal(jax.random.fold_in(key, len(shape)), (4, 2, *shape))
    percept = Percept(draw(1), jnp.zeros((4, 2), bool))
    notes = {"log_prob": jnp.full((4, 2), -0.7), "value": draw(), "memory": None, "memory_after": None}
    action, over = (draw() > 0).astype(jnp.int32), jnp.ones((4, 2), bool)
    rollout = Step(percept, action, draw(), 0.0 * draw(), over, percept, cumulants=draw(2), notes=notes)

    def learned(source):
        learner = PPO(source=source, epochs=1, minibatches=2)
        state = learner.init(network, rollout, key=key)
        return eqx.filter_jit(learner.update)(state, rollout, key=key)[0]

    plain, silent = learned(Chain()), learned(Foresight(weight=0.0))
    assert eqx.tree_equal(plain.network, silent.network)
    assert eqx.tree_equal(plain.optimisers[0], silent.optimisers[0])
    assert not eqx.tree_equal(plain.network, network)
