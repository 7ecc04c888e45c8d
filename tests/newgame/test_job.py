"""What the main job says of the games that were played."""

import numpy as np
import pytest

from headstart.newgame.job import GROUPS, LANES, RUNGS, _curve, _rows


def test_who_wins_three_games_in_four_is_not_called_unbeaten():
    won = np.zeros((LANES, len(RUNGS)))
    won[np.arange(LANES) % 4 > 0] = 1.0
    points = {"hybrid": {0: won, 1: np.ones_like(won)}}
    curves = {arm: _curve(by_games) for arm, by_games in points.items()}
    assert curves["hybrid"].scores.shape == (GROUPS, 1, 2)
    before, after = _rows(points, curves)
    assert before[:3] == ("hybrid", 0, [0.75] * len(RUNGS))
    assert before[3].value == pytest.approx(0.75)
    assert after[3].value == 1.0
