"""The meta-gradient, enumerated on a bandit of three arms, beside finite differences of what it is the gradient of."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import relive
from headstart.errors import UsageError
from headstart.experience.meta_gradient import InnerStep, MetaProblem, average, dice, low_variance, plain
from headstart.studies import enumerated_bandit
from headstart.studies.enumerated_bandit import ARMS, Logits, objective, pulled, slope, softmax, stepped

pytestmark = pytest.mark.usefixtures("quick_to_compile")

THETA = np.array([0.6, -0.3, 0.0])


def estimated(step, draws, credit=0.0):
    return enumerated_bandit.estimated(step, THETA, draws, credit)


def compared(step, draws=2, credit=0.0):
    return enumerated_bandit.compared(step, THETA, draws, credit)


@pytest.mark.parametrize("surrogate", [dice, low_variance])
def test_magic_box_and_ratio_see_who_chose_the_actions(surrogate):
    cosine, norm = compared(InnerStep(0.05, surrogate))
    assert cosine > 0.9999
    assert abs(norm - 1) < 0.002


@pytest.mark.parametrize("rate", [0.05, 1.0])
def test_credit_for_exploration_makes_it_exact_at_any_rate(rate):
    cosine, norm = compared(InnerStep(rate, plain), credit=1.0)
    assert cosine > 0.999999
    assert abs(norm - 1) < 1e-4


def test_the_plain_surrogate_misses_it():
    """Measured: a cosine of 0.807 and 0.795 of the norm. No learning rate mends that."""
    cosine, norm = compared(InnerStep(0.05, plain))
    assert 0.79 < cosine < 0.82
    assert 0.78 < norm < 0.81


def test_first_order_has_half_of_what_is_to_be_learned():
    """Where tasks cancel, J is α Σ ‖∇Jᵢ‖² to first order. Hold one of both factors fast, and half of ∇J is left."""
    cosine, norm = compared(InnerStep(0.005, dice, first_order=True))
    assert cosine > 0.999
    np.testing.assert_allclose(norm, 0.5, atol=0.005)
    assert compared(InnerStep(0.05, plain, first_order=True)) == compared(InnerStep(0.05, dice, first_order=True))


def test_credit_on_top_of_a_magic_box_counts_it_twice():
    double = estimated(InnerStep(0.05, dice), 2, credit=1.0)
    once, missed = estimated(InnerStep(0.05, plain), 2, credit=1.0), estimated(InnerStep(0.05, plain), 2)
    np.testing.assert_allclose(double - once, once - missed, rtol=0.01, atol=1e-5)


def test_what_a_magic_box_leaves_out_vanishes_with_the_rate():
    """It is right to first order: of a gradient that is itself of first order, the error is a share like the rate."""
    true = lambda rate: slope(lambda theta: objective(theta, 1, rate), THETA)
    far, near = (
        np.linalg.norm(estimated(InnerStep(rate, dice), 1) - true(rate)) / np.linalg.norm(true(rate))
        for rate in (0.4, 0.1)
    )
    assert near < 0.02
    np.testing.assert_allclose(far / near, 4.0, rtol=0.25)


PAYS = np.array([[0.3, -1.0, 2.0], [0.5, 1.0, -0.7], [-2.0, 0.1, 0.4]])  # for the first pull and the second


def second_derivative(surrogate):
    """The expectation of ∇²L for two pulls in a row of which only the second pays, by what the first one was."""
    pairs = np.array(list(itertools.product(range(ARMS), repeat=2)))
    earned = PAYS[pairs[:, 0], pairs[:, 1]]
    likely = softmax(THETA)[pairs].prod(axis=1)
    rollouts = pulled(pairs.T, np.stack([earned, earned]), np.log(softmax(THETA))[pairs.T])

    def expected(logits):
        log_prob = relive(Logits(logits), rollouts).policy.log_prob(rollouts.action)
        return jnp.sum(surrogate(log_prob, rollouts) * jnp.asarray(likely, jnp.float32))

    logits = jnp.asarray(THETA, jnp.float32)
    return np.asarray(jax.jit(jax.grad(expected))(logits)), np.asarray(jax.jit(jax.hessian(expected))(logits))


def test_a_later_reward_is_owed_to_earlier_actions_too():
    worth = lambda theta: softmax(theta) @ PAYS @ softmax(theta)
    gradient = slope(worth, THETA)
    hessian = slope(lambda theta: slope(worth, theta), THETA)
    for surrogate in (plain, dice, low_variance):
        np.testing.assert_allclose(second_derivative(surrogate)[0], gradient, atol=1e-5)
    np.testing.assert_allclose(second_derivative(dice)[1], hessian, atol=1e-5)
    # By hand: without g g₀ᵀ + g₀ gᵀ, a ratio of single steps lacks what both pulls owe to each other.
    mixed = (np.diag(softmax(THETA)) - np.outer(softmax(THETA), softmax(THETA))) @ PAYS
    mixed = mixed @ (np.diag(softmax(THETA)) - np.outer(softmax(THETA), softmax(THETA)))
    np.testing.assert_allclose(hessian - second_derivative(low_variance)[1], mixed + mixed.T, atol=1e-5)
    assert np.abs(hessian - second_derivative(plain)[1]).max() > 0.1


def test_an_inner_step_is_the_gradient_step_worked_out_by_hand():
    arms, paid = np.array([[0, 2]]), np.array([2.0, 0.0, -1.0])
    rollout = pulled(arms, paid[arms], np.log(softmax(THETA))[arms])
    for surrogate in (plain, dice, low_variance):
        moved = InnerStep(0.5, surrogate)(Logits(jnp.asarray(THETA, jnp.float32)), rollout)
        np.testing.assert_allclose(moved.logits, stepped(THETA, (0, 2), paid, 0.5), rtol=1e-5)


def test_steps_that_do_not_count_change_nothing():
    arms, advantage = np.array([[0, 2], [1, 1]]), np.array([[2.0, -1.0], [5.0, 3.0]])
    whole = pulled(arms, advantage, np.log(softmax(THETA))[arms])
    whole.notes["counts"] = jnp.array([[1.0, 1.0], [0.0, 1.0]])
    assert average(whole.reward, whole) == (2 - 1 + 3) / 3
    other = pulled(np.array([[0, 2], [2, 1]]), np.array([[2.0, -1.0], [-9.0, 3.0]]), np.log(softmax(THETA))[arms])
    other.notes["counts"] = whole.notes["counts"]
    network = Logits(jnp.asarray(THETA, jnp.float32))
    for surrogate in (plain, dice, low_variance):
        one, two = (InnerStep(0.5, surrogate)(network, rollout).logits for rollout in (whole, other))
        np.testing.assert_array_equal(one, two)


def test_a_clipped_gain_ends_where_a_probability_has_moved_far():
    """By hand: the ratio is 2, so an advantage of 1 earns 1.3, and one of −1 loses the whole 2."""
    log_prob = np.log(softmax(THETA))
    problem = lambda advantage: MetaProblem(
        InnerStep(0.0),
        (pulled(np.zeros((1, 1, 1), int), np.ones((1, 1, 1)), np.full((1, 1, 1), log_prob[0])),),
        pulled(np.zeros((1, 1, 1), int), np.full((1, 1, 1), advantage), np.full((1, 1, 1), log_prob[0] - np.log(2))),
        jnp.zeros(1),
    )
    network = Logits(jnp.asarray(THETA, jnp.float32))
    for advantage, gained in ((1.0, 1.3), (-1.0, -2.0)):
        made = problem(advantage)
        np.testing.assert_allclose(made.gain(made.policies(network), 0.3), gained, rtol=1e-5)
        np.testing.assert_allclose(made.gain(made.policies(network)), 2 * advantage, rtol=1e-5)


def test_how_far_policies_moved_before_and_after_the_step():
    log_prob = np.log(softmax(THETA))
    same = pulled(np.zeros((1, 1, 1), int), np.ones((1, 1, 1)), np.full((1, 1, 1), log_prob[0]))
    problem = MetaProblem(InnerStep(0.0), (same,), same, jnp.zeros(1))
    old, new = (problem.policies(Logits(jnp.asarray(x, jnp.float32))) for x in (THETA, np.zeros(3)))
    expected = softmax(THETA) @ (log_prob + np.log(3))
    np.testing.assert_allclose(problem.moved(old, new), expected, rtol=1e-5)
    np.testing.assert_allclose(problem.strayed(old, new), expected, rtol=1e-5)


@pytest.mark.parametrize("rate", [-0.1, float("inf"), float("nan")])
def test_a_rate_that_leads_nowhere_is_refused(rate):
    with pytest.raises(UsageError, match="number of 0 or more"):
        InnerStep(rate)
