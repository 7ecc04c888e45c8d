"""Puddle maps: what the words mean is the goal, held-out words are apart but readable, and values are the true ones."""

import itertools
import re
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.instructions.vocabulary import PADDING, UNKNOWN
from headstart.worlds.puddles import AFTER, GOAL, SIZE, THINGS, Chart, PuddleMaps, vocabulary

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KINDS, SIDES = ("local", "global"), ("train", "contrasts", "combinations", "paraphrases")
WORDS = {number: word for word, number in vocabulary().numbers.items()}


def drawn(kind, side, count, seed=0):
    world = PuddleMaps(kind, side)
    keys = jax.random.split(jax.random.key(seed), count)
    return jax.jit(jax.vmap(lambda key: world.task(key=key)))(keys)


def sentence(tokens):
    return " ".join(WORDS[int(token)] for token in tokens if token != PADDING)


# A reader of its own: what is not meant is cut out, and the rest is looked up word by word.
UP, DOWN = r"above|north|up", r"below|south|down"
LEFT, RIGHT = r"left|west", r"right|east"
EXTREME = {
    "top": (-1, 0), "upper": (-1, 0), "north": (-1, 0), "bottom": (1, 0), "lower": (1, 0), "south": (1, 0),
    "left": (0, -1), "west": (0, -1), "right": (0, 1), "east": (0, 1),
}  # fmt: skip


def meant(words, things):
    """The cell that a sentence means on a map, by a reading that shares nothing with the grammar."""
    # "not A but B" means B; "A, not B", "A and not B" and "A but not B" mean A.
    if found := re.search(r"(?<!but )\bnot (.*?) but (?!not)(.*)", words):
        words = found[2]
    else:
        words = re.split(r"\b(?:and |but )?not\b", words)[0]
    words = words.replace(" .", "")
    name = next(name for name in THINGS if name in words)
    cells = np.argwhere(things == THINGS.index(name) + 1)
    # What tells things of a kind apart stands next to its name: before it as one word, or after "nearest to".
    direction = np.zeros(2, int)
    near = re.search(rf"{name} (?:that is )?(?:nearest|closest) to the (.*?) (?:corner|edge)", words)
    ern = re.search(rf"the (?:most )?(\w+) {name}", words)
    told = near[1] if near else ern[1] if ern else ""
    for word, way in EXTREME.items():
        if re.search(word, told):
            direction += way
    if len(cells) > 1:
        cells = cells[np.argsort(cells @ direction)][-1:]
    before = re.split(rf"\bthe (?:most )?(?:\w+ )?{name}\b", words)[0]
    step = np.zeros(2, int)
    step[0] = bool(re.search(rf"\b({DOWN})\b", before)) - int(bool(re.search(rf"\b({UP})\b", before)))
    step[1] = bool(re.search(rf"\b({RIGHT})\b", before)) - int(bool(re.search(rf"\b({LEFT})\b", before)))
    far = 2 if re.search(r"\btwo\b", before) else 1
    return cells[0] + far * step


@pytest.mark.parametrize(("kind", "side"), list(itertools.product(KINDS, SIDES)))
def test_the_words_mean_the_goal(kind, side):
    tasks = drawn(kind, side, 150)
    drawn_maps = (tasks.instruction, tasks.parameters.things, tasks.parameters.goal)
    for tokens, things, goal in zip(*map(np.asarray, drawn_maps), strict=True):
        words = sentence(tokens)
        assert meant(words, things).tolist() == list(divmod(int(goal), SIZE)), words


def test_what_is_held_out_is_apart_and_readable():
    told = {
        (kind, side): {sentence(tokens) for tokens in drawn(kind, side, 600).instruction}
        for kind, side in itertools.product(KINDS, SIDES)
    }
    for kind in KINDS:
        train = {word for text in told[kind, "train"] for word in text.split()}
        for side in ("combinations", "paraphrases"):
            assert not told[kind, side] & told[kind, "train"]
            assert not told[kind, side] & told[kind, "contrasts"]
        assert {word for text in told[kind, "paraphrases"] for word in text.split()} <= train
        assert all(re.search(r"\bnot\b", text) for text in told[kind, "contrasts"])
    assert UNKNOWN not in np.unique(drawn("local", "paraphrases", 100).instruction)


def test_a_map_has_each_thing_once_or_three_times():
    chart = jax.jit(PuddleMaps().chart)(key=jax.random.key(1))
    count = np.bincount(np.asarray(chart.things).ravel(), minlength=11)
    assert count[1:].tolist() == [1] * 6 + [3] * 4
    assert 25 <= int(chart.puddle.sum()) <= 30


def test_values_are_those_of_the_best_ways():
    """On a map without puddles, what is earned is 3, discounted by the way; with one, going through costs 1."""
    dry = Chart(jnp.zeros((SIZE, SIZE), bool), jnp.zeros((SIZE, SIZE), int), jnp.array(37))
    far, queue = {37: 0}, deque([37])
    while queue:
        cell = queue.popleft()
        for after in AFTER[cell]:
            if after not in far:
                far[after] = far[cell] + 1
                queue.append(after)
    expected = [GOAL * 0.9 ** far[cell] for cell in range(SIZE * SIZE)]
    np.testing.assert_allclose(PuddleMaps.values(dry, 0.9), expected, rtol=1e-5)
    wall = dry.puddle.at[:, 5].set(True)  # a column of water between the goal and what lies to its left
    values = PuddleMaps.values(Chart(wall, dry.things, dry.goal), 0.9).reshape(SIZE, SIZE)
    assert values[3, 4] == pytest.approx(-1 * 0.9 + 3 * 0.9**3, rel=1e-5)
    assert values[3, 5] == pytest.approx(-1 + 3 * 0.9**2, rel=1e-5)


def test_a_goal_in_a_puddle_earns_two_and_ends():
    world, task = PuddleMaps(), drawn("local", "train", 1)
    chart = jax.tree.map(lambda leaf: leaf[0], task.parameters)
    chart = Chart(chart.puddle.at[0, 1].set(True).at[0, 0].set(False), chart.things, jnp.array(1))
    state, outcome = world.step(jnp.array(0), Task(chart), jnp.array(1))
    assert (int(state), float(outcome.reward), float(outcome.discount), bool(outcome.last)) == (1, 2.0, 0.0, True)
    _, outcome = world.step(jnp.array(0), Task(chart), jnp.array(0))  # off the map is nowhere
    assert (float(outcome.reward), float(outcome.discount)) == (0.0, 1.0)


def test_no_episode_begins_at_its_goal():
    tasks = drawn("global", "train", 200)
    begin = jax.vmap(lambda task, key: PuddleMaps().reset(task, key=key)[0])
    assert not (begin(tasks, jax.random.split(jax.random.key(3), 200)) == tasks.parameters.goal).any()


@pytest.mark.parametrize("given", [("near", "train"), ("local", "test")])
def test_unknown_instructions_are_refused(given):
    with pytest.raises(UsageError, match="choose"):
        PuddleMaps(*given)
