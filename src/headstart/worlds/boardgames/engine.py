"""One engine for a whole family of board games, whose rules are arrays.

`Game` is a rule set as data, so that thousands of different games run side by side under `vmap`; `BoardGames` is the
world whose tasks they are. Tic-tac-toe, connect four, gomoku, reversi and hex are points in the family.

A move is: place a stone, capture, then ask whether the mover has won. The colour that began is colour 0; the swap rule
exchanges which *player* holds which colour and leaves the board as it is.

Actions: cell (row, column) is `row * canvas + column`; then `canvas²` is to pass and `canvas² + 1` to swap. A player
passes only when nothing can be placed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractTwoPlayerWorld, Discrete
from headstart.worlds.boardgames.bits import AXES, STRIDE, Bits, Geometry, to_bits
from headstart.worlds.boardgames.rules import Rules

__all__ = ["PLANES", "BoardGames", "Game", "Position", "compile_rules", "stack"]

_PLACING = ("anywhere", "drop", "capturing")
_CAPTURE = ("none", "flip", "custody")
_WINNING = ("line", "connect", "most")

#: What each plane of an observation shows.
PLANES = (
    "own stones",
    "enemy stones",
    "cells of the board",
    "the mover is colour 1",
    "the mover places again after this",
    "the edges are joined",
)


class Game(eqx.Module):
    """A rule set as arrays; see `headstart.worlds.boardgames.rules.Rules` for what each rule means."""

    shape: Geometry
    board: Bits
    hexagonal: Bool[Array, ""]
    placing: Int[Array, ""]
    capture: Int[Array, ""]
    winning: Int[Array, ""]
    length: Int[Array, ""]
    axes: Bool[Array, "4"]
    misere: Bool[Array, ""]
    stones: Int[Array, ""]
    swap: Bool[Array, ""]
    start: tuple[Bits, Bits]
    longest: Int[Array, ""]


class Position(eqx.Module):
    """Where a game stands. `colour` is about to move; `placeable` are the cells it may place on."""

    stones: tuple[Bits, Bits]
    colour: Int[Array, ""]
    remaining: Int[Array, ""]
    moves: Int[Array, ""]
    passed: Bool[Array, ""]
    swapped: Bool[Array, ""]
    placeable: Bits

    @property
    def own(self) -> Bits:
        return self.stones[0].where(self.colour == 0, self.stones[1])

    @property
    def enemy(self) -> Bits:
        return self.stones[1].where(self.colour == 0, self.stones[0])


def compile_rules(rules: Rules) -> Game:
    """The rules of one game as arrays."""
    board = np.ones((rules.rows, rules.columns), bool)
    for row, column in rules.holes:
        board[row, column] = False
    start = np.zeros((2, rules.rows, rules.columns), bool)
    if rules.start == "centre":
        top, left = rules.rows // 2 - 1, rules.columns // 2 - 1
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            start[int(row == column), top + row, left + column] = True
    if rules.cells == "hex":
        axes = (True, True, False, True)
    else:
        orthogonal, diagonal = rules.lines != "diagonal", rules.lines != "orthogonal"
        axes = (orthogonal, orthogonal, diagonal, diagonal)
    number, flag = partial(jnp.asarray, dtype=jnp.int32), jnp.asarray
    return Game(
        shape=Geometry(number(rules.rows), number(rules.columns), flag(rules.edges == "torus")),
        board=to_bits(board),
        hexagonal=flag(rules.cells == "hex"),
        placing=number(_PLACING.index(rules.placing)),
        capture=number(_CAPTURE.index(rules.capture)),
        winning=number(_WINNING.index(rules.winning)),
        length=number(rules.length),
        axes=jnp.array(axes),
        misere=flag(rules.misere),
        stones=number(rules.stones),
        swap=flag(rules.swap),
        start=(to_bits(start[0]), to_bits(start[1])),
        longest=number(2 * board.sum()),
    )


def stack(games: Sequence[Game]) -> Game:
    """Many rule sets as one, with a leading axis `[games]`."""
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *games)


# The questions that rules ask. Each is about sets of cells; none looks at whose turn it is.


def _ways(game: Game) -> Bool[Array, "8"]:
    """Which of the eight directions lead to a neighbour on this board."""
    ways = jnp.ones(8, bool).at[jnp.array([2, 6])].set(~game.hexagonal)
    return ways


def _chains(game: Game, start: Bits, through: Bits, wall: Bits) -> tuple[Bits, Bits]:
    """From `start`, the unbroken runs through `through` in each direction `[8]`, and where in `wall` each run ends."""
    through, wall = through.where(_ways(game)), wall.where(_ways(game))
    # A loop, not its unrolling: the compiler would copy the earlier steps of the chain into every later one.
    grow = lambda _, chain: chain | (game.shape.step(chain) & through)
    chain = jax.lax.fori_loop(0, STRIDE - 3, grow, game.shape.step(start) & through)
    return chain, game.shape.step(chain) & wall


def captured_by(game: Game, move: Bits, own: Bits, enemy: Bits) -> Bits:
    """The enemy stones that `own` takes by placing `move`."""
    chain, ends = _chains(game, move, enemy, own)
    return chain.where(ends.any() & (game.capture != _CAPTURE.index("none"))).union()


def placeable(game: Game, own: Bits, enemy: Bits) -> Bits:
    """The cells that `own` may place on."""
    empty = game.board & ~own & ~enemy
    _, capturing = _chains(game, own, enemy, empty)
    # A dropped stone rests on whatever is not an empty cell: the floor, a stone or a hole.
    bottomless = Bits(empty.lo >> STRIDE | empty.hi << (32 - STRIDE), empty.hi >> STRIDE)
    cells = empty.where(game.placing == _PLACING.index("anywhere"), empty & ~bottomless)
    return capturing.union().where(game.placing == _PLACING.index("capturing"), cells)


def has_line(game: Game, own: Bits) -> Bool[Array, ""]:
    """Whether `own` has `length` stones or more in a row along a direction that counts."""
    longer = lambda distance, run: (own & game.shape.step(run, axes=AXES)).where(distance < game.length, run)
    return jnp.any(jax.lax.fori_loop(1, STRIDE, longer, own.where(game.axes)).any())


def is_joined(game: Game, own: Bits, colour: Int[Array, ""], *, ask: Bool[Array, ""]) -> Bool[Array, ""]:
    """Whether `own` joins top and bottom (colour 0) or left and right (colour 1). False unless `ask`."""
    goes = _ways(game) & (game.hexagonal | (jnp.arange(8) % AXES < 2))  # square cells touch orthogonally
    start = game.shape.first_row.where(colour == 0, game.shape.first_column) & own
    goal = game.shape.last_row.where(colour == 0, game.shape.last_column) & own
    path = own.where(goes)

    def spread(flood: tuple[Bits, Bool[Array, ""]]) -> tuple[Bits, Bool[Array, ""]]:
        reached, _ = flood
        wider = reached | (game.shape.step(reached) & path).union()
        return wider, ~(wider == reached) & ~(wider & goal).any()

    # Under vmap the loop runs until the last game is done; games that do not ask start finished.
    reached, _ = jax.lax.while_loop(lambda flood: flood[1], spread, (start.where(ask), ask & start.any()))
    return (reached & goal).any()


class BoardGames(AbstractTwoPlayerWorld):
    """The family of board games as a world: a task is a game and the words that tell its rules.

    **Arguments:**

    - `games`: rule sets stacked along a leading axis `[games]` (see `stack`).
    - `words`: token ids `[games, paraphrases, words]`, or `None` for a world that tells nothing.
    - `canvas`: the side of the square on which boards are shown; at least every game's rows and columns. A smaller
      canvas costs an agent less.

    Observations are `[canvas, canvas, 6]` Booleans (see `PLANES`), always from the side of the player about to move:
    what can be seen of a board, its shape included, while all other rules are only in the words.
    Rewards are 1 for a win, −1 for a loss and 0 for a draw, to the player who just moved.
    """

    games: Game
    words: Int[Array, "games paraphrases words"] | None = None
    canvas: int = eqx.field(static=True, default=STRIDE)

    @property
    def actions(self) -> Discrete:
        return Discrete(self.canvas**2 + 2)

    @property
    def count(self) -> int:
        """How many games there are."""
        return self.games.length.shape[0]

    def task(self, *, key: Key) -> Task:
        game_key, words_key = jax.random.split(key)
        return self.nth(jax.random.randint(game_key, (), 0, self.count), key=words_key)

    def nth(self, index: Int[Array, ""] | int, *, key: Key) -> Task:
        """Game number `index`, in one of its paraphrases."""
        game = jax.tree.map(lambda leaf: leaf[index], self.games)
        if self.words is None:
            return Task(parameters=game)
        paraphrase = jax.random.randint(key, (), 0, self.words.shape[1])
        return Task(parameters=game, instruction=self.words[index, paraphrase].astype(jnp.int32))

    def reset(self, task: Task, *, key: Key) -> tuple[Position, Bool[Array, "canvas canvas 6"]]:
        game: Game = task.parameters
        zero = jnp.zeros((), jnp.int32)
        position = Position(
            stones=game.start,
            colour=zero,
            remaining=zero + 1,
            moves=zero,
            passed=jnp.array(False),
            swapped=jnp.array(False),
            placeable=placeable(game, *game.start),
        )
        return position, self._show(position, game)

    def step(
        self, state: Position, task: Task, action: Int[Array, ""], *, key: Key | None = None
    ) -> tuple[Position, Outcome]:
        game: Game = task.parameters
        places = action < self.canvas**2
        swaps = action == self.canvas**2 + 1

        move = Bits.single(action // self.canvas, action % self.canvas).where(places)
        taken = captured_by(game, move, state.own, state.enemy)
        own = state.own | move | taken.where(game.capture == _CAPTURE.index("flip"))
        enemy = state.enemy & ~taken

        # Swapping and passing end the turn; so does the last stone of it.
        again = places & (state.remaining > 1)
        same = again | swaps
        colour = jnp.where(same, state.colour, 1 - state.colour)
        moves = state.moves + 1
        first = own.where(state.colour == 0, enemy)
        second = enemy.where(state.colour == 0, own)
        mine, theirs = first.where(colour == 0, second), second.where(colour == 0, first)
        after = Position(
            stones=(first, second),
            colour=colour,
            remaining=jnp.where(again, state.remaining - 1, jnp.where(swaps, state.remaining, game.stones)),
            moves=moves,
            passed=~places & ~swaps,
            swapped=state.swapped ^ swaps,
            placeable=placeable(game, mine, theirs),
        )
        reward, over = self._judge(game, state, after, own, enemy)
        turn = jnp.where(self.player(after) == self.player(state), 1.0, -1.0)
        discount = jnp.where(over, 0.0, turn)
        return after, Outcome(self._show(after, game), reward=reward, discount=discount, last=over)

    def legal(self, state: Position, task: Task) -> Bool[Array, "actions"]:
        game: Game = task.parameters
        cells = state.placeable.cells(self.canvas).reshape(-1)
        swaps = game.swap & (state.moves == 1)
        return jnp.concatenate([cells, jnp.stack([~state.placeable.any(), swaps])])

    def player(self, state: Position) -> Int[Array, ""]:
        return state.colour ^ state.swapped.astype(jnp.int32)

    def _judge(
        self, game: Game, before: Position, after: Position, own: Bits, enemy: Bits
    ) -> tuple[Float[Array, ""], Bool[Array, ""]]:
        """The mover's reward, and whether the game is over."""
        connect, most = game.winning == _WINNING.index("connect"), game.winning == _WINNING.index("most")
        joined = is_joined(game, own, before.colour, ask=connect)
        won = jnp.where(connect, joined, ~most & has_line(game, own))
        full = ~(game.board & ~own & ~enemy).any()
        stuck = full | (before.passed & after.passed) | (after.moves >= game.longest)
        # Where every placement must capture, a colour that has lost its last stone can never move again.
        stuck |= (game.placing == _PLACING.index("capturing")) & ~enemy.any()
        lead = jnp.where(most & stuck, jnp.sign(own.count() - enemy.count()), 0)
        reward = jnp.where(won, 1, lead) * jnp.where(game.misere, -1, 1)
        return reward.astype(jnp.float32), won | stuck

    def _show(self, position: Position, game: Game) -> Bool[Array, "canvas canvas 6"]:
        sets = [position.own, position.enemy, game.board]
        flags = [position.colour == 1, position.remaining > 1, game.shape.torus]
        planes = [cells.cells(self.canvas) for cells in sets]
        planes += [jnp.broadcast_to(flag, (self.canvas, self.canvas)) for flag in flags]
        return jnp.stack(planes, axis=-1)
