"""`Hosted`: the same learner around environments that live in ordinary Python.

The loop is here and knows only `AbstractHost`: a batch of environments that says of every step what truly followed
*and* where each lane stands now. Gymnasium's half, with its autoreset modes and its spaces, is a host in
`headstart.worlds.adapters.gymnasium`, so that `core` imports no environment library and another one is another host.

Acting and learning are jitted; stepping is plain Python, not a callback from inside a compiled program: a callback
cannot be vmapped, buries an environment's exception and hides its state.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

from headstart.core.ahead import Ahead
from headstart.core.learner import AbstractLearner, LearnerState
from headstart.core.network import AbstractNetwork, Memory, blank
from headstart.core.process import AbstractProcess, Tally
from headstart.core.types import Choice, Key, Metrics, Percept, Rollout, Step
from headstart.core.world import Box, Discrete

__all__ = ["AbstractHost", "Answer", "Hosted", "HostedState", "Sight", "survey"]


class Sight(eqx.Module):
    """What every lane sees at one moment: NumPy leaves `[B, ...]`."""

    observation: PyTree[Any]
    goal: PyTree[Any] | None = None
    legal: Any = None


class Answer(eqx.Module):
    """What followed from one action in every lane: NumPy leaves `[B, ...]`.

    `after` is the true successor; `now` is where the lane stands, which is a fresh episode where `last`.
    """

    reward: Any
    discount: Any
    last: Any
    after: Sight
    now: Sight


class AbstractHost(abc.ABC):
    """Environments side by side, stepped in Python. Unlike all else in `core` it changes as it is used."""

    lanes: int
    actions: Discrete | Box
    sight: Sight
    """What one lane sees, all zero: leaves without a leading axis, for a network to be made by."""
    clock: int = -1
    """Steps since `begin`; −1 before it."""

    @abc.abstractmethod
    def begin(self, seed: int) -> Sight:
        """Start an episode in every lane, and set the clock to 0."""

    @abc.abstractmethod
    def step(self, action: Any) -> Answer:
        """One step in every lane, and a fresh episode where one ended. A lane never spends a step on its reset.

        **Raises:** `BadData` naming lane, step and field when an environment raises or answers what is not finite.
        """

    def metrics(self) -> dict[str, float]:
        """What else there is to report, such as restarts. Always the same names."""
        return {}


def survey(host: AbstractHost, steps: int = 50, *, seed: int = 0) -> tuple[Sight, Sight]:
    """Mean and standard deviation of what every number that is seen is, over random play of `steps` steps in each lane.

    No deviation is less than 0.01, as in the normaliser of Andrychowicz and others (*Hindsight experience replay*,
    2017): what hardly moved at random may move later. The next process that uses the host begins anew.
    """
    random = np.random.default_rng(seed)
    moments = [host.begin(seed)]
    for _ in range(steps):
        if isinstance(host.actions, Discrete):
            action = random.integers(host.actions.count, size=host.lanes)
        else:
            action = random.uniform(-1.0, 1.0, (host.lanes, host.actions.low.size)).astype(np.float32)
        moments.append(host.step(action).now)
    host.clock = -1
    seen = jax.tree.map(
        lambda *leaves: np.concatenate(leaves), *(Sight(each.observation, each.goal) for each in moments)
    )
    mean = jax.tree.map(lambda leaf: leaf.mean(axis=0), seen)
    return mean, jax.tree.map(lambda leaf: np.maximum(leaf.std(axis=0), 0.01), seen)


class HostedState(eqx.Module):
    """What `Hosted` carries. The environments themselves are *not* in it, nor in a checkpoint of it.

    `clock` is the host's when this state was made. Where they differ, as after a resume, every lane starts a new
    episode: the learner goes on exactly, the episodes in progress are given up.
    """

    learner: LearnerState
    percept: Percept
    memory: Memory
    tally: Tally
    clock: Int[Array, ""]


class Hosted(AbstractProcess):
    """`length` steps in every lane of a host, then one update of the learner.

    **Arguments:**

    - `host`: the environments. A source cannot stage them: they are no world.
    - `network`: a function from a key to a fresh network; and from what is `typical`, if that is surveyed.
    - `learner`: who learns.
    - `length`: steps in each lane between updates.
    - `survey_steps`: of random play in each lane, before all else, that tell what is typical: see `survey`.
    """

    compiled: ClassVar[bool] = False

    host: AbstractHost
    network: Callable[..., AbstractNetwork]
    learner: AbstractLearner
    length: int = 32
    survey_steps: int = 0

    def init(self, *, key: Key) -> HostedState:
        network_key, learner_key, lanes_key = jax.random.split(key, 3)
        _update.prepare(self._like_update)
        typical = survey(self.host, self.survey_steps) if self.survey_steps else None
        percept = self._begin(key=lanes_key)
        learner, memory = eqx.filter_jit(self._fresh)(percept, typical, network_key, learner_key)
        return HostedState(learner, percept, memory, Tally.zero(self.host.lanes), jnp.asarray(self.host.clock))

    def outline(self, *, key: Key) -> HostedState:
        """Without a step of the environments, nor a start."""
        lanes = self.host.lanes
        sight = jax.tree.map(lambda leaf: np.zeros((lanes, *np.shape(leaf)), leaf.dtype), self.host.sight)

        def outlined(percept: Percept, key: Key) -> HostedState:
            typical = (self.host.sight, self.host.sight) if self.survey_steps else None
            learner, memory = self._fresh(percept, typical, key, key)
            return HostedState(learner, percept, memory, Tally.zero(lanes), jnp.zeros((), jnp.int32))

        return eqx.filter_eval_shape(outlined, self._first(sight), key)

    def step(self, state: HostedState, *, key: Key) -> tuple[HostedState, Metrics]:
        collect_key, update_key, begin_key = (*jax.random.split(key), jax.random.fold_in(key, 2))
        percept, memory, tally = state.percept, state.memory, state.tally
        if int(state.clock) != self.host.clock:
            percept, memory = self.begin(state.learner.network, key=begin_key)
            tally = Tally.zero(self.host.lanes)
        percept, memory, rollout = self.collect(state.learner, percept, memory, key=collect_key)
        learner, tally, metrics = _update(self.learner, state.learner, tally, rollout, update_key)
        state = HostedState(learner, percept, memory, tally, jnp.asarray(self.host.clock))
        return state, metrics | {name: jnp.asarray(value) for name, value in self.host.metrics().items()}

    def collect(
        self, learner: LearnerState, percept: Percept, memory: Memory, *, key: Key
    ) -> tuple[Percept, Memory, Rollout]:
        """Where the lanes stand after `length` steps, and the rollout `[length, B]`, as `core.collect` records it."""
        steps = []
        for index in range(self.length):
            choice, before, memory = _act(self.learner, learner, percept, memory, key, np.asarray(index), self.length)
            action = jax.device_get(choice.action)
            _update.compile()  # while the environments step
            answer = self.host.step(action)
            answered = {"action": action, "reward": answer.reward, "discount": answer.discount}
            after = _percept(answer.after, np.zeros_like(answer.last), **answered)
            steps.append(
                Step(
                    percept=percept,
                    action=choice.action,
                    reward=jnp.asarray(answer.reward),
                    discount=jnp.asarray(answer.discount),
                    last=jnp.asarray(answer.last),
                    after=after,
                    notes=choice.notes | {"memory": before, "memory_after": memory},
                )
            )
            percept = _percept(answer.now, answer.last, **_forget(answered, answer.last))
        rollout = jax.tree.map(lambda *moments: np.stack(moments), *jax.device_get(steps))
        return percept, memory, rollout

    def begin(self, network: AbstractNetwork, *, key: Key) -> tuple[Percept, Memory]:
        """An episode begun in every lane, and a memory without past for each."""
        return self._begin(key=key), _memories(network, self.host.lanes)

    def _begin(self, *, key: Key) -> Percept:
        seed = int(np.asarray(jax.random.key_data(key)).ravel()[-1])  # is random already
        return self._first(self.host.begin(seed % 2**30))

    def _first(self, sight: Sight) -> Percept:
        lanes = self.host.lanes
        action = jax.tree.map(lambda leaf: np.asarray(_spread(leaf, lanes)), self.host.actions.zero())
        nothing = np.zeros(lanes, np.float32)
        return _percept(sight, np.ones(lanes, bool), action=action, reward=nothing, discount=nothing)

    def _fresh(
        self, percept: Percept, typical: tuple[Sight, Sight] | None, network_key: Key, learner_key: Key
    ) -> tuple[LearnerState, Memory]:
        """The learner before any experience, and the memory of every lane."""
        network = self.network(network_key) if typical is None else self.network(network_key, typical=typical)
        learner = self.learner.init(network, self._example(percept, network), key=learner_key)
        return learner, _memories(network, self.host.lanes)

    def _like_update(self) -> tuple[Any, ...]:
        """Arguments of the shapes and types that `_update` will have."""
        key, index = jax.random.key(0), np.asarray(0)
        state = self.outline(key=key)

        def collected(learner: LearnerState, percept: Percept, memory: Memory) -> Rollout:
            choice, before, after = _act(self.learner, learner, percept, memory, key, index, self.length)
            number, notes = jnp.zeros(self.host.lanes), choice.notes | {"memory": before, "memory_after": after}
            step = Step(percept, choice.action, number, number, number > 0, percept, notes=notes)
            return jax.tree.map(lambda leaf: jnp.stack([leaf] * self.length), step)

        rollout = eqx.filter_eval_shape(collected, state.learner, state.percept, state.memory)
        # Of zeros, which take no memory before they are read.
        zero = lambda leaf: np.zeros(leaf.shape, leaf.dtype) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf
        return self.learner, *jax.tree.map(zero, (state.learner, state.tally, rollout)), key

    def _example(self, percept: Percept, network: AbstractNetwork) -> Step:
        percept = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), percept)
        memory = network.initial()
        scalar, flag = jnp.zeros(()), jnp.array(False)
        notes = {"memory": memory, "memory_after": memory}
        return Step(percept, self.host.actions.zero(), scalar, scalar, flag, percept, notes=notes)


def _percept(sight: Sight, first: Any, *, action: Any, reward: Any, discount: Any) -> Percept:
    """Plain NumPy in, JAX arrays out: what the jitted half and a checkpoint both take."""
    fields = {"observation": sight.observation, "goal": sight.goal, "legal": sight.legal, "first": first}
    return Percept(**jax.tree.map(jnp.asarray, fields | {"action": action, "reward": reward, "discount": discount}))


def _spread(leaf: Any, lanes: int) -> Array:
    return jnp.broadcast_to(leaf, (lanes, *jnp.shape(leaf)))


def _memories(network: AbstractNetwork, lanes: int) -> Memory:
    return jax.tree.map(lambda leaf: _spread(leaf, lanes), network.initial())


def _forget(answered: dict[str, Any], last: Any) -> dict[str, Any]:
    """What the first moment of an episode tells of the step before: nothing."""
    wide = lambda leaf: last.reshape(-1, *[1] * (leaf.ndim - 1))
    return jax.tree.map(lambda leaf: np.where(wide(leaf), np.zeros_like(leaf), leaf), answered)


@eqx.filter_jit
def _act(
    learner: AbstractLearner,
    state: LearnerState,
    percept: Percept,
    memory: Memory,
    key: Key,
    index: Int[Any, ""],
    length: int,
) -> tuple[Choice, Memory, Memory]:
    """The choices, the memories on entering the moment and those on leaving it.

    The keys are those of moment `index` of `length` in `core.collect`, so that the same agent does the same.
    """
    act_key = jax.random.split(jax.random.split(key, 3)[0], length)[index]
    keys = jax.random.split(act_key, percept.first.shape[0])
    memory = jax.vmap(blank, in_axes=(None, 0, 0))(state.network, memory, percept.first)
    choice, after = jax.vmap(lambda percept, memory, key: learner.act(state, percept, memory, key=key))(
        percept, memory, keys
    )
    return choice, memory, after


@Ahead
def _update(
    learner: AbstractLearner, state: LearnerState, tally: Tally, rollout: Rollout, key: Key
) -> tuple[LearnerState, Tally, Metrics]:
    state, metrics = learner.update(state, jax.tree.map(jnp.asarray, rollout), key=key)
    tally, episodes = tally.count(rollout)
    return state, tally, metrics | episodes
