"""Robots of brax: their own rewards as brax has them, and those of the families by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Task
from headstart.errors import MissingExtra, UsageError
from headstart.worlds.adapters.brax import RUNNERS, brax_world, running

# brax says that nobody looks after it any more, and calls what mujoco will do away with.
pytestmark = [pytest.mark.filterwarnings(each) for each in ("ignore:Brax System", "ignore::DeprecationWarning")]


def test_without_the_extra_it_is_said_which_line_brings_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "brax.envs", None)
    with pytest.raises(MissingExtra, match=r"headstart-rl\[brax\]"):
        brax_world("ant")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("horse", "direction"), "horse"),
        (("ant", "colour"), "colour"),
        (("ant", "velocity", "steam"), "steam"),
    ],
)
def test_what_there_is_not_is_refused(given, said):
    robot, asked, *engine = given
    with pytest.raises(UsageError, match=said):
        running(robot, asked, **({"engine": engine[0]} if engine else {}))
    with pytest.raises(UsageError, match="0 steps"):
        running("ant", "velocity", limit=0)


@pytest.fixture(scope="module")
def envs():
    return pytest.importorskip("brax.envs")


def test_a_world_is_what_brax_has(envs):
    theirs, ours = envs.get_environment("hopper", backend="spring"), brax_world("hopper")
    action = jnp.full(3, 0.5)

    @jax.jit
    def both(key):
        state = theirs.reset(key)
        mine, seen = ours.reset(Task(), key=key)
        after = theirs.step(state, action)
        _, outcome = ours.step(mine, Task(), 3.0 * action / 1.5, key=key)
        return (state.obs, after.obs, after.reward), (seen, outcome.observation, outcome.reward), outcome

    key = jax.random.key(0)
    state, mine, outcome = both(key)
    for this, that in zip(state[:1], mine[:1], strict=True):
        np.testing.assert_array_equal(this, that)
    assert (float(outcome.discount), bool(outcome.last)) == (1.0, False)
    with pytest.raises(UsageError, match="brax has no environment 'horse'"):
        brax_world("horse")
    # What is beyond 1 counts as 1.
    step = jax.jit(lambda action: ours.step(ours.reset(Task(), key=key)[0], Task(), action, key=key)[1].reward)
    assert float(step(jnp.full(3, 5.0))) == float(step(jnp.ones(3)))


@pytest.mark.parametrize("asked", ["direction", "velocity"])
def test_what_a_step_earns_is_by_how_far_the_torso_went(envs, asked):
    world = running("halfcheetah", asked, limit=3)
    task = Task(parameters=jnp.array(-1.0 if asked == "direction" else 1.5))
    action = jnp.linspace(-1, 1, 6)

    @jax.jit
    def run(key):
        state, _ = world.reset(task, key=key)

        def step(state, _):
            after, outcome = world.step(state, task, action, key=key)
            place = lambda race: race.robot.pipeline_state.x.pos[0, 0]
            return after, (place(after) - place(state), outcome)

        return jax.lax.scan(step, state, None, length=3)[1]

    went, outcome = run(jax.random.key(0))
    velocity = np.asarray(went) / world.environment.dt
    earned = -velocity if asked == "direction" else -np.abs(velocity - 1.5)
    np.testing.assert_allclose(outcome.reward, earned - 0.05 * np.sum(np.asarray(action) ** 2), rtol=1e-4, atol=1e-5)
    assert np.abs(velocity).max() > 0.01, "it moved"
    assert outcome.last.tolist() == [False, False, True]
    assert outcome.discount.tolist() == [1.0, 1.0, 1.0], "cut short, it has not fallen"


def test_tasks_are_those_of_their_family(envs):
    draw = lambda world: np.asarray(
        jax.vmap(lambda key: world.task(key=key).parameters)(jax.random.split(jax.random.key(0), 200))
    )
    directions = draw(running("ant", "direction"))
    assert set(directions) == {-1.0, 1.0}
    velocities = draw(running("ant", "velocity"))
    assert velocities.min() >= 0
    assert 2.8 < velocities.max() <= RUNNERS["ant"].fastest
