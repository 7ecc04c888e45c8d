"""The study of transfer: its verdicts fail of their own arms, its controls are what they say, and a small one runs."""

import equinox as eqx
import jax
import numpy as np
import pytest

from headstart.core.networks import ActorCritic
from headstart.errors import UsageError
from headstart.experience.progressive import Progressive
from headstart.experience.transfer import Held, whole
from headstart.progress import Quiet
from headstart.studies import transfer
from headstart.studies.study import Arm, Verdict
from headstart.studies.transfer import (
    COLUMNS,
    COLUMNS_RANDOM,
    FAR,
    GROWN,
    GROWN_STRANGE,
    HELD,
    HELD_RANDOM,
    HELD_STRANGE,
    LARGE_SCRATCH,
    NEAR,
    PERMUTED,
    SAME,
    SCRATCH,
    SOURCE,
    STRANGE,
    UNRELATED,
    beginners,
    judge,
    permute,
    scratch,
    walked,
)
from headstart.worlds.signposts import Signposts

pytestmark = pytest.mark.usefixtures("quick_to_compile")

BETTER = {"jump start": 0.4, "time saved": 0.8, "forward transfer": 0.6, "arrives at": 0.95}
IDLE = {"jump start": 0.0, "time saved": 0.1, "forward transfer": 0.0, "arrives at": 0.9}
SCRATCHED = {"arrives at": 0.95}
HOPED = {"source: related": 0.95, "source: unrelated": 0.95} | {
    f"{target}: {who}: {what}": score
    for (target, who), figures in {
        ("near", SCRATCH): SCRATCHED,
        ("near", SAME): BETTER,
        ("near", STRANGE): IDLE,
        ("near", PERMUTED): IDLE,
        ("far", SCRATCH): SCRATCHED,
        ("far", SAME): {"forgotten of the source": 0.9},
        ("far", HELD): BETTER,
        ("far", HELD_STRANGE): {"arrives at": 0.1},
        ("far", HELD_RANDOM): {"arrives at": 0.3},
        ("far", COLUMNS): BETTER | {"forgotten of the source": 0.0},
        ("far", COLUMNS_RANDOM): IDLE,
        ("large", LARGE_SCRATCH): SCRATCHED,
        ("large", GROWN): BETTER,
        ("large", GROWN_STRANGE): IDLE,
    }.items()
    for what, score in figures.items()
}


def failing(quick=False, **others):
    """The claims that do not hold of what is hoped for, but for some."""
    scores = HOPED | others
    arms = {name: Arm.of(np.linspace(-0.001, 0.001, 5)[:, None] + score) for name, score in scores.items()}
    return [verdict.claim for verdict in judge(arms, quick=quick) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing() == []


@pytest.mark.parametrize(
    ("name", "score", "claims"),
    [
        *(
            (f"near: {SAME}: {what}", bad, [f"near: {SAME}: {what}"])
            for what, bad in (("jump start", 0.19), ("time saved", 0.4), ("forward transfer", 0.2))
        ),
        (f"near: {SAME}: arrives at", 0.9, [f"near: {SAME}: does not arrive lower than scratch"]),
        *(
            (f"near: {who}: {what}", 0.15, [f"near: {who}: no {what}"])
            for who in (STRANGE, PERMUTED)
            for what in ("jump start", "forward transfer")
        ),
        *((f"source: {name}", 0.7, [f"source: {name}: arrives"]) for name in ("related", "unrelated")),
        (f"far: {HELD}: time saved", 0.4, [f"far: {HELD}: time saved"]),
        (f"far: {HELD}: arrives at", 0.9, [f"far: {HELD}: does not arrive lower than scratch"]),
        *((f"far: {who}: arrives at", 0.6, [f"far: {who}: never arrives"]) for who in (HELD_STRANGE, HELD_RANDOM)),
        (f"far: {COLUMNS}: forward transfer", 0.2, [f"far: {COLUMNS}: forward transfer"]),
        (f"far: {COLUMNS_RANDOM}: forward transfer", 0.2, [f"far: {COLUMNS_RANDOM}: no forward transfer"]),
        (f"far: {COLUMNS}: forgotten of the source", 0.03, [f"far: {COLUMNS}: nothing forgotten"]),
        (f"far: {SAME}: forgotten of the source", 0.4, [f"far: {SAME}: forgets the source"]),
        (f"large: {GROWN}: jump start", 0.1, [f"large: {GROWN}: jump start"]),
        (f"large: {GROWN_STRANGE}: jump start", 0.3, [f"large: {GROWN_STRANGE}: no jump start"]),
        *(
            (f"{target}: {who}: arrives at", 0.7, [f"{target}: {who}: arrives"])
            for target, who in (("near", SCRATCH), ("far", SCRATCH), ("large", LARGE_SCRATCH))
        ),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claims):
    assert failing(**{name: score}) == claims


def test_targets_read_signs_as_the_source_does_and_an_unrelated_one_does_not():
    assert SOURCE.factor == NEAR.factor == FAR.factor != UNRELATED.factor
    assert sum(way == word for word, way in enumerate(NEAR.ways)) == 5
    assert not any(way == word for word, way in enumerate(FAR.ways))


def alike(one, other):
    pairs = zip(*(jax.tree.leaves(eqx.filter(each, eqx.is_array)) for each in (one, other)), strict=True)
    return all(np.allclose(a, b, atol=1e-5) for a, b in pairs)


KEYS = jax.random.split(jax.random.key(0), 2)


@pytest.fixture(scope="module")
def sources():
    trained = {
        name: scratch(SOURCE, transfer.WIDTH, jax.random.split(jax.random.key(at), 2))
        for at, name in enumerate(("related", "unrelated"), 5)
    }
    return trained.__getitem__


def test_a_permuted_network_has_the_same_numbers_elsewhere():
    network = ActorCritic(SOURCE, KEYS[0], width=4)
    mixed = permute(network, KEYS[1])
    for one, other in zip(*(jax.tree.leaves(eqx.filter(each, eqx.is_array)) for each in (network, mixed)), strict=True):
        assert one.shape == other.shape
        assert np.array_equal(np.sort(one.ravel()), np.sort(other.ravel()))
    assert not np.array_equal(network.actor.layers[0].weight, mixed.actor.layers[0].weight)


def test_each_begins_with_what_it_is_named_for(sources):
    near = beginners("near", NEAR, sources, KEYS)
    assert eqx.tree_equal(near[SAME], sources("related"))
    assert eqx.tree_equal(near[STRANGE], sources("unrelated"))
    far = beginners("far", FAR, sources, KEYS)
    for who, source in ((HELD, "related"), (HELD_STRANGE, "unrelated")):
        assert isinstance(far[who], Held)
        assert eqx.tree_equal(far[who].held.frozen.actor.layers[1], sources(source).actor.layers[1])
        # The last layer is that of who learns from scratch.
        assert alike(whole(far[who]).actor.layers[2], far[SCRATCH].actor.layers[2])
    assert far[HELD].learning.actor.layers[1].weight is None
    for who, same in ((COLUMNS, True), (COLUMNS_RANDOM, False)):
        assert isinstance(far[who], Progressive)
        before = far[who].actor.before.frozen.perceptron
        assert alike(before, sources("related").actor) is same
        assert alike(far[who].actor.perceptron, far[SCRATCH].actor)
    large = beginners("large", transfer.LARGE, sources, KEYS)
    assert all(net.actor.layers[1].weight.shape == (2, transfer.LARGER, transfer.LARGER) for net in large.values())


def test_who_does_not_know_the_way_walks_as_far_as_chance_has_it():
    world = Signposts(kinds=3, forks=2)
    found = walked(world, scratch(world, 4, jax.random.split(jax.random.key(0), 64)), jax.random.split(KEYS[0], 64))
    # One way for each sign: three in nine signs are right on average, then as many again.
    assert found.mean() == pytest.approx((1 / 3 + 1 / 9) / 2, abs=0.06)


@pytest.mark.slow  # it compiles a dozen programs
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    small = {"LANES": 2, "LENGTH": 2, "PIECE": 1, "POINTS": 3, "SOURCE_PIECES": 1, "WIDTH": 4, "LARGER": 5, "PATHS": 8}
    for name, value in small.items():
        monkeypatch.setattr(transfer, name, value)
    monkeypatch.setattr(transfer, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: transfer.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    found = run()
    assert set(HOPED) <= set(found.arms)
    assert np.shape(found.arms[f"far: {HELD}, 12 steps"].scores) == (2, 1)
    assert set(np.ravel(found.arms[f"far: {COLUMNS}: forgotten of the source"].scores)) == {0.0}
    monkeypatch.setattr(transfer, "measured", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())


def test_too_few_seeds_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="run at least 3"):
        transfer.run(quick=False, seeds=2, directory=tmp_path, observer=Quiet())
