"""What anybody sees at a glance on a board, whatever the game: runs, sandwiches, room, and chains that reach an edge.

None of it says what matters: that is for the rules. Each feature is a set of cells, found with a few shifts of whole
sets (see `bits`) and told from the side of the player about to move. A cell's features say what stands around it, so
that "this completes a line of three", "this captures two" or "this joins my edges" is one weight away for an agent
that knows that lines of three, captures or joining are what the game is about.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from headstart.worlds.boardgames.bits import AXES, STRIDE, Bits, Geometry, from_cells, seen_geometry

__all__ = ["FEATURES", "glance"]

REACH = 4  # how far along a line, in cells
LEVELS = 3  # how many stones may be missing to reach an edge, less one
WAYS = 2 * AXES
COLOURS = 2

PLAIN = 6 + 4 + 1  # the planes of an observation, the four edges, and whether one may place here
NEIGHBOURS = WAYS * (1 + 2 * COLOURS)
LINES = COLOURS * AXES * (2 * REACH - 1)
SANDWICHES = COLOURS * (WAYS + 1)
CHAINS = COLOURS * 2 * 2 * LEVELS

#: How many features a cell has.
FEATURES = PLAIN + NEIGHBOURS + LINES + SANDWICHES + CHAINS


def glance(
    planes: Bool[Array, "canvas canvas 6"], playable: Bool[Array, "canvas canvas"]
) -> Float[Array, "canvas canvas features"]:
    """The features of every cell, each 0 or 1; cells off the board have none.

    **Arguments:**

    - `planes`: an observation of `BoardGames` (see its `PLANES`).
    - `playable`: where the player may place.
    """
    canvas = planes.shape[0]
    own, enemy, board = (from_cells(planes[..., index]) for index in range(3))
    shape = seen_geometry(planes)
    edges = _stack([shape.first_row, shape.last_row, shape.first_column, shape.last_column])
    flags = [board.where(planes[0, 0, index]) for index in (3, 4, 5)]
    plain = _stack([own, enemy, board, *flags, from_cells(playable)])
    colours = _stack([own, enemy])
    seen = [plain, edges, *_lines(shape, colours, board), _chains(colours, board, edges, second=planes[0, 0, 3])]
    flat = jax.tree.map(lambda *words: jnp.concatenate([word.ravel() for word in words]), *seen)
    # The barrier keeps the compiler from finding each set anew for each of its cells.
    sets = jax.lax.optimization_barrier(flat & board)
    return _unpack(sets, canvas)


def _unpack(sets: Bits, canvas: int) -> Float[Array, "canvas canvas sets"]:
    """`Bits.cells` with the sets last, which is how a network wants them: far cheaper than to turn them round."""
    row, column = np.divmod(np.arange(canvas**2, dtype=np.uint32), np.uint32(canvas))
    words = jnp.where((row < 4)[:, None], sets.lo, sets.hi)
    bits = words >> (row % 4 * STRIDE + column)[:, None] & jnp.uint32(1)
    return bits.astype(jnp.float32).reshape(canvas, canvas, -1)


def _lines(shape: Geometry, colours: Bits, board: Bits) -> list[Bits]:
    """What each cell sees along the eight ways: its neighbours, runs of one colour, room for them, and sandwiches."""

    def look(cells: Bits) -> Bits:
        """The cells that have one of `cells` `[2, 8]` next to them, each in its own way: the set moved against it."""
        turn = lambda cells: jax.tree.map(lambda word: jnp.roll(word, AXES, axis=-1), cells)
        return turn(jax.vmap(shape.step)(turn(cells)))

    every = lambda cells: jax.tree.map(lambda word: jnp.broadcast_to(word[..., None], (COLOURS, WAYS)), cells)
    mine = every(colours)
    theirs = jax.tree.map(lambda word: word[::-1], mine)
    inside = every(jax.tree.map(lambda word: jnp.stack([word, word]), board))
    near = look(mine)

    def further(seen: tuple[Bits, Bits, Bits], _):
        run, room, caught = seen
        seen = look(mine & run), look(inside & ~theirs & room), look(theirs & (near | caught))
        return seen, seen[:2]

    nothing = jax.tree.map(jnp.zeros_like, mine)
    (_, _, caught), (runs, rooms) = jax.lax.scan(further, (inside, inside, nothing), length=REACH)
    two = look(theirs & caught)
    longer = jax.vmap(lambda ways: ways.union())(two)
    outside = look(inside)
    at_least = lambda lengths, least: _stack([_both_ways(lengths, count) for count in range(least, REACH + 1)])
    return [
        near,
        look(near),
        jax.tree.map(lambda word: word[0], outside),
        at_least(runs, 1),
        at_least(rooms, 2),
        caught,
        longer,
    ]


def _both_ways(lengths: Bits, count: int) -> Bits:
    """`[2, AXES]`: where a line of `count` passes, one way and the other together, from `lengths` `[REACH, 2, 8]`."""
    one = lambda length: jax.tree.map(lambda word: word[length - 1, :, :AXES], lengths)
    other = lambda length: jax.tree.map(lambda word: word[length - 1, :, AXES:], lengths)
    passes = one(count) | other(count)
    for length in range(1, count):
        passes = passes | (one(length) & other(count - length))
    return passes


def _chains(colours: Bits, board: Bits, edges: Bits, *, second: Bool[Array, ""]) -> Bits:
    """Where a stone would be joined to an edge of its colour if 0, 1, ... more were placed: `[levels, 2, 2, 2]`.

    The axes are: stones missing; colour; which of its two edges; square cells (orthogonal neighbours) or hexagonal.
    """
    own_first = jnp.where(second, 2, 0)
    mine = jnp.array([0, 1]) + own_first
    theirs = jnp.array([2, 3]) - own_first
    edge = jax.tree.map(lambda word: word[jnp.stack([mine, theirs])][..., None], edges)
    kind = jnp.array([False, True])
    stones = jax.tree.map(lambda word: word[:, None, None], colours)
    free = board & ~jax.tree.map(lambda word: word[::-1], stones)

    def flood(_, reached: Bits) -> Bits:
        return (reached | _neighbours(reached, kind)) & (stones | reached)

    def level(open_: Bits, _):
        """`open_` are cells that a chain may begin from; the next are those that it, grown, touches."""
        chain = jax.lax.fori_loop(0, STRIDE, flood, open_ & stones)
        touched = (open_ | _neighbours(chain, kind)) & free
        return (touched | _neighbours(touched, kind)) & free, touched

    shape = (COLOURS, 2, 2)
    begin = jax.tree.map(lambda word: jnp.broadcast_to(word, shape), edge & free)
    return jax.lax.scan(level, begin, length=LEVELS)[1]


def _neighbours(cells: Bits, hexagonal: Bool[Array, "2"]) -> Bits:
    """The orthogonal neighbours, and on hexagonal cells those at (−1, +1) and (+1, −1); edges are not joined."""
    right = _shifted(cells, 1) & _columns(~np.uint32(0x01010101))
    left = _shifted(cells, -1) & _columns(~np.uint32(0x80808080))
    found = right | left | _shifted(cells, STRIDE) | _shifted(cells, -STRIDE)
    return found | (_shifted(right, -STRIDE) | _shifted(left, STRIDE)).where(hexagonal)


def _columns(word: np.uint32) -> Bits:
    return Bits(jnp.uint32(word), jnp.uint32(word))


def _shifted(cells: Bits, by: int) -> Bits:
    """Every cell moved `by` places on, counted row by row over a board of eight columns."""
    if by > 0:
        return Bits(cells.lo << by, cells.hi << by | cells.lo >> (32 - by))
    return Bits(cells.lo >> -by | cells.hi << (32 + by), cells.hi >> -by)


def _stack(sets: list[Bits]) -> Bits:
    return jax.tree.map(lambda *words: jnp.stack(words), *sets)
