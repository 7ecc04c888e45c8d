"""Universal value function approximators: one function for the values of all goals, also of those never trained on.

Schaul, Horgan, Gregor and Silver, *Universal value function approximators*, ICML 2015 (sections 3 and 4, algorithm 1).

| paper | here |
|---|---|
| M, values of goals that are known already | `table` `[rows, goals]`, with `known` where there is one |
| φ̂, ψ̂, the embeddings with M ≈ φ̂ᵀψ̂, and n, their rank | `factorise(table, known, rank)` |
| φ(s), ψ(g), networks; h(φ, ψ) = φ·ψ, two streams | `TwoStream` |
| one stream: a network of s and g laid end to end | `OneStream` |
| stage 2: regress φ onto φ̂, and ψ onto ψ̂ | `Regression.embed` |
| stage 3: M from end to end | `Regression.fit`, which is also how one stream learns |
| Q(s, a, g) ← r_g + γ_g maxₐ′ Q(s′, a′, g), by bootstrapping | `scratch.dqn.DQN` with a `TwoStream` |

A row is a state, if values are V(s, g), or an action in a state, if they are Q(s, a, g): φ then holds a vector for each
action. The table may come from planning, or from a horde (`headstart.goals.horde`), which is algorithm 1.

The paper factorises by OptSpace; we alternate between ridge regressions of the one embedding and of the other, each
exact (Koren, Bell and Volinsky, *Matrix factorization techniques for recommender systems*, Computer 2009, with every
entry weighed alike). Embeddings are known up to a common linear map only, so φ̂ and ψ̂ are held fast while both
networks are regressed onto them.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from headstart.core.network import AbstractNetwork
from headstart.core.networks import flat
from headstart.core.types import Key, Output, Percept
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

__all__ = ["AbstractUniversal", "OneStream", "Regression", "TwoStream", "factorise", "squared_error", "universal_table"]

Fitted = TypeVar("Fitted")


class AbstractUniversal(AbstractNetwork):
    """Values of a state (one, or one for each action) for a goal. As a network, its `Output.policy` is these values."""

    @abc.abstractmethod
    def values(self, state: Float[Array, "state"], goal: Float[Array, "goal"]) -> Float[Array, "values"]:
        """V(s, g) `[1]`, or Q(s, ·, g) `[actions]`."""

    def initial(self) -> None:
        return None

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        return Output(self.values(flat(percept.observation), flat(percept.goal))), None


class TwoStream(AbstractUniversal):
    """φ(s)·ψ(g): what is known of a state and what is known of a goal meet in one product.

    **Arguments:**

    - `state`, `goal`, `values`: how many numbers a state, a goal and a value have; `TwoStream.of` asks a world.
    - `rank`: n, the numbers of an embedding.
    - `width`, `depth`: of the hidden layers of both networks.
    """

    states: eqx.nn.MLP
    goals: eqx.nn.MLP
    rank: int = eqx.field(static=True)

    def __init__(
        self, state: int, goal: int, values: int, key: Key, *, rank: int = 20, width: int = 128, depth: int = 2
    ):
        state_key, goal_key = jax.random.split(key)
        self.rank = rank
        self.states = eqx.nn.MLP(state, values * rank, width, depth, key=state_key)
        self.goals = eqx.nn.MLP(goal, rank, width, depth, key=goal_key)

    @classmethod
    def of(cls, world: AbstractWorld, key: Key, *, rank: int = 20, width: int = 128, depth: int = 2) -> TwoStream:
        """For the action values of a world with goals.

        **Raises:** `UsageError` for a world without.
        """
        assert isinstance(world.actions, Discrete)
        return cls(*_sizes(world), world.actions.count, key, rank=rank, width=width, depth=depth)

    def state_embedding(self, state: Float[Array, "state"]) -> Float[Array, "values rank"]:
        return self.states(state).reshape(-1, self.rank)

    def goal_embedding(self, goal: Float[Array, "goal"]) -> Float[Array, "rank"]:
        return self.goals(goal)

    def values(self, state: Float[Array, "state"], goal: Float[Array, "goal"]) -> Float[Array, "values"]:
        return self.state_embedding(state) @ self.goal_embedding(goal)


class OneStream(AbstractUniversal):
    """A perceptron of state and goal laid end to end."""

    net: eqx.nn.MLP

    def __init__(self, state: int, goal: int, values: int, key: Key, *, width: int = 128, depth: int = 2):
        self.net = eqx.nn.MLP(state + goal, values, width, depth, key=key)

    def values(self, state: Float[Array, "state"], goal: Float[Array, "goal"]) -> Float[Array, "values"]:
        return self.net(jnp.concatenate([state, goal]))


def universal_table(
    network: AbstractUniversal, states: Float[Array, "states state"], goals: Float[Array, "goals goal"]
) -> Float[Array, "states values goals"]:
    """What a network says of every state and every goal."""
    return jax.vmap(lambda state: jax.vmap(lambda goal: network.values(state, goal), out_axes=1)(goals))(states)


def factorise(
    table: Float[Array, "rows goals"],
    known: Bool[Array, "rows goals"],
    rank: int,
    *,
    key: Key,
    ridge: float = 0.03,
    sweeps: int = 100,
) -> tuple[Float[Array, "rows rank"], Float[Array, "goals rank"]]:
    """Stage 1: φ̂ and ψ̂ with φ̂ᵢ·ψ̂ⱼ ≈ Mᵢⱼ where that is known; what the table holds elsewhere is not looked at.

    They make Σ (Mᵢⱼ − φ̂ᵢ·ψ̂ⱼ)² + ridge · (Σ |φ̂ᵢ|² + Σ |ψ̂ⱼ|²) small, the first sum being over what is known, by
    `sweeps` turns in each of which first the one and then the other is the best there is.

    **Raises:** `UsageError` for a rank below 1, or no ridge.
    """
    if rank < 1 or not ridge > 0:
        raise UsageError(f"a factorisation of rank {rank} with a ridge of {ridge} is none; both must be above 0")

    def best(others: Float[Array, "m rank"], found: Float[Array, "rank"], values: Array, weights: Array) -> Array:
        """One ridge regression. Conjugate gradients end after `rank` steps, and need products alone (not LAPACK)."""
        square = others.T @ (weights[:, None] * others) + ridge * jnp.eye(rank)
        return jax.scipy.sparse.linalg.cg(lambda x: square @ x, (weights * values) @ others, found, maxiter=rank)[0]

    def sweep(_, embeddings: tuple[Array, Array]) -> tuple[Array, Array]:
        rows, goals = embeddings
        rows = jax.vmap(best, (None, 0, 0, 0))(goals, rows, values, weights)
        return rows, jax.vmap(best, (None, 0, 0, 0))(rows, goals, values.T, weights.T)

    weights, values = known.astype(jnp.float32), jnp.where(known, table, 0.0)
    row_key, goal_key = jax.random.split(key)
    rows = jax.random.normal(row_key, (table.shape[0], rank)) / rank**0.5
    goals = jax.random.normal(goal_key, (table.shape[1], rank)) / rank**0.5
    return jax.lax.fori_loop(0, sweeps, sweep, (rows, goals))


class Regression(eqx.Module):
    """How networks are fitted: by Adam, whose learning rate falls to 0 on a quarter of a cosine wave.

    **Arguments:**

    - `steps`: gradient steps of each network; `batch`: rows, or entries of the table, in each.
    - `learning_rate`: at first.
    """

    steps: int = 2_000
    batch: int = 128
    learning_rate: float = 3e-3

    def embed(
        self,
        network: TwoStream,
        states: Float[Array, "states state"],
        goals: Float[Array, "goals goal"],
        embeddings: tuple[Float[Array, "rows rank"], Float[Array, "goals rank"]],
        *,
        key: Key,
    ) -> TwoStream:
        """Stage 2: both streams as near to the embeddings of a table as they get, each on its own.

        The rows of the table are those of the states, in their order; of each state its actions, if there are any.
        """
        state_key, goal_key = jax.random.split(key)

        def regress(net: eqx.nn.MLP, inputs: Array, wanted: Array, key: Key) -> eqx.nn.MLP:
            def loss(net: eqx.nn.MLP, key: Key) -> Float[Array, ""]:
                chosen = jax.random.randint(key, (self.batch,), 0, len(inputs))
                return jnp.mean(jnp.sum((jax.vmap(net)(inputs[chosen]) - wanted[chosen]) ** 2, axis=-1))

            return self._descend(net, loss, key)

        rows, wanted = embeddings
        fitted = (
            regress(network.states, states, rows.reshape(len(states), -1), state_key),
            regress(network.goals, goals, wanted, goal_key),
        )
        return eqx.tree_at(lambda network: (network.states, network.goals), network, fitted)

    def fit(
        self,
        network: AbstractUniversal,
        states: Float[Array, "states state"],
        goals: Float[Array, "goals goal"],
        table: Float[Array, "rows goals"],
        known: Bool[Array, "rows goals"],
        *,
        key: Key,
    ) -> AbstractUniversal:
        """The table from end to end: stage 3 for two streams, and all that there is for one."""
        values, weights = (each.reshape(len(states), -1, len(goals)) for each in (table, known))
        drawn = jnp.cumsum(jnp.any(weights, axis=1))  # only pairs of which something is known

        def loss(network: AbstractUniversal, key: Key) -> Float[Array, ""]:
            which = jax.random.randint(key, (self.batch,), 0, drawn[-1])
            state, goal = jnp.divmod(jnp.searchsorted(drawn, which, side="right"), len(goals))
            found = jax.vmap(network.values)(states[state], goals[goal])
            return squared_error(found, values[state, :, goal], weights[state, :, goal])

        return self._descend(network, loss, key)

    def _descend(self, network: Fitted, loss: Callable[[Fitted, Key], Float[Array, ""]], key: Key) -> Fitted:
        optimiser = optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.steps))
        learned, rest = eqx.partition(network, eqx.is_inexact_array)

        def step(carry, key: Key):
            learned, state = carry
            gradient = jax.grad(lambda learned: loss(eqx.combine(learned, rest), key))(learned)
            updates, state = optimiser.update(gradient, state)
            return (optax.apply_updates(learned, updates), state), None

        (learned, _), _ = jax.lax.scan(step, (learned, optimiser.init(learned)), jax.random.split(key, self.steps))
        return eqx.combine(learned, rest)


def squared_error(
    found: Float[Array, "*any"], values: Float[Array, "*any"], known: Bool[Array, "*any"]
) -> Float[Array, ""]:
    """The mean squared error over what is known."""
    return jnp.sum(jnp.where(known, found - values, 0.0) ** 2) / jnp.maximum(jnp.sum(known), 1)


def _sizes(world: AbstractWorld) -> tuple[int, int]:
    """How many numbers an observation and a goal hold."""

    def first(key: Key):
        task = world.task(key=key)
        return world.reset(task, key=key)[1], task.goal

    seen, wanted = jax.eval_shape(first, jax.random.key(0))
    if wanted is None:
        raise UsageError(f"{type(world).__name__} has no goals, of which two streams make values; use ActionValues")
    count = lambda tree: sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))
    return count(seen), count(wanted)
