"""The study of the main job: what its verdicts say of arms that are given, and what is not measured twice."""

import dataclasses

import jax
import numpy as np
import pytest

from headstart.progress import Quiet
from headstart.studies.book import Book
from headstart.studies.newgame import FULL, IMPROVED, judge
from headstart.studies.study import Arm

GAMES, SEEDS = 24, 3
LONG = f"PPO, {FULL.long:,} games"


def arm(score, *, seeds=SEEDS, games=GAMES):
    """Seeds that differ by a point in a hundred around a score, on all games."""
    return Arm.of(np.clip(score + 0.005 * np.linspace(-1, 1, seeds)[:, None] + np.zeros((seeds, games)), 0, 1))


@pytest.fixture
def arms():
    """What the study hopes for."""
    scores = {
        "rules only, 0 games": 0.75,
        "training paraphrases": 0.76,
        "shuffled words": 0.45,
        "demonstrations only, 0 games": 0.55,
        "trials only, 0 games, memory blanked": 0.5,
        "trials only, 9 games, memory blanked": 0.5,
        f"PPO, {FULL.ppo[-1]:,} games": 0.7,
    }
    for games, (trials, hybrid) in {
        0: (0.5, 0.75),
        1: (0.55, 0.76),
        9: (0.65, 0.77),
        10: (0.66, 0.77),
        100: (0.7, 0.79),
        1000: (0.75, 0.83),
    }.items():
        scores |= {f"trials only, {games:,} games": trials, f"hybrid, {games:,} games": hybrid}
    found = {name: arm(score) for name, score in scores.items()} | {LONG: arm(0.74, seeds=1)}
    for kind, ours, theirs in (("few", 0.8, 0.7), ("few, searching", 0.9, 0.85)):
        found[f"hybrid, {IMPROVED[0]:,} games ({kind})"] = arm(ours, games=FULL.few)
        found[f"AlphaZero, {FULL.alphazero:,} games ({kind})"] = arm(theirs, games=FULL.few)
    return found


def failing(arms):
    return [verdict.claim for verdict in judge(arms, FULL, quick=False) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for(arms):
    assert failing(arms) == []


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        ("rules only, 0 games", 0.69, "zero games"),
        (LONG, 0.8, "a handful"),
        (f"AlphaZero, {FULL.alphazero:,} games (few, searching)", 0.95, "a handful"),
        ("hybrid, 10 games", 0.6, "the hybrid is not below rules only at 10 games"),
        ("shuffled words", 0.6, "shuffled words"),
        ("training paraphrases", 0.8, "held-out paraphrases"),
        ("trials only, 9 games", 0.5, "with memory, the tenth game"),
        ("trials only, 9 games, memory blanked", 0.6, "with memory blanked"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(arms, name, score, claim):
    arms[name] = arm(score, seeds=len(arms[name].scores), games=len(arms[name].scores[0]))
    assert any(claim in failed for failed in failing(arms)), failing(arms)


def test_a_part_that_was_measured_is_not_measured_again_unless_it_would_be_another(tmp_path):
    book, calls = Book(tmp_path, Quiet()), []

    def measure():
        calls.append(1)
        return {"arm": [0.25, 0.5]}

    about = dataclasses.asdict(FULL)
    assert book("ppo-0", about, measure) == book("ppo-0", about, measure) == {"arm": [0.25, 0.5]}
    assert len(calls) == 1
    assert book.seconds < 1
    (stored,) = tmp_path.iterdir()
    assert book.kinds == {jax.devices()[0].device_kind}
    elsewhere = stored.read_text().replace('"seconds": 0', '"seconds": 3600')
    stored.write_text(elsewhere.replace('"device": "cpu"', '"device": "another chip"'))
    again = Book(tmp_path, Quiet())
    assert again("ppo-0", about, measure) == {"arm": [0.25, 0.5]}
    assert again.seconds == 3600, "whichever run of the study it was measured in"
    assert again.kinds == {"another chip"}, "and on whatever"
    assert len(calls) == 1
    assert Book(tmp_path, Quiet())("ppo-0", about | {"games": 25}, measure) == {"arm": [0.25, 0.5]}
    assert len(calls) == 2
