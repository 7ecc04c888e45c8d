"""The rules of a board game in English: a grammar with many ways to say each thing, some held out from training.

A text is a shuffled list of sentences. What an agent must know to play is always said: how one wins, and every rule
that is not the ordinary one. What can be seen on the board, what is ordinary, and chatter are said now and then. The
ways of saying are in `phrases.toml`, templates with alternatives: `(only|just) rows count` is two sentences.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import Any, Literal

import numpy as np

from headstart.instructions.vocabulary import split_words
from headstart.worlds.boardgames.rules import Rules
from headstart.worlds.boardgames.vocabulary import WORDS, vocabulary

__all__ = ["Sentence", "Split", "describe", "phrases", "sentences"]

Split = Literal["train", "held-out"]
Pick = Callable[[Sequence[Any]], Any]  # one of some options

PIECES = ("stone", "piece", "counter", "disc", "token", "chip")
SQUARES = ("cell", "square", "space", "field", "spot")
HEXAGONS = ("cell", "hexagon", "space", "field", "spot")
FREE = ("free", "empty", "open", "vacant")
ENEMY = ("enemy", "opposing", "hostile")
UNNAMED = (("the first player", "the second player"), ("the beginner", "the other player"))
NAMED = (("Black", "White"), ("White", "Black"), ("Red", "Blue"), ("Blue", "Red"))
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

# How often something is said that an agent need not be told.
CHANCES = {
    "lines.all": 0.4,
    "lines.hex": 0.3,
    "placing.anywhere": 0.3,
    "capture.none": 0.3,
    "edges.walls": 0.2,
    "cells.square": 0.2,
    "chains": 0.5,
    "stones.one": 0.3,
    "swap.no": 0.15,
    "start.empty": 0.2,
    "start.centre": 0.5,
    "size": 0.4,
    "holes": 0.5,
    "draw": 0.3,
    "players.neutral": 0.3,
    "players.named": 0.8,
    "chatter": 0.5,  # twice
}


@dataclasses.dataclass(frozen=True)
class Sentence:
    """One sentence of a rule text: what it says (a table of `phrases.toml`), which way of saying it, and its text."""

    says: str
    way: str
    text: str


@functools.cache
def phrases() -> dict[str, dict[Split, tuple[str, ...]]]:
    """All ways to say each thing, apart for training and held out, with the names of groups replaced by the groups."""
    source = resources.files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(source)
    groups = tables.pop("groups")

    @functools.cache
    def group(name: str) -> str:
        return f"({whole(groups[name])})"

    whole = lambda way: re.sub(r"<(\w+)>", lambda named: group(named[1]), way)
    return {
        says: {"train": tuple(map(whole, ways["train"])), "held-out": tuple(map(whole, ways["held_out"]))}
        for says, ways in tables.items()
    }


Template = tuple[Any, ...]  # texts, and choices: tuples of templates of which one is taken


@functools.cache
def template(way: str) -> Template:
    """A way of saying something, taken apart."""
    opened: list[list[list[Any]]] = [[[]]]  # of each bracket that is open, its alternatives so far
    for part in re.findall(r"[(|)]|[^(|)]+", way):
        if part == "(":
            opened.append([[]])
        elif part == ")":
            alternatives = opened.pop()
            opened[-1][-1].append(tuple(map(tuple, alternatives)))
        elif part == "|":
            opened[-1].append([])
        else:
            opened[-1][-1].append(part)
    ((parts,),) = opened
    return tuple(parts)


def _choose(parts: Template, pick: Pick) -> str:
    """One of the sentences that a template makes, its slots unfilled."""
    return "".join(part if isinstance(part, str) else _choose(pick(part), pick) for part in parts)


@functools.cache
def _kept_back(says: str) -> frozenset[tuple[int | str, ...]]:
    """What the held-out ways of saying something read like, with the names of their slots for words."""
    return frozenset(_read(sentence) for way in phrases()[says]["held-out"] for sentence in _all(template(way)))


def _all(parts: Template) -> list[str]:
    """Every sentence that a template makes, its slots unfilled."""
    each = [[part] if isinstance(part, str) else list(itertools.chain(*map(_all, part))) for part in parts]
    return ["".join(chosen) for chosen in itertools.product(*each)]


def _read(sentence: str) -> tuple[int | str, ...]:
    """A sentence as a reader tells it from others: synonyms are one word."""
    numbers = vocabulary().numbers
    return tuple(numbers.get(word, word) for word in split_words(sentence))


def describe(rules: Rules, rng: np.random.Generator, split: Split = "train") -> str:
    """A rule text: a person's own if the rules have one, else one drawn from the grammar.

    **Arguments:**

    - `rules`: the rules to tell.
    - `rng`: decides on words, order and what else is said. It is advanced.
    - `split`: `"train"` or `"held-out"`; every sentence is of that split.

    **Returns:** English of at most `vocabulary.WORDS` words.
    """
    if rules.text is not None:
        return rules.text
    return " ".join(sentence.text for sentence in sentences(rules, rng, split))


def sentences(rules: Rules, rng: np.random.Generator, split: Split = "train") -> tuple[Sentence, ...]:
    """The sentences of a rule text drawn from the grammar, with what each of them says. Arguments as in `describe`."""
    uniform = _uniform(rng)
    pick: Pick = lambda options: options[int(next(uniform) * len(options))]
    named = next(uniform) < 0.5
    slots = _slots(rules, named, pick)

    needed = _needed(rules, named, in_one=next(uniform) < 0.6)
    spare = [says for says in _spare(rules, named) if says not in needed and next(uniform) < CHANCES[says]]
    room = -1
    while room < 0:  # what is needed must fit
        chosen = [_say(says, split, slots, pick) for says in needed]
        room = WORDS - sum(len(split_words(sentence.text)) for sentence in chosen)
    for says in sorted(spare, key=lambda _: next(uniform)):
        sentence = _say(says, split, slots, pick)
        size = len(split_words(sentence.text))
        if size <= room and sentence not in chosen:
            chosen.append(sentence)
            room -= size
    return tuple(sorted(chosen, key=lambda _: next(uniform)))


def _say(says: str, split: Split, slots: dict[str, str], pick: Pick) -> Sentence:
    while True:
        way = pick(phrases()[says][split])
        sentence = _choose(template(way), pick)
        if split == "held-out" or _read(sentence) not in _kept_back(says):
            break
    text = " ".join(sentence.format_map(slots).split())
    return Sentence(says, way, f"{text[0].upper()}{text[1:]}.")


def _uniform(rng: np.random.Generator) -> Iterator[float]:
    """Numbers in [0, 1), drawn many at a time: single ones are slow."""
    while True:
        yield from rng.random(256).tolist()


def _needed(rules: Rules, named: bool, *, in_one: bool) -> list[str]:
    """What must be said. `in_one`: a misère goal is one sentence, not the plain goal and its reversal."""
    winning = f"winning.{rules.winning}"
    needed = [winning]
    if rules.misere:
        needed = [f"{winning}.misere"] if in_one else [winning, "misere"]
    told = (
        (rules.lines != "all", f"lines.{rules.lines}"),
        (rules.placing != "anywhere", f"placing.{rules.placing}"),
        (rules.capture != "none", f"capture.{rules.capture}"),
        (rules.edges != "walls", f"edges.{rules.edges}"),
        (rules.cells != "square", f"cells.{rules.cells}"),
        (rules.stones != 1, "stones.two"),
        (rules.swap, "swap.yes"),
        (named and (rules.winning == "connect" or rules.swap), "players.named"),
    )
    return needed + [says for condition, says in told if condition]


def _spare(rules: Rules, named: bool) -> list[str]:
    """What may be said besides."""
    line = rules.winning == "line"
    told = (
        (line and rules.cells == "square" and rules.lines == "all", "lines.all"),
        (line and rules.cells == "hex", "lines.hex"),
        (rules.placing == "anywhere", "placing.anywhere"),
        (rules.capture == "none", "capture.none"),
        (rules.edges == "walls", "edges.walls"),
        (rules.cells == "square", "cells.square"),
        (rules.winning == "connect" and rules.cells == "square", "chains"),
        (rules.stones == 1, "stones.one"),
        (not rules.swap, "swap.no"),
        (True, f"start.{rules.start}"),
        (True, "size"),
        (len(rules.holes) > 1, "holes"),
        (rules.winning != "most", "draw"),
        (True, "players.named" if named else "players.neutral"),
        (True, "chatter"),
        (True, "chatter"),
    )
    return [says for condition, says in told if condition]


def _slots(rules: Rules, named: bool, pick: Pick) -> dict[str, str]:
    """The words that stay the same throughout one text."""
    number = lambda value: pick((str(value), NUMBERS[value] if value < len(NUMBERS) else str(value)))
    piece, cell = pick(PIECES), pick(HEXAGONS if rules.cells == "hex" else SQUARES)
    first, second = pick(NAMED if named else UNNAMED)
    return {
        "k": number(rules.length),
        "rows": number(rules.rows),
        "columns": number(rules.columns),
        "holes": number(len(rules.holes)),
        "two": number(2),
        "piece": piece,
        "pieces": f"{piece}s",
        "cell": cell,
        "cells": f"{cell}s",
        "free": pick(FREE),
        "enemy": pick(ENEMY),
        "first": first,
        "second": second,
    }
