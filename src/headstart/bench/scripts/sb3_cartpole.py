"""PPO on CartPole by stable-baselines3, inside its own environment: steps per second, once for each line of input."""

import json
import sys
import time
from importlib.metadata import version

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

asked = json.loads(sys.argv[1])
torch.set_num_threads(asked["threads"])
agent = PPO(
    "MlpPolicy",
    make_vec_env("CartPole-v1", n_envs=asked["lanes"], seed=0),
    seed=0,
    device="cpu",
    **asked["settings"],
)
steps = asked["iterations"] * asked["lanes"] * asked["settings"]["n_steps"]
agent.learn(asked["lanes"] * asked["settings"]["n_steps"])
versions = {name: version(name) for name in ("stable-baselines3", "torch", "gymnasium")}
print(json.dumps({"versions": versions}), flush=True)
for _ in sys.stdin:
    begun = time.perf_counter()
    agent.learn(steps, reset_num_timesteps=False)
    print(json.dumps({"rate": steps / (time.perf_counter() - begun)}), flush=True)
