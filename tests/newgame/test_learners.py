"""Learners in lockstep: each is as it would be alone, and is taken as it was at the number of games asked for."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.process import AbstractProcess
from headstart.core.types import Percept, Task
from headstart.newgame.agent import UniversalAgent
from headstart.newgame.arms import Settled
from headstart.newgame.learners import STACK, _learn, improve, ppo_from_scratch, settle, think
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.facts import facts
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.trials import Sight, no_ending

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Player(eqx.Module):
    """Who has learned for so many iterations, and by what luck."""

    iterations: jax.Array
    luck: jax.Array


class Pace(AbstractProcess):
    """Plays as many games an iteration as its task says."""

    games: jax.Array

    def init(self, *, key):
        return Player(jnp.zeros((), jnp.int32), jax.random.uniform(key))

    def step(self, state, *, key):
        return Player(state.iterations + 1, state.luck + jax.random.uniform(key)), {"ended": self.games}


def learned(paces, counts):
    """`{count: (games played, players)}`."""
    found = _learn(
        lambda task: Pace(task.parameters),
        lambda state: state,
        (Task(parameters=jnp.array(paces)),),
        "ended",
        counts,
        1,
        jax.random.key(0),
    )
    return dict(zip(counts, found, strict=True))


def test_each_is_taken_at_its_own_time():
    found = learned([1, 4], [0, 3, 6])
    games, players = zip(*found.values(), strict=True)
    assert [row.tolist() for row in games] == [[0, 0], [3, 4], [6, 8]]
    assert [player.iterations.tolist() for player in players] == [[0, 0], [3, 1], [6, 2]]


def test_one_in_lockstep_is_as_it_is_alone():
    counts = [2, 5]
    together, alone = learned([1, 4], counts), learned([1], counts)
    for count in counts:
        np.testing.assert_array_equal(together[count][0][:1], alone[count][0])
        assert eqx.tree_equal(jax.tree.map(lambda leaf: leaf[:1], together[count][1]), alone[count][1])


def test_many_stacks_are_as_one_learner_each():
    paces = [1 + index % 3 for index in range(2 * STACK + 1)]
    for count, (played, players) in learned(paces, [2, 7]).items():
        assert played.tolist() == [-(-count // pace) * pace for pace in paces]
        assert players.iterations.tolist() == [-(-count // pace) for pace in paces]
        assert len(set(players.luck.tolist())) == len(paces), "each has luck of its own"


PAIR = ("tic_tac_toe", "misere_tic_tac_toe")


def games(*names):
    return BoardGames(stack([compile_rules(CLASSICS[name]) for name in names]), canvas=3)


def improved(agent, world):
    belief = jax.vmap(facts)(world.games)
    return belief, next(improve(world, settle(agent, belief), [3], key=jax.random.key(1)))


def opening(canvas=3):
    """What is seen on an empty board of three by three, in a trial."""
    planes = jnp.zeros((canvas, canvas, 6), bool).at[:3, :3, 2].set(True)
    legal = jnp.append(planes[..., 2].ravel(), jnp.array([False, False]))
    return Percept(Sight(planes, no_ending(canvas)), jnp.array(True), legal=legal, discount=jnp.zeros(()))


@pytest.mark.slow
def test_an_agent_that_improves_learns_and_keeps_its_belief():
    agent = UniversalAgent(width=8, blocks=1, key=jax.random.key(0))
    belief, (played, settled) = improved(agent, games(*PAIR))
    assert isinstance(settled, Settled)
    assert (played >= 3).all()
    np.testing.assert_array_equal(settled.belief, belief)
    before, after = (jax.tree.leaves(eqx.filter(player, eqx.is_array)) for player in (agent.player, settled.player))
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in after)
    assert all(leaf.shape == (2, *start.shape) for leaf, start in zip(after, before, strict=True))
    assert any(bool((leaf[0] != leaf[1]).any()) for leaf in after), "each in its own game"
    # And together they are as one of them is alone.
    _, (alone, one) = improved(agent, games(PAIR[0]))
    assert alone[0] == played[0]
    for leaf, start in zip(jax.tree.leaves(eqx.filter(one.player, eqx.is_array)), after, strict=True):
        np.testing.assert_allclose(leaf[0], start[0], atol=1e-5)


@pytest.mark.slow
def test_whoever_thinks_plays_what_it_believes_and_not_what_the_rules_are():
    """The same beliefs before a game won by a line and one lost by it make the same thoughts: no game is asked."""
    agent, world = UniversalAgent(width=8, blocks=1, key=jax.random.key(0)), games(*PAIR)
    one = facts(jax.tree.map(lambda leaf: leaf[0], world.games))
    belief = jnp.stack([one, one])
    ((played, thoughtful),) = think(world, settle(agent, belief), [3], key=jax.random.key(1))
    assert (played >= 3).all()
    np.testing.assert_array_equal(thoughtful.belief, belief)
    ((_, swapped),) = think(games(*reversed(PAIR)), settle(agent, belief), [3], key=jax.random.key(1))
    assert eqx.tree_equal(thoughtful, swapped)
    before, after = (jax.tree.leaves(eqx.filter(each, eqx.is_array)) for each in (agent.player, thoughtful.player))
    assert any(bool((leaf[0] != start).any()) for leaf, start in zip(after, before, strict=True))


@pytest.mark.slow
def test_ppo_in_lockstep_is_as_it_is_alone():
    learn = lambda *names: next(ppo_from_scratch(games(*names), [1], key=jax.random.key(1)))
    (played, together), (alone, one) = learn(*PAIR), learn(PAIR[0])
    assert alone[0] == played[0] >= 1
    log_probs = lambda network: network(opening(), None)[0].policy.log_probs
    mine = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, together)
    same = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, one)
    np.testing.assert_allclose(log_probs(mine), log_probs(same), atol=1e-4)
