"""A run that is killed, stopped or starved ends where it would have ended, or says why it cannot."""

import errno
import json
import multiprocessing
import os
import pathlib
import random
import signal
import sys
import time

import jax
import numpy as np
import pytest

import resumable
from headstart import checkpoint, rundir, storage
from headstart.errors import CannotResume, Interrupted, NumericalStop, StorageError, UsageError
from headstart.interrupts import Interrupts
from headstart.progress import AbstractObserver
from headstart.run import _After, run
from resumable import Plain, Tiny


class Listener(AbstractObserver):
    """Remembers all it is told; `at` maps an iteration to what should happen when it is reached."""

    def __init__(self, at=None):
        self.said, self.warned, self.at, self.dones = [], [], at or {}, []

    def begin(self, about, done, total):
        self.about, self.dones = about, [done]

    def advance(self, done, metrics):
        self.dones.append(done)
        if done in self.at:
            self.at[done]()

    def say(self, sentence):
        self.said.append(sentence)

    def warn(self, sentence):
        self.warned.append(sentence)

    def end(self):
        pass


def go(directory, iterations=48, process=None, **changes):
    options = {"configuration": {"name": "tiny"}, "seed": 3, "every": 16, "chunk": 8, "observer": Listener()} | changes
    return run(process or Plain(), iterations, directory=directory, **options)


def contents(directory):
    """Every file of a run and its bytes; the lock names a process, so it differs."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != "LOCK")
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Start `resumable.main` as a process of its own, from a server that has imported everything already."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parent))
    patch.setenv(
        "JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled"))
    )  # each process compiles the same
    patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["resumable"])

    def start(directory, *arguments, name="tiny", iterations=200):
        line = [name, str(directory), str(iterations), *map(str, arguments)]
        process = context.Process(target=resumable.main, args=(line,))
        process.start()
        return process

    yield start
    patch.undo()


def wait_for(process, path):
    """Until the process has written something there."""
    for _ in range(6000):
        if path.exists() and path.stat().st_size:
            return
        assert process.is_alive()
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written within a minute")


def end(process):
    process.join(60)
    return process.exitcode


def iterations_of(directory):
    return [json.loads(line)["iteration"] for line in (directory / "metrics.jsonl").read_text().splitlines()]


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def kill_until_done(command, name, directory, iterations, syncs):
    """Kill a command in the midst of saves, then at a random moment, then let it finish."""
    for number in syncs:
        killed = command(directory, "--die-at-sync", number, name=name, iterations=iterations)
        assert end(killed) == -signal.SIGKILL
    (directory / "LOCK").unlink()
    killed = command(directory, name=name, iterations=iterations)
    wait_for(killed, directory / "LOCK")
    time.sleep(random.Random(os.getpid()).uniform(0.0, 1.0))
    killed.kill()
    end(killed)
    assert end(command(directory, name=name, iterations=iterations)) == 0


def test_killed_at_any_moment_ends_in_the_same_bits(tmp_path, command):
    assert end(command(tmp_path / "whole")) == 0
    # One synchronisation for run.json; then metrics, state, manifest, folder and parent for each checkpoint.
    kill_until_done(command, "tiny", tmp_path / "killed", 200, syncs=(3, 10, 14))
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert iterations_of(tmp_path / "killed") == list(range(1, 201))


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["dqn", "ppo"])
def test_learners_killed_at_any_moment_end_in_the_same_bits(tmp_path, command, learner):
    assert end(command(tmp_path / "whole", name=learner, iterations=64)) == 0
    kill_until_done(command, learner, tmp_path / "killed", 64, syncs=(9,))
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_killed_between_checkpoints_loses_no_row_and_doubles_none(tmp_path):
    go(tmp_path / "whole")

    def die():
        raise RuntimeError("as good as killed: nothing is saved")

    with pytest.raises(RuntimeError):
        go(tmp_path / "run", observer=Listener({40: die}))
    assert iterations_of(tmp_path / "run")[-1] == 40
    assert checkpoint.steps(tmp_path / "run/checkpoints") == [16, 32]
    with open(tmp_path / "run/metrics.jsonl", "a") as file:
        file.write('{"iteration": 41, "tin')  # torn
    listener = Listener()
    go(tmp_path / "run", observer=listener)
    assert listener.dones[0] == 32
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_more_iterations_may_be_asked_for(tmp_path):
    go(tmp_path / "a", 16, configuration={"name": "tiny", "iterations": 16})
    state = go(tmp_path / "a", 48, configuration={"name": "tiny", "iterations": 48})
    whole = go(tmp_path / "b", 48)
    assert np.array_equal(state.weight, whole.weight)
    assert json.loads((tmp_path / "a/run.json").read_text())["configuration"]["iterations"] == 48


def test_a_finished_run_is_left_as_it_is(tmp_path):
    whole = go(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file() and path.name != "LOCK"}
    listener = Listener()
    state = go(tmp_path, 30, observer=listener)
    assert listener.said == ["already complete at iteration 48."]
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert np.array_equal(jax.random.key_data(state.key), jax.random.key_data(whole.key))


def test_a_damaged_newest_step_costs_an_interval_and_no_bit(tmp_path):
    go(tmp_path / "whole", 64)
    go(tmp_path / "run", 48)
    os.truncate(tmp_path / "run/checkpoints/48/state.safetensors", 100)
    listener = Listener()
    go(tmp_path / "run", 64, observer=listener)
    assert listener.dones[0] == 32
    assert "state.safetensors" in listener.warned[0]
    for name in ("checkpoints/64/state.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_no_intact_step_does_not_begin_anew(tmp_path):
    go(tmp_path)
    for step in (32, 48):
        (tmp_path / f"checkpoints/{step}/manifest.json").unlink()
    for _ in range(2):
        with pytest.raises(StorageError, match="no intact checkpoint"):
            go(tmp_path)


@pytest.mark.parametrize("changes", [{"configuration": {"name": "other"}}, {"seed": 4}])
def test_another_configuration_is_refused_with_the_difference(tmp_path, changes):
    go(tmp_path, 16)
    before = contents(tmp_path)
    with pytest.raises(CannotResume, match=r"name: tiny -> other|seed: 3 -> 4"):
        go(tmp_path, 32, **changes)
    assert contents(tmp_path) == before


def test_an_override_is_recorded(tmp_path):
    go(tmp_path, 16)
    go(tmp_path, 32, configuration={"name": "other", "rate": {"first": 1}}, override=True)
    history = json.loads((tmp_path / "run.json").read_text())["history"]
    assert history[0]["overridden"] == ["name", "rate.first"]


def alter(directory, **changes):
    path = directory / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_other_versions_and_devices_are_warned_of(tmp_path):
    go(tmp_path, 16)
    described = json.loads((tmp_path / "run.json").read_text())
    alter(
        tmp_path,
        versions=described["versions"] | {"jax": "0.0.1"},
        device=described["device"] | {"count": 8},
    )
    listener = Listener()
    go(tmp_path, 32, observer=listener)
    assert len(listener.warned) == 2
    assert all("no longer bit-exact" in sentence for sentence in listener.warned)
    assert "jax 0.0.1 ->" in listener.warned[0]
    assert "count 8 -> " in listener.warned[1]


def test_a_newer_format_names_the_version_needed(tmp_path):
    go(tmp_path, 16)
    alter(tmp_path, format=99, versions={"headstart-rl": "7.0"})
    with pytest.raises(CannotResume, match=r"headstart-rl 7\.0"):
        go(tmp_path, 32)


def test_another_architecture_is_refused(tmp_path):
    go(tmp_path, 16)
    with pytest.raises(CannotResume, match=r"weight: stored float32\[16, 16\], expected float32\[8, 8\]"):
        go(tmp_path, 32, process=Plain(size=8))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"format": "x"}', b"[" * 100_000])
def test_a_foreign_run_json_is_a_usage_error(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"run\.json"):
        go(tmp_path)
    assert (tmp_path / "run.json").read_bytes() == content


def test_a_directory_that_is_not_ours_is_refused_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(UsageError, match="no run of ours"):
        go(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(UsageError, match="is a file"):
            go(path)


def test_a_directory_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    # The administrator may write anywhere, so the answer of the system is what is simulated.
    monkeypatch.setattr(rundir.os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="not writable"):
        go(tmp_path / "run")


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"every": 0}, {"chunk": -1}])
def test_counts_below_one_are_refused(tmp_path, wrong):
    with pytest.raises(UsageError, match="at least 1"):
        go(tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_a_second_process_is_refused_and_a_dead_one_is_succeeded(tmp_path, command):
    holder = command(tmp_path, name="slow")
    wait_for(holder, tmp_path / "run.json")
    with pytest.raises(UsageError, match=f"in use by process {holder.pid} on"):
        go(tmp_path)
    holder.kill()
    end(holder)
    assert json.loads((tmp_path / "LOCK").read_text())["pid"] == holder.pid
    go(tmp_path, 16, configuration={"name": "slow"})  # the stale lock hinders nobody


@pytest.mark.parametrize(("which", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_asked_to_stop_it_stores_the_chunk_and_goes_on_later(tmp_path, which, code):
    go(tmp_path / "whole")
    with pytest.raises(Interrupted, match="at iteration 24") as stopped:
        go(tmp_path / "run", observer=Listener({24: lambda: signal.raise_signal(which)}))
    assert stopped.value.exit_code == code
    assert checkpoint.steps(tmp_path / "run/checkpoints") == [16, 24]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # handlers are given back
    state = go(tmp_path / "run")
    assert np.array_equal(state.weight, checkpoint.restore(tmp_path / "whole/checkpoints", state)[1].weight)
    assert (tmp_path / "run/metrics.jsonl").read_bytes() == (tmp_path / "whole/metrics.jsonl").read_bytes()


def test_asked_twice_it_stops_at_once(tmp_path, command):
    process = command(tmp_path, name="slow", iterations=1000)  # a chunk takes four seconds
    wait_for(process, tmp_path / "metrics.jsonl")
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.3)
    assert process.is_alive()
    os.kill(process.pid, signal.SIGINT)
    assert end(process) == 130
    assert time.monotonic() - began < 3


def test_three_full_disks_while_saving_end_the_run(tmp_path, monkeypatch):
    go(tmp_path, 16)
    monkeypatch.setattr(storage, "write_file", full)
    listener = Listener()
    with pytest.raises(StorageError, match="No space left"):
        go(tmp_path, 160, observer=listener)
    assert len(listener.warned) == 2
    assert listener.dones[-1] == 64  # it trained on between the attempts
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["16"]  # untouched, and no remains


def test_a_disk_that_is_full_for_a_while_costs_one_checkpoint(tmp_path, monkeypatch):
    write, calls = storage.write_file, []

    def write_file(*args):
        calls.append(args)
        return full() if len(calls) == 1 else write(*args)

    monkeypatch.setattr(storage, "write_file", write_file)
    listener = Listener()
    go(tmp_path, observer=listener)
    assert "Training goes on" in listener.warned[0]
    assert checkpoint.steps(tmp_path / "checkpoints") == [32, 48]


def test_a_disk_full_while_logging_costs_rows_alone(tmp_path, monkeypatch):
    class Full:
        def __init__(self, file):
            self.file, self.writes = file, 0

        def write(self, data):
            self.writes += 1
            if self.writes in (2, 3):
                self.file.write(data[:10])
                full()
            return self.file.write(data)

        def __getattr__(self, name):
            return getattr(self.file, name)

    create = rundir.Metrics.__init__

    def filled(self, *args):
        create(self, *args)
        self._file = Full(self._file)

    monkeypatch.setattr(rundir.Metrics, "__init__", filled)
    listener = Listener()
    go(tmp_path, observer=listener)
    assert iterations_of(tmp_path) == [*range(1, 9), *range(25, 49)]
    assert len(listener.warned) == 2
    assert "rows are dropped" in listener.warned[0]
    assert "16 rows" in listener.warned[1]


def test_losses_that_stay_not_finite_end_the_run(tmp_path):
    with pytest.raises(NumericalStop, match="tiny/loss = nan"):
        go(tmp_path, 100, process=Plain(poison=20), patience=10)
    assert checkpoint.steps(tmp_path / "checkpoints") == [16]
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[20])["tiny/loss"] is None


def test_skipped_updates_count_and_a_good_one_forgives(tmp_path):
    rows = rundir.Metrics(tmp_path, 0, print)
    after = _After(tmp_path, 100, 0, 10, 2, 3, rows, [], Listener(), Interrupts())
    rows.close()
    skipped = lambda *flags: {"ppo/skipped": np.array(flags), "episode/return": np.full(len(flags), np.nan)}
    after._judge(4, skipped(1, 1, 0, 1))
    with pytest.raises(NumericalStop, match="3 iterations in a row"):
        after._judge(8, skipped(1, 1, 0, 0))


def test_run_json_says_what_was_run(tmp_path):
    go(tmp_path, 8, observes="the board and the rules")
    described = json.loads((tmp_path / "run.json").read_text())
    assert described["observes"] == "the board and the rules"
    assert described["seed"] == 3
    assert described["versions"].keys() >= {"headstart-rl", "jax", "equinox"}
    assert described["device"]["count"] == len(jax.devices())
    assert str(tmp_path) not in json.dumps(described)  # a run can be moved


def test_tensorboard_that_fails_is_dropped_with_one_warning(tmp_path, monkeypatch):
    import types

    class Writer:
        def __init__(self, *_, **__):
            self.calls = 0

        def add_scalar(self, *_):
            raise RuntimeError("please log in")

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    listener = Listener()
    go(tmp_path, tensorboard=True, observer=listener)
    assert len(listener.warned) == 1
    assert "please log in" in listener.warned[0]
    assert iterations_of(tmp_path) == list(range(1, 49))


def test_compiled_processes_are_resumed_from_shapes_alone(tmp_path):
    go(tmp_path / "a", 8, process=Tiny())
    state = go(tmp_path / "a", 24, process=Tiny())
    whole = go(tmp_path / "b", 24, process=Tiny())
    assert np.array_equal(state.weight, whole.weight)
