"""The object grid: verbs mean what is said, wrong deeds end it, boxes come and go, and no pair is on both sides."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.object_grid import (
    BOX,
    CUMULANTS,
    LONGEST,
    OBJECTS,
    ObjectGrid,
    Standing,
    asked,
    check_apart,
    pairs,
    words,
)

pytestmark = pytest.mark.usefixtures("quick_to_compile")

UP, RIGHT, DOWN, LEFT, PICK, TRANSFORM, STAY = range(7)
COW, PIG, TREE = 1, 2, 5
VISIT, PICK_UP, CHANGE = 1, 2, 3
INTERACT, COUNTER = 2, 3


@eqx.filter_jit
def _step(world, state, task, action, key):
    return world.step(state, task, action, key=key)


def standing(place=(3, 3), lying=(), remaining=1, index=0, steps=0, age=0, size=7):
    things = jnp.zeros((size, size), jnp.int32)
    for row, column, what in lying:
        things = things.at[row, column].set(what)
    number = lambda value: jnp.array(value, jnp.int32)
    return Standing(jnp.array(place), things, *map(number, (0, 0, index, remaining, steps, age)))


def stepped(world, instructions, state, *actions, seed=0):
    """The state after so many actions, the last outcome, and what was counted and earned in all."""
    task, counted, earned = Task(instruction=words(*instructions)), np.zeros(len(CUMULANTS)), 0.0
    for number, action in enumerate(actions):
        state, outcome = _step(world, state, task, jnp.array(action), jax.random.key(seed + number))
        counted, earned = counted + np.asarray(outcome.cumulants), earned + float(outcome.reward)
    return state, outcome, dict(zip(CUMULANTS, counted, strict=True)), earned


@pytest.mark.parametrize("family", ["independent", "dependent"])
def test_sixteen_pairs_are_trained_with_and_eight_held_out(family):
    training, held_out = pairs("train", family), pairs("held-out", family)
    assert (len(training), len(held_out)) == (16, 8)
    assert set(training) | set(held_out) == set(pairs("all", family))
    assert {thing for _, thing in held_out} == {thing for _, thing in training} == set(range(1, 9))
    assert {verb for verb, _ in training} == {1, 2, 3}
    check_apart(training, held_out)
    with pytest.raises(UsageError, match=r"1 pairs .* held out, the first of them \(1, 1\)"):
        check_apart([(1, 1), (2, 3)], [(1, 1)])


def test_of_each_class_each_deed_was_done_to_some_object_in_training():
    both = {
        (thing > 4, int(asked("dependent", jnp.array(verb), jnp.array(thing))))
        for verb, thing in pairs(family="dependent")
    }
    assert both == set(itertools.product((False, True), range(3)))


@pytest.mark.parametrize(
    ("family", "verb", "thing", "deed"),
    [
        ("independent", PICK_UP, COW, 1),
        ("independent", PICK_UP, TREE, 1),
        ("independent", CHANGE, TREE, 2),
        ("dependent", INTERACT, COW, 1),
        ("dependent", INTERACT, TREE, 2),
        ("dependent", COUNTER, COW, 2),
        ("dependent", COUNTER, TREE, 1),
        ("dependent", VISIT, TREE, 0),
        ("dependent", INTERACT, BOX, 2),
    ],
)
def test_what_a_verb_asks_for_is_what_finishes_it(family, verb, thing, deed):
    assert int(asked(family, jnp.array(verb), jnp.array(thing))) == deed
    if thing == BOX:
        return
    world = ObjectGrid(family=family)
    for action, other in ((STAY, 0), (PICK, 1), (TRANSFORM, 2)):
        state = standing(lying=[(3, 3, thing)])
        _, met, counted, _ = stepped(world, [(verb, thing, 1)], state, action)
        assert bool(counted["lists"]) == (other == deed), action
        assert bool(counted["wrong"]) == (other not in (0, deed)), action
        assert float(met.discount) == (0.0 if other == deed or other else 1.0)


def test_a_visit_is_done_on_arrival_and_rewards_and_the_end_are_as_said():
    _, met, counted, earned = stepped(ObjectGrid(), [(VISIT, COW, 1)], standing(lying=[(3, 4, COW)]), RIGHT)
    assert (float(met.discount), bool(met.last), counted["instructions"]) == (0.0, True, 1)
    assert earned == pytest.approx(1 - 0.02)
    _, met, counted, earned = stepped(ObjectGrid(), [(VISIT, COW, 1)], standing(lying=[(3, 3, PIG)]), PICK)
    assert (float(met.discount), bool(met.last), counted["wrong"]) == (0.0, True, 1)
    assert earned == pytest.approx(-1 - 0.02)


def test_a_deed_where_nothing_lies_does_nothing():
    _, met, counted, earned = stepped(ObjectGrid(), [(PICK_UP, COW, 1)], standing(lying=[(0, 0, COW)]), PICK, TRANSFORM)
    assert not bool(met.last)
    assert sum(counted.values()) == 0
    assert earned == pytest.approx(-0.04)


def test_a_list_is_carried_out_in_order_and_pays_at_its_end():
    world = ObjectGrid(length=2)
    lying = [(3, 4, COW), (3, 5, PIG)]
    listed = [(PICK_UP, COW, 1), (VISIT, PIG, 1)]
    state, met, counted, earned = stepped(world, listed, standing(lying=lying), RIGHT, PICK)
    assert (int(state.index), counted["instructions"], bool(met.last)) == (1, 1, False)
    assert earned == pytest.approx(-0.04)
    _, met, counted, earned = stepped(world, listed, state, RIGHT, seed=9)
    assert (counted["lists"], bool(met.last)) == (1, True)
    assert earned == pytest.approx(0.98)
    _, _, _, earned = stepped(ObjectGrid(length=2, each=0.5), listed, standing(lying=lying), RIGHT, PICK, RIGHT)
    assert earned == pytest.approx(2 * 0.5 + 1 - 0.06)
    # The second comes to nothing as long as the first is to be done.
    state, _, counted, _ = stepped(world, listed, standing(place=(3, 4), lying=lying), RIGHT)
    assert (int(state.index), counted["instructions"]) == (0, 0)


def test_what_is_to_be_done_twice_is_done_twice():
    world = ObjectGrid(counts=3, length=2)
    listed = [(PICK_UP, COW, 2), (VISIT, PIG, 1)]
    state = standing(place=(3, 4), lying=[(3, 4, COW), (3, 5, COW)], remaining=2)
    state, _, counted, _ = stepped(world, listed, state, PICK)
    assert (int(state.remaining), int(state.index), counted["instructions"]) == (1, 0, 0)
    state, _, counted, _ = stepped(world, listed, state, RIGHT, PICK)
    assert (int(state.remaining), int(state.index), counted["instructions"]) == (1, 1, 1)


def test_padding_is_no_instruction():
    world = ObjectGrid(length=1, slots=4)
    task = world.task(key=jax.random.key(0))
    assert (task.instruction.shape, int((task.instruction > 0).sum())) == ((12,), 3)
    verb, thing, times = task.instruction[:3]
    assert (int(verb), int(thing)) in pairs()
    assert int(times) == 1
    state = standing(place=(3, 4), lying=[(3, 5, COW)])
    _, met = _step(world, state, Task(instruction=words((VISIT, COW, 1), slots=4)), jnp.array(RIGHT), jax.random.key(0))
    assert (float(met.cumulants[4]), bool(met.last)) == (1.0, True)


def test_what_is_gone_appears_elsewhere_in_an_empty_cell():
    lying = [(3, 3, COW), (0, 0, PIG)]
    for seed in range(5):
        state, met, _, _ = stepped(ObjectGrid(), [(PICK_UP, COW, 1)], standing(lying=lying), PICK, seed=seed)
        assert int(state.things[3, 3]) == 0
        assert int((state.things == COW).sum()) == 1
        assert int(state.things[0, 0]) == PIG
        assert (int(met.observation.picked), int(met.observation.transformed)) == (COW, 0)


def test_one_sees_all_from_the_middle_and_edges_are_joined():
    for size in (7, 10):
        world = ObjectGrid(size=size)
        state = standing(place=(0, 0), lying=[(size - 1, 0, COW)], size=size)
        state, met, _, _ = stepped(world, [(VISIT, PIG, 1)], state, STAY)
        middle = size // 2
        assert int(met.observation.cells[middle - 1, middle]) == COW
        planes = np.asarray(met.observation.planes)
        assert planes.shape == (size, size, BOX)
        assert planes.sum() == planes[middle - 1, middle, COW - 1] == 1
        state, _, _, _ = stepped(world, [(VISIT, PIG, 1)], state, UP)
        assert state.place.tolist() == [size - 1, 0]


def test_a_box_appears_by_chance_and_pays_who_transforms_it_and_nobody_else():
    state, met, _, _ = stepped(ObjectGrid(events=1.0), [(VISIT, COW, 1)], standing(), STAY)
    assert int((state.things == BOX).sum()) == 1
    assert int(state.things[3, 3]) == 0
    listed, world = [(VISIT, COW, 1)], ObjectGrid()
    _, met, counted, earned = stepped(world, listed, standing(lying=[(3, 3, BOX)]), TRANSFORM)
    assert (counted["boxes"], counted["boxes gone"], bool(met.last)) == (1, 1, False)
    assert earned == pytest.approx(0.5 - 0.02)
    assert int(met.observation.transformed) == BOX
    state, met, counted, earned = stepped(world, listed, standing(lying=[(3, 3, BOX)]), PICK)
    assert (counted["boxes"], counted["wrong"], bool(met.last), int(state.things[3, 3])) == (0, 0, False, BOX)


def test_a_box_that_nobody_transforms_is_gone_at_last():
    world = ObjectGrid(lasting=3)
    state = standing(lying=[(0, 0, BOX)])
    state, _, counted, _ = stepped(world, [(VISIT, COW, 1)], state, STAY, STAY)
    assert (int((state.things == BOX).sum()), counted["boxes gone"]) == (1, 0)
    state, _, counted, _ = stepped(world, [(VISIT, COW, 1)], state, STAY)
    assert (int((state.things == BOX).sum()), counted["boxes gone"], counted["boxes"]) == (0, 1, 0)


def test_boxes_are_as_frequent_as_asked():
    world = ObjectGrid(events=0.03, lasting=1, limit=4_000)
    task = Task(instruction=words((VISIT, COW, 1)))

    def step(state, key):
        state, outcome = world.step(state, task, jnp.array(STAY), key=key)
        return state, outcome.cumulants[2]

    gone = jax.jit(lambda state, keys: jax.lax.scan(step, state, keys)[1])
    count = float(gone(standing(), jax.random.split(jax.random.key(0), 20_000)).sum())
    assert count / 20_000 == pytest.approx(0.03, abs=0.005)


def test_time_runs_out_without_an_end():
    _, met, _, _ = stepped(ObjectGrid(), [(VISIT, COW, 1)], standing(steps=28), STAY)
    assert not bool(met.last)
    _, met, _, _ = stepped(ObjectGrid(), [(VISIT, COW, 1)], standing(steps=29), STAY)
    assert (bool(met.last), float(met.discount)) == (True, 1.0)


def test_lists_are_as_long_as_asked_and_of_the_pairs_asked_for():
    world = ObjectGrid(pairs=pairs("held-out"), length=4, shortest=2, slots=6, counts=3)
    tasks = jax.jit(jax.vmap(lambda key: world.task(key=key)))(jax.random.split(jax.random.key(0), 400))
    listed = np.asarray(tasks.instruction).reshape(400, 6, 3)
    assert set((listed[..., 0] > 0).sum(axis=1)) == {2, 3, 4}
    assert {tuple(pair) for pair in listed[listed[..., 0] > 0][:, :2]} == set(pairs("held-out"))
    assert set(listed[listed[..., 0] > 1][:, 2]) == {1, 2, 3}
    assert set(listed[listed[..., 0] == 1][:, 2]) == {1}


def test_a_grid_begins_with_all_objects_and_an_empty_cell_under_oneself():
    world = ObjectGrid(copies=3, size=10)
    task = world.task(key=jax.random.key(0))
    for seed in range(3):
        state, view = jax.jit(world.reset)(task, key=jax.random.key(seed))
        assert np.bincount(np.asarray(state.things).ravel()).tolist() == [100 - 24, *[3] * len(OBJECTS)]
        assert int(view.cells[5, 5]) == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"length": 0}, "a list of 0 instructions asks for nothing"),
        ({"length": 1_000}, rf"a list of 1,000 instructions is too long; give {LONGEST} at most"),
        ({"length": 4, "slots": 3}, "room for 3 instructions, and a list has 4"),
        ({"length": 4, "shortest": 5}, "lists of 5 to 4 instructions"),
        ({"size": 8}, "8 by 8 cells"),
        ({"family": "wild"}, "no family 'wild'"),
        ({"events": 1.5}, "a chance of 1.5"),
        ({"counts": 0}, "counts of 0 cannot be had; ask for 1 to 9"),
        ({"copies": 5}, "copies of 5"),
        ({"lasting": 0}, "lasting of 0 cannot be had; ask for 1 or more"),
        ({"limit": 0}, "a limit of 0 steps"),
        ({"pairs": ()}, "no pair at all"),
        ({"pairs": ((4, 1),)}, r"\(4, 1\) is no pair"),
    ],
)
def test_what_cannot_be_had_is_refused(given, sentence):
    with pytest.raises(UsageError, match=sentence):
        ObjectGrid(**given)


def test_sides_and_lists_that_there_are_not_are_refused():
    with pytest.raises(UsageError, match="no side 'others'"):
        pairs("others")
    with pytest.raises(UsageError, match="a list of 0 instructions"):
        words()
    with pytest.raises(UsageError, match="room for 1 instructions"):
        words((1, 1, 1), (1, 2, 1), slots=1)
