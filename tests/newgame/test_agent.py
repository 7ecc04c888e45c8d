"""The universal agent: what it believes comes from words, from endings, and from nothing else."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Percept
from headstart.newgame.agent import UniversalAgent
from headstart.worlds.boardgames.facts import FACTS
from headstart.worlds.boardgames.trials import Ending, Sight, no_ending
from headstart.worlds.boardgames.vocabulary import WORDS

pytestmark = pytest.mark.usefixtures("quick_to_compile")

CANVAS = 4
DRAW, WON, LOST = range(1, 4)


class Verdicts(eqx.Module):
    """A witness to whom the verdict is all the evidence: what it has seen can be counted."""

    project: eqx.nn.MLP

    def __call__(self, ending):
        return jnp.zeros(self.project.out_size).at[:5].set(ending.verdict)


@pytest.fixture(scope="module")
def agent():
    return UniversalAgent(width=8, blocks=1, key=jax.random.key(0))


@pytest.fixture(scope="module")
def counting(agent):
    """The agent, with a witness that counts verdicts."""
    return eqx.tree_at(lambda agent: agent.inference.witness, agent, Verdicts(agent.inference.witness.project))


def ended(verdict, row=0):
    """A game that ended so, with a line of the winner in this row."""
    board = jnp.zeros((CANVAS, CANVAS, 5), bool).at[..., 2].set(True)
    board = board.at[row, :3, 0].set(True).at[3, :2, 1].set(True).at[row, 2, 3].set(True)
    return Ending(board, jnp.zeros(5).at[verdict].set(1.0))


def games(*endings):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *endings)


NOTHING_SHOWN = games(no_ending(CANVAS), no_ending(CANVAS))


def percept(words=0, *, first=True, discount=1.0, ending=None, demonstration=NOTHING_SHOWN):
    planes = jnp.zeros((CANVAS, CANVAS, 6), bool).at[..., 2].set(True)
    return Percept(
        observation=Sight(planes, no_ending(CANVAS) if ending is None else ending),
        first=jnp.array(first),
        instruction=None if words is None else jnp.zeros(WORDS, jnp.int32).at[:3].set(words),
        legal=jnp.ones(CANVAS**2 + 2, bool).at[-2:].set(False),
        discount=jnp.array(discount),
        demonstration=demonstration,
    )


def counted(memory):
    """How many games of each verdict are remembered, and how many in all."""
    return [float(count) for count in memory.evidence[1:4]], float(memory.count)


def test_words_are_read_and_silence_says_nothing(counting):
    memory = counting.take_in(percept(5), counting.initial())
    np.testing.assert_array_equal(memory.told, counting.inference.read(percept(5).instruction))
    assert memory.told.any()
    assert not counting.take_in(percept(0), counting.initial()).told.any()


def test_without_an_instruction_what_was_told_stays(counting):
    told = counting.take_in(percept(5), counting.initial())
    np.testing.assert_array_equal(counting.take_in(percept(None, first=False), told).told, told.told)
    assert not counting.take_in(percept(0, first=False), told).told.any(), "silence is an instruction"


def test_an_ending_is_remembered_once_and_not_before_a_trial_begins(counting):
    over = percept(0, first=False, discount=0.0, ending=ended(WON))
    memory = counting.take_in(over, counting.initial())
    assert counted(memory) == ([0, 1, 0], 1)
    memory = counting.take_in(percept(0, first=False, discount=-1.0, ending=ended(WON)), memory)
    assert counted(memory) == ([0, 1, 0], 1), "the next game has begun, and the ending is still in sight"
    opening = percept(0, first=True, discount=0.0, ending=ended(WON))
    assert counted(counting.take_in(opening, counting.initial())) == ([0, 0, 0], 0)


def test_demonstrations_are_evidence_as_a_trial_begins_and_endings_of_no_game_are_not(counting):
    shown = games(ended(WON), no_ending(CANVAS))
    memory = counting.take_in(percept(0, demonstration=shown), counting.initial())
    assert counted(memory) == ([0, 1, 0], 1)
    memory = counting.take_in(percept(0, first=False, demonstration=shown), memory)
    assert counted(memory) == ([0, 1, 0], 1), "what is shown throughout a trial is seen once"


def test_it_does_not_matter_who_played_and_in_which_order(counting):
    def seen(*verdicts):
        memory = counting.initial()
        for verdict in verdicts:
            memory = counting.take_in(percept(0, first=False, discount=0.0, ending=ended(verdict)), memory)
        return memory

    shown = counting.take_in(percept(0, demonstration=games(ended(LOST), ended(DRAW))), counting.initial())
    assert eqx.tree_equal(seen(DRAW, LOST), seen(LOST, DRAW))
    assert eqx.tree_equal(seen(DRAW, LOST), shown)
    assert not eqx.tree_equal(seen(DRAW, LOST), seen(DRAW, DRAW))


def test_words_and_endings_add_up_in_log_odds(counting):
    odds = lambda memory: jax.scipy.special.logit(counting.believe(memory))
    ending = percept(None, first=False, discount=0.0, ending=ended(LOST))
    told = counting.take_in(percept(5), counting.initial())
    seen = counting.take_in(ending, counting.initial())
    both = counting.take_in(ending, told)
    assert np.abs(odds(seen) - odds(counting.initial())).max() > 1e-5, "an ending moves the belief"
    np.testing.assert_allclose(odds(both), told.told + odds(seen), atol=1e-5)


@pytest.fixture(scope="module")
def call(agent):
    return eqx.filter_jit(agent)


def test_the_belief_is_a_probability_of_each_fact_and_is_what_the_player_plays_by(agent, call):
    silent, _ = call(percept(0), agent.initial())
    told, memory = call(percept(5), agent.initial())
    belief = np.asarray(told.features)
    assert belief.shape == (len(FACTS),)
    assert np.all((belief > 0) & (belief < 1))
    np.testing.assert_allclose(belief, agent.believe(memory), atol=1e-6)
    assert np.abs(belief - silent.features).max() > 1e-3
    assert np.abs(np.asarray(told.policy.log_probs - silent.policy.log_probs)[:-2]).max() > 1e-5
    assert float(told.value) != float(silent.value)


def test_a_witness_sees_who_won_and_where(agent, call):
    def evidence(ending):
        return np.asarray(call(percept(0, first=False, discount=0.0, ending=ending), agent.initial())[1].evidence)

    plain = evidence(ended(WON))
    assert np.abs(evidence(ended(LOST)) - plain).max() > 1e-4
    assert np.abs(evidence(ended(WON, row=1)) - plain).max() > 1e-4
