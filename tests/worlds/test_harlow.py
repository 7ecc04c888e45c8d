"""Harlow's task: what is seen and earned at each moment, by hand, and which objects are met."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.harlow import BITS, CENTRE, FAMILIAR, LEFT, NOVEL, RIGHT, Harlow, appearance

pytestmark = pytest.mark.usefixtures("quick_to_compile")

GOOD, OTHER = 3, 8
TASK = Task(parameters=jnp.array([GOOD, OTHER]))


def drawn(world, count=4_000):
    keys = jax.random.split(jax.random.key(0), count)
    return np.asarray(jax.jit(jax.vmap(lambda key: world.task(key=key).parameters))(keys))


def played(choose, *, world=None, seed=0):
    """What an episode with `TASK` earns, by moment, and what was seen: `choose` is told what is seen, and the side."""
    world = Harlow() if world is None else world
    keys = jax.random.split(jax.random.key(seed), world.moments + 1)
    state, sight = world.reset(TASK, key=keys[0])
    earned, seen, ends = [], [sight], []
    for key in keys[1:]:
        state, outcome = jax.jit(world.step)(state, TASK, jnp.asarray(choose(seen[-1], int(state.good))), key=key)
        earned.append(float(outcome.reward))
        seen.append(outcome.observation)
        ends.append((bool(outcome.last), float(outcome.discount)))
    assert ends == [(False, 1.0)] * (world.moments - 1) + [(True, 0.0)]
    return earned, seen


def fixating(side):
    """Looks at the cross, and then where `side` says, from the good one's side."""
    return lambda sight, good: CENTRE if sight.cross == 1 else side(good)


def test_who_knows_earns_one_in_each_trial_and_who_errs_loses_one():
    assert played(fixating(lambda good: good))[0] == pytest.approx([0.2, 1.0] * 6)
    assert played(fixating(lambda good: 1 - good))[0] == pytest.approx([0.2, -1.0] * 6)


def test_a_choice_must_be_made_where_objects_are_shown_and_nowhere_else():
    world = Harlow()
    state, _ = world.reset(TASK, key=jax.random.key(0))
    assert world.legal(state, TASK).tolist() == [True, True, True]
    for looked, allowed in ((CENTRE, [True, True, False]), (LEFT, [True, True, True])):
        after, _ = world.step(state, TASK, jnp.asarray(looked), key=jax.random.key(1))
        assert world.legal(after, TASK).tolist() == allowed


def test_who_does_not_look_at_the_cross_sees_no_objects_and_earns_nothing():
    earned, seen = played(lambda sight, good: good)
    assert earned == [0.0] * 12
    assert [float(sight.cross) for sight in seen] == [1, 0] * 6 + [1]
    assert all((sight.left == 0).all() and (sight.right == 0).all() for sight in seen)


def test_both_objects_are_shown_after_the_cross_and_then_the_chosen_one_and_sides_change():
    sides = []
    for seed in range(8):
        told = []

        def choose(sight, good, told=told):
            told.append(good)
            return CENTRE if sight.cross == 1 else LEFT

        _, seen = played(choose, seed=seed)
        for moment, (sight, good) in enumerate(zip(seen[:-1], told, strict=True)):
            at = {LEFT: (GOOD, OTHER), RIGHT: (OTHER, GOOD)}[good]  # at a cross, of the trial before
            left, right = appearance(jnp.array(at))
            begins = moment % 2 == 0
            assert sight.cross == begins
            np.testing.assert_array_equal(sight.left, left * (moment > 0))
            np.testing.assert_array_equal(sight.right, right * (not begins))
            if not begins:
                sides.append(good)
    assert 12 <= sum(sides) <= 36  # of 48


def test_a_pair_is_two_objects_of_those_that_are_met_either_of_them_as_often_the_good_one():
    for objects in (FAMILIAR, NOVEL, (40_000, 40_002)):
        pairs = drawn(Harlow(objects))
        assert (pairs >= objects[0]).all()
        assert (pairs < objects[1]).all()
        assert (pairs[:, 0] != pairs[:, 1]).all()
        np.testing.assert_allclose((pairs[:, 0] < pairs[:, 1]).mean(), 0.5, atol=0.03)
    assert len(np.unique(drawn(Harlow()))) > 990


def test_no_two_objects_look_alike_and_neighbours_differ_in_half_of_their_bits():
    bits = np.asarray(appearance(jnp.arange(2**BITS)))
    assert set(np.unique(bits)) == {-1.0, 1.0}
    words = (bits > 0) @ (2 ** np.arange(BITS))
    assert len(np.unique(words)) == 2**BITS
    apart = (bits[1:] != bits[:-1]).sum(axis=1)
    assert 6 <= apart.mean() <= 10
    for first, behind in (FAMILIAR, NOVEL):
        assert np.abs(bits[first:behind].mean(axis=0)).max() < 0.1
    met = [set(words[first:behind]) for first, behind in (FAMILIAR, NOVEL)]
    assert not met[0] & met[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"objects": (5, 6)}, "objects 5 to 6 are no pair"),
        ({"objects": (-1, 6)}, "objects -1 to 6 are no pair"),
        ({"objects": (0, 65_537)}, "objects 0 to 65537 are no pair"),
        ({"trials": 0}, "an episode of 0 trials is none"),
    ],
)
def test_what_is_no_task_is_refused_with_a_sentence(settings, words):
    with pytest.raises(UsageError, match=words):
        Harlow(**settings)
