"""Networks that suit most worlds: perceptrons, with and without memory.

Each is made from a world, or a host of environments, and a key, so that a recipe reads as one line:
`partial(ActorCritic, world)`. Observations and
goals may be any pytree of arrays: they are laid end to end.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from headstart.core.cells import GRU
from headstart.core.hosted import AbstractHost
from headstart.core.network import AbstractActionCritic, AbstractCell, AbstractNetwork, AbstractRecurrent, Memory
from headstart.core.policies import AbstractPolicy, Categorical, Gaussian, Squashed
from headstart.core.types import Frozen, Key, Output, Percept
from headstart.core.world import AbstractWorld, Box, Discrete
from headstart.errors import UsageError

__all__ = [
    "ActionValues",
    "Actor",
    "ActorCritic",
    "ActorCritics",
    "RecurrentActorCritic",
    "TwinRecurrentActorCritic",
    "perceptron",
]


class Actor(AbstractNetwork):
    """A policy from a perceptron, and no value; remembers nothing.

    **Arguments:**

    - `world`: what is observed, and what can be done.
    - `width`, `depth`: of the hidden layers.
    """

    actor: eqx.nn.MLP
    head: Head

    def __init__(self, world: AbstractWorld | AbstractHost, key: Key, *, width: int = 64, depth: int = 2):
        self.head = head(world.actions)
        self.actor = perceptron(_seen(world), self.head.size, width, depth, scale=0.01, key=key)

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        return Output(self.head(self.actor(flat((percept.observation, percept.goal))), percept)), None


class ActorCritic(AbstractNetwork):
    """A policy and a value from two perceptrons that share nothing; remembers nothing.

    **Arguments:**

    - `world`: what is observed, and what can be done.
    - `width`, `depth`: of the hidden layers.
    """

    actor: eqx.nn.MLP
    critic: eqx.nn.MLP
    head: Head

    def __init__(self, world: AbstractWorld | AbstractHost, key: Key, *, width: int = 64, depth: int = 2):
        actor_key, critic_key = jax.random.split(key)
        size = _seen(world)
        self.head = head(world.actions)
        self.actor = perceptron(size, self.head.size, width, depth, scale=0.01, key=actor_key)
        self.critic = perceptron(size, 1, width, depth, scale=1.0, key=critic_key)

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        seen = flat((percept.observation, percept.goal))
        return Output(self.head(self.actor(seen), percept), self.critic(seen)[0]), None


class RecurrentActorCritic(AbstractRecurrent):
    """A policy and a value from a recurrent cell that also hears its last action and what came of it.

    The input of RL² (Duan 2016, section 2.2): observation, last action, last reward and whether an episode ended, which
    is said at the first moment of a trial too. The last action is then zeros and not that of number 0, as in Wang
    (*Learning to reinforcement learn*, 2016): so no end of an inner episode sounds like a beginning.

    **Arguments:**

    - `world`: what is observed, and what can be done.
    - `width`: of the layer before the cell, and of the cell.
    - `cell`: makes what remembers, as `headstart.core.cells.GRU` does: `cell(inputs, width, key=key)`. Others are in
      `headstart.memory`.
    """

    embed: Linear
    cell: AbstractCell
    actor: Linear
    critic: Linear
    head: Head
    world_actions: Discrete | Box

    def __init__(
        self,
        world: AbstractWorld | AbstractHost,
        key: Key,
        *,
        width: int = 64,
        cell: Callable[..., AbstractCell] = GRU,
    ):
        embed_key, cell_key, actor_key, critic_key = jax.random.split(key, 4)
        self.world_actions, self.head = world.actions, head(world.actions)
        self.embed = Linear.drawn(_heard(world), width, key=embed_key)
        self.cell = cell(width, width, key=cell_key)
        self.actor = orthogonal(width, self.head.size, 0.01, actor_key)
        self.critic = orthogonal(width, 1, 1.0, critic_key)

    def hear(self, percept: Percept) -> Float[Array, "width"]:
        return jax.nn.relu(self.embed(hear(self.world_actions, percept)))

    def judge(self, said: Float[Array, "width"], percept: Percept) -> Output:
        return Output(self.head(self.actor(said), percept), self.critic(said)[0], said)


class TwinRecurrentActorCritic(AbstractNetwork):
    """A policy and a value from two recurrent cells that share nothing, as RL² has them (Duan 2016, section 2.4).

    Each hears what `RecurrentActorCritic` hears. Of the two memories, the first is the policy's.

    **Arguments:** those of `RecurrentActorCritic`.
    """

    acting: Recurrent
    judging: Recurrent
    actor: Linear
    critic: Linear
    head: Head
    world_actions: Discrete | Box

    def __init__(
        self,
        world: AbstractWorld | AbstractHost,
        key: Key,
        *,
        width: int = 64,
        cell: Callable[..., AbstractCell] = GRU,
    ):
        acting_key, judging_key, actor_key, critic_key = jax.random.split(key, 4)
        self.world_actions, self.head = world.actions, head(world.actions)
        size = _heard(world)
        self.acting = Recurrent(size, width, cell=cell, key=acting_key)
        self.judging = Recurrent(size, width, cell=cell, key=judging_key)
        self.actor = orthogonal(width, self.head.size, 0.01, actor_key)
        self.critic = orthogonal(width, 1, 1.0, critic_key)

    def initial(self) -> tuple[Memory, Memory]:
        return self.acting.initial(), self.judging.initial()

    def __call__(self, percept: Percept, memory: tuple[Memory, Memory]) -> tuple[Output, tuple[Memory, Memory]]:
        heard = hear(self.world_actions, percept)
        done, acting = self.acting(heard, memory[0])
        judged, judging = self.judging(heard, memory[1])
        return self._judge(done, judged, percept), (acting, judging)

    def unroll(self, percepts: Percept, memory: tuple[Memory, Memory]) -> tuple[Output, tuple[Memory, Memory]]:
        """As `AbstractNetwork.unroll`, but that the cells alone go from moment to moment, or know better."""
        heard = jax.vmap(hear, in_axes=(None, 0))(self.world_actions, percepts)
        done, acting = self.acting.unroll(heard, percepts.first, memory[0])
        judged, judging = self.judging.unroll(heard, percepts.first, memory[1])
        return jax.vmap(self._judge)(done, judged, percepts), (acting, judging)

    def _judge(self, done: Float[Array, "width"], judged: Float[Array, "width"], percept: Percept) -> Output:
        return Output(self.head(self.actor(done), percept), self.critic(judged)[0], done)


class Recurrent(AbstractCell):
    """A cell behind a layer of rectified units, which is a cell again."""

    embed: Linear
    cell: AbstractCell

    def __init__(self, inputs: int, width: int, *, cell: Callable[..., AbstractCell], key: Key):
        embed_key, cell_key = jax.random.split(key)
        self.embed = Linear.drawn(inputs, width, key=embed_key)
        self.cell = cell(width, width, key=cell_key)

    def initial(self) -> Memory:
        return self.cell.initial()

    def __call__(self, heard: Float[Array, "inputs"], state: Memory) -> tuple[Float[Array, "width"], Memory]:
        return self.cell(jax.nn.relu(self.embed(heard)), state)

    def unroll(
        self, heard: Float[Array, "L inputs"], first: Bool[Array, "L"], state: Memory
    ) -> tuple[Float[Array, "L width"], Memory]:
        return self.cell.unroll(jax.nn.relu(jax.vmap(self.embed)(heard)), first, state)


class ActionValues(AbstractNetwork):
    """The value of each discrete action, as `Output.policy` `[actions]`; remembers nothing."""

    values: eqx.nn.MLP

    def __init__(self, world: AbstractWorld | AbstractHost, key: Key, *, width: int = 64, depth: int = 2):
        assert isinstance(world.actions, Discrete)
        self.values = eqx.nn.MLP(_seen(world), world.actions.count, width, depth, key=key)

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        return Output(self.values(flat((percept.observation, percept.goal)))), None


class ActorCritics(AbstractActionCritic):
    """A policy over real actions, and one or more critics that each value an action; remembers nothing.

    For DDPG, TD3 and SAC: the policy is `Squashed`, of whose two numbers for each action the first two learners use
    but the mode. The critics share nothing, so that their errors are their own.

    **Arguments:**

    - `world`: what is observed, and what can be done.
    - `width`, `depth`: of the hidden layers. `critics`: how many.
    - `typical`: mean and standard deviation of what is seen, as `headstart.core.hosted.survey` finds them. What is
      shown is then judged by them, and cut at five deviations; as it is if `None`.

    **Raises:** `UsageError` for a world of discrete actions.
    """

    actor: eqx.nn.MLP
    critics: tuple[eqx.nn.MLP, ...]
    typical: Frozen[tuple[Float[Array, "seen"], Float[Array, "seen"]]] | None

    def __init__(
        self,
        world: AbstractWorld | AbstractHost,
        key: Key,
        *,
        width: int = 256,
        depth: int = 2,
        critics: int = 2,
        typical: tuple[Sight, Sight] | None = None,
    ):
        if not isinstance(world.actions, Box):
            raise UsageError(f"{type(world).__name__} has discrete actions, which ActorCritics cannot take; use DQN")
        actor_key, *critic_keys = jax.random.split(key, critics + 1)
        seen, size = _seen(world), world.actions.low.size
        self.actor = rectified(seen, 2 * size, width, depth, key=actor_key)
        self.critics = tuple(rectified(seen + size, 1, width, depth, key=key) for key in critic_keys)
        laid = lambda sight: flat(jax.tree.map(jnp.asarray, (sight.observation, sight.goal)))
        self.typical = None if typical is None else Frozen((laid(typical[0]), laid(typical[1])))

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        mean, spread = jnp.split(self.actor(self._see(percept)), 2)
        # Between e⁻⁵ and e², smoothly: beyond, samples are all alike or all at the bounds.
        return Output(Squashed(mean, -1.5 + 3.5 * jnp.tanh(spread))), None

    def judge(self, percept: Percept, action: Float[Array, "size"]) -> Float[Array, "critics"]:
        """The value of an action by each critic."""
        seen = jnp.concatenate([self._see(percept), action])
        return jnp.concatenate([critic(seen) for critic in self.critics])

    def _see(self, percept: Percept) -> Float[Array, "seen"]:
        seen = flat((percept.observation, percept.goal))
        if self.typical is None:
            return seen
        mean, deviation = self.typical()
        return jnp.clip((seen - mean) / deviation, -5.0, 5.0)


class Head(eqx.Module):
    """Turns a vector of `size` numbers into a policy: one leaf for each kind of action."""

    size: eqx.AbstractVar[int]

    def __call__(self, vector: Float[Array, "size"], percept: Percept) -> AbstractPolicy:
        raise NotImplementedError


class CategoricalHead(Head):
    """Logits of discrete actions, the illegal ones masked."""

    size: int = eqx.field(static=True)

    def __call__(self, vector: Float[Array, "size"], percept: Percept) -> Categorical:
        return Categorical(vector, percept.legal)


class GaussianHead(Head):
    """Means of real actions, with a standard deviation that is learned but the same everywhere."""

    size: int = eqx.field(static=True)
    log_std: Float[Array, "size"]

    def __call__(self, vector: Float[Array, "size"], percept: Percept) -> Gaussian:
        return Gaussian(vector, self.log_std)


def head(actions: Discrete | Box) -> Head:
    """The head for these actions."""
    if isinstance(actions, Discrete):
        return CategoricalHead(actions.count)
    return GaussianHead(actions.low.size, jnp.zeros(actions.low.size))


def perceptron(inputs: int, outputs: int, width: int, depth: int, *, scale: float, key: Key) -> eqx.nn.MLP:
    """A tanh perceptron with orthogonal weights of gain √2, `scale` in the last layer, as is usual for PPO."""
    net_key, *keys = jax.random.split(key, depth + 2)
    net = eqx.nn.MLP(inputs, outputs, width, depth, activation=jnp.tanh, key=net_key)
    sizes, gains = [inputs, *[width] * depth, outputs], [2**0.5] * depth + [scale]
    layers = tuple(orthogonal(*each) for each in zip(sizes[:-1], sizes[1:], gains, keys, strict=True))
    return eqx.tree_at(lambda net: net.layers, net, layers)


def rectified(inputs: int, outputs: int, width: int, depth: int, *, key: Key) -> eqx.nn.MLP:
    """Equinox's perceptron with rectified units, but for its products: see `Linear`.

    Its weights are drawn as Equinox draws them, uniformly within 1 / √inputs of 0; but all at once, as each draw of its
    own takes a twentieth of a second to compile.
    """
    sizes = [inputs, *[width] * depth, outputs]
    shapes = list(pairwise(sizes))
    drawn = jax.random.uniform(key, (sum((before + 1) * after for before, after in shapes),), minval=-1.0, maxval=1.0)
    layers, start = [], 0
    for before, after in shapes:
        part = drawn[start : start + (before + 1) * after].reshape(after, before + 1) / before**0.5
        layers.append(Linear(part[:, :-1], part[:, -1]))
        start += (before + 1) * after
    net = eqx.nn.MLP(inputs, outputs, width, depth, key=key)
    return eqx.tree_at(lambda net: net.layers, net, tuple(layers))


class Linear(eqx.Module):
    """Equinox's linear layer, but for its product, which keeps a batch in rows.

    Under `vmap`, `weight @ x` leaves a batch in columns, and XLA's CPU compiler then copies whole activations to and
    fro: a fifth of a gradient step.
    """

    weight: Float[Array, "outputs inputs"]
    bias: Float[Array, "outputs"]

    @classmethod
    def drawn(cls, inputs: int, outputs: int, *, key: Key) -> Linear:
        """With Equinox's own weights."""
        layer = eqx.nn.Linear(inputs, outputs, key=key)
        assert layer.bias is not None
        return cls(layer.weight, layer.bias)

    def __call__(self, x: Float[Array, "*batch inputs"], *, key: Key | None = None) -> Float[Array, "*batch outputs"]:
        return x @ self.weight.T + self.bias


def orthogonal(inputs: int, outputs: int, gain: float, key: Key) -> Linear:
    """A layer with orthogonal weights, all such matrices equally likely, and no bias to begin with.

    The orthogonal factor of a Gaussian matrix, by the iteration of Newton and Schulz (Higham, *Functions of Matrices*,
    2008, ch. 8), which only multiplies. LAPACK's QR takes seconds to compile, and waits for ever on a machine of two
    cores when many networks are made side by side.
    """

    def nearer(_, weight: Array) -> Array:
        wide = weight if weight.shape[0] <= weight.shape[1] else weight.T
        wide = 1.5 * wide - 0.5 * (wide @ wide.T) @ wide  # a singular value x becomes (3 x − x³) / 2
        return wide if weight.shape[0] <= weight.shape[1] else wide.T

    layer = Linear.drawn(inputs, outputs, key=key)
    drawn = jax.random.normal(key, layer.weight.shape)
    weight = gain * jax.lax.fori_loop(0, 40, nearer, drawn / jnp.linalg.norm(drawn))
    return eqx.tree_at(lambda layer: (layer.weight, layer.bias), layer, (weight, jnp.zeros(outputs)))


def flat(tree: PyTree[Array]) -> Float[Array, "size"]:
    """Every array of a pytree, end to end."""
    leaves = [jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(tree)]
    return leaves[0] if len(leaves) == 1 else jnp.concatenate(leaves)


def hear(actions: Discrete | Box, percept: Percept) -> Float[Array, "size"]:
    """What an agent with memory hears of a moment: what it sees and is to reach, what it did, and what came of that."""
    # At first nothing was done yet, which action 0 would not say.
    did = jnp.where(percept.first, 0.0, _action_features(actions, percept.action))
    return flat((percept.observation, percept.goal, did, percept.reward, percept.discount))


def _heard(world: AbstractWorld | AbstractHost) -> int:
    """How many numbers `hear` gives."""
    return _seen(world) + _action_features(world.actions, world.actions.zero()).size + 2


def _action_features(actions: Discrete | Box, action: PyTree[Array]) -> Float[Array, "size"]:
    return jax.nn.one_hot(action, actions.count) if isinstance(actions, Discrete) else action


def _seen(world: AbstractWorld | AbstractHost) -> int:
    """How many numbers an observation and a goal hold together."""

    def first(key: Key):
        assert not isinstance(world, AbstractHost)
        task = world.task(key=key)
        return world.reset(task, key=key)[1], task.goal

    if isinstance(world, AbstractHost):
        shapes = (world.sight.observation, world.sight.goal)
    else:
        shapes = jax.eval_shape(first, jax.random.key(0))
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))
