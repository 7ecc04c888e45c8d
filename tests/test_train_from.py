"""`headstart train --from`: a run that begins where another ended, goes on, and is judged without it."""

import dataclasses
import json
import shutil
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

from headstart import recipes
from headstart.cli import main, options
from headstart.core.networks import ActorCritic
from headstart.core.process import Online
from headstart.recipes.recipe import Recipe, online
from headstart.run import run
from headstart.scratch.ppo import PPO
from headstart.worlds.signposts import Signposts

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def learning(world, width, iterations):
    learner = PPO(epochs=1, minibatches=1)
    return online(Online(world, partial(ActorCritic, world, width=width), learner, lanes=2, length=4), iterations)


def signs(iterations=2):
    """Follows signs, and little else."""
    return learning(Signposts(kinds=3), 4, iterations)


def turned(iterations=2):
    """Follows other signs."""
    return learning(Signposts(kinds=3, ways=(1, 2, 0)), 4, iterations)


def wider(iterations=2):
    """Follows more signs."""
    return learning(Signposts(kinds=5), 8, iterations)


def nobody(iterations=2):
    """Has no learner."""
    return Recipe("a process of another kind", iterations, {}, "nothing", 1)


@pytest.fixture(autouse=True)
def _few(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "prepare", lambda device, *, warn: None)
    for recipe in (signs, turned, wider, nobody):
        monkeypatch.setitem(recipes.RECIPES, recipe.__name__, recipe)


@pytest.fixture(scope="module")
def run_of_signs(tmp_path_factory):
    """Trained once, by what the command calls."""
    place = tmp_path_factory.mktemp("signs") / "run"
    recipe = dataclasses.replace(signs(), configuration={"recipe": "signs", "iterations": 2} | signs().configuration)
    run(recipe.process, 2, directory=place, configuration=recipe.configuration, seed=0)
    return place


@pytest.fixture
def trained(run_of_signs, _few):
    return Path(shutil.copytree(run_of_signs, "runs/signs-0"))


def network(place):
    return recipes.restore(Path(place), warn=pytest.fail)[2].learner.network


def test_a_run_begins_where_another_ended_and_needs_it_no_more(trained, capsys):
    line = ["train", "turned", "--from", str(trained), "--renew", "actor.layers[2]", "--hold", "actor.layers[0]"]
    line += ["actor.layers[1]", "--quiet"]
    assert main(line) == 0
    begun = Path("runs/turned-0-from-signs-0")
    about = json.loads((begun / "run.json").read_text())["configuration"]["from"]
    assert {name: about[name] for name in about if name != "network"} == {
        "recipe": "signs",
        "seed": 0,
        "iterations": 2,
        "grown": False,
        "renewed": ["actor.layers[2]"],
        "held": ["actor.layers[0]", "actor.layers[1]"],
    }
    before, after = network(trained), network(begun).whole
    same = lambda at, name: np.array_equal(*(getattr(net.actor.layers[at], name) for net in (before, after)))
    assert [same(at, "weight") for at in range(3)] == [True, True, False]
    assert [same(at, "bias") for at in range(3)] == [True, True, False]
    # The same command leaves it as it is, and a longer one goes on.
    assert main(line) == 0
    assert main([*line, "--iterations", "3"]) == 0
    assert (begun / "checkpoints" / "3").is_dir()
    shutil.rmtree(trained)
    assert main(["evaluate", str(begun), "--episodes", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["iterations"] == 3


def test_a_run_may_begin_from_one_that_began_from_another_and_had_held_parts(trained):
    assert main(["train", "turned", "--from", str(trained), "--hold", "actor", "--quiet"]) == 0
    assert main(["train", "signs", "--from", "runs/turned-0-from-signs-0", "--quiet"]) == 0
    before, after = network(trained), network("runs/signs-0-from-turned-0-from-signs-0")
    assert not eqx.tree_equal(before.actor, after.actor)  # what was held learns again


def test_a_larger_network_is_grown_where_that_is_asked_for(trained, capsys):
    line = ["train", "wider", "--from", str(trained), "--quiet"]
    assert main(line) == 2
    told = capsys.readouterr().err
    assert "actor.layers[0].weight is float32[4, 6] in the trained network and float32[8, 10] in the new one" in told
    assert told.count("\n") == 1
    assert not Path("runs/wider-0-from-signs-0").exists(), "refused before anything is made"
    assert main([*line, "--grow"]) == 0
    assert network("runs/wider-0-from-signs-0").actor.width_size == 8


def test_a_run_that_was_trained_on_since_is_another_beginning(trained, capsys):
    line = ["train", "turned", "--from", str(trained), "--quiet"]
    assert main(line) == 0
    assert main(["train", "signs", "--iterations", "3", "--quiet"]) == 0
    capsys.readouterr()
    assert main([*line, "--iterations", "4"]) == 4
    assert "from.iterations: 2 -> 3" in capsys.readouterr().err


def test_from_the_same_seed_it_differs_from_scratch_by_where_it_begins_alone(trained):
    recipe = recipes.transferred(recipes.find("turned"), trained, warn=pytest.fail)
    begun = recipe.process.init(key=jax.random.key(7))
    scratch = recipes.find("turned").process.init(key=jax.random.key(7))
    assert eqx.tree_equal(begun.lanes, scratch.lanes)
    assert eqx.tree_equal(begun.learner.network, network(trained))
    assert not eqx.tree_equal(begun.learner.network, scratch.learner.network)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["turned", "--from", "nowhere"], "nowhere is no directory; give --from the directory of a run"),
        (["turned", "--hold", "actor"], "--grow, --renew and --hold are of a network that was trained before"),
        (
            ["turned", "--from", "runs/signs-0", "--hold", "actr"],
            "no part of an ActorCritic 'actr'; did you mean 'actor",
        ),
        (["turned", "--from", "runs/signs-0", "--renew", "critic.layer"], "no part of an ActorCritic 'critic.layer'"),
        (["nobody", "--from", "runs/signs-0"], "nobody trains no single learner, and nothing can be carried to it"),
        (["turned", "--form", "runs/signs-0"], "did you mean '--from'"),
    ],
)
def test_a_wrong_line_is_exit_2_and_one_sentence(line, told, trained, capsys):
    capsys.readouterr()
    assert main(["train", *line]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_nothing_is_made_of_a_place_that_holds_no_run(tmp_path, capsys):
    (tmp_path / "foreign").mkdir()
    assert main(["train", "turned", "--from", "foreign"]) == 2
    assert "foreign holds no run of a recipe" in capsys.readouterr().err


def test_a_description_that_was_tampered_with_is_exit_4(trained, capsys):
    assert main(["train", "turned", "--from", str(trained), "--quiet"]) == 0
    path = Path("runs/turned-0-from-signs-0/run.json")
    described = json.loads(path.read_text())
    del described["configuration"]["from"]["held"]
    path.write_text(json.dumps(described))
    capsys.readouterr()
    assert main(["evaluate", str(path.parent)]) == 4
    assert "began from another, and not how ('held')" in capsys.readouterr().err
