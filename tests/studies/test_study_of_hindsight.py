"""The study of hindsight: its controls are what they say, and its verdicts fail of the arm that each is about."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork
from headstart.core.networks import ActionValues
from headstart.core.policies import Squashed
from headstart.core.source import Chain
from headstart.core.types import Choice, Output
from headstart.errors import UsageError
from headstart.goals.hindsight import Hindsight
from headstart.progress import Quiet
from headstart.recipes.goals import flipping, pushing
from headstart.studies import hindsight
from headstart.studies.hindsight import Blind, Strangers, Unjudged, judge, pupils, success
from headstart.studies.page import page
from headstart.studies.study import Arm, Verdict, conclude
from headstart.worlds.bit_flipping import BitFlipping
from headstart.worlds.push import Push

pytestmark = pytest.mark.usefixtures("quick_to_compile")

WORLD = BitFlipping(3)
HOPED = {
    "8 bits, future": (0.9, 1.0),
    "8 bits, no hindsight": (0.5, 1.0),
    "15 bits, future": (0.9, 1.0),
    "15 bits, final": (0.5, 1.0),
    "15 bits, other episodes": (0.2, 0.5),
    "15 bits, no hindsight": (0.0, 0.0),
    "15 bits, not judged": (0.0, 0.01),
    "15 bits, goal not shown": (0.0, 0.01),
    "20 bits, future": (0.5, 1.0),
    "push, future": (0.5, 1.0),
    "push, no hindsight": (0.0, 0.01),
}


def arms(**others):
    """What the study hopes for, but for some: success half way and at the end."""
    found = HOPED | others
    return {
        f"{name}, {steps:,} steps": Arm.of(np.full((10, 1), score))
        for name, scores in found.items()
        for steps, score in zip((5_000, 10_000), scores, strict=True)
    }


def failing(arms, quick=False):
    return [verdict.claim for verdict in judge(arms, quick=quick) if verdict.holds is not True]


def test_there_is_a_pupil_for_each_arm_and_all_claims_hold_of_what_is_hoped_for():
    assert pupils().keys() == HOPED.keys()
    assert failing(arms()) == []
    single = {name: Arm.of([[arm.iqm]]) for name, arm in arms().items()}
    assert {verdict.holds for verdict in judge(single, quick=True)} == {"undecided"}


@pytest.mark.parametrize(
    ("name", "scores", "claim"),
    [
        ("8 bits, no hindsight", (0.5, 0.9), "8 bits, no hindsight: success"),
        ("15 bits, future", (0.9, 0.9), "15 bits, future: success"),
        ("20 bits, future", (0.5, 0.8), "20 bits, future: success"),
        ("15 bits, final", (1.0, 1.0), "future is not below final"),
        ("15 bits, final", (0.0, 0.0), "final is above no hindsight"),
        ("15 bits, other episodes", (0.9, 1.0), "future is above other episodes"),
        ("15 bits, no hindsight", (0.0, 0.1), "15 bits, no hindsight: no success"),
        ("15 bits, not judged", (0.0, 0.1), "15 bits, not judged: no success"),
        ("15 bits, goal not shown", (0.0, 0.1), "15 bits, goal not shown: no success"),
        ("push, future", (0.9, 0.8), "push, future: success"),
        ("push, no hindsight", (0.0, 0.2), "push, no hindsight: no success"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, scores, claim):
    assert any(claim in failed for failed in failing(arms(**{name: scores})))


def test_the_controls_are_what_they_say():
    network = ActionValues(WORLD, jax.random.key(0), width=4)

    def act(percept, memory, *, key):
        return Choice(jax.random.randint(key, (), 0, 3)), memory

    lanes = begin(WORLD, network, 32, key=jax.random.key(1))
    _, batch = eqx.filter_jit(lambda: collect(WORLD, network, act, lanes, 6, key=jax.random.key(2)))()
    judged, unjudged = (kind(WORLD).rewrite(batch, network, key=jax.random.key(3)) for kind in (Hindsight, Unjudged))
    np.testing.assert_array_equal(unjudged.percept.goal, judged.percept.goal)
    for percept, old in ((unjudged.percept, batch.percept), (unjudged.after, batch.after)):
        np.testing.assert_array_equal(percept.reward, old.reward)
    np.testing.assert_array_equal(unjudged.reward, batch.reward)
    np.testing.assert_array_equal(unjudged.discount, batch.discount)
    assert np.any(np.asarray(judged.reward != batch.reward))
    _, segment = Strangers(WORLD).when(batch, key=jax.random.key(4))
    assert not np.any(np.asarray(segment) == np.arange(32))
    assert len(np.unique(segment)) == 32
    percept = jax.tree.map(lambda leaf: leaf[0, 0], batch.percept)
    other = dataclasses.replace(percept, goal=1 - percept.goal)
    values = [Blind(network)(each, None)[0].policy for each in (percept, other)]
    np.testing.assert_array_equal(*values)
    assert jnp.any(network(percept, None)[0].policy != network(other, None)[0].policy)


@pytest.mark.slow  # it compiles a dozen programs
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(hindsight, "STEPS", {8: 2_048, 15: 3_840, 20: 5_120})
    few = ("8 bits, future", "15 bits, goal not shown")
    monkeypatch.setattr(hindsight, "pupils", lambda: {name: pupils()[name] for name in few})
    monkeypatch.setattr(hindsight, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: hindsight.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    found = run()
    assert list(found.arms) == [
        *(f"8 bits, future, {steps:,} steps" for steps in (1_024, 2_048)),
        *(f"15 bits, goal not shown, {steps:,} steps" for steps in (1_920, 3_840)),
    ]
    assert all(np.shape(arm.scores) == (2, 1) and 0 <= arm.iqm <= 1 for arm in found.arms.values())
    assert len(list((tmp_path / "measured").iterdir())) == 2
    monkeypatch.setattr(hindsight, "learn", lambda *arguments: pytest.fail("this was measured before"))
    again = run()
    assert list(again.arms.items()) == list(found.arms.items()), "in the same order: the last look is the end"
    page(again).html()
    monkeypatch.setattr(hindsight, "PAIRS", 7)
    with pytest.raises(pytest.fail.Exception):  # this was not
        run()


def test_too_few_seeds_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="run at least 3"):
        hindsight.run(quick=False, seeds=2, directory=tmp_path, observer=Quiet())


def test_all_arms_have_a_place_in_the_figures():
    about = {"study": "hindsight", "claim": "c", "paper": hindsight.PAPER, "quick": False, "seconds": 0.0}
    result = conclude(arms=arms(), verdicts=judge(arms(), quick=False), **about)
    assert [name for name, _ in page(result).images] == ["curve", "curve-2", "arms-1", "arms-2", "arms-3", "arms-4"]


class Knowing(AbstractNetwork):
    """Flips the first bit that is not as the goal has it; or the last, whatever it is."""

    knows: bool

    def initial(self):
        return None

    def __call__(self, percept, memory):
        wrong = (percept.observation != percept.goal) & self.knows
        return Output(jnp.where(jnp.any(wrong), wrong, jnp.arange(wrong.size) == wrong.size - 1) * 1.0), memory


def test_success_is_the_share_of_goals_that_are_reached():
    process = flipping(BitFlipping(6), Chain(()))
    solved, stubborn = (float(success(process, Knowing(knows), jax.random.key(0))) for knows in (True, False))
    # A pair that is solved from the start asks for a bit to be flipped and flipped back.
    assert solved == 1.0
    assert abs(stubborn - 2 / 64) < 0.02


class Wrestling(AbstractNetwork):
    """Pushes towards wherever the disc is, which is hardly ever where the goal is."""

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(Squashed(5 * percept.observation[4:6], jnp.zeros(2))), memory


def test_success_on_the_table_is_being_at_the_goal_at_last():
    assert float(success(pushing(Push(), Chain(())), Wrestling(), jax.random.key(0))) < 0.05
