"""Record what `xminigrid` does with rulesets of ours, for `tests/worlds/test_xland.py` to compare our world with.

It needs an environment with both, such as one with `pip install xminigrid==0.9.3` and this package:

    python tools/record_xland.py tests/worlds/xland_recorded.npz
"""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
from xminigrid.envs.xland import XLandMiniGrid
from xminigrid.types import RuleSet

from headstart.worlds.xland.rulesets import HIGH, MEDIUM, SMALL, TRIVIAL, generate
from headstart.worlds.xland.tiles import COLOURS, OBJECTS, SHAPES, codes

LANES, LENGTH, KEPT = 512, 80, 12  # of many lanes, those in which most goals were reached and most tiles were made
ACTIONS = jnp.array([0.45, 0.1, 0.1, 0.15, 0.15, 0.05])  # forward most of all, so that it comes about
CASES = {
    "trivial": (TRIVIAL, "R1", 7, 5),
    "small": (SMALL, "R1", 7, 5),
    "medium": (MEDIUM, "R4", 11, 3),
    "high": (HIGH, "R1", 9, 7),
    "six": (SMALL, "R6", 13, 5),
    "nine": (SMALL, "R9", 10, 5),
}


def record(family, rooms, size, view):
    rulesets = generate(LANES, family, seed=1)
    # Theirs wants one rule at least, if one that is empty.
    rules = rulesets.rules if rulesets.rules.shape[1] else np.zeros((LANES, 1, 7), np.uint8)
    env = XLandMiniGrid()
    params = env.default_params(height=size, width=size, grid_type=rooms, view_size=view)
    params = params.replace(ruleset=RuleSet(*map(jnp.asarray, (rulesets.goal, rules, rulesets.tiles))))

    def scene(timestep):
        state = timestep.state
        return {
            "grid": codes(state.grid).reshape(LANES, -1),
            "cell": (state.agent.position @ jnp.array([size, 1])).astype(jnp.uint8),
            "direction": state.agent.direction.astype(jnp.uint8),
            "hand": codes(state.agent.pocket),
            "view": codes(timestep.observation),
        }

    def step(timestep, key):
        action = jax.random.choice(key, 6, (LANES,), p=ACTIONS)
        timestep = jax.vmap(env.step)(params, timestep, action)
        reached = timestep.discount == 0
        return timestep, scene(timestep) | {
            "action": action.astype(jnp.uint8),
            "reward": timestep.reward,
            "end": reached,
        }

    def made(lane):
        """How many kinds of tiles there were that were not there at the start, and no doors."""
        new = np.setdiff1d(steps["grid"][:, lane], begun["grid"][lane]) // len(COLOURS)
        return np.isin(new, [SHAPES.index(shape) for shape in (*OBJECTS, "goal")]).sum()

    start_key, step_key = jax.random.split(jax.random.key(0))
    start = jax.jit(jax.vmap(env.reset))(params, jax.random.split(start_key, LANES))
    _, steps = jax.jit(lambda start: jax.lax.scan(step, start, jax.random.split(step_key, LENGTH)))(start)
    begun, steps = jax.device_get((scene(start), steps))
    events = np.array([steps["end"][:, lane].any() + 2 * made(lane) for lane in range(LANES)])
    kept = np.sort(np.argsort(-events, kind="stable")[:KEPT])
    about = {"goal": rulesets.goal[kept], "rules": rulesets.rules[kept], "tiles": rulesets.tiles[kept]}
    about |= {"rooms": rooms, "size": size} | {f"start {name}": leaf[kept] for name, leaf in begun.items()}
    return about | {name: leaf[:, kept] for name, leaf in steps.items()}


if __name__ == "__main__":
    found = {f"{case} {name}": np.asarray(leaf) for case in CASES for name, leaf in record(*CASES[case]).items()}
    np.savez_compressed(sys.argv[1], **found)
