"""One battery that every world passes: what `collect`, `vmap`, `scan` and a learner take for granted."""

import jax
import jax.numpy as jnp
import pytest

from headstart.check_env import check_world
from headstart.core.wrappers import TimeLimit, Trials, Whole
from headstart.worlds.bandits import HARD, Bandit, DependentBandit, InformativeBandit, VolatileBandit
from headstart.worlds.bit_flipping import BitFlipping
from headstart.worlds.boardgames.engine import BoardGames, compile_rules, stack
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.trials import GameTrials
from headstart.worlds.classic_control import Acrobot, CartPole, MountainCar, Pendulum
from headstart.worlds.four_rooms import FourRooms, LavaWorld
from headstart.worlds.friends_and_enemies import FriendsAndEnemies
from headstart.worlds.half_circle import HalfCircle
from headstart.worlds.harlow import Harlow
from headstart.worlds.image_maze import ImageMaze
from headstart.worlds.navigation import Direction, Navigation, SparseCorners
from headstart.worlds.object_grid import ObjectGrid
from headstart.worlds.point import PointGather, TwoRoomMaze
from headstart.worlds.probes import Acted, Constant, Delayed, Goal, Matched, Secret, Seen, Word
from headstart.worlds.puddles import PuddleMaps
from headstart.worlds.push import Push
from headstart.worlds.rings import Ring
from headstart.worlds.signposts import Signposts
from headstart.worlds.tabular import TabularMDP, TwoStep
from headstart.worlds.xland.rulesets import SMALL, generate
from headstart.worlds.xland.world import XLand

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def classics(*names):
    return BoardGames(stack([compile_rules(CLASSICS[name]) for name in names]))


def pgx(name):
    pytest.importorskip("pgx")
    from headstart.worlds.adapters.pgx import pgx_world

    return pgx_world(name)


WORLDS = {
    "cartpole": CartPole,
    "acrobot": Acrobot,
    "mountaincar": MountainCar,
    "pendulum": Pendulum,
    "bit-flipping": lambda: BitFlipping(4),
    "push": Push,
    "friends-and-enemies": lambda: FriendsAndEnemies(each=2),
    "object-grid": lambda: ObjectGrid(length=2, shortest=1, slots=3, counts=2, events=0.1, limit=30),
    "puddles": lambda: TimeLimit(PuddleMaps("global"), 75),
    "four-rooms": FourRooms,
    "four-rooms-image": lambda: FourRooms("image"),
    "lava": lambda: LavaWorld("one-hot"),
    "point-gather": PointGather,
    "two-room-maze": TwoRoomMaze,
    "navigation": Navigation,
    "sparse-corners": SparseCorners,
    "direction": Direction,
    "half-circle": HalfCircle,
    "half-circle-sparse": lambda: HalfCircle(reach=0.5),
    "image-maze": ImageMaze,
    "bandit": Bandit,
    "bandit-trials": lambda: Trials(Bandit(3), 10),
    "bandit-dependent": lambda: DependentBandit(HARD),
    "bandit-informative": InformativeBandit,
    "bandit-volatile": VolatileBandit,
    "harlow": Harlow,
    "tabular-mdp": TabularMDP,
    "tabular-mdp-trials": lambda: Trials(TabularMDP(), 10),
    "two-step": TwoStep,
    "xland": lambda: XLand(generate(20, SMALL), rooms="R2", size=7, steps=20),
    "xland-trials": lambda: Trials(XLand(generate(20), size=6, view=3, steps=10), 2),
    "ring": lambda: TimeLimit(Ring(), 8),
    "signposts": lambda: Signposts(distractions=2, dead=1),
    "whole": lambda: Whole(CartPole(), 8),
    **{probe.__name__.lower(): probe for probe in (Acted, Constant, Delayed, Goal, Matched, Secret, Seen, Word)},
    "trials": lambda: Trials(TimeLimit(Secret(), 2), 3),
    "boardgames": lambda: classics("tic_tac_toe", "connect_four"),
    "boardgames-trials": lambda: GameTrials(classics("tic_tac_toe", "connect_four"), episodes=2),
    "pgx": lambda: pgx("tic_tac_toe"),
}


# The engine takes long to compile.
NAMES = [pytest.param(name, marks=pytest.mark.slow) if "boardgames" in name else name for name in WORLDS]
INNER_END = "the discount is 0 where last is False"  # how a trial tells of the end of an episode within it


@pytest.mark.parametrize("name", NAMES)
def test_a_world_conforms(name):
    world = WORLDS[name]()
    # Pure and vmappable; shapes kept; rewards finite; discounts −1, 0 or 1; something legal until the end; an end.
    found = check_world(world, lanes=3)
    assert [fault for fault in found if "trials" not in name or INNER_END not in fault.sentence] == []
    assert_no_weak_types(world)


def assert_no_weak_types(world):
    """A weakly typed array changes its type on the way through a loop, and has it compiled twice."""

    def once(key):
        task = world.task(key=key)
        state, observation = world.reset(task, key=key)
        after, outcome = world.step(state, task, world.actions.zero(), key=key)
        return task, state, observation, world.legal(state, task), after, outcome

    task, state, observation, legal, after, outcome = jax.eval_shape(once, jax.random.key(0))
    # Reward and discount are given their type by `perceive`.
    carried = (task, state, observation, legal, after, outcome.observation)
    for path, leaf in jax.tree_util.tree_leaves_with_path(carried):
        assert not leaf.weak_type, path
    kind = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert kind(after) == kind(state)
    assert kind(outcome.observation) == kind(observation)
    for field, dtype in ((outcome.reward, jnp.float32), (outcome.discount, jnp.float32), (outcome.last, jnp.bool_)):
        assert (field.shape, field.dtype) == ((), dtype)
