"""PPO on CartPole by rejax, inside its own environment.

python rejax_cartpole.py '{"settings": {...}, "iterations": 16}'     steps per second, once for each line of input
python rejax_cartpole.py '{"settings": {...}, "until": 475, ...}'    to a mean return, from a cold start to the end
"""

import json
import sys
import time
from importlib.metadata import version

import jax
from rejax import PPO


def learner(settings):
    agent = {"hidden_layer_sizes": (64, 64), "activation": "tanh"}
    return PPO.create(env="CartPole-v1", agent_kwargs=agent, skip_initial_evaluation=True, **settings)


def several(algorithm, iterations):
    """`iterations` iterations of training as one compiled program, and the evaluation that follows if asked."""
    return lambda state: jax.lax.fori_loop(0, iterations, lambda _, state: algorithm.train_iteration(state), state)


def throughput(settings, iterations):
    algorithm = learner(settings)
    run = jax.jit(several(algorithm, iterations))
    state = jax.block_until_ready(run(algorithm.init_state(jax.random.key(0))))
    print(json.dumps({"versions": {name: version(name) for name in ("rejax", "gymnax", "jax")}}), flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        state = jax.block_until_ready(run(state))
        seconds = time.perf_counter() - begun
        steps = iterations * settings["num_envs"] * settings["num_steps"]
        print(json.dumps({"rate": steps / seconds}), flush=True)


def until(settings, iterations, target, most, seed):
    """Train until 128 episodes of sampled actions return `target` on average, or `most` steps are done."""
    algorithm = learner(settings)
    train = several(algorithm, iterations)

    def one(state):
        state = train(state)
        _, returns = algorithm.eval_callback(algorithm, state, state.rng)
        return state, returns.mean()

    one = jax.jit(one)
    state, steps, score = algorithm.init_state(jax.random.key(seed)), 0, 0.0
    while score < target and steps < most:
        state, score = one(state)
        steps += iterations * settings["num_envs"] * settings["num_steps"]
    print(json.dumps({"return": float(score), "steps": steps}), flush=True)


asked = json.loads(sys.argv[1])
if "until" in asked:
    until(asked["settings"], asked["iterations"], asked["until"], asked["most"], asked["seed"])
else:
    throughput(asked["settings"], asked["iterations"])
