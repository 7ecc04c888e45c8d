"""The measures of transfer, by hand."""

import numpy as np
import pytest

from headstart.errors import BadData, UsageError
from headstart.experience.transfer_measures import (
    area,
    asymptote,
    forward_transfer,
    jump_start,
    time_to_threshold,
    transfer_ratio,
)

STEPS = (0, 100, 400)
MOVED = [0.5, 0.7, 0.9]
SCRATCH = [0.1, 0.1, 0.9]
# area: (0.6 · 100 + 0.8 · 300) / 400 = 0.75, and (0.1 · 100 + 0.5 · 300) / 400 = 0.4


def test_by_hand():
    assert jump_start(STEPS, MOVED, SCRATCH) == pytest.approx(0.4)
    assert asymptote(STEPS, MOVED, final=2) == pytest.approx(0.8)
    assert asymptote(STEPS, SCRATCH, final=1) == pytest.approx(0.9)
    assert area(STEPS, MOVED) == pytest.approx(0.75)
    assert area(STEPS, SCRATCH) == pytest.approx(0.4)
    assert transfer_ratio(STEPS, MOVED, SCRATCH) == pytest.approx(0.875)
    assert forward_transfer(STEPS, MOVED, SCRATCH) == pytest.approx(0.35 / 0.6)


def test_time_to_threshold_by_hand():
    assert time_to_threshold(STEPS, MOVED, 0.5) == 0  # at once
    assert time_to_threshold(STEPS, MOVED, 0.6) == pytest.approx(50)
    assert time_to_threshold(STEPS, SCRATCH, 0.6) == pytest.approx(100 + 300 * 5 / 8)
    assert time_to_threshold(STEPS, SCRATCH, 0.1) == 0
    assert time_to_threshold(STEPS, SCRATCH, 0.95) == np.inf
    # The first time counts, whatever comes later.
    assert time_to_threshold(STEPS, [0.0, 1.0, 0.0], 0.5) == pytest.approx(50)


def test_curves_in_any_number_of_leading_axes():
    both = np.array([[MOVED, SCRATCH]])
    assert time_to_threshold(STEPS, both, 0.6) == pytest.approx(np.array([[50, 287.5]]))
    assert area(STEPS, both) == pytest.approx(np.array([[0.75, 0.4]]))
    assert jump_start(STEPS, both, SCRATCH) == pytest.approx(np.array([[0.4, 0.0]]))


def test_nothing_is_gained_by_what_changes_nothing_and_lost_by_what_is_worse():
    assert jump_start(STEPS, SCRATCH, SCRATCH) == transfer_ratio(STEPS, SCRATCH, SCRATCH) == 0
    assert forward_transfer(STEPS, SCRATCH, SCRATCH) == 0
    assert forward_transfer(STEPS, [1, 1, 1], SCRATCH) == 1
    assert forward_transfer(STEPS, SCRATCH, MOVED) < 0


@pytest.mark.parametrize(
    ("measure", "error", "told"),
    [
        (lambda: jump_start((1, 100, 400), MOVED, SCRATCH), UsageError, "begin after 1 steps; measure them before"),
        (lambda: asymptote(STEPS, MOVED, final=4), UsageError, "the last 4 of 3 points"),
        (lambda: asymptote(STEPS, MOVED, final=0), UsageError, "the last 0 of 3 points"),
        (lambda: area((0,), [1.0]), BadData, "one point has no area"),
        (lambda: area((0, 100, 100), MOVED), BadData, "must increase"),
        (lambda: area((-1, 0, 100), MOVED), BadData, "increase from 0"),
        (lambda: area((0, 100), MOVED), BadData, "a curve of 2 points needs as many"),
        (lambda: area(STEPS, [0, np.nan, 1]), BadData, "finite"),
        (lambda: transfer_ratio(STEPS, MOVED, [0, 0, 0]), BadData, "0 or less; normalise"),
        (lambda: forward_transfer(STEPS, MOVED, [1, 1, 1]), BadData, "1 or more; normalise"),
    ],
)
def test_what_says_nothing_is_refused(measure, error, told):
    with pytest.raises(error, match=told) as found:
        measure()
    assert "\n" not in str(found.value)
