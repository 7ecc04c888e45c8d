"""Does a reader that was taught by a grammar understand the rules of a game as a person explains them?

Readers say the rules of board games (`headstart.newgame.understood`). They learn from generated texts of training games
alone. An encoder that is learned with them reads words (`headstart.instructions.reader.Reader`); one that has read a
great many other texts before, and is frozen, embeds sentences (`headstart.instructions.minilm`), and a perceptron that
is learned says what they mean. Both read sentence by sentence and add up what those say, and learn from the same texts
in as many steps. What differs: words can be blotted out, as they are wherever the learned encoder is taught, so that it
has met words that it does not know. Both learn at the rate, of 0.001, 0.003, 0.01 and 0.03, at which either best
understood generated texts of other training games, before they were judged by anything else.

Judged by games of which training never meets the combination of rules, in its phrases ("new games") and in phrases that
it never meets ("paraphrases"); and by classics as a person explains them (`headstart.worlds.boardgames.explained`),
which were written before any reader was trained for them.

The score is the share of the mistakes of who hears nothing that reading prevents: 1 for rules without a mistake, 0 for
who takes every game for the commonest, and less for who is misled. Of a single game or rule, it is the share of answers
that are right. Ablation: a whole text is embedded at once. Controls that must fail: classics that are told in the words
of another classic; the words of all classics dealt anew among them; and readers that were taught each game with the
text of another one.

Where the frozen weights are not at hand, the study says so and measures the learned encoder alone. The reader that
ships, which learned from some hundred times as many texts and on smaller boards, is shown for reference. Nothing in
training is ever won by more than five in line, as connect six is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int

from headstart.core.process import train_at_once
from headstart.core.types import Key
from headstart.errors import UsageError
from headstart.instructions.encoders import AbstractEncoder
from headstart.instructions.minilm import SHA256, SIZE, MiniLM, Statements
from headstart.newgame import prior
from headstart.newgame.agent import new_reader
from headstart.newgame.reading import Reading
from headstart.newgame.understood import RULES, asked, misunderstood
from headstart.progress import AbstractObserver
from headstart.studies.book import Book, Scores
from headstart.studies.study import (
    Arm,
    Paper,
    Result,
    Verdict,
    arms_of,
    at_least,
    beats,
    conclude,
    must_fail,
    reaches,
    seeds_of,
)
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.explained import explained
from headstart.worlds.boardgames.facts import FACTS, facts
from headstart.worlds.boardgames.family import draw_games
from headstart.worlds.boardgames.rules import Rules
from headstart.worlds.boardgames.vocabulary import vocabulary
from headstart.worlds.boardgames.words import describe

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "Readers that were taught by a grammar understand new games in new phrases, and the rules of classics as a person "
    "explains them; an encoder that has read a great many other texts before, and is frozen, does so no worse than one "
    "that is learned."
)
ALONE = (
    "A reader that was taught by a grammar understands new games, and the rules of classics as a person explains them."
)
PAPER = Paper("reimers2019", ("section 5",))

SEEDS, QUICK_SEEDS = 3, 3
LEARNED, FROZEN, WHOLE = "learned encoder", "frozen encoder", "frozen encoder of whole texts"
SHIPPED = "reader that ships"
MISTAUGHT = " taught of another game"
NEW, PARAPHRASES, CLASSICS = "new games", "paraphrases", "classics"
MISTOLD, DEALT = "classics told of another", "classics of words dealt anew"

Numbered = Callable[[str], Int[np.ndarray, "numbers"]]  # how an encoder takes a text in
Embed = Callable[[Sequence[str]], Float[np.ndarray, "texts 384"]]

LEARNING_RATE = 0.03
UNDERSTOOD, FAILED = {NEW: 0.9, PARAPHRASES: 0.8, CLASSICS: 0.5}, 0.1


@dataclass(frozen=True)
class Size:
    """How much is read.

    - `games`: how many training games there are, each with a text; `judged`: how many new games, in either phrases.
    - `steps`, `texts`: gradient steps, and texts in each.
    """

    games: int = 4_000
    judged: int = 200
    steps: int = 2_000
    texts: int = 64


FULL, QUICK = Size(), Size(games=500, judged=50, steps=500)


@dataclass(frozen=True)
class Told:
    """Texts, and the facts of the games that they tell."""

    texts: tuple[str, ...]
    meant: Float[np.ndarray, "texts facts"]

    @classmethod
    def of(cls, games: Sequence[Rules], texts: Sequence[str]) -> Told:
        return cls(tuple(texts), np.asarray(jax.vmap(facts)(stack([compile_rules(rules) for rules in games]))))


class Library:
    """All texts of the study, drawn once: readers of every seed learn from the same and are judged by the same."""

    def __init__(self, size: Size):
        rng = np.random.default_rng(0)
        self.games = draw_games(size.games, "train", seed=0)
        self.taught = Told.of(self.games, [describe(rules, rng) for rules in self.games])
        new = draw_games(size.judged, "held-out", seed=0)
        classics = list(explained().values())
        own = [rules.text or "" for rules in classics]
        self.names = [rules.name for rules in classics]
        self.judged = {
            NEW: Told.of(new, [describe(rules, rng, "train") for rules in new]),
            PARAPHRASES: Told.of(new, [describe(rules, rng, "held-out") for rules in new]),
            CLASSICS: Told.of(classics, own),
            MISTOLD: Told.of(classics, of_another(own)),
            DEALT: Told.of(classics, dealt(own, rng)),
        }

    @property
    def texts(self) -> list[str]:
        return [*self.taught.texts, *(text for told in self.judged.values() for text in told.texts)]

    @cached_property
    def unheard(self) -> Float[np.ndarray, "facts"]:
        """What is best believed of a game of which nothing is heard: how common each fact is in training."""
        return self.taught.meant.mean(axis=0)


def of_another(texts: Sequence[str]) -> list[str]:
    """The texts, each in the place of the one that is half of them away."""
    half = len(texts) // 2
    return [*texts[half:], *texts[:half]]


def dealt(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The words of all texts in any order, as many in each text as it had."""
    split = [text.split() for text in texts]
    words = rng.permutation([word for each in split for word in each]).tolist()
    return [" ".join(words.pop() for _ in each) for each in split]


def in_sentences(text: str) -> list[str]:
    """A text taken apart where a sentence ends."""
    return re.split(r"(?<=[.!?]) +", text)


class Embedded:
    """Sentences, or whatever else texts are taken apart into, by the rows of a table of frozen embeddings.

    The table is made when it is first asked for.
    """

    def __init__(
        self,
        texts: Sequence[str],
        apart: Callable[[str], list[str]],
        embed: Embed,
        observer: AbstractObserver,
    ):
        self.apart, self.embed, self.observer = apart, embed, observer
        split = [apart(text) for text in texts]
        self.most = max(map(len, split))
        self.rows = {part: row for row, part in enumerate(dict.fromkeys(part for each in split for part in each), 1)}

    def __call__(self, text: str) -> Int[np.ndarray, "numbers"]:
        numbers = [self.rows[part] for part in self.apart(text)]
        return np.pad(np.array(numbers, np.int32), (0, self.most - len(numbers)))

    @cached_property
    def table(self) -> Float[Array, "rows 384"]:
        parts, found = list(self.rows), [np.zeros((1, SIZE), np.float32)]
        for begin in range(0, len(parts), 1024):
            self.observer.say(f"embedding texts: {begin:,} of {len(parts):,} done ...")
            found.append(self.embed(parts[begin : begin + 1024]))
        return jnp.asarray(np.concatenate(found))


@dataclass(frozen=True)
class Pupil:
    """A reader to be taught.

    - `numbered`: what it takes texts for; `maker`: gives what makes it of a key, once that is needed; `of`: what it
      brings along.
    - `missed`: the share of its words that are blotted out.
    """

    numbered: Numbered
    maker: Callable[[], Callable[[Key], AbstractEncoder]]
    missed: float = 0.0
    of: str = ""


def maker_of_frozen(embedded: Embedded) -> Callable[[Key], AbstractEncoder]:
    """What makes a reader of frozen embeddings. They are data of a program, not part of it: they are large."""
    return Partial(lambda table, key: Statements(table, len(FACTS), key=key), embedded.table)


def pupils(library: Library, frozen: Embed | None, observer: AbstractObserver) -> dict[str, Pupil]:
    """Who is taught, by name; who is frozen only where there are weights."""
    found = {LEARNED: Pupil(vocabulary().tokens, lambda: new_reader, missed=0.05)}
    if frozen is not None:
        for name, apart in ((FROZEN, in_sentences), (WHOLE, lambda text: [text])):
            embedded = Embedded(library.texts, apart, frozen, observer)
            found[name] = Pupil(embedded, partial(maker_of_frozen, embedded), of=SHA256)
    return found


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    book = Book(directory / "measured", observer)
    seeds, size = seeds_of(seeds, quick=quick, full=SEEDS, few=QUICK_SEEDS), QUICK if quick else FULL
    library = Library(size)
    claim = CLAIM
    frozen: Embed | None = None
    try:
        frozen = MiniLM()
    except UsageError as error:
        observer.warn(f"the frozen encoder is not measured: {error}")
        claim = ALONE
    scores: Scores = {}
    for name, pupil in pupils(library, frozen, observer).items():
        for mistaught in (False, True) if name != WHOLE else (False,):
            who = name + MISTAUGHT * mistaught
            observer.say(f"{who}: {seeds} seeds, {size.steps:,} steps of {size.texts} texts ...")
            about = (who, seeds, asdict(size), library.texts, LEARNING_RATE, pupil.missed, pupil.of)
            measure = partial(learn, who, pupil, library, size, seeds, mistaught=mistaught)
            scores |= book(who.replace(" ", "-"), about, measure)
    shipped = prior.load()[0].inference.reader
    arms = arms_of(scores | judged(SHIPPED, [shipped], vocabulary().tokens, library))
    verdicts = judge(arms, quick=quick)
    return conclude("rule_texts", claim, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds)


def lessons(pupil: Pupil, library: Library, size: Size, *, mistaught: bool) -> Reading:
    """How a pupil is taught; who is `mistaught`, each game with the text of another one."""
    words = np.stack([pupil.numbered(text) for text in library.taught.texts])
    games = stack([compile_rules(rules) for rules in library.games])
    steps, peak = size.steps, LEARNING_RATE
    return Reading(
        games=BoardGames(games, jnp.asarray(np.roll(words, int(mistaught), axis=0)[:, None])),
        reader=pupil.maker(),
        lessons=steps,
        texts=size.texts,
        learning_rate=optax.warmup_cosine_decay_schedule(0.0, peak, max(steps // 50, 1), max(steps, 2), peak / 50),
        missed=pupil.missed,
    )


def learn(who: str, pupil: Pupil, library: Library, size: Size, seeds: int, *, mistaught: bool = False) -> Scores:
    """What a pupil understands after its lessons, for each seed."""
    process = lessons(pupil, library, size, mistaught=mistaught)
    taught = eqx.filter_jit(lambda process, key: train_at_once(process, 1, key=key).reader)
    readers = [taught(process, jax.random.key(seed)) for seed in range(seeds)]
    return judged(who, readers, pupil.numbered, library, singly=not mistaught)


def judged(
    who: str, readers: Sequence[AbstractEncoder], numbered: Numbered, library: Library, *, singly: bool = True
) -> Scores:
    """What readers understand on each side; and `singly`, of every rule and of every classic."""
    scores: Scores = {}
    for side, told in library.judged.items():
        words = jnp.asarray(np.stack([numbered(text) for text in told.texts]))
        for reader in readers:
            wrong = misunderstood(np.asarray(_believed(reader, words)), told.meant)
            unheard = misunderstood(np.broadcast_to(library.unheard, told.meant.shape), told.meant)
            found = {side: 1 - wrong.sum() / unheard.sum()}
            if singly and side in (PARAPHRASES, CLASSICS):
                found |= {f"{rule} of {side}": share for rule, share in zip(RULES, _right(wrong, told, 0), strict=True)}
            if singly and side == CLASSICS:
                found |= dict(zip(library.names, _right(wrong, told, 1), strict=True))
            for arm, score in found.items():
                scores.setdefault(f"{arm}, {who}", []).append(float(score))
    return scores


@eqx.filter_jit
def _believed(reader: AbstractEncoder, words: Int[Array, "texts numbers"]) -> Float[Array, "texts facts"]:
    return jax.nn.sigmoid(jax.vmap(reader)(words))


def _right(wrong: Bool[np.ndarray, "texts rules"], told: Told, over: int) -> Float[np.ndarray, "each"]:
    """The share of what was asked that is right, over texts (axis 0) or over rules (axis 1)."""
    return 1 - wrong.sum(axis=over) / asked(told.meant).sum(axis=over)


def judge(arms: Mapping[str, Arm], *, quick: bool) -> tuple[Verdict, ...]:
    """What was to be shown, in the order of the module's own words."""
    of = lambda side, who: arms[f"{side}, {who}"]
    every = [who for who in (LEARNED, FROZEN) if f"{NEW}, {who}" in arms]
    verdicts = [
        reaches(of(side, who), bar, claim=f"{who}: understands {side}", quick=quick)
        for side, bar in UNDERSTOOD.items()
        for who in every
    ]
    if FROZEN in every:
        verdicts += [
            at_least(
                of(CLASSICS, FROZEN), of(CLASSICS, LEARNED), claim=f"{CLASSICS}: {FROZEN} ≥ {LEARNED}", quick=quick
            ),
            beats(of(CLASSICS, FROZEN), of(CLASSICS, WHOLE), claim=f"{CLASSICS}: better than {WHOLE}", quick=quick),
        ]
    for who in every:
        controls = {MISTOLD: of(MISTOLD, who), DEALT: of(DEALT, who), who + MISTAUGHT: of(NEW, who + MISTAUGHT)}
        verdicts += [
            must_fail(arm, FAILED, claim=f"{name}: fails" if who in name else f"{who}, {name}: fails", quick=quick)
            for name, arm in controls.items()
        ]
    return tuple(verdicts)
