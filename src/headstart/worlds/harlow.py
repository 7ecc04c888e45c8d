"""Harlow's task: of two objects that were never seen before, one is rewarded, wherever it lies.

Harlow, *The formation of learning sets*, Psychological Review 1949, as Wang and others (*Prefrontal cortex as a
meta-reinforcement learning system*, Nature Neuroscience 2018) put it to a recurrent network: six trials with one pair
of objects, then another pair. In the first trial nobody can know better than chance; whoever has learned how such
problems are made knows all that there is to know after it, whether the guess was right or wrong. A monkey learns the
first pairs in many trials, and the three-hundredth in one: it has learned to learn.

The paper's monkeys and networks turn their gaze. Here it is a choice of where to look, and a trial is two moments:

| moment | seen | looking at the centre | looking left or right |
|---|---|---|---|
| fixation | the cross, and what was chosen last | 0.2, and both objects will be shown | nothing, and they will not |
| choice | an object on either side | cannot be | 1 for the good object, −1 for the other |

What was chosen stays in sight, where it lay, when its reward comes and the next cross with it: so it is for who turns
to an object and is rewarded for it.

Objects are words of 16 bits, for what the paper has pictures. Each has a number below 65,536, and numbers that are
close belong to words that are not alike. So the objects to learn with and those to be judged by are two ranges of
numbers.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

__all__ = ["BITS", "CENTRE", "FAMILIAR", "LEFT", "NOVEL", "RIGHT", "Harlow", "Scene", "Sight", "appearance"]

BITS = 16  # of what an object looks like
LEFT, RIGHT, CENTRE = 0, 1, 2  # where to look

FAMILIAR, NOVEL = (0, 1_000), (1_000, 2_000)
"""Numbers of the objects to learn with, as many as in the paper, and of others to be judged by."""

Pair = Int[Array, "2"]  # the numbers of two objects, the good one first


class Sight(eqx.Module):
    """What is seen: the cross, or an object on either side, or nothing. All bits of an object are −1 or 1, else 0."""

    cross: Float[Array, "*batch"]
    left: Float[Array, "*batch bits"]
    right: Float[Array, "*batch bits"]


class Scene(eqx.Module):
    """The side of the good object, which objects lie left and right, which of them are in sight, and what moment it is.

    Moments are counted from 0; at the even ones there is the cross.
    """

    good: Int[Array, ""]
    lie: Int[Array, "2"]
    visible: Bool[Array, "2"]
    moment: Int[Array, ""]


class Harlow(AbstractWorld):
    """Two objects, one of which is good, in every trial of an episode; the side of the good one is drawn each time.

    `Task.parameters` are the numbers of the two objects, the good one first. An episode of 6 trials is 12 moments and
    worth 6.2 to who knows the task: 6 times 0.2, and 5 times 1, for the first trial is worth 0 on average.

    **Arguments:**

    - `objects`: the first number of the objects that are met, and the one behind the last: 0 to 65,536.
    - `trials`: in an episode, 1 or more.
    - `fixation`: what looking at the cross is worth.

    **Raises:** `UsageError` for fewer than two objects, numbers that are none, or no trials.
    """

    objects: tuple[int, int] = eqx.field(static=True, default=FAMILIAR)
    trials: int = eqx.field(static=True, default=6)
    fixation: float = 0.2

    def __check_init__(self):
        first, behind = self.objects
        if first < 0 or first + 2 > behind or behind > 2**BITS:
            raise UsageError(
                f"objects {first} to {behind} are no pair; give numbers from 0 to {2**BITS:,} that are 2 apart or more"
            )
        if self.trials < 1:
            raise UsageError(f"an episode of {self.trials} trials is none; ask for 1 trial or more")

    @property
    def actions(self) -> Discrete:
        return Discrete(3)

    @property
    def moments(self) -> int:
        """In an episode."""
        return 2 * self.trials

    def task(self, *, key: Key) -> Task:
        first, behind = self.objects
        good_key, other_key = jax.random.split(key)
        good = jax.random.randint(good_key, (), 0, behind - first)
        other = (good + jax.random.randint(other_key, (), 1, behind - first)) % (behind - first)
        return Task(parameters=first + jnp.stack([good, other]))

    def reset(self, task: Task, *, key: Key) -> tuple[Scene, Sight]:
        zero = jnp.zeros((), jnp.int32)
        scene = Scene(zero, task.parameters, jnp.zeros(2, bool), zero)
        return scene, _see(scene)

    def step(self, state: Scene, task: Task, action: Int[Array, ""], *, key: Key) -> tuple[Scene, Outcome]:
        pair_key, side_key = jax.random.split(key)
        pair = self.pair(task, key=pair_key)
        side = jax.random.bernoulli(side_key).astype(jnp.int32)
        looked, shown, moment = action == CENTRE, jnp.all(state.visible), state.moment + 1
        out = Scene(side, jnp.where(side == LEFT, pair, pair[::-1]), jnp.stack([looked, looked]), moment)
        kept = Scene(state.good, state.lie, state.visible & (jnp.arange(2) == action), moment)
        fixating = state.moment % 2 == 0
        after = jax.tree.map(lambda this, that: jnp.where(fixating, this, that), out, kept)
        earned = jnp.where(action == state.good, 1.0, -1.0) * shown
        reward = jnp.where(fixating, self.fixation * looked, earned)
        last = moment >= self.moments
        return after, Outcome(_see(after), reward, 1.0 - last, last)

    def legal(self, state: Scene, task: Task) -> Bool[Array, "3"]:
        """A choice must be made: who could go without, and so lose nothing, would not learn to make one."""
        return jnp.array([True, True, False]) | ~jnp.all(state.visible)

    def pair(self, task: Task, *, key: Key) -> Pair:
        """The objects of a trial, the good one first: the same in all. Were they others, nothing could be learned."""
        return task.parameters


def _see(scene: Scene) -> Sight:
    left, right = appearance(scene.lie) * scene.visible[:, None]
    return Sight((scene.moment % 2 == 0).astype(jnp.float32), left, right)


def appearance(number: Int[Array, "*objects"]) -> Float[Array, "*objects bits"]:
    """What objects look like: 16 bits, each −1 or 1, and no two numbers below 65,536 the same.

    The number is stirred: multiplied by something odd, and its upper half mixed into its lower one, twice. Either can
    be undone, so that no two numbers meet.
    """
    word = number.astype(jnp.uint32)
    for odd in (40_503, 30_345):
        word = (word * odd) & 0xFFFF
        word = word ^ (word >> 8)
    bits = (word[..., None] >> jnp.arange(BITS, dtype=jnp.uint32)) & 1
    return 2.0 * bits.astype(jnp.float32) - 1.0
