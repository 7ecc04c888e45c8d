"""What is wrong with somebody's environment, in sentences, before a learner trips over it.

Whole episodes are stepped, because most faults show only in their midst. Every finding says what to mend. What can be
wrong with a world of our own (an `AbstractWorld`) is asked in `check_world`, of a Gymnasium environment in
`check_environment`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from headstart.core.types import Outcome, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import BadData, UsageError
from headstart.worlds.adapters.goals import disagreement
from headstart.worlds.adapters.gymnasium import actions_of, maker
from headstart.worlds.adapters.spaces import goal_fault, leaves, mismatch, pick

__all__ = ["Finding", "check", "check_environment", "check_world", "render"]

ENDLESS = 10_000  # steps without an end


class Finding(NamedTuple):
    """One problem: a short name of its kind, and a sentence that says what is wrong and what mends it."""

    kind: str
    sentence: str


def check(target: str | Callable[[], Any] | AbstractWorld, *, episodes: int = 2) -> list[Finding]:
    """Every problem of an environment or world; an empty list says that none was found.

    **Arguments:**

    - `target`: `"module:Name"`, importable from the current directory too, a Gymnasium id, a class or callable, or one
      of our worlds.
    - `episodes`: how many whole episodes to step.

    **Raises:** `UsageError` when there is nothing of that name.
    """
    if isinstance(target, str) and ":" in target and not target.startswith("ALE"):
        target = _imported(target)
    if isinstance(target, AbstractWorld):
        return check_world(target)
    make = maker(target)
    try:
        made = make()
    except Exception as error:
        return [Finding("make", f"making it raised {type(error).__name__}: {error}; mend its constructor")]
    if isinstance(made, AbstractWorld):
        return check_world(made)
    return check_environment(made, episodes=episodes)


def render(findings: list[Finding]) -> str:
    """The findings as plain text, one a line."""
    if not findings:
        return "no problem found"
    return "\n".join(f"{number}. {finding.kind}: {finding.sentence}" for number, finding in enumerate(findings, 1))


def _imported(target: str) -> Any:
    module, _, name = target.partition(":")
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except ImportError as error:
        raise UsageError(f"cannot import {module!r} ({error}); run from its directory or install it") from error
    except AttributeError as error:
        raise UsageError(f"{module} has no {name!r}; give the name of a class, a function or a world in it") from error
    finally:
        sys.path.remove(here)
    return found


# Gymnasium environments


def check_environment(environment: Any, *, episodes: int = 2) -> list[Finding]:
    """Every problem of a Gymnasium environment, each kind once."""
    found: dict[tuple[str, str], Finding] = {}
    for subject, finding in _environment_findings(environment, episodes):
        found.setdefault((finding.kind, subject), finding)
    return list(found.values())


def _environment_findings(environment: Any, episodes: int) -> Iterator[tuple[str, Finding]]:
    for space, kind in ((environment.observation_space, "observation space"), (environment.action_space, "actions")):
        try:
            leaves(space) if kind == "observation space" else actions_of(space)
        except UsageError as error:
            yield "", Finding(kind, str(error))
            return
    try:
        yield from _seeding(environment)
        yield from _episodes(environment, episodes)
    except _Stop as stop:
        yield stop.subject, stop.finding


class _Stop(Exception):
    """A problem after which stepping on would tell nothing."""

    def __init__(self, kind: str, sentence: str):
        self.subject, self.finding = "", Finding(kind, sentence)


def _reset(environment: Any, seed: int | None = None) -> Any:
    try:
        answer = environment.reset(seed=seed)
    except Exception as error:
        raise _Stop("raises", f"reset raised {type(error).__name__}: {error}; mend it") from error
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise _Stop("protocol", f"reset returned {type(answer).__name__}; it must return (observation, info)")
    return answer[0]


def _seeding(environment: Any) -> Iterator[tuple[str, Finding]]:
    space = environment.observation_space
    first, second = _reset(environment, seed=0), _reset(environment, seed=0)
    try:
        pairs = list(zip(pick(first, space, "obs"), pick(second, space, "obs"), strict=True))
    except BadData:
        return  # said when the episode is stepped
    for (name, one), (_, two) in pairs:
        one, two = np.asarray(one), np.asarray(two)
        if one.shape != two.shape or one.dtype.kind not in "fiub":
            continue
        differs = ~np.isclose(one, two, rtol=0, atol=0, equal_nan=True)
        if differs.any():
            place = ", ".join(map(str, np.argwhere(differs)[0])) if one.ndim else ""
            where = f"{name}[{place}]" if place else name
            sentence = (
                f"two resets with seed 0 differ at {where}; draw from self.np_random, after super().reset(seed=seed)"
            )
            yield name, Finding("seed", sentence)


def _episodes(environment: Any, episodes: int) -> Iterator[tuple[str, Finding]]:
    environment.action_space.seed(0)
    recomputed = 0
    judges = hasattr(environment.unwrapped, "compute_reward")
    if judges and (fault := goal_fault(environment.observation_space)):
        judges = False
        yield "goal", Finding("goal", f"it has compute_reward, but {fault}")
    for episode in range(episodes):
        observation = _reset(environment, seed=episode + 1)
        yield from _look(observation, environment, f"episode {episode}, reset")
        for step in range(1, ENDLESS + 1):
            where = f"episode {episode}, step {step}"
            try:
                answer = environment.step(environment.action_space.sample())
            except Exception as error:
                raise _Stop("raises", f"{where}: it raised {type(error).__name__}: {error}; mend it") from error
            if not isinstance(answer, tuple) or len(answer) != 5:
                raise _Stop("protocol", f"{where}: step must return (observation, reward, terminated, truncated, info)")
            observation, reward, terminated, truncated, info = answer
            yield from _look(observation, environment, where)
            yield from _pay(reward, where)
            if judges and recomputed < 100:
                recomputed += 1
                if sentence := disagreement(environment.unwrapped, observation, reward, info):
                    yield "goal", Finding("goal", f"{where}: {sentence}")
            if terminated or truncated:
                break
        else:
            raise _Stop(
                "endless", f"episode {episode} has no end in {ENDLESS} steps; wrap it in gymnasium.wrappers.TimeLimit"
            )


def _look(observation: Any, environment: Any, where: str) -> Iterator[tuple[str, Finding]]:
    space = environment.observation_space
    try:
        values = pick(observation, space)
    except BadData as error:
        yield "observation", Finding("structure", f"{where}: {error}; return what the space says")
        return
    for (name, value), (_, leaf) in zip(values, leaves(space), strict=True):
        if wrong := mismatch(name, value, leaf):
            yield name, Finding("shape", f"{where}: {wrong}; return what the space says, or correct the space")
            continue
        array = np.asarray(value)
        bad = ~np.isfinite(array)
        if bad.any():
            place = f"[{', '.join(map(str, np.argwhere(bad)[0]))}]" if array.ndim else ""
            sentence = f"{where}: {name}{place} is {array[bad].flat[0]}; observations must be finite"
            yield name, Finding("non-finite", sentence)
        elif not leaf.contains(array.astype(leaf.dtype) if array.ndim else leaf.dtype.type(array)):
            sentence = f"{where}: {name} is outside {leaf}; clip it, or widen the space"
            yield name, Finding("bounds", sentence)


def _pay(reward: Any, where: str) -> Iterator[tuple[str, Finding]]:
    number = np.asarray(reward)
    if number.shape != () or number.dtype.kind not in "fiub":
        yield "reward", Finding("reward", f"{where}: the reward is {reward!r:.60}; return one number")
    elif not np.isfinite(number):
        yield "reward", Finding("non-finite", f"{where}: the reward is {reward}; it must be finite")


# Worlds of our own


def check_world(world: AbstractWorld, *, lanes: int = 4) -> list[Finding]:
    """Every problem of an `AbstractWorld`: what vmap, jit and scan need, the types, legality, and that episodes end."""
    key = jax.random.key(0)

    def begin(key):
        task_key, reset_key = jax.random.split(key)
        task = world.task(key=task_key)
        return task, *world.reset(task, key=reset_key)

    def random_step(task, state, key):
        action_key, step_key = jax.random.split(key)
        if isinstance(world.actions, Discrete):
            legal = world.legal(state, task)
            level = jnp.zeros(world.actions.count) if legal is None else jnp.where(legal, 0.0, -jnp.inf)
            action = jax.random.categorical(action_key, level)
        else:
            action = jax.random.uniform(action_key, world.actions.low.shape, minval=-1.0, maxval=1.0)
        return world.step(state, task, action, key=step_key)

    def once(key):
        task, state, _ = begin(key)
        return random_step(task, state, key)

    try:
        eager, compiled = once(key), jax.jit(once)(key)
        task, state, observation = jax.vmap(begin)(jax.random.split(key, lanes))
    except Exception as error:
        text = str(error).strip().splitlines()[0] if str(error).strip() else ""
        return [Finding("pure", f"it does not trace: {type(error).__name__}: {text}; write it in jax.numpy alone")]
    found = [*_types(world, task, state, observation, eager, lanes), *_agree(eager, compiled)]
    return found or list(_play(world, task, state, random_step, key))


def _types(world, task: Task, state: Any, observation: Any, stepped: tuple, lanes: int) -> Iterator[Finding]:
    following, outcome = stepped
    if not isinstance(outcome, Outcome):
        yield Finding("protocol", f"step returned {type(outcome).__name__}; it must return (state, Outcome)")
        return
    for name, kind in (("reward", jnp.floating), ("discount", jnp.floating), ("last", jnp.bool_)):
        value = jnp.asarray(getattr(outcome, name))
        if value.shape != () or not jnp.issubdtype(value.dtype, kind):
            sentence = f"{name} has shape {value.shape} and dtype {value.dtype}; it must be a scalar {kind.__name__}"
            yield Finding("shape", sentence)
    for name, before, after in (("state", state, following), ("observation", observation, outcome.observation)):
        was = jax.tree.map(lambda leaf: (jnp.shape(leaf)[1:], str(jnp.result_type(leaf))), before)
        now = jax.tree.map(lambda leaf: (jnp.shape(leaf), str(jnp.result_type(leaf))), after)
        if was != now:
            yield Finding("shape", f"the {name} is {was} after reset and {now} after step; make them the same")
    legal = jax.vmap(world.legal)(state, task)
    if legal is not None and (legal.dtype != bool or legal.shape != (lanes, world.actions.count)):
        sentence = f"the legal mask is {legal.dtype}{legal.shape[1:]}; it must be bool of [{world.actions.count}]"
        yield Finding("legal", sentence)


def _agree(eager: Any, compiled: Any) -> Iterator[Finding]:
    """Whether a step does the same when traced: what depends on Python's state does not."""
    raw = lambda leaf: jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
    pairs = zip(jax.tree.leaves(eager), jax.tree.leaves(compiled), strict=True)
    same = all(np.allclose(raw(jnp.asarray(a)), raw(jnp.asarray(b)), atol=1e-4, equal_nan=True) for a, b in pairs)
    if not same:
        yield Finding("pure", "the same key gives another step when compiled; let all chance come from the key")


def _play(world: AbstractWorld, task: Task, state: Any, random_step: Callable, key: Any) -> Iterator[Finding]:
    def move(carry, index):
        state, over = carry
        keys = jax.random.split(jax.random.fold_in(key, index), over.shape[0])
        legal = jax.vmap(world.legal)(state, task)
        stuck = jnp.zeros_like(over) if legal is None else ~legal.any(axis=-1)
        state, outcome = jax.vmap(random_step)(task, state, keys)
        real = [leaf for leaf in jax.tree.leaves(outcome) if jnp.issubdtype(leaf.dtype, jnp.floating)]
        finite = jnp.stack([jnp.isfinite(leaf).reshape(leaf.shape[0], -1).all(axis=1) for leaf in real]).all(axis=0)
        sign = jnp.isin(outcome.discount, jnp.array([-1.0, 0.0, 1.0]))
        ended = (outcome.discount != 0) | outcome.last
        faults = jnp.stack([~finite, ~sign, ~ended, stuck]) & ~over
        return (state, over | outcome.last), faults.any(axis=1)

    over = jnp.zeros(jax.tree.leaves(state)[0].shape[0], bool)
    (_, over), faults = jax.jit(lambda state: jax.lax.scan(move, (state, over), jnp.arange(ENDLESS)))(state)
    sentences = (
        ("non-finite", "an outcome is not finite; mend the reward or observation"),
        ("discount", "the discount is none of −1, 0 and 1; leave γ to the learner"),
        ("discount", "the discount is 0 where last is False; an end is the last step"),
        ("legal", "no action is legal although the episode goes on; end it there"),
    )
    for (kind, sentence), seen in zip(sentences, np.asarray(faults).T, strict=True):
        if seen.any():
            yield Finding(kind, f"step {int(seen.argmax()) + 1}: {sentence}")
    if not bool(over.all()):
        yield Finding("endless", f"an episode has no end in {ENDLESS} steps; wrap the world in a TimeLimit")
