import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from counting import Counting, Rememberer
from headstart.core.learner import AbstractLearner
from headstart.core.process import AbstractProcess, Online, Tally, train, train_at_once
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Percept, Step
from headstart.core.wrappers import TimeLimit

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Draws(AbstractProcess):
    """Its state is a chaotic sum of all it drew; each iteration reports what it drew."""

    def init(self, *, key):
        return jax.random.uniform(key)

    def step(self, state, *, key):
        drawn = jax.random.uniform(key)
        return (state * 37.0 + drawn) % 1.0, {"drawn": drawn}


class HostDraws(Draws):
    """The same outside of `jit`."""

    compiled = False


def run(process, iterations, seed=0, **options):
    drawn, dones = [], []

    def after(done, state, metrics):
        drawn.extend(metrics["drawn"].tolist())
        dones.append(done)

    state = train(process, iterations, key=jax.random.key(seed), after=after, **options)
    return float(state), drawn, dones


def test_chunks_change_nothing_but_when_one_hears():
    state, drawn, dones = run(Draws(), 7, chunk=7)
    assert len(set(drawn)) == 7
    assert dones == [7]
    assert run(Draws(), 7, chunk=3) == (state, drawn, [3, 6, 7])
    assert run(HostDraws(), 7, chunk=7) == (state, drawn, [7])


def test_an_iteration_draws_from_the_seed_and_its_number_alone():
    state, drawn, _ = run(Draws(), 7)
    assert run(Draws(), 7)[:2] == (state, drawn)
    assert set(run(Draws(), 7, seed=1)[1]).isdisjoint(drawn)
    # Going on from elsewhere, iteration 4 still draws what it would have drawn.
    assert run(Draws(), 7, state=jnp.array(0.25), done=4)[1] == drawn[4:]
    before = train(Draws(), 4, key=jax.random.key(0))
    assert run(Draws(), 7, state=before, done=4)[0] == state


def test_training_at_once_ends_where_training_in_chunks_does_and_may_be_mapped_over_seeds():
    many = jax.vmap(lambda seed: train_at_once(Draws(), 7, key=jax.random.key(seed)))(jnp.arange(2))
    np.testing.assert_allclose(many, [run(Draws(), 7)[0], run(Draws(), 7, seed=1)[0]], rtol=1e-5)


class CountState(eqx.Module):
    network: Rememberer
    steps: jax.Array


class Counter(AbstractLearner):
    """Counts the steps it was given; acts by its network."""

    source: AbstractSource = Chain()

    def init(self, network, example, *, key):
        return CountState(network, jnp.zeros((), jnp.int32))

    def act(self, state, percept, memory, *, key):
        _, memory = state.network(percept, memory)
        return Choice(jnp.array(1, jnp.int32)), memory

    def update(self, state, rollout, *, key):
        steps = state.steps + rollout.reward.size
        return CountState(state.network, steps), {"counter/steps": steps}


class Shorten(AbstractSource):
    def stage(self, world):
        return TimeLimit(world, 2)


@pytest.mark.parametrize(("source", "length", "episode"), [(Chain(), 3, 6.0), (Shorten(), 2, 3.0)])
def test_online_collects_learns_and_reports_in_the_world_its_source_staged(source, length, episode):
    rows = {}
    process = Online(Counting(length=3), lambda key: Rememberer(), Counter(source), lanes=4, length=6)
    state = train(process, 2, key=jax.random.key(0), after=lambda done, state, metrics: rows.update(metrics))
    assert int(state.learner.steps) == 2 * 4 * 6
    assert rows["counter/steps"].tolist() == [24, 48]
    assert rows["episode/return"].tolist() == [episode, episode]
    assert rows["episode/length"].tolist() == [length, length]
    assert rows["episode/count"].tolist() == [24 / length, 24 / length]


def test_a_tally_carries_episodes_over_from_rollout_to_rollout():
    def rollout(rewards, lasts):
        column = lambda numbers, kind: jnp.array(numbers, kind)[:, None]
        reward, last = column(rewards, jnp.float32), column(lasts, bool)
        percept = Percept(reward, last)
        return Step(percept, reward, reward, reward, last, percept)

    tally, none = Tally.zero(1).count(rollout([1, 2], [0, 0]))
    assert np.isnan(none["episode/return"])
    assert float(none["episode/count"]) == 0
    tally, metrics = tally.count(rollout([3, 10, 5], [1, 1, 0]))
    assert {name: float(number) for name, number in metrics.items()} == {
        "episode/return": (6 + 10) / 2,
        "episode/length": (3 + 1) / 2,
        "episode/count": 2,
        "episode/ends": 2,
    }
    assert (float(tally.returns[0]), int(tally.lengths[0])) == (5, 1)
