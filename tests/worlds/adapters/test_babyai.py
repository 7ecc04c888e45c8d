"""BabyAI as a world: what is seen, paid and ended is what minigrid says of the same actions in the same level."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.check_env import check_world
from headstart.core.types import Task
from headstart.errors import MissingExtra, UsageError
from headstart.worlds.adapters.babyai import ACTIONS, COLOURS, KINDS, BabyAI, draw_levels, environment, vocabulary

pytestmark = pytest.mark.usefixtures("quick_to_compile")

NAMES = ("GoToObj", "GoToLocal", "PickupLoc")
EACH = 40  # levels


def test_without_the_extra_it_is_said_which_line_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "minigrid", None)
    with pytest.raises(MissingExtra, match=r"headstart-rl\[babyai\]"):
        draw_levels("GoToObj", 1)


@pytest.fixture(scope="module")
def minigrid():
    return pytest.importorskip("minigrid")


@pytest.fixture(scope="module")
def worlds(minigrid):
    drawn = {name: draw_levels(name, EACH) for name in NAMES}
    return {name: (levels, BabyAI.of(levels, vocabulary().tokens)) for name, levels in drawn.items()}


@pytest.mark.parametrize(
    ("name", "count", "said"),
    [
        ("GoToMoon", 1, "GoToMoon"),
        ("GoToObj", 0, "0 levels"),
        ("GoToDoor", 1, "doors"),
        ("PutNextLocal", 1, "missions"),
    ],
)
def test_what_there_is_not_is_refused(minigrid, name, count, said):
    with pytest.raises(UsageError, match=said):
        draw_levels(name, count)


def test_numbers_of_things_and_colours_are_those_of_minigrid(minigrid):
    from minigrid.core.actions import Actions
    from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX

    assert {kind: number for number, kind in enumerate(KINDS)} == OBJECT_TO_IDX
    assert {colour: number for number, colour in enumerate(COLOURS)} == COLOR_TO_IDX
    assert tuple(action.name for action in Actions) == ACTIONS


def drawn_actions(name, rng, steps):
    """Any actions, but most of them steps ahead: who turns as often as that meets nothing."""
    likely = np.array([2, 2, 5, 1.5, 1.5, 0.4, 0.2]) if name == "PickupLoc" else np.array([2, 2, 5, 2, 2, 1, 1])
    return rng.choice(len(ACTIONS), steps, p=likely / likely.sum()).astype(np.int32)


def played(name, actions):
    """What minigrid shows, pays and ends, for each of so many levels and until its end."""
    theirs, found = environment(name), []
    for number, doing in enumerate(actions):
        seen, _ = theirs.reset(seed=number)
        steps, dropped = [(seen, 0.0, False, False)], False
        for action in doing:
            carried = theirs.carrying
            steps.append(theirs.step(action)[:4])
            dropped |= carried is not None and theirs.carrying is None
            if any(steps[-1][2:]):
                break
        found.append((theirs.mission, steps, dropped))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_that_of_minigrid(worlds, name):
    levels, world = worlds[name]
    actions = np.stack([drawn_actions(name, np.random.default_rng(number), 64) for number in range(EACH)])

    @jax.jit
    @jax.vmap
    def ours(level, told, doing):
        def on(state, action):
            return world.step(state, Task(level, instruction=told), action, key=jax.random.key(0))

        state, first = world.reset(Task(level, instruction=told), key=jax.random.key(0))
        return first, jax.lax.scan(on, state, doing)[1]

    first, outcomes = jax.device_get(ours(world.levels, world.told, jnp.asarray(actions)))
    theirs = played(name, actions)
    for number, (mission, steps, _) in enumerate(theirs):
        assert mission == levels.missions[number]
        for moment, (seen, reward, terminated, truncated) in enumerate(steps):
            at = (number, moment - 1)
            where, of = (at, outcomes.observation) if moment else (number, first)
            shown = jax.tree.map(lambda leaf, where=where: leaf[where], of)
            np.testing.assert_array_equal(shown.image, seen["image"])
            assert shown.direction == seen["direction"]
            if moment:
                assert outcomes.reward[at] == pytest.approx(float(reward))
                assert (outcomes.discount[at] == 0) == terminated
                assert outcomes.last[at] == (terminated or truncated)
    over, cut = (sum(steps[-1][which] for _, steps, _ in theirs) for which in (2, 3))
    assert over >= EACH // 8, "nothing was tested of success"
    assert name != "PickupLoc" or (cut and any(dropped for *_, dropped in theirs)), "nothing was tested of carrying"


def test_hidden_cells_are_not_shown(minigrid):
    """A wall across the view, with a gap: what is behind it is seen through the gap alone, as minigrid computes it."""
    from minigrid.core.grid import Grid
    from minigrid.core.world_object import Wall

    from headstart.worlds.adapters.babyai import _visible

    visible = jax.jit(_visible)
    rng = np.random.default_rng(0)
    for _ in range(200):
        clear = rng.random((7, 7)) > rng.choice([0.2, 0.4, 0.6])
        clear[3, 6] = True
        grid = Grid(7, 7)
        for column, row in np.argwhere(~clear):
            grid.set(column, row, Wall())
        np.testing.assert_array_equal(visible(jnp.asarray(clear)), grid.process_vis((3, 6)))


def test_more_levels_begin_with_the_same_ones_and_other_seeds_have_others(minigrid, worlds):
    levels, _ = worlds["GoToLocal"]
    few, other = draw_levels("GoToLocal", 3), draw_levels("GoToLocal", 3, seed=1)
    assert few.missions == levels.missions[:3]
    np.testing.assert_array_equal(few.arrays.kinds, levels.arrays.kinds[:3])
    assert (few.arrays.kinds != other.arrays.kinds).any()


def test_every_mission_is_read_whole_and_every_word_of_it(worlds):
    words = vocabulary()
    for levels, world in worlds.values():
        assert [words.unknown_share(mission) for mission in levels.missions] == [0.0] * EACH
        lengths = [len(mission.split()) for mission in levels.missions]
        np.testing.assert_array_equal((world.told > 0).sum(axis=1), lengths)


def test_it_is_a_world_as_any_other(worlds):
    assert check_world(worlds["PickupLoc"][1]) == []
