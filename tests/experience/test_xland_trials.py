"""A network that sees tiles, and trials of rulesets that are apart: shapes, what is heard, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect
from headstart.core.network import relive
from headstart.core.process import train
from headstart.core.wrappers import Trials
from headstart.errors import UsageError
from headstart.experience.trials import sampling
from headstart.experience.xland import benchmark, evaluate, score, trials_apart
from headstart.recipes.experience import exploring
from headstart.worlds.bandits import Bandit
from headstart.worlds.xland.network import TileActorCritic
from headstart.worlds.xland.rulesets import Family, generate, split

pytestmark = pytest.mark.usefixtures("quick_to_compile")
SMALL = {"count": 200, "episodes": 3, "size": 6, "steps": 5}


def rollout(world, network, length=8, lanes=4):
    start = begin(world, network, lanes, key=jax.random.key(1))
    return collect(world, network, sampling(network), start, length, key=jax.random.key(2))[1]


def test_rulesets_of_both_parts_are_apart_and_the_default_is_five_episodes():
    training, held_out = benchmark(count=500)
    goals = [{goal.tobytes() for goal in np.asarray(part.world.rulesets.goal)} for part in (training, held_out)]
    assert not goals[0] & goals[1]
    assert training.episodes == held_out.episodes == 5
    assert training.world.horizon == held_out.world.horizon == 30


def test_a_ruleset_in_both_parts_is_refused():
    every = generate(50, Family(goals=("hold",)))
    training, _ = split(every, 0.2)
    with pytest.raises(UsageError, match="use split"):
        trials_apart(training, every, episodes=2, size=6)


def test_the_network_unrolls_to_what_it_says_step_by_step_and_hears_all_parts():
    world, _ = benchmark(**SMALL)
    network = TileActorCritic(world, jax.random.key(0), width=8, features=3)
    steps = rollout(world, network, length=20)
    outputs = relive(network, steps)
    acted, _ = jax.vmap(jax.vmap(network))(steps.percept, steps.notes["memory"])
    np.testing.assert_allclose(outputs.policy.log_probs, acted.policy.log_probs, atol=1e-5)
    np.testing.assert_allclose(outputs.value, acted.value, atol=1e-5)
    percept = jax.tree.map(lambda leaf: leaf[3, 0], steps.percept)
    said = lambda percept: np.asarray(network(percept, network.initial())[0].features)
    of = lambda where, what: eqx.tree_at(where, percept, what)
    sight = percept.observation
    for changed in (
        of(lambda percept: percept.observation.observation.tiles, sight.observation.tiles.at[0, 0, 0].set(9)),
        of(lambda percept: percept.observation.observation.tiles, sight.observation.tiles.at[4, 2, 1].set(9)),
        of(lambda percept: percept.observation.observation.direction, (sight.observation.direction + 1) % 4),
        of(lambda percept: percept.observation.begins, 1 - sight.begins),
        of(lambda percept: percept.action, (percept.action + 1) % 6),
        of(lambda percept: percept.reward, percept.reward + 1),
    ):
        assert not np.array_equal(said(changed), said(percept))


def test_as_many_parameters_as_the_baseline_of_the_paper():
    world, _ = benchmark(**SMALL)
    network = TileActorCritic(world, jax.random.key(0))
    assert 80_000 < sum(leaf.size for leaf in jax.tree.leaves(network) if eqx.is_inexact_array(leaf)) < 100_000


def test_other_trials_are_refused():
    with pytest.raises(UsageError, match="trials of Bandit show none"):
        TileActorCritic(Trials(Bandit(2), 3), jax.random.key(0))


def test_a_score_is_of_sums():
    found = score(np.array([[0.0, 0.5], [0.5, 0.5], [1.0, 1.0]]))
    np.testing.assert_allclose(found["return of a trial"], (0.5 + 1.0 + 2.0) / 3)
    np.testing.assert_allclose(found["20th percentile"], 0.5 + 0.4 * 0.5)


def test_a_small_one_is_trained_and_judged_in_held_out_rulesets():
    training, held_out = benchmark(**SMALL)
    process = exploring(training, 2, lanes=8, length=4, width=8)
    state = train(process, 2, key=jax.random.key(0))
    found = evaluate(process, state, held_out=held_out, title="xland", episodes=16, seed=0)
    assert found.figures["trials"] == 16
    assert 0 <= found.figures["first episode"] <= 1
    assert bool(jnp.isfinite(jnp.asarray(found.figures["return of a trial"])))
