"""Friends and enemies: roles cannot be seen, words tell them, and no single property does."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.instructions.vocabulary import PADDING, UNKNOWN, split_words
from headstart.worlds import friends_and_enemies as module
from headstart.worlds.friends_and_enemies import KINDS, FriendsAndEnemies, Seen, Standing, Things, vocabulary

pytestmark = pytest.mark.usefixtures("quick_to_compile")

RIGHT, STAY = 1, 4
WORDS = {number: word for word, number in vocabulary().numbers.items()}


def number(side, *kind):
    """A thing's number by its role, way and pace."""
    return sorted(KINDS[side]).index(kind) + (6 if side == "target" else 0)


def stepped(world, numbers, place, cells, action, steps=0, there=None, seed=0):
    there = [True] * len(cells) if there is None else there
    seen = Seen(jnp.array(place), jnp.array(numbers), jnp.array(cells), jnp.array(there))
    state = Standing(seen, jnp.array(steps))
    return jax.jit(world.step)(
        state, Task(Things(seen.numbers, jnp.array(True))), jnp.array(action), key=jax.random.key(seed)
    )


def test_source_and_target_share_no_kind_but_each_property_in_each_role():
    assert not set(KINDS["source"]) & set(KINDS["target"])
    for side in KINDS.values():
        assert {kind[0] for kind in side} == {0, 1}
        for position, values in ((1, 3), (2, 2)):
            assert {(kind[0], kind[position]) for kind in side} == set(itertools.product(range(2), range(values)))


def test_a_friend_earns_one_and_an_enemy_ends_it():
    world = FriendsAndEnemies()
    friend, enemy = number("source", 0, 1, 1), number("source", 1, 1, 0)
    _, met = stepped(world, [friend, enemy], (3, 3), [(3, 4), (0, 0)], RIGHT)
    assert (float(met.reward), float(met.discount), bool(met.last)) == (1.0, 0.0, True)
    assert met.observation.there.tolist() == [False, True]
    _, met = stepped(world, [friend, enemy], (3, 3), [(0, 0), (3, 4)], RIGHT)
    assert (float(met.reward), float(met.discount), bool(met.last)) == (-1.0, 0.0, True)


def test_of_two_friends_the_first_does_not_end_it():
    world = FriendsAndEnemies(each=2)
    friends, enemies = (number("source", 0, 1, 1),) * 2, (number("source", 1, 1, 0),) * 2
    cells = [(3, 4), (7, 7), (0, 0), (0, 7)]
    _, met = stepped(world, [*friends, *enemies], (3, 3), cells, RIGHT)
    assert (float(met.reward), float(met.discount), bool(met.last)) == (1.0, 1.0, False)
    _, met = stepped(world, [*friends, *enemies], (3, 3), cells, RIGHT, there=[True, False, True, True])
    assert (float(met.reward), float(met.discount)) == (1.0, 0.0)
    # Who was met already is no longer there to be met.
    _, met = stepped(world, [*friends, *enemies], (3, 3), cells, RIGHT, there=[False, True, True, True])
    assert (float(met.reward), float(met.discount)) == (0.0, 1.0)


@pytest.mark.parametrize(("way", "nearer"), [(0, -1), (1, 1)])
def test_things_go_where_it_is_said_of_them(way, nearer):
    for side in KINDS:
        pace = next(kind[2] for kind in KINDS[side] if kind[:2] == (1, way))
        enemy = number(side, 1, way, pace)
        friend = next(number(side, *kind) for kind in KINDS[side] if kind[:2] == (0, 2))
        moved = 0
        for steps in range(3):
            state, _ = stepped(FriendsAndEnemies(side), [friend, enemy], (3, 3), [(7, 7), (3, 5)], STAY, steps)
            far = int(jnp.abs(state.seen.cells[1] - 3).sum())
            assert far in {2, 2 + nearer}
            moved += far != 2
        assert moved == (1 if pace else 2)  # of three steps


def test_games_end_at_their_limit_with_something_left_to_earn():
    world = FriendsAndEnemies(limit=5)
    numbers = [number("source", 0, 1, 1), number("source", 1, 1, 0)]
    _, met = stepped(world, numbers, (0, 0), [(7, 7), (7, 0)], STAY, steps=4)
    assert (bool(met.last), float(met.discount)) == (True, 1.0)


def drawn(count, *given, **more):
    world = FriendsAndEnemies(*given, **more)
    return jax.jit(jax.vmap(lambda key: world.task(key=key)))(jax.random.split(jax.random.key(0), count))


def texts(tasks, things=2):
    each = np.asarray(tasks.instruction).reshape(len(tasks.instruction), things, -1)
    return [[" ".join(WORDS[word] for word in one if word != PADDING) for one in row] for row in each]


def says(text, what, told):
    """Whether a phrase for it is in the text, word for word."""
    forms = [phrase.format(it=word) for phrase in module._phrases()[what][told] for word in ("this thing", "it")]
    return any(f" {' '.join(split_words(form))} " in f" {text} " for form in forms)


@pytest.mark.parametrize(("side", "told"), [*itertools.product(("source", "target"), ("train", "held-out"))])
def test_what_is_said_of_a_thing_is_true_of_it(side, told):
    tasks = drawn(60, side, told)
    for numbers, both in zip(np.asarray(tasks.parameters.numbers), texts(tasks), strict=True):
        for thing, text in zip(numbers, both, strict=True):
            role, way, pace = sorted(KINDS[side])[thing % 6]
            assert says(text, module.ROLES[role], told), text
            assert says(text, module.WAYS[way], told), text
            assert says(text, module.PACES[pace], told), text
            assert not says(text, module.ROLES[1 - role], told), text
    assert (tasks.parameters.numbers[:, 0] % 6 < 3).all()
    assert (tasks.parameters.numbers[:, 1] % 6 >= 3).all()
    assert UNKNOWN not in np.unique(tasks.instruction)


def test_permuted_words_tell_the_other_role_and_nothing_is_nothing():
    tasks = drawn(60, "target", "permuted")
    for friend, enemy in texts(tasks):
        assert says(friend, "enemy", "train")
        assert says(enemy, "friend", "train")
    assert not drawn(3, "target", "nothing").instruction.any()


def test_held_out_phrases_are_apart_and_made_of_known_words():
    told = ("train", "held-out")
    said = [{text for row in texts(drawn(400, "source", each)) for text in row} for each in told]
    assert not said[0] & said[1]
    phrases = [[phrase for group in module._phrases().values() for phrase in group[each]] for each in told]
    train, held_out = ({word for phrase in each for word in split_words(phrase)} for each in phrases)
    assert held_out <= train
    kinds = [kind for side in KINDS.values() for kind in side]
    assert len({text for kind in kinds for each in told for text in module._texts(kind, each)}) >= 200


@pytest.mark.parametrize("given", [("here",), ("source", "shouted"), ("source", "train", 0), ("source", "train", 4)])
def test_what_there_is_not_is_refused(given):
    with pytest.raises(UsageError, match=r"choose|ask for"):
        FriendsAndEnemies(*given)


def test_numbers_are_hidden_in_as_many_games_as_asked_and_things_are_what_they_were():
    world = FriendsAndEnemies(hidden=0.25)
    tasks = jax.vmap(lambda key: world.task(key=key))(jax.random.split(jax.random.key(0), 2_000))
    _, seen = jax.vmap(lambda task: world.reset(task, key=jax.random.key(1)))(tasks)
    hidden = np.asarray(seen.numbers == -1)
    assert (hidden.all(axis=1) == hidden.any(axis=1)).all()
    assert hidden.all(axis=1).mean() == pytest.approx(0.25, abs=0.03)
    assert (tasks.parameters.numbers >= 0).all()
    # The friend is one still: to walk into it earns 1.
    task = Task(Things(jnp.array([0, 3]), jnp.array(False)))
    seen = Seen(jnp.array([3, 3]), jnp.array([-1, -1]), jnp.array([[3, 4], [0, 0]]), jnp.array([True, True]))
    _, met = world.step(Standing(seen, jnp.array(0)), task, jnp.array(RIGHT), key=jax.random.key(0))
    assert float(met.reward) == 1.0
    with pytest.raises(UsageError, match=r"share of 1\.5 of the games"):
        FriendsAndEnemies(hidden=1.5)
