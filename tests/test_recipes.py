import json
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from headstart import greedy, recipes
from headstart.configuration import configuration
from headstart.core.collect import begin
from headstart.core.learner import AbstractLearner
from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.process import Online, train
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Outcome, Output, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import BadData, UsageError
from headstart.newgame import reading, training

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Countdown(AbstractWorld):
    """An episode lasts as many steps as its first observation says, and action 1 pays 1 a step; 2 is illegal."""

    endless: bool = False

    @property
    def actions(self):
        return Discrete(3)

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        steps = jax.random.randint(key, (), 1, 100)
        return steps, steps.astype(jnp.float32)

    def legal(self, state, task):
        return jnp.array([True, True, False])

    def step(self, state, task, action, *, key):
        last = (state <= 1) & (not self.endless)
        reward = jnp.array([0.0, 1.0, 100.0])[action]
        return state - 1, Outcome((state - 1).astype(jnp.float32), reward, 1.0 - last, last)


class Fixed(AbstractNetwork):
    """The same preference at every moment, and the first observation of each episode remembered."""

    preference: jax.Array
    values: bool

    def initial(self):
        return jnp.zeros(())

    def __call__(self, percept, memory):
        policy = self.preference if self.values else Categorical(self.preference, percept.legal)
        return Output(policy, jnp.zeros(())), jnp.where(percept.first, percept.observation, memory)


class State(eqx.Module):
    network: AbstractNetwork


class Idle(AbstractLearner):
    """Learns nothing."""

    source: AbstractSource = Chain()

    def init(self, network, example, *, key):
        return State(network)

    def act(self, state, percept, memory, *, key):
        return Choice(jnp.zeros((), jnp.int32)), memory

    def update(self, state, rollout, *, key):
        return state, {}


@pytest.mark.parametrize("values", [False, True])
def test_returns_are_of_one_whole_greedy_episode_each(values):
    """Action 1 is preferred only a little, and the illegal one most: greedy play earns 1 in every step."""
    network, key = Fixed(jnp.array([0.0, 0.1, 9.0]), values), jax.random.key(3)
    found = greedy.returns(Countdown(), network, episodes=33, key=key)
    lanes = jax.jit(lambda key: begin(Countdown(), network, 33, key=key))(jax.random.split(key)[0])
    np.testing.assert_array_equal(found, lanes.percept.observation)


def test_a_world_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(greedy, "ENDLESS", 100)
    with pytest.raises(BadData, match="no end in 100 steps"):
        greedy.returns(Countdown(endless=True), Fixed(jnp.ones(3), True), episodes=2, key=jax.random.key(0))


def test_an_evaluation_shows_mean_and_interval_over_episodes(monkeypatch):
    process = Online(Countdown(), lambda key: Fixed(jnp.array([0.0, 0.1]), True), Idle(), lanes=2)
    state = eqx.filter_eval_shape(process.init, key=jax.random.key(0))
    counted = lambda world, network, *, episodes, key: greedy.Played(np.arange(episodes, dtype=float))
    monkeypatch.setattr(greedy, "played", counted)
    found = greedy.evaluate(process, state, title="counting", episodes=16, seed=0)
    assert found.figures["mean return"] == found.figures["interquartile mean"] == 7.5
    low, high = found.figures["95 % interval"]
    assert 2 < low < 7.5 < high < 13
    assert (found.figures["least"], found.figures["most"]) == (0, 15)
    page = found.report.html()
    assert "<h1>counting</h1>" in page
    assert "interquartile mean" in page


@pytest.fixture
def built(monkeypatch):
    """Settings with which processes of board games would have been built: their texts take a minute to write."""
    asked = []
    for module in (training, reading):
        monkeypatch.setattr(module, "process", lambda settings: asked.append(settings) or "the process")
    return asked


BOARDS = {"newgame", "reading"}  # which the study newgame judges
# Which take an extra, and seconds to make.
EXTRAS = {"fetchreach-hindsight", "fetchpush-hindsight", "babyai-filtered", "halfcheetah-maml"}


def assert_named(recipe, name):
    assert recipe.configuration["recipe"] == name
    assert recipe.configuration["iterations"] == recipe.iterations >= 1
    assert json.loads(json.dumps(recipe.configuration)) == recipe.configuration


@pytest.mark.parametrize("name", [name for name in recipes.RECIPES if name not in BOARDS | EXTRAS])
def test_every_recipe_builds_and_can_be_stepped(name):
    recipe = recipes.find(name)
    assert_named(recipe, name)
    key = jax.random.key(0)
    state = eqx.filter_eval_shape(recipe.process.init, key=key)
    _, metrics = eqx.filter_eval_shape(recipe.process.step, state, key=key)
    assert "episode/return" in metrics
    tasks = getattr(recipe.process, "tasks", 1) * (1 + getattr(recipe.process, "steps", 0))
    assert recipe.steps == recipe.process.lanes * recipe.process.length * tasks


def test_every_recipe_that_can_be_judged_has_a_score_to_reach(built):
    judged = {name for name in recipes.RECIPES.keys() - EXTRAS if recipes.find(name).evaluate}
    # What studies and `tests/goals` judge.
    goals = {"bitflipping-hindsight", "push-hindsight", "fourrooms-uvfa", "pointgather-goals"}
    # What the studies `rl2`, `two_step`, `volatile_bandit`, `harlow` and `xland` and `tests/experience` judge.
    trials = {"bandit-rl2", "twostep-prefrontal", "volatilebandit-prefrontal", "harlow-prefrontal", "xland-rl2"}
    # What the studies `maml` and `maesn` judge.
    gradients = {"navigation-maml", "direction-maml", "halfcircle-maesn"}
    # What the studies `language_transfer` and `task_generalization` judge.
    read = {"friends-textvin", "objectgrid-analogies"}
    assert judged == recipes.PUBLISHED.keys() | BOARDS | goals | trials | gradients | read
    assert len(built) == 2


def test_a_recipe_of_missions_builds_and_can_be_stepped(monkeypatch):
    """What it comes to, the study `babyai` judges."""
    pytest.importorskip("minigrid")
    from headstart.worlds.adapters import babyai

    few = babyai.draw_levels("GoToLocal", 8)
    monkeypatch.setattr(babyai, "draw_levels", lambda name, count: few)
    test_every_recipe_builds_and_can_be_stepped("babyai-filtered")
    assert recipes.find("babyai-filtered").evaluate is not None


# As in tests of its adapter.
@pytest.mark.filterwarnings("ignore")
def test_a_recipe_of_a_cheetah_builds_and_can_be_stepped():
    pytest.importorskip("brax.envs")
    test_every_recipe_builds_and_can_be_stepped("halfcheetah-maml")
    assert recipes.find("halfcheetah-maml").process.length == 200


@pytest.mark.slow
def test_a_robot_reaches_where_it_is_told(tmp_path):
    pytest.importorskip("gymnasium_robotics")
    recipe = recipes.find("fetchreach-hindsight")
    assert_named(recipe, "fetchreach-hindsight")
    assert recipe.steps == 400
    state = train(recipe.process, recipe.iterations, key=jax.random.key(0), chunk=recipe.chunk)
    found = recipe.evaluate(recipe.process, state, title="reach", episodes=64, seed=0)
    assert found.figures["at the goal at last"] >= 0.95
    assert found.figures["episodes"] == 64
    assert found.figures["least"] >= -50


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(recipes.PUBLISHED))
def test_a_recipe_reaches_the_published_score(name):
    recipe = recipes.find(name)
    state = train(recipe.process, recipe.iterations, key=jax.random.key(0))
    found = recipe.evaluate(recipe.process, state, title=name, episodes=128, seed=0)
    assert found.figures["mean return"] >= recipes.PUBLISHED[name]


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_says_in_a_line_what_it_is(name):
    assert 20 < len(recipes.about(name)) <= 110


def test_iterations_may_be_asked_for():
    assert recipes.find("cartpole-ppo", 7).iterations == 7


@pytest.mark.parametrize(
    ("name", "settings", "asked"),
    [("newgame", training.Training, "training"), ("reading", reading.Lessons, "lessons")],
)
def test_what_has_a_schedule_is_trained_for_as_long_as_it_says(name, settings, asked, built):
    """Its learning rate falls over the run, so another length is another configuration."""
    recipe = recipes.find(name, 7)
    assert built == [settings(iterations=7)]
    assert recipe.process == "the process"
    assert recipe.configuration[asked]["iterations"] == recipe.configuration["iterations"] == 7


def test_steps_are_moves_where_games_are_played_and_texts_where_they_are_read(built):
    assert recipes.find("newgame").steps == built[0].lanes * built[0].length
    assert recipes.find("reading").steps == built[1].lessons * built[1].texts


def test_a_typo_names_the_nearest_recipe():
    with pytest.raises(UsageError, match="did you mean 'acrobot-ppo'"):
        recipes.find("acrobat-ppo")


def test_a_configuration_shows_every_number_that_could_change():
    process = Online(Countdown(), partial(Fixed, jnp.array([0.0, 1.0]), values=True), Idle(), lanes=2)
    assert configuration(process) == {
        "class": "Online",
        "world": {"class": "Countdown", "endless": False},
        "network": {"call": "Fixed", "values": True, "arguments": [[0.0, 1.0]]},
        "learner": {"class": "Idle", "source": {"class": "Chain", "sources": []}},
        "lanes": 2,
        "length": 32,
    }
    assert configuration(jnp.zeros((5, 5))) == "float32[5, 5]"
    assert configuration(jnp.tanh) == "tanh"
    slower, faster = (configuration(optax.linear_schedule(rate, 0.0, 10)) for rate in (1e-3, 1e-2))
    assert slower["init_value"] == 1e-3
    assert slower | {"init_value": 1e-2} == faster
