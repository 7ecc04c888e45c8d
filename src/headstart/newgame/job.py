"""The main job on one screen: an agent meets a board game that it has never seen, beside a learner from scratch."""

from __future__ import annotations

import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from headstart.core.network import AbstractNetwork
from headstart.evaluation import Curve, games_to_reach, interquartile_mean
from headstart.newgame import prior
from headstart.newgame.arms import EPISODES, KNOWLEDGE, Meeting, demonstrate, improve, learn_from_scratch
from headstart.plots import adaptation_curves
from headstart.progress import AbstractObserver, Quiet
from headstart.report import Report
from headstart.storage import replace_file, to_json
from headstart.worlds.boardgames.draw import beside, cell_name, draw
from headstart.worlds.boardgames.engine import BoardGames
from headstart.worlds.boardgames.family import draw_games, world_of
from headstart.worlds.boardgames.ladder import LADDER, Match
from headstart.worlds.boardgames.picture import picture
from headstart.worlds.boardgames.rules import Rules
from headstart.worlds.boardgames.vocabulary import tokens, unknown_share
from headstart.worlds.boardgames.words import describe

__all__ = ["meet"]

DEMONSTRATIONS = 8
#: The rungs that a few minutes suffice for.
RUNGS = {name: LADDER[name] for name in ("random", "one ply", "search 16")}
SHOWN = ("random", "search 16")
IMPROVED = [10, 100]
SCRATCH = [100, 1_000, 10_000]

Points = dict[str, dict[int, np.ndarray]]  # of each arm, by games played: the scores [lanes, rungs]


def meet(rules: Rules | None, *, directory: Path, observer: AbstractObserver, seed: int = 0) -> None:
    """Meet a game, compare, and write the report.

    **Arguments:**

    - `rules`: the game; one of the held-out combinations if `None`.
    - `directory`: where `report.html`, the plot and `scores.json` go.
    """
    started = time.monotonic()
    rules = rules or draw_games(seed + 1, "held-out", seed=0, canvas=5)[seed]
    text = describe(rules, np.random.default_rng(seed), "held-out")
    observer.say(f"A new game, {rules.rows} by {rules.columns}. What the agent is told of it:\n\n  {text}\n")
    if share := unknown_share(text):
        observer.say(f"{share:.0%} of these words are new to the agent.")
    agent, made = prior.load()
    observer.say(f"The prior: {made['moves']:,} moves of self-play over {made['games']:,} other games.")

    games = _single(rules, text)
    keys = dict(zip(("shown", "judged", "improved", "scratch"), jax.random.split(jax.random.key(seed), 4), strict=True))
    meeting = Meeting(games, eqx.filter_jit(demonstrate)(games, DEMONSTRATIONS, key=keys["shown"]))
    points: Points = {}
    matches: dict[str, Match] = {}
    for index, (rung, opponent) in enumerate(RUNGS.items()):
        found = meeting.judge(agent, opponent, key=jax.random.fold_in(keys["judged"], index))
        matches[rung] = found["hybrid"]
        for arm, match in found.items():
            _note(points, arm, match, index)
        line = ", ".join(f"{arm} {float(jnp.mean(match.scores)):.2f}" for arm, match in found.items())
        observer.say(f"against {rung}: {line}   [{time.monotonic() - started:.0f} s]")

    def judge(arm: str, network: AbstractNetwork, played: int) -> None:
        told = arm == "hybrid"
        scores = [
            np.mean(
                meeting.judge_one(network, opponent, told=told, key=jax.random.fold_in(keys["judged"], rung)).scores, 1
            )
            for rung, opponent in enumerate(RUNGS.values())
        ]
        points.setdefault(arm, {})[played] = np.stack(scores, axis=1)
        strength = float(np.mean(points[arm][played]))
        observer.say(f"{arm} after {played:,} games: {strength:.2f}   [{time.monotonic() - started:.0f} s]")

    for played, improved in improve(meeting.world, agent, IMPROVED, key=keys["improved"]):
        judge("hybrid", improved, played)
    for played, learner in learn_from_scratch(games, SCRATCH, key=keys["scratch"]):
        judge("PPO from scratch", learner, played)

    curves = {arm: _curve(by_games) for arm, by_games in points.items()}
    _show(curves, observer)
    report = _report(rules, text, curves, matches, seconds=time.monotonic() - started)
    replace_file(directory / "scores.json", to_json(_as_json(points)))
    page = report.write(directory)
    for rung in SHOWN:
        observer.say(f"\nThe hybrid's first game against {rung} ({_verdict(matches[rung])}):\n")
        observer.say(beside([draw(rules, *shown) for shown in _game(rules, games, matches[rung])]))
    observer.say(f"\nThe plot is {directory / 'curve.png'}, the whole page {page}.")


def _single(rules: Rules, text: str) -> BoardGames:
    world = world_of([rules], canvas=max(rules.rows, rules.columns, 4), paraphrases=1)
    return eqx.tree_at(lambda world: world.words, world, jnp.asarray(tokens(text), jnp.int16)[None, None])


def _note(points: Points, arm: str, match: Match, rung: int) -> None:
    """Put down what a trial says: at 0 games for arms that its games teach nothing, after each game for the others."""
    scores = np.asarray(match.scores)
    learns = arm == "trials only"
    shown = {game: scores[:, game] for game in (0, 1, 3, EPISODES - 1)} if learns else {0: scores.mean(axis=1)}
    for games, of_lanes in shown.items():
        table = points.setdefault(arm, {}).setdefault(games, np.zeros((len(of_lanes), len(RUNGS))))
        table[:, rung] = of_lanes


def _curve(by_games: dict[int, np.ndarray]) -> Curve:
    """Lanes stand in for seeds here and rungs for tasks: the interval is over games played, not over agents."""
    games = sorted(by_games)
    return Curve(np.array(games), np.stack([by_games[count] for count in games], axis=-1))


def _show(curves: dict[str, Curve], observer: AbstractObserver) -> None:
    if isinstance(observer, Quiet):
        return
    table = Table("arm", "games of this game", *RUNGS, "strength", title="Score: 1 for a win, ½ for a draw")
    for arm, curve in curves.items():
        for point, (games, estimate) in enumerate(zip(curve.games, curve.estimates, strict=True)):
            rungs = [f"{score:.2f}" for score in curve.scores[..., point].mean(axis=0)]
            table.add_row(arm if point == 0 else "", f"{games:,}", *rungs, f"{estimate.value:.2f}")
    Console(stderr=True).print(table)
    observer.say(_catching_up(curves))


def _catching_up(curves: dict[str, Curve]) -> str:
    level = interquartile_mean(curves["hybrid"].scores[..., 0])
    needed = games_to_reach(curves["PPO from scratch"], level)
    how = f"needed {needed:,} games" if needed is not None else f"had not caught up after {SCRATCH[-1]:,} games"
    return f"To be as strong as the hybrid before its first game ({level:.2f}), PPO from scratch {how}."


def _report(rules: Rules, text: str, curves: dict[str, Curve], matches: dict[str, Match], *, seconds: float) -> Report:
    figure = adaptation_curves(curves, games="games of this game", score="score against the ladder")
    report = (
        Report(f"Meeting {rules.name}")
        .text(f"What the agent was told: {text}", _catching_up(curves))
        .figure(figure, "curve", alt="Strength against games played of this game, for each arm")
        .table(
            ["arm", "games", *RUNGS, "strength"],
            [
                [arm, int(games), *(float(x) for x in curve.scores[..., at].mean(axis=0)), str(curve.estimates[at])]
                for arm, curve in curves.items()
                for at, games in enumerate(curve.games)
            ],
            caption="Mean score (1 for a win, ½ for a draw) against each opponent; strength is the interquartile mean, "
            "its interval over the games played by one agent.",
        )
    )
    games = _single(rules, text)
    for rung, match in matches.items():
        if rung in SHOWN:
            shown = [(picture(rules, *position), position[2]) for position in _game(rules, games, match)]
            report = report.boards(shown, alt="position", caption=f"The hybrid against {rung}: {_verdict(match)}")
    return report.facts({"seconds": round(seconds), "device": str(jax.devices()[0]), "arms": ", ".join(KNOWLEDGE)})


def _game(rules: Rules, games: BoardGames, match: Match) -> list[tuple[np.ndarray, tuple[int, int] | None, str]]:
    """The first game of a match, move by move: the stones, the last cell, and what was done."""
    task = games.nth(0, key=jax.random.key(0))
    position, _ = games.reset(task, key=jax.random.key(0))
    step = eqx.filter_jit(games.step)
    shown = []
    for number, action in enumerate(np.asarray(match.actions[0]).tolist()):
        before = position
        position, outcome = step(position, task, jnp.asarray(action))
        cell = divmod(action, games.canvas) if action < games.canvas**2 else None
        did = cell_name(cell) if cell else ("pass" if action == games.canvas**2 else "swap")
        who = "●○"[int(before.colour)]
        shown.append((_stones(rules, position), cell, f"{number + 1}. {who} {did}"))
        if bool(outcome.last):
            break
    return shown


def _stones(rules: Rules, position) -> np.ndarray:
    first, second = (np.asarray(bits.cells())[: rules.rows, : rules.columns] for bits in position.stones)
    stones = (first + 2 * second).astype(np.int8)
    for row, column in rules.holes:
        stones[row, column] = -1
    return stones


def _verdict(match: Match) -> str:
    return {1.0: "won", 0.5: "drawn", 0.0: "lost"}[float(match.scores[0, 0])]


def _as_json(points: Points) -> dict[str, dict[str, list[list[float]]]]:
    return {arm: {str(games): table.tolist() for games, table in by.items()} for arm, by in points.items()}
