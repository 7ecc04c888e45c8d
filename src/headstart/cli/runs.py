"""Verbs that train and play: `newgame`, `train` and `evaluate`."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Annotated

import tyro

from headstart.cli.options import Place, Working, new_directory, whole
from headstart.errors import UsageError, unknown

if TYPE_CHECKING:
    from headstart.worlds.boardgames.rules import Rules

__all__ = ["Evaluate", "NewGame", "Train"]

PATIENCE = 3.0  # seconds after which somebody at a terminal wants to know what is going on


@dataclass(frozen=True)
class NewGame(Working):
    """Meet a new board game: read its rules, play a few games, and compare with learning from scratch.

    Example:  headstart newgame my_rules.toml
    """

    rules: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RULES", help_behavior_hint="")] = ""
    """RULES.toml, or a classic such as connect_four; a game that training never met, if left out."""

    seed: Annotated[int, whole(0)] = 0
    """Where all chance comes from."""

    directory: Place = None
    """Where results go; runs/newgame, if left out."""

    def __call__(self) -> int:
        rules = self._read()
        directory = new_directory(self.directory, Path("runs") / "newgame")
        observer = self.begin()
        from headstart.newgame import job

        job.meet(rules, directory=directory, observer=observer, seed=self.seed)
        return 0

    def _read(self) -> Rules | None:
        from headstart.worlds.boardgames.rules import CLASSICS, load

        if not self.rules or self.rules in CLASSICS:
            return CLASSICS.get(self.rules)
        path = Path(self.rules)
        if not path.suffix and not path.exists():
            raise unknown("file or classic", self.rules, CLASSICS)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", UserWarning)
            rules = load(path)
        for warning in told:
            self.observer().warn(f"{path}: {warning.message}")
        return rules


@dataclass(frozen=True)
class Train(Working):
    """Train a recipe in a directory; the same command goes on with a run that was stopped.

    Example:  headstart train cartpole-ppo --seed 1
    """

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE", help_behavior_hint="")] = ""
    """Which recipe; headstart list shows them."""

    iterations: Annotated[int | None, whole(1), tyro.conf.arg(help_behavior_hint="")] = None
    """Iterations in all; as many as the recipe says, if left out. A finished run goes on if given more."""

    seed: Annotated[int, whole(0)] = 0
    """Where all chance comes from."""

    directory: Place = None
    """The run's own; runs/RECIPE-SEED, if left out, or runs/RECIPE-SEED-from-RUN."""

    from_: Annotated[Path | None, tyro.conf.arg(name="from", metavar="RUN", help_behavior_hint="")] = None
    """Begin with the network that was trained in this run's directory."""

    grow: bool = False
    """With --from: a network that is smaller, or that sees or does less, is grown to fit."""

    renew: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PART", help_behavior_hint="")] = ()
    """With --from: parts that begin anew, such as 'actor.layers[2]'."""

    hold: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PART", help_behavior_hint="")] = ()
    """With --from: parts that never change, such as 'actor.layers[0]'."""

    override_config: bool = False
    """Go on with a run although its configuration is another; it is recorded."""

    tensorboard: bool = False
    """Write TensorBoard events too; needs the extra log."""

    def __call__(self) -> int:
        from headstart.recipes import RECIPES, find, transferred

        if not self.recipe:
            raise UsageError(f"give a recipe: {', '.join(sorted(RECIPES))}.")
        if self.from_ is None and (self.grow or self.renew or self.hold):
            raise UsageError("--grow, --renew and --hold are of a network that was trained before; give --from RUN.")
        usual = f"{self.recipe}-{self.seed}" + ("" if self.from_ is None else f"-from-{self.from_.resolve().name}")
        directory = self.directory or Path("runs") / usual
        begun = self.begin()  # before a recipe makes the first array: XLA looks at its flags once
        # Thousands of games and their texts take a minute.
        slow = Timer(PATIENCE, lambda: begun.say(f"preparing {self.recipe} ..."))
        slow.start()
        try:
            recipe = find(self.recipe, self.iterations)
            if self.from_ is not None:
                recipe = transferred(
                    recipe, self.from_, grows=self.grow, renewed=self.renew, held=self.hold, warn=begun.warn
                )
        finally:
            slow.cancel()
        observer = self.observer(unit="steps", per_iteration=recipe.steps)
        from headstart.run import run

        run(
            recipe.process,
            recipe.iterations,
            directory=directory,
            configuration=recipe.configuration,
            seed=self.seed,
            every=recipe.every,
            chunk=recipe.chunk,
            observer=observer,
            observes=recipe.observes,
            override=self.override_config,
            tensorboard=self.tensorboard,
        )
        observer.say(f"to see how good it is:  headstart evaluate {directory}")
        return 0


@dataclass(frozen=True)
class Evaluate(Working):
    """Evaluate the agent of a run without exploration, and write report.html beside it.

    Example:  headstart evaluate runs/cartpole-ppo-0
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help_behavior_hint="")] = ""
    """The run's directory."""

    episodes: Annotated[int, whole(1)] = 128
    """How many whole episodes."""

    seed: Annotated[int, whole(0)] = 0
    """Where the chance of the evaluation comes from."""

    def __call__(self) -> int:
        directory = Path(self.run)
        if not self.run or not directory.is_dir():
            missing = f"{directory} is no directory; " if self.run else ""
            raise UsageError(f"{missing}give the directory of a run, such as runs/cartpole-ppo-0.")
        observer = self.begin()
        from headstart import recipes, rundir

        with rundir.locked(directory):
            recipe, done, state = recipes.restore(directory, warn=observer.warn)
            name = recipe.configuration["recipe"]
            if recipe.evaluate is None:
                raise UsageError(
                    f"headstart evaluate cannot judge a run of {name}; headstart list shows the studies that may."
                )
            title = f"{name} after {done:,} iterations"
            found = recipe.evaluate(recipe.process, state, title=title, episodes=self.episodes, seed=self.seed)
            report = found.report.heading("What was run").facts(rundir.read(directory) or {}).write(directory)
        if self.json:
            print(json.dumps({"event": "result", "iterations": done, **found.figures, "report": str(report)}))
        else:
            print(f"{title}:", *(f"  {name:<20} {value}" for name, value in found.figures.items()), report, sep="\n")
        return 0
