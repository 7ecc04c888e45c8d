"""SAC with hindsight on FetchReach by stable-baselines3, from a cold start until greedy episodes end at their goals."""

import json
import sys

import gymnasium
import gymnasium_robotics
import numpy as np
import torch
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

asked = json.loads(sys.argv[1])
torch.set_num_threads(asked["threads"])
gymnasium.register_envs(gymnasium_robotics)
make = lambda: gymnasium.make("FetchReach-v4")
training = VecNormalize(DummyVecEnv([make]), gamma=asked["settings"]["gamma"])
training.seed(asked["seed"])
judging = DummyVecEnv([make] * asked["episodes"])
judging.seed(10_000 + asked["seed"])
agent = SAC(
    "MultiInputPolicy",
    training,
    replay_buffer_class=HerReplayBuffer,
    replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
    policy_kwargs={"net_arch": [64, 64]},
    seed=asked["seed"],
    device="cpu",
    **asked["settings"],
)


def success():
    """The share of greedy episodes that end at their goal."""
    seen = judging.reset()
    for _ in range(50):
        action, _ = agent.predict(training.normalize_obs(seen), deterministic=True)
        seen, _, _, infos = judging.step(action)
    return float(np.mean([info["is_success"] for info in infos]))


steps, score = 0, 0.0
while score < asked["until"] and steps < asked["most"]:
    agent.learn(asked["every"], reset_num_timesteps=False)
    steps, score = agent.num_timesteps, success()
print(json.dumps({"success": score, "steps": steps}))
