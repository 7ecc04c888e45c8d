"""Pupils who lack something hear what is left to them, and no more."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import example
from headstart.core.networks import RecurrentActorCritic
from headstart.errors import UsageError
from headstart.recipes.experience import prefrontal
from headstart.studies.pupils import Blank, Deaf, Forgetful, Unaware, each_of, judged, nth, stacked, taught, watched
from headstart.worlds.tabular import TwoStep

pytestmark = pytest.mark.usefixtures("quick_to_compile")

WORLD = TwoStep()
NETWORK = RecurrentActorCritic(WORLD, jax.random.key(0), width=4)
PERCEPT = dataclasses.replace(
    example(WORLD, NETWORK, key=jax.random.key(1)).percept,
    observation=jnp.array([0.0, 1.0]),
    action=jnp.array(1),
    reward=jnp.array(1.0),
    discount=jnp.array(1.0),
)
OTHER = {
    "reward": dataclasses.replace(PERCEPT, reward=jnp.array(0.0)),
    "action": dataclasses.replace(PERCEPT, action=jnp.array(0)),
    "observation": dataclasses.replace(PERCEPT, observation=jnp.array([1.0, 0.0])),
}


def told_apart(network):
    """Whether the network says another thing of a percept that differs in this, or after another moment."""
    value = lambda percept, memory: float(network(percept, memory)[0].value)
    start = network.initial()
    found = {name: value(other, start) != value(PERCEPT, start) for name, other in OTHER.items()}
    before = [network(percept, start)[1] for percept in (PERCEPT, *OTHER.values())]
    return found | {"past": len({value(PERCEPT, memory) for memory in before}) > 1}


@pytest.mark.parametrize(
    ("pupil", "lacking"),
    [
        (lambda network: network, set()),
        (Deaf, {"reward"}),
        (Unaware, {"action"}),
        (Forgetful, {"past"}),
        (Blank, {"reward", "action", "observation", "past"}),
    ],
)
def test_a_pupil_tells_apart_all_but_what_it_lacks(pupil, lacking):
    found = told_apart(pupil(NETWORK))
    assert {name for name, told in found.items() if not told} == lacking


def test_a_pupil_without_a_memory_is_as_the_network_is_at_first():
    first = dataclasses.replace(jax.tree.map(jnp.zeros_like, PERCEPT), first=jnp.array(True))
    expected, _ = NETWORK(first, NETWORK.initial())
    assert Blank(NETWORK)(PERCEPT, NETWORK.initial())[0].value == expected.value


@pytest.mark.parametrize("pupil", [Deaf, Unaware, Forgetful, Blank])
def test_a_pupil_knows_what_is_legal(pupil):
    percept = dataclasses.replace(PERCEPT, legal=jnp.array([True, False]))
    policy = pupil(NETWORK)(percept, NETWORK.initial())[0].policy
    np.testing.assert_allclose(jnp.exp(policy.log_prob(jnp.array(0))), 1.0)


def test_whoever_has_the_same_seed_is_judged_with_the_same_key():
    keys = []

    def judge(network, key):
        keys.append(jax.random.key_data(key).tolist())
        return {"weight": float(jnp.sum(jnp.abs(jax.tree.leaves(network)[0])))}

    world = TwoStep(trials=3)
    scores = taught(prefrontal(world, 3, 2, lanes=4, width=4), 2, 2, judge)
    assert np.shape(scores["weight"]) == (2,)
    assert scores["weight"][0] != scores["weight"][1], "each seed learns for itself"
    assert len(set(judged(NETWORK, 2, judge)["weight"])) == 1
    assert keys[:2] == keys[2:]
    assert keys[0] != keys[1]


def test_who_is_watched_ends_as_who_is_taught_and_changes_from_stage_to_stage():
    weight = lambda network: sum(float(jnp.sum(jnp.abs(leaf))) for leaf in jax.tree.leaves(network))
    process = prefrontal(TwoStep(trials=3), 3, 4, lanes=8, width=4)
    ended = taught(process, 4, 2, lambda network, key: {"weight": weight(network)})
    found = watched(process, 4, 2, 2, lambda stage, network, key: {f"stage {stage}": weight(network)})
    np.testing.assert_allclose(found["stage 2"], ended["weight"], rtol=1e-6)
    assert np.not_equal(found["stage 1"], found["stage 2"]).all()
    with pytest.raises(UsageError, match="4 iterations are not 3 equal stages"):
        watched(process, 4, 3, 1, lambda stage, network, key: {})


def test_seeds_come_to_the_same_in_turn_and_at_once(monkeypatch):
    keys = jnp.stack([jax.random.key(seed) for seed in range(3)])
    drawn = [eqx.nn.Linear(2, 2, key=key) for key in keys]
    made = lambda network, key: (network, network(jax.random.normal(key, (2,))), "said")
    in_turn = each_of(made, stacked(drawn), keys)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    at_once = each_of(made, stacked(drawn), keys)
    assert len(in_turn) == len(at_once) == 3
    for one, other, network in zip(in_turn, at_once, drawn, strict=True):
        assert eqx.tree_equal(one[0], network)
        assert eqx.tree_equal(one, other, rtol=1e-6, atol=1e-6)
    assert eqx.tree_equal(nth(stacked(drawn), 1), drawn[1])
