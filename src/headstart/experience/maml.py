"""MAML: an initial policy from which one step of policy gradient already makes a good one.

Finn, Abbeel and Levine, *Model-agnostic meta-learning for fast adaptation of deep networks*, ICML 2017, section 4.2;
its outer steps are TRPO's (Schulman and others, ICML 2015) or those of Rothfuss and others, *ProMP: proximal
meta-policy search*, ICLR 2019. What the meta-gradient is, and is not, stands in `headstart.experience.meta_gradient`.

An iteration, for each of `tasks` tasks:

1. Dᵢ: K trajectories by the initial policy π(θ); θᵢ′ = θ + α ∇ Lᵢ(θ, Dᵢ); as often as there are `steps`.
2. Dᵢ′: K fresh trajectories by π(θᵢ′).
3. θ moves so that Σᵢ L(θᵢ′, Dᵢ′) is more, through θᵢ′(θ).

| paper | here |
|---|---|
| p(T) | `world`, whose tasks are drawn anew in every iteration; which one it is, the policy is not told |
| K, H | `lanes`; `length`, at which trajectories are cut |
| α, L | `inner`, an `InnerStep` |
| advantages, normalised | `judged`: of returns, above a linear baseline that is fitted in each task before each step |
| the outer step: TRPO, δ = 0.01 | `TRPO`; the divergence is that of the *adapted* policies |
| ProMP's: clip 0.3, 5 epochs, η = 5 · 10⁻⁴, which may adapt to a target | `Clipped` |
| E-MAML's exploration term | `credit` = 1, with `InnerStep(surrogate=plain)` |

A trajectory is the first episode of a lane: what a lane does after an episode's end does not count. At the horizon
nothing is bootstrapped: what is to be learned is the return of `length` steps.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.networks import flat
from headstart.core.optimise import descend, learns, prepare
from headstart.core.process import AbstractProcess
from headstart.core.returns import generalised_advantages
from headstart.core.scan import scan
from headstart.core.trust_region import TrustRegion
from headstart.core.types import Choice, Key, Metrics, Percept, Rollout, Task
from headstart.core.world import AbstractWorld
from headstart.core.wrappers import OneTask
from headstart.errors import UsageError
from headstart.experience.meta_gradient import InnerStep, MetaProblem, average

__all__ = ["MAML", "TRPO", "AbstractOuter", "Clipped", "MAMLState", "judged"]

RIDGE = 1e-5  # of the mean square of each feature: less, and 32 bits do not tell time², time³ and the others apart
SLACK = 1.5  # by how much nats may miss their target before their price changes
HALVED = 0.5  # the rate of all updates but the first, when a policy adapts for good


class AbstractOuter(eqx.Module):
    """How the initial policy moves, once trajectories are there."""

    @abc.abstractmethod
    def init(self, network: AbstractNetwork) -> PyTree:
        """What the outer step remembers from one iteration to the next, before the first."""

    @abc.abstractmethod
    def update(
        self, network: AbstractNetwork, state: PyTree, problem: MetaProblem
    ) -> tuple[AbstractNetwork, PyTree, Metrics]:
        """The initial network after an outer step."""


class TRPO(AbstractOuter):
    """As far as the adapted policies may move, by the natural gradient; and no further than gains.

    **Arguments:**

    - `region`: how far, and how it is found.
    - `every`: judge curvature, and nothing else, from one of so many steps of each trajectory. On the plane, with one
      seed, 1 of 5 took a seventh of the time of all steps. What a step of that divergence gains on fresh trajectories
      was the same at the first iteration, and at the 17th 0.77 of it; 0.72 with 1 of 10, and 0.60 with 1 of 20.
      Curvature that takes the inner step for a constant came to 0.48.

    **Raises:** `UsageError` for less than every step.
    """

    region: TrustRegion = TrustRegion()
    every: int = 1

    def __check_init__(self):
        if self.every < 1:
            raise UsageError(f"curvature cannot be judged from one of {self.every} steps; ask for 1 or more")

    def init(self, network: AbstractNetwork) -> None:
        return None

    def update(
        self, network: AbstractNetwork, state: None, problem: MetaProblem
    ) -> tuple[AbstractNetwork, None, Metrics]:
        arrays, rest = learns(network)
        vector, shaped = ravel_pytree(arrays)
        built = lambda vector: eqx.combine(shaped(vector), rest)
        # Without credit, the policies before a step count for nothing, and need not be differentiated at every turn.
        first = 0 if problem.credit else len(problem.inner)
        outputs = lambda vector: problem.policies(built(vector))[first:]
        curvature = None
        if self.every > 1:
            some = problem.thinned(self.every)
            curvature = (lambda vector: some.policies(built(vector))[-1:], some.moved)
        move = self.region.ascend(problem.gain, outputs, problem.moved, vector, curvature=curvature)
        return built(move.vector), None, move.reported("trpo")


class ClippedState(eqx.Module):
    """What Adam remembers, and the penalty η."""

    optimiser: tuple[optax.OptState, ...]
    penalty: Float[Array, ""]


class Clipped(AbstractOuter):
    """A few steps of Adam, in which no probability gains by moving far, and the initial policy keeps near what acted.

    **Arguments:**

    - `learning_rate`: of Adam. `epochs`: its steps on the same trajectories.
    - `reach`: ε, how far a probability of an adapted policy may move before its gain counts no more.
    - `penalty`: η, for every nat by which the policies before an inner step leave those that acted.
    - `target`: nats that they are to leave them by. Where an outer step ends at more than one and a half times of that,
      η doubles; where at less than a part in one and a half, it halves. η stays as it is if `None`.

    **Raises:** `UsageError` for less than one epoch, a reach of nothing, or a target that no penalty can lead to.
    """

    learning_rate: float | optax.Schedule = 1e-3
    epochs: int = 5
    reach: float = 0.3
    penalty: float = 5e-4
    target: float | None = None

    def __check_init__(self):
        if self.target is not None and not (self.target > 0 and self.penalty > 0):
            raise UsageError(
                f"a penalty of {self.penalty} does not find its way to a target of {self.target} nats; both must be "
                "more than 0"
            )
        if self.epochs < 1 or not self.reach > 0:
            raise UsageError(
                f"{self.epochs} epochs that reach {self.reach} leave a policy where it is; ask for 1 epoch or more, "
                "and a reach of more than 0"
            )

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)

    def init(self, network: AbstractNetwork) -> ClippedState:
        return ClippedState(prepare(self.optimiser, (network,)), jnp.asarray(self.penalty, jnp.float32))

    def update(
        self, network: AbstractNetwork, state: ClippedState, problem: MetaProblem
    ) -> tuple[AbstractNetwork, ClippedState, Metrics]:
        acted = problem.policies(network)

        def loss(parts: tuple[AbstractNetwork]) -> tuple[Float[Array, ""], Metrics]:
            policies = problem.policies(parts[0])
            gained, strayed = problem.gain(policies, self.reach), problem.strayed(acted, policies)
            metrics = {"clipped/gained": gained, "clipped/strayed": strayed}
            return state.penalty * strayed - gained, metrics | {"clipped/divergence": problem.moved(acted, policies)}

        def epoch(carry, _):
            (network,), optimiser, descent = descend(loss, (carry[0],), self.optimiser, carry[1])
            return (network, optimiser), descent.reported("clipped")

        (network, optimiser), metrics = scan(epoch, (network, state.optimiser), None, length=self.epochs)
        metrics = jax.tree.map(lambda values: values[-1], metrics) | {"clipped/penalty": state.penalty}
        penalty = state.penalty
        if self.target is not None:
            strayed = problem.strayed(acted, problem.policies(network))
            penalty = jnp.where(strayed > SLACK * self.target, 2.0 * penalty, penalty)
            penalty = jnp.where(strayed < self.target / SLACK, 0.5 * penalty, penalty)
        return network, ClippedState(optimiser, penalty), metrics


class MAMLState(eqx.Module):
    """What evolves: the initial network, and what the outer step remembers."""

    network: AbstractNetwork
    outer: PyTree


class MAML(AbstractProcess):
    """Learns an initial policy, by tasks that a step of policy gradient is then made in.

    **Arguments:**

    - `world`: the family of tasks.
    - `network`: a function from a key to a fresh network. Of its outputs, only the policy is used.
    - `inner`: the step by which policies adapt. `outer`: the one by which the initial policy learns.
    - `credit`: how much an initial policy is credited with what its trajectories led to, beyond what the inner
      surrogate says of it: 0, or 1 with the surrogate `plain`.
    - `tasks`, `lanes`, `length`: tasks in an iteration, trajectories in each before every step, and steps in each.
    - `steps`: inner steps.
    - `discount`: γ, per step; `trace`: λ.

    A task whose inner step is not finite leaves the initial network as it is. `maml/task/skipped` is then its number in
    that iteration, from 1, and a run stops where that goes on.

    **Raises:** `UsageError` for less than one task, lane, step or inner step, or a family of one task.
    """

    world: AbstractWorld
    network: Callable[[Key], AbstractNetwork]
    inner: InnerStep = InnerStep()
    outer: AbstractOuter = TRPO()
    credit: float = 0.0
    tasks: int = 40
    lanes: int = 20
    length: int = 100
    steps: int = 1
    discount: float = 0.99
    trace: float = 1.0

    def __check_init__(self):
        for name in ("tasks", "lanes", "length", "steps"):
            if (number := getattr(self, name)) < 1:
                raise UsageError(f"MAML with {name} = {number} has nothing to learn from; ask for 1 or more")
        if isinstance(self.world, OneTask):
            raise UsageError("a family of one task leaves nothing to adapt to; give MAML the world of many tasks")

    def init(self, *, key: Key) -> MAMLState:
        network = self.network(key)
        return MAMLState(network, self.outer.init(network))

    def step(self, state: MAMLState, *, key: Key) -> tuple[MAMLState, Metrics]:
        task_key, gather_key = jax.random.split(key)
        tasks = jax.vmap(lambda key: self.world.task(key=key))(jax.random.split(task_key, self.tasks))
        problem, metrics, finite = self.gather(state.network, tasks, key=gather_key)
        network, outer, reported = self.outer.update(state.network, state.outer, problem)
        whole = jnp.all(finite)
        keep = lambda new, old: jnp.where(whole, new, old) if eqx.is_array(new) else new
        state = jax.tree.map(keep, MAMLState(network, outer), state)
        skipped = jnp.where(whole, 0, 1 + jnp.argmin(finite)).astype(jnp.float32)
        return state, metrics | reported | {"maml/task/skipped": skipped}

    def gather(self, network: AbstractNetwork, tasks: Task, *, key: Key) -> tuple[MetaProblem, Metrics, Array]:
        """What an iteration learns from, in tasks `[tasks]`; and of which of them the inner steps were finite."""

        def one(task: Task, key: Key):
            *before_keys, after_key = jax.random.split(key, self.steps + 1)
            inner, adapted = [], network
            for before_key in before_keys:
                inner.append(self.explore(adapted, task, key=before_key)[0])
                adapted = self.inner(adapted, inner[-1])
            finite = jnp.all(jnp.isfinite(ravel_pytree(learns(adapted)[0])[0]))
            outer, spread = self.explore(adapted, task, key=after_key)
            return tuple(inner), outer, spread, finite

        inner, outer, spread, finite = jax.vmap(one)(tasks, jax.random.split(key, self.tasks))
        before, after = jax.vmap(_returns)(inner[0]), jax.vmap(_returns)(outer)
        # Other tasks tell what to expect, as they do not depend on how this one was explored; and like the gain, the
        # credit is per step and in units of the advantages' spread.
        others = (jnp.sum(after) - after) / max(self.tasks - 1, 1)
        steps = jnp.sum(outer.notes["counts"], axis=(1, 2)) / self.lanes
        problem = MetaProblem(self.inner, inner, outer, (after - others) / (spread * steps), self.credit)
        return problem, {"episode/return": jnp.mean(after), "episode/return_before": jnp.mean(before)}, finite

    def explore(self, network: AbstractNetwork, task: Task, *, key: Key) -> tuple[Rollout, Float[Array, ""]]:
        """A rollout `[T, B]` in one task, judged."""
        begin_key, collect_key = jax.random.split(key)
        world = OneTask(self.world, task)

        def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
            output, memory = network(percept, memory)
            action = output.policy.sample(key=key)
            return Choice(action, {"log_prob": output.policy.log_prob(action)}), memory

        lanes = begin(world, network, self.lanes, key=begin_key)
        _, rollout = collect(world, network, act, lanes, self.length, key=collect_key)
        return judged(rollout, self.discount, self.trace)

    def adapt(
        self, network: AbstractNetwork, tasks: Task, steps: int, *, key: Key, lessons: Task | None = None
    ) -> tuple[PyTree, Float[Array, "tasks points"]]:
        """Adapt an initial network to each of many tasks, as for good: a k-shot curve.

        The rate is halved after the first update, as in the experiments of Finn and others. Before each update fresh
        trajectories are gathered, which also tell how good the policy is that gathered them.

        **Arguments:**

        - `tasks`: leaves `[tasks, ...]`.
        - `steps`: updates, 0 or more.
        - `lessons`: as many tasks, of which each one's policy learns in place of its own; its own if `None`.

        Returns the networks after 0 to `steps` updates, with arrays of `[tasks, points, ...]`, and their mean returns.

        **Raises:** `UsageError` for less than no update.
        """
        if steps < 0:
            raise UsageError(f"a policy cannot adapt by {steps} updates; ask for 0 or more")
        return _adapt(self, network, tasks, lessons, steps, key)


@eqx.filter_jit
def _adapt(process: MAML, network: AbstractNetwork, tasks: Task, lessons: Task | None, steps: int, key: Key):
    rates = jnp.where(jnp.arange(steps + 1) == 0, 1.0, HALVED)

    def one(task: Task, lesson: Task | None, key: Key):
        def point(network, drawn):
            rate, key = drawn
            rollout, _ = process.explore(network, task, key=key)
            learned = rollout if lesson is None else process.explore(network, lesson, key=key)[0]
            return process.inner(network, learned, rate), (eqx.filter(network, eqx.is_array), _returns(rollout))

        return scan(point, network, (rates, jax.random.split(key, steps + 1)))[1]

    count = jax.tree.leaves(tasks)[0].shape[0]
    networks, found = jax.vmap(one)(tasks, lessons, jax.random.split(key, count))
    return eqx.combine(networks, eqx.filter(network, eqx.is_array, inverse=True)), found


def _returns(rollout: Rollout) -> Float[Array, ""]:
    """The mean return of the trajectories of a judged rollout `[T, B]`, undiscounted."""
    return jnp.mean(jnp.sum(rollout.reward * rollout.notes["counts"], axis=0))


def judged(rollout: Rollout, discount: float, trace: float) -> tuple[Rollout, Float[Array, ""]]:
    """A rollout `[T, B]` of one policy in one task, with `notes["counts"]` and `notes["advantage"]`, and their spread.

    The baseline of Duan and others (*Benchmarking deep reinforcement learning for continuous control*, ICML 2016):
    returns are regressed on what is observed, its square, t, t², t³ and 1, where t is in hundreds of steps. Advantages
    are then made to have mean 0 and standard deviation 1; `spread` is what it was before.

    **Arguments:**

    - `discount`: γ; `trace`: λ, of generalised advantages.
    """
    ended = jnp.cumsum(rollout.last, axis=0)
    counts = (ended - rollout.last == 0).astype(jnp.float32)
    reward = rollout.reward * counts
    gamma, nothing = jnp.full_like(reward, discount), jnp.zeros_like(reward)
    above = lambda trace: jax.vmap(partial(generalised_advantages, trace=trace), in_axes=1, out_axes=1)
    # Above a value of nothing, and with λ = 1, advantages are returns.
    value = _fitted(_features(rollout), above(1.0)(reward, gamma, rollout.last, nothing, nothing), counts)
    after = jnp.concatenate([value[1:], nothing[:1]]) * (1.0 - rollout.last)
    advantage = above(trace)(reward, gamma, rollout.last, value, after)
    notes = rollout.notes | {"counts": counts}
    rollout = eqx.tree_at(lambda rollout: rollout.notes, rollout, notes)
    centred = (advantage - average(advantage, rollout)) * counts
    spread = jnp.sqrt(average(centred**2, rollout)) + 1e-8
    return eqx.tree_at(lambda rollout: rollout.notes, rollout, notes | {"advantage": centred / spread}), spread


def _features(rollout: Rollout) -> Float[Array, "T B features"]:
    seen = jax.vmap(jax.vmap(flat))((rollout.percept.observation, rollout.percept.goal))
    time = jnp.broadcast_to(jnp.arange(len(seen))[:, None, None] / 100.0, (*seen.shape[:2], 1))
    return jnp.concatenate([seen, seen**2, time, time**2, time**3, jnp.ones_like(time)], axis=-1)


def _fitted(
    features: Float[Array, "T B features"], target: Float[Array, "T B"], counts: Float[Array, "T B"]
) -> Float[Array, "T B"]:
    """What ridge regression makes of the target."""
    size = jnp.sqrt(jnp.sum(features**2 * counts[..., None], axis=(0, 1)) / jnp.sum(counts))
    scaled = features / jnp.where(size > 0, size, 1.0)
    rows = (scaled * counts[..., None]).reshape(-1, scaled.shape[-1])
    square = rows.T @ rows / jnp.sum(counts) + RIDGE * jnp.eye(rows.shape[-1])
    weights = jnp.linalg.solve(square, rows.T @ target.reshape(-1) / jnp.sum(counts))
    return scaled @ weights
