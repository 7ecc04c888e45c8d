"""Verdicts on synthetic arms, the stored result, and how a study is found."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from headstart import studies
from headstart.errors import BadData, StorageError, UsageError
from headstart.studies import study
from headstart.studies.study import Arm, Paper, Result, Verdict, at_least, beats, must_fail, nowhere_below, reaches


def arm(low, high, runs=5):
    """An arm whose interval is given, and whose interquartile mean is its middle."""
    return Arm(((0.0,),) * runs, (low + high) / 2, (low, high))


SINGLE = Arm(((0.5,),), 0.5, None)


def test_an_arm_summarises_its_scores():
    measured = Arm.of([[1.0, 2.0], [3.0, 4.0]])
    assert measured.scores == ((1.0, 2.0), (3.0, 4.0))
    assert measured.iqm == 2.5
    assert measured.interval is not None
    assert Arm.of([[1.0, 2.0]]).interval is None


def test_a_share_has_wilsons_interval():
    """One of four, by hand: (p + z² / 2n ± z √(p (1 − p) / n + z² / 4n²)) / (1 + z² / n), with z = 1.96."""
    one = Arm.share([0.0, 1.0, 0.0, 0.0])
    assert one.scores == ((0.0,), (1.0,), (0.0,), (0.0,))
    assert one.iqm == 0.25  # where an interquartile mean would be 0
    np.testing.assert_allclose(one.interval, (0.0456, 0.6994), atol=1e-4)
    none = Arm.share([0.0] * 100)
    np.testing.assert_allclose(none.interval, (0.0, 3.8415 / 103.8415), atol=1e-4)


@pytest.mark.parametrize("succeeded", [[], [0.5, 1.0], [float("nan")]])
def test_what_is_no_share_is_refused(succeeded):
    with pytest.raises(BadData, match="a share is of"):
        Arm.share(succeeded)


@pytest.mark.parametrize(
    ("first", "second", "full", "quick"),
    [
        (arm(0.6, 0.8), arm(0.1, 0.3), True, True),  # apart by 0.3
        (arm(0.4, 0.6), arm(0.1, 0.3), False, "undecided"),  # by 0.1 at worst, by 0.5 at best
        (arm(0.2, 0.3), arm(0.1, 0.3), False, False),  # by 0.2 at best is still too little
    ],
)
def test_beating_takes_the_bounds_apart(first, second, full, quick):
    assert beats(first, second, by=0.25, claim="better").holds == full
    assert beats(first, second, by=0.25, claim="better", quick=True).holds == quick


def test_beating_measures_lower_bound_minus_upper_bound():
    verdict = beats(arm(0.75, 1.0), arm(0.0, 0.25), by=0.5, claim="better")
    assert verdict == Verdict("better", True, 0.5, 0.5)


def test_two_that_are_equal_do_not_beat_each_other():
    assert beats(arm(0.0, 0.0), arm(0.0, 0.0), claim="better").holds is False
    assert beats(arm(0.0, 0.0), arm(0.0, 0.0), claim="better", quick=True).holds is False


@pytest.mark.parametrize(
    ("control", "full", "quick"),
    [(arm(0.0, 0.1), True, True), (arm(0.1, 0.3), False, "undecided"), (arm(0.2, 0.3), False, False)],
)
def test_a_control_must_stay_under_the_bar(control, full, quick):
    assert must_fail(control, 0.2, claim="control").holds == full
    assert must_fail(control, 0.2, claim="control", quick=True).holds == quick


@pytest.mark.parametrize(
    ("method", "full", "quick"),
    [(arm(0.9, 1.0), True, True), (arm(0.8, 0.95), False, "undecided"), (arm(0.7, 0.8), False, False)],
)
def test_a_method_must_reach_its_bar(method, full, quick):
    assert reaches(method, 0.9, claim="solved").holds == full
    assert reaches(method, 0.9, claim="solved", quick=True).holds == quick


@pytest.mark.parametrize(
    ("first", "second", "full", "quick"),
    [
        (arm(0.4, 0.6), arm(0.1, 0.4), True, True),
        (arm(0.2, 0.4), arm(0.3, 0.5), True, "undecided"),
        (arm(0.1, 0.2), arm(0.3, 0.5), False, False),
    ],
)
def test_nowhere_below(first, second, full, quick):
    assert nowhere_below(first, second, claim="part").holds == full
    assert nowhere_below(first, second, claim="part", quick=True).holds == quick


def test_at_least_judges_the_paired_difference():
    scores = np.random.default_rng(0).normal(scale=3.0, size=(4, 8))
    strong, weak = Arm.of(scores + 0.1), Arm.of(scores)
    assert at_least(strong, weak, claim="as strong").holds is True
    assert at_least(strong, weak, claim="as strong", quick=True).holds is True
    assert at_least(weak, strong, claim="as strong").holds is False
    assert at_least(weak, strong, claim="as strong", quick=True).holds is False
    other = Arm.of(np.random.default_rng(1).normal(scale=3.0, size=(4, 8)))
    assert at_least(strong, other, claim="as strong", quick=True).holds == "undecided"


def test_one_seed_a_game_will_do_when_games_are_resampled():
    level = np.linspace(-1, 1, 24)[None]
    verdict = at_least(Arm.of(level + 0.2), Arm.of(level), claim="as strong", across="tasks", quick=True)
    assert verdict.holds is True
    assert verdict.measured == pytest.approx(0.2)
    assert at_least(Arm.of(level + 0.2), Arm.of(level), claim="as strong", quick=True).holds == "undecided"


@pytest.mark.parametrize("few", [SINGLE, arm(0.9, 1.0, runs=2)])
def test_too_few_seeds_never_decide(few):
    for judge in (beats, nowhere_below):
        assert judge(few, arm(0.0, 0.1), claim="c", quick=True).holds == "undecided"
        with pytest.raises(UsageError, match="run at least 3"):
            judge(few, arm(0.0, 0.1), claim="c")
    assert must_fail(few, 2.0, claim="c", quick=True).holds == "undecided"
    with pytest.raises(UsageError, match="run at least 3"):
        must_fail(few, 2.0, claim="c")
    assert reaches(few, 0.0, claim="c", quick=True).holds == "undecided"


def result(*decisions):
    return Result(
        study="words",
        claim="words help",
        paper=Paper("oh2017zero", ("figure 3",)),
        arms={"reads": Arm.of([[0.5, 1.0], [0.25, 0.75]]), "once": SINGLE},
        verdicts=tuple(Verdict(f"claim {at}", holds, 0.5, 0.25) for at, holds in enumerate(decisions)),
        seconds=1.5,
        seed=0,
        versions={"numpy": "2.0"},
        device={"backend": "cpu", "count": 1},
        command="headstart study words",
        commit=None,
    )


def test_a_failure_outweighs_what_is_undecided():
    assert result(True, True).holds is True
    assert result(True, "undecided").holds == "undecided"
    assert result("undecided", False, True).holds is False


def test_a_result_is_stored_and_read_back(tmp_path):
    found = result(True, "undecided")
    path = study.write(found, tmp_path / "new")
    assert study.read(tmp_path / "new") == found
    stored = json.loads(path.read_text())
    assert stored["holds"] == "undecided"
    assert stored["paper"] == {"key": "oh2017zero", "figures": ["figure 3"]}
    assert stored["arms"]["once"] == {"scores": [[0.5]], "iqm": 0.5, "interval": None}
    assert stored["verdicts"][0] == {"claim": "claim 0", "holds": True, "measured": 0.5, "threshold": 0.25}
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


def test_a_result_that_was_tampered_with_is_refused(tmp_path):
    path = study.write(result(False), tmp_path)
    path.write_text(path.read_text().replace('"holds": false\n}', '"holds": true\n}'))
    with pytest.raises(BadData, match="contradicts itself"):
        study.read(tmp_path)
    for damaged in (path.read_text()[:-30], "[]", "{}", "\x00"):
        path.write_text(damaged)
        with pytest.raises(BadData, match="is no result of a study"):
            study.read(tmp_path)
    path.unlink()
    with pytest.raises(BadData, match="does not exist"):
        study.read(tmp_path)


def test_numbers_that_are_not_finite_are_not_stored(tmp_path):
    broken = dataclasses.replace(result(True), verdicts=(Verdict("c", True, float("nan"), 0.0),))
    with pytest.raises(BadData, match="not finite"):
        study.write(broken, tmp_path)
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_stored_the_path_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"result\.json could not be written"):
        study.write(result(True), tmp_path / "file")


def conclude(*, quick, verdicts, **about):
    return study.conclude(
        study="words",
        claim="words help",
        paper=Paper("oh2017zero", ()),
        arms={"once": SINGLE},
        verdicts=verdicts,
        seed=3,
        quick=quick,
        seconds=2.0,
        **about,
    )


def test_only_a_quick_run_may_be_undecided():
    undecided = (Verdict("c", "undecided", 0.0, 0.0),)
    assert conclude(quick=True, verdicts=undecided).holds == "undecided"
    with pytest.raises(UsageError, match="only a quick run"):
        conclude(quick=False, verdicts=undecided)
    with pytest.raises(UsageError, match="no verdict"):
        conclude(quick=True, verdicts=())


def test_a_conclusion_says_what_it_ran_on():
    concluded = conclude(quick=False, verdicts=(Verdict("c", True, 1.0, 0.0),))
    assert concluded.seconds == 2.0
    assert concluded.seed == 3
    assert "jax" in concluded.versions
    assert concluded.device["backend"] == "cpu"
    assert concluded.device["measured_on"] == ["cpu"]
    verdicts = (Verdict("c", True, 1.0, 0.0),)
    apart = conclude(quick=False, verdicts=verdicts, kinds={"cpu", "another chip"})
    assert apart.device["measured_on"] == ["another chip", "cpu"]
    assert concluded.command


def test_studies_are_found_by_name_and_imported_only_then(monkeypatch):
    imported = []
    monkeypatch.setattr(studies, "STUDIES", {"newgame": "some.module", "words": "other.module"})
    monkeypatch.setattr(studies.importlib, "import_module", lambda name: imported.append(name) or SimpleNamespace())
    studies.find("words")
    assert imported == ["other.module"]
    with pytest.raises(UsageError, match="no study 'newgmae'; did you mean 'newgame'"):
        studies.find("newgmae")
    with pytest.raises(UsageError, match="there are: newgame, words"):
        studies.find("zzz")


@pytest.mark.parametrize("name", sorted(studies.STUDIES))
def test_every_study_offers_what_a_study_must(name):
    module = studies.find(name)
    assert isinstance(module.CLAIM, str)
    assert isinstance(module.PAPER, Paper)
    assert callable(module.run)
