"""Put a trained perceptron into a larger one that does the same: wider, deeper, with other observations or actions.

Chen, Goodfellow and Shlens, *Net2Net: accelerating learning via knowledge transfer*, ICLR 2016; and the mappings
between the observations and the actions of two tasks of Taylor, Stone and Liu, *Transfer learning via inter-task
mappings for temporal difference learning*, JMLR 2007.

| paper | here |
|---|---|
| f(x; θ), the teacher, and g(x; θ′), the student, with f(x; θ) = g(x; θ′) | `trained`, and what `grow` returns |
| Net2WiderNet | new units are `fresh`, and nothing hears of them yet: their outgoing weights are 0 |
| Net2DeeperNet: a layer that is the identity | new hidden layers come last |
| χ_X, which old observation a new one is like | `inputs` |
| χ_A, which old action a new one is like | `actions` |

Where we differ. Net2WiderNet copies units and shares their outgoing weights out; copies are alike and need noise to
part, which then changes the function. Weights of 0 to units that were drawn keep the function exactly, and their
gradient is not 0. A layer of rectified units can be the identity, and one of tanh cannot: it is given `REACH` times the
identity, where tanh is nearly straight, and the layer after it the inverse. What a
unit says then arrives as at least 98.6 % of itself.

A new input that is like none is not listened to at first. A new action that is like none begins as it was drawn, and
takes some probability from the others; several that are like one old action share its probability, so that what the
agent does stays what it was. Value functions are kept as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActionValues, Actor, ActorCritic, ActorCritics, CategoricalHead, GaussianHead
from headstart.core.types import Frozen
from headstart.errors import UsageError

__all__ = ["REACH", "grow"]

REACH = 0.2
"""How far into tanh a unit of a new layer reaches that hands on 1: tanh(0.2) / 0.2 is 0.987."""

Mapping = Sequence[int | None]


def grow(
    trained: AbstractNetwork, fresh: AbstractNetwork, *, inputs: Mapping | None = None, actions: Mapping | None = None
) -> AbstractNetwork:
    """A network of the shapes of `fresh` that does what `trained` does.

    **Arguments:**

    - `trained`, `fresh`: both `Actor`, `ActorCritic`, `ActionValues` or `ActorCritics` of `headstart.core.networks`;
      the second is at least as wide and as deep as the first.
    - `inputs`: for each number that the new network sees (observation, then goal, laid end to end), that of the old
      one that it is like, or `None`. By default each is like the one in its place, and those beyond are like none.
    - `actions`: the same for actions, or for the numbers of a real one.

    **Raises:** `UsageError` for networks of other or different kinds, for one that is smaller, and for mappings of
    another length or to what there is not.
    """
    if type(trained) is not type(fresh) or not isinstance(trained, Actor | ActorCritic | ActionValues | ActorCritics):
        raise UsageError(
            f"{type(trained).__name__} cannot be grown into {type(fresh).__name__}; both must be the same one of "
            "Actor, ActorCritic, ActionValues and ActorCritics"
        )
    old, new = _perceptron(trained), _perceptron(fresh)
    (sees, says), (sees_now, says_now) = _sizes(old), _sizes(new)
    each = 2 if isinstance(trained, ActorCritics) else 1  # numbers for an action
    seen = _mapping("inputs", inputs, sees, sees_now)
    done = _mapping("actions", actions, says // each, says_now // each)
    outputs = [*done, *(None if like is None else like + says // 2 for like in done)] if each == 2 else done
    if isinstance(fresh, ActionValues):
        return eqx.tree_at(lambda net: net.values, fresh, _grown("values", old, new, seen, outputs))
    discrete = isinstance(getattr(fresh, "head", None), CategoricalHead)
    actor = _grown("actor", old, new, seen, outputs, shared=discrete)
    network = eqx.tree_at(lambda net: net.actor, fresh, actor)
    if isinstance(fresh, ActorCritic):
        critic = _grown("critic", trained.critic, fresh.critic, seen, [0])  # type: ignore[union-attr]
        network = eqx.tree_at(lambda net: net.critic, network, critic)
    if isinstance(fresh, Actor | ActorCritic) and isinstance(fresh.head, GaussianHead):
        spread = _moved(trained.head.log_std, fresh.head.log_std, done)  # type: ignore[union-attr]
        network = eqx.tree_at(lambda net: net.head.log_std, network, spread)
    if isinstance(fresh, ActorCritics):
        network = _critics(trained, fresh, network, seen, done)  # type: ignore[arg-type]
    return network


def _critics(
    trained: ActorCritics, fresh: ActorCritics, network: ActorCritics, seen: Mapping, done: Mapping
) -> ActorCritics:
    """The network with critics that see a percept and then an action, and with what is typical of what is seen."""
    if len(trained.critics) != len(fresh.critics) or (trained.typical is None) != (fresh.typical is None):
        raise UsageError(
            f"the trained network has {len(trained.critics)} critics and {_typical(trained)}, and the new one "
            f"{len(fresh.critics)} and {_typical(fresh)}; make both alike"
        )
    both = [*seen, *(None if like is None else like + _sizes(trained.actor)[0] for like in done)]
    critics = tuple(
        _grown(f"critics[{at}]", old, new, both, [0])
        for at, (old, new) in enumerate(zip(trained.critics, fresh.critics, strict=True))
    )
    network = eqx.tree_at(lambda net: net.critics, network, critics)
    if trained.typical is None or fresh.typical is None:
        return network
    pairs = zip(trained.typical.frozen, fresh.typical.frozen, strict=True)
    mean, deviation = (_moved(old, new, seen) for old, new in pairs)
    return eqx.tree_at(lambda net: net.typical, network, Frozen((mean, deviation)))


def _grown(
    name: str, old: eqx.nn.MLP, new: eqx.nn.MLP, inputs: Mapping, outputs: Mapping, *, shared: bool = False
) -> eqx.nn.MLP:
    """A perceptron of the shapes of `new` that does what `old` does.

    **Arguments:**

    - `shared`: outputs are logits, and those that are like one old output share its probability.
    """
    if new.width_size < old.width_size or new.depth < old.depth:
        raise UsageError(
            f"{name} has width {new.width_size} and depth {new.depth} in the new network, and {old.width_size} and "
            f"{old.depth} in the trained one; make it at least as wide and as deep"
        )
    if old.activation is not new.activation:
        raise UsageError(f"{name} has other units in the new network than in the trained one; make both alike")
    if old.depth == 0:
        raise UsageError(f"{name} has no hidden layer in the trained network; there is nothing to grow")
    extra = new.depth - old.depth
    straight = new.activation is jax.nn.relu
    if extra and not straight and new.activation is not jnp.tanh:
        raise UsageError(f"{name} cannot be made deeper; only rectified units and tanh can hand on what they hear")
    width = old.width_size
    known: list[Any] = list(old.layers)
    drawn: list[Any] = list(new.layers)
    first = known[0].weight @ jnp.asarray(_choice(inputs, _sizes(old)[0])).T
    layers = [_placed(drawn[0], first, known[0].bias, len(inputs))]
    hidden = [(layer.weight, layer.bias) for layer in known[1:-1]]
    eye, nothing = jnp.eye(width), jnp.zeros(width)
    reach = 1.0 if straight else REACH
    hidden += [((reach if at == 0 else 1.0) * eye, nothing) for at in range(extra)]
    layers += [_placed(layer, *arrays, width) for layer, arrays in zip(drawn[1:-1], hidden, strict=True)]
    final, last = known[-1], drawn[-1]
    copies = np.array([outputs.count(like) if shared else 1 for like in outputs])
    weight = _moved(final.weight / (reach if extra else 1.0), last.weight[:, :width], outputs)
    rest = jnp.where(_is_new(outputs)[:, None], last.weight[:, width:], 0.0)
    bias = _moved(final.bias, last.bias, outputs) - jnp.where(_is_new(outputs), 0.0, jnp.log(copies))
    layers.append(_with(last, jnp.concatenate([weight, rest], axis=1), bias))
    return eqx.tree_at(lambda net: net.layers, new, tuple(layers))


def _placed(layer: Any, weight: Array, bias: Array, heard: int) -> Any:
    """The layer whose first units are the trained ones, which hear the first `heard` numbers and no others."""
    units = weight.shape[0]
    silent = jnp.zeros((units, layer.weight.shape[1] - heard))
    known = jnp.concatenate([weight, silent], axis=1)
    return _with(layer, jnp.concatenate([known, layer.weight[units:]]), jnp.concatenate([bias, layer.bias[units:]]))


def _with(layer: Any, weight: Array, bias: Array) -> Any:
    return eqx.tree_at(lambda layer: (layer.weight, layer.bias), layer, (weight, bias))


def _moved(old: Array, new: Array, mapping: Mapping) -> Array:
    """The rows of `old` that those of the mapping are like, and the rows of `new` where they are like none."""
    taken = old[np.array([0 if like is None else like for like in mapping])]
    return jnp.where(_is_new(mapping).reshape(-1, *[1] * (new.ndim - 1)), new, taken)


def _is_new(mapping: Mapping) -> np.ndarray:
    return np.array([like is None for like in mapping])


def _choice(mapping: Mapping, count: int) -> Float[np.ndarray, "new old"]:
    """The matrix that hands each old number to those that are like it, in equal shares."""
    chosen = np.zeros((len(mapping), count))
    for at, like in enumerate(mapping):
        if like is not None:
            chosen[at, like] = 1.0 / mapping.count(like)
    return chosen


def _mapping(what: str, given: Mapping | None, old: int, new: int) -> list[int | None]:
    if given is None:
        if new < old:
            raise UsageError(
                f"there are {new} {what} in place of {old}; have the layer that meets them begin anew instead of "
                f"growing, or say in Python by {what}= which of the old ones they are"
            )
        return [at if at < old else None for at in range(new)]
    if len(given) != new or any(like is not None and not 0 <= like < old for like in given):
        raise UsageError(f"{what} must be {new} numbers from 0 to {old - 1}, or None, and not {list(given)}")
    return list(given)


def _perceptron(network: AbstractNetwork) -> eqx.nn.MLP:
    return network.values if isinstance(network, ActionValues) else network.actor  # type: ignore[attr-defined]


def _sizes(net: eqx.nn.MLP) -> tuple[int, int]:
    """How many numbers a perceptron hears, and how many it says."""
    assert isinstance(net.in_size, int)
    assert isinstance(net.out_size, int)
    return net.in_size, net.out_size


def _typical(network: ActorCritics) -> str:
    return "does not know what is typical" if network.typical is None else "knows what is typical"
