"""The controller: what it reads, when it moves its pointer, what its gate leaves as it was, and what baselines lack."""

import functools
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import blank
from headstart.core.options import Options, Under
from headstart.core.process import train_at_once
from headstart.core.types import Output, Percept, Step
from headstart.errors import UsageError
from headstart.instructions.controller import (
    FlatController,
    InstructionController,
    New,
    Restraint,
    hardened,
    learning,
    lists,
    shifted,
    subtasks,
)
from headstart.instructions.skills import Skill
from headstart.worlds.object_grid import BOX, ObjectGrid, View, words

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)
GRID = lists(3, slots=5)
WORLD = Options(GRID, Skill(GRID, KEY, width=8, looks=2), subtasks())


LIST = words((1, 3, 1), (2, 4, 1), (3, 5, 1), slots=5)


@functools.cache
def base():
    return eqx.filter_jit(lambda key: InstructionController(WORLD, key, width=8))(KEY)


def like(make, leaves=None):
    """Who would be made so, with these numbers, or all 0.01: to draw numbers takes long to compile."""
    shape = eqx.filter_eval_shape(make, KEY)
    leaves = [jnp.full(leaf.shape, 0.01) for leaf in jax.tree.leaves(shape)] if leaves is None else leaves
    return jax.tree.unflatten(jax.tree.structure(shape), leaves)


def controller(**given):
    return like(lambda key: InstructionController(WORLD, key, width=8, **given), jax.tree.leaves(base()))


@eqx.filter_jit
def thought(network, percept, memory):
    return network(percept, memory)


def moment(subtask=4, termination=0.2, action=0, first=False):
    """What is heard with a cow beside oneself, the fifth subtask under way, and β of it as given. What the list speaks
    of is there too."""
    cells = jnp.zeros((7, 7), jnp.int32).at[3, 4].set(1).at[0, :3].set(jnp.array([3, 4, 5]))
    view = View(cells, jnp.array(0), jnp.array(2))
    legal = (jnp.arange(26) > 0) | (subtask >= 0)
    under = Under(view, jnp.array(subtask), jnp.array(termination))
    return Percept(under, jnp.array(first), instruction=LIST, legal=legal, action=jnp.array(action))


def begun(network):
    """The output of a first moment, when nothing is under way, and the memory that leaves it."""
    return thought(network, moment(subtask=-1, termination=0.0, first=True), network.initial())


def several(*moments):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *moments)


def test_subtasks_are_all_verbs_of_all_objects_and_to_transform_a_box():
    rows = {tuple(row) for row in subtasks().tolist()}
    assert len(rows) == 25
    assert [row for row in rows if row[1] == BOX] == [(3, BOX, 1)]
    assert {row[2] for row in rows} == {1}


@pytest.mark.parametrize(
    ("pointer", "by", "after"),
    [
        ([0, 1, 0], [0, 0, 1], [0, 0, 1]),
        ([0, 1, 0], [1, 0, 0], [1, 0, 0]),
        ([0, 1, 0], [0.2, 0.5, 0.3], [0.2, 0.5, 0.3]),
        ([1, 0, 0], [1, 0, 0], [1, 0, 0]),
        ([0, 0, 1], [0, 0, 1], [0, 0, 1]),
        ([0.5, 0.5, 0], [0, 0.5, 0.5], [0.25, 0.5, 0.25]),
    ],
)
def test_a_soft_pointer_is_shifted_and_stays_at_the_ends(pointer, by, after):
    found = shifted(jnp.array(pointer, jnp.float32), jnp.array(by, jnp.float32))
    np.testing.assert_allclose(found, after, atol=1e-6)


def test_what_is_read_is_mostly_what_is_done_at_first_and_something_must_be_begun():
    output, (_, new) = begun(controller())
    assert float(jnp.exp(output.policy.log_probs[0])) < 1e-6
    assert float(output.features) == 1.0
    assert float(new.pointer[0]) > 0.5  # it mostly stays where it is
    np.testing.assert_allclose(new.pointer.sum(), 1.0, atol=1e-5)
    assert subtasks()[output.policy.mode() - 1].tolist() == [1, 3, 1]


def test_nothing_is_done_to_what_is_not_there():
    output, _ = begun(controller())
    chances = np.exp(output.policy.log_probs[1:])
    there = {int(thing) for thing, chance in zip(subtasks()[:, 1], chances, strict=True) if chance > 0}
    assert there == {1, 3, 4, 5}


def test_a_box_is_as_tempting_at_first_as_what_is_read():
    seen = moment(subtask=-1, termination=0.0, first=True)
    boxed = eqx.tree_at(
        lambda percept: percept.observation.observation.cells, seen, replace_fn=lambda c: c.at[6, 6].set(BOX)
    )
    network = controller()
    output, _ = thought(network, boxed, network.initial())
    chances = np.exp(output.policy.log_probs[1:])
    of_things = [chances[subtasks()[:, 1] == thing].sum() for thing in range(1, BOX + 1)]
    assert 0.2 < of_things[BOX - 1] < 0.6
    assert of_things[BOX - 1] > of_things[2] / 2 > 0.05


def test_which_pair_is_read_and_under_way_says_nothing_of_when_to_look():
    """The gate, and how the pointer moves: what matters is whether these are the same."""

    def looked(instructions, subtask):
        network = controller()
        heard = lambda percept: eqx.tree_at(lambda p: p.instruction, percept, words(*instructions, slots=5))
        _, memory = thought(network, heard(moment(subtask=-1, termination=0.0, first=True)), network.initial())
        output, (_, new) = thought(network, heard(moment(subtask=subtask, action=subtask + 1)), memory)
        return float(output.features), np.asarray(new.pointer)

    rows = [tuple(row) for row in subtasks().tolist()]
    one, other = [(1, 3, 1), (2, 4, 1)], [(2, 5, 1), (1, 1, 1)]
    gate, pointer = looked(one, rows.index(one[0]))
    same_gate, same_pointer = looked(other, rows.index(other[0]))
    assert gate == pytest.approx(same_gate, abs=1e-6)
    np.testing.assert_allclose(pointer, same_pointer, atol=1e-6)
    assert gate != pytest.approx(looked(one, rows.index(other[0]))[0], abs=1e-4)


def test_what_is_read_is_what_the_pointer_points_to():
    _, (_, new) = begun(controller())
    one = lambda verb, thing: jnp.concatenate([jnp.eye(3)[verb - 1], jnp.eye(9)[thing - 1]])
    share = new.pointer
    np.testing.assert_allclose(new.read, share[0] * one(1, 3) + share[1] * one(2, 4) + share[2] * one(3, 5), atol=1e-5)


def test_going_on_has_the_chance_that_the_gate_leaves_and_subtasks_the_rest():
    network = controller()
    output, _ = thought(network, moment(action=5), begun(network)[1])
    chances, gate = np.exp(output.policy.log_probs), float(output.features)
    assert 0 < gate < 1
    assert chances[0] == pytest.approx(1 - gate, abs=1e-5)
    assert chances[1:].sum() == pytest.approx(gate, abs=1e-5)


def leaves_equal(one, other):
    pairs = zip(*map(jax.tree.leaves, (one, other)), strict=True)
    return all(bool(jnp.array_equal(first, second)) for first, second in pairs)


def test_who_went_on_has_pointer_context_and_reading_as_they_were_and_who_did_not_has_them_updated():
    network = controller()
    memory = begun(network)[1]
    assert not leaves_equal(*memory)
    assert leaves_equal(thought(network, moment(action=0), memory)[1][0], memory[0])
    assert leaves_equal(thought(network, moment(action=5), memory)[1][0], memory[1])


def test_soft_updates_go_as_far_as_the_gate_is_open():
    network = controller(hard=False)
    memory = begun(network)[1]
    assert leaves_equal(memory[0], memory[1])  # at first it is open
    output, (kept, new) = thought(network, moment(), memory)
    gate = float(output.features)
    assert 0 < gate < 1
    np.testing.assert_allclose(kept.pointer, gate * new.pointer + (1 - gate) * memory[0].pointer, atol=1e-6)
    np.testing.assert_allclose(kept.state[1], gate * new.state[1] + (1 - gate) * memory[0].state[1], atol=1e-6)


@pytest.mark.parametrize(("gates", "opened"), [("always", (1, 1, 1)), ("never", (1, 0, 0)), ("done", (1, 0, 1))])
def test_gates_that_are_not_learned_are_what_they_are_called(gates, opened):
    network = controller(gates=gates)
    memory = network.initial()
    for subtask, termination, opens in zip((-1, 4, 4), (0.0, 0.4, 0.6), opened, strict=True):
        output, memory = thought(network, moment(subtask, termination, action=5, first=subtask < 0), memory)
        assert float(output.features) == opens
        assert (float(jnp.exp(output.policy.log_probs[0])) < 1e-6) == bool(opens)


def test_a_pointer_that_is_held_reads_the_first_instruction_for_ever():
    for held in (True, False):
        network = controller(gates="always", points=not held)
        memory = begun(network)[1]
        for _ in range(3):
            _, memory = thought(network, moment(action=5), memory)
        assert bool((memory[1].pointer == (jnp.arange(5) == 0)).all()) == held


@pytest.mark.parametrize("given", [{}, {"hard": False}])
def test_a_segment_at_once_is_moment_after_moment(given):
    network = controller(**given)
    moments = [
        moment(-1, 0.0, first=True),
        moment(action=5),
        moment(termination=0.9),
        moment(-1, 0.0, first=True),
        moment(action=3),
    ]
    memory = network.initial()
    outputs, left = eqx.filter_jit(network.unroll)(several(*moments), memory)
    for number, percept in enumerate(moments):
        output, memory = thought(network, percept, blank(network, memory, percept.first))
        np.testing.assert_allclose(output.policy.log_probs, outputs.policy.log_probs[number], atol=1e-4)
        np.testing.assert_allclose(output.value, outputs.value[number], atol=1e-4)
    np.testing.assert_allclose(left[0].pointer, memory[0].pointer, atol=1e-5)


def test_a_flat_one_acts_itself():
    network = like(lambda key: FlatController(GRID, key, width=8))
    view = moment().observation.observation
    percept = Percept(view, jnp.array(True), instruction=LIST, action=jnp.array(0))
    output, (kept, new) = thought(network, percept, network.initial())
    assert output.policy.log_probs.shape == (7,)
    assert leaves_equal(kept, new)
    assert isinstance(eqx.filter_eval_shape(New(GRID), KEY), FlatController)


def test_hard_updates_go_on_from_what_soft_ones_have_learned():
    process = learning(WORLD.skill, 2, hard=False, lanes=4)
    network = like(process.network)
    hard = hardened(process, network).network(jax.random.key(1))
    assert (network.hard, hard.hard) == (False, True)
    assert leaves_equal(hard, network)


def test_the_gate_is_restrained_by_its_square():
    outputs = Output(None, features=jnp.array([[0.5, 1.0]]))
    zero = jnp.zeros((1, 2))
    batch = Step(several(several(moment(), moment())), zero, zero, zero, zero > 0, several(several(moment(), moment())))
    loss, metrics = Restraint(weight=0.2).loss(controller(), batch, outputs, key=KEY)
    assert float(loss) == pytest.approx(0.2 * (0.25 + 1) / 2)
    assert float(metrics["restraint/gate"]) == pytest.approx(0.75)


def test_lists_for_training_are_of_one_to_four_with_boxes_and_room_for_more():
    grid = learning(None, 2).world
    assert isinstance(grid, ObjectGrid)
    assert (grid.fewest, grid.length, grid.room, grid.events) == (1, 4, 20, 0.03)
    assert learning(WORLD.skill, 2).world.world == grid


@pytest.mark.slow
def test_a_few_updates_change_the_gate_the_shift_and_the_words():
    process = replace(learning(WORLD.skill, 2, lanes=4), length=4)
    before = eqx.filter_jit(process.network)(jax.random.split(jax.random.split(KEY)[0], 3)[0])
    after = eqx.filter_jit(lambda key: train_at_once(process, 2, key=key).learner.network)(KEY)
    for part in ("hear", "gate", "shift", "verb", "thing", "inner"):
        assert not leaves_equal(getattr(before, part), getattr(after, part)), part


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: InstructionController(WORLD, KEY, gates="sometimes"), "no gate 'sometimes'"),
        (lambda: InstructionController(Options(GRID, WORLD.skill, subtasks()[:3]), KEY), "chooses subtasks"),
        (lambda: FlatController(WORLD, KEY), "give it that and no Options"),
    ],
)
def test_what_no_controller_can_be_made_of_is_refused(make, sentence):
    with pytest.raises(UsageError, match=sentence):
        make()
