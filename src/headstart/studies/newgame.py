"""Does it pay to meet a new board game with what is known, and not from scratch?

Method: one universal agent, trained by self-play over other games, meets games whose combination of rules it never saw.
It reads their rules in words that it never read, watches games of others, plays, remembers, thinks (plays in its head
what it believes the game to be), and improves by reward. Whoever learns within a trial thinks alike: `trials only` too.

Arms: the same agent with a part of that knowledge, and learners from scratch, all judged by the same opponents.
Controls that must fail: words that tell of another game, and a memory that is blanked between games.

The agent is the prior that ships with the package, the same one for all seeds: seeds differ in the words, in what the
opponents play, and in all that learners from scratch begin with. The games are the same for all seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from headstart.core.types import Task
from headstart.evaluation import fingerprint
from headstart.newgame import prior
from headstart.newgame.agent import UniversalAgent
from headstart.newgame.arms import SHOWN, Meeting
from headstart.newgame.learners import alphazero_from_scratch, improve, ppo_from_scratch, settle, think
from headstart.newgame.match import Match
from headstart.progress import AbstractObserver
from headstart.studies.book import Book, Scores
from headstart.studies.study import Arm, Paper, Result, Verdict, at_least, beats, conclude, nowhere_below
from headstart.worlds.boardgames.family import Side, draw_games, world_of

__all__ = ["CLAIM", "PAPER", "run"]

CLAIM = (
    "An agent that reads the rules of a board game it never met, watches, plays and remembers is at once as strong as "
    "learners from scratch after tens of thousands of games, and each of its sources of knowledge is a cause of it."
)
PAPER = Paper("kurenkov2018", ("Part 2",))

#: Which held-out games are drawn; those that anything was ever tried on while the agent was built are others.
DRAW = 2018
#: After how many of its own games a learner within a trial is judged, and after how many one that learns by reward.
REMEMBERED = (1, 9, 10)
FIRST_AND_TENTH = (0, 9)  # games before these
IMPROVED = (100, 1_000)
IMAGINED = 1_000  # games that it first plays in its head, by the rules that it then believes
MARGIN = 64  # games that a learner may play in the iteration in which it arrives: some are won by the first move
PARTS = ("rules only", "trials only", "demonstrations only")


@dataclass(frozen=True)
class Size:
    """How much is measured.

    - `games`, `few`: how many games are met, and by how many of them AlphaZero is measured too.
    - `lanes`, `episodes`: trials against each rung in each game, and games in a trial; `alone`, where nothing is
      remembered and so every game tells the same.
    - `ppo`, `alphazero`: after how many games of self-play these are judged; the `long` count of PPO in one seed only.
    - `simulations`: of a search, wherever one is shown.
    """

    games: int = 24
    few: int = 8
    lanes: int = 8
    episodes: int = 11
    alone: int = 2
    ppo: tuple[int, ...] = (100, 1_000, 10_000, 30_000)
    long: int = 100_000
    alphazero: int = 3_000
    simulations: int = 32


FULL, QUICK = Size(), Size(games=8, few=2, ppo=(1_000, 30_000))


def run(*, quick: bool, seeds: int | None, directory: Path, observer: AbstractObserver) -> Result:
    """Measure all arms, each once: a study that was stopped goes on with what it lacks. See `Study`."""
    size = QUICK if quick else FULL
    book = Book(directory / "measured", observer)
    seeds = seeds or (1 if quick else 3)
    measured = [measure(Encounter(size, seed), book) for seed in range(seeds)]
    arms = {
        name: Arm.of([scores[name] for scores in measured if name in scores])
        for name in dict.fromkeys(name for scores in measured for name in scores)
    }
    verdicts = judge(arms, size, quick=quick)
    return conclude("newgame", CLAIM, PAPER, arms, verdicts, quick=quick, seconds=book.seconds, kinds=book.kinds)


def measure(encounter: Encounter, book: Book) -> Scores:
    """All arms of one seed. Learners from scratch do not depend on the prior, so another prior leaves them measured."""
    size, agent = (encounter.seed, DRAW, asdict(encounter.size)), eqx.filter(encounter.agent, eqx.is_array)
    parts: dict[str, tuple[Any, Callable[[], Scores]]] = {
        "ppo": (size, encounter.ppo),
        "alphazero": (size, encounter.alphazero),
        "reading": ((size, agent), encounter.reading),
        "blanked": ((size, agent), encounter.blanked),
        "hybrid": ((size, agent, IMAGINED), partial(encounter.trial, "hybrid")),
        "trials only": ((size, agent, IMAGINED), partial(encounter.trial, "trials only")),
    }
    found = [book(f"{name}-{encounter.seed}", about, part) for name, (about, part) in parts.items()]
    return {arm: scores for part in found for arm, scores in part.items()}


def judge(arms: Mapping[str, Arm], size: Size, *, quick: bool) -> tuple[Verdict, ...]:
    """The five claims, in order."""

    def against(first: str, second: str, claim: str) -> Verdict:
        one, other = arms[first], arms[second]
        runs = min(len(one.scores), len(other.scores))  # what one seed did is paired with that seed
        paired = [Arm.of(arm.scores[:runs]) for arm in (one, other)]
        return at_least(*paired, claim=f"{claim}: {first} ≥ {second}", across="tasks", quick=quick)

    handful = f"hybrid, {IMPROVED[0]:,} games"
    alphazero = f"AlphaZero, {size.alphazero:,} games"
    verdicts = [
        against("rules only, 0 games", f"PPO, {size.ppo[-1]:,} games", "zero games"),
        against(handful, f"PPO, {size.long:,} games", "a handful"),
        against(f"{handful} (few)", f"{alphazero} (few)", "a handful"),
        against(f"{handful} (few, searching)", f"{alphazero} (few, searching)", "a handful"),
    ]
    for part in PARTS:
        at = {games: (f"hybrid, {games:,} games", _of(part, games)) for games in (0, 1, 10, *IMPROVED)}
        for games, (hybrid, other) in at.items():
            claim = f"the hybrid is not below {part} at {games:,} games"
            verdicts.append(nowhere_below(arms[hybrid], arms[other], claim=claim, quick=quick))
        above = [beats(arms[hybrid], arms[other], claim="", quick=quick) for hybrid, other in at.values()]
        best = max(above, key=lambda verdict: verdict.measured)
        verdicts.append(Verdict(f"the hybrid is above {part} somewhere", best.holds, best.measured, 0.0))
    verdicts += [
        _lost(arms, claim="shuffled words lose at least 80 % of what words add", quick=quick),
        _cost(arms, claim="held-out paraphrases cost at most 3 points in 100", quick=quick),
    ]
    first, tenth = (arms[f"trials only, {games} games"] for games in FIRST_AND_TENTH)
    blanked = [arms[f"trials only, {games} games, memory blanked"] for games in FIRST_AND_TENTH]
    verdicts += [
        beats(tenth, first, claim="with memory, the tenth game is better than the first", quick=quick),
        nowhere_below(*blanked, claim="with memory blanked, the tenth game is no better than the first", quick=quick),
    ]
    return tuple(verdicts)


def _of(part: str, games: int) -> str:
    """The arm of a part after so many games: whoever makes no trials stays as they were."""
    return f"{part}, {games if part == 'trials only' else 0:,} games"


def _lost(arms: Mapping[str, Arm], *, claim: str, quick: bool) -> Verdict:
    read, shuffled, nothing = (
        arms[name].iqm for name in ("rules only, 0 games", "shuffled words", "trials only, 0 games")
    )
    lost = 1 - (shuffled - nothing) / (read - nothing)
    return Verdict(claim, "undecided" if quick else read > nothing and lost >= 0.8, lost, 0.8)


def _cost(arms: Mapping[str, Arm], *, claim: str, quick: bool) -> Verdict:
    cost = arms["training paraphrases"].iqm - arms["rules only, 0 games"].iqm
    return Verdict(claim, "undecided" if quick else cost <= 0.03, cost, 0.03)


@dataclass(frozen=True)
class Encounter:
    """All arms of one seed before the same games."""

    size: Size
    seed: int

    @cached_property
    def meeting(self) -> Meeting:
        return self._meeting(self.size.games, "held-out")

    @cached_property
    def few(self) -> Meeting:
        """The first of the games."""
        return self._meeting(self.size.few, "held-out")

    def _meeting(self, games: int, side: Side) -> Meeting:
        chosen = draw_games(self.size.games, "held-out", seed=DRAW, canvas=5)[:games]
        return Meeting(world_of(chosen, canvas=5, side=side, paraphrases=4, seed=self.seed), lanes=self.size.lanes)

    @cached_property
    def agent(self) -> UniversalAgent:
        return prior.load()[0]

    def key(self, purpose: str) -> Array:
        return jax.random.fold_in(jax.random.key(self.seed), int(fingerprint(purpose)[:6], 16))

    def match(self, network: Any, tasks: Task | None = None, *, few: bool = False, **how: Any) -> Match:
        """Against every rung, in as many games as say how strong it is: those of one trial, if it remembers any."""
        meeting = self.few if few else self.meeting
        remembers = isinstance(network, UniversalAgent) and not how.get("forgetful")
        episodes = self.size.episodes if remembers else self.size.alone
        return meeting.judge(network, tasks or meeting.tasks(), episodes, key=self.key("judge"), **how)

    # What is measured: of each arm, the score on each game, over all rungs and lanes.

    def reading(self) -> Scores:
        """Before any game: what words are worth, other words, and none."""
        meeting, train = self.meeting, self._meeting(self.size.games, "train").games.words
        held_out = meeting.games.words
        assert held_out is not None
        shown = meeting.demonstrate(SHOWN, key=self.key("shown"))
        told = {
            "rules only, 0 games": meeting.tasks(told=True),
            "training paraphrases": meeting.tasks(told=True, words=train),
            "shuffled words": meeting.tasks(told=True, words=jnp.roll(held_out, 1, axis=0)),
            "trials only, 0 games": meeting.tasks(),
            "demonstrations only, 0 games": meeting.tasks(shown=shown),
            "hybrid, 0 games": meeting.tasks(told=True, shown=shown),
        }
        return {arm: _overall(self.match(self.agent, tasks, forgetful=True)) for arm, tasks in told.items()}

    def blanked(self) -> Scores:
        """The control of memory: a trial in which nothing is kept from game to game."""
        match = self.meeting.judge(
            self.agent,
            self.meeting.tasks(),
            self.size.episodes,
            key=self.key("judge"),
            forgetful=True,
        )
        return {f"trials only, {games:,} games, memory blanked": _overall(match, games) for games in (0, 9)}

    def trial(self, arm: str) -> Scores:
        """A trial of an arm that remembers; and what thinking and then reward make of the player that believes what
        it found."""
        meeting = self.meeting
        shown = meeting.demonstrate(SHOWN, key=self.key("shown")) if arm == "hybrid" else None
        match = self.match(self.agent, meeting.tasks(told=arm == "hybrid", shown=shown))
        scores = {f"{arm}, {games:,} games": _overall(match, games) for games in REMEMBERED}
        belief = jax.vmap(self.agent.believe)(jax.tree.map(lambda leaf: leaf[-1, :, 0], match.memory))
        settled = settle(self.agent, belief)
        ((_, thoughtful),) = think(meeting.games, settled, [IMAGINED], key=self.key("think"))
        counts = [games - self.size.episodes - MARGIN for games in IMPROVED]  # the games of the trial are games, too
        learned = improve(meeting.games, thoughtful, counts, key=self.key("improve"))
        for games, (played, players) in zip(IMPROVED, learned, strict=True):
            assert np.all(played + self.size.episodes <= games), f"{played} games are more than asked for"
            scores[f"{arm}, {games:,} games"] = _overall(self.match(players, each=True))
            if arm == "hybrid" and games == IMPROVED[0]:
                some = jax.tree.map(lambda leaf: leaf[: self.size.few] if eqx.is_array(leaf) else leaf, players)
                scores |= self._searching(f"{arm}, {games:,} games", some)
        return scores

    def ppo(self) -> Scores:
        counts = [*self.size.ppo, *([self.size.long] if self.seed == 0 else [])]
        learned = ppo_from_scratch(self.meeting.games, counts, key=self.key("ppo"))
        return {
            f"PPO, {games:,} games": _overall(self.match(networks, each=True))
            for games, (_, networks) in zip(counts, learned, strict=True)
        }

    def alphazero(self) -> Scores:
        ((_, networks),) = alphazero_from_scratch(self.few.games, [self.size.alphazero], key=self.key("alphazero"))
        return self._searching(f"AlphaZero, {self.size.alphazero:,} games", networks)

    def _searching(self, arm: str, networks: Any) -> Scores:
        """The few games, by the networks alone and with search."""
        alone, searching = (
            self.match(networks, few=True, each=True, simulations=simulations)
            for simulations in (0, self.size.simulations)
        )
        return {f"{arm} (few)": _overall(alone), f"{arm} (few, searching)": _overall(searching)}


def _overall(match: Match, game: int | None = None) -> list[float]:
    """The score in each of the games over all rungs and lanes: of all episodes, or of one of them."""
    scores = np.asarray(match.scores, float)  # rungs, games, lanes, episodes
    return (scores if game is None else scores[..., game, None]).mean(axis=(0, 2, 3)).tolist()
