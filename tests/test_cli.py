"""Every verb and every exit code, as a user meets them."""

import json
import os
import subprocess
import sys
import types
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

import headstart.newgame
from headstart import bench, errors, recipes, rundir, studies
from headstart.citations import COMPOSED
from headstart.cli import VERBS, main, options
from headstart.configuration import configuration
from headstart.core.process import AbstractProcess
from headstart.greedy import Evaluation
from headstart.report import Report
from headstart.studies.study import Arm, Paper, Verdict, conclude
from headstart.worlds.boardgames.rules import CLASSICS


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    """Every command runs in a directory of its own and leaves JAX as it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "prepare", lambda device, *, warn: None)


def command(*arguments, **environment):
    line = [sys.executable, "-m", "headstart", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, env=os.environ | environment)


class Counter(AbstractProcess):
    """Counts its iterations."""

    by: int = 1

    def init(self, *, key):
        return jnp.zeros((), jnp.int32)

    def step(self, state, *, key):
        return state + self.by, {"counter/count": state}


def counting(iterations=4, by=1):
    """Counts, and nothing else."""
    return recipes.Recipe(Counter(by), iterations, {"process": configuration(Counter(by))}, "nothing", 1)


def judged(process, state, *, title, episodes, seed):
    return Evaluation({"count": int(state), "episodes": episodes, "seed": seed}, Report(title))


@pytest.fixture
def counter(monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "counter", lambda iterations=4: replace(counting(iterations), evaluate=judged))


# The line itself


def test_help_names_every_verb():
    done = command("--help")
    assert done.returncode == 0
    assert all(f" {verb} " in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    told = capsys.readouterr().out
    assert not left.value.code
    assert f"Example:  headstart {verb}" in told


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"headstart {headstart.__version__}\n"


def test_what_only_tells_is_quick_because_jax_stays_out():
    told = "import sys; from headstart.cli import main; code = main(['list']); sys.exit('jax' in sys.modules or code)"
    assert subprocess.run([sys.executable, "-c", told], stdout=subprocess.DEVNULL, timeout=60).returncode == 0


BAD_LINES = [
    (["trian"], "no verb 'trian'; did you mean 'train'"),
    (["--jsn"], "no option '--jsn'"),
    (["train", "counter", "--iteratons", "3"], "did you mean '--iterations'"),
    (["train", "counter", "--iteratons=3"], "did you mean '--iterations'"),
    (["train", "counter", "more"], "does not know what to do with 'more'"),
    (["train", "counter", "--iterations"], "--iterations"),
    (["train", "counter", "--iterations", "many"], "whole number of 1 or more, not 'many'"),
    (["train", "counter", "--iterations", "0"], "whole number of 1 or more, not '0'"),
    (["train", "counter", "--seed", "-1"], "whole number of 0 or more, not '-1'"),
    (["train", "counter", "--device", "tpu"], "invalid choice 'tpu'"),
    (["train"], "give a recipe: acrobot-dqn, "),
    (["train", "cartpole-pop"], "no recipe 'cartpole-pop'; did you mean 'cartpole-ppo'"),
    (["evaluate"], "give the directory of a run"),
    (["evaluate", "nowhere"], "nowhere is no directory"),
    (["study", "nosuchthing"], "no study 'nosuchthing'"),
    (["study"], "give a study"),
    (["study", "x", "--seeds", "0"], "whole number of 1 or more"),
    (["bench", "nosuchthing"], "no bench 'nosuchthing'"),
    (["cite"], "give one of:"),
    (["cite", "cartpole-pop"], "did you mean 'cartpole-ppo'"),
    (["check-env"], "give an environment"),
    (["check-env", "no_such_module:Maze"], "cannot import 'no_such_module'"),
    (["newgame", "nowhere.toml"], "cannot read the rules in nowhere.toml"),
    (["newgame", "conect_four"], "did you mean 'connect_four'"),
]


@pytest.mark.parametrize(
    ("line", "told"), BAD_LINES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_wrong_line_is_exit_2_and_one_sentence(line, told, capsys, counter):
    assert main(line) == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err.startswith("headstart: ")
    assert said.err.count("\n") == 1
    assert told in said.err


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (errors.UsageError("so"), 2),
        (errors.BadData("so"), 3),
        (errors.CannotResume("so"), 4),
        (errors.StorageError("so"), 5),
        (errors.NumericalStop("so"), 6),
        (errors.Interrupted("so", 75), 75),
        (errors.Interrupted("so", 130), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_error_has_its_exit_code_and_no_traceback(raised, code, capsys, monkeypatch, counter):
    def run(*arguments, **options):
        raise raised

    monkeypatch.setattr("headstart.run.run", run)
    assert main(["train", "counter"]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bug_of_ours_is_shown_whole(monkeypatch, counter):
    def run(*arguments, **options):
        raise ZeroDivisionError

    monkeypatch.setattr("headstart.run.run", run)
    with pytest.raises(ZeroDivisionError):
        main(["train", "counter"])


def test_a_wrong_line_in_a_process_of_its_own():
    done = command("train", "cartpole-pop")
    assert done.returncode == 2
    assert done.stderr == "headstart: there is no recipe 'cartpole-pop'; did you mean 'cartpole-ppo'?\n"


def test_a_locale_without_umlauts_is_enough():
    done = command("cite", "towers2024", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0, done.stderr
    assert "Goul\\xe3o" in done.stdout


def test_a_reader_that_has_had_enough_is_no_fault():
    line = f"{sys.executable} -m headstart cite newgame | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# newgame


@pytest.fixture
def met(monkeypatch):
    """What the stand-in for the main job was called with."""
    called = []
    job = types.SimpleNamespace(meet=lambda rules, **given: called.append((rules, given)))
    monkeypatch.setattr(headstart.newgame, "job", job, raising=False)
    monkeypatch.setitem(sys.modules, "headstart.newgame.job", job)
    return called


def test_newgame_meets_a_game(met, tmp_path):
    assert main(["newgame", "--seed", "3", "--quiet"]) == 0
    assert main(["newgame", "connect_four"]) == 0
    (tmp_path / "mine.toml").write_text('rows = 4\ncolumns = 4\ntext = "Three in a row wins."\n')
    assert main(["newgame", "mine.toml", "--directory", "here"]) == 0
    rules = [rules for rules, _ in met]
    assert rules[:2] == [None, CLASSICS["connect_four"]]
    assert (rules[2].name, rules[2].text) == ("mine", "Three in a row wins.")
    assert met[0][1]["seed"] == 3
    assert all(given["directory"].is_dir() for _, given in met)


def test_newgame_overwrites_nothing(met, tmp_path, capsys):
    (tmp_path / "runs" / "newgame").mkdir(parents=True)
    (tmp_path / "runs" / "newgame" / "report.html").write_text("precious")
    assert main(["newgame"]) == 0
    assert met[0][1]["directory"].name == "newgame-2"
    assert main(["newgame", "--directory", "runs/newgame"]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert main(["newgame", "--directory", "runs/newgame/report.html"]) == 2
    assert len(met) == 1


BOARD = "rows = 4\ncolumns = 4\n"
BAD_RULES = {
    "unknown key": (f"{BOARD}lenght = 3\n".encode(), "length"),
    "out of range": (b"rows = 9\ncolumns = 9\n", "rows = 9 is out of range"),
    "none in a row": (f"{BOARD}length = 0\n".encode(), "length = 0 is out of range"),
    "no such choice": (f'{BOARD}winning = "lime"\n'.encode(), "did you mean 'line'"),
    "wrong type": (f'{BOARD}stones = "two"\n'.encode(), "stones"),
    "contradiction": (f'{BOARD}winning = "connect"\nedges = "torus"\n'.encode(), "torus has no sides"),
    "holes everywhere": (b"rows = 3\ncolumns = 3\nholes = [[0,0],[0,1],[0,2],[1,0],[1,1],[1,2]]\n", "at least 4"),
    "empty text": (f'{BOARD}text = "  "\n'.encode(), "text is empty"),
    "not UTF-8": (BOARD.encode() + b'text = "\xff"\n', "is not UTF-8"),
    "not TOML": (b"rows is 4", "not TOML"),
}


@pytest.mark.parametrize("kind", BAD_RULES)
def test_bad_rules_are_exit_3_and_name_file_and_mend(kind, met, tmp_path, capsys):
    content, told = BAD_RULES[kind]
    (tmp_path / "mine.toml").write_bytes(content)
    assert main(["newgame", "mine.toml"]) == 3
    said = capsys.readouterr().err
    assert "mine.toml" in said
    assert told in said
    assert said.count("\n") == 1
    assert not met
    assert not (tmp_path / "runs").exists(), "refused before anything is made"


def test_a_text_of_100_000_characters_is_cut_with_a_warning(met, tmp_path, capsys):
    (tmp_path / "mine.toml").write_text(f'{BOARD}text = "{"three in a row wins " * 5_000}"\n')
    assert main(["newgame", "mine.toml"]) == 0
    assert "warning: mine.toml: text is longer than" in capsys.readouterr().err
    assert len(met[0][0].text) < 100_000


# train and evaluate


def test_train_makes_a_run_that_the_same_command_leaves_as_it_is(counter, tmp_path, capsys):
    assert main(["train", "counter", "--seed", "2"]) == 0
    directory = tmp_path / "runs" / "counter-2"
    described = json.loads((directory / "run.json").read_text())
    assert described["configuration"] == {
        "recipe": "counter",
        "iterations": 4,
        "process": {"class": "Counter", "by": 1},
    }
    assert described["seed"] == 2
    before = {path: path.read_bytes() for path in directory.rglob("*.*")}
    capsys.readouterr()
    assert main(["train", "counter", "--seed", "2"]) == 0
    assert "already complete at iteration 4" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in directory.rglob("*.*")} == before
    assert main(["train", "counter", "--seed", "2", "--iterations", "6"]) == 0
    assert (directory / "checkpoints" / "6").is_dir()


def test_train_refuses_another_configuration_unless_told(counter, monkeypatch, tmp_path, capsys):
    assert main(["train", "counter", "--directory", "here", "--quiet"]) == 0
    monkeypatch.setitem(recipes.RECIPES, "counter", lambda iterations=8: counting(iterations, by=2))
    assert main(["train", "counter", "--directory", "here"]) == 4
    assert "process.by: 1 -> 2" in capsys.readouterr().err
    assert main(["train", "counter", "--directory", "here", "--override-config"]) == 0
    history = json.loads((tmp_path / "here" / "run.json").read_text())["history"]
    assert history[0]["overridden"] == ["process.by"]


def test_train_for_machines(counter, capsys):
    assert main(["train", "counter", "--json"]) == 0
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events[0] == "begin"
    assert {"advance", "end", "say"} <= set(events)


def test_a_run_directory_in_use_or_foreign_is_exit_2(counter, tmp_path, capsys):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("precious")
    assert main(["train", "counter", "--directory", "foreign"]) == 2
    assert "holds no run of ours" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["thesis.tex"]
    holder = (
        "import sys, time, pathlib; from headstart import rundir\n"
        "with rundir.locked(pathlib.Path('used')): print('held', flush=True); sys.stdin.read()"
    )
    line = [sys.executable, "-c", holder]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert main(["train", "counter", "--directory", "used"]) == 2
        assert f"in use by process {process.pid}" in capsys.readouterr().err
        process.communicate("")


def test_evaluate_restores_and_shows(counter, tmp_path, capsys):
    assert main(["train", "counter", "--quiet"]) == 0
    assert main(["evaluate", "runs/counter-0", "--episodes", "7", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["count"], told["episodes"], told["iterations"]) == (4, 7, 4)
    assert "counter after 4 iterations" in (tmp_path / "runs" / "counter-0" / "report.html").read_text()
    assert main(["evaluate", "runs/counter-0"]) == 0
    assert "count                4" in capsys.readouterr().out


def test_evaluate_refuses_what_it_cannot_vouch_for(counter, monkeypatch, tmp_path, capsys):
    (tmp_path / "foreign").mkdir()
    assert main(["evaluate", "foreign"]) == 2
    assert main(["train", "counter", "--quiet"]) == 0
    with rundir.locked(tmp_path / "begun"):
        rundir.write(tmp_path / "begun", rundir.about({"recipe": "counter"}, 0, ""))
    capsys.readouterr()
    assert main(["evaluate", "begun"]) == 2
    assert "no checkpoint yet" in capsys.readouterr().err
    monkeypatch.setitem(recipes.RECIPES, "counter", lambda iterations=4: counting(iterations))
    assert main(["evaluate", "runs/counter-0"]) == 2
    assert "headstart evaluate cannot judge a run of counter" in capsys.readouterr().err
    monkeypatch.setitem(recipes.RECIPES, "counter", lambda iterations=4: counting(iterations, by=2))
    assert main(["evaluate", "runs/counter-0"]) == 4
    (tmp_path / "runs/counter-0/checkpoints/4/state.safetensors").write_bytes(b"damaged")
    monkeypatch.setitem(recipes.RECIPES, "counter", lambda iterations=4: counting(iterations))
    assert main(["evaluate", "runs/counter-0"]) == 5
    assert "no intact checkpoint" in capsys.readouterr().err


# study and bench


def claim(holds):
    """A study whose answer is known before."""
    paper = Paper("schaul2015", ("figure 1",))
    arms = {"method": Arm.of([[1.0], [1.1], [0.9]])}
    verdict = Verdict("it is so", holds, 1.0, 0.5)

    def run(*, quick, seeds, directory, observer):
        assert directory.is_dir()
        return conclude(
            study="known",
            claim="it is so",
            paper=paper,
            arms=arms,
            verdicts=(verdict,),
            quick=quick,
            seconds=0.0,
        )

    return types.SimpleNamespace(CLAIM="it is so", PAPER=paper, run=run)


@pytest.mark.parametrize(
    ("holds", "code", "word"), [(True, 0, "holds"), (False, 1, "does not hold"), ("undecided", 1, "undecided")]
)
def test_a_study_says_its_verdict_and_exits_by_it(holds, code, word, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(studies.STUDIES, "known", "known_study")
    monkeypatch.setitem(sys.modules, "known_study", claim(holds))
    assert main(["study", "known", "--quick", "--quiet"]) == code
    told = capsys.readouterr().out
    assert f"known: {word}" in told
    assert "it is so (measured 1.000, threshold 0.500)" in told
    directory = tmp_path / "studies" / "known-quick"
    assert json.loads((directory / "result.json").read_text())["holds"] == holds
    assert (directory / "report.html").is_file()


def test_a_study_overwrites_no_result(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(studies.STUDIES, "known", "known_study")
    monkeypatch.setitem(sys.modules, "known_study", claim(True))
    (tmp_path / "studies" / "known").mkdir(parents=True)
    (tmp_path / "studies" / "known" / "arm.safetensors").write_text("of a study that was stopped")
    assert main(["study", "known", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True
    assert (tmp_path / "studies" / "known" / "result.json").is_file(), "what was stopped goes on"
    assert main(["study", "known"]) == 0
    assert (tmp_path / "studies" / "known-2" / "result.json").is_file()
    assert main(["study", "known", "--directory", "studies/known"]) == 2


def test_bench_runs_one_or_all(monkeypatch, tmp_path):
    called = []
    monkeypatch.setattr(bench, "BENCHES", {"one": "the first", "two": "the second"})
    monkeypatch.setattr(bench, "run", lambda names, **given: called.append((names, given)) or [])
    assert main(["bench", "two", "--quick"]) == 0
    assert main(["bench"]) == 0
    assert [names for names, _ in called] == [["two"], ["one", "two"]]
    assert [given["quick"] for _, given in called] == [True, False]
    assert all(given["directory"].is_dir() for _, given in called)


# list, cite, check-env


def test_list_shows_what_there_is_with_a_line_each(capsys):
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recipes"].keys() == recipes.RECIPES.keys()
    assert {"BoardGames", "GameTrials"} & found["worlds"].keys()
    assert "Foresight" in found["sources"]
    assert "Strangers" not in found["sources"]  # a control of a study's own
    assert found["studies"].keys() == studies.STUDIES.keys()
    assert found["benches"] == bench.BENCHES
    assert all(line for members in found.values() for line in members.values()), "no line is empty"
    assert main(["list"]) == 0
    assert "  cartpole-ppo           PPO balances a pole on" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(COMPOSED))
def test_cite_gives_every_entry_once(name, capsys):
    assert main(["cite", name]) == 0
    told = capsys.readouterr().out
    assert told.count("\n@") + 1 == len(set(COMPOSED[name])) == len(COMPOSED[name])
    assert all(f"{{{key},\n" in told for key in COMPOSED[name])
    assert told.count("{") == told.count("}")


def test_whatever_is_on_offer_can_be_cited():
    assert recipes.RECIPES.keys() | studies.STUDIES.keys() <= COMPOSED.keys()


MAZE = """
import gymnasium
import numpy as np

class Maze(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), WORTH, True, False, {}
"""


def test_check_env_is_exit_3_where_something_is_wrong(tmp_path, capsys):
    (tmp_path / "sound_maze.py").write_text(MAZE.replace("WORTH", "1.0"))
    (tmp_path / "torn_maze.py").write_text(MAZE.replace("WORTH", "float('nan')"))
    assert main(["check-env", "sound_maze:Maze"]) == 0
    assert capsys.readouterr().out == "sound_maze:Maze: no problem found\n"
    assert main(["check-env", "torn_maze:Maze"]) == 3
    assert "the reward is nan; it must be finite" in capsys.readouterr().out
    assert main(["check-env", "torn_maze:Maze", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)[0]["kind"] == "non-finite"
    assert main(["check-env", "sound_maze:Labyrinth"]) == 2
    assert jax.default_backend() == "cpu"
