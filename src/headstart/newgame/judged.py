"""How an agent that is being trained does on games that it never meets in training: `headstart evaluate`."""

from __future__ import annotations

import jax
import numpy as np

from headstart.evaluation import Curve, estimate
from headstart.greedy import Evaluation
from headstart.newgame.arms import Meeting
from headstart.newgame.training import Practice, PracticeState
from headstart.plots import adaptation_curves
from headstart.report import Report
from headstart.worlds.boardgames.family import draw_games, world_of

__all__ = ["evaluate"]

GAMES, RUNGS, EPISODES = 16, ("random", "one ply", "search 16"), 10
ARMS = {"told the rules": True, "told nothing": False}


def evaluate(process: Practice, state: PracticeState, *, title: str, episodes: int, seed: int) -> Evaluation:
    """Trials of ten games each in held-out games, with held-out words and with none: about `episodes` trials an arm."""
    canvas = process.games.canvas
    rules = draw_games(GAMES, "held-out", seed=seed, canvas=canvas)
    lanes = max(2, 2 * round(episodes / (2 * GAMES * len(RUNGS))))  # an even number, for sides change with lanes
    meeting = Meeting(world_of(rules, canvas=canvas, side="held-out", seed=seed), lanes=lanes, rungs=RUNGS)
    figures: dict[str, float] = {"games": GAMES, "trials of each arm": lanes * GAMES * len(RUNGS)}
    curves = {}
    for arm, told in ARMS.items():
        match = meeting.judge(state.agent, meeting.tasks(told=told), EPISODES, key=jax.random.key(seed))
        scores = np.asarray(match.scores, float).mean(axis=0)  # games, lanes, episodes
        curves[arm] = Curve(np.arange(EPISODES), scores.swapaxes(0, 1))
        for game in (0, EPISODES - 1):
            figures[f"{arm}, game {game + 1}"] = round(estimate(scores[..., game].T).value, 3)
    figure = adaptation_curves(curves, games="games played of this game", score="score against the ladder")
    report = Report(title).text(
        f"Interquartile mean of the score (1 for a win, ½ for a draw) over {GAMES} games whose combination of rules "
        f"training never meets, against {', '.join(RUNGS)}."
    )
    return Evaluation(figures, report.figure(figure, "curve", alt="Score by games played, for each arm").facts(figures))
