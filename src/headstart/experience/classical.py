"""The classical players of bandits and tabular MDPs, who were given by hand what a meta-learner has to learn.

They are what Duan and others (*RL²: fast reinforcement learning via slow reinforcement learning*, 2016, sections 3.1
and 3.2) measure RL² against: each knows the family that tasks are drawn from, and learns within a task by counting.

| player | does | source |
|---|---|---|
| `greedy` | argmax μ, where μ = (s + 1) / (n + 2) | |
| `epsilon_greedy` | likewise, and any arm with probability ε | |
| `thompson` | argmax of draws from Beta(s + 1, f + 1) | Thompson, *Biometrika* 1933 |
| `ucb` | argmax μ + c √(2 log t / (n + 2)) | Auer and others, *Machine Learning* 2002, UCB1 where c = 1 |
| `gittins` | argmax of the index at the horizon that is left | Kaufmann, *Annals of Statistics* 2018, FH-Gittins |
| `mirrored` | argmax μ, knowing that p₂ = 1 − p₁ | |
| `certainty_equivalent` | plans in the mean of the posterior | |
| `psrl` | plans in a draw from the posterior | Osband and others, NeurIPS 2013 |
| `oracle` | plans in the truth | |

An arm has paid s times, not paid f times, n = s + f, and t counts the pulls of all arms from 1. UCB starts from the
pseudo-counts of Beta(1, 1) as Duan and others let it; and as they do, its c should be tuned (`tuned_ucb`): to be better
than it is at c = 1 proves nothing.

Every player plays a batch of tasks, `Task` with leaves `[tasks, ...]`. The world draws its chance from the same keys
whoever plays, so two players with the same `key` meet the same luck where they do the same, and may be compared in
pairs. Among actions that seem equally good, the first is taken: they are alike in these families.
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
from headstart.worlds.tabular import MDP, TabularMDP

__all__ = [
    "bayes_optimal_value",
    "certainty_equivalent",
    "epsilon_greedy",
    "gittins",
    "gittins_indices",
    "greedy",
    "mirrored",
    "oracle",
    "plan",
    "psrl",
    "random_pulls",
    "random_walk",
    "thompson",
    "tuned_ucb",
    "ucb",
]


# Bandits


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


# Tabular MDPs


class Posterior(eqx.Module):
    """What is believed of an MDP: Dirichlet counts of what follows, and normal mean rewards with their precision.

    The prior counts 1 for each state and has a precision of 1; a reward is as precise. These are the laws that
    `TabularMDP` draws tasks by, if the mean of the prior is 1.
    """

    counts: Float[Array, "states choices states"]
    means: Float[Array, "states choices"]
    precisions: Float[Array, "states choices"]

    @staticmethod
    def prior(world: TabularMDP, mean: float | Float[Array, ""]) -> Posterior:
        pairs = jnp.ones((world.states, world.choices))
        return Posterior(jnp.ones((*pairs.shape, world.states)), mean * pairs, pairs)

    def after(
        self, place: Int[Array, ""], action: Int[Array, ""], reward: Float[Array, ""], following: Int[Array, ""]
    ) -> Posterior:
        """What is believed after one more step."""
        precision = self.precisions[place, action]
        mean = (precision * self.means[place, action] + reward) / (precision + 1)
        return Posterior(
            self.counts.at[place, action, following].add(1.0),
            self.means.at[place, action].set(mean),
            self.precisions.at[place, action].set(precision + 1),
        )


Decide = Callable[..., Int[Array, "horizon states"]]  # (posterior, task, *, key): what to do in an episode


@eqx.filter_jit
def random_walk(world: TabularMDP, tasks: Task, episodes: int, *, key: Key) -> Float[Array, "tasks episodes"]:
    """What each episode earns by doing anything."""

    def decide(posterior: Posterior, task: Task, *, key: Key) -> Int[Array, "horizon states"]:
        return jax.random.randint(key, (world.horizon, world.states), 0, world.choices)

    return _visit(decide, world, tasks, episodes, 0.0, key=key)


@eqx.filter_jit
def certainty_equivalent(
    world: TabularMDP, tasks: Task, episodes: int, prior_mean: float | Float[Array, ""] = 1.0, *, key: Key
) -> Float[Array, "tasks episodes"]:
    """What each episode earns by planning in the mean of what is believed: greedy, it explores by its hopes alone.

    **Arguments:**

    - `prior_mean`: of the rewards. At 1 it is that of the tasks; 0 is how the comparison is often published, and
      with it this player is much worse.
    """

    def decide(posterior: Posterior, task: Task, *, key: Key) -> Int[Array, "horizon states"]:
        transitions = posterior.counts / jnp.sum(posterior.counts, axis=-1, keepdims=True)
        return plan(MDP(transitions, posterior.means), world.horizon)[0]

    return _visit(decide, world, tasks, episodes, prior_mean, key=key)


@eqx.filter_jit
def psrl(
    world: TabularMDP, tasks: Task, episodes: int, prior_mean: float | Float[Array, ""] = 1.0, *, key: Key
) -> Float[Array, "tasks episodes"]:
    """What each episode earns by planning in one draw from what is believed (Osband and others, algorithm 1).

    **Arguments:**

    - `prior_mean`: of the rewards; see `certainty_equivalent`.
    """

    def decide(posterior: Posterior, task: Task, *, key: Key) -> Int[Array, "horizon states"]:
        transition_key, reward_key = jax.random.split(key)
        drawn = gammas(posterior.counts, key=transition_key)
        transitions = drawn / jnp.sum(drawn, axis=-1, keepdims=True)
        noise = jax.random.normal(reward_key, posterior.means.shape)
        return plan(MDP(transitions, posterior.means + noise / jnp.sqrt(posterior.precisions)), world.horizon)[0]

    return _visit(decide, world, tasks, episodes, prior_mean, key=key)


@eqx.filter_jit
def oracle(world: TabularMDP, tasks: Task, episodes: int, *, key: Key) -> Float[Array, "tasks episodes"]:
    """What each episode earns by planning in the truth: on average, the most there is."""

    def decide(posterior: Posterior, task: Task, *, key: Key) -> Int[Array, "horizon states"]:
        return plan(task.parameters, world.horizon)[0]

    return _visit(decide, world, tasks, episodes, 0.0, key=key)


def plan(mdp: MDP, horizon: int) -> tuple[Int[Array, "horizon states"], Float[Array, "horizon states"]]:
    """The best action in each state at each step of an episode, and what it is worth: value iteration backwards.

    **Arguments:**

    - `mdp`: one MDP, unbatched.
    - `horizon`: steps in an episode.
    """

    def earlier(value: Float[Array, "states"], _):
        worth = mdp.rewards + mdp.transitions @ value
        best = jnp.max(worth, axis=-1)
        return best, (jnp.argmax(worth, axis=-1), best)

    _, (actions, values) = jax.lax.scan(earlier, jnp.zeros(mdp.rewards.shape[0]), None, length=horizon, reverse=True)
    return actions, values


def _visit(
    decide: Decide, world: TabularMDP, tasks: Task, episodes: int, prior_mean: float | Float[Array, ""], *, key: Key
) -> Float[Array, "tasks episodes"]:
    world_key, player_key = jax.random.split(key)
    shape = (tasks.parameters.rewards.shape[0], episodes)

    def lane(task: Task, world_keys: Array, player_keys: Array) -> Float[Array, "episodes"]:
        def episode(posterior: Posterior, drawn) -> tuple[Posterior, Float[Array, ""]]:
            world_key, player_key = drawn
            reset_key, walk_key = jax.random.split(world_key)
            state, _ = world.reset(task, key=reset_key)

            def step(carry, drawn):
                (state, posterior), (actions, key) = carry, drawn
                action = actions[state.place]
                after, outcome = world.step(state, task, action, key=key)
                return (after, posterior.after(state.place, action, outcome.reward, after.place)), outcome.reward

            policy = decide(posterior, task, key=player_key)
            walk_keys = jax.random.split(walk_key, world.horizon)
            (_, posterior), rewards = jax.lax.scan(step, (state, posterior), (policy, walk_keys))
            return posterior, jnp.sum(rewards)

        prior = Posterior.prior(world, prior_mean)
        return jax.lax.scan(episode, prior, (world_keys, player_keys))[1]

    return jax.vmap(lane)(tasks, jax.random.split(world_key, shape), jax.random.split(player_key, shape))
