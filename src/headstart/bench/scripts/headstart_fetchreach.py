"""SAC with hindsight on FetchReach by Headstart, from a cold start until most greedy episodes end at their goal."""

import json
import sys
from dataclasses import replace

import jax

from headstart import greedy, recipes
from headstart.core.hosted import Hosted
from headstart.core.process import train
from headstart.worlds.adapters.gymnasium import gymnasium_host

LOOK = 2  # iterations between looks at how it does

asked = json.loads(sys.argv[1])
recipe = recipes.find("fetchreach-hindsight")
process = recipe.process
assert isinstance(process, Hosted)
judging = replace(process, host=gymnasium_host("FetchReach-v4", asked["episodes"]))
key, state, done, score = jax.random.key(asked["seed"]), None, 0, 0.0
while score < asked["until"] and done * recipe.steps < asked["most"]:
    state = train(process, done + LOOK, key=key, state=state, done=done, chunk=1)
    done += LOOK
    judge_key = jax.random.fold_in(key, done)
    played = greedy.played_hosted(judging, state.learner.network, episodes=asked["episodes"], key=judge_key)
    assert played.reached is not None
    score = float(played.reached.mean())
print(json.dumps({"success": score, "steps": done * recipe.steps}))
