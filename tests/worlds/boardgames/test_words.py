"""Rule texts: each sentence says one thing, a text says all that matters, and held-out ways are apart but readable."""

import dataclasses
import functools
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from headstart.errors import BadData
from headstart.instructions.vocabulary import PADDING, UNKNOWN, split_words
from headstart.worlds.boardgames import words
from headstart.worlds.boardgames.rules import CLASSICS, Rules
from headstart.worlds.boardgames.vocabulary import WORDS, vocabulary
from headstart.worlds.boardgames.words import describe, phrases, sentences

tokens, unknown_share = vocabulary().tokens, vocabulary().unknown_share
SPLITS = ("train", "held-out")
FIELDS = ("cells", "edges", "placing", "capture", "winning", "length", "lines", "misere", "stones", "swap")


@functools.cache
def games(count: int, seed: int = 0) -> list[Rules]:
    """Random rules that do not contradict themselves."""
    rng = np.random.default_rng(seed)
    found: list[Rules] = []
    while len(found) < count:
        chosen = {
            "rows": int(rng.integers(3, 9)),
            "columns": int(rng.integers(3, 9)),
            "holes": tuple({(int(rng.integers(3)), int(rng.integers(3))) for _ in range(rng.integers(3))}),
            "cells": str(rng.choice(["square", "hex"])),
            "edges": str(rng.choice(["walls", "torus"])),
            "placing": str(rng.choice(["anywhere", "drop", "capturing"])),
            "capture": str(rng.choice(["none", "flip", "custody"])),
            "winning": str(rng.choice(["line", "connect", "most"])),
            "length": int(rng.choice([3, 3, 4, 5, 6])),
            "lines": str(rng.choice(["all", "orthogonal", "diagonal"])),
            "misere": bool(rng.integers(2)),
            "stones": int(rng.integers(1, 3)),
            "swap": bool(rng.integers(2)),
            "start": str(rng.choice(["empty", "centre"])),
        }
        if chosen["winning"] != "line":
            chosen |= {"length": 3, "lines": "all"}
        try:
            found.append(Rules("a game", **chosen))
        except BadData:
            continue
    return found


def one_of(options: tuple[str, ...]) -> str:
    return "|".join(re.escape(option) for option in sorted(options, key=len, reverse=True))


def pattern(way: str) -> re.Pattern[str]:
    """Matches every sentence that a way of saying something can make. What fills a slot for the nth time has the name
    of the slot and n."""
    pieces, cells = words.PIECES, words.SQUARES + words.HEXAGONS
    numbers = (*words.NUMBERS, *map(str, range(65)))
    pairs = words.NAMED + words.UNNAMED
    slots = {
        **dict.fromkeys(("k", "rows", "columns", "holes", "two"), one_of(numbers)),
        "piece": one_of(pieces),
        "pieces": one_of(tuple(f"{piece}s" for piece in pieces)),
        "cell": one_of(cells),
        "cells": one_of(tuple(f"{cell}s" for cell in cells)),
        "free": one_of(words.FREE),
        "enemy": one_of(words.ENEMY),
        "first": one_of(tuple(pair[0] for pair in pairs)),
        "second": one_of(tuple(pair[1] for pair in pairs)),
    }
    parts = re.split(r"\{(\w+)\}|([(|)])|\s+", way)
    count = itertools.count()
    expression = ""
    for text, slot, mark in itertools.zip_longest(parts[::3], parts[1::3], parts[2::3]):
        expression += re.escape(text)
        if slot:
            expression += f"(?P<{slot}_{next(count)}>{slots[slot]})"
        elif mark:
            expression += {"(": "(?:"}.get(mark, mark)
        else:
            expression += " *"  # an alternative may be empty, and what is around it has spaces of its own
    return re.compile(expression, re.IGNORECASE)


def filled(form: re.Pattern[str], sentence: str) -> dict[str, str] | None:
    """What stands in each slot, the same wherever the slot is; `None` if it is no sentence of this form."""
    match = form.fullmatch(sentence)
    if match is None:
        return None
    slots = [(name.partition("_")[0], word.lower()) for name, word in match.groupdict().items() if word is not None]
    return dict(slots) if len(set(slots)) == len(dict(slots)) else None


PATTERNS = [(says, pattern(way)) for says, ways in phrases().items() for split in SPLITS for way in ways[split]]


def understood(text: str) -> dict[str, dict[str, str]]:
    """What a text says, each with its words: read without knowing how the text was made."""
    found: dict[str, dict[str, str]] = {}
    for sentence in text.removesuffix(".").split(". "):
        meanings = {says: slots for says, form in PATTERNS if (slots := filled(form, sentence)) is not None}
        assert len(meanings) == 1, f"{sentence!r} could mean {list(meanings)}"
        found |= meanings
    return found


def recovered(text: str) -> dict[str, object]:
    """The rules that a text tells; what it does not mention is the ordinary rule."""
    said = understood(text)
    value = lambda key, default: next((says.split(".")[1] for says in said if says.startswith(f"{key}.")), default)
    (winning,) = [says for says in said if says.startswith("winning.")]
    k = said[winning].get("k", "3").lower()
    lines = value("lines", "all")
    first = {found["first"].lower() for found in said.values() if "first" in found}
    assert len(first) <= 1
    if "players.named" not in said and winning.startswith("winning.connect"):
        assert first <= {pair[0] for pair in words.UNNAMED}
    return {
        "winning": winning.split(".")[1],
        "misere": winning.endswith(".misere") or "misere" in said,
        "length": words.NUMBERS.index(k) if k in words.NUMBERS else int(k),
        "lines": "all" if lines == "hex" else lines,
        "cells": value("cells", "square"),
        "edges": value("edges", "walls"),
        "placing": value("placing", "anywhere"),
        "capture": value("capture", "none"),
        "stones": 2 if "stones.two" in said else 1,
        "swap": "swap.yes" in said,
    }


@pytest.mark.parametrize("split", SPLITS)
def test_a_text_determines_the_rules(split):
    rng = np.random.default_rng(1)
    for rules in games(250)[:150]:
        text = describe(rules, rng, split)
        assert recovered(text) == {field: getattr(rules, field) for field in FIELDS}, text


def test_different_rules_have_different_texts():
    """Whatever the words: no text of one game is a text of another, since each is read back as its own rules."""
    rng = np.random.default_rng(2)
    texts: dict[str, Rules] = {}
    for rules in [*games(250), *CLASSICS.values()]:
        bare = (
            dataclasses.replace(rules, name="a game", rows=8, columns=8, holes=(), start="empty")
            if (rules.placing != "capturing")
            else rules
        )
        text = describe(bare, rng)
        assert all(getattr(texts.setdefault(text, bare), field) == getattr(bare, field) for field in FIELDS)


def test_every_way_is_apart_and_enough_are_held_out():
    for says, ways in phrases().items():
        train, held_out = (set(map(str.lower, ways[split])) for split in SPLITS)
        assert not train & held_out, says
        assert len(train) == len(ways["train"]), says
        assert len(train | held_out) >= 8, says
        assert len(held_out) >= 2, says
        assert len(held_out) / len(train | held_out) <= 0.3, says


def test_sentences_come_from_their_split_alone():
    rng = np.random.default_rng(3)
    for split, rules in itertools.product(SPLITS, games(100)):
        for sentence in sentences(rules, rng, split):
            assert sentence.way in phrases()[sentence.says][split]


def words_of(split: str, *, chatter: bool) -> set[str]:
    ways = (way for says, ways in phrases().items() if chatter or says != "chatter" for way in ways[split])
    return {word for way in ways for word in split_words(re.sub(r"\{\w+\}", " ", way))}


def test_held_out_ways_use_words_that_training_uses():
    slots = {word for group in (words.PIECES, words.SQUARES, words.FREE) for word in group}
    assert words_of("held-out", chatter=False) <= words_of("train", chatter=False) | slots
    chatter = words_of("held-out", chatter=True)
    assert len(chatter - words_of("train", chatter=True)) <= 0.05 * len(chatter)


def test_the_vocabulary_knows_every_word_of_the_grammar():
    known = vocabulary().numbers
    assert words_of("train", chatter=True) | words_of("held-out", chatter=True) <= known.keys()
    rng = np.random.default_rng(4)
    for split, rules in itertools.product(SPLITS, [*games(100), *CLASSICS.values()]):
        assert unknown_share(describe(rules, rng, split)) == 0
    assert min(known.values()) == UNKNOWN + 1
    assert set(known.values()) == set(range(2, vocabulary().size))


def test_synonyms_are_read_as_words_that_training_uses():
    """Else an agent would know a word only by a number that it never met."""
    met = words_of("train", chatter=True) | set(words.NUMBERS)
    met |= {word for group in (words.PIECES, words.SQUARES, words.HEXAGONS, words.FREE, words.ENEMY) for word in group}
    met |= {f"{word}s" for word in words.PIECES + words.SQUARES + words.HEXAGONS}
    met |= {word for pair in words.NAMED + words.UNNAMED for name in pair for word in split_words(name)}
    path = Path(words.__file__).with_name("vocabulary.txt")
    for line in path.read_text(encoding="utf-8").splitlines():
        head, *synonyms = line.split()
        assert head in met or not [word for word in synonyms if not word.isdigit()], line


@pytest.mark.parametrize(
    "text",
    [
        "Each player must place a disc so that there is at least one straight line between the new disc and another "
        "of their discs, with one or more of the opponent's discs between them. They are flipped over. The game ends "
        "when neither player can move; whoever has more discs wins.",
        "Don't get 3 in a row! You lose if you do. Play two stones per turn. The board wraps around like a doughnut.",
        "Players take turns to put marbles on a vacant spot. Four in a line, diagonals excluded, win.",
    ],
)
def test_a_persons_words_are_mostly_known(text):
    assert unknown_share(text) < 0.1


def test_no_training_way_makes_a_held_out_sentence():
    """Nor one that is read like it: `allowed` and `legal` are one word to a reader."""
    held_out = {says: [pattern(way) for way in ways["held-out"]] for says, ways in phrases().items()}
    rng = np.random.default_rng(10)
    for rules in [*games(250), *CLASSICS.values()] * 4:
        for sentence in sentences(rules, rng):
            assert not [form for form in held_out[sentence.says] if form.fullmatch(sentence.text.removesuffix("."))]
    assert words._read("your goal is to make a row of {k} {pieces}") in words._kept_back("winning.line")
    assert words._read("it is allowed") == words._read("it is legal") != words._read("it is forbidden")


def test_a_way_is_all_the_sentences_that_its_alternatives_make():
    assert set(words._all(words.template("a (b|c (d|e)|)f"))) == {"a bf", "a c df", "a c ef", "a f"}
    assert words._all(words.template("no choice")) == ["no choice"]


def test_a_group_is_named_only_if_it_is_there_and_used():
    source = Path(words.__file__).with_name("phrases.toml").read_text(encoding="utf-8")
    groups = tomllib.loads(source)["groups"]
    assert set(re.findall(r"<(\w+)>", source)) - {"name"} == set(groups)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lines.orthogonal", "lines.diagonal"),
        ("winning.line", "winning.line.misere"),
        ("winning.connect", "winning.connect.misere"),
        ("winning.most", "winning.most.misere"),
        ("capture.flip", "capture.custody"),
        ("edges.walls", "edges.torus"),
        ("cells.square", "cells.hex"),
    ],
)
def test_rivals_are_said_in_the_same_frames(one, other):
    """Else how a sentence begins would tell what it says, and nobody would learn to read on."""
    rng = np.random.default_rng(11)
    pick = lambda options: options[int(rng.random() * len(options))]
    begin = lambda says: tuple(split_words(words._choose(words.template(pick(phrases()[says]["train"])), pick))[:2])
    first, second = ([begin(says) for _ in range(1000)] for says in (one, other))
    assert np.mean([words in set(second) for words in first]) > 0.5
    assert np.mean([words in set(first) for words in second]) > 0.5


def test_what_must_be_said_is_never_cut():
    """Even for the game with most to say, in whatever words."""
    rng = np.random.default_rng(12)
    most = max(games(250), key=lambda rules: len(words._needed(rules, named=True, in_one=False)))
    ways = [set(words._needed(most, named, in_one=one)) for named, one in itertools.product((True, False), repeat=2)]
    for _ in range(500):
        text = sentences(most, rng)
        assert any(needed <= {sentence.says for sentence in text} for needed in ways)
        assert sum(len(split_words(sentence.text)) for sentence in text) <= WORDS


def test_texts_fit():
    rng = np.random.default_rng(5)
    lengths = [len(split_words(describe(rules, rng))) for rules in games(250)]
    assert max(lengths) <= WORDS


def test_the_generator_decides_alone():
    for rules in CLASSICS.values():
        texts = [describe(rules, np.random.default_rng(6)) for _ in range(2)]
        assert texts[0] == texts[1]
        assert texts[0] != describe(rules, np.random.default_rng(7))


def test_words_vary():
    rng = np.random.default_rng(8)
    assert len({describe(CLASSICS["tic_tac_toe"], rng) for _ in range(500)}) >= 495


def test_a_persons_own_words_are_kept():
    rules = Rules("a game", 3, 3, text="Drei in einer Reihe.")
    assert describe(rules, np.random.default_rng(0)) == "Drei in einer Reihe."


def test_tokens_are_numbers_then_padding():
    read = tokens("Three stones in a row, WIN!")
    known = vocabulary().numbers
    expected = [known[word] for word in ("three", "stones", "in", "a", "row", "win", ".")]
    assert read.dtype == np.int32
    assert read.shape == (WORDS,)
    assert read[:7].tolist() == expected
    assert (read[7:] == PADDING).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 in a row wins", "three in a row wins."[:-1]),
        ("a 3x3 board", "A 3×3 board"),
        ("misère", "MISERE"),
        ("mise\u0300re", "misere"),
        ("ｗｉｎ", "win"),
        ("the center color", "the centre colour"),
        ("you can't win", "you can not win"),
        ("your opponent's stones", "your opponent’s stones"),
        ("rocks", "stones"),
    ],
)
def test_spellings_are_read_alike(one, other):
    assert (tokens(one) == tokens(other)).all()


def test_unknown_words_are_counted():
    assert tokens("zyzzyva stones")[0] == UNKNOWN
    assert unknown_share("zyzzyva stones win.") == pytest.approx(1 / 3)
    assert unknown_share("") == 0
    assert unknown_share("🎲 ?!") == 0


def test_long_texts_are_read_to_the_limit():
    read = tokens("stones " * 100_000)
    assert (read == vocabulary().numbers["stones"]).all()


def test_thousands_of_texts_take_seconds():
    """In a process of its own, where types are not checked at run time."""
    program = """
import time
import numpy as np
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.words import describe
from headstart.worlds.boardgames.vocabulary import vocabulary
rng = np.random.default_rng(9)
began = time.process_time()
for _ in range(250):
    for rules in CLASSICS.values():
        vocabulary().tokens(describe(rules, rng))
print(time.process_time() - began)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 2
