"""Skills: teachers go the shortest way, analogies are what is said, and without them nothing carries over."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.process import train_at_once
from headstart.core.types import Choice, Output, Percept, Step
from headstart.errors import UsageError
from headstart.instructions.analogies import Analogies, analogous, differences, no_analogies, quadruples
from headstart.instructions.skills import (
    Distillation,
    Skill,
    Terminations,
    learning,
    shortest,
)
from headstart.worlds.object_grid import BOX, ObjectGrid, View, done, pairs

pytestmark = pytest.mark.usefixtures("quick_to_compile")

UP, RIGHT, DOWN, LEFT, PICK, TRANSFORM, STAY = range(7)
VISIT, PICK_UP, CHANGE = 1, 2, 3
COW, PIG, TREE, ROCK = 1, 2, 5, 6
KEY = jax.random.key(0)


def view(*lying, picked=0, transformed=0):
    """What is seen with things at these places, rows and columns from the middle."""
    cells = jnp.zeros((7, 7), jnp.int32)
    for down, right, what in lying:
        cells = cells.at[3 + down, 3 + right].set(what)
    return View(cells, jnp.array(picked), jnp.array(transformed))


@pytest.mark.parametrize(
    ("seen", "verb", "best"),
    [
        (view((0, 2, COW)), VISIT, {RIGHT}),
        (view((-1, 2, COW)), VISIT, {UP, RIGHT}),
        (view((2, 0, COW), (0, -1, PIG)), PICK_UP, {DOWN}),
        (view((0, 3, COW), (0, -2, COW)), PICK_UP, {LEFT}),
        (view((0, 0, COW)), VISIT, {STAY}),
        (view((0, 0, COW)), PICK_UP, {PICK}),
        (view((0, 0, COW)), CHANGE, {TRANSFORM}),
        (view((0, 1, PIG)), CHANGE, {STAY}),
    ],
)
def test_a_teacher_takes_first_steps_of_shortest_ways_and_does_there_what_is_asked_for(seen, verb, best):
    found = np.asarray(shortest(seen, "independent", jnp.array(verb), jnp.array(COW)))
    assert {int(action) for action in np.flatnonzero(found)} == best
    np.testing.assert_allclose(found[list(best)], 1 / len(best))


def test_a_teacher_goes_over_joined_edges_of_an_even_grid():
    cells = jnp.zeros((10, 10), jnp.int32).at[5, 0].set(COW)  # five to the left, or to the right
    found = shortest(View(cells, jnp.array(0), jnp.array(0)), "independent", jnp.array(VISIT), jnp.array(COW))
    np.testing.assert_allclose(found[jnp.array([RIGHT, LEFT])], 0.5)


class Exact(AbstractNetwork):
    """Who does what the teacher does, and knows when it is done."""

    family: str = eqx.field(static=True)

    def initial(self):
        return None

    def __call__(self, percept, memory):
        verb, thing = percept.instruction[0], percept.instruction[1]
        liked = shortest(percept.observation, self.family, verb, thing)
        over = done(percept.observation, self.family, verb, thing)
        return Output(Categorical(jnp.log(liked + 1e-8)), jnp.zeros(()), jnp.where(over, 9.0, -9.0)), None


def played(network, world, steps=40, lanes=64):
    """Of the episodes that ended: how many succeeded, and how long one is."""

    @eqx.filter_jit
    def play(network, key):
        act = lambda percept, memory, *, key: (Choice(network(percept, memory)[0].policy.mode()), memory)
        return collect(world, network, act, begin(world, network, lanes, key=key), steps, key=key)[1]

    rollout = play(network, KEY)
    return float(rollout.cumulants[..., 4].sum() / rollout.last.sum()), steps * lanes / float(rollout.last.sum())


@pytest.mark.parametrize("family", ["independent", "dependent"])
def test_who_does_what_teachers_do_never_fails(family):
    succeeded, long = played(Exact(family), ObjectGrid(pairs("all", family), family))
    assert succeeded == 1.0
    assert long < 6


FOUR = {
    "by verb": ((VISIT, COW), (PICK_UP, COW), (VISIT, PIG), (PICK_UP, PIG)),
    "by object": ((VISIT, COW), (VISIT, PIG), (PICK_UP, COW), (PICK_UP, PIG)),
    "across classes": ((VISIT, COW), (PICK_UP, COW), (VISIT, TREE), (PICK_UP, TREE)),
    "the other way": ((VISIT, COW), (PICK_UP, COW), (PICK_UP, PIG), (VISIT, PIG)),
    "another verb": ((VISIT, COW), (PICK_UP, COW), (VISIT, PIG), (CHANGE, PIG)),
}


@pytest.mark.parametrize(
    ("name", "independent", "dependent"),
    [
        ("by verb", True, True),
        ("by object", True, True),
        ("across classes", True, False),
        ("the other way", False, False),
        ("another verb", False, False),
    ],
)
def test_what_an_analogy_is(name, independent, dependent):
    assert bool(analogous(jnp.array(FOUR[name]), "independent")) == independent
    assert bool(analogous(jnp.array(FOUR[name]), "dependent")) == dependent


@pytest.mark.parametrize(("family", "count"), [("independent", 6 * 56), ("dependent", 6 * 24)])
def test_all_analogies_are_found_and_are_of_known_pairs(family, count):
    every = pairs("all", family)
    found = quadruples(every, family)
    assert len({tuple(four) for four in found.tolist()}) == len(found) == count
    assert analogous(jnp.array(every)[found], family).all()
    few = pairs("train", family)
    assert 0 < len(quadruples(few, family)) < count
    with pytest.raises(UsageError, match="no analogy among 2 pairs"):
        Analogies(((1, 1), (2, 2)))


def test_what_could_be_taken_for_an_analogy_is_none():
    for family in ("independent", "dependent"):
        every = pairs("all", family)
        found = no_analogies(every, family)
        assert not analogous(jnp.array(every)[found], family).any()
        assert not {tuple(four) for four in found.tolist()} & {
            tuple(four) for four in quadruples(every, family).tolist()
        }
    across = [(VISIT, COW), (PICK_UP, COW), (VISIT, TREE), (PICK_UP, TREE)]
    assert [every.index(pair) for pair in across] in found.tolist()
    assert no_analogies(((VISIT, COW), (PICK_UP, COW)), "independent").shape == (0, 4)


def test_permuted_analogies_are_hardly_any():
    source = Analogies(permuted=True)
    share = float(analogous(jnp.array(source.known)[source.told], "independent").mean())
    assert share < 0.1
    assert analogous(jnp.array(source.known)[Analogies().told], "independent").all()


def batch_of(seen, after, words):
    """One step in one segment."""
    grow = lambda tree: jax.tree.map(lambda leaf: jnp.asarray(leaf)[None, None], tree)
    of = lambda seen: Percept(seen, jnp.array(False), instruction=jnp.array(words))
    zero = jnp.zeros(())
    return grow(Step(of(seen), jnp.array(0), zero, zero, jnp.array(False), of(after)))


# What the regulariser of an embedding does not look at.
NOTHING = batch_of(view(), view(), (VISIT, COW, 1))
SAID = Output(Categorical(jnp.zeros((1, 1, 7))))


@functools.cache
def small():
    return eqx.filter_jit(lambda key: Skill(ObjectGrid(), key, width=8, looks=2))(KEY)


class Tabled(Skill):
    """A skill whose embedding is a table `[verbs, objects, numbers]`."""

    table: jax.Array

    def __init__(self, table):
        base = small()
        for name in base.__dataclass_fields__:
            setattr(self, name, getattr(base, name))
        self.table = table

    def embed(self, words):
        return self.table[words[0] - 1, words[1] - 1]


@eqx.filter_jit
def _regularised(source, network):
    return source.loss(network, NOTHING, SAID, key=KEY)


def regularised(table, **given):
    source = Analogies(drawn=2_000, **given)
    loss, metrics = _regularised(source, Tabled(table))
    return float(loss), {name.removeprefix("analogy/"): float(value) for name, value in metrics.items()}


def test_an_embedding_that_adds_verb_and_object_up_is_without_fault_and_a_collapsed_one_is_not():
    verbs, things = 2 * jnp.eye(3, 11), 2 * jnp.eye(8, 11, k=3)
    loss, found = regularised(verbs[:, None] + things)
    assert (loss, found["similar"], found["dissimilar"], found["different"]) == (0, 0, 0, 0)
    loss, found = regularised(jnp.zeros((3, 8, 11)), weight=0.5, apart=2.0, spread=3.0, different=2.0)
    assert found["similar"] == 0
    assert found["dissimilar"] == pytest.approx(1, abs=1e-3)
    assert found["different"] == pytest.approx(4, abs=1e-3)
    assert loss == pytest.approx(0.5 * (0 + 2 * 1 + 3 * 4), abs=1e-2)
    # One of 24 is not as its analogies would have it.
    loss, found = regularised((verbs[:, None] + things).at[0, 0, 0].add(3.0))
    share = (quadruples(pairs("all"), "independent") == 0).any(axis=1).mean()
    assert found["similar"] == pytest.approx(9 * share, rel=0.1)


def test_where_verbs_depend_on_objects_what_adds_up_regardless_of_class_is_at_fault():
    things = 2 * jnp.eye(8, 19, k=3)
    same = 2 * jnp.eye(3, 19)[:, None] + things
    _, found = regularised(same, family="dependent", known=pairs("all", "dependent"))
    assert found["similar"] == 0
    assert found["dissimilar"] > 0.01
    classes = jnp.arange(8) // 4
    apart = jnp.stack([2 * jnp.eye(3, 19, k=11 + 3 * each) for each in range(2)])[classes].swapaxes(0, 1) + things
    _, found = regularised(apart, family="dependent", known=pairs("all", "dependent"))
    assert (found["similar"], found["dissimilar"]) == (0, 0)


def test_analogies_move_the_embedding_and_nothing_else():
    gradient = eqx.filter_jit(eqx.filter_grad(lambda network: _regularised(Analogies(drawn=64), network)[0]))(small())
    moved = {
        name
        for name in ("verbs", "things", "embedding", "look", "layer", "actor", "scale")
        if any(jnp.any(leaf != 0) for leaf in jax.tree.leaves(eqx.filter(getattr(gradient, name), eqx.is_array)))
    }
    assert moved == {"verbs", "things", "embedding"}


class Liking(Exact):
    """Likes each action better than the one before it."""

    def __call__(self, percept, memory):
        output, _ = super().__call__(percept, memory)
        return eqx.tree_at(lambda output: output.policy, output, Categorical(jnp.arange(7.0), percept.legal)), None


def test_distillation_is_cross_entropy_and_fades():
    # Where one came to there are two ways, and from where one was another two.
    batch = batch_of(view((2, 1, COW)), view((-1, 2, COW)), (VISIT, COW, 1))
    source, network = Distillation(weight=2.0, rollouts=4, asked=((VISIT, COW),)), Liking("independent")
    loss, metrics = source.loss(network, batch, SAID, key=KEY)
    liked = jax.nn.log_softmax(jnp.arange(7.0))
    error = -float((liked[UP] + liked[RIGHT]) / 2)
    assert float(loss) == pytest.approx(2 * error)
    assert float(metrics["distillation/loss"]) == pytest.approx(error)
    for left in (0.75, 0.5, 0.25, 0, 0):
        source = source.observe(batch, network, key=KEY)
        assert float(source.loss(network, batch, SAID, key=KEY)[0]) == pytest.approx(2 * left * error)
    with pytest.raises(UsageError, match="cannot fade in 0 rollouts"):
        Distillation(rollouts=0)


def test_in_every_other_state_it_is_the_teacher_of_another_pair_that_is_asked():
    batch = batch_of(view((0, 0, PIG)), view((0, 0, COW), picked=PIG), (PICK_UP, PIG, 1))
    batch = jax.tree.map(lambda leaf: jnp.repeat(leaf, 400, axis=1), batch)
    source = Distillation(asked=((VISIT, COW),))
    loss = eqx.filter_jit(lambda network: source.loss(network, batch, SAID, key=KEY)[0])(Liking("independent"))
    # There is no pig left, and on the cow a visit is over: both are to stay, and nothing is picked up.
    assert float(loss) == pytest.approx(-float(jax.nn.log_softmax(jnp.arange(7.0))[STAY]))


def test_terminations_are_asked_of_what_was_done_and_of_what_was_not():
    words = (PICK_UP, COW, 1)
    after = view((0, 0, PIG), picked=COW)
    batch = batch_of(view((0, 0, COW)), after, words)
    batch = jax.tree.map(lambda leaf: jnp.repeat(leaf, 400, axis=1), batch)
    asked = eqx.filter_jit(lambda network: Terminations().loss(network, batch, SAID, key=KEY))
    loss, metrics = asked(Exact("independent"))
    assert (float(metrics["termination/right"]), float(loss)) == (1.0, pytest.approx(0, abs=1e-3))

    class Always(Exact):
        def __call__(self, percept, memory):
            return eqx.tree_at(
                lambda output: output.features, super().__call__(percept, memory)[0], jnp.array(9.0)
            ), None

    _, metrics = asked(Always("independent"))
    # Half of the questions are its own; of the 16 others, the visit to a pig and this one are done as well.
    training = [pair for pair in pairs() if bool(done(after, "independent", *map(jnp.array, pair)))]
    assert float(metrics["termination/right"]) == pytest.approx(0.5 + 0.5 * len(training) / 16, abs=0.07)


def test_a_skill_hears_both_words_and_not_how_many_times():
    network = eqx.filter_jit(small())
    seen = view((0, 1, COW), (1, 0, PIG))
    say = lambda *words: network(Percept(seen, jnp.array(True), instruction=jnp.array(words)), None)[0]
    base = say(VISIT, COW, 1)
    for words, same in (((VISIT, PIG, 1), False), ((PICK_UP, COW, 1), False), ((VISIT, COW, 3), True)):
        assert bool(jnp.allclose(base.features, say(*words).features)) == same
        assert bool(jnp.allclose(base.policy.log_probs, say(*words).policy.log_probs)) == same
    # What follows in the list is not for the skill.
    assert jnp.allclose(base.features, say(VISIT, COW, 1, CHANGE, TREE, 1).features)


def test_a_skill_is_taught_of_pairs_of_training_and_of_boxes():
    process = learning("dependent", 4, lanes=8)
    assert set(process.world.pairs) == {*pairs("train", "dependent"), (CHANGE, BOX)}
    kinds = [type(source) for source in process.learner.source.sources]
    assert kinds == [Distillation, Terminations]
    assert process.learner.source.sources[1].asked == process.world.pairs


@pytest.mark.slow
@pytest.mark.parametrize("family", ["independent", "dependent"])
def test_analogies_carry_over_to_pairs_never_trained_with(family):
    world = ObjectGrid(pairs("held-out", family), family)
    found = {}
    for name, source in (("told", Analogies(pairs("all", family), family)), ("not told", None)):
        process = learning(family, 60, analogies=source)
        learned = eqx.filter_jit(lambda key, process=process: train_at_once(process, 60, key=key).learner.network)(KEY)
        assert played(learned, ObjectGrid(pairs("train", family), family), lanes=256)[0] > 0.98
        found[name] = played(learned, world, lanes=256)[0]
    assert found["told"] > 0.85
    assert found["not told"] < 0.3


def test_differences_are_those_of_differences():
    table = jnp.array([[1.0, 0.0], [4.0, 1.0], [0.0, 2.0], [1.0, 1.0]])
    found = differences(table, jnp.array([[0, 1, 2, 3]]))
    assert found.tolist() == [[-3 + 1, -1 - 1]]
