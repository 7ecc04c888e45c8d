"""What each episode of a trial is worth: counted as it was played."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from counting import Counting
from headstart import recipes
from headstart.core.networks import RecurrentActorCritic
from headstart.core.process import train
from headstart.core.types import Outcome, Task
from headstart.core.wrappers import TimeLimit, Trials
from headstart.errors import BadData
from headstart.experience import trials
from headstart.experience.trials import evaluate, played
from headstart.worlds.bandits import Bandit

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def fresh(world):
    return RecurrentActorCritic(world, jax.random.key(0), width=4)


def test_each_episode_has_its_own_return_and_what_comes_after_the_trial_has_none():
    world = Trials(Counting(length=3), 4)
    np.testing.assert_array_equal(played(world, fresh(world), 5, key=jax.random.key(1)), np.full((5, 4), 1 + 2 + 3))


def test_episodes_of_different_lengths_are_told_apart():
    class Growing(Bandit):
        """Episodes of one step or two, as the task says; each step earns 1."""

        def task(self, *, key):
            return Task(parameters=jax.random.bernoulli(key))

        def step(self, state, task, action, *, key):
            last = (state[0] > 0) | ~task.parameters
            return state + 1, Outcome(jnp.zeros(1), jnp.ones(()), 1.0 - last, last)

    world = Trials(Growing(2), 3)
    found = played(world, fresh(world), 40, key=jax.random.key(1))
    assert {tuple(row) for row in found.tolist()} == {(1, 1, 1), (2, 2, 2)}


def test_a_trial_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(trials, "ENDLESS", 200)
    world = Trials(Counting(length=1_000), 2)
    with pytest.raises(BadData, match="time limit"):
        played(world, fresh(world), 2, key=jax.random.key(1))
    limited = Trials(TimeLimit(Counting(length=1_000), 5), 2)
    assert played(limited, fresh(limited), 2, key=jax.random.key(1)).shape == (2, 2)


def test_an_agent_that_has_learned_nothing_earns_what_any_arm_does_with_memory_and_without():
    recipe = recipes.find("bandit-rl2")
    state = eqx.filter_jit(recipe.process.init)(key=jax.random.key(0))
    found = evaluate(recipe.process, state, title="bandits", episodes=1_000, seed=0)
    assert found.figures["trials"] == 992
    for name in ("return of a trial", "memory blanked"):
        assert found.figures[name] == pytest.approx(5.0, abs=0.3)
    assert "curve" in dict(found.report.images)
    assert "episodes of this task before" in found.report.html()


@pytest.mark.slow
def test_bandits_are_solved_as_well_as_can_be():
    recipe = recipes.find("bandit-rl2")
    state = train(recipe.process, recipe.iterations, key=jax.random.key(0))
    found = evaluate(recipe.process, state, title="bandits", episodes=40_000, seed=0)
    assert found.figures["return of a trial"] >= 6.60
    assert found.figures["memory blanked"] <= 5.05
    assert found.figures["last episode"] > found.figures["first episode"] + 0.2
