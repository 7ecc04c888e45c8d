"""The arithmetic of claims, against numbers worked by hand and against a slow computation of its own."""

import numpy as np
import pytest

from headstart.errors import BadData, UsageError
from headstart.evaluation import (
    Curve,
    Estimate,
    check_held_out,
    check_shots,
    compare,
    estimate,
    fingerprint,
    games_to_reach,
    gap_closed,
    interquartile_mean,
    normalised,
)


def test_the_interquartile_mean_drops_a_quarter_at_either_end():
    assert interquartile_mean([[100.0, 1.0], [2.0, -50.0]]) == 1.5
    assert interquartile_mean([7, 1, 2, 3, 4, 5, 6, 1000]) == pytest.approx((3 + 4 + 5 + 6) / 4)
    # Six scores: a quarter of them is one and a half, of which one is dropped at either end.
    assert interquartile_mean([0, 1, 2, 3, 10, 99]) == pytest.approx((1 + 2 + 3 + 10) / 4)


def slow_interval(scores, resamples=4000):
    """By loops: each task's runs drawn anew, and the middle half of all scores averaged."""
    generator = np.random.default_rng(1)
    seeds, tasks = scores.shape
    means = []
    for _ in range(resamples):
        drawn = np.sort([scores[generator.integers(seeds), task] for task in range(tasks) for _ in range(seeds)])
        cut = len(drawn) // 4
        means.append(drawn[cut : len(drawn) - cut].mean())
    return np.quantile(means, [0.025, 0.975])


def test_the_interval_agrees_with_a_slow_stratified_bootstrap():
    scores = np.random.default_rng(0).normal(size=(5, 6)) + np.arange(6)
    np.testing.assert_allclose(estimate(scores).interval, slow_interval(scores), atol=0.04)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    level = np.linspace(-1, 1, 6)
    truth = interquartile_mean(level + generator.normal(size=(20_000, 6)))
    intervals = [estimate(level + generator.normal(size=(10, 6))).interval for _ in range(120)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.88 <= covered <= 0.99


def test_equal_scores_have_equal_intervals():
    scores = np.random.default_rng(3).normal(size=(4, 3))
    assert estimate(scores) == estimate(scores.copy())


def test_a_single_run_has_no_interval_and_says_so():
    single = estimate([[0.25, 0.75]])
    assert single == Estimate(0.5, None, 1)
    assert str(single) == "0.500, interval n/a (1 run)"
    assert str(Estimate(0.5, (0.25, 0.75), 3)) == "0.500 [0.250, 0.750]"


def test_pairing_cancels_what_both_arms_share():
    luck = np.random.default_rng(0).normal(scale=5.0, size=(5, 8))
    compared = compare(luck + 0.1, luck)
    low, high = compared.difference.interval
    assert compared.difference.value == pytest.approx(0.1)
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.1)


def test_resampling_tasks_needs_no_second_run():
    first, second = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[0.0, 2.0, 2.0, 3.0]])
    assert compare(first, second).difference.interval is None
    compared = compare(first, second, across="tasks").difference
    assert compared.value == 0.5
    assert compared.runs == 4
    assert 0.0 <= compared.interval[0] <= 0.5 <= compared.interval[1] <= 1.0


def test_the_probability_of_improvement_counts_all_pairs_and_half_of_the_ties():
    # Task 0: (1 > 0), (1 = 1), (3 > 0), (3 > 1): 3.5 of 4. Task 1: all equal: 2 of 4.
    assert compare([[1, 5], [3, 5]], [[0, 5], [1, 5]]).improvement == pytest.approx((3.5 / 4 + 0.5) / 2)


def test_scores_are_normalised_task_by_task():
    np.testing.assert_allclose(normalised([[1.0, 10.0]], random=[0.0, 20.0], oracle=[4.0, 40.0]), [[0.25, -0.5]])
    assert gap_closed(0.8, before=0.5, oracle=1.0) == pytest.approx(0.6)
    with pytest.raises(BadData, match="above the random one"):
        normalised([1.0], random=2.0, oracle=2.0)


def curve(games, values):
    return Curve(np.array(games), np.array(values, dtype=float)[None, None, :])


def test_games_to_reach_is_straight_over_the_logarithm_and_rounded_up():
    # Half way from log(1 + 0) to log(1 + 99) is log(10): nine games.
    assert games_to_reach(curve([0, 99], [0.0, 1.0]), 0.5) == 9
    assert games_to_reach(curve([0, 99], [0.0, 1.0]), 0.51) == 10
    assert games_to_reach(curve([0, 10, 100], [0.0, 0.4, 0.9]), 0.4) == 10
    assert games_to_reach(curve([0, 10], [0.5, 0.6]), 0.3) == 0
    assert games_to_reach(curve([0, 10, 100], [0.0, 0.4, 0.9]), 0.95) is None


def test_a_curve_has_an_estimate_at_each_point():
    scores = np.arange(24.0).reshape(2, 3, 4)
    bent = Curve(np.array([0, 1, 10, 100]), scores)
    assert bent.estimates[2] == estimate(scores[..., 2])
    np.testing.assert_array_equal(bent.at(10), scores[..., 2])
    with pytest.raises(UsageError, match="not measured after 7 games, but after 0, 1, 10, 100"):
        bent.at(7)


@pytest.mark.parametrize("games", [[0, 0], [5, 1], [-1, 3]])
def test_a_curve_whose_games_do_not_increase_is_refused(games):
    with pytest.raises(BadData, match="must increase"):
        curve(games, [0.0, 1.0])


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([[1.0, float("nan")]], r"\[0, 1\] is not finite"),
        ([], "no scores"),
        ([1.0], "must be"),
        ([[1], [1, 2]], "full table"),
    ],
)
def test_scores_that_cannot_be_summarised_are_refused(scores, reason):
    with pytest.raises(BadData, match=reason):
        estimate(scores)


def test_arms_on_other_tasks_cannot_be_paired():
    with pytest.raises(BadData, match="cannot be paired"):
        compare(np.zeros((2, 3)), np.zeros((2, 4)))


def test_shots():
    assert check_shots([10, 0, 1, 1], available=10) == (0, 1, 10)
    with pytest.raises(UsageError, match="k = 11 games were asked for, but a trial has 10"):
        check_shots([0, 11], available=10)
    with pytest.raises(UsageError, match="0 or more"):
        check_shots([-1], available=10)
    with pytest.raises(UsageError, match="0 or more"):
        check_shots([], available=10)


def test_a_held_out_task_that_was_trained_on_is_found_by_name_and_under_another():
    training = {"a": {"width": np.array(3)}, "b": {"width": np.array(4)}}
    check_held_out(training, {"c": {"width": np.array(5)}})
    with pytest.raises(UsageError, match="'a' is held out but also trained on;"):
        check_held_out(training, {"a": {"width": np.array(9)}})
    with pytest.raises(UsageError, match=r"'c' is held out but also trained on \(there as 'b'\)"):
        check_held_out(training, {"c": {"width": np.array(4)}})


def test_fingerprints_tell_tasks_apart():
    assert fingerprint([np.zeros(2), "go"]) == fingerprint([np.zeros(2), "go"])
    others = [[np.zeros(3), "go"], [np.zeros(2), "no"], [np.zeros(2, int), "go"], {"x": np.zeros(2), "y": "go"}]
    assert len({fingerprint(task) for task in [[np.zeros(2), "go"], *others]}) == 5
