"""Arms are told what they should be told, meet the games that they should meet, and are judged side by side."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.types import Output, Percept
from headstart.newgame.arms import SHOWN, BoardAlone, Meeting, Settled
from headstart.worlds.boardgames.family import world_of
from headstart.worlds.boardgames.network import Player
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.trials import Sight, no_ending

pytestmark = pytest.mark.usefixtures("quick_to_compile")

LANES, EPISODES = 2, 4


class Preferring(AbstractNetwork):
    """Has one order of preference."""

    logits: Float[Array, "actions"]

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(Categorical(self.logits, percept.legal), jnp.zeros(()), percept.observation), memory


@pytest.fixture(scope="module")
def meeting():
    games = [CLASSICS["tic_tac_toe"], CLASSICS["misere_tic_tac_toe"]]
    return Meeting(world_of(games, canvas=3, paraphrases=2), lanes=LANES, rungs=("random",))


def test_arms_are_told_the_words_others_words_or_nothing(meeting):
    words = meeting.games.words
    np.testing.assert_array_equal(meeting.tasks(told=True).instruction, words)
    assert not meeting.tasks().instruction.any()
    np.testing.assert_array_equal(meeting.tasks(told=True, words=words[::-1]).instruction, words[::-1])
    for parameters in (meeting.tasks().parameters, meeting.tasks(told=True, words=words[::-1]).parameters):
        assert parameters.misere.tolist() == [[False, False], [True, True]]


def test_whoever_is_shown_nothing_sees_endings_of_no_game(meeting):
    shown = meeting.tasks().demonstration
    assert shown.verdict.shape == (2, 2, SHOWN, 5)
    assert (shown.verdict[..., 0] == 1).all()


def test_demonstrations_are_endings_of_that_game(meeting):
    shown = meeting.demonstrate(EPISODES, key=jax.random.key(0))
    assert shown.verdict.shape == (2, SHOWN, 5)
    none, _, won, lost, _ = np.moveaxis(np.asarray(shown.verdict), -1, 0)
    assert not none.any(), "games were played"
    assert won[0].any()
    assert not lost[0].any(), "who completes a line wins the one,"
    assert lost[1].any()
    assert not won[1].any(), "and loses the other"
    assert (meeting.tasks(shown=shown).demonstration.verdict[:, 1] == shown.verdict).all()


def test_one_agent_meets_all_games_or_each_game_has_its_own(meeting):
    likes = jnp.stack([10.0 * jax.nn.one_hot(cell, 11) for cell in (4, 8)])
    key = jax.random.key(1)
    one = meeting.judge(Preferring(likes[0]), meeting.tasks(), EPISODES, key=key)
    each = meeting.judge(Preferring(likes), meeting.tasks(), EPISODES, key=key, each=True)
    assert one.scores.shape == each.scores.shape == (1, 2, LANES, EPISODES)
    # In the first lane the agent begins.
    assert one.actions[0, :, 0, 0].tolist() == [4, 4]
    assert each.actions[0, :, 0, 0].tolist() == [4, 8]
    np.testing.assert_array_equal(one.scores[:, 0], each.scores[:, 0])


def moment():
    """A percept of a trial, before its first move."""
    planes = jnp.zeros((3, 3, 6), bool).at[..., 2].set(True)
    legal = jnp.append(jnp.ones(9, bool), jnp.array([False, False]))
    return Percept(Sight(planes, no_ending(3)), jnp.array(True), legal=legal)


def test_a_network_of_single_games_is_shown_the_board_alone():
    output, _ = BoardAlone(Preferring(jnp.zeros(11)))(moment(), None)
    np.testing.assert_array_equal(output.features, moment().observation.board)


def test_who_is_settled_plays_by_one_belief():
    heard = []

    class Attentive(Player):
        def __call__(self, percept, memory):
            heard.append((percept.goal, percept.observation.shape))
            return Output(None), None

    belief = jnp.array([0.25, 1.0])
    Settled(Attentive(2, width=4, blocks=1, context=4, key=jax.random.key(0)), belief)(moment(), None)
    assert heard[0][0].tolist() == [0.25, 1.0]
    assert heard[0][1] == (3, 3, 6)
