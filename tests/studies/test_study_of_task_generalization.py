"""The study of tasks never trained with: verdicts fail of their own arms, controls are what they say, and it runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.options import Options
from headstart.core.policies import Categorical
from headstart.core.types import Output, Percept
from headstart.instructions.analogies import quadruples
from headstart.instructions.controller import New, lists, subtasks
from headstart.instructions.skills import Skill, shortest
from headstart.progress import Quiet
from headstart.studies import task_generalization as study
from headstart.studies.study import Arm, Verdict
from headstart.studies.task_generalization import (
    AMONG,
    DYNAMIC,
    FLAT,
    HELD,
    LONG,
    NEVER,
    NONE,
    OTHER,
    PERMUTED,
    PUPILS,
    SHORT,
    SHUFFLED,
    TOLD,
    Another,
    analogies,
    judge_all,
    listed,
)
from headstart.worlds.object_grid import ObjectGrid, pairs, words

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)
UNSEEN, LONGEST = "held-out", "20, held out"
HOPED = {
    **{f"{family}, {TOLD}: {UNSEEN}": 0.95 for family in ("independent", "dependent")},
    **{f"{family}, {name}: {UNSEEN}": 0.1 for family in ("independent", "dependent") for name in (NONE, PERMUTED)},
    **{f"{family}, {OTHER}": 0.05 for family in ("independent", "dependent")},
    f"{DYNAMIC}: {LONGEST}": 0.7,
    f"{DYNAMIC}, boxes: {LONGEST}": 0.9,
    f"{SHORT}: {LONGEST}": 0.2,
    f"{LONG}: {LONGEST}": 0.2,
    **{f"{name}: {LONGEST}": 0.01 for name in (FLAT, NEVER, HELD, SHUFFLED)},
}


def arms(**others):
    """What the study hopes for, but for some, with a spread between seeds."""
    return {name: Arm.of(np.linspace(-0.01, 0.01, 3)[:, None] + score) for name, score in (HOPED | others).items()}


def failing(arms, quick=False):
    return [verdict.claim for verdict in judge_all(arms, quick=quick) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing(arms()) == []
    single = {name: Arm.of([[arm.iqm]]) for name, arm in arms().items()}
    assert {verdict.holds for verdict in judge_all(single, quick=True)} == {"undecided"}


@pytest.mark.parametrize(
    ("name", "score", "claims"),
    [
        (f"independent, {TOLD}: {UNSEEN}", 0.84, ["independent: pairs never trained with"]),
        (f"dependent, {TOLD}: {UNSEEN}", 0.79, ["dependent: pairs never trained with"]),
        (f"independent, {NONE}: {UNSEEN}", 0.65, [f"independent: more than with {NONE}"]),
        (f"dependent, {NONE}: {UNSEEN}", 0.21, [f"dependent, {NONE}: fails"]),
        (f"independent, {PERMUTED}: {UNSEEN}", 0.41, [f"independent, {PERMUTED}: do not help"]),
        (f"dependent, {OTHER}", 0.3, [f"dependent, {OTHER}: fails"]),
        (f"{DYNAMIC}: {LONGEST}", 0.48, ["lists of 20 never trained with"]),
        (f"{SHORT}: {LONGEST}", 0.36, [f"lists of 20: twice as many as with {SHORT}"]),
        (f"{LONG}: {LONGEST}", 0.36, [f"lists of 20: twice as many as with {LONG}"]),
        (f"{DYNAMIC}, boxes: {LONGEST}", 0.79, ["boxes are transformed"]),
        (f"{FLAT}: {LONGEST}", 0.06, [f"lists of 20, {FLAT}: fails"]),
        (f"{NEVER}: {LONGEST}", 0.3, [f"lists of 20, {NEVER}: fails"]),
        (f"{HELD}: {LONGEST}", 0.3, [f"lists of 20, {HELD}: fails"]),
        (f"{SHUFFLED}: {LONGEST}", 0.3, [f"lists of 20, {SHUFFLED}: fails"]),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claims):
    assert failing(arms(**{name: score})) == claims


def test_each_pupil_is_told_what_it_is_called():
    for family in study.FAMILIES:
        of = analogies(family)
        assert of[NONE] is None
        assert set(of[TOLD].known) == set(pairs("all", family))
        assert (of[TOLD].family, of[TOLD].permuted, of[PERMUTED].permuted) == (family, False, True)
    assert set(analogies("independent")[AMONG].known) == set(pairs("train"))
    assert len(quadruples(pairs("train", "dependent"), "dependent")) < len(quadruples(pairs("train"), "independent"))
    assert [(each.gates, each.points, each.able) for each in PUPILS.values()] == [
        ("learned", True, True),
        ("always", True, True),
        ("done", True, True),
        ("learned", True, False),
        ("never", True, True),
        ("learned", False, True),
    ]


def test_another_pair_is_heard_in_all_of_a_list_and_no_padding_becomes_an_instruction():
    class Repeats(AbstractNetwork):
        def initial(self):
            return None

        def __call__(self, percept, memory):
            return Output(percept.instruction), None

    said = words((1, 8, 1), (3, 2, 1), (2, 9, 1), slots=4)
    heard = Another(Repeats())(Percept(jnp.zeros(()), jnp.array(True), instruction=said), None)[0].policy
    assert heard.reshape(4, 3).tolist() == [[2, 1, 1], [1, 3, 1], [3, 9, 1], [0, 0, 0]]


class Exact(AbstractNetwork):
    """Who does what teachers do."""

    def initial(self):
        return None

    def __call__(self, percept, memory):
        liked = shortest(percept.observation, "independent", percept.instruction[0], percept.instruction[1])
        return Output(Categorical(jnp.log(liked + 1e-8)), jnp.zeros(()), jnp.zeros(())), None


def test_a_teacher_never_fails_and_one_that_hears_of_another_pair_does(monkeypatch):
    monkeypatch.setattr(study, "JUDGED", 32)
    found = study.skilled(f"independent, {TOLD}", "independent", Exact(), KEY)
    assert found[f"independent, {TOLD}: train"] == found[f"independent, {TOLD}: held-out"] == 1
    assert found[f"independent, {OTHER}"] < 0.2
    assert study.succeeded(ObjectGrid(), Exact(), 1, KEY)["finished"] == 1


@pytest.mark.slow
def test_lists_are_judged_of_all_lengths_and_the_one_that_learns_its_gate_with_others_words(monkeypatch):
    monkeypatch.setattr(study, "JUDGED", 2)
    monkeypatch.setattr(study, "LISTS", {"2, train": (2, "train")})
    grid = lists(2)
    skill = Skill(grid, KEY, width=8, looks=2)
    network = New(Options(grid, skill, subtasks()))(KEY)
    found = listed(DYNAMIC, skill, network, KEY)
    kinds = {f"{DYNAMIC}: 2, train", f"{DYNAMIC}, boxes: 2, train", f"{DYNAMIC}, gate: 2, train"}
    assert found.keys() == kinds | {f"{SHUFFLED}: 2, train"}
    assert all(0 <= score <= 1 for score in found.values())
    flat = listed(FLAT, None, New(grid)(KEY), KEY)
    assert f"{SHUFFLED}: 2, train" not in flat


@pytest.mark.slow
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    for name, small in {"SKILL": 1, "SOFT": 1, "HARD": 1, "JUDGED": 2}.items():
        monkeypatch.setattr(study, name, small)
    monkeypatch.setattr(study, "FAMILIES", ("independent",))
    monkeypatch.setattr(study, "LISTS", {"2, train": (2, "train")})
    monkeypatch.setattr(study, "PUPILS", {DYNAMIC: PUPILS[DYNAMIC], FLAT: PUPILS[FLAT]})
    monkeypatch.setattr(study, "analogies", lambda family: {TOLD: analogies(family)[TOLD]})
    monkeypatch.setattr(study, "judge_all", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: study.run(quick=True, seeds=1, directory=tmp_path, observer=Quiet())
    found = run()
    assert {f"independent, {TOLD}: {UNSEEN}", f"{DYNAMIC}: 2, train", f"{FLAT}: 2, train"} <= found.arms.keys()
    monkeypatch.setattr(study, "taught", lambda *arguments: pytest.fail("this was measured before"))
    monkeypatch.setattr(study, "learn", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())
