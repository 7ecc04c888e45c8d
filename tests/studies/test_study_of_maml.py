"""The study of MAML: its controls are what they say, and its verdicts fail of their own arms."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.experience.meta_gradient import plain
from headstart.progress import Quiet
from headstart.recipes.experience import adapting
from headstart.studies import maml as study
from headstart.studies.enumerated_bandit import compared
from headstart.studies.maml import ESTIMATORS, POLICIES, Place, explorers, judge
from headstart.studies.page import curves
from headstart.studies.study import Arm, Verdict
from headstart.worlds.navigation import Direction, Navigation, SparseCorners

pytestmark = pytest.mark.usefixtures("quick_to_compile")

HOPED = {
    **{
        f"{place}: MAML, {steps} steps": score
        for place in ("navigation", "direction")
        for steps, score in (("0", -17.0), ("2,000", -7.0), ("4,000", -4.0), ("6,000", -3.0))
    },
    "navigation: pre-trained, 2,000 steps": -30.0,
    "navigation: MAML, gap closed": 0.7,
    "navigation: MAML, gap closed from a random start": 0.9,
    "direction: MAML, gap closed": 0.7,
    "direction: pre-trained, gap closed": 0.1,
    "direction: random initialisation, gap closed": 0.2,
    **{f"{place}: inner rate 0, gap closed": 0.0 for place in ("navigation", "direction")},
    **{f"{place}: another task's trajectories, gap closed": -1.0 for place in ("navigation", "direction")},
    "corners: ProMP, samples saved": 0.5,
    "corners: ProMP, final": 2.0,
    "corners: stop-gradient everywhere, final": 1.0,
    "gradient: plain": 0.8,
    **{f"gradient: {name}": 1.005 for name in ("plain, with credit", "DiCE", "low variance")},
}


def arms(**others):
    """What the study hopes for, but for some, with a spread between seeds."""
    return {name: Arm.of(np.linspace(-0.004, 0.004, 5)[:, None] + score) for name, score in (HOPED | others).items()}


def failing(arms, quick=False):
    return [verdict.claim for verdict in judge(arms, quick=quick) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing(arms()) == []
    single = {name: Arm.of([[arm.iqm]]) for name, arm in arms().items()}
    assert {verdict.holds for verdict in judge(single, quick=True)} == {"undecided"}


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        ("navigation: MAML, gap closed", 0.59, "navigation: one update closes most of the gap"),
        ("direction: MAML, gap closed", 0.59, "direction: one update closes most of the gap"),
        ("navigation: MAML, 6,000 steps", -4.1, "navigation: update 3 loses nothing"),
        ("navigation: MAML, gap closed from a random start", 0.5, "navigation: of the gap from a random start too"),
        ("navigation: pre-trained, 2,000 steps", -7.0, "navigation: more after one update than pre-trained"),
        ("direction: pre-trained, gap closed", 0.16, "direction, pre-trained: fails"),
        ("direction: random initialisation, gap closed", 0.36, "direction, random initialisation: fails"),
        ("direction: inner rate 0, gap closed", 0.2, "direction, inner rate 0: fails"),
        (
            "navigation: another task's trajectories, gap closed",
            0.2,
            "navigation, another task's trajectories: fails",
        ),
        ("corners: ProMP, samples saved", 0.3, "corners: ProMP saves samples of MAML, plain"),
        ("corners: stop-gradient everywhere, final", 2.0, "corners: ProMP ends above stop-gradient everywhere"),
        ("gradient: DiCE", 0.99, "gradient: DiCE is the true one"),
        ("gradient: plain", 0.96, "gradient, plain: misses the credit"),
    ],
)
def test_each_claim_fails_of_its_own_arm(name, score, claim):
    assert failing(arms(**{name: score})) == [claim]


@pytest.mark.parametrize("policy", POLICIES)
def test_where_the_table_is_made_credit_is_missed_by_who_gives_none(policy):
    step, _ = ESTIMATORS["plain"]
    assert compared(step, policy)[0] < 0.95
    for name in ("plain, with credit", "DiCE", "low variance"):
        step, credit = ESTIMATORS[name]
        assert compared(step, policy, credit=credit)[0] > 0.999


def test_who_learns_to_explore_differs_in_what_it_says():
    found = explorers()
    assert len({(each.world, each.tasks, each.lanes, each.length, each.inner.rate) for each in found.values()}) == 1
    assert found["MAML, plain"].inner.surrogate is plain
    assert found["stop-gradient everywhere"].inner.first_order
    assert not found["ProMP"].inner.first_order


def test_directions_that_judge_take_turns_so_that_the_next_is_never_the_same():
    tasks = study._spread(adapting(Direction()), jax.random.key(0)).parameters
    np.testing.assert_array_equal(tasks * np.roll(tasks, 1), -1.0)


@pytest.mark.slow
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    tiny = lambda world: Place(replace(adapting(world, lanes=2, width=4), tasks=2, length=6), 3)
    monkeypatch.setattr(study, "PLACES", {"navigation": tiny(Navigation()), "direction": tiny(Direction())})
    monkeypatch.setattr(study, "CORNER", tiny(SparseCorners()))
    monkeypatch.setattr(study, "SMOOTH", 2)
    monkeypatch.setattr(study, "TASKS", 4)
    monkeypatch.setattr(study, "differ", lambda: {"gradient: plain": [0.8]})
    monkeypatch.setattr(study, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: study.run(quick=True, seeds=1, directory=tmp_path, observer=Quiet())
    found = run()
    assert {"navigation: MAML, gap closed", "direction: expert", "corners: ProMP, final"} <= found.arms.keys()
    drawn = curves(found.arms)
    assert drawn["navigation: MAML"].games.tolist() == [0, 12, 24, 36]
    still = [found.arms[f"navigation: inner rate 0, {steps} steps"].iqm for steps in (0, 36)]
    assert abs(still[0] - still[1]) < 3
    monkeypatch.setattr(study, "adapt", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())


def test_too_few_seeds_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="run at least 3"):
        study.run(quick=False, seeds=2, directory=tmp_path, observer=Quiet())
