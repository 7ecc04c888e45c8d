"""Perceptual rewards: what belongs together is drawn together, and the reward is the likeness and nothing else."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect
from headstart.core.networks import ActionValues
from headstart.core.process import Online, train
from headstart.core.source import Chain
from headstart.core.types import Choice, Frozen
from headstart.errors import UsageError
from headstart.goals.perceptual_reward import (
    Convolutions,
    ImageActionValues,
    Likeness,
    PerceptualReward,
    contrast,
    learn,
    threshold,
)
from headstart.scratch.dqn import DQN
from headstart.studies.perceptual_reward import pairs
from headstart.worlds.classic_control import CartPole
from headstart.worlds.image_maze import ImageMaze

pytestmark = pytest.mark.usefixtures("quick_to_compile")
WORLD = ImageMaze(goals=4)
KEY = jax.random.key(0)
NETWORK = ImageActionValues(WORLD, KEY, width=4)


@pytest.fixture(scope="module")
def likeness():
    return Likeness(WORLD, KEY)


@pytest.fixture(scope="module")
def drawn():
    """Ten images, their goals, and twenty images of anywhere."""
    return jax.jit(lambda key: pairs(WORLD, 10, key=key))(KEY)


@pytest.fixture(scope="module")
def batch():
    """A rollout `[6, 5]` of random walks."""

    def act(percept, memory, *, key):
        return Choice(jax.random.randint(key, (), 0, 5)), memory

    lanes = begin(WORLD, NETWORK, 5, key=jax.random.key(1))
    return eqx.filter_jit(lambda: collect(WORLD, NETWORK, act, lanes, 6, key=jax.random.key(2))[1])()


def encoded(likeness, images, others, goals):
    """Unit vectors of paired images, of others, and of goals."""
    seen = jax.jit(jax.vmap(likeness.seen))
    return (np.asarray(each, float) for each in (seen(images), seen(others), jax.jit(jax.vmap(likeness.told))(goals)))


def test_patches_are_a_convolution():
    """The same as a convolution of that stride, by SciPy's cross-correlation."""
    from scipy.signal import correlate2d

    net = Convolutions((8, 8, 1), KEY)
    image = jax.random.randint(KEY, (8, 8, 1), 0, 256).astype(jnp.uint8)
    kernels = np.asarray(net.fine.weight).reshape(16, 4, 4)
    shades = np.asarray(image, float)[..., 0] / 255
    fine = np.stack([correlate2d(shades, kernel, "valid")[::4, ::4] for kernel in kernels])
    fine = np.maximum(fine + np.asarray(net.fine.bias)[:, None, None], 0)  # [16, 2, 2]
    coarse = np.asarray(net.coarse.weight) @ np.moveaxis(fine, 0, -1).ravel() + np.asarray(net.coarse.bias)
    np.testing.assert_allclose(net(image), np.maximum(coarse, 0), atol=1e-5)


def test_likeness_is_a_cosine(likeness, drawn):
    images, goals, _ = drawn
    for encode, seen in ((likeness.seen, images), (likeness.told, goals)):
        np.testing.assert_allclose(np.linalg.norm(jax.vmap(encode)(seen), axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        likeness(images[0], goals[0]), jnp.dot(likeness.seen(images[0]), likeness.told(goals[0])), rtol=1e-6
    )


def test_the_contrast_is_that_of_the_formula(likeness, drawn):
    """Written out with loops, in double precision."""
    images, goals, others = drawn
    x, z, y = encoded(likeness, images, others, goals)
    total = 0.0
    for i in range(10):
        among = [np.exp(7 * a @ y[i]) for a in (*x, *z)]
        back = [np.exp(7 * x[i] @ b) for b in y]
        total += -0.5 * np.log(among[i] / sum(among)) - 0.5 * np.log(back[i] / sum(back))
    np.testing.assert_allclose(contrast(likeness, images, goals, others, 7.0), total / 10, rtol=1e-4)


def test_the_threshold_lies_between_pairs_and_the_likest_of_the_others(likeness, drawn):
    """Of twenty others, the second likest: a tenth of them may be of the goal by chance."""
    images, goals, others = drawn
    x, z, y = encoded(likeness, images, others, goals)
    paired, likest = np.mean(np.sum(x * y, axis=1)), np.mean([sorted(z @ goal)[-2] for goal in y])
    np.testing.assert_allclose(threshold(likeness, images, goals, others), (paired + likest) / 2, rtol=1e-4)


def test_pairs_are_learned(likeness):
    """Goals find the images of their cells, by instances that were never seen."""
    teach = eqx.filter_jit(lambda likeness: learn(likeness, partial(pairs, WORLD, 32), 60, key=KEY))
    learned, metrics = teach(likeness)
    assert metrics["likeness/loss"][-1] < metrics["likeness/loss"][0] - 1
    labels = jnp.arange(4)
    images = jax.vmap(lambda label, key: WORLD.show(WORLD.cells[label], key=key))(labels, jax.random.split(KEY, 4))
    goals = jax.vmap(lambda label, key: WORLD.tell(label, key=key))(labels, jax.random.split(jax.random.key(9), 4))
    alike = jax.vmap(learned.told)(goals) @ jax.vmap(learned.seen)(images).T
    np.testing.assert_array_equal(np.argmax(alike, axis=1), labels)


def test_the_reward_says_if_what_a_step_led_to_is_like_its_goal(likeness, batch):
    alike = np.array(
        [[float(likeness(batch.after.observation[t, n], batch.percept.goal[t, n])) for n in range(5)] for t in range(6)]
    )
    level = jnp.asarray(np.median(alike), jnp.float32)
    step = PerceptualReward(Frozen(likeness), level).rewrite(batch, NETWORK, key=KEY)
    np.testing.assert_array_equal(step.reward, alike > float(level))
    assert 0 < step.reward.mean() < 1
    for (path, new), old in zip(jax.tree_util.tree_leaves_with_path(step), jax.tree.leaves(batch), strict=True):
        if path[-1] != jax.tree_util.GetAttrKey("reward"):
            np.testing.assert_array_equal(new, old, err_msg=str(path))
    half = PerceptualReward(Frozen(likeness), level, weight=0.5).rewrite(batch, NETWORK, key=KEY)
    np.testing.assert_allclose(half.reward, 0.5 * batch.reward + 0.5 * (alike > float(level)))


def test_no_weight_leaves_learning_as_it_is_and_nothing_frozen_moves(likeness):
    """The law of sources: a weight of zero changes no bit."""

    def learned(source):
        learner = DQN(source=source, capacity=64, batch=4, warmup=0)
        process = Online(WORLD, partial(ImageActionValues, WORLD, width=4), learner, lanes=2, length=4)
        return train(process, 2, key=KEY).learner

    source = PerceptualReward(Frozen(likeness), jnp.array(0.5), weight=0.0)
    without, zero = learned(Chain(())), learned(source)
    same = lambda one, other: jax.tree.map(
        np.testing.assert_array_equal, *(eqx.filter(part, eqx.is_array) for part in (one, other))
    )
    same(without.network, zero.network)
    same(zero.learned.source.likeness.frozen, likeness)
    assert zero.learned.source.threshold == 0.5


def test_what_cannot_be_is_refused(likeness):
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="ask for 0 to 1"):
            PerceptualReward(Frozen(likeness), jnp.array(0.5), weight=weight)
    network = ActionValues(CartPole(), KEY, width=4)
    lanes = begin(CartPole(), network, 1, key=KEY)
    idle = lambda percept, memory, *, key: (Choice(jnp.zeros((), jnp.int32)), memory)
    _, goalless = collect(CartPole(), network, idle, lanes, 1, key=KEY)
    with pytest.raises(UsageError, match="this world has none"):
        PerceptualReward(Frozen(likeness), jnp.array(0.5)).rewrite(goalless, network, key=KEY)
