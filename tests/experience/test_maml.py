"""MAML: fresh trajectories for either step, advantages above a line, and an outer step that goes only so far."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.networks import Actor, RecurrentActorCritic
from headstart.core.process import train
from headstart.core.trust_region import TrustRegion
from headstart.core.types import Outcome, Percept, Step, Task
from headstart.core.world import AbstractWorld, Box
from headstart.errors import UsageError
from headstart.experience.maml import MAML, TRPO, Clipped, judged
from headstart.experience.meta_gradient import InnerStep, dice, plain
from headstart.worlds.navigation import Navigation

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Aim(AbstractWorld):
    """Three steps. Each earns the scalar product of the action with a direction that is not shown."""

    spoilt: int = eqx.field(static=True, default=0)  # every task in which the first coordinate is beyond it pays ∞

    @property
    def actions(self):
        return Box(-jnp.ones(2), jnp.ones(2))

    def task(self, *, key):
        return Task(parameters=jax.random.normal(key, (2,)))

    def reset(self, task, *, key):
        return jnp.zeros((), jnp.int32), jnp.zeros(1)

    def step(self, state, task, action, *, key=None):
        over = state + 1 >= 3
        reward = task.parameters @ action
        if self.spoilt:
            reward = jnp.where(task.parameters[0] > self.spoilt, jnp.inf, reward)
        return state + 1, Outcome((state + 1)[None] / 3.0, reward, 1.0 - over, over)


def small(world=Aim(), **how):  # noqa: B008
    settings = {"tasks": 4, "lanes": 6, "length": 5, "inner": InnerStep(0.5)} | how
    return MAML(world, partial(Actor, world, width=4, depth=1), **settings)


def made(reward, last, discount=1.0):
    """A rollout with those rewards `[T, B]`, in which the time is observed."""
    reward, last = jnp.asarray(reward, jnp.float32), jnp.asarray(last)
    seen = jnp.broadcast_to(jnp.arange(len(reward), dtype=jnp.float32)[:, None, None] / 10, (*reward.shape, 1))
    percept = Percept(observation=seen, first=last)
    return judged(Step(percept, jnp.zeros_like(reward), reward, 1.0 - last, last, percept), discount, 1.0)


def test_advantages_are_returns_above_a_regression():
    rewards = np.random.default_rng(0).normal(size=(6, 5))
    last = np.zeros((6, 5), bool)
    last[2, 1] = last[5] = True
    rollout, spread = made(rewards, last, discount=0.9)
    counts = np.ones((6, 5))
    counts[3:, 1] = 0
    np.testing.assert_array_equal(rollout.notes["counts"], counts)

    # The definition, in 64 bits: every return as a sum, and the regression by the singular values of its features.
    returns = np.array([sum(0.9**k * (rewards * counts)[t + k] for k in range(6 - t)) for t in range(6)])
    seen, time = np.arange(6) / 10, np.arange(6) / 100
    features = np.stack([seen, seen**2, time, time**2, time**3, np.ones(6)], axis=-1)
    rows, paid = np.repeat(features, 5, axis=0)[counts.ravel() > 0], returns.ravel()[counts.ravel() > 0]
    rows = rows / np.sqrt(np.mean(rows**2, axis=0))
    padded = np.concatenate([rows, np.sqrt(1e-5 * len(rows)) * np.eye(6)])
    weights = np.linalg.lstsq(padded, np.append(paid, np.zeros(6)), rcond=None)[0]
    above = paid - rows @ weights
    np.testing.assert_allclose(spread, above.std(), rtol=1e-3)
    normal = np.zeros((6, 5))
    normal[counts > 0] = (above - above.mean()) / above.std()
    np.testing.assert_allclose(rollout.notes["advantage"], normal, atol=2e-3)


def test_what_time_explains_is_no_advantage():
    """Returns of 1 a step to the end fall in a line: of a spread of 1.7, the regression leaves next to nothing."""
    _, spread = made(np.ones((6, 4)), np.zeros((6, 4), bool))
    assert spread < 0.01


@pytest.fixture(scope="module")
def gathered():
    """A process, a network, tasks, and what was gathered in them."""
    process = small()
    network = process.network(jax.random.key(0))
    tasks = jax.vmap(lambda key: process.world.task(key=key))(jax.random.split(jax.random.key(1), 4))
    return process, network, tasks, *eqx.filter_jit(process.gather)(network, tasks, key=jax.random.key(2))


def test_trajectories_are_of_their_own_task_and_end_with_their_episode(gathered):
    _, _, tasks, problem, metrics, _ = gathered
    for rollout in (*problem.inner, problem.outer):
        paid = jnp.einsum("ntba,na->ntb", rollout.action, tasks.parameters)
        np.testing.assert_allclose(rollout.reward, paid, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(rollout.notes["counts"], np.broadcast_to([[[1]] * 3 + [[0]] * 2], (4, 5, 6)))
    earned = [float(jnp.mean(jnp.sum(rollout.reward[:, :3], axis=1))) for rollout in (*problem.inner, problem.outer)]
    np.testing.assert_allclose([metrics["episode/return_before"], metrics["episode/return"]], earned, rtol=1e-4)


def test_the_adapted_policies_act_anew_and_log_probabilities_are_sums(gathered):
    """By hand: a density of two independent normals of mean μ and width 1 is the product of both."""
    process, network, _, problem, _, finite = gathered
    (inner,), outer = problem.inner, problem.outer
    assert finite.all()
    assert not np.isclose(inner.action, outer.action).any()
    for task in range(4):
        one = jax.tree.map(lambda leaf, task=task: leaf[task], inner)
        adapted = process.inner(network, one)
        for acted, rollout in ((network, inner), (adapted, outer)):
            policy = jax.vmap(jax.vmap(lambda percept, acted=acted: acted(percept, None)[0].policy))(
                jax.tree.map(lambda leaf, task=task: leaf[task], rollout.percept)
            )
            noise = (rollout.action[task] - policy.mean) / jnp.exp(policy.log_std)
            expected = jnp.sum(-0.5 * noise**2 - policy.log_std - 0.5 * np.log(2 * np.pi), axis=-1)
            np.testing.assert_allclose(rollout.notes["log_prob"][task], expected, rtol=1e-4, atol=1e-4)


def test_exploration_is_worth_what_came_after_above_the_other_tasks(gathered):
    process, _, _, problem, _, _ = gathered
    earned = np.asarray(jnp.mean(jnp.sum(problem.outer.reward[:, :3], axis=1), axis=-1))
    others = [earned[[j for j in range(4) if j != i]].mean() for i in range(4)]
    raw = eqx.tree_at(lambda rollout: rollout.notes, problem.outer, {})
    spread = [judged(jax.tree.map(lambda leaf, i=i: leaf[i], raw), process.discount, 1.0)[1] for i in range(4)]
    # Three steps count in each trajectory, and gains are means over steps.
    np.testing.assert_allclose(problem.worth, (earned - others) / (np.array(spread) * 3), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("how", [{}, {"inner": InnerStep(0.5, plain), "credit": 1.0}, {"steps": 2}])
def test_an_outer_step_gains_and_adapted_policies_move_no_further_than_said(how):
    process = small(outer=TRPO(TrustRegion(reach=0.02)), **how)
    state = process.init(key=jax.random.key(0))
    tasks = jax.vmap(lambda key: process.world.task(key=key))(jax.random.split(jax.random.key(1), 4))
    problem, _, _ = eqx.filter_jit(process.gather)(state.network, tasks, key=jax.random.key(2))
    network, _, metrics = eqx.filter_jit(process.outer.update)(state.network, None, problem)
    old, new = (eqx.filter_jit(problem.policies)(each) for each in (state.network, network))
    assert metrics["trpo/made"] == 1
    np.testing.assert_allclose(metrics["trpo/divergence"], problem.moved(old, new), rtol=0.02)
    assert 0.005 < problem.moved(old, new) <= 0.02
    # Nothing has moved before the step: what is gained there is the mean advantage, 0.
    np.testing.assert_allclose(problem.gain(old), 0.0, atol=1e-4)
    np.testing.assert_allclose(metrics["trpo/gained"], problem.gain(new), rtol=0.02)
    assert problem.gain(new) > 0.005


def test_a_clipped_step_climbs_by_adam():
    """Adam's first step is the learning rate for every parameter, up where the gain goes up."""
    process = small(outer=Clipped(epochs=1, penalty=0.0), inner=InnerStep(0.5, dice))
    state = process.init(key=jax.random.key(0))
    tasks = jax.vmap(lambda key: process.world.task(key=key))(jax.random.split(jax.random.key(1), 4))
    problem, _, _ = eqx.filter_jit(process.gather)(state.network, tasks, key=jax.random.key(2))
    gradient = eqx.filter_jit(eqx.filter_grad(lambda network: problem.gain(problem.policies(network))))(state.network)
    network, _, metrics = eqx.filter_jit(process.outer.update)(state.network, state.outer, problem)
    for was, now, up in zip(
        *(jax.tree.leaves(eqx.filter(x, eqx.is_array)) for x in (state.network, network, gradient)), strict=True
    ):
        steep = np.abs(up) > 1e-3
        np.testing.assert_allclose((now - was)[steep], 1e-3 * np.sign(up[steep]), rtol=0.01)
    assert metrics["clipped/skipped"] == 0


def test_curvature_from_some_steps_still_gains_and_keeps_to_the_region():
    whole, some = (small(length=6, outer=TRPO(TrustRegion(reach=0.02), every=every)) for every in (1, 2))
    state = whole.init(key=jax.random.key(0))
    tasks = jax.vmap(lambda key: whole.world.task(key=key))(jax.random.split(jax.random.key(1), 4))
    problem, _, _ = eqx.filter_jit(whole.gather)(state.network, tasks, key=jax.random.key(2))
    thinned = problem.thinned(2)
    np.testing.assert_array_equal(thinned.outer.reward, problem.outer.reward[:, ::2])
    np.testing.assert_array_equal(thinned.inner[0].notes["advantage"], problem.inner[0].notes["advantage"][:, ::2])
    moves = [eqx.filter_jit(each.outer.update)(state.network, None, problem) for each in (whole, some)]
    old = problem.policies(state.network)
    for network, _, metrics in moves:
        new = problem.policies(network)
        assert metrics["trpo/made"] == 1
        assert 0 < problem.moved(old, new) <= 0.02
        np.testing.assert_allclose(metrics["trpo/gained"], problem.gain(new), rtol=0.02)
    # The way is another, as less was seen, and nearly as good.
    exact, rough = (metrics["trpo/gained"] for _, _, metrics in moves)
    assert exact != rough
    assert rough > 0.5 * exact


def test_who_remembers_cannot_relive_some_steps():
    world = Aim()
    process = MAML(world, partial(RecurrentActorCritic, world, width=4), InnerStep(0.1), tasks=2, lanes=2, length=3)
    tasks = Task(parameters=jnp.ones((2, 2)))
    problem, _, _ = eqx.filter_jit(process.gather)(process.network(jax.random.key(0)), tasks, key=jax.random.key(1))
    with pytest.raises(UsageError, match="cannot relive 1 of 5 steps"):
        problem.thinned(5)


@pytest.mark.parametrize(
    ("target", "penalty"), [(None, 0.1), (1e-9, 0.2), (1e3, 0.05)], ids=["fixed", "too far", "too near"]
)
def test_a_penalty_doubles_where_policies_stray_and_halves_where_they_stay(target, penalty):
    process = small(outer=Clipped(epochs=2, penalty=0.1, target=target))
    state = process.init(key=jax.random.key(0))
    after, metrics = eqx.filter_jit(process.step)(state, key=jax.random.key(3))
    assert metrics["clipped/penalty"] == pytest.approx(0.1)
    assert after.outer.penalty == pytest.approx(penalty)


def test_a_penalty_at_its_target_stays():
    """What the outer step strays by is the target itself, then one within a factor of 1.5, and then one beyond."""
    process = small(outer=Clipped(epochs=2, penalty=0.1))
    state = process.init(key=jax.random.key(0))
    tasks = jax.vmap(lambda key: process.world.task(key=key))(jax.random.split(jax.random.key(1), 4))
    problem, _, _ = eqx.filter_jit(process.gather)(state.network, tasks, key=jax.random.key(2))
    network, _, _ = eqx.filter_jit(process.outer.update)(state.network, state.outer, problem)
    strayed = float(problem.strayed(problem.policies(state.network), problem.policies(network)))
    for times, expected in ((1.0, 0.1), (1.4, 0.1), (1 / 1.4, 0.1), (1.6, 0.05), (1 / 1.6, 0.2)):
        outer = Clipped(epochs=2, penalty=0.1, target=times * strayed)
        _, after, _ = eqx.filter_jit(outer.update)(state.network, outer.init(state.network), problem)
        assert after.penalty == pytest.approx(expected)


def test_a_task_that_breaks_the_inner_step_is_named_and_nothing_is_learned_from_it():
    process = small(Aim(1), tasks=8)
    state = eqx.filter_jit(process.init)(key=jax.random.key(0))
    step = eqx.filter_jit(process.step)
    for seed in range(3):
        key = jax.random.key(seed)
        keys = jax.random.split(jax.random.split(key)[0], 8)
        broken = np.flatnonzero(jax.vmap(lambda key: process.world.task(key=key))(keys).parameters[:, 0] > 1)
        after, metrics = step(state, key=key)
        assert metrics["maml/task/skipped"] == (broken[0] + 1 if len(broken) else 0)
        same = [
            np.array_equal(*pair)
            for pair in zip(
                *map(jax.tree.leaves, (eqx.filter(state, eqx.is_array), eqx.filter(after, eqx.is_array))), strict=True
            )
        ]
        assert all(same) == bool(len(broken))


def test_who_adapts_for_good_halves_the_rate_after_the_first_update():
    process, key = small(), jax.random.key(5)
    network = process.network(jax.random.key(0))
    tasks = Task(parameters=jnp.array([[1.0, 0.0], [0.0, -2.0]]))
    networks, returns = process.adapt(network, tasks, 2, key=key)
    assert returns.shape == (2, 3)
    for task, task_key in enumerate(jax.random.split(key, 2)):
        expected = network
        for point, (rate, point_key) in enumerate(zip((0.5, 0.25, 0.25), jax.random.split(task_key, 3), strict=True)):
            found = jax.tree.map(lambda leaf, at=(task, point): leaf[at], eqx.filter(networks, eqx.is_array))
            for one, two in zip(
                jax.tree.leaves(found), jax.tree.leaves(eqx.filter(expected, eqx.is_array)), strict=True
            ):
                np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)
            rollout, _ = process.explore(expected, Task(parameters=tasks.parameters[task]), key=point_key)
            np.testing.assert_allclose(returns[task, point], jnp.mean(jnp.sum(rollout.reward[:3], axis=0)), rtol=1e-3)
            expected = InnerStep(rate)(expected, rollout)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: small(tasks=0), "tasks = 0"),
        (lambda: small(steps=0), "steps = 0"),
        (lambda: Clipped(epochs=0), "1 epoch or more"),
        (lambda: Clipped(reach=0.0), "more than 0"),
        (lambda: Clipped(target=0.0), "more than 0"),
        (lambda: Clipped(penalty=0.0, target=0.01), "more than 0"),
        (lambda: TRPO(every=0), "1 or more"),
        (
            lambda: small().adapt(
                small().network(jax.random.key(0)), Task(parameters=jnp.ones((1, 2))), -1, key=jax.random.key(0)
            ),
            "0 or more",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(wrong, told):
    with pytest.raises(UsageError, match=told):
        wrong()


@pytest.mark.slow
@pytest.mark.parametrize("outer", [TRPO(), Clipped(learning_rate=3e-3)])
def test_an_initial_policy_learns_to_find_its_way_in_one_step(outer):
    world = Navigation()
    process = MAML(world, partial(Actor, world, width=32), InnerStep(0.5), outer, tasks=10, lanes=10, length=30)
    found = {}
    train(process, 60, key=jax.random.key(0), after=lambda done, state, metrics: found.update({done: metrics}))
    first, last = found[min(found)], found[max(found)]
    assert last["episode/return"].mean() > first["episode/return"][0] + 3
    assert last["episode/return"].mean() > last["episode/return_before"].mean() + 1
