"""The main job on one screen: an agent meets a board game that it has never seen, beside learners from scratch."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from headstart import rundir
from headstart.core.network import AbstractNetwork
from headstart.core.types import Task
from headstart.evaluation import Curve, Estimate, games_to_reach, interquartile_mean
from headstart.newgame import prior
from headstart.newgame.arms import KNOWLEDGE, Meeting
from headstart.newgame.learners import alphazero_from_scratch, improve, ppo_from_scratch, settle, think
from headstart.newgame.match import Match
from headstart.plots import adaptation_curves
from headstart.progress import AbstractObserver, Quiet
from headstart.report import Report
from headstart.storage import replace_file, to_json
from headstart.worlds.boardgames.draw import beside, cell_name, draw
from headstart.worlds.boardgames.engine import BoardGames
from headstart.worlds.boardgames.family import draw_games, world_of
from headstart.worlds.boardgames.picture import picture
from headstart.worlds.boardgames.rules import Rules
from headstart.worlds.boardgames.vocabulary import vocabulary
from headstart.worlds.boardgames.words import describe

__all__ = ["meet"]

#: The rungs that a few minutes suffice for, and those against which a game is shown.
RUNGS = ("random", "one ply", "search 16")
SHOWN = ("random", "search 16")
LANES = 48
GROUPS = 6
EPISODES = 10
#: After how many of its own games each learner is judged, and how many games the hybrid plays in its head before that.
IMPROVED = [100]
IMAGINED = 300
#: Arms that learn within a trial, and after how many of its games that is shown.
LEARNING = ("trials only", "hybrid")
LEARNING_GAMES = (0, 1, 3, 9)
SCRATCH = {
    "PPO from scratch": (ppo_from_scratch, [100, 1_000, 10_000]),
    "AlphaZero from scratch": (alphazero_from_scratch, [1_000]),
}

#: The stones, the last cell, and what was done, move by move.
Moves = list[tuple[np.ndarray, tuple[int, int] | None, str]]
Points = dict[str, dict[int, np.ndarray]]  # of each arm, by games played: the scores [lanes, rungs]


def meet(rules: Rules | None, *, directory: Path, observer: AbstractObserver, seed: int = 0) -> None:
    """Meet a game, compare, and write the report.

    **Arguments:**

    - `rules`: the game; one of the held-out combinations if `None`.
    - `directory`: where `report.html`, the plot and `scores.json` go.
    """
    started = time.monotonic()
    clock = lambda: f"[{time.monotonic() - started:.0f} s]"
    rules = rules or next(game for game in draw_games(16, "held-out", seed=seed, canvas=5) if _has_room(game))
    text = describe(rules, np.random.default_rng(seed), "held-out")
    observer.say(f"A new game, {rules.rows} by {rules.columns}. What the agent is told of it:\n\n  {text}\n")
    if share := vocabulary().unknown_share(text):
        observer.say(f"{share:.0%} of these words are new to the agent.")
    agent, made = prior.load()
    observer.say(f"The prior: {made['moves']:,} moves of self-play over {made['games']:,} other games.")
    observer.say(f"Opponents: {', '.join(RUNGS)}. The strongest plays itself, for a demonstration ...")

    names = ("shown", "judged", "thought", "improved", *SCRATCH)
    keys = dict(zip(names, jax.random.split(jax.random.key(seed), len(names)), strict=True))
    meeting = Meeting(_single(rules, text), lanes=LANES, rungs=RUNGS)
    demonstrations = meeting.demonstrate(EPISODES, key=keys["shown"])
    points: Points = {}

    def judge(arm: str, network: AbstractNetwork, played: int, tasks: Task, *, each: bool) -> Match:
        match = meeting.judge(network, tasks, EPISODES, key=keys["judged"], each=each)
        scores = np.asarray(match.scores)[:, 0].transpose(1, 2, 0)  # lanes, episodes, rungs
        learns = played == 0 and arm in LEARNING
        at = {game: scores[:, game] for game in LEARNING_GAMES} if learns else {played: scores.mean(axis=1)}
        points.setdefault(arm, {}).update(at)
        strength = ", ".join(
            f"{score:.2f} against {rung}" for rung, score in zip(RUNGS, at[played].mean(0), strict=True)
        )
        observer.say(f"{arm} after {played:,} games: {strength}   {clock()}")
        return match

    for arm, (told, shown) in KNOWLEDGE.items():
        tasks = meeting.tasks(told=told, shown=demonstrations if shown else None)
        match = judge(arm, agent, 0, tasks, each=False)
    assert arm == "hybrid"
    belief = agent.believe(jax.tree.map(lambda leaf: leaf[-1, 0, 0], match.memory))[None]
    for games, thoughtful in think(meeting.games, settle(agent, belief), [IMAGINED], key=keys["thought"]):
        observer.say(f"The hybrid has thought: {int(games[0]):,} games in its head, by the rules that it believes.")
        judge("hybrid", thoughtful, EPISODES, meeting.tasks(), each=True)
    for games, improved in improve(meeting.games, thoughtful, IMPROVED, key=keys["improved"]):
        judge("hybrid", improved, int(games[0]), meeting.tasks(), each=True)
    for arm, (learn, counts) in SCRATCH.items():
        observer.say(f"{arm} begins ...   {clock()}")
        for games, learner in learn(meeting.games, counts, key=keys[arm]):
            judge(arm, learner, int(games[0]), meeting.tasks(), each=True)

    curves = {arm: _curve(by_games) for arm, by_games in points.items()}
    _show(points, curves, observer)
    shown_games = {rung: _game(rules, meeting.games, match, RUNGS.index(rung)) for rung in SHOWN}
    report = _report(rules, text, points, curves, match, shown_games, seconds=time.monotonic() - started)
    replace_file(directory / "scores.json", to_json(_as_json(points) | _provenance(seed, time.monotonic() - started)))
    page = report.write(directory)
    for rung, moves in shown_games.items():
        observer.say(f"\nThe hybrid's first game against {rung} ({_verdict(match, rung)}):\n")
        observer.say(beside([draw(rules, *move) for move in moves]))
    observer.say(f"\nThe plot is {directory / 'curve.png'}, the whole page {page}.   {clock()}")


def _has_room(rules: Rules) -> bool:
    """Whether a game is large enough to be worth a look."""
    return min(rules.rows, rules.columns) >= 4


def _single(rules: Rules, text: str) -> BoardGames:
    world = world_of([rules], canvas=max(rules.rows, rules.columns, 4), paraphrases=1)
    return eqx.tree_at(lambda world: world.words, world, jnp.asarray(vocabulary().tokens(text), jnp.int16)[None, None])


def _curve(by_games: dict[int, np.ndarray]) -> Curve:
    """Groups of lanes stand in for seeds: the interval is over games played, not over agents.

    Each is the mean over its games and the whole ladder. One game is won or lost: an interquartile mean of single games
    would call whoever wins three in four unbeaten.
    """
    games = sorted(by_games)
    return Curve(np.array(games), np.stack([by_games[count].reshape(GROUPS, 1, -1).mean(-1) for count in games], -1))


def _rows(points: Points, curves: dict[str, Curve]) -> Iterator[tuple[str, int, list[float], Estimate]]:
    """Of each arm after so many games: the mean score against each rung, and against the whole ladder."""
    for arm, curve in curves.items():
        for games, strength in zip(curve.games.tolist(), curve.estimates, strict=True):
            yield arm, games, points[arm][games].mean(axis=0).tolist(), strength


def _show(points: Points, curves: dict[str, Curve], observer: AbstractObserver) -> None:
    if isinstance(observer, Quiet):
        return
    table = Table("arm", "games of this game", *RUNGS, "strength", title="Score: 1 for a win, ½ for a draw")
    before = None
    for arm, games, rungs, strength in _rows(points, curves):
        table.add_row("" if arm == before else arm, f"{games:,}", *(f"{x:.2f}" for x in rungs), f"{strength.value:.2f}")
        before = arm
    Console(stderr=True).print(table)
    observer.say(_catching_up(curves))


def _catching_up(curves: dict[str, Curve]) -> str:
    level = interquartile_mean(curves["hybrid"].scores[..., 0])
    said = []
    for arm in SCRATCH:
        needed = games_to_reach(curves[arm], level)
        most = int(curves[arm].games[-1])
        said.append(f"{arm} needed {needed:,} games" if needed is not None else f"{arm} had not after {most:,} games")
    return f"To be as strong as the hybrid was before its first game ({level:.2f}): {'; '.join(said)}."


def _report(
    rules: Rules,
    text: str,
    points: Points,
    curves: dict[str, Curve],
    match: Match,
    games: dict[str, Moves],
    *,
    seconds: float,
) -> Report:
    figure = adaptation_curves(curves, games="games of this game", score="score against the ladder")
    report = (
        Report(f"Meeting {rules.name}")
        .text(f"What the agent was told: {text}", _catching_up(curves))
        .figure(figure, "curve", alt="Strength against games played of this game, for each arm")
        .table(
            ["arm", "games", *RUNGS, "strength"],
            [[arm, games, *rungs, str(strength)] for arm, games, rungs, strength in _rows(points, curves)],
            caption="Mean score (1 for a win, ½ for a draw) against each opponent; strength is that against all of "
            "them, with an interval over the games played by one agent.",
        )
    )
    for rung, moves in games.items():
        shown = [(picture(rules, *move), move[2]) for move in moves]
        report = report.boards(shown, alt="position", caption=f"The hybrid against {rung}: {_verdict(match, rung)}")
    return report.facts({"seconds": round(seconds), "device": str(jax.devices()[0]), "arms": ", ".join(KNOWLEDGE)})


def _game(rules: Rules, games: BoardGames, match: Match, rung: int) -> Moves:
    """The first game against a rung, move by move."""
    task = games.nth(0, key=jax.random.key(0))
    position, _ = games.reset(task, key=jax.random.key(0))
    step = eqx.filter_jit(games.step)
    shown = []
    for number, action in enumerate(np.asarray(match.actions[rung, 0, 0]).tolist()):
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


def _verdict(match: Match, rung: str) -> str:
    return {1.0: "won", 0.5: "drawn", 0.0: "lost"}[float(match.scores[RUNGS.index(rung), 0, 0, 0])]


def _as_json(points: Points) -> dict[str, Any]:
    """The mean score of each arm after so many games, against each rung."""
    means = {
        arm: {games: table.mean(axis=0, dtype=float).round(3).tolist() for games, table in by.items()}
        for arm, by in points.items()
    }
    return {
        "rungs": RUNGS,
        "scores": {arm: {str(games): row for games, row in by.items()} for arm, by in means.items()},
    }


def _provenance(seed: int, seconds: float) -> dict[str, Any]:
    about = rundir.about({}, seed, "")
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {"command": command, "seed": seed, "seconds": round(seconds)} | {
        key: about[key] for key in ("commit", "versions", "device")
    }
