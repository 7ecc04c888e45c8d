"""The classical players of bandits, who know the family that arms are drawn from and learn of the arms by counting.

They are what Duan and others (*RL²: fast reinforcement learning via slow reinforcement learning*, 2016, section 3.1)
measure RL² against.

| player | does | source |
|---|---|---|
| `greedy` | argmax μ, where μ = (s + 1) / (n + 2) | |
| `epsilon_greedy` | likewise, and any arm with probability ε | |
| `thompson` | argmax of draws from Beta(s + 1, f + 1) | Thompson, *Biometrika* 1933 |
| `ucb` | argmax μ + c √(2 log t / (n + 2)) | Auer and others, *Machine Learning* 2002, UCB1 where c = 1 |
| `gittins` | argmax of the index at the horizon that is left | Kaufmann, *Annals of Statistics* 2018, FH-Gittins |
| `mirrored` | argmax μ, knowing that p₂ = 1 − p₁ | |

An arm has paid s times, not paid f times, n = s + f, and t counts the pulls of all arms from 1. UCB starts from the
pseudo-counts of Beta(1, 1) as Duan and others let it; and as they do, its c should be tuned (`tuned_ucb`): to be better
than it is at c = 1 proves nothing.

Every player plays a batch of tasks, `Task` with leaves `[tasks, ...]`. The world draws its chance from the same keys
whoever plays. Among arms that seem equally good, the first is taken: they are alike in these families.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from headstart.core.chance import gammas
from headstart.core.types import Key, Task
from headstart.errors import UsageError
from headstart.worlds.bandits import AbstractBandit

__all__ = [
    "bayes_optimal_value",
    "epsilon_greedy",
    "gittins",
    "gittins_indices",
    "greedy",
    "mirrored",
    "random_pulls",
    "thompson",
    "tuned_ucb",
    "ucb",
]


class Counts(eqx.Module):
    """How often each arm has paid, and how often it has not."""

    paid: Float[Array, "arms"]
    failed: Float[Array, "arms"]

    def means(self) -> Float[Array, "arms"]:
        """How likely each arm is to pay, on average over Beta(1, 1) and what was counted."""
        return (self.paid + 1) / (self.pulls() + 2)

    def pulls(self) -> Float[Array, "arms"]:
        return self.paid + self.failed


Choose = Callable[..., Int[Array, ""]]  # (counts, before, *, key): an arm, after so many pulls


@eqx.filter_jit
def random_pulls(world: AbstractBandit, tasks: Task, pulls: int, *, key: Key) -> Float[Array, "tasks pulls"]:
    """What is earned by pulling any arm."""
    arms = world.actions.count
    return _pull(lambda counts, before, *, key: jax.random.randint(key, (), 0, arms), world, tasks, pulls, key=key)


@eqx.filter_jit
def greedy(world: AbstractBandit, tasks: Task, pulls: int, *, key: Key) -> Float[Array, "tasks pulls"]:
    """What is earned by pulling the arm that has paid best so far."""
    return _pull(lambda counts, before, *, key: jnp.argmax(counts.means()), world, tasks, pulls, key=key)


@eqx.filter_jit
def epsilon_greedy(
    world: AbstractBandit, tasks: Task, pulls: int, epsilon: float | Float[Array, ""] = 0.1, *, key: Key
) -> Float[Array, "tasks pulls"]:
    """What is earned by pulling the arm that has paid best so far, but any with a probability of `epsilon`."""

    def choose(counts: Counts, before: Int[Array, ""], *, key: Key) -> Int[Array, ""]:
        explore_key, arm_key = jax.random.split(key)
        arm = jax.random.randint(arm_key, (), 0, world.actions.count)
        return jnp.where(jax.random.bernoulli(explore_key, epsilon), arm, jnp.argmax(counts.means()))

    return _pull(choose, world, tasks, pulls, key=key)


@eqx.filter_jit
def thompson(world: AbstractBandit, tasks: Task, pulls: int, *, key: Key) -> Float[Array, "tasks pulls"]:
    """What is earned by pulling the arm that is best in a draw from what is believed of them all."""

    def choose(counts: Counts, before: Int[Array, ""], *, key: Key) -> Int[Array, ""]:
        paid, failed = gammas(jnp.stack([counts.paid, counts.failed]) + 1, key=key)
        return jnp.argmax(paid / (paid + failed))

    return _pull(choose, world, tasks, pulls, key=key)


@eqx.filter_jit
def ucb(
    world: AbstractBandit, tasks: Task, pulls: int, c: float | Float[Array, ""] = 1.0, *, key: Key
) -> Float[Array, "tasks pulls"]:
    """What is earned by pulling the arm whose upper confidence bound is highest, `c` times the bonus of UCB1 up."""

    def choose(counts: Counts, before: Int[Array, ""], *, key: Key) -> Int[Array, ""]:
        bonus = jnp.sqrt(2 * jnp.log(before + 1.0) / (counts.pulls() + 2))
        return jnp.argmax(counts.means() + c * bonus)

    return _pull(choose, world, tasks, pulls, key=key)


@eqx.filter_jit
def tuned_ucb(
    world: AbstractBandit, tasks: Task, pulls: int, *, key: Key
) -> tuple[Float[Array, "tasks pulls"], Float[Array, ""]]:
    """What is earned by `ucb` at the c that is best on these very tasks, and that c: one of 0, 0.1, ... 1."""
    choices = jnp.linspace(0.0, 1.0, 11)
    total = jax.lax.map(lambda c: jnp.sum(ucb(world, tasks, pulls, c, key=key)), choices)
    c = choices[jnp.argmax(total)]
    return ucb(world, tasks, pulls, c, key=key), c


@eqx.filter_jit
def gittins(world: AbstractBandit, tasks: Task, pulls: int, *, key: Key) -> Float[Array, "tasks pulls"]:
    """What is earned by pulling the arm of the highest `gittins_indices`. Best of all for one arm against a known one.

    **Raises:** `UsageError` for more than 250 pulls.
    """
    indices = gittins_indices(pulls)

    def choose(counts: Counts, before: Int[Array, ""], *, key: Key) -> Int[Array, ""]:
        return jnp.argmax(indices[before, counts.paid.astype(jnp.int32), counts.failed.astype(jnp.int32)])

    return _pull(choose, world, tasks, pulls, key=key)


@eqx.filter_jit
def mirrored(world: AbstractBandit, tasks: Task, pulls: int, *, key: Key) -> Float[Array, "tasks pulls"]:
    """The most that can be earned of two arms of which p₂ = 1 − p₁ is known, and that either may be the better one.

    Exact: either arm tells the same, so that nothing is gained by exploring. Where a family of tasks is symmetric, the
    arm that is more likely to be the better one is that for which more was seen, whatever the family.

    **Raises:** `UsageError` for a bandit of more or fewer arms.
    """
    if world.actions.count != 2:
        raise UsageError(f"mirrored plays two arms, not {world.actions.count}; play those by thompson or tuned_ucb")

    def choose(counts: Counts, before: Int[Array, ""], *, key: Key) -> Int[Array, ""]:
        (paid, other_paid), (failed, other_failed) = counts.paid, counts.failed
        return (failed + other_paid > paid + other_failed).astype(jnp.int32)

    return _pull(choose, world, tasks, pulls, key=key)


def _pull(choose: Choose, world: AbstractBandit, tasks: Task, pulls: int, *, key: Key) -> Float[Array, "tasks pulls"]:
    world_key, player_key = jax.random.split(key)
    shape = (tasks.parameters.shape[0], pulls)

    def lane(task: Task, world_keys: Array, player_keys: Array) -> Float[Array, "pulls"]:
        def pull(counts: Counts, drawn) -> tuple[Counts, Float[Array, ""]]:
            before, world_key, player_key = drawn
            reset_key, step_key = jax.random.split(world_key)
            arm = choose(counts, before, key=player_key)
            state, _ = world.reset(task, key=reset_key)
            reward = world.step(state, task, arm, key=step_key)[1].reward
            pulled = jnp.arange(world.actions.count) == arm
            return Counts(counts.paid + pulled * reward, counts.failed + pulled * (1 - reward)), reward

        nothing = Counts(jnp.zeros(world.actions.count), jnp.zeros(world.actions.count))
        return jax.lax.scan(pull, nothing, (jnp.arange(pulls), world_keys, player_keys))[1]

    return jax.vmap(lane)(tasks, jax.random.split(world_key, shape), jax.random.split(player_key, shape))


def gittins_indices(pulls: int) -> Float[Array, "pulls pulls pulls"]:
    """The index of an arm, `[before, paid, failed]`: after so many pulls of all arms of `pulls`, and what it has paid.

    It is the λ at which it is all the same whether the pulls that are left are spent on an arm that pays λ for sure, or
    on this one as long as that is worth it (Kaufmann, section 3.1). What the second is worth beyond the first is

        W(s, f, h) = max(0, μ − λ + μ W(s + 1, f, h − 1) + (1 − μ) W(s, f + 1, h − 1))

    with h pulls left. It falls with λ, and where the part behind the 0 crosses it is found between 129 values of λ.

    **Raises:** `UsageError` for less than one pull, or more than 250: it takes work of their third power.
    """
    if not 1 <= pulls <= 250:
        raise UsageError(f"there is no table of indices for {pulls} pulls; ask for 1 to 250, or play by tuned_ucb")
    grid = jnp.linspace(0.0, 1.0, 129)
    paid, failed = jnp.meshgrid(jnp.arange(pulls), jnp.arange(pulls), indexing="ij")
    mean = (paid + 1.0) / (paid + failed + 2.0)

    def longer(worth: Float[Array, "grid more more"], _) -> tuple[Float[Array, "grid more more"], Array]:
        on = mean - grid[:, None, None] + mean * worth[:, 1:, :-1] + (1 - mean) * worth[:, :-1, 1:]
        left = jnp.clip(jnp.sum(on > 0, axis=0) - 1, 0, len(grid) - 2)
        low, high = (jnp.take_along_axis(on, at[None], axis=0)[0] for at in (left, left + 1))
        index = grid[left] + low / (low - high) / (len(grid) - 1)
        # An arm that was pulled more often than there were pulls is never met: what lies beyond the table may be 0.
        return jnp.pad(jnp.maximum(on, 0.0), ((0, 0), (0, 1), (0, 1))), index

    nothing = jnp.zeros((len(grid), pulls + 1, pulls + 1))
    return jax.lax.scan(longer, nothing, None, length=pulls)[1][::-1]


def bayes_optimal_value(arms: int, pulls: int) -> float:
    """The most that can be earned on average in a `Bandit` with so many arms and pulls: no player earns more.

    Exact, by dynamic programming over how often each arm has paid and has not. Arms are alike, so states that differ
    in their order are one. How many there are is not known before: this is NumPy's work, half a second for 2 arms and
    50 pulls, a fifth of that for 10 arms and 10 pulls, and soon much more for more of both.

    **Raises:** `UsageError` for no arms or no pulls.
    """
    if arms < 1 or pulls < 1:
        raise UsageError(f"a bandit of {arms} arms and {pulls} pulls is worth nothing; ask for 1 or more of either")
    arms = min(arms, pulls)  # of arms that are all alike, no more can be tried
    paying = pulls + 1  # an arm that paid s times and did not f times is written as the number s * paying + f
    outcome = np.eye(arms, dtype=int)[:, None] * np.array([paying, 1])[:, None]
    states, layers = np.zeros((1, arms), int), []
    for _ in range(pulls):
        paid, failed = np.divmod(states, paying)
        after = np.sort(states[:, None, None] + outcome, axis=-1)
        states, numbers = np.unique(after.reshape(-1, arms), axis=0, return_inverse=True)
        layers.append(((paid + 1) / (paid + failed + 2), numbers.reshape(*after.shape[:3])))
    value = np.zeros(len(states))
    for mean, following in reversed(layers):
        win, lose = value[following[..., 0]], value[following[..., 1]]
        value = np.max(mean * (1 + win) + (1 - mean) * lose, axis=1)
    return float(value[0])
