"""The universal agent: what it knows comes from words, from endings, or from nobody."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Percept
from headstart.newgame.agent import UniversalAgent
from headstart.worlds.boardgames.trials import Sight, no_ending

CANVAS = 4


@pytest.fixture(scope="module")
def agent():
    return UniversalAgent(key=jax.random.key(0))


def percept(words=0, *, first=True, discount=1.0, ending=None, demonstration=None):
    planes = jnp.zeros((CANVAS, CANVAS, 6), bool).at[..., 2].set(True)
    return Percept(
        observation=Sight(planes, ending or no_ending(CANVAS)),
        first=jnp.array(first),
        instruction=jnp.zeros(128, jnp.int32).at[:3].set(words),
        legal=jnp.ones(CANVAS**2 + 2, bool).at[-2:].set(False),
        discount=jnp.array(discount),
        demonstration=demonstration,
    )


def drawn():
    nothing = no_ending(CANVAS)
    return eqx.tree_at(lambda ending: ending.verdict, nothing, jnp.zeros(5).at[1].set(1.0))


def test_words_make_the_context_and_silence_leaves_it_to_memory(agent):
    call = eqx.filter_jit(agent)
    told, remembered = call(percept(5), agent.initial())
    np.testing.assert_array_equal(remembered.context, told.features["told"])
    silent, remembered = call(percept(0), agent.initial())
    np.testing.assert_array_equal(remembered.context, silent.features["guessed"])


def test_an_ending_is_remembered_once(agent):
    call = eqx.filter_jit(agent)
    _, memory = call(percept(0, first=False, discount=0.0, ending=drawn()), agent.initial())
    assert float(memory.count) == 1
    _, memory = call(percept(0, first=False, discount=1.0, ending=drawn()), memory)
    assert float(memory.count) == 1


def test_demonstrations_are_evidence_and_endings_of_no_game_are_not(agent):
    call = eqx.filter_jit(agent)
    twice = jax.tree.map(lambda *leaves: jnp.stack(leaves), drawn(), no_ending(CANVAS), drawn())
    _, memory = call(percept(0, demonstration=twice), agent.initial())
    assert float(memory.count) == 2


def test_illegal_actions_have_no_probability(agent):
    output, _ = eqx.filter_jit(agent)(percept(5), agent.initial())
    assert np.all(np.asarray(jnp.exp(output.policy.log_probs))[-2:] == 0)
    assert abs(float(output.value)) <= 1
