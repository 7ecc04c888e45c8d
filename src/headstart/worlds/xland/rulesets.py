"""Rulesets of XLand-MiniGrid, made as its own benchmarks are: nothing is downloaded, and nothing is unpickled.

Nikulin and others, *XLand-MiniGrid: scalable meta-reinforcement learning environments in JAX*, NeurIPS 2024, section
3; the procedure is that of the Adaptive Agents Team (*Human-timescale adaptation in an open-ended task space*, ICML
2023, appendix A.2). A goal is drawn. Then each tile that it needs is made by a rule, the tiles which that rule needs by
rules of their own, and so on, `depth` levels down, but for branches that are pruned: what is needed and not made lies
about when an episode begins. Distractors are added: objects that are good for nothing, and rules that lead nowhere.

| paper | here |
|---|---|
| goal, production rules, initial objects | `Ruleset.goal`, `rules`, `tiles` |
| benchmark | a `Ruleset` with leaves `[rulesets, ...]`, from `generate` |
| trivial, small, medium, high | `TRIVIAL`, `SMALL`, `MEDIUM`, `HIGH` |

Their published files are pickles, which could run anything: there is no function here that reads them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, UInt8

from headstart.errors import UsageError
from headstart.worlds.xland.tiles import ABOUT_TWO, COLOURS, GOAL_KINDS, GOALS, OBJECTS, RULE_KINDS, SHAPES

__all__ = ["HIGH", "MEDIUM", "SMALL", "TRIVIAL", "Family", "Ruleset", "check_apart", "generate", "split"]

GOAL_SIZE, RULE_SIZE = 5, 7  # numbers in an encoding
ATTEMPTS = 1_000  # to find a ruleset that is none of those found before

Tile = tuple[int, int]  # what it is, and its colour

_PAINTED = tuple(number for number, colour in enumerate(COLOURS) if colour not in ("none", "black"))
PICKABLE: tuple[Tile, ...] = tuple(product(map(SHAPES.index, OBJECTS), _PAINTED))
NEAR: tuple[Tile, ...] = (*PICKABLE, *product([SHAPES.index("goal")], _PAINTED))
FLOOR: Tile = (SHAPES.index("floor"), COLOURS.index("black"))


class Ruleset(eqx.Module):
    """A task of XLand-MiniGrid as it encodes it, or many, with leaves `[rulesets, ...]`.

    Rows of zeros in `rules` and `tiles` are padding.
    """

    goal: UInt8[Array | np.ndarray, "*rulesets 5"]
    rules: UInt8[Array | np.ndarray, "*rulesets rules 7"]
    tiles: UInt8[Array | np.ndarray, "*rulesets tiles 2"]


@dataclass(frozen=True)
class Family:
    """How rulesets are drawn.

    - `goals`: kinds of goals, of `GOALS`. Rules are of any kind.
    - `depth`: levels of rules, at the most: how many there are is drawn.
    - `prune`: with what probability a tile that a rule should make lies about instead, 0 to 1.
    - `distractor_rules`: at the most: how many there are is drawn.
    - `distractors`: objects that are good for nothing.

    **Raises:** `UsageError` for kinds that there are not, none, a depth or number below 0, or a `prune` that is no
    probability.
    """

    goals: tuple[str, ...] = GOALS
    depth: int = 0
    prune: float = 0.0
    distractor_rules: int = 0
    distractors: int = 3

    def __post_init__(self):
        strange = [kind for kind in self.goals if kind not in GOALS]
        if strange or not self.goals:
            raise UsageError(f"there is no goal {', '.join(strange) or 'at all'}; give some of {', '.join(GOALS)}")
        if min(self.depth, self.distractor_rules, self.distractors) < 0 or not 0 <= self.prune <= 1:
            raise UsageError(f"{self} cannot be drawn; give numbers of 0 or more, and prune as a probability")


TRIVIAL = Family()
SMALL = Family(depth=1, prune=0.3, distractor_rules=2, distractors=2)
MEDIUM = Family(depth=2, prune=0.1, distractor_rules=3, distractors=2)
HIGH = Family(depth=3, prune=0.1, distractor_rules=4, distractors=1)


def generate(count: int, family: Family = TRIVIAL, *, seed: int = 0) -> Ruleset:
    """`count` rulesets of a family, no two of them the same, with leaves `[count, ...]`.

    **Raises:** `UsageError` for less than one, or where a family has not so many.
    """
    if count < 1:
        raise UsageError(f"{count} rulesets are none; ask for 1 or more")
    chance, found = random.Random(seed), dict[tuple, tuple[list, list, list]]()
    failed = 0
    while len(found) < count:
        goal, rules, tiles = _draw(family, chance)
        name = (tuple(goal), tuple(map(tuple, rules)), tuple(sorted(tiles)))
        failed = failed + 1 if name in found else 0
        if failed > ATTEMPTS:
            raise UsageError(
                f"no ruleset besides {len(found)} was found in {ATTEMPTS:,} draws, where {count} were asked for; widen "
                "the family, or ask for fewer"
            )
        found[name] = (goal, rules, tiles)
    goals, every_rules, every_tiles = zip(*found.values(), strict=True)
    return Ruleset(
        goal=np.array(goals, np.uint8),
        rules=_padded(every_rules, RULE_SIZE),
        tiles=_padded(every_tiles, 2),
    )


def split(rulesets: Ruleset, share: float, *, seed: int = 0) -> tuple[Ruleset, Ruleset]:
    """Rulesets to train on, and others to be judged by: about `share` of all goals with their rules are held out.

    No goal with the same rules is in both, whatever else lies about: which objects distract is no other task.

    **Raises:** `UsageError` where either part would be empty.
    """
    keys = [_key(row) for row in _rows(rulesets)]
    distinct = sorted(set(keys))
    held = set(random.Random(seed).sample(distinct, round(share * len(distinct)))) if 0 < share < 1 else set()
    out = np.array([key in held for key in keys])
    if not out.any() or out.all():
        raise UsageError(
            f"a share of {share} of {len(distinct)} goals with their rules leaves nothing to train on, or to be judged "
            "by; give one between 0 and 1, and more rulesets"
        )
    training, judging = (jax.tree.map(lambda leaf, which=which: leaf[which], rulesets) for which in (~out, out))
    return training, judging


def check_apart(training: Ruleset, held_out: Ruleset) -> None:
    """Make sure that no goal that is held out was trained on with the same rules.

    **Raises:** `UsageError` naming the first one in both.
    """
    known = {_key(row): number for number, row in enumerate(_rows(training))}
    for number, row in enumerate(_rows(held_out)):
        if (twin := known.get(_key(row))) is not None:
            raise UsageError(
                f"held-out ruleset {number} has the goal and the rules of training ruleset {twin}; use split, which "
                "holds out goals with their rules"
            )


def _rows(rulesets: Ruleset) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    return zip(np.asarray(rulesets.goal), np.asarray(rulesets.rules), strict=True)


def _key(row: tuple[np.ndarray, np.ndarray]) -> tuple:
    """A goal and its rules, in whatever order these are and however they are padded."""
    goal, rules = row
    asked = _told_one_way(goal, GOAL_KINDS)
    return asked, tuple(sorted(_told_one_way(rule, RULE_KINDS) for rule in rules if rule.any()))


def _told_one_way(encoding: np.ndarray, kinds: dict[str, int]) -> tuple[int, ...]:
    """The encoding that says the same in one way: that a is below b, it is of b above a; near each other, both are."""
    kind, first, second, rest = int(encoding[0]), tuple(encoding[1:3]), tuple(encoding[3:5]), tuple(encoding[5:])
    other = {kinds["tiles_near_down"]: kinds["tiles_near_up"], kinds["tiles_near_left"]: kinds["tiles_near_right"]}
    if kind in other or (kind == kinds["tiles_near"] and second < first):
        kind, first, second = other.get(kind, kind), second, first
    return tuple(map(int, (kind, *first, *second, *rest)))


def _draw(family: Family, chance: random.Random) -> tuple[list[int], list[list[int]], list[Tile]]:
    """A goal, its rules and the tiles that lie about."""
    kind = chance.choice(family.goals)
    needed = _tiles(kind, set(), chance, goal=True)
    goal = _encoded(GOAL_KINDS[kind], needed, GOAL_SIZE)
    used, rules, lying = set(needed), list[list[int]](), list[Tile]()
    for _ in range(chance.randint(0, family.depth)):
        below = list[Tile]()
        for product_ in needed:
            if chance.random() < family.prune:
                lying.append(product_)
                continue
            kind = chance.choice(GOALS)
            parts = _tiles(kind, used, chance)
            used |= set(parts)
            rules.append(_encoded(RULE_KINDS[kind], (*parts, product_), RULE_SIZE))
            below.extend(parts)
        needed = below
    lying.extend(needed)
    spare = [tile for tile in NEAR if tile not in used]
    lying.extend(chance.choices(spare, k=family.distractors))
    for _ in range(chance.randint(0, family.distractor_rules)):
        result = chance.choice([tile for tile in (*PICKABLE, FLOOR) if tile not in used])
        kind = chance.choice(GOALS)
        parts = _tiles(kind, set(), chance)
        rules.append(_encoded(RULE_KINDS[kind], (*parts, result), RULE_SIZE))
        lying.extend(parts)
    return goal, rules, lying


def _tiles(kind: str, used: set[Tile], chance: random.Random, *, goal: bool = False) -> list[Tile]:
    """The tiles that a goal or a rule of this kind is about, none of them used.

    Only a tile of the kind GOAL cannot be picked up. So it is never to be held, and at most one of two that are to be
    next to each other; and whoever is next to it can do so only where it lies, so that no rule makes use of it alone.
    """
    if kind in ABOUT_TWO:
        return [_unused(NEAR, used, chance), _unused(PICKABLE, used, chance)]
    return [_unused(NEAR if goal and kind != "hold" else PICKABLE, used, chance)]


def _unused(tiles: tuple[Tile, ...], used: set[Tile], chance: random.Random) -> Tile:
    if left := [tile for tile in tiles if tile not in used]:
        return chance.choice(left)
    raise UsageError(f"the rules of a ruleset use up all {len(NEAR)} tiles; give its family less depth")


def _encoded(number: int, tiles: Iterable[Tile], size: int) -> list[int]:
    code = [number, *(part for tile in tiles for part in tile)]
    return code + [0] * (size - len(code))


def _padded(rows: tuple[list, ...], size: int) -> np.ndarray:
    padded = np.zeros((len(rows), max(map(len, rows)), size), np.uint8)
    for number, row in enumerate(rows):
        if row:
            padded[number, : len(row)] = row
    return padded
