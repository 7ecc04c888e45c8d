"""A study's page says what was claimed, found and run."""

import numpy as np

from headstart import plots
from headstart.plots import arms as bars
from headstart.studies.page import curves, page
from headstart.studies.study import Arm, Paper, Result, Verdict


def test_the_page_says_what_was_claimed_found_and_run():
    single, several = Arm.of([[0.5, 1.0]]), Arm.of([[0.0, 0.1], [0.2, 0.3]])
    found = Result(
        study="words",
        claim="Words help.",
        paper=Paper("oh2017zero", ("figure 3",)),
        arms={f"arm {at}": several for at in range(9)} | {"once": single},
        verdicts=(Verdict("better", True, 0.75, 0.25), Verdict("control fails", "undecided", 0.5, 0.125)),
        seconds=1.5,
        seed=7,
        versions={"jax": "0.7"},
        device={"backend": "cpu"},
        command="headstart study words --quick",
        commit="abc123",
    )
    report = page(found)
    html = report.html()
    said = ["words: undecided", "Words help.", "0.750", "0.125", "n/a (1 run)", "oh2017zero (figure 3)", "abc123"]
    assert [words for words in said if words not in html] == []
    assert [name for name, _ in report.images] == ["arms-1", "arms-2"]


def test_bars_are_what_the_arms_say_and_not_what_their_scores_say_anew(monkeypatch):
    """A share is no interquartile mean: of one in four successes, that would be 0."""
    share = Arm.share([1.0, 0.0, 0.0, 0.0])
    drawn = {}
    monkeypatch.setattr(
        plots, "arms", lambda scores, estimates: drawn.update(estimates) or bars(scores, estimates=estimates)
    )
    result = Result("s", "c", Paper("k", ()), {"solved": share}, (), 0.0, 0, {}, {}, "", None)
    assert "solved: 0.250 [0.046, 0.699]" in page(result).html()
    assert drawn == {"solved": share.estimate}
    low, high = (
        line.get_segments()[0][:, 0]
        for line in bars({"solved": share.scores}, estimates=drawn).axes[0].collections[::2]
    )
    assert low[0] == 0.25
    np.testing.assert_allclose(high, share.interval)


def test_arms_that_are_named_by_games_make_curves():
    once, thrice = Arm.of([[0.5, 0.7]]), Arm.of([[0.0, 0.1], [0.2, 0.3], [0.4, 0.5]])
    found = curves({"PPO, 1,000 games": thrice, "PPO, 100 games": thrice, "PPO, 9,000 games": once, "control": once})
    assert found.keys() == {"PPO", "PPO, 1 seed"}
    np.testing.assert_array_equal(found["PPO"].games, [100, 1000])
    assert found["PPO"].scores.shape == (3, 2, 2)
    np.testing.assert_array_equal(found["PPO, 1 seed"].at(9000), once.scores)


def test_places_whose_scores_are_of_other_sizes_have_figures_of_their_own():
    thrice = Arm.of([[0.0, 0.1], [0.2, 0.3], [0.4, 0.5]])
    names = [f"{place}: {who}, {count:,} steps" for place in "ab" for who in "xy" for count in (0, 2_000, 4_000)]
    report = page(Result("s", "c", Paper("k", ()), dict.fromkeys(names, thrice), (), 0.0, 0, {}, {}, "", None))
    said = [f"Score against steps in the world, for {place}: x, {place}: y." for place in "ab"]
    assert [words for words in said if words not in report.html()] == []
    assert [name for name, _ in report.images][:2] == ["curve", "curve-2"]


def test_few_near_counts_are_shown_in_even_steps():
    thrice = Arm.of([[0.0, 0.1], [0.2, 0.3], [0.4, 0.5]])
    counted = (0, 2_000, 6_000), (0, 1, 4), (0, 10, 9_000), (0, 1, 10)
    named = [{f"who, {count:,} steps": thrice for count in counts} for counts in counted]
    drawn = [plots.adaptation_curves(curves(each)).axes[0] for each in named]
    assert [axes.get_xscale() for axes in drawn] == ["linear", "linear", "symlog", "symlog"]
    assert [tick for axes in drawn for tick in axes.get_xticks() if tick != int(tick)] == []
