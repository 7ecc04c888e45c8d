"""Named agents, one composition each: the shop window.

    recipe = find("cartpole-ppo")
    state = train(recipe.process, recipe.iterations, key=jax.random.key(0))

A recipe is a function, so that listing them builds nothing and imports little.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import UsageError, unknown
from headstart.recipes import boardgames, classic_control, experience, goals, instructions
from headstart.recipes.classic_control import PUBLISHED
from headstart.recipes.recipe import Recipe
from headstart.recipes.transferred import begun, transferred

if TYPE_CHECKING:
    from headstart.core.process import ProcessState

__all__ = ["PUBLISHED", "RECIPES", "Recipe", "about", "find", "restore", "transferred"]

RECIPES: dict[str, Callable[..., Recipe]] = {
    "cartpole-ppo": classic_control.cartpole_ppo,
    "cartpole-dqn": classic_control.cartpole_dqn,
    "acrobot-ppo": classic_control.acrobot_ppo,
    "acrobot-dqn": classic_control.acrobot_dqn,
    "mountaincar-ppo": classic_control.mountaincar_ppo,
    "mountaincar-dqn": classic_control.mountaincar_dqn,
    "pendulum-ddpg": classic_control.pendulum_ddpg,
    "pendulum-td3": classic_control.pendulum_td3,
    "pendulum-sac": classic_control.pendulum_sac,
    "bitflipping-hindsight": goals.bitflipping_hindsight,
    "push-hindsight": goals.push_hindsight,
    "fetchreach-hindsight": goals.fetchreach_hindsight,
    "fetchpush-hindsight": goals.fetchpush_hindsight,
    "fourrooms-uvfa": goals.fourrooms_uvfa,
    "pointgather-goals": goals.pointgather_goals,
    "bandit-rl2": experience.bandit_rl2,
    "navigation-maml": experience.navigation_maml,
    "direction-maml": experience.direction_maml,
    "halfcheetah-maml": experience.halfcheetah_maml,
    "twostep-prefrontal": experience.twostep_prefrontal,
    "volatilebandit-prefrontal": experience.volatilebandit_prefrontal,
    "halfcircle-maesn": experience.halfcircle_maesn,
    "harlow-prefrontal": experience.harlow_prefrontal,
    "friends-textvin": instructions.friends_textvin,
    "babyai-filtered": instructions.babyai_filtered,
    "objectgrid-analogies": instructions.objectgrid_analogies,
    "xland-rl2": experience.xland_rl2,
    "newgame": boardgames.newgame,
    "reading": boardgames.reading,
}


def about(name: str) -> str:
    """What a recipe is, in one line."""
    return (inspect.getdoc(RECIPES[name]) or "").partition("\n")[0]


def find(name: str, iterations: int | None = None) -> Recipe:
    """The recipe of that name, for as many iterations as it says or as are asked for.

    **Raises:** `UsageError` with the nearest name, if there is none.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    recipe = RECIPES[name]() if iterations is None else RECIPES[name](iterations)
    asked = {"recipe": name, "iterations": recipe.iterations}
    return dataclasses.replace(recipe, configuration=asked | recipe.configuration)


def restore(directory: Path, *, warn: Callable[[str], None]) -> tuple[Recipe, int, ProcessState]:
    """What was trained in a run directory: its recipe, the iterations done, and the state it reached.

    Whoever calls holds the directory's lock (`headstart.rundir.locked`): a run in progress deletes old checkpoints.

    **Raises:** `UsageError` for a directory without a run of a recipe; `CannotResume` if the recipe has changed since;
    `StorageError` if no checkpoint is intact.
    """
    import jax

    from headstart import checkpoint, rundir
    from headstart.run import FREE

    stored = rundir.read(directory)
    asked = stored["configuration"] if stored else {}
    if stored is None or asked.get("recipe") not in RECIPES:
        raise UsageError(f"{directory} holds no run of a recipe; headstart train makes one.")
    if not checkpoint.present(directory / "checkpoints"):
        raise UsageError(f"{directory} has stored no checkpoint yet; the command that made it goes on.")
    recipe = find(asked["recipe"], asked.get("iterations"))
    if "from" in asked:
        recipe = begun(recipe, asked["from"])
    now = rundir.about(recipe.configuration, stored["seed"], recipe.observes)
    rundir.check(stored, now, free=FREE, override=False, warn=warn)
    like = recipe.process.outline(key=jax.random.key(stored["seed"]))
    return recipe, *checkpoint.restore(directory / "checkpoints", like, warn=warn)
