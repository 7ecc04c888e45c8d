"""PPO on CartPole by Headstart, from a cold start until 128 episodes of sampled actions return enough on average."""

import json
import sys
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp

from headstart.core.networks import ActorCritic
from headstart.core.process import Online
from headstart.core.scan import scan
from headstart.core.types import Percept
from headstart.scratch.ppo import PPO
from headstart.worlds.classic_control import CartPole

EPISODES = 128


def episode(world, network, key):
    """The return of one episode of sampled actions."""
    task_key, reset_key, play_key = jax.random.split(key, 3)
    task = world.task(key=task_key)
    state, observation = world.reset(task, key=reset_key)

    def act(carry):
        state, observation, returned, _, key = carry
        key, act_key, step_key = jax.random.split(key, 3)
        output, _ = network(Percept(observation, jnp.array(False)), None)
        state, outcome = world.step(state, task, output.policy.sample(key=act_key), key=step_key)
        return state, outcome.observation, returned + outcome.reward, outcome.last, key

    start = (state, observation, jnp.zeros(()), jnp.array(False), play_key)
    return jax.lax.while_loop(lambda carry: ~carry[3], act, start)[2]


asked = json.loads(sys.argv[1])
world = CartPole()
learner = PPO(epochs=asked["epochs"], minibatches=asked["minibatches"], learning_rate=asked["learning_rate"])
process = Online(world, partial(ActorCritic, world), learner, lanes=asked["lanes"], length=asked["length"])
root = jax.random.key(asked["seed"])


@eqx.filter_jit(donate="all")
def train(state, key):
    train_key, judge_key = jax.random.split(key)
    keys = jax.random.split(train_key, asked["iterations"])
    state, _ = scan(lambda state, key: process.step(state, key=key), state, keys)
    judge = jax.vmap(lambda key: episode(world, state.learner.network, key))
    return state, jnp.mean(judge(jax.random.split(judge_key, EPISODES)))


state = eqx.filter_jit(process.init)(key=root)
steps, score = 0, 0.0
while score < asked["until"] and steps < asked["most"]:
    state, score = train(state, jax.random.fold_in(root, steps))
    steps += asked["iterations"] * asked["lanes"] * asked["length"]
print(json.dumps({"return": float(score), "steps": steps}))
