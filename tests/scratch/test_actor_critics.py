"""DDPG, TD3 and SAC on worlds of known values, their targets by hand, and what they refuse."""

import math
from functools import partial
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import learned

from headstart.core.collect import begin, collect, example
from headstart.core.network import AbstractActionCritic
from headstart.core.networks import ActionValues, ActorCritics
from headstart.core.policies import Squashed
from headstart.core.process import Online, train
from headstart.core.source import Chain
from headstart.core.types import Choice, Frozen, Outcome, Output, Percept, Task
from headstart.core.world import AbstractWorld, Box, Discrete
from headstart.errors import UsageError
from headstart.goals.hindsight import Hindsight
from headstart.scratch.ddpg import DDPG
from headstart.scratch.sac import SAC, Temperature
from headstart.scratch.td3 import TD3
from headstart.worlds.push import Push

pytestmark = pytest.mark.usefixtures("quick_to_compile")

LEARNERS = {"ddpg": DDPG, "td3": TD3, "sac": SAC}
KEY = jax.random.key(0)


class Aim(AbstractWorld):
    """Seen is 1 or −1; an action earns 1 less four times the square of its distance from half of what is seen.

    The episode is over at every step: truly where `discount` is 0, cut short where it is 1.
    """

    discount: jax.Array

    @property
    def actions(self):
        return Box(-jnp.ones(1), jnp.ones(1))

    def task(self, *, key):
        return Task()

    def reset(self, task, *, key):
        place = jax.random.rademacher(key, (1,), jnp.float32)
        return place, place

    def step(self, state, task, action, *, key):
        reward = 1.0 - 4.0 * (action[0] - 0.5 * state[0]) ** 2
        return state, Outcome(state, reward, self.discount, jnp.array(True))


class Fixed(AbstractActionCritic):
    """The same policy at every moment, and values that are the action's number plus that of the critic."""

    actor: jax.Array
    critics: jax.Array
    log_std: float

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(Squashed(self.actor, jnp.full(1, self.log_std))), None

    def judge(self, percept, action):
        return action[0] + self.critics


def aimed(learner, discount=0.0, iterations=60, **settings):
    world = Aim(jnp.array(discount))
    usual = {"discount": 0.5, "capacity": 2048, "warmup": 128, "batch": 64, "updates": 16, "learning_rate": 3e-3}
    process = Online(world, partial(ActorCritics, world, width=32), learner(**(usual | settings)), lanes=8, length=8)
    return learned(process, iterations)[0].network


def best(network, seen):
    percept = Percept(jnp.array([seen]), jnp.array(False))
    action = network(percept, None)[0].policy.mode()
    return float(action[0]), float(jnp.min(network.judge(percept, action)))


@pytest.mark.parametrize("name", LEARNERS)
def test_the_best_action_is_found_and_its_value(name):
    # A temperature that has hardly any time to fall would have SAC value chance itself.
    network = aimed(LEARNERS[name], **({"temperature": 0.01, "entropy": -3.0} if name == "sac" else {}))
    for seen in (1.0, -1.0):
        action, value = best(network, seen)
        assert abs(action - 0.5 * seen) < 0.1
        assert abs(value - 1.0) < 0.1


def test_values_go_on_through_a_cut():
    network = aimed(TD3, discount=1.0, iterations=120, blend=0.05, blur=0.0)
    assert abs(best(network, 1.0)[1] - 2.0) < 0.2


def targets(learner):
    """y of steps that earn 1 − 4 (a ∓ 1/2)², are cut, and are followed by the same."""
    world = Aim(jnp.array(1.0))

    @eqx.filter_jit
    def run():
        network = Fixed(jnp.array([0.2]), jnp.array([3.0, 5.0]), -20.0)
        target = Fixed(jnp.array([-0.3]), jnp.array([11.0, 7.0]), -20.0)
        state = learner.init(network, example(world, network, key=KEY), key=KEY)
        act = lambda percept, memory, *, key: learner.act(state, percept, memory, key=key)
        _, batch = collect(world, network, act, begin(world, network, 4, key=KEY), 2, key=KEY)
        changed = eqx.tree_at(lambda learned: learned.target, state.learned, Frozen(target))
        return learner.targets(changed, batch, key=KEY) - batch.reward

    return np.asarray(run())


def test_targets_are_those_worked_by_hand():
    # The target's action and its own first critic.
    np.testing.assert_allclose(targets(DDPG(discount=0.5)), 0.5 * (math.tanh(-0.3) + 11.0), rtol=1e-5)
    # The target's action and the lower of its critics; blurred, it moves by the reach at most.
    np.testing.assert_allclose(targets(TD3(discount=0.5, blur=0.0)), 0.5 * (math.tanh(-0.3) + 7.0), rtol=1e-5)
    blurred = targets(TD3(discount=0.5, blur=10.0, reach=0.1)) / 0.5 - 7.0 - math.tanh(-0.3)
    np.testing.assert_allclose(np.abs(blurred), 0.1, atol=1e-5)
    assert (blurred > 0).any()
    assert (blurred < 0).any()
    # The network's own action, the target's critics, and the temperature's price of so sure a policy.
    one, other = (targets(SAC(discount=0.5, temperature=temperature)) for temperature in (1e-6, 1.0))
    np.testing.assert_allclose(one, 0.5 * (math.tanh(0.2) + 7.0), rtol=1e-4)
    sure = 20 - 0.5 * math.log(2 * math.pi) - math.log(1 - math.tanh(0.2) ** 2)  # plus a normal's own surprise
    assert abs(np.mean(one - other) - 0.5 * sure) < 0.5


@pytest.mark.parametrize(("wanted", "rises"), [(3.0, True), (-9.0, False)])
def test_the_temperature_rises_where_chance_is_lacking_and_falls_where_there_is_too_much(wanted, rises):
    network, learner = Fixed(jnp.array([0.2]), jnp.zeros(2), -1.0), SAC(entropy=wanted)
    percept = Percept(jnp.zeros((1, 64, 1)), jnp.zeros((1, 64), bool))
    policy = Squashed(jnp.full((1, 64, 1), 0.2), jnp.full((1, 64, 1), -1.0))
    loss = lambda own: learner.climb(network, own, percept, policy, key=KEY)[0]
    slope = jax.grad(loss)(Temperature(jnp.array(0.0))).logarithm
    assert (slope < 0) == rises
    np.testing.assert_allclose(slope, jnp.mean(policy.entropy()) - wanted, atol=0.3)


def test_the_actor_waits_for_its_delay():
    world = Aim(jnp.array(0.0))
    learner = TD3(delay=3, warmup=0, batch=8)
    process = Online(world, partial(ActorCritics, world, width=8), learner, lanes=2, length=4)
    networks = []
    keep = lambda done, state, metrics: networks.append(jax.device_get(eqx.filter(state.learner.network, eqx.is_array)))
    train(process, 4, key=KEY, chunk=1, after=keep)
    same = [
        [eqx.tree_equal(getattr(one, part), getattr(other, part)) for one, other in pairwise(networks)]
        for part in ("actor", "critics")
    ]
    assert same == [[True, False, True], [False, False, False]]


@pytest.fixture(scope="module")
def pushed():
    """A network for the table, and what it did there."""
    world = Push()
    network = ActorCritics(world, KEY, width=8)
    act = lambda percept, memory, *, key: (Choice(network(percept, memory)[0].policy.sample(key=key)), memory)
    run = eqx.filter_jit(lambda: collect(world, network, act, begin(world, network, 2, key=KEY), 8, key=KEY)[1])
    return world, network, run()


@pytest.mark.exact
@pytest.mark.parametrize("name", LEARNERS)
def test_hindsight_of_no_replays_leaves_the_learner_bit_identical(name, pushed):
    world, network, rollout = pushed

    def moved(source):
        learner = LEARNERS[name](source=source, capacity=64, segment=4, batch=4, minibatches=2, updates=4, warmup=0)
        state = learner.init(network, jax.tree.map(lambda leaf: leaf[0, 0], rollout), key=KEY)
        return eqx.filter_jit(learner.update)(state, rollout, key=KEY)[0].network

    plain = moved(Chain(()))
    assert eqx.tree_equal(plain, moved(Hindsight(world, replays=0.0)))
    assert not eqx.tree_equal(plain, network)


def test_targets_are_cut_at_their_bounds():
    assert best(aimed(TD3, bounds=(-math.inf, 0.25)), 1.0)[1] < 0.4  # and not 1


class Remembers(Fixed):
    def initial(self):
        return jnp.zeros(1)


class Choosing(Aim):
    @property
    def actions(self):
        return Discrete(2)


def test_what_cannot_be_is_refused():
    world = Aim(jnp.array(0.0))
    fixed = Fixed(jnp.zeros(1), jnp.zeros(2), 0.0)
    step = example(world, fixed, key=KEY)
    with pytest.raises(UsageError, match="SAC learns no memory; use a network without"):
        SAC().init(Remembers(jnp.zeros(1), jnp.zeros(2), 0.0), step, key=KEY)
    with pytest.raises(UsageError, match="DDPG needs critics of actions, which ActionValues has not"):
        DDPG().init(ActionValues(Choosing(jnp.array(0.0)), KEY), step, key=KEY)
    with pytest.raises(UsageError, match="Choosing has discrete actions, which ActorCritics cannot take; use DQN"):
        ActorCritics(Choosing(jnp.array(0.0)), KEY)
