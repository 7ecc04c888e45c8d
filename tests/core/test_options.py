"""Options: a skill runs until it says that it is done, what it earns is added up, and one may change one's mind."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from headstart.check_env import check_world
from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork
from headstart.core.options import Options
from headstart.core.policies import Categorical
from headstart.core.types import Choice, Outcome, Output, Task
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class Line(AbstractWorld):
    """Places 0 to 9, from 2 on: action 1 goes on to the next, action 0 back. A step earns the place it leads to."""

    end: int = eqx.field(static=True, default=9)

    @property
    def actions(self):
        return Discrete(2)

    def task(self, *, key):
        return Task(instruction=jnp.array([7, 7]))

    def reset(self, task, *, key):
        return jnp.array(2), jnp.array(2)

    def step(self, state, task, action, *, key):
        place = jnp.maximum(state + 2 * action - 1, 0).astype(jnp.int32)
        over = place >= self.end
        return place, Outcome(place, place.astype(jnp.float32), 1.0 - over, over, jnp.stack([1.0, 1.0 * over]))


class Goes(AbstractNetwork):
    """Goes to the place that it is told, until it is there, or until it has looked `patience` times since it began."""

    patience: int = eqx.field(static=True, default=99)

    def initial(self):
        return jnp.zeros((), jnp.int32)

    def __call__(self, percept, memory):
        there = percept.observation == percept.instruction[0]
        tired = memory >= self.patience
        policy = Categorical(
            jnp.where(percept.observation < percept.instruction[0], 1.0, -1.0) * jnp.array([-1.0, 1.0])
        )
        return Output(policy, features=jnp.where(there | tired, 3.0, -3.0)), memory + 1


TO = jnp.array([[5], [0], [9]])
FIVE, ZERO, NINE = 1, 2, 3


def ran(world, *actions):
    task = Task(instruction=jnp.array([7, 7]))
    state, _ = world.reset(task, key=jax.random.key(0))
    step = eqx.filter_jit(lambda world, state, action: world.step(state, task, action, key=jax.random.key(1)))
    outcomes = []
    for action in actions:
        state, outcome = step(world, state, jnp.array(action))
        outcomes.append(outcome)
    return state, outcomes


def test_a_skill_runs_until_it_is_done_and_its_rewards_are_discounted_and_added():
    _, (one, two) = ran(Options(Line(), Goes(), TO, every=50, discount=0.5), FIVE, NINE)
    # Over 3, 4 and 5: three steps.
    assert float(one.reward) == 3 + 4 / 2 + 5 / 4
    assert float(one.discount) == 0.25
    assert one.cumulants.tolist() == [3, 0]
    assert (int(one.observation.observation), int(one.observation.subtask), bool(one.last)) == (5, 0, False)
    assert float(one.observation.termination) > 0.9
    # Over 6, 7, 8 and 9, where it is over.
    assert float(two.reward) == 6 + 7 / 2 + 8 / 4 + 9 / 8
    assert (float(two.discount), bool(two.last)) == (0.0, True)


def test_the_learners_discount_makes_it_that_of_all_steps():
    own = 0.5
    _, (one,) = ran(Options(Line(), Goes(), TO, every=50, discount=own), FIVE)
    assert own * float(one.discount) == own**3
    _, (one,) = ran(Options(Line(), Goes(), TO, every=50), FIVE)
    assert (float(one.reward), float(one.discount)) == (12, 1)


def test_by_single_steps_one_may_go_on_or_change_ones_mind():
    _, outcomes = ran(Options(Line(), Goes(), TO), FIVE, 0, ZERO, 0)
    assert [float(each.reward) for each in outcomes] == [3, 4, 3, 2]
    assert [int(each.observation.subtask) for each in outcomes] == [0, 0, 1, 1]
    assert all(float(each.observation.termination) < 0.1 for each in outcomes)
    _, outcomes = ran(Options(Line(), Goes(), TO, every=2), FIVE, ZERO)
    assert [float(each.reward) for each in outcomes] == [7, 5]


def test_a_skill_remembers_until_a_subtask_begins_afresh():
    _, outcomes = ran(Options(Line(), Goes(patience=2), TO), NINE, 0, 0)
    assert [bool(each.observation.termination > 0.5) for each in outcomes] == [False, True, True]
    _, outcomes = ran(Options(Line(), Goes(patience=2), TO), NINE, NINE, NINE)
    assert not any(bool(each.observation.termination > 0.5) for each in outcomes)
    _, (one, two) = ran(Options(Line(), Goes(patience=2), TO, every=50), NINE, NINE)
    assert (float(one.reward), float(two.reward)) == (7, 11)


def test_nothing_can_be_gone_on_with_before_there_is_something():
    world = Options(Line(), Goes(), TO)
    task = world.task(key=jax.random.key(0))
    state, seen = world.reset(task, key=jax.random.key(0))
    assert world.legal(state, task).tolist() == [False, True, True, True]
    assert (int(seen.subtask), float(seen.termination)) == (-1, 0.0)
    state, _ = ran(world, FIVE)
    assert world.legal(state, task).all()


def test_who_samples_does_not_always_do_what_is_liked_best():
    world = Options(Line(end=99), Goes(), jnp.array([[50]]), greedy=False)
    act = lambda percept, memory, *, key: (Choice(jnp.where(percept.observation.subtask < 0, 1, 0)), memory)
    lanes = begin(world, Goes(), 64, key=jax.random.key(0))
    _, rollout = eqx.filter_jit(lambda world, lanes: collect(world, Goes(), act, lanes, 4, key=jax.random.key(1)))(
        world, lanes
    )
    back = rollout.after.observation.observation < rollout.percept.observation.observation
    assert 0.02 < float(back.mean()) < 0.3  # e⁻¹ against e: 0.12


@pytest.mark.parametrize("every", [1, 3])
def test_a_world_of_options_is_a_world(every):
    assert check_world(Options(Line(), Goes(), TO, every=every), lanes=3) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"subtasks": jnp.zeros((0, 1), int)}, "Options of no subtasks"),
        ({"every": 0}, "cannot act for 0 steps"),
        ({"discount": 0.0}, "cannot discount by 0.0"),
        ({"discount": 1.5}, "cannot discount by 1.5"),
    ],
)
def test_what_is_no_option_is_refused(given, sentence):
    with pytest.raises(UsageError, match=sentence):
        Options(**({"world": Line(), "skill": Goes(), "subtasks": TO} | given))
