"""The study of MAESN: its verdicts fail of their own arms, controls are what they say, and a small one runs."""

from dataclasses import fields
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.networks import Actor
from headstart.core.policies import Gaussian
from headstart.core.types import Percept
from headstart.experience.maesn import Told, prior
from headstart.progress import Quiet
from headstart.studies import maesn
from headstart.studies.maesn import (
    EACH,
    FREE,
    KNOWING,
    MAML_ARM,
    METHOD,
    PERMUTED,
    PRETRAINED,
    RATES,
    SCRATCH,
    SPACE,
    Untold,
    covered,
    judge,
    pupils,
)
from headstart.studies.study import Arm, Verdict
from headstart.worlds.half_circle import HalfCircle, spread

pytestmark = pytest.mark.usefixtures("quick_to_compile")
LAST = "stayed after 5 updates"
HOPED = {
    f"{METHOD}, found": 0.95,
    f"{METHOD}, {LAST}": 0.8,
    f"{METHOD}, parts covered": 7.0,
    f"{SPACE}, {LAST}": 0.5,
    f"{MAML_ARM}, {LAST}": 0.1,
    **{f"{name}, found": 0.2 for name in (MAML_ARM, SCRATCH, EACH, FREE, PERMUTED)},
}


def failing(**others):
    """The claims that do not hold of what is hoped for, but for some."""
    scores = HOPED | others
    arms = {name: Arm.of(np.linspace(-0.001, 0.001, 5)[:, None] + score) for name, score in scores.items()}
    return [verdict.claim for verdict in judge(arms, quick=False) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing() == []


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        (f"{METHOD}, found", 0.89, f"{METHOD}: new tasks found before an update"),
        *((f"{name}, found", 0.41, f"{name}: few tasks found") for name in (MAML_ARM, SCRATCH, EACH, FREE, PERMUTED)),
        (f"{METHOD}, {LAST}", 0.69, f"{METHOD}: episodes that stay after 5 updates"),
        (f"{MAML_ARM}, {LAST}", 0.31, f"{MAML_ARM}: few episodes stay"),
        (f"{SPACE}, {LAST}", 0.66, f"{METHOD}: more episodes stay than in the {SPACE}"),
        (f"{METHOD}, parts covered", 5.9, f"{METHOD}: parts of the half circle covered"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claim):
    assert claim in failing(**{name: score})
    assert len(failing(**{name: score})) == 1


def test_controls_differ_from_the_method_in_what_they_say_alone():
    every = {name: process for name, (process, _) in pupils().items()}
    method = every[METHOD]
    names = [each.name for each in fields(method) if each.name != "training"]
    differing = lambda name: [each for each in names if getattr(every[name], each) != getattr(method, each)]
    for name, kind, differs in (
        (RATES, "MAESN", ["held"]),
        (SPACE, "MAESN", ["steps"]),
        (FREE, "MAESN", ["weight"]),
        (EACH, "EachStep", []),
        (PERMUTED, "Permuted", []),
        (PRETRAINED, "MAESN", ["network", "steps"]),
    ):
        assert type(every[name]).__name__ == kind
        assert sorted(differing(name)) == differs
    assert (every[FREE].weight, every[SPACE].steps) == (0, 0)
    for each in ("tasks", "lanes", "length", "discount", "trace"):
        assert getattr(every[MAML_ARM], each) == getattr(method, each)
    goals = np.asarray(every[MAML_ARM].world.tasks.parameters)
    drawn = every[MAML_ARM].world.task(key=jax.random.key(0)).parameters
    assert np.isclose(goals, drawn).all(axis=1).any()


def test_who_is_untold_does_the_same_whatever_the_latent():
    network = Untold(Actor(Told(HalfCircle(), prior(2)), jax.random.key(0), width=4), 2)
    seen = lambda goal: network(Percept(jnp.array([0.3, 0.4]), jnp.array(True), goal=goal), None)[0].policy.mean
    np.testing.assert_array_equal(seen((None, jnp.array([5.0, -3.0]))), seen(None))


def test_a_latent_each_step_is_another_one_in_each_and_credited_with_what_followed():
    process = maesn.EachStep(HalfCircle(), spread(4), partial(Actor, width=4), tasks=2, lanes=3, length=4)
    state = process.init(key=jax.random.key(0))
    source = Gaussian(jnp.array([1.0, 2.0]), jnp.zeros(2))
    task = jax.tree.map(lambda leaf: leaf[1], process.training)
    rollout, draws = process.explore(process.world, state.network, source, task, key=jax.random.key(1))
    latent = np.asarray(rollout.percept.observation[1])
    assert len(np.unique(latent[..., 0])) == 12
    np.testing.assert_array_equal(draws.latent, latent.reshape(12, 2))
    reward = np.asarray(rollout.reward)
    follows = np.array([sum(0.99**k * reward[t + k] for k in range(4 - t)) for t in range(4)])
    above = follows - follows.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(draws.advantage, above.ravel() / above.std(), rtol=1e-2, atol=1e-3)


def test_permuted_tasks_are_judged_by_others():
    method = pupils()[METHOD][0]
    process = maesn.Permuted(**{each.name: getattr(method, each.name) for each in fields(method)})
    numbers = jnp.arange(20)
    judges = process.judges(numbers, key=jax.random.key(0))
    assert sorted(judges.tolist()) == list(range(20))
    assert (judges == numbers).mean() < 0.3
    np.testing.assert_array_equal(pupils()[METHOD][0].judges(numbers, key=jax.random.key(0)), numbers)


def test_parts_are_covered_by_episodes_that_end_near_the_circle():
    angles = (np.arange(8) + 0.5) * np.pi / 8
    ring = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    assert covered(np.repeat(ring, 10, axis=0)) == 8
    assert covered(np.repeat(ring * 0.7, 10, axis=0)) == 0  # too far from it
    assert covered(np.concatenate([np.repeat(ring[:3], 33, axis=0), ring[5:6]])) == 3  # one in 100 is too few


@pytest.mark.slow  # it compiles a dozen programs
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    for name, small in (("ITERATIONS", 1), ("WIDTH", 2), ("TASKS", spread(2)), ("UPDATES", 1)):
        monkeypatch.setattr(maesn, name, small)
    every = pupils()
    few = {name: every[name] for name in (METHOD, SCRATCH, KNOWING)}
    monkeypatch.setattr(maesn, "pupils", lambda: few)
    monkeypatch.setattr(maesn, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: maesn.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    result = run()
    assert result.arms.keys() >= {f"{METHOD}, parts covered", f"{SCRATCH}, stayed after 1 updates", f"{KNOWING}, found"}
    assert result.arms[f"{KNOWING}, found"].iqm == 1
    monkeypatch.setattr(maesn, "learn", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(result.arms.items())
