"""XLand-MiniGrid: move by move what `xminigrid` does, by hand where a number can be counted, and what it refuses.

`xland_recorded.npz` is what `tools/record_xland.py` wrote down of `xminigrid` 0.9.3.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import UsageError
from headstart.worlds.xland.rooms import ROOMS, plan
from headstart.worlds.xland.rulesets import Ruleset
from headstart.worlds.xland.tiles import COLOURS, GOAL_KINDS, OBJECTS, RULE_KINDS, SHAPES, code, codes, tile
from headstart.worlds.xland.world import FORWARD, LEFT, PICK, PUT, RIGHT, Scene, XLand, places

pytestmark = pytest.mark.usefixtures("quick_to_compile")
RECORDED = np.load(Path(__file__).parent / "xland_recorded.npz", allow_pickle=False)
CASES = sorted({name.partition(" ")[0] for name in RECORDED})
BALL, KEY, STAR = (SHAPES.index("ball"), 1), (SHAPES.index("key"), 2), (SHAPES.index("star"), 3)
NUMBER = {each: code(*each) for each in (BALL, KEY, STAR)}


@pytest.mark.parametrize("case", CASES)
def test_it_does_what_xminigrid_does(case):
    of = lambda name: RECORDED[f"{case} {name}"]
    rulesets = Ruleset(of("goal"), of("rules"), of("tiles"))
    view = of("view").shape[-1]
    world = XLand(rulesets, rooms=str(of("rooms")), size=int(of("size")), view=view)
    start = Scene(
        jnp.asarray(of("start grid")),
        jnp.asarray(of("start cell").astype(np.int32)),
        jnp.asarray(of("start direction").astype(np.int32)),
        jnp.asarray(of("start hand")),
        jnp.zeros(len(rulesets.goal), jnp.int32),
    )
    tasks = Task(parameters=jax.tree.map(jnp.asarray, rulesets))

    def step(scenes, actions):
        scenes, outcomes = jax.vmap(lambda scene, task, action: world.step(scene, task, action))(scenes, tasks, actions)
        return scenes, (scenes, outcomes)

    _, (scenes, outcomes) = jax.jit(lambda: jax.lax.scan(step, start, jnp.asarray(of("action").astype(np.int32))))()
    for name, found in (
        ("grid", scenes.grid),
        ("cell", scenes.cell),
        ("direction", scenes.direction),
        ("hand", scenes.hand),
        ("view", codes(outcomes.observation.tiles)),
        ("end", outcomes.discount == 0),
    ):
        np.testing.assert_array_equal(found, of(name), err_msg=name)
    np.testing.assert_allclose(outcomes.reward, of("reward"), rtol=1e-6)
    np.testing.assert_array_equal(outcomes.observation.direction, of("direction"))


def test_what_was_recorded_has_goals_reached_and_rules_that_made_tiles():
    reached, made = set(), set()
    for case in CASES:
        start, grid = RECORDED[f"{case} start grid"], RECORDED[f"{case} grid"]
        reached |= {case} if RECORDED[f"{case} end"].sum() > 3 else set()
        for lane in range(len(start)):
            new = np.setdiff1d(grid[:, lane], start[lane]) // len(COLOURS)
            made |= {case} if np.isin(new, [SHAPES.index(shape) for shape in (*OBJECTS, "goal")]).any() else set()
    assert reached >= {"trivial", "medium", "high", "nine"}
    assert made >= {"small", "medium", "high"}
    assert "trivial" not in made


def one(goal=("hold", BALL), rules=(), tiles=(BALL,)):
    """A single ruleset, from names."""
    encode = lambda kinds, kind, *parts: [kinds[kind], *(number for part in parts for number in part)]
    padded = lambda rows, size: np.array([row + [0] * (size - len(row)) for row in rows], np.uint8).reshape(1, -1, size)
    return Ruleset(
        padded([encode(GOAL_KINDS, *goal)], 5)[:, 0],
        padded([encode(RULE_KINDS, *rule) for rule in rules], 7),
        padded([list(each) for each in tiles], 2),
    )


def played(ruleset, lying, actions, size=5, steps=50):
    """An agent at row 2 and column 2 that looks up and does so: where it ends, and what each step answered.

    `lying` are tiles by row and column.
    """
    world = XLand(ruleset, size=size, steps=steps)
    grid = np.where(plan("R1", size).walls, tile("wall", "grey"), tile("floor", "black")).astype(np.uint8)
    for (row, column), what in lying.items():
        grid[row * size + column] = NUMBER.get(what, what)
    zero = jnp.zeros((), jnp.int32)
    scene = Scene(jnp.asarray(grid), zero + 2 * size + 2, zero, jnp.zeros((), jnp.uint8), zero)
    task, answers = Task(parameters=jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), ruleset)), []
    for action in actions:
        scene, outcome = world.step(scene, task, jnp.asarray(action))
        answers.append((round(float(outcome.reward), 4), float(outcome.discount), bool(outcome.last)))
    return scene, answers


def test_a_goal_earns_less_the_later_it_is_reached():
    _, answers = played(one(), {(1, 3): BALL}, [RIGHT, FORWARD, LEFT, PICK])
    assert answers == [(0, 1, False)] * 3 + [(round(1 - 0.9 * 4 / 50, 4), 0, True)]


def test_time_runs_out_without_an_end_of_the_task():
    _, answers = played(one(), {(1, 1): BALL}, [LEFT] * 3, steps=3)
    assert answers == [(0, 1, False)] * 2 + [(0, 1, True)]


def test_to_be_next_to_a_tile_is_noticed_by_who_walks_and_a_side_counts():
    lying = {(1, 3): BALL}
    assert [last for *_, last in played(one(("near", BALL)), lying, [RIGHT, FORWARD])[1]] == [False, True]
    assert [last for *_, last in played(one(("near_up", BALL)), lying, [RIGHT, FORWARD])[1]] == [False, True]
    assert [last for *_, last in played(one(("near_left", BALL)), lying, [RIGHT, FORWARD])[1]] == [False, False]


def test_nobody_walks_through_things_and_one_hand_holds_one_thing():
    lying = {(1, 2): BALL, (2, 3): KEY}
    scene, _ = played(one(("hold", STAR)), lying, [FORWARD, PICK, RIGHT, FORWARD, PICK])
    assert (int(scene.cell), int(scene.hand)) == (12, NUMBER[BALL])
    scene, _ = played(one(("hold", STAR)), lying, [PICK, PUT, FORWARD, RIGHT, PICK])
    assert (int(scene.cell), int(scene.hand)) == (12, NUMBER[KEY])
    assert int(scene.grid[7]) == NUMBER[BALL]


def test_a_rule_turns_two_tiles_that_meet_into_one_that_is_held_by_and_by():
    rule = ("tiles_near_right", BALL, KEY, STAR)  # a key to the right of a ball
    ruleset = one(("hold", STAR), [rule], (BALL, KEY))
    lying = {(2, 3): KEY, (3, 2): BALL}
    to_fetch, to_put_above = [RIGHT, RIGHT, PICK], [RIGHT, RIGHT, PUT]
    scene, answers = played(ruleset, lying, to_fetch + to_put_above)
    assert int(scene.grid[7]) == NUMBER[BALL]  # above the agent; the key is not on its right
    lying = {(1, 3): KEY, (3, 2): BALL}
    scene, answers = played(ruleset, lying, to_fetch + to_put_above)
    assert (int(scene.grid[7]), int(scene.grid[8])) == (tile("floor", "black"), NUMBER[STAR])
    _, answers = played(ruleset, lying, [*to_fetch, *to_put_above, FORWARD, RIGHT, PICK])
    assert answers[-1] == (round(1 - 0.9 * 9 / 50, 4), 0, True)


def test_rules_follow_each_other_in_one_step():
    chain = [("hold", BALL, KEY), ("hold", KEY, STAR)]
    scene, answers = played(one(("hold", STAR), chain), {(1, 2): BALL}, [PICK])
    assert int(scene.hand) == NUMBER[STAR]
    assert answers[-1][-1]
    scene, answers = played(one(("hold", STAR), chain[::-1]), {(1, 2): BALL}, [PICK])
    assert int(scene.hand) == NUMBER[KEY]
    assert not answers[-1][-1]


def test_cells_are_drawn_alike_and_no_cell_twice():
    free = jnp.asarray(plan("R4", 9).free)
    bits = jax.random.bits(jax.random.key(0), (4_000, 5), jnp.uint32)
    found = np.asarray(jax.jit(jax.vmap(lambda bits: places(free, bits)))(bits))
    assert np.asarray(free)[found].all()
    assert all(len(set(row)) == 5 for row in found.tolist())
    for column in found.T:
        counts = np.bincount(column, minlength=81)[np.asarray(free)]
        expected = 4_000 / counts.size
        # Chi-squared with 35 degrees of freedom: 75 is beyond one in ten thousand.
        assert ((counts - expected) ** 2 / expected).sum() < 75
    all_of_them = places(jnp.ones(4, bool), jnp.array([7, 1, 1, 0], jnp.uint32))
    assert sorted(all_of_them.tolist()) == [0, 1, 2, 3]


def test_an_episode_begins_with_all_its_tiles_on_the_floor_and_doors_in_the_walls():
    ruleset = one(tiles=(BALL, KEY, STAR, (0, 0)))
    for rooms, size, doors in (("R1", 7, 0), ("R2", 7, 1), ("R4", 9, 4), ("R6", 13, 6), ("R9", 10, 12)):
        world = XLand(ruleset, rooms=rooms, size=size)
        task = world.task(key=jax.random.key(0))
        scenes, _ = jax.vmap(lambda key, world=world, task=task: world.reset(task, key=key))(
            jax.random.split(jax.random.key(1), 50)
        )
        shapes = np.asarray(scenes.grid) // len(COLOURS)
        assert (np.sum(shapes == SHAPES.index("closed door"), axis=1) == doors).all()
        for each in (BALL, KEY, STAR):
            assert (np.sum(np.asarray(scenes.grid) == NUMBER[each], axis=1) == 1).all()
        assert (shapes[np.arange(50), np.asarray(scenes.cell)] == SHAPES.index("floor")).all()
        assert set(np.asarray(scenes.direction).tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("rooms", ROOMS)
def test_rooms_that_fit_in_the_grids_of_xminigrid_are_made_and_others_name_a_size(rooms):
    for size in {"R1": (9,), "R2": (9, 16), "R4": (9, 17), "R6": (13, 17, 19), "R9": (16, 19, 25)}[rooms]:
        plan(rooms, size)
    with pytest.raises(UsageError, match=r"give \d+"):
        plan(rooms, {"R6": 8, "R9": 6}.get(rooms, 4))


def test_what_it_cannot_be_made_of_is_refused_in_a_sentence():
    ruleset = one()
    many = one(tiles=[BALL] * 12)
    padded = one(tiles=[BALL, *[(0, 0)] * 30])
    XLand(padded, size=5)
    for match, make in {
        "no rooms 'R3'; give one of R1": lambda: XLand(ruleset, rooms="R3"),
        "grid of 4 has no room": lambda: XLand(ruleset, size=4),
        "odd number": lambda: XLand(ruleset, view=4),
        "ask for 1 step": lambda: XLand(ruleset, steps=0),
        "no ruleset to draw": lambda: XLand(jax.tree.map(lambda leaf: leaf[:0], ruleset)),
        "12 tiles and an agent leave no room to move in a grid of 6 with 16": lambda: XLand(many, size=6),
        "no goal of kind 5": lambda: XLand(
            Ruleset(np.array([[5, 3, 1, 2, 2]], np.uint8), ruleset.rules, ruleset.tiles)
        ),
        "no rule of kind 40": lambda: XLand(Ruleset(ruleset.goal, np.full((1, 1, 7), 40, np.uint8), ruleset.tiles)),
        "shape 13 and colour 1": lambda: XLand(one(tiles=[(13, 1)])),
        "rooms R9 do not fit in a grid of 6; give": lambda: XLand(ruleset, rooms="R9", size=6),
    }.items():
        with pytest.raises(UsageError, match=match):
            make()
