"""Begin where another agent ended: its parameters in a new learner, some of them held as they are.

Taylor and Stone, *Transfer learning for reinforcement learning domains: a survey*, JMLR 2009, call what is carried over
from a source task to a target task the transferred knowledge. Here it is the parameters of a network, and with them all
that its layers have come to represent. Any learner can go on from them, for a process asks only for a function from a
key to a network:

    begun = Transferred(partial(ActorCritic, world), trained, renewed=("actor.layers[2]",), held=("actor.layers[0]",))
    process = Online(world, begun, PPO())

| what is carried over | how |
|---|---|
| all of a network of the same shapes | `carry_over(trained, fresh)` |
| all but some parts, which begin as `fresh` made them | `carry_over(trained, fresh, renewed=...)` |
| into a wider or deeper network, or one of other observations or actions | `headstart.experience.net2net.grow` |
| parts that are never to change | `hold(network, ...)` |
| beside a new network that may look at the old one | `headstart.experience.progressive` |

A part is named by its path, as `parts` or an error shows it: `"actor.layers[0].weight"` is one array,
`"actor.layers[0]"` a layer and `"actor"` all of the actor.

What is not carried over: the state of an optimiser, which speaks of gradients of another task; a replay, whose steps
were of that task; and where schedules stand. So DQN explores anew from the first ε, unless it is told another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from headstart.core.network import AbstractActionCritic, AbstractNetwork, Memory
from headstart.core.types import Frozen, Key, Output, Percept
from headstart.errors import UsageError, unknown

__all__ = ["Held", "HeldActionCritic", "Transferred", "carry_over", "hold", "parts", "whole"]


class Transferred(eqx.Module):
    """A function from a key to a network that begins where `trained` ended, for a process to begin with.

    **Arguments:**

    - `fresh`: a function from a key to the new network, as a process takes it.
    - `trained`: where to begin; if `None` the network is of the right shapes and otherwise fresh, which is enough for
      a checkpoint to be read into.
    - `renewed`: parts that begin as `fresh` makes them.
    - `held`: parts that never change.
    - `fit`: `(trained, fresh)`: how a trained network of other shapes is made to fit, before the above.
      `headstart.experience.net2net.grow` is such a function.

    **Raises:** when called, as `carry_over` and `hold`.
    """

    fresh: Callable[..., AbstractNetwork]
    trained: AbstractNetwork | None
    renewed: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    fit: Callable[[AbstractNetwork, AbstractNetwork], AbstractNetwork] | None = None

    def __call__(self, key: Key, **given: Any) -> AbstractNetwork:
        network = self.fresh(key, **given)
        if self.trained is not None:
            trained = whole(self.trained)
            fitting = trained if self.fit is None else self.fit(trained, network)
            network = carry_over(fitting, network, renewed=self.renewed)
        return hold(network, self.held) if self.held else network


def carry_over(trained: AbstractNetwork, fresh: AbstractNetwork, *, renewed: Sequence[str] = ()) -> AbstractNetwork:
    """The network `fresh` with the arrays of `trained`, also those that do not learn; what is `renewed` is as it was.

    **Raises:** `UsageError`, naming the first array that is of another shape, missing or one too many, and the mend.
    """
    trained = whole(trained)
    if type(trained) is not type(fresh):
        raise UsageError(
            f"the trained network is {_a(trained)} and the new one {_a(fresh)}; make the new one of the same kind"
        )
    old, new = _leaves(trained), _leaves(fresh)
    again = _named(fresh, renewed)
    for name in [*new, *(name for name in old if name not in new)]:
        if name in again or _said(old.get(name)) == _said(new.get(name)):
            continue
        raise UsageError(
            f"{name} is {_said(old.get(name))} in the trained network and {_said(new.get(name))} in the new one; make "
            "both alike, grow the trained one, or have that part begin anew"
        )

    def put(path: tuple[Any, ...], leaf: Any) -> Any:
        name = _name(path)
        # A copy, because a process may take over the memory of its first state: others may begin from `trained` too.
        return leaf if name in again or not eqx.is_array(leaf) else jnp.array(old[name], copy=True)

    return jax.tree_util.tree_map_with_path(put, fresh)


def hold(network: AbstractNetwork, names: Sequence[str]) -> AbstractNetwork:
    """The network with those parts held: they have no gradient, and no optimiser moves them, by weight decay or else.

    **Raises:** `UsageError` for a name that no part has.
    """
    kind: type[Held] = HeldActionCritic if isinstance(whole(network), AbstractActionCritic) else Held
    return kind(whole(network), names)


def whole(network: AbstractNetwork) -> AbstractNetwork:
    """The network itself, whether or not parts of it are held."""
    return network.whole if isinstance(network, Held) else network


def parts(network: AbstractNetwork) -> dict[str, tuple[int, ...]]:
    """The name and the shape of every array of a network."""
    arrays = {name: leaf for name, leaf in _leaves(whole(network)).items() if eqx.is_array(leaf)}
    return {name: tuple(leaf.shape) for name, leaf in arrays.items()}


class Held(AbstractNetwork):
    """A network of which some parts never change. Each half has `None` where the other one has an array."""

    learning: AbstractNetwork
    held: Frozen[AbstractNetwork]

    def __init__(self, network: AbstractNetwork, names: Sequence[str]):
        still = _named(network, names)
        moves = jax.tree_util.tree_map_with_path(lambda path, _: _name(path) not in still, network)
        self.learning, fixed = eqx.partition(network, moves)
        self.held = Frozen(fixed)

    @property
    def whole(self) -> AbstractNetwork:
        return eqx.combine(self.learning, self.held())

    def initial(self) -> Memory:
        return self.whole.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        return self.whole(percept, memory)

    def unroll(self, percepts: Percept, memory: Memory) -> tuple[Output, Memory]:
        return self.whole.unroll(percepts, memory)


class HeldActionCritic(Held, AbstractActionCritic):
    """The same of a network whose critics value actions: what learns of its two parts is learned apart."""

    @property  # type: ignore[misc]
    def actor(self) -> PyTree:
        return self.learning.actor  # type: ignore[attr-defined]

    @property  # type: ignore[misc]
    def critics(self) -> PyTree:
        return self.learning.critics  # type: ignore[attr-defined]

    def judge(self, percept: Percept, action: Float[Array, "size"]) -> Float[Array, "critics"]:
        return self.whole.judge(percept, action)  # type: ignore[attr-defined]


def _leaves(network: AbstractNetwork) -> dict[str, Any]:
    return {_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(network)}


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path).removeprefix(".")


def _named(network: AbstractNetwork, names: Sequence[str]) -> set[str]:
    """Every leaf that is of one of these parts."""
    leaves = list(_leaves(network))
    found: set[str] = set()
    for name in names:
        of = {leaf for leaf in leaves if leaf == name or leaf.startswith((f"{name}.", f"{name}["))}
        if not of:
            raise unknown(f"part of {_a(network)}", name, _every(parts(network)))
        found |= of
    return found


def _every(arrays: Iterable[str]) -> set[str]:
    """The names of these arrays, and of all that they are parts of."""
    return {name[: found.start()] for name in arrays for found in re.finditer(r"[.\[]|$", name)}


def _said(leaf: Any) -> str:
    """What a leaf is, to compare and to tell: shape and type of an array, or what else it is."""
    if leaf is None:
        return "absent"
    return f"{leaf.dtype}{list(leaf.shape)}" if eqx.is_array(leaf) else getattr(leaf, "__name__", str(leaf))


def _a(network: AbstractNetwork) -> str:
    name = type(network).__name__
    return f"{'an' if name[0] in 'AEIO' else 'a'} {name}"
