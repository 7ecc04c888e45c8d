"""What studies of agents with memory share: pupils who lack something, and how they and others are judged.

A pupil who lacks something is the method's own network, behind one of these; it is trained as the method is, and so may
make what it can of what is left to it.

| pupil | lacks |
|---|---|
| `Deaf` | what its last action earned |
| `Unaware` | what its last action was |
| `Forgetful` | all but the last step: its own memory is blanked at each |
| `Blank` | all that has happened: each moment is as the first one |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Shaped

from headstart.core.network import AbstractNetwork, Memory
from headstart.core.process import AbstractProcess, Online, ProcessState, train_at_once
from headstart.core.scan import scan
from headstart.core.types import Key, Output, Percept, zeros_like
from headstart.errors import UsageError
from headstart.studies.book import Scores

__all__ = [
    "Blank",
    "Deaf",
    "Forgetful",
    "Unaware",
    "each_of",
    "gone_on",
    "judged",
    "keys_of",
    "nth",
    "stacked",
    "taught",
    "trained",
    "watched",
]


class Deaf(AbstractNetwork):
    """A network that is not told what its last action earned."""

    network: AbstractNetwork

    def initial(self) -> Memory:
        return self.network.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        return self.network(eqx.tree_at(lambda percept: percept.reward, percept, jnp.zeros(())), memory)


class Unaware(AbstractNetwork):
    """A network that is told at each moment that its last action was number 0."""

    network: AbstractNetwork

    def initial(self) -> Memory:
        return self.network.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        return self.network(eqx.tree_at(lambda percept: percept.action, percept, replace_fn=zeros_like), memory)


class Forgetful(AbstractNetwork):
    """A network that enters each moment without a memory. What the moment says of the last step it hears."""

    network: AbstractNetwork

    def initial(self) -> Memory:
        return self.network.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        output, _ = self.network(percept, self.network.initial())
        return output, memory


class Blank(AbstractNetwork):
    """A network to which each moment is as the first of an episode in which zeros are seen, and which has no memory.

    Which actions are legal it is told: an agent that could not even do what the world allows would fail of that.
    """

    network: AbstractNetwork

    def initial(self) -> Memory:
        return self.network.initial()

    def __call__(self, percept: Percept, memory: Memory) -> tuple[Output, Memory]:
        nothing = replace(zeros_like(percept), first=jnp.array(True), legal=percept.legal)
        output, _ = self.network(nothing, self.network.initial())
        return output, memory


Judge = Callable[[AbstractNetwork, Key], Mapping[str, float]]  # (network, key): its scores by name


def taught(process: Online, iterations: int, seeds: int, judge: Judge) -> Scores:
    """Train from each of `seeds` seeds, and judge each network that comes of it.

    Whoever has the same seed is judged with the same key, also in `judged`.
    """
    train_keys, judge_keys = keys_of(seeds)
    learned = lambda key: train_at_once(process, iterations, key=key).learner.network
    return _by_seed(each_of(learned, train_keys), judge, judge_keys)


def each_of(made: Callable[..., Any], *by_seed: PyTree[Array]) -> list[Any]:
    """What is made of each seed, compiled: `made` of the first of everything, then of the second ...

    A processor has enough to do with one, and makes them in turn. An accelerator would wait for most of the time, and
    makes all at once.
    """
    seeds = range(len(jax.tree.leaves(by_seed)[0]))
    if jax.default_backend() == "cpu":
        made = eqx.filter_jit(made)
        return [made(*nth(by_seed, seed)) for seed in seeds]
    found = eqx.filter_jit(eqx.filter_vmap(made))(*by_seed)
    return [nth(found, seed) for seed in seeds]


def nth(tree: PyTree, number: int) -> Any:
    """Of a pytree of arrays `[n, ...]`, each array's element of that number."""
    return jax.tree.map(lambda leaf: leaf[number] if eqx.is_array(leaf) else leaf, tree)


def stacked(trees: Sequence[PyTree]) -> Any:
    """One pytree of arrays `[n, ...]`, of n that are alike but for their arrays: `nth` takes it apart."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *trees)


def watched(
    process: Online,
    iterations: int,
    stages: int,
    seeds: int,
    judge: Callable[[int, AbstractNetwork, Key], Mapping[str, float]],
) -> Scores:
    """As `taught`, but judged after each of `stages` equal parts of training: `judge(stage, network, key)`, from 1.

    **Raises:** `UsageError` for iterations that are no multiple of the stages.
    """
    scores: Scores = {}
    for train_key, judge_key in zip(*keys_of(seeds), strict=True):
        for stage, state in enumerate(trained(process, iterations, stages, key=train_key), start=1):
            for name, score in judge(stage, state.learner.network, judge_key).items():
                scores.setdefault(name, []).append(score)
    return scores


class _Given(eqx.Module):
    """Makes no network of a key, but has one."""

    network: AbstractNetwork

    def __call__(self, key: Key) -> AbstractNetwork:
        return self.network


def gone_on(
    process: Online, network: AbstractNetwork, iterations: int, stages: int, *, key: Key
) -> Iterator[AbstractNetwork]:
    """What becomes of a network that learned something before, after each of `stages` equal parts of a process.

    **Raises:** `UsageError` for iterations that are no multiple of the stages.
    """
    for state in trained(replace(process, network=_Given(network)), iterations, stages, key=key):
        yield state.learner.network


def trained(process: AbstractProcess, iterations: int, stages: int, *, key: Key) -> Iterator[ProcessState]:
    """What a process comes to after each of `stages` equal parts. The last ends where `train_at_once` does.

    **Raises:** `UsageError` for iterations that are no multiple of the stages.
    """
    if iterations % stages:
        raise UsageError(f"{iterations} iterations are not {stages} equal stages; ask for a multiple of {stages}")
    state = _part(process, None, key, jnp.arange(0))
    for indices in jnp.arange(iterations).reshape(stages, -1):
        state = _part(process, state, key, indices)
        yield state


@eqx.filter_jit
def _part(process: AbstractProcess, state: ProcessState | None, key: Key, indices: Array) -> ProcessState:
    """Iterations of these numbers, after `init` if there is no state yet. Ends where `train_at_once` does."""
    if state is None:
        return train_at_once(process, 0, key=key)
    _, step_key = jax.random.split(key)
    step = lambda state, index: (process.step(state, key=jax.random.fold_in(step_key, index))[0], None)
    return scan(step, state, indices)[0]


def judged(player: AbstractNetwork, seeds: int, judge: Judge) -> Scores:
    """Judge who needs no training, as often as those who do."""
    return _by_seed([player] * seeds, judge, keys_of(seeds)[1])


def _by_seed(networks: list[AbstractNetwork], judge: Judge, keys: Shaped[Array, "seeds"]) -> Scores:
    scores: Scores = {}
    for network, key in zip(networks, keys, strict=True):
        for name, score in judge(network, key).items():
            scores.setdefault(name, []).append(score)
    return scores


def keys_of(seeds: int, parts: int = 2) -> tuple[Shaped[Array, "seeds"], ...]:
    """The keys of seeds 0, 1, ...: for each of so many parts of a measurement, one of every seed `[seeds]`.

    Two are one to train with, and one to judge with. Whoever asks for as many parts has the same keys.
    """
    return tuple(jax.vmap(lambda seed: jax.random.split(jax.random.key(seed), parts), out_axes=1)(jnp.arange(seeds)))
