"""Perceptual rewards: how alike are what is seen and what was asked for, though the two look nothing alike?

Edwards, Sood and Isbell, *Cross-domain perceptual reward functions*, 2017 (arXiv 1705.09045). The idea is the paper's:
a similarity between the agent's image and a goal that is shown in another domain, learned from pairs, is the reward, so
that a new goal takes no new code. Its details could not be consulted, and the following are design choices of ours.

| paper | here |
|---|---|
| f_intra, for images of the agent | `Likeness.seen` |
| f_cross, for goals from the other domain | `Likeness.told` |
| similarity of the two | `Likeness.__call__`: the cosine, as both are unit vectors |
| pairs together, mismatches apart | `contrast`: InfoNCE (van den Oord and others, 2018, equation 4), both ways |
| r(s, g) | `PerceptualReward`: 1 where the similarity is above `threshold`, else 0 |

With N pairs (xᵢ, yᵢ) in a batch, and M images zⱼ of wherever the agent may be, which nobody has paired,

    L = −½ mean_i log softmax_k(⟨xₖ, yᵢ⟩ / τ; k over x and z)ᵢ − ½ mean_i log softmax_k(⟨xᵢ, yₖ⟩ / τ)ᵢ

Without the unpaired ones, nothing would say that a place between two goals is not a goal. Some of them are: a small
lie, as each is one image among many. Pairs with one label stand side by side in a batch, too, and are told apart in
vain; that costs every solution the same.

**Why the pairs come first and not by `observe`**: they are a lesson of their own. A reward that does not move is a task
that does not move, and its replayed steps are judged by what was known when they were made. The source learns nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from headstart.core.network import AbstractNetwork
from headstart.core.networks import Linear, flat
from headstart.core.optimise import clipped_adam, descend, prepare
from headstart.core.scan import scan
from headstart.core.source import AbstractSource
from headstart.core.types import Frozen, Key, Metrics, Output, Percept, Step
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

__all__ = ["Convolutions", "Encoder", "ImageActionValues", "Likeness", "PerceptualReward", "learn", "threshold"]

Shape = tuple[int, int, int]
Draw = Callable[..., tuple[Array, Array, Array]]
"""`(*, key) -> (paired images [N, ...], their goals [N, ...], unpaired images [M, ...])`."""


class Convolutions(eqx.Module):
    """Two convolutions of patches that do not overlap: of 4 by 4 pixels, then of 2 by 2 of these. Bytes in.

    As each patch stands for itself, a convolution is one product, which many seeds side by side do not slow down.
    """

    fine: Linear
    coarse: Linear
    features: int = eqx.field(static=True)

    def __init__(self, shape: Shape, key: Key):
        fine_key, coarse_key = jax.random.split(key)
        rows, columns, channels = shape
        self.features = rows // 8 * (columns // 8) * 16
        self.fine = Linear.drawn(16 * channels, 16, key=fine_key)
        self.coarse = Linear.drawn(4 * 16, 16, key=coarse_key)

    def __call__(self, image: UInt8[Array, "rows columns channels"]) -> Float[Array, "features"]:
        each = lambda layer, patches: jax.nn.relu(jax.vmap(jax.vmap(layer))(patches))
        fine = each(self.fine, _patches(image.astype(jnp.float32) / 255, 4))
        return jnp.ravel(each(self.coarse, _patches(fine, 2)))


def _patches(image: Float[Array, "rows columns channels"], size: int) -> Float[Array, "down across features"]:
    rows, columns, channels = image.shape
    cut = image.reshape(rows // size, size, columns // size, size, channels)
    return jnp.moveaxis(cut, 2, 1).reshape(rows // size, columns // size, size * size * channels)


class Encoder(eqx.Module):
    """Convolutions and a perceptron: from an image to a unit vector."""

    convolutions: Convolutions
    head: eqx.nn.MLP

    def __init__(self, shape: Shape, key: Key, *, width: int = 64, size: int = 32):
        convolutions_key, head_key = jax.random.split(key)
        self.convolutions = Convolutions(shape, convolutions_key)
        self.head = eqx.nn.MLP(self.convolutions.features, size, width, 1, key=head_key)

    def __call__(self, image: UInt8[Array, "rows columns channels"]) -> Float[Array, "size"]:
        vector = self.head(self.convolutions(image))
        return vector / jnp.maximum(jnp.linalg.norm(vector), 1e-6)


class Likeness(eqx.Module):
    """How alike an image and a goal are, from −1 to 1.

    **Arguments:**

    - `world`: what its images and goals are shaped like.
    """

    seen: Encoder
    told: Encoder

    def __init__(self, world: AbstractWorld, key: Key):
        seen_key, told_key = jax.random.split(key)
        image, goal = _shapes(world)
        self.seen, self.told = Encoder(image, seen_key), Encoder(goal, told_key)

    def __call__(self, image: Array, goal: Array) -> Float[Array, ""]:
        return jnp.dot(self.seen(image), self.told(goal))


def contrast(likeness: Likeness, images: Array, goals: Array, others: Array, sharpness: float) -> Float[Array, ""]:
    """L: each goal is to find its image among all images, and each paired image its goal. `sharpness` is 1 / τ."""
    x, z = jax.vmap(likeness.seen)(images), jax.vmap(likeness.seen)(others)
    y = jax.vmap(likeness.told)(goals)
    finds = jax.nn.log_softmax(sharpness * y @ jnp.concatenate([x, z]).T)
    found = jax.nn.log_softmax(sharpness * x @ y.T)
    return -0.5 * jnp.mean(jnp.diagonal(finds)) - 0.5 * jnp.mean(jnp.diagonal(found))


def learn(
    likeness: Likeness,
    draw: Draw,
    steps: int,
    *,
    key: Key,
    learning_rate: float = 1e-3,
    sharpness: float = 10.0,
) -> tuple[Likeness, Metrics]:
    """The likeness after `steps` gradient steps on pairs that are drawn anew for each, and the loss of every step."""
    optimiser = clipped_adam(learning_rate, clip=1.0)

    def step(state, key):
        drawn = draw(key=key)

        def loss(parts):
            found = contrast(parts[0], *drawn, sharpness)
            return found, {"likeness/loss": found}

        parts, optimised, descent = descend(loss, (state[0],), optimiser, state[1])
        return (parts[0], optimised), descent.metrics

    state = (likeness, prepare(optimiser, (likeness,)))
    (likeness, _), metrics = scan(step, state, jax.random.split(key, steps))
    return likeness, metrics


def threshold(likeness: Likeness, images: Array, goals: Array, others: Array) -> Float[Array, ""]:
    """What divides pairs from mismatches best: midway between how alike pairs are, and the likest of the unpaired.

    Of all goals' likest one in the middle: an unpaired image may be of the goal by chance.
    """
    paired = jax.vmap(likeness)(images, goals)
    mismatched = jax.vmap(likeness.told)(goals) @ jax.vmap(likeness.seen)(others).T
    return 0.5 * (jnp.mean(paired) + jnp.mean(jnp.sort(mismatched, axis=-1)[:, -others.shape[0] // 10]))


class PerceptualReward(AbstractSource):
    """Rewards what looks like what was asked for. The world's own reward is not heard.

    **Arguments:**

    - `likeness`: learned before, see `learn`. It is `Frozen`.
    - `threshold`: how alike they must be, see the function of that name.
    - `weight`: the share of the learned reward, from 0 to 1; the world's own has the rest.

    **Raises:** `UsageError` for another weight, or when it is to rewrite steps without a goal.
    """

    likeness: Frozen[Likeness]
    threshold: Float[Array, ""]
    weight: float = eqx.field(static=True, default=1.0)

    changes: ClassVar[frozenset[str]] = frozenset({"reward"})

    def __check_init__(self):
        if not 0.0 <= self.weight <= 1.0:
            raise UsageError(f"a perceptual reward of weight {self.weight} is no share; ask for 0 to 1")

    def rewrite(self, batch: Step, network: AbstractNetwork, *, key: Key) -> Step:
        if batch.percept.goal is None:
            raise UsageError("a perceptual reward compares with a goal, and this world has none; give its tasks one")
        alike = jax.vmap(jax.vmap(self.likeness()))(batch.after.observation, batch.percept.goal)
        learned = (alike > jax.lax.stop_gradient(self.threshold)).astype(jnp.float32)
        reward = (1.0 - self.weight) * batch.reward + self.weight * learned
        return eqx.tree_at(lambda step: step.reward, batch, reward)


class ImageActionValues(AbstractNetwork):
    """The value of each discrete action for an image and a goal that is an image; remembers nothing."""

    seen: Convolutions
    told: Convolutions
    values: eqx.nn.MLP

    def __init__(self, world: AbstractWorld, key: Key, *, width: int = 64):
        seen_key, told_key, values_key = jax.random.split(key, 3)
        image, goal = _shapes(world)
        self.seen, self.told = Convolutions(image, seen_key), Convolutions(goal, told_key)
        assert isinstance(world.actions, Discrete)
        self.values = eqx.nn.MLP(self.seen.features + self.told.features, world.actions.count, width, 2, key=values_key)

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        assert percept.goal is not None
        return Output(self.values(flat((self.seen(percept.observation), self.told(percept.goal))))), None


def _shapes(world: AbstractWorld) -> tuple[Shape, Shape]:
    """Rows, columns and channels of an image and of a goal of the world."""

    def first(key: Key):
        task = world.task(key=key)
        return world.reset(task, key=key)[1], task.goal

    image, goal = jax.eval_shape(first, jax.random.key(0))
    return image.shape, goal.shape
