"""Hindsight by stable-baselines3, with a gradient step for each step: steps per second, once for each line of input."""

import json
import sys
import time
from importlib.metadata import version

import gymnasium
import gymnasium_robotics
import torch
from stable_baselines3 import DQN, SAC, HerReplayBuffer
from stable_baselines3.common.envs import BitFlippingEnv

asked = json.loads(sys.argv[1])
torch.set_num_threads(asked["threads"])
gymnasium.register_envs(gymnasium_robotics)
bits = asked["bits"]
world = BitFlippingEnv(bits, continuous=False, max_steps=bits) if bits else gymnasium.make("FetchReach-v4")
agent = (DQN if bits else SAC)(
    "MultiInputPolicy",
    world,
    replay_buffer_class=HerReplayBuffer,
    replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
    policy_kwargs={"net_arch": asked["widths"]},
    train_freq=1,
    gradient_steps=1,
    learning_starts=200,
    seed=0,
    device="cpu",
    **asked["settings"],
)
agent.learn(400)
names = ("stable-baselines3", "torch", "gymnasium", "gymnasium-robotics", "mujoco")
print(json.dumps({"versions": {name: version(name) for name in names}}), flush=True)
for _ in sys.stdin:
    begun = time.perf_counter()
    agent.learn(asked["steps"], reset_num_timesteps=False)
    print(json.dumps({"rate": asked["steps"] / (time.perf_counter() - begun)}), flush=True)
