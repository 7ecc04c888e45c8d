"""The player: what it believes changes what it does, and how much room there is round a board does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Percept
from headstart.worlds.boardgames.network import Player

pytestmark = pytest.mark.usefixtures("quick_to_compile")

FACTS = 3


@pytest.fixture(scope="module")
def play():
    """The output for boards of 3 × 3, shown on a canvas, with these beliefs."""
    player = Player(FACTS, width=8, blocks=1, key=jax.random.key(0))

    @jax.jit
    def outputs(planes, beliefs):
        def one(belief):
            empty = planes[..., 2] & ~planes[..., 0] & ~planes[..., 1]
            legal = jnp.append(empty.ravel(), jnp.array([False, False]))
            return player(Percept(planes, jnp.array(False), goal=belief, legal=legal), None)[0]

        return jax.vmap(one)(beliefs)

    return outputs


def board(canvas):
    planes = np.zeros((canvas, canvas, 6), bool)
    planes[:3, :3, 2] = True
    planes[0, 0, 0] = planes[1, 1, 1] = True
    return planes


BELIEFS = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]], np.float32)


@pytest.fixture(scope="module")
def output(play):
    return play(board(4), BELIEFS)


def test_who_believes_other_rules_plays_and_expects_otherwise(output):
    log_probs, values = np.asarray(output.policy.log_probs), np.asarray(output.value)
    assert np.abs(log_probs[0] - log_probs[1]).max() > 1e-4
    assert values[0] != values[1]
    np.testing.assert_array_equal(log_probs[0], log_probs[2])


def test_illegal_actions_have_no_probability(output):
    legal = np.append((board(4)[..., 2] & ~board(4)[..., :2].any(axis=-1)).ravel(), [False, False])
    assert np.all(np.exp(output.policy.log_probs)[:, ~legal] == 0)
    assert np.all(np.abs(output.value) <= 1)


def test_at_first_all_legal_actions_are_about_alike(output):
    likely = np.exp(output.policy.log_probs)
    likely = likely[likely > 0]
    assert likely.max() / likely.min() < 1.5


def test_a_larger_canvas_changes_nothing(play, output):
    wide = play(board(5), BELIEFS)
    cells = lambda log_probs, canvas: np.asarray(log_probs)[:, : canvas**2].reshape(-1, canvas, canvas)[:, :3, :3]
    np.testing.assert_allclose(cells(wide.policy.log_probs, 5), cells(output.policy.log_probs, 4), atol=1e-5)
    np.testing.assert_allclose(wide.value, output.value, atol=1e-5)
