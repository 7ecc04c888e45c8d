"""A horde: GQ(λ) by hand, what its correction is for, and demons that mind their own ends only."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Percept, Step
from headstart.errors import UsageError
from headstart.goals.horde import AbstractQuestion, Horde, Reach, greedy

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Asked(AbstractQuestion):
    """Of two actions, the same policy everywhere; c and z are what is observed first, and γ what is observed second."""

    target: jax.Array

    def policy(self, observation, values):
        return self.target

    def cumulant(self, observation, action, after):
        return after[0]

    def continuation(self, observation):
        return observation[1]

    def payoff(self, observation):
        return 10.0 * observation[0]


def stream(before, after, action, probability, first=None):
    steps = len(action)
    first = jnp.arange(steps) == 0 if first is None else jnp.array(first)
    nothing = jnp.zeros(steps)
    return Step(
        Percept(jnp.array(before), first),
        jnp.array(action),
        nothing,
        nothing,
        jnp.zeros(steps, bool),
        Percept(jnp.array(after), jnp.zeros(steps, bool)),
        notes={"log_prob": jnp.log(jnp.array(probability))},
    )


def itself(observation):
    return observation


def test_two_steps_by_hand():
    """x(s) is what is observed, so that w, θ and e are 2 × 2: an action a row."""
    horde = Horde(Asked(jnp.array([[0.25, 0.75]])), itself, 2, learning_rate=0.1, correction=0.5, trace=0.8)
    walked = stream([[1.0, 0.5], [2.0, 0.6]], [[2.0, 0.6], [1.0, 0.2]], [0, 1], [0.5, 0.5])
    start = eqx.tree_at(
        lambda state: (state.weights, state.corrections),
        horde.init(jnp.zeros(2)),
        (jnp.array([[[0.1, 0.2], [0.3, 0.4]]]), jnp.array([[[0.01, 0.02], [0.03, 0.04]]])),
    )
    found = horde.learn(start, walked)

    theta, w, e = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[0.01, 0.02], [0.03, 0.04]]), np.zeros((2, 2))
    policy, rate = np.array([0.25, 0.75]), 0.1
    for x, x_next, action, ratio in (([1.0, 0.5], [2.0, 0.6], 0, 0.5), ([2.0, 0.6], [1.0, 0.2], 1, 1.5)):
        x, x_next = np.array(x), np.array(x_next)
        on, on_next = x[1], x_next[1]
        phi = np.zeros((2, 2))
        phi[action] = x
        mean_next = np.outer(policy, x_next)
        error = x_next[0] + (1 - on_next) * 10 * x_next[0] + on_next * np.sum(theta * mean_next) - theta[action] @ x
        e = on * 0.8 * ratio * e + phi
        theta_new = theta + rate * (error * e - on_next * (1 - 0.8) * np.sum(w * e) * mean_next)
        w = w + 0.5 * rate * (error * e - np.sum(w * phi) * phi)
        theta = theta_new
    np.testing.assert_allclose(found.weights[0], theta, rtol=1e-5)
    np.testing.assert_allclose(found.corrections[0], w, rtol=1e-5)
    np.testing.assert_allclose(found.traces[0], e, rtol=1e-5)
    assert found.steps == 2


def test_the_first_error_in_figures():
    """From nothing: δ = 2 + (1 − 0.6)·20 = 10, so θ(s, 0) = 0.1 · 10 · (1, 0.5), and w as much by half the rate."""
    horde = Horde(Asked(jnp.array([[0.25, 0.75]])), itself, 2, learning_rate=0.1, correction=0.5)
    found = horde.learn(horde.init(jnp.zeros(2)), stream([[1.0, 0.5]], [[2.0, 0.6]], [0], [0.5]))
    np.testing.assert_allclose(found.weights[0], [[1.0, 0.5], [0.0, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(found.corrections[0], [[0.5, 0.25], [0.0, 0.0]], rtol=1e-6)


def test_a_stream_may_come_in_stretches_and_breaks_where_it_says_so():
    horde = Horde(Asked(jnp.array([[0.25, 0.75]])), itself, 2, trace=0.9)
    key = jax.random.key(0)
    seen = np.asarray(jax.random.uniform(key, (7, 2)))
    whole = stream(seen[:-1], seen[1:], [0, 1, 1, 0, 1, 0], [0.5] * 6)
    halves = [jax.tree.map(lambda leaf, at=at: leaf[at], whole) for at in (slice(0, 3), slice(3, 6))]
    start = horde.init(jnp.zeros(2))
    once, twice = horde.learn(start, whole), horde.learn(horde.learn(start, halves[0]), halves[1])
    np.testing.assert_allclose(once.weights, twice.weights, rtol=1e-6)
    broken = dataclasses.replace(whole, percept=dataclasses.replace(whole.percept, first=jnp.arange(6) % 3 == 0))
    afresh = eqx.tree_at(lambda state: state.traces, horde.learn(start, halves[0]), jnp.zeros((1, 2, 2)))
    np.testing.assert_allclose(horde.learn(start, broken).weights, horde.learn(afresh, halves[1]).weights, rtol=1e-6)
    assert np.any(np.abs(horde.learn(start, broken).weights - once.weights) > 1e-4)


def test_the_task_of_the_world_is_nothing_to_a_demon():
    horde = Horde(Asked(jnp.array([[0.25, 0.75]])), itself, 2)
    walked = stream([[1.0, 0.5]], [[2.0, 0.6]], [0], [0.5])
    ended = dataclasses.replace(walked, reward=jnp.ones(1), discount=jnp.zeros(1), last=jnp.ones(1, bool))
    start = horde.init(jnp.zeros(2))
    np.testing.assert_array_equal(horde.learn(start, walked).weights, horde.learn(start, ended).weights)


def test_demons_side_by_side_learn_what_each_learns_alone():
    targets = jnp.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    seen = np.asarray(jax.random.uniform(jax.random.key(0), (9, 2)))
    walked = stream(seen[:-1], seen[1:], [0, 1, 1, 0, 1, 0, 0, 1], [0.5] * 8)
    learn = lambda targets: Horde(Asked(targets), itself, 2, trace=0.5)
    many = learn(targets)
    found = many.learn(many.init(jnp.zeros(2)), walked).weights
    for index in range(3):
        one = learn(targets[index : index + 1])
        np.testing.assert_allclose(found[index], one.learn(one.init(jnp.zeros(2)), walked).weights[0], rtol=1e-5)


def test_a_greedy_demon_knows_its_way_and_ends_at_its_goal():
    """A row of 5 cells, left and right, with a wall at either end: γ^(steps − 1), at the goal that of coming back."""
    key = jax.random.key(0)
    moves = jax.random.randint(key, (3_000,), 0, 2)
    cell, cells = 0, []
    for move in np.asarray(moves):
        cells.append(cell)
        cell = int(np.clip(cell + (1 if move else -1), 0, 4))
    before, after = np.array(cells), np.array([*cells[1:], cell])
    walked = stream(before, after, np.asarray(moves), np.full(3_000, 0.5, np.float32))
    horde = Horde(Reach(jnp.array([4, 2]), jnp.equal, 0.9), five, 2, learning_rate=0.5, correction=0.0)
    state = horde.learn(horde.init(jnp.array(0)), walked)
    found = jax.vmap(lambda cell: horde.answers(state, cell))(jnp.arange(5))  # [cells, demons, actions]
    reaches_4 = [[0.9**4, 0.9**3], [0.9**4, 0.9**2], [0.9**3, 0.9], [0.9**2, 1.0], [0.9, 1.0]]
    reaches_2 = [[0.9**2, 0.9], [0.9**2, 1.0], [0.9, 0.9], [1.0, 0.9**2], [0.9, 0.9**2]]
    np.testing.assert_allclose(found[:, 0], reaches_4, atol=1e-3)
    np.testing.assert_allclose(found[:, 1], reaches_2, atol=1e-3)


def five(cell):
    return jax.nn.one_hot(cell, 5)


class Silence(AbstractQuestion):
    """Nothing is ever earned, and the policy asked about always takes the second action: all answers are 0."""

    discount: jax.Array

    def policy(self, observation, values):
        return jnp.array([0.0, 1.0])

    def cumulant(self, observation, action, after):
        return jnp.zeros(())

    def continuation(self, observation):
        return self.discount


def two_features(state):
    """θ and 2θ, of either action: the smallest features of which off-policy TD diverges (Tsitsiklis and Van Roy)."""
    return (state + 1.0)[None]


@pytest.mark.parametrize("correction", [0.0, 4.0])
def test_the_correction_keeps_shared_features_from_diverging(correction):
    """From state 0 always to state 1, whose feature is twice as large: θ + α (γ 2θ − θ) grows for γ above one half.

    The second weights must be the quicker ones: w is then near δ, and θ falls by α (2γ − 1)² θ.
    """
    steps = 5_000
    walked = stream(
        jnp.zeros(steps), jnp.ones(steps), jnp.ones(steps, jnp.int32), jnp.full(steps, 0.5), jnp.ones(steps, bool)
    )
    horde = Horde(Silence(jnp.array([0.99])), two_features, 2, learning_rate=0.01, correction=correction)
    start = eqx.tree_at(lambda state: state.weights, horde.init(jnp.zeros(())), jnp.ones((1, 2, 1)))
    learned = np.abs(horde.learn(start, walked).weights[0, 1, 0])
    assert learned < 0.05 if correction else not learned < 1e6


def test_greedy_takes_the_first_of_the_best():
    np.testing.assert_array_equal(greedy(jnp.array([1.0, 3.0, 3.0])), [0, 1, 0])


def test_what_cannot_be_is_refused():
    for wrong in ({"trace": 1.5}, {"correction": -1.0}, {"trace": float("nan")}):
        with pytest.raises(UsageError, match="choose a trace between 0 and 1"):
            Horde(Asked(jnp.ones((1, 2))), itself, 2, **wrong)
