"""The family of games as a distribution, split so that whole combinations of rules are held out.

Two games with the same `combination` differ in size and holes only. Which combinations are held out depends on nothing
but the combination (a hash of it), so no draw, seed or count can ever move a game from one side to the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from headstart.errors import BadData
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.rules import Rules
from headstart.worlds.boardgames.vocabulary import vocabulary
from headstart.worlds.boardgames.words import describe

__all__ = ["HELD_OUT_SHARE", "Side", "combination", "draw_games", "is_held_out", "read_texts", "world_of"]

Side = Literal["train", "held-out"]

#: The share of all combinations of rules that training never meets.
HELD_OUT_SHARE = 0.15

EXHAUSTED = 1_000  # games of known combinations in a row, after which there are taken to be no others


def combination(rules: Rules) -> str:
    """What kind of game this is, whatever its size: the rules that words tell."""
    line = f"{rules.length} {rules.lines}" if rules.winning == "line" else ""
    parts = (rules.cells, rules.edges, rules.placing, rules.capture, rules.winning, line, rules.misere, rules.stones)
    return "/".join(map(str, (*parts, rules.swap, rules.start)))


def is_held_out(rules: Rules) -> bool:
    """Whether training must never meet a game of this combination."""
    digest = hashlib.sha256(combination(rules).encode()).digest()
    return int.from_bytes(digest[:4], "little") / 2**32 < HELD_OUT_SHARE


def draw_games(count: int, side: Side, *, seed: int, canvas: int = 8) -> list[Rules]:
    """`count` different games of one side of the split, on boards of up to `canvas` × `canvas`.

    Held-out games all differ in their combination, as far as there are enough of them.
    """
    chosen: dict[Rules, None] = {}
    met: set[str] = set()
    vain = 0  # games of the right side since the last new combination
    for rules in _proposals(np.random.default_rng([seed, canvas]), canvas):
        if is_held_out(rules) != (side == "held-out"):
            continue
        known = combination(rules) in met
        vain = vain + 1 if known else 0
        if side == "train" or not known or vain > EXHAUSTED:
            chosen.setdefault(rules)
            met.add(combination(rules))
        if len(chosen) == count:
            return list(chosen)
    raise AssertionError("proposals never end")


def _proposals(rng: np.random.Generator, canvas: int) -> Iterator[Rules]:
    """Games from the whole family, for ever; those that contradict themselves are drawn again."""
    pick = lambda chances: rng.choice(list(chances), p=np.array(list(chances.values())) / sum(chances.values())).item()
    while True:
        winning = pick({"line": 6, "connect": 2, "most": 2})
        capture = pick({"none": 7, "flip": 2, "custody": 1}) if winning != "most" else pick({"flip": 2, "custody": 1})
        placing = pick({"anywhere": 6, "drop": 2, "capturing": 0 if capture == "none" else 4})
        rows, columns = (int(rng.integers(3, canvas + 1)) for _ in range(2))
        if rng.random() < 0.6:
            columns = rows
        holes = rng.permutation(rows * columns)[: int(rng.integers(1, 4)) if rng.random() < 0.2 else 0]
        try:
            yield Rules(
                name="a new game",
                rows=rows,
                columns=columns,
                holes=tuple(sorted((int(hole) // columns, int(hole) % columns) for hole in holes)),
                cells=pick({"square": 7, "hex": 3}) if placing != "drop" else "square",
                edges=pick({"walls": 8, "torus": 2}),
                placing=placing,
                capture=capture,
                winning=winning,
                length=pick({3: 4, 4: 4, 5: 2}) if winning == "line" else 3,
                lines=pick({"all": 7, "orthogonal": 2, "diagonal": 1}) if winning == "line" else "all",
                misere=rng.random() < 0.3,
                stones=pick({1: 8, 2: 2}),
                swap=rng.random() < 0.2,
                start="centre" if placing == "capturing" or (capture != "none" and rng.random() < 0.3) else "empty",
            )
        except BadData:
            continue


def read_texts(games: list[Rules], side: Side, *, paraphrases: int, seed: int) -> Int[Array, "games paraphrases words"]:
    """Rule texts as token ids: `paraphrases` of each game, or its own text where it has one."""
    rng = np.random.default_rng([seed, side == "held-out"])
    rows = [[vocabulary().tokens(game.text or describe(game, rng, side)) for _ in range(paraphrases)] for game in games]
    return jnp.asarray(np.array(rows, np.int16))


def world_of(
    games: list[Rules], *, canvas: int = 8, side: Side = "train", paraphrases: int = 8, seed: int = 0
) -> BoardGames:
    """These games as a world, with `paraphrases` texts each, written with the phrases of one side of the split."""
    words = read_texts(games, side, paraphrases=paraphrases, seed=seed)
    return BoardGames(stack([compile_rules(rules) for rules in games]), words, canvas=canvas)
