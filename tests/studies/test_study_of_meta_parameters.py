"""The study of meta-parameters: its controls are what they say, and its verdicts fail of their own arms."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.experience.meta_parameters import MetaParameters
from headstart.progress import Quiet
from headstart.studies import meta_parameters as study
from headstart.studies.meta_parameters import (
    ACROSS,
    BAD,
    GOOD,
    LARGER,
    PLAYERS,
    SWITCHED,
    Others,
    Permuted,
    White,
    judge,
)
from headstart.studies.page import curves, page
from headstart.studies.study import Arm, Verdict

pytestmark = pytest.mark.usefixtures("quick_to_compile")

HOPED = {
    **{f"{start}, {player}": 0.1 for start in (*BAD, *LARGER, GOOD) for player in PLAYERS},
    **{f"{start}, fixed": 0.0 for start in (*BAD, *LARGER)},
    **{f"{start}, rule": 0.7 for start in BAD},
    f"{GOOD}, rule": 0.8,
    f"{GOOD}, fixed": 1.0,
}


def arms(count=200, **others):
    """What the study hopes for, but for some."""
    return {
        name: Arm.share([1.0] * round(share * count) + [0.0] * (count - round(share * count)))
        for name, share in (HOPED | others).items()
    }


def failing(arms, quick=False):
    return [verdict.claim for verdict in judge(arms, quick=quick) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing(arms()) == []
    assert "undecided" in {verdict.holds for verdict in judge(arms(20), quick=True)}
    assert False not in {verdict.holds for verdict in judge(arms(20), quick=True)}


A, B = BAD
BIG, _ = LARGER


@pytest.mark.parametrize(
    ("name", "share", "claim"),
    [
        (f"{A}, rule", 0.55, f"{A}: half of all agents solve it"),
        (f"{B}, rule", 0.55, f"{B}: half of all agents solve it"),
        (f"{A}, fixed", 0.04, f"{A}, fixed: fails"),
        *((f"{B}, {player}", 0.22, f"{B}, {player}: fails") for player in PLAYERS if player not in ("rule", "fixed")),
        (f"{GOOD}, rule", 0.98, f"{GOOD}: the rule does worse than what it began with"),
        (f"{BIG}, permuted noise", 0.0, f"{BIG}: permuted noise is not shown to be worse"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, share, claim):
    assert failing(arms(**{name: share})) == [claim]


def test_a_control_that_does_as_well_fails_two_claims_and_so_does_a_rule_that_works():
    assert failing(arms(**{f"{A}, white signal": 0.65})) == [
        f"{A}: more than with any control",
        f"{A}, white signal: fails",
    ]
    assert failing(arms(**{f"{BIG}, rule": 0.6})) == [
        f"{BIG}: the rule fails",
        f"{BIG}: permuted noise is not shown to be worse",
    ]


@pytest.mark.parametrize("kind", [MetaParameters, Permuted, Others, White])
def test_what_each_base_learns_from(kind):
    """Three agents, with differences of 1, 2 and −2 and noises of 10, 20 and 30."""
    difference, noise = jnp.array([1.0, 2.0, -2.0]), jnp.array([10.0, 20.0, 30.0])
    tuning = study.pupil(A, "rule").learner
    tuning = kind(tuning.learner, tuning.tuned)

    def signals(key):
        one = lambda difference, noise, key: tuning.signal(difference, noise[None], key=key)[0]
        return jax.vmap(one, axis_name=ACROSS)(difference, noise, jax.random.split(key, 3))

    found = np.asarray(jax.vmap(signals)(jax.random.split(jax.random.key(0), 2_000)))
    if kind is MetaParameters:
        np.testing.assert_array_equal(found, np.tile([10.0, 40.0, -60.0], (2_000, 1)))
    if kind is Others:
        np.testing.assert_array_equal(found, np.tile([30.0, 20.0, -40.0], (2_000, 1)))
    if kind is Permuted:
        noises = found / np.asarray(difference)
        np.testing.assert_array_equal(np.sort(noises), np.tile([10.0, 20.0, 30.0], (2_000, 1)))
        np.testing.assert_allclose(noises.mean(axis=0), 20.0, atol=1.0)  # each one equally often
    if kind is White:
        sizes = found / np.asarray(noise)  # of a mean square of 3, independent of one's own difference
        np.testing.assert_allclose(sizes.mean(axis=0), 0.0, atol=0.15)
        np.testing.assert_allclose((sizes**2).mean(axis=0), 3.0, rtol=0.15)


def test_what_players_have_in_common_and_what_not():
    found = {player: study.pupil(A, player) for player in PLAYERS}
    assert all(eqx.tree_equal(one.learner.learner, found["rule"].learner.learner) for one in found.values())
    assert {player: (float(one.learner.rate), float(one.learner.spread)) for player, one in found.items()} == {
        "rule": (pytest.approx(0.2), 1.0),
        "fixed": (0.0, 0.0),
        "noise alone": (0.0, 1.0),
        "permuted noise": (pytest.approx(0.2), 1.0),
        "another's noise": (pytest.approx(0.2), 1.0),
        "white signal": (pytest.approx(0.2), 1.0),
    }
    assert all((one.lanes, one.length) == (1, 1) for one in found.values())


def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "PIECE", 4)
    monkeypatch.setattr(study, "STEADY", (2,))
    monkeypatch.setattr(study, "SWITCH", (2, 2))
    monkeypatch.setattr(study, "FINAL", 2)
    monkeypatch.setattr(study, "PLAYERS", {"rule": PLAYERS["rule"]})
    monkeypatch.setattr(study, "COMPARED", ("rule",))
    for name, starts in (("BAD", (A,)), ("GOOD", A), ("LARGER", ())):
        monkeypatch.setattr(study, name, starts)
    monkeypatch.setattr(study, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: study.run(quick=True, seeds=4, directory=tmp_path, observer=Quiet())
    found = run()
    shares = {name for name in found.arms if not name.endswith(" steps")}
    assert shares >= {f"{A}, rule", f"{SWITCHED}, rule", f"{SWITCHED}, rule: before the switch"}
    assert all(np.shape(found.arms[name].scores) == (4, 1) for name in shares if ": again" not in name)
    drawn = curves(found.arms)
    assert drawn.keys() == {
        f"{start}: {what}" for start in (A, SWITCHED) for what in ("reward", "α", "β in hundreds", "γ")
    }
    assert drawn[f"{SWITCHED}: γ"].games.tolist() == [8, 16]
    assert "curve" in [name for name, _ in page(found).images]
    monkeypatch.setattr(study, "learn", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())


def test_the_switch_turns_the_world_so_that_what_was_best_is_worst(monkeypatch):
    """Agents that go on in the same way whatever comes of it, one round in a piece."""
    monkeypatch.setattr(study, "PIECE", 8)
    stubborn = study.pupil(SWITCHED, "fixed")
    decided = lambda key: eqx.tree_at(
        lambda table: table.values, stubborn.network(key), jnp.tile(jnp.array([9.0, 0.0]), (8, 1))
    )
    process = dataclasses.replace(stubborn, network=decided)
    process = eqx.tree_at(lambda process: process.learner.learner.inverse_temperature, process, jnp.array(1e3))
    process = eqx.tree_at(lambda process: process.learner.learner.learning_rate, process, jnp.array(1e-3))
    share, values = study.lives(process, (2, 1), 3)
    np.testing.assert_allclose(share, [[1.0] * 3, [1.0] * 3, [-1.0] * 3], rtol=1e-5)
    np.testing.assert_allclose(values[-1, 0], [1e-3, 1e3, 0.5], rtol=1e-3)


def test_too_few_seeds_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="run at least 3"):
        study.run(quick=False, seeds=2, directory=tmp_path, observer=Quiet())
