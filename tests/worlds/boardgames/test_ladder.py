"""Each rung of the ladder is stronger than the one below it, and scores are counted from the right side."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.types import Output, Task
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.ladder import OnePly, Random, TreeSearch, greedy, play
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.trials import GameTrials


class FirstLegal(AbstractNetwork):
    """Always the first legal action: it has no idea, and remembers how many games have ended."""

    def initial(self):
        return jnp.zeros(())

    def __call__(self, percept, memory):
        memory = memory + ((percept.discount == 0) & ~percept.first)
        return Output(Categorical(-jnp.arange(percept.legal.shape[0], dtype=float), percept.legal), memory), memory


def setting(lanes, episodes=4):
    games = BoardGames(stack([compile_rules(CLASSICS["tic_tac_toe"])]), canvas=4)
    task = games.nth(0, key=jax.random.key(0))
    tasks = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (lanes, *leaf.shape)), task)
    return GameTrials(games, episodes=episodes), Task(parameters=tasks.parameters)


@pytest.fixture(scope="module")
def scores():
    world, tasks = setting(32)
    network = FirstLegal()
    match = eqx.filter_jit(lambda opponent, key: play(world, network, greedy(network), opponent, tasks, key=key))
    rungs = {"random": Random(), "one ply": OnePly(), "search": TreeSearch(24)}
    return {name: np.asarray(match(rung, jax.random.key(1)).scores) for name, rung in rungs.items()}


def test_every_game_of_every_trial_is_scored(scores):
    for table in scores.values():
        assert table.shape == (32, 4)
        assert set(np.unique(table)) <= {0.0, 0.5, 1.0}


def test_rungs_are_in_order(scores):
    means = [table.mean() for table in scores.values()]
    assert means[0] > means[1] > means[2], means


def test_one_ply_wins_at_once_where_it_can():
    world, tasks = setting(1)
    position, _ = jax.vmap(lambda task: world.games.reset(task, key=jax.random.key(0)))(tasks)
    for action in (0, 4, 1, 5):  # colour 0 holds the first two cells of the top row
        position, _ = jax.vmap(world.games.step)(position, tasks, jnp.array([action]))
    chosen = [int(OnePly()(world.games, tasks, position, key=jax.random.key(seed))[0]) for seed in range(5)]
    assert chosen == [2] * 5
