"""What a rule set says, fact by fact: the questions that whoever has understood a game can answer with yes or no.

Facts are what training teaches readers to find in words, and players to bear in mind. An agent is never told them: it
believes each with some probability. Whoever believes enough of them can imagine the game.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.worlds.boardgames.bits import from_cells, seen_geometry
from headstart.worlds.boardgames.engine import Game

__all__ = ["FACTS", "facts", "imagined"]

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


def imagined(belief: Float[Array, "facts"], planes: Bool[Array, "canvas canvas 6"]) -> Game:
    """The game that somebody has in mind who believes each of `FACTS` so much and sees the board before the first move.

    Of facts that exclude each other the likeliest is taken, and what nobody would say, the ordinary rule, where none is
    more likely than not. A line of more than five is imagined as one of six.

    **Arguments:**

    - `belief`: probabilities.
    - `planes`: the first observation of `BoardGames`: the board with its holes, what stands on it, and its edges.
    """
    believed = dict(zip(FACTS, belief, strict=True))
    likely = lambda *names: jnp.stack([believed[name] for name in names])
    any_of = lambda *names: jnp.argmax(jnp.concatenate([jnp.array([0.5]), likely(*names)]))
    hexagonal = believed["hexagonal cells"] > 0.5
    only = any_of("only orthogonal lines", "only diagonal lines")
    first, second, board = (from_cells(planes[..., index]) for index in range(3))
    return Game(
        shape=seen_geometry(planes),
        board=board,
        hexagonal=hexagonal,
        placing=any_of("stones drop", "only captures are moves"),
        capture=any_of("captures flip", "captures take away"),
        winning=jnp.argmax(likely("a line wins", "a chain wins", "most stones win")),
        length=3 + jnp.argmax(likely("three in line", "four in line", "five in line", "more than five in line")),
        axes=jnp.stack([hexagonal | (only != 2)] * 2 + [~hexagonal & (only != 1), hexagonal | (only != 1)]),
        misere=believed["whoever would win loses"] > 0.5,
        stones=1 + (believed["two stones a turn"] > 0.5),
        swap=believed["sides may be swapped"] > 0.5,
        start=(first, second),
        longest=2 * board.count(),
    )
