"""Goal-directed behaviour: one policy sets goals in a space that is learned, and another one reaches them.

Binz, *Learning goal-directed behaviour*, master's thesis, KTH Royal Institute of Technology, 2017. Only its abstract
could be consulted: a learned space of goals, a policy that sets goals and one that reaches them, deep networks that are
trained together, on continuous control with sparse rewards. All that follows beyond it is a design of ours that agrees
with it.

| idea | here |
|---|---|
| e(s), where a state lies in the space of goals | `Hierarchy.place`, a perceptron |
| g, a goal: how far to be moved in that space | an action of the manager, in [−1, 1]ᵈ, for the next c steps |
| c | `every` |
| the policy that sets goals, for the world's reward | `manager`: PPO, whose every step is c steps of the world |
| the policy that reaches goals | `worker`: PPO, which sees what is left, e(s₀) + g − e(s); s₀ is where g was set |
| its reward, ‖e(s₀) + g − e(s)‖ − ‖e(s₀) + g − e(s′)‖ | by how much nearer the step came: `_paid` |

**How the space is learned**: the way in it is to tell what was done, e(sᵢ) − e(s₀) ≈ (a₀ + … + aᵢ₋₁) / c. So it has as
many dimensions as actions have, a goal of length 1 is as far as full effort carries, and what the agent cannot move is
not seen in it (the argument of Pathak and others, *Curiosity-driven exploration by self-supervised prediction*, ICML
2017). This takes no reward, and so works where there is none yet.

**When the manager learns**: only from rollouts in which something was earned, if it is `Patient`. Those of nothing
would carry its goals off to some corner before the first reward, for good.

**Why a process and not a learner**: a learner is given one rollout of one kind of step, and here are two kinds, of two
lengths, for two learners. But either of them is plain PPO, with networks, advantages and all. What is new is how one
rollout of the world is read as two.

All lanes set their goals at the same moments: `Whole` lets an episode that ends in between wait for the others.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from headstart.core.collect import Lanes, begin, collect_lanes, example
from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActorCritic, flat, perceptron
from headstart.core.on_policy import OnPolicyState
from headstart.core.optimise import clipped_adam, descend, prepare
from headstart.core.process import AbstractProcess, Tally
from headstart.core.scan import scan
from headstart.core.types import Choice, Key, Metrics, Output, Percept, Rollout, Task
from headstart.core.world import AbstractWorld, Box
from headstart.core.wrappers import Like, Whole
from headstart.errors import UsageError
from headstart.scratch.ppo import PPO

__all__ = ["GoalDirected", "GoalDirectedState", "Hierarchy", "Learned", "Patient", "Pursuit"]


class Patient(PPO):
    """PPO that lets go by what earned nothing.

    It scales advantages to one size. Where nothing was earned they are noise, and would lead it astray before it has
    met anything that it could learn from.

    **Arguments:** those of `PPO`.
    """

    def update(self, state: OnPolicyState, rollout: Rollout, *, key: Key) -> tuple[OnPolicyState, Metrics]:
        learned, metrics = super().update(state, rollout, key=key)
        earned = jnp.any(rollout.reward != 0)
        keep = lambda new, old: jnp.where(earned, new, old) if eqx.is_array(new) else new
        return jax.tree.map(keep, learned, state), metrics


class Pursuit(eqx.Module):
    """A goal that is pursued: where in the space it lies, and how many steps ago it was set (0: set one now)."""

    target: Float[Array, "d"]
    clock: Int[Array, ""]


class Hierarchy(AbstractNetwork):
    """Manager, worker and the space between them as one network, which pursues each goal for `every` steps.

    Its policy is the worker's. Its goals are the manager's likeliest, as befits one that is not to explore.
    """

    manager: AbstractNetwork
    worker: AbstractNetwork
    place: eqx.nn.MLP
    every: int = eqx.field(static=True)

    def initial(self) -> Pursuit:
        return Pursuit(jnp.zeros(self.place.out_size), jnp.zeros((), jnp.int32))

    def __call__(self, percept: Percept, memory: Pursuit) -> tuple[Output, Pursuit]:
        fresh = self.target(percept, self.manager(percept, None)[0].policy.mode())
        target = jnp.where(memory.clock == 0, fresh, memory.target)
        output, _ = self.worker(self.told(percept, target), None)
        return output, Pursuit(target, (memory.clock + 1) % self.every)

    def where(self, percept: Percept) -> Float[Array, "d"]:
        """e(s)."""
        return self.place(flat(percept.observation))

    def target(self, percept: Percept, goal: Float[Array, "d"]) -> Float[Array, "d"]:
        """e(s₀) + g, for a goal that is set at this moment."""
        return self.where(percept) + jnp.clip(goal, -1.0, 1.0)

    def told(self, percept: Percept, target: Float[Array, "d"]) -> Percept:
        """What the worker perceives: its goal is what is left of the way."""
        left = target - self.where(percept)
        return eqx.tree_at(lambda percept: percept.goal, percept, left, is_leaf=lambda leaf: leaf is None)


class Learned(eqx.Module):
    """What both policies and the space have learned so far."""

    manager: OnPolicyState
    worker: OnPolicyState
    place: eqx.nn.MLP
    optimiser: tuple[optax.OptState, ...]
    every: int = eqx.field(static=True)

    @property
    def network(self) -> Hierarchy:
        return Hierarchy(self.manager.network, self.worker.network, self.place, self.every)


class GoalDirectedState(eqx.Module):
    """What evolves. `goals` are those that reached the workers of all lanes last."""

    learner: Learned
    lanes: Lanes
    goals: Float[Array, "B d"]
    tally: Tally


class GoalDirected(AbstractProcess):
    """`stretches` goals in each of `lanes` lanes, then one update of the manager, the worker and the space.

    **Arguments:**

    - `world`: where to learn, with real actions.
    - `every`: c, steps for each goal.
    - `manager`: learns to set goals; its discount is per goal. `worker`: learns to reach them.
    - `width`: of the hidden layers of all networks.
    - `lessons`, `learning_rate`: gradient steps for the space in an update, and their size.

    **Raises:** `UsageError` for a world with discrete actions, or for less than one step for a goal.
    """

    world: AbstractWorld
    every: int = 10
    manager: PPO = Patient()
    worker: PPO = PPO()
    lanes: int = 64
    stretches: int = 10
    width: int = 64
    lessons: int = 8
    learning_rate: float = 1e-3

    def __check_init__(self):
        if not isinstance(self.world.actions, Box):
            raise UsageError(
                f"{type(self.world).__name__} has discrete actions, and goals are reached by degrees; use real ones"
            )
        if self.every < 1:
            raise UsageError(f"a goal for {self.every} steps is none; ask for 1 or more")

    @property
    def length(self) -> int:
        """Steps of the world in each lane between updates."""
        return self.every * self.stretches

    @property
    def whole(self) -> Whole:
        return Whole(self.world, self.every)

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return clipped_adam(self.learning_rate, clip=1.0)

    def init(self, *, key: Key) -> GoalDirectedState:
        manager_key, worker_key, place_key, lanes_key = jax.random.split(key, 4)
        size = self.world.actions.zero().size
        sets, reaches = _Sets(self.whole, size), _Reaches(self.whole, size)
        manager, worker = (
            ActorCritic(sets, manager_key, width=self.width),
            ActorCritic(reaches, worker_key, width=self.width),
        )
        lanes = begin(self.whole, manager, self.lanes, key=lanes_key)
        seen = flat(lanes.percept.observation).size // self.lanes
        place = perceptron(seen, size, self.width, 2, scale=1.0, key=place_key)
        learned = Learned(
            manager=self.manager.init(manager, example(sets, manager, key=lanes_key), key=manager_key),
            worker=self.worker.init(worker, example(reaches, worker, key=lanes_key), key=worker_key),
            place=place,
            optimiser=prepare(self.optimiser, (place,)),
            every=self.every,
        )
        return GoalDirectedState(learned, lanes, jnp.zeros((self.lanes, size)), Tally.zero(self.lanes))

    def step(self, state: GoalDirectedState, *, key: Key) -> tuple[GoalDirectedState, Metrics]:
        collect_key, manager_key, worker_key = jax.random.split(key, 3)
        stretch = lambda carry, key: self.stretch(state.learner.network, *carry, key=key)
        keys = jax.random.split(collect_key, self.stretches)
        (lanes, goals), (ordered, done) = scan(stretch, (state.lanes, state.goals), keys)
        manager, setting = self.manager.update(state.learner.manager, ordered, key=manager_key)
        long = jax.tree.map(lambda leaf: leaf.reshape(self.length, *leaf.shape[2:]), done)
        worker, reaching = self.worker.update(state.learner.worker, long, key=worker_key)
        place, optimiser, placing = self._place(state.learner, done)
        learned = Learned(manager, worker, place, optimiser, self.every)
        world_rollout = eqx.tree_at(
            lambda step: (step.reward, step.last), long, (long.notes["earned"], long.notes["over"])
        )
        tally, episodes = state.tally.count(world_rollout)
        metrics = {f"manager/{name}": value for name, value in setting.items()}
        metrics |= {f"worker/{name}": value for name, value in reaching.items()} | placing | episodes
        return GoalDirectedState(learned, lanes, goals, tally), metrics

    def convey(
        self, said: Float[Array, "B d"], before: Float[Array, "B d"], first: Bool[Array, "B"], *, key: Key
    ) -> Float[Array, "B d"]:
        """The goals that reach the workers, of those that were `said`: the same. Studies meddle here."""
        return said

    def stretch(
        self, network: Hierarchy, lanes: Lanes, before: Float[Array, "B d"], *, key: Key, explore: bool = True
    ) -> tuple[tuple[Lanes, Float[Array, "B d"]], tuple[Rollout, Rollout]]:
        """One goal in every lane.

        Returns where the lanes stand and their goals, the manager's step `[B]` and the worker's steps `[c, B]`.
        """
        say_key, convey_key, act_key = jax.random.split(key, 3)
        opinion = jax.vmap(lambda percept: network.manager(percept, None)[0])(lanes.percept)
        said = opinion.policy.sample(key=say_key) if explore else opinion.policy.mode()
        goals = self.convey(said, before, lanes.percept.first, key=convey_key)
        target = jax.vmap(network.target)(lanes.percept, goals)

        def decide(lanes: Lanes, *, key: Key) -> tuple[Choice, None]:
            told = jax.vmap(network.told)(lanes.percept, target)
            output = jax.vmap(lambda percept: network.worker(percept, None)[0])(told)
            action = output.policy.sample(key=key) if explore else output.policy.mode()
            return Choice(action, {"log_prob": output.policy.log_prob(action), "value": output.value}), None

        lanes, done = collect_lanes(self.whole, network.manager, decide, lanes, self.every, key=act_key)
        notes = {"log_prob": opinion.policy.log_prob(said), "value": opinion.value}
        notes |= {"memory": None, "memory_after": None}
        first, final = jax.tree.map(lambda leaf: leaf[0], done), jax.tree.map(lambda leaf: leaf[-1], done)
        ordered = eqx.tree_at(
            lambda step: (step.percept, step.action, step.reward, step.notes),
            final,
            (first.percept, said, jnp.sum(done.reward, axis=0), notes),
        )
        return (lanes, goals), (ordered, self._paid(network, done, target))

    def _paid(self, network: Hierarchy, done: Rollout, target: Float[Array, "B d"]) -> Rollout:
        """The worker's steps: rewarded for the way made to the target, of which each stretch is an episode."""
        tell = lambda percepts: jax.vmap(jax.vmap(network.told), in_axes=(0, None))(percepts, target)
        percept, after = tell(done.percept), tell(done.after)
        nearer = jnp.linalg.norm(percept.goal, axis=-1) - jnp.linalg.norm(after.goal, axis=-1)
        due = jnp.arange(self.every)[:, None] == self.every - 1
        notes = done.notes | {"earned": done.reward, "over": done.last}
        return eqx.tree_at(
            lambda step: (step.percept, step.after, step.reward, step.discount, step.last, step.notes),
            done,
            (percept, after, nearer, jnp.where(due, 0.0, jnp.ones_like(nearer)), done.last | due, notes),
        )

    def _place(self, learned: Learned, done: Rollout) -> tuple[eqx.nn.MLP, tuple[optax.OptState, ...], Metrics]:
        """The space after a few gradient steps: the way from where a goal was set tells what was done since then."""
        effort = jnp.cumsum(jnp.clip(done.action, -1.0, 1.0), axis=1) / self.every
        begun = jax.tree.map(lambda leaf: leaf[:, :1], done.percept.observation)

        def loss(parts):
            (place,) = parts
            each = jax.vmap(jax.vmap(jax.vmap(lambda observation: place(flat(observation)))))
            missed = each(done.after.observation) - each(begun) - effort
            return (error := jnp.mean(missed**2)), {"space/error": error}

        def lesson(state, _):
            (place,), optimiser, descent = descend(loss, (state[0],), self.optimiser, state[1])
            return (place, optimiser), descent.metrics

        (place, optimiser), metrics = scan(lesson, (learned.place, learned.optimiser), None, length=self.lessons)
        return place, optimiser, jax.tree.map(jnp.mean, metrics)


class _Sets(Like):
    """The world as the manager acts in it: its actions are goals."""

    world: AbstractWorld
    size: int

    @property
    def actions(self) -> Box:
        return Box(-jnp.ones(self.size), jnp.ones(self.size))


class _Reaches(Like):
    """The world as the worker is told of it: with a goal."""

    world: AbstractWorld
    size: int

    def task(self, *, key: Key) -> Task:
        goal = jnp.zeros(self.size)
        return eqx.tree_at(lambda task: task.goal, self.world.task(key=key), goal, is_leaf=lambda leaf: leaf is None)
