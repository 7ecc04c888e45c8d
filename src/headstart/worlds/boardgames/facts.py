"""What a rule set says, fact by fact: the questions that whoever has understood a game can answer with yes or no.

Facts are what training teaches readers to find in words, and players to bear in mind. An agent is never told them: it
believes each with some probability.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.worlds.boardgames.engine import Game

__all__ = ["FACTS", "facts"]

#: The questions, in order.
FACTS = (
    "hexagonal cells",
    "joined edges",
    "stones drop",
    "only captures are moves",
    "captures flip",
    "captures take away",
    "a line wins",
    "a chain wins",
    "most stones win",
    "three in line",
    "four in line",
    "five in line",
    "more than five in line",
    "only orthogonal lines",
    "only diagonal lines",
    "whoever would win loses",
    "two stones a turn",
    "sides may be swapped",
    "the centre is filled",
)


def facts(game: Game) -> Float[Array, "facts"]:
    """The answers for one game, 1 for yes and 0 for no."""
    line = game.winning == 0
    straight, diagonal = game.axes[0], game.axes[3]
    square = ~game.hexagonal
    answers = [
        game.hexagonal,
        game.shape.torus,
        game.placing == 1,
        game.placing == 2,
        game.capture == 1,
        game.capture == 2,
        line,
        game.winning == 1,
        game.winning == 2,
        *(line & (game.length == count) for count in (3, 4, 5)),
        line & (game.length > 5),
        line & square & straight & ~diagonal,
        line & square & diagonal & ~straight,
        game.misere,
        game.stones == 2,
        game.swap,
        (game.start[0] | game.start[1]).any(),
    ]
    return jnp.stack(answers).astype(jnp.float32)
