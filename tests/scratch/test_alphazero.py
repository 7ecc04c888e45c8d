"""Gumbel AlphaZero: returns and signs by hand, search that finds what is right, and learning from its own games."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import Lanes, begin
from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActorCritic, RecurrentActorCritic
from headstart.core.policies import Categorical
from headstart.core.process import train
from headstart.core.types import Choice, Outcome, Output, Percept, Step, Task
from headstart.core.world import AbstractTwoPlayerWorld, Discrete
from headstart.newgame.arms import BoardAlone
from headstart.newgame.match import Greedy, play
from headstart.scratch.alphazero import AlphaZero, _wander, _with_returns, search
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.ladder import OnePly
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.trials import GameTrials

pytestmark = pytest.mark.usefixtures("quick_to_compile")

PILES = np.arange(1, 9)
VALUES = np.where(PILES % 3 == 0, -1.0, 1.0)
RIGHT = PILES % 3 - 1  # what to do where not all is lost


class Nim(AbstractTwoPlayerWorld):
    """Action 0 takes one of a pile, 1 takes two; who takes the last wins. Threes, sixes and so on are lost."""

    @property
    def actions(self):
        return Discrete(2)

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        state = jax.random.randint(key, (), 1, len(PILES) + 1), jnp.zeros((), jnp.int32)
        return state, show(state[0])

    def legal(self, state, task):
        return jnp.stack([jnp.array(True), state[0] > 1])

    def player(self, state):
        return state[1]

    def step(self, state, task, action, *, key):
        pile = state[0] - 1 - action
        over = pile <= 0
        return (pile, 1 - state[1]), Outcome(show(pile), jnp.where(over, 1.0, 0.0), jnp.where(over, 0.0, -1.0), over)


class Judge(AbstractNetwork):
    """Prefers nothing, and finds every position worth a quarter."""

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(Categorical(jnp.zeros(2), percept.legal), jnp.full((), 0.25)), None


def show(pile):
    return jax.nn.one_hot(pile, len(PILES) + 1)


@pytest.fixture(scope="module")
def positions():
    """Every pile in a lane of its own, with someone about to move."""
    world, piles = Nim(), jnp.asarray(PILES, jnp.int32)
    lanes = jax.jit(lambda key: begin(world, Judge(), len(PILES), key=key))(jax.random.key(0))
    legal = jnp.stack([piles > 0, piles > 1], axis=-1)
    percept = eqx.tree_at(lambda percept: (percept.observation, percept.legal), lanes.percept, (show(piles), legal))
    return Lanes(lanes.task, (piles, jnp.zeros_like(piles)), percept, None)


def test_returns_are_those_worked_by_hand():
    """Turns pass (−1), then one player moves twice (1), then it is won (0); at last a game is left unfinished."""
    column = lambda *numbers: jnp.array(numbers)[:, None]
    percept = Percept(jnp.zeros((5, 1, 9)), jnp.zeros((5, 1), bool))
    rollout = Step(
        percept=percept,
        action=jnp.zeros((5, 1), jnp.int32),
        reward=column(0.0, 0.0, 0.0, 1.0, 0.0),
        discount=column(-1.0, 1.0, -1.0, 0.0, -1.0),
        last=column(False, False, False, True, False),
        after=percept,
        notes={
            "value": column(0.1, 0.2, 0.3, 0.4, 0.5),
            "strayed": column(False, False, False, False, False),
            "memory_after": None,
        },
    )
    outcome = lambda rollout, trace: _with_returns(rollout, Judge(), trace).notes["return"][:, 0]
    np.testing.assert_allclose(outcome(rollout, 1.0), [1.0, -1.0, -1.0, 1.0, -0.25])
    np.testing.assert_allclose(outcome(rollout, 0.0), [-0.2, 0.3, -0.4, 1.0, -0.25], rtol=1e-6)
    # What followed the third move, made at random, is not laid at the door of the first two.
    strayed = eqx.tree_at(lambda rollout: rollout.notes["strayed"], rollout, jnp.arange(5)[:, None] == 2)
    np.testing.assert_allclose(outcome(strayed, 1.0), [-0.3, 0.3, 0.3, 1.0, -0.25], rtol=1e-6)


def test_some_moves_are_any_legal_one():
    legal = jnp.tile(jnp.array([[True, False], [True, True]]), (500, 1))
    best = Choice(jnp.zeros(1000, jnp.int32), {"target": jnp.zeros((1000, 2))})
    found = jax.jit(partial(_wander, explore=0.5))(best, legal, key=jax.random.key(0))
    assert 0.4 < float(jnp.mean(found.notes["strayed"])) < 0.6
    assert not np.any(found.action[::2]), "an illegal move"
    assert 0.15 < float(jnp.mean(found.action[1::2])) < 0.35
    assert not np.any(found.action[~found.notes["strayed"]])


def test_search_finds_the_right_move_without_having_learned_any(positions):
    find = eqx.filter_jit(partial(search, Nim(), Judge(), simulations=64, considered=2, noise=0.0))
    choice, _ = find(positions, key=jax.random.key(1))
    winning = VALUES > 0
    np.testing.assert_array_equal(choice.action[winning], RIGHT[winning])
    value = choice.notes["value"]
    assert np.min(value[winning]) > np.max(value[~winning])
    np.testing.assert_allclose(np.sum(choice.notes["target"], axis=-1), 1.0, rtol=1e-5)
    assert choice.notes["target"][0, 1] == 0, "two cannot be taken of one"


def test_learns_a_game_from_its_own_moves(positions):
    learn = AlphaZero(Nim(), partial(ActorCritic, Nim(), width=32), simulations=8, lanes=16, length=8, minibatch=64)
    network = train(learn, 150, key=jax.random.key(0), chunk=50).network
    output, _ = jax.vmap(network)(positions.percept, None)
    np.testing.assert_array_equal(output.policy.mode()[VALUES > 0], RIGHT[VALUES > 0])
    assert np.min(output.value * VALUES) > 0.25, "searched values are means over what was tried: right in sign"


def test_a_network_with_a_memory_learns_whole_lanes():
    learn = AlphaZero(Nim(), partial(RecurrentActorCritic, Nim()), lanes=4, length=8, minibatch=16)
    state = eqx.filter_eval_shape(learn.init, key=jax.random.key(0))
    after, metrics = eqx.filter_eval_shape(learn.step, state, key=jax.random.key(0))
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert metrics["alphazero/policy"].shape == ()


@pytest.mark.slow
def test_learns_tic_tac_toe_from_nothing():
    world = BoardGames(stack([compile_rules(CLASSICS["tic_tac_toe"])]), canvas=3)
    learn = AlphaZero(world, partial(ActorCritic, world, width=128), lanes=64, minibatch=256, passes=2, length=16)
    network = train(learn, 150, key=jax.random.key(0)).network
    tasks = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (64, *leaf.shape)), world.nth(0, key=jax.random.key(0)))
    mover = Greedy(BoardAlone(network))
    match = play(GameTrials(world, episodes=4), mover, OnePly(), tasks, key=jax.random.key(1))
    assert float(jnp.mean(match.scores)) > 0.85
