"""Agents that meet board games."""

from __future__ import annotations

import dataclasses

from headstart.recipes.recipe import Recipe

__all__ = ["newgame", "reading"]


def newgame(iterations: int | None = None) -> Recipe:
    """The agent that meets new board games: self-play over thousands of them, reading their rules."""
    from headstart.newgame.judged import evaluate
    from headstart.newgame.training import Training, process

    settings = Training() if iterations is None else Training(iterations=iterations)
    return Recipe(
        process=process(settings),
        iterations=settings.iterations,
        configuration={"training": dataclasses.asdict(settings)},
        observes="the board, the rules in words, and how earlier games of the trial ended",
        steps=settings.lanes * settings.length,
        chunk=4,
        every=16,
        evaluate=evaluate,
    )


def reading(iterations: int | None = None) -> Recipe:
    """The reader of rules alone: what texts say, learned from texts whose facts are known."""
    from headstart.newgame.reading import Lessons, evaluate, process

    settings = Lessons() if iterations is None else Lessons(iterations=iterations)
    return Recipe(
        process=process(settings),
        iterations=settings.iterations,
        configuration={"lessons": dataclasses.asdict(settings)},
        observes="the rules in words",
        steps=settings.lessons * settings.texts,
        chunk=4,
        every=32,
        evaluate=evaluate,
    )
