"""A recipe that begins where another run ended, and what its own run has to say of that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import CannotResume, UsageError
from headstart.recipes.recipe import Recipe

if TYPE_CHECKING:
    from headstart.core.network import AbstractNetwork

__all__ = ["begun", "transferred"]


def transferred(
    recipe: Recipe,
    run: Path,
    *,
    grows: bool = False,
    renewed: Sequence[str] = (),
    held: Sequence[str] = (),
    warn: Callable[[str], None],
) -> Recipe:
    """The recipe, whose network begins with what was trained in the directory `run`.

    **Arguments:**

    - `grows`: a network that is smaller, or sees and does less, is grown: see `headstart.experience.net2net.grow`.
    - `renewed`, `held`: parts that begin anew, and parts that never change.

    **Raises:** `UsageError` if there is no such run, for a recipe or a run without one learner with one network, and
    for networks that do not fit; and as `headstart.recipes.restore`.
    """
    import jax

    from headstart import rundir
    from headstart.core.hosted import Hosted
    from headstart.core.process import Online
    from headstart.evaluation import fingerprint
    from headstart.experience.transfer import whole
    from headstart.recipes import restore

    if not run.is_dir():
        raise UsageError(f"{run} is no directory; give --from the directory of a run, such as runs/cartpole-ppo-0.")
    with rundir.locked(run):
        source, done, state = restore(run, warn=warn)
        seed = (rundir.read(run) or {})["seed"]
    for name, each in (("to", recipe), ("from", source)):
        if not isinstance(each.process, Online | Hosted):
            raise UsageError(
                f"{each.configuration['recipe']} trains no single learner, and nothing can be carried {name} it; "
                "choose a recipe of one learner in one world, such as cartpole-ppo."
            )
    network = state.learner.network
    about = {
        "recipe": source.configuration["recipe"],
        "seed": seed,
        "iterations": done,
        "network": fingerprint(jax.tree.leaves(_arrays(whole(network)))),
        "grown": grows,
        "renewed": list(renewed),
        "held": list(held),
    }
    recipe = begun(recipe, about, network)
    recipe.process.outline(key=jax.random.key(0))  # what does not fit is said before a directory is made
    return recipe


def begun(recipe: Recipe, about: dict[str, Any], network: AbstractNetwork | None = None) -> Recipe:
    """The recipe as `about`, an entry `from` of a configuration, says that it began.

    Without a network it is of the right shapes, for a checkpoint to be read into.

    **Raises:** `CannotResume` if it does not say how.
    """
    from headstart.experience.net2net import grow
    from headstart.experience.transfer import Transferred

    process: Any = recipe.process
    try:
        renewed, held, fit = tuple(about["renewed"]), tuple(about["held"]), grow if about["grown"] else None
    except (KeyError, TypeError) as error:
        raise CannotResume(
            f"run.json says that the run began from another, and not how ({error}); restore it."
        ) from error
    process = dataclasses.replace(process, network=Transferred(process.network, network, renewed, held, fit))
    return dataclasses.replace(recipe, process=process, configuration=recipe.configuration | {"from": about})


def _arrays(network: AbstractNetwork) -> Any:
    import equinox as eqx

    return eqx.filter(network, eqx.is_array)
