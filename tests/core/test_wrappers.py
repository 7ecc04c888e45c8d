import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from counting import Counting, Rememberer, act
from headstart.core.collect import begin, collect
from headstart.core.types import Outcome, Task
from headstart.core.world import AbstractTwoPlayerWorld, AbstractWorld, Discrete
from headstart.core.wrappers import Like, OneTask, Rescaled, TimeLimit, Trials
from headstart.errors import UsageError
from headstart.worlds.classic_control import MountainCar

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def rollout(world, length=24):
    """Leaves `[length, ...]`: one lane of a world, under an agent that counts."""

    @jax.jit
    def one(key):
        lanes_key, key = jax.random.split(key)
        network = Rememberer()
        return collect(world, network, act(network), begin(world, network, 1, key=lanes_key), length, key=key)[1]

    return jax.tree.map(lambda leaf: np.asarray(leaf)[:, 0], one(jax.random.key(0)))


def test_a_limit_cuts_and_does_not_end():
    steps = rollout(TimeLimit(Counting(length=5), 4))
    assert (steps.last == np.tile([False, False, False, True], 6)).all()
    assert (steps.discount == 1).all()
    assert (steps.reward == np.tile([1, 2, 3, 4], 6)).all()
    assert (steps.cumulants[:, 0] == 10 * steps.reward).all()


def test_an_end_at_the_limit_stays_an_end():
    steps = rollout(TimeLimit(Counting(length=3), 3))
    assert (steps.last == np.tile([False, False, True], 8)).all()
    assert (steps.discount == 1 - steps.last).all()


def test_a_trial_keeps_task_and_memory_across_its_episodes():
    steps = rollout(Trials(Counting(length=3), 4))
    assert (steps.last == np.tile([False] * 11 + [True], 2)).all()
    assert (steps.discount == 1 - steps.last).all()  # what is found out is worth something after an inner end
    assert (steps.reward == np.tile([1, 2, 3], 8)).all()
    task, nonce, clock = steps.percept.observation.observation.T
    assert (clock == np.tile([0, 1, 2], 8)).all()
    assert len(set(task[:12])) == len(set(task[12:])) == 1  # one task a trial,
    assert len(set(task)) == 2  # another in the next;
    assert len(set(nonce)) == 8  # a fresh beginning for each episode.
    assert (steps.percept.first == np.tile([True] + [False] * 11, 2)).all()
    assert (steps.notes["memory"] == np.tile(np.arange(12), 2)).all()
    # The agent sees that an episode begins, the first one too.
    assert (steps.percept.observation.begins == np.tile([1, 0, 0], 8)).all()
    # The end of a trial has its true successor; after an inner end comes the next beginning.
    assert (steps.after.observation.observation[:, 2] == np.tile([1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 3], 2)).all()
    assert (steps.after.observation.begins == np.tile([0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0], 2)).all()


def test_a_trial_of_episodes_that_are_cut_short_ends_as_truly():
    steps = rollout(Trials(TimeLimit(Counting(length=9), 2), 3))
    assert (steps.last == np.tile([False] * 5 + [True], 4)).all()
    assert (steps.discount == 1 - steps.last).all()


def test_other_units_change_what_is_seen_and_nothing_else():
    world, task, key = MountainCar(), Task(), jax.random.key(0)
    shown = Rescaled(world, low=(-1.2, -0.07), high=(0.6, 0.07))
    state, _ = world.reset(task, key=key)
    np.testing.assert_allclose(shown.reset(task, key=key)[1], [(state.place[0] + 0.3) / 0.9, 0.0], rtol=1e-5)
    state = eqx.tree_at(lambda state: state.place, state, jnp.array([0.55, 0.07]))
    after, outcome = shown.step(state, task, jnp.array(2), key=key)
    np.testing.assert_array_equal(after.place, world.step(state, task, jnp.array(2))[0].place)
    np.testing.assert_allclose(outcome.observation, [1.0, 1.0], rtol=1e-5)
    assert bool(outcome.last)
    with pytest.raises(UsageError, match="below its high"):
        Rescaled(world, low=(1.0,), high=(1.0,))


def test_limits_cut_an_episode_of_a_trial_or_the_trial():
    steps = rollout(TimeLimit(Trials(TimeLimit(Counting(length=9), 2), 3), 5))
    assert (steps.reward[:20] == np.tile([1, 2, 1, 2, 1], 4)).all()
    assert (steps.last[:20] == np.tile([False] * 4 + [True], 4)).all()
    assert (steps.discount == 1).all()  # the trial was cut short


def test_none_at_all_is_refused():
    with pytest.raises(UsageError, match="0 steps"):
        TimeLimit(Counting(), 0)
    with pytest.raises(UsageError, match="-1 episodes"):
        Trials(Counting(), -1)


def test_wrappers_pass_on_what_is_legal():
    class Masked(Counting):
        def legal(self, state, task):
            return jnp.stack([state[2] > 0, state[2] >= 0, state[2] < 0])

    for world in (TimeLimit(Masked(), 5), Trials(Masked(), 5)):
        task = world.task(key=jax.random.key(0))
        state, _ = world.reset(task, key=jax.random.key(0))
        assert world.legal(state, task).tolist() == [False, True, False]


class Turns(AbstractTwoPlayerWorld):
    """Two players in turn name a number; the one in the task ends the game, and wins it."""

    @property
    def actions(self):
        return Discrete(3)

    def task(self, *, key):
        return Task(parameters=jax.random.randint(key, (), 0, 3))

    def reset(self, task, *, key):
        return jnp.array(0), jnp.zeros(1)

    def step(self, state, task, action, *, key):
        named = action == task.parameters
        return state + 1, Outcome(jnp.ones(1) * state, named * 1.0, jnp.where(named, 0.0, -1.0), named)

    def legal(self, state, task):
        return jnp.arange(3) >= state

    def player(self, state):
        return state % 2


def test_a_world_like_another_is_as_that_one_is():
    class Echo(Like):
        world: AbstractWorld

    class Generous(Like):
        world: AbstractWorld

        def reset(self, task, *, key):
            state, observation = self.world.reset(task, key=key)
            return state, observation + 7

    key = jax.random.key(0)
    for world, shown in ((Echo(Turns()), 0), (Generous(Turns()), 7), (Generous(Echo(Turns())), 7)):
        assert world.actions == Turns().actions
        task = world.task(key=key)
        assert eqx.tree_equal(task, Turns().task(key=key))
        state, observation = world.reset(task, key=key)
        assert observation.tolist() == [shown]
        state, outcome = world.step(state, task, task.parameters, key=key)
        assert (float(outcome.reward), float(outcome.discount), bool(outcome.last)) == (1, 0, True)
        assert world.legal(state, task).tolist() == [False, True, True]
        assert int(world.player(state)) == 1


def test_a_world_like_one_of_one_player_has_no_players():
    with pytest.raises(AssertionError, match="Counting has one player"):
        OneTask(Counting(), Task()).player(jnp.zeros(3))


def test_one_task_is_the_task_of_every_episode_with_what_is_told_in_it():
    only = Task(parameters=jnp.array(0.25), goal=jnp.array([3.0, 4.0]), instruction=jnp.array([5]))
    steps = rollout(OneTask(Counting(length=3), only), length=9)
    assert (steps.percept.observation[:, 0] == 0.25).all()
    assert len(set(steps.percept.observation[:, 1])) == 3, "each episode begins afresh"
    assert (steps.percept.goal == [3, 4]).all()
    assert (steps.percept.instruction == 5).all()
    assert (steps.reward == np.tile([1, 2, 3], 3)).all()
