"""Rule by rule, what somebody who believes so takes a game to be, and where that is wrong.

`FACTS` are questions with yes or no for an answer, most of them no for most games. Rules are what a person would be
asked: how one wins, how many in line, which lines count. Of facts that exclude each other the likeliest is taken, and
the ordinary rule where none is more likely than not, as in `headstart.worlds.boardgames.facts.imagined`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from headstart.worlds.boardgames.facts import FACTS

__all__ = ["RULES", "asked", "misunderstood", "taken_for"]

#: The rules, each with the facts that may answer it. What stands on the board at the beginning is seen, and not asked.
RULES: Mapping[str, tuple[str, ...]] = {
    "cells": ("hexagonal cells",),
    "edges": ("joined edges",),
    "placing": ("stones drop", "only captures are moves"),
    "capture": ("captures flip", "captures take away"),
    "winning": ("a line wins", "a chain wins", "most stones win"),
    "length": ("three in line", "four in line", "five in line", "more than five in line"),
    "lines": ("only orthogonal lines", "only diagonal lines"),
    "misere": ("whoever would win loses",),
    "stones": ("two stones a turn",),
    "swap": ("sides may be swapped",),
}
NOT_ORDINARY = ("winning", "length")  # where there is no ordinary rule, and one of the facts must be so


def taken_for(belief: Float[np.ndarray, "*games facts"]) -> Int[np.ndarray, "*games rules"]:
    """Which answer to each of `RULES`: 0 for the ordinary one and from 1 on its facts in order.

    **Arguments:**

    - `belief`: the probability of each of `FACTS`.
    """
    answers = []
    for rule, names in RULES.items():
        likely = belief[..., [FACTS.index(name) for name in names]]
        ordinary = np.full((*likely.shape[:-1], 1), -1.0 if rule in NOT_ORDINARY else 0.5)
        answers.append(np.concatenate([ordinary, likely], axis=-1).argmax(axis=-1))
    return np.stack(answers, axis=-1)


def asked(meant: Float[np.ndarray, "*games facts"]) -> Bool[np.ndarray, "*games rules"]:
    """Which of `RULES` a game has: a length only where a line wins, and lines that count only on squares besides."""
    line = meant[..., FACTS.index("a line wins")] > 0.5
    square = meant[..., FACTS.index("hexagonal cells")] < 0.5
    has = {"length": line, "lines": line & square}
    return np.stack([has.get(rule, np.ones_like(line)) for rule in RULES], axis=-1)


def misunderstood(
    belief: Float[np.ndarray, "*games facts"], meant: Float[np.ndarray, "*games facts"]
) -> Bool[np.ndarray, "*games rules"]:
    """Which of the rules that a game has are taken for others, when its facts are `meant`, 1 or 0."""
    return asked(meant) & (taken_for(belief) != taken_for(meant))
