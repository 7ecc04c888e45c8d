"""The study of XLand-MiniGrid: its verdicts fail of their own arms, its controls are what they say, and it runs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect
from headstart.core.types import Choice
from headstart.core.wrappers import Trials
from headstart.experience.xland import benchmark
from headstart.progress import Quiet
from headstart.studies import xland
from headstart.studies.pupils import Deaf
from headstart.studies.rl2 import Unrelated
from headstart.studies.study import Arm, Verdict
from headstart.studies.xland import ABLE, BLANKED, DEAF, UNRELATED, figures, judge, judged, pupils
from headstart.worlds.xland.network import TileActorCritic

pytestmark = pytest.mark.usefixtures("quick_to_compile")
SMALL = {"count": 200, "episodes": 3, "size": 6, "steps": 5}
LAST = "20th percentile of the last"
HOPED = {
    f"{ABLE}, gained": 0.25,
    f"{ABLE}, last by first": 1.6,
    f"{ABLE}, {LAST}": 0.5,
    f"{BLANKED}, {LAST}": 0.2,
    f"{BLANKED}, gained": 0.0,
    f"{UNRELATED}, gained": 0.0,
    f"{DEAF}, gained": 0.1,
}


def arms(**others):
    """What the study hopes for, but for some, with a spread between seeds."""
    return {name: Arm.of(np.linspace(-0.01, 0.01, 3)[:, None] + score) for name, score in (HOPED | others).items()}


def failing(arms, quick=False):
    return [verdict.claim for verdict in judge(arms, quick=quick) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing(arms()) == []
    single = {name: Arm.of([[arm.iqm]]) for name, arm in arms().items()}
    assert {verdict.holds for verdict in judge(single, quick=True)} == {"undecided"}


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        (f"{ABLE}, gained", 0.14, "gained from the first episode to the fifth"),
        (f"{ABLE}, last by first", 1.39, "the fifth episode by the first"),
        (f"{BLANKED}, {LAST}", 0.5, f"{LAST} is above that with {BLANKED}"),
        (f"{BLANKED}, gained", 0.06, f"{BLANKED}: gains nothing"),
        (f"{UNRELATED}, gained", 0.06, f"{UNRELATED}: gains nothing"),
        (f"{DEAF}, gained", 0.25, f"{DEAF}: gains less"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claim):
    assert failing(arms(**{name: score})) == [claim]


def test_what_is_said_of_returns_can_be_counted():
    returns = np.array([[0.0, 0.2, 0.4], [0.2, 0.2, 0.8], [0.1, 0.3, 0.6], [0.1, 0.1, 0.2], [0.1, 0.2, 0.5]])
    found = figures("who", returns)
    np.testing.assert_allclose([found[f"who, {number} episodes before"] for number in range(3)], [0.1, 0.2, 0.5])
    np.testing.assert_allclose(found["who, gained"], 0.4)
    np.testing.assert_allclose(found["who, last by first"], 5.0)
    np.testing.assert_allclose(found["who, return of a trial"], 0.8)
    np.testing.assert_allclose(found["who, 20th percentile"], np.percentile([0.6, 1.2, 1.0, 0.4, 0.8], 20))
    np.testing.assert_allclose(found[f"who, {LAST}"], 0.36)
    assert figures("idle", np.zeros((4, 3)))["idle, last by first"] == 0


def test_each_pupil_lacks_one_thing_and_no_more():
    training, _ = benchmark(**SMALL)
    found = pupils(training)
    assert found.keys() == {ABLE, DEAF, UNRELATED}
    assert isinstance(found[DEAF].network(jax.random.key(0)), Deaf)
    assert [type(found[name].world) for name in (ABLE, DEAF, UNRELATED)] == [Trials, Trials, Unrelated]
    assert len({(each.lanes, each.length, str(each.learner)) for each in found.values()}) == 1


@pytest.mark.parametrize(("kind", "rulesets"), [(Trials, 1), (Unrelated, 3)])
def test_in_unrelated_trials_what_lies_about_is_of_the_ruleset_that_holds(kind, rulesets):
    training, _ = benchmark(**SMALL)
    world = kind(training.world, 3)
    network = TileActorCritic(world, jax.random.key(0), width=4, features=2)
    turn = lambda percept, memory, *, key: (Choice(jnp.ones((), jnp.int32)), memory)  # it ends by time alone
    step = eqx.filter_jit(lambda lanes, key: collect(world, network, turn, lanes, 1, key=key))
    lanes = begin(world, network, 8, key=jax.random.key(1))
    met, there = [], []
    for moment in range(15):
        state = lanes.state.inner
        task, scene = state if kind is Unrelated else (lanes.task, state)
        codes = np.asarray(task.parameters.tiles) @ np.array([12, 1])
        there.append(all(np.isin(row[row > 0], grid).all() for row, grid in zip(codes, scene.grid, strict=True)))
        met.append(np.asarray(task.parameters.goal))
        lanes, steps = step(lanes, jax.random.key(2 + moment))
        np.testing.assert_array_equal(np.asarray(steps.last)[0], moment == 14)
    assert all(there)
    by_lane = np.stack(met, axis=1)
    assert all(len(np.unique(goals, axis=0)) <= rulesets for goals in by_lane)
    assert any(len(np.unique(goals, axis=0)) == rulesets for goals in by_lane)


def test_who_plays_is_judged_in_every_episode_and_without_memory_beside(monkeypatch):
    monkeypatch.setattr(xland, "TRIALS", 8)
    _, held_out = benchmark(**SMALL)
    network = TileActorCritic(held_out, jax.random.key(0), width=4, features=2)
    found = judged(ABLE, held_out, network, jax.random.key(0))
    assert {f"{name}, {number} episodes before" for name in (ABLE, BLANKED) for number in range(3)} <= found.keys()
    assert all(np.isfinite(figure) for figure in found.values())
    assert f"{BLANKED}, gained" not in judged(DEAF, held_out, Deaf(network), jax.random.key(0))


@pytest.mark.slow  # it compiles a dozen programs
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(xland, "TRIALS", 8)
    monkeypatch.setattr(xland, "ITERATIONS", 1)
    monkeypatch.setattr(xland, "benchmark", lambda: benchmark(**SMALL))

    def one(training):
        process = pupils(training)[ABLE]
        return {ABLE: eqx.tree_at(lambda process: (process.lanes, process.length), process, (8, 4))}

    monkeypatch.setattr(xland, "pupils", one)
    monkeypatch.setattr(xland, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: xland.run(quick=True, seeds=1, directory=tmp_path, observer=Quiet())
    found = run()
    assert {f"{ABLE}, gained", f"{BLANKED}, gained", f"{ABLE}, 2 episodes before"} <= found.arms.keys()
    monkeypatch.setattr(xland, "taught", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())
