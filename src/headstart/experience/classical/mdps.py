"""The classical players of tabular MDPs, who know the laws that transitions and rewards are drawn by.

They are what Duan and others (*RL²: fast reinforcement learning via slow reinforcement learning*, 2016, section 3.2)
measure RL² against.

| player | does | source |
|---|---|---|
| `certainty_equivalent` | plans in the mean of the posterior | |
| `psrl` | plans in a draw from the posterior | Osband and others, NeurIPS 2013 |
| `oracle` | plans in the truth | |

Every player plays a batch of tasks, `Task` with leaves `[tasks, ...]`. The world draws its chance from the same keys
whoever plays. Among actions that seem equally good, the first is taken: they are alike in these families.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.chance import gammas
from headstart.core.types import Key, Task
from headstart.worlds.tabular import MDP, TabularMDP

__all__ = ["certainty_equivalent", "oracle", "plan", "psrl", "random_walk"]


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
