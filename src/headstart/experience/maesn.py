"""MAESN: a latent that is drawn once per episode, and learned so that whatever is drawn explores as tasks ask for.

Gupta, Mendonca, Liu, Abbeel and Levine, *Meta-reinforcement learning of structured exploration strategies*, NeurIPS
2018. Noise of actions trembles about one way; a policy π(a | s, z) that is told a latent z goes a way for each z, all
through the episode. Where only arriving pays, that is the difference between finding and not finding.

Every training task i has a Gaussian of its own, N(μᵢ, σᵢ). In an iteration, for each of `tasks` tasks:

1. Dᵢ: episodes with z ~ N(μᵢ, σᵢ), drawn anew in each; μᵢ′ = μᵢ + α_μ ∇_μ Lᵢ(Dᵢ), and log σᵢ′ likewise.
2. Dᵢ′: fresh episodes with z ~ N(μᵢ′, σᵢ′).
3. θ, all μᵢ and σᵢ, and the step sizes α move so that Σᵢ L(θ, μᵢ′, σᵢ′; Dᵢ′) − β KL(N(μᵢ, σᵢ) ‖ N(0, 1)) is more.

A new task begins at N(0, 1), and there **only μ and σ move**: two numbers for each of z's, by what whole episodes came
to. What the divergence is for: the Gaussians of all tasks together have to fill the prior, as nothing else is there to
explore by.

| paper | here |
|---|---|
| z | the goal that the agent is shown (`Told`): it sets it to itself, once per episode, as `collect` draws a task |
| θ, (μᵢ, σᵢ), α | `Explorer.network`, `.latents`, `.rates` |
| p(T), of which 100 tasks are given | `training`, a list: tasks have latents of their own |
| the inner surrogate | `Draws`: log N(z; μ, σ) · (the episode's return, normalised over episodes), by ratios |
| dense rewards in training alone | `world`; `headstart.experience.exploration` judges in another one |
| α_θ | none: in the authors' code too, it is 0 unless asked for |
| the outer step: TRPO, δ = 0.01 | `region`; in nats of the actions, per step, and of the latents that have adapted |

As z is drawn by μ and σ, the outer gradient reaches them by the score of z, through the inner step. The latent has
advantages of its own: those of the actions are above a baseline that knows z, and so say nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory, relive
from headstart.core.optimise import learns
from headstart.core.policies import Gaussian
from headstart.core.process import AbstractProcess
from headstart.core.trust_region import TrustRegion
from headstart.core.types import Choice, Frozen, Key, Metrics, Percept, Rollout, Task
from headstart.core.world import AbstractWorld
from headstart.core.wrappers import Like, OneTask
from headstart.errors import UsageError
from headstart.experience.maml import judged
from headstart.experience.meta_gradient import average

__all__ = ["MAESN", "Draws", "Explorer", "Problem", "Told", "gathered", "prior"]


class Told(Like):
    """A world in which the agent is told a latent, as a goal: it is drawn with the task, so once per episode.

    **Arguments:**

    - `world`: the world. A goal that it shows itself comes first.
    - `latent`: what the latent is drawn from, `[size]`.
    """

    world: AbstractWorld
    latent: Gaussian

    def task(self, *, key: Key) -> Task:
        task_key, latent_key = jax.random.split(key)
        task = self.world.task(key=task_key)
        told = (task.goal, self.latent.sample(key=latent_key))
        return eqx.tree_at(lambda task: task.goal, task, told, is_leaf=lambda leaf: leaf is None)


class Draws(eqx.Module):
    """Latents that were drawn, the log densities that they were drawn with, and how good what followed was: normalised.

    A step up the surrogate moves the Gaussian towards what paid.
    """

    latent: Float[Array, "*batch draws size"]
    log_prob: Float[Array, "*batch draws"]
    advantage: Float[Array, "*batch draws"]

    @classmethod
    def of(cls, source: Gaussian, latent: Float[Array, "draws size"], earned: Float[Array, "draws"]) -> Draws:
        """What was drawn from a source, by what each draw earned. Where all earned the same, no draw was better."""
        centred = earned - jnp.mean(earned)
        return cls(latent, source.log_prob(latent), centred / (jnp.std(earned) + 1e-6))

    def surrogate(self, source: Gaussian) -> Float[Array, ""]:
        """The mean of q(z) / q_old(z) · A, unbatched: its gradient at q_old is that of E[A]."""
        return jnp.mean(jnp.exp(source.log_prob(self.latent) - self.log_prob) * self.advantage)


Rates = tuple[Float[Array, "size"], Float[Array, "size"]]  # of the mean, and of log σ


class Explorer(eqx.Module):
    """What evolves: the policy, a Gaussian over latents for each training task, and step sizes that are not held."""

    network: AbstractNetwork
    latents: Gaussian  # [training, size]
    rates: Rates | Frozen[Rates]

    def move(self, source: Gaussian, draws: Draws) -> Gaussian:
        """The Gaussian after an inner step, unbatched. The network stays as it is."""
        up = jax.grad(draws.surrogate)(source)
        mean_rate, spread_rate = self.rates() if isinstance(self.rates, Frozen) else self.rates
        return Gaussian(source.mean + mean_rate * up.mean, source.log_std + spread_rate * up.log_std)


class Problem(eqx.Module):
    """What an explorer is to be good for: tasks, by their numbers in training, and what was gathered in each.

    - `inner`: for each inner step in turn, the latents that it was made from.
    - `outer`: the rollouts with the adapted Gaussian, `[tasks, T, B]`, and its latents.
    - `weight`: β.
    """

    numbers: Int[Array, "tasks"]
    inner: tuple[Draws, ...]
    outer: Rollout
    drawn: Draws
    weight: float

    def outputs(self, explorer: Explorer) -> tuple[Gaussian, Gaussian, Gaussian]:
        """An explorer's policies `[tasks, T, B]` at all that was met, and its Gaussians `[tasks]`: after and before."""
        before = after = jax.tree.map(lambda leaf: leaf[self.numbers], explorer.latents)
        for draws in self.inner:
            after = jax.vmap(explorer.move)(after, draws)
        policies = jax.vmap(lambda rollout: relive(explorer.network, rollout).policy)(self.outer)
        return policies, after, before

    def gain(self, outputs: tuple[Gaussian, Gaussian, Gaussian]) -> Float[Array, ""]:
        """How much better those are than what acted, to first order, less what the divergence from N(0, 1) costs."""
        policies, after, before = outputs

        def acted(policy: Gaussian, rollout: Rollout) -> Float[Array, ""]:
            ratio = jnp.exp(policy.log_prob(rollout.action) - rollout.notes["log_prob"])
            return average(ratio * rollout.notes["advantage"], rollout)

        actions = jnp.mean(jax.vmap(acted)(policies, self.outer))
        latents = jnp.mean(jax.vmap(Draws.surrogate)(self.drawn, after))
        return actions + latents - self.weight * jnp.mean(before.divergence(_like_prior(before)))

    def moved(self, old: tuple[Gaussian, Gaussian, Gaussian], new: tuple[Gaussian, Gaussian, Gaussian]) -> Array:
        """How far policies and adapted Gaussians moved, in nats: per step of the former, and per draw of the latter."""
        actions = jax.vmap(lambda one, other, rollout: average(one.divergence(other), rollout))(
            old[0], new[0], self.outer
        )
        return jnp.mean(actions) + jnp.mean(old[1].divergence(new[1]))


class MAESN(AbstractProcess):
    """Learns a policy that is told a latent, and for each task of a list what to draw latents from.

    **Arguments:**

    - `world`: the family. Let what it pays say the way: sparse rewards are for afterwards.
    - `training`: its tasks that training is in, `[training, ...]`.
    - `network`: from the world in which latents are told, and a key, to a fresh network.
    - `size`: how many numbers a latent has.
    - `weight`: β, of the divergence from the prior.
    - `rate`: what all step sizes begin at. `held`: whether they stay there, and are not learned.
    - `region`: how far the outer step goes.
    - `tasks`, `lanes`, `length`: tasks in an iteration, episodes in each before every step, and steps in each.
    - `steps`: inner steps; with 0, Gaussians learn by the outer step alone, as in the paper's latent space baseline.
    - `discount`: γ, per step; `trace`: λ.

    **Raises:** `UsageError` for less than one task, lane, step of an episode or number, for less than no inner step, or
    for more tasks in an iteration than there are.
    """

    world: AbstractWorld
    training: Task
    network: Callable[[AbstractWorld, Key], AbstractNetwork]
    size: int = 2
    weight: float = 0.1
    rate: float = 1.0
    held: bool = False
    region: TrustRegion = TrustRegion()
    tasks: int = 20
    lanes: int = 20
    length: int = 50
    steps: int = 1
    discount: float = 0.99
    trace: float = 1.0

    def __check_init__(self):
        for name in ("size", "tasks", "lanes", "length"):
            if (number := getattr(self, name)) < 1:
                raise UsageError(f"MAESN with {name} = {number} has nothing to learn from; ask for 1 or more")
        if self.steps < 0:
            raise UsageError(f"a latent cannot adapt by {self.steps} steps; ask for 0 or more")
        if self.tasks > self.number:
            raise UsageError(f"{self.tasks} tasks an iteration are more than the {self.number} there are; ask for less")

    @property
    def number(self) -> int:
        """How many training tasks there are."""
        return jax.tree.leaves(self.training)[0].shape[0]

    def init(self, *, key: Key) -> Explorer:
        network = self.network(Told(self.world, prior(self.size)), key)
        everywhere = jnp.zeros((self.number, self.size))
        rate = jnp.full(self.size, self.rate)
        rates = Frozen((rate, rate)) if self.held else (rate, rate)
        return Explorer(network, Gaussian(everywhere, everywhere), rates)

    def step(self, state: Explorer, *, key: Key) -> tuple[Explorer, Metrics]:
        number_key, gather_key = jax.random.split(key)
        numbers = jax.random.choice(number_key, self.number, (self.tasks,), replace=False)
        problem, metrics = self.gather(state, numbers, key=gather_key)
        arrays, rest = learns(state)
        vector, shaped = ravel_pytree(arrays)
        outputs = lambda vector: problem.outputs(eqx.combine(shaped(vector), rest))
        move = self.region.ascend(problem.gain, outputs, problem.moved, vector)
        return eqx.combine(shaped(move.vector), rest), metrics | move.reported("trpo")

    def gather(self, state: Explorer, numbers: Int[Array, "tasks"], *, key: Key) -> tuple[Problem, Metrics]:
        """What an iteration learns from, in the training tasks of those numbers."""

        def one(number: Int[Array, ""], judge: Int[Array, ""], key: Key):
            task, final, source = (
                jax.tree.map(lambda leaf, at=at: leaf[at], each)
                for each, at in ((self.training, number), (self.training, judge), (state.latents, number))
            )
            *before_keys, after_key = jax.random.split(key, self.steps + 1)
            inner = []
            for before_key in before_keys:
                rollout, draws = self.explore(self.world, state.network, source, task, key=before_key)
                inner.append((draws, rollout.reward))
                source = state.move(source, draws)
            outer, drawn = self.explore(self.world, state.network, source, final, key=after_key)
            return inner, outer, drawn

        judge_key, explore_key = jax.random.split(key)
        judges = self.judges(numbers, key=judge_key)
        inner, outer, drawn = jax.vmap(one)(numbers, judges, jax.random.split(explore_key, len(numbers)))
        earned = lambda reward: jnp.mean(jnp.sum(reward, axis=1))
        before = state.latents.divergence(_like_prior(state.latents))
        metrics = {
            "episode/return": earned(outer.reward),
            "episode/return_before": earned(inner[0][1] if inner else outer.reward),
            "maesn/divergence": jnp.mean(before),
            "maesn/rate": jnp.mean(jnp.stack(jax.tree.leaves(state.rates))),
        }
        return Problem(numbers, tuple(draws for draws, _ in inner), outer, drawn, self.weight), metrics

    def judges(self, numbers: Int[Array, "tasks"], *, key: Key) -> Int[Array, "tasks"]:
        """In which tasks the Gaussians of those tasks are judged, once they have adapted: in their own."""
        return numbers

    def explore(
        self, world: AbstractWorld, network: AbstractNetwork, source: Gaussian, task: Task, *, key: Key
    ) -> tuple[Rollout, Draws]:
        """A rollout `[T, B]` of an episode a lane in one task of a world, judged, and the latents drawn for it."""
        rollout = gathered(Told(OneTask(world, task), source), network, self.lanes, self.length, key=key)
        rollout, _ = judged(rollout, self.discount, self.trace)
        faded = self.discount ** jnp.arange(self.length)[:, None]
        earned = jnp.sum(faded * rollout.reward * rollout.notes["counts"], axis=0)
        goal: Any = rollout.percept.goal
        return rollout, Draws.of(source, goal[1][0], earned)


def prior(size: int) -> Gaussian:
    """N(0, 1) over latents of that size: what a new task begins at."""
    return Gaussian(jnp.zeros(size), jnp.zeros(size))


def gathered(world: AbstractWorld, network: AbstractNetwork, lanes: int, length: int, *, key: Key) -> Rollout:
    """A rollout `[length, lanes]` from the beginning of an episode in every lane."""
    begin_key, collect_key = jax.random.split(key)

    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        action = output.policy.sample(key=key)
        return Choice(action, {"log_prob": output.policy.log_prob(action)}), memory

    return collect(world, network, act, begin(world, network, lanes, key=begin_key), length, key=collect_key)[1]


def _like_prior(latents: Gaussian) -> Gaussian:
    nought = jnp.zeros_like(latents.mean)
    return Gaussian(nought, nought)
