import json
import os
import subprocess
import sys
from importlib import metadata

import pytest

from headstart import doctor, machine
from headstart.cli import main
from headstart.errors import UsageError


def rows():
    return {row.what: row for row in doctor.examine()}


def test_a_sound_machine_has_nothing_to_mend(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = rows()
    assert {"python", "headstart", "jax", "equinox", "backend", "cache", "pgx", "gymnasium"} <= found.keys()
    assert not any(row.wrong for row in found.values())
    assert found["jax"].is_so == metadata.version("jax")
    assert str(tmp_path / "headstart" / "jax") in found["cache"].is_so


def test_missing_and_old_packages_come_with_the_line_that_mends_them(monkeypatch):
    genuine = metadata.version

    def version(name):
        if name == "pgx":
            raise metadata.PackageNotFoundError(name)
        return {"optax": "0.1.9", "gymnasium": "1.0.0"}.get(name) or genuine(name)

    monkeypatch.setattr(metadata, "version", version)
    found = rows()
    assert not found["pgx"].wrong, "an extra need not be there"
    assert found["pgx"].mend == "pip install 'headstart-rl[games]'"
    assert found["optax"].wrong
    assert "older than 0.2.5" in found["optax"].is_so
    assert found["optax"].mend == "pip install --upgrade 'optax>=0.2.5'"
    assert found["gymnasium"].wrong, "one that is there but too old breaks in mid-run"


def test_jax_that_does_not_start_is_told_and_the_rest_too(monkeypatch):
    import jax

    def devices():
        raise RuntimeError("no backend")

    monkeypatch.setattr(jax, "devices", devices)
    found = rows()
    assert found["backend"].wrong
    assert "no backend" in found["backend"].is_so
    assert "cache" in found


def test_an_idle_gpu_is_loud_and_exit_2(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "idle_gpu", lambda: True)
    assert main(["doctor"]) == 2
    told = capsys.readouterr().out
    assert "NVIDIA GPU" in told
    assert machine.CUDA in told
    assert "1 to mend." in told


def test_doctor_for_machines(capsys):
    assert main(["doctor", "--json"]) == 0
    assert {"what": "jax", "is_so": metadata.version("jax"), "mend": "", "wrong": False} in json.loads(
        capsys.readouterr().out
    )


def test_the_cache_goes_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert machine.cache_directory() == tmp_path / ".cache" / "headstart" / "jax"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert machine.cache_directory() == tmp_path / "elsewhere" / "headstart" / "jax"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    assert machine.cache_directory() == tmp_path / "mine"


def test_a_gpu_that_is_not_there_is_a_usage_error(monkeypatch):
    import jax

    def devices(backend=None):
        raise RuntimeError("Unknown backend gpu")

    monkeypatch.setattr(jax, "devices", devices)
    with pytest.raises(UsageError, match=r"no GPU here.*leave --device out"):
        machine.prepare("gpu", warn=pytest.fail)


def test_an_idle_gpu_is_warned_of_unless_it_is_left_alone_on_purpose(monkeypatch, tmp_path):
    import jax

    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.setattr(machine, "DEVICES", tmp_path)
    assert not machine.idle_gpu()
    (tmp_path / "nvidia0").touch()
    assert machine.idle_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not machine.idle_gpu()


PREPARE = """
import sys, jax
from headstart.machine import prepare
prepare("best", warn=lambda sentence: print("warned:", sentence))
print("cache:", jax.config.jax_compilation_cache_dir)
jax.jit(lambda x: x + 1)(1)
"""


@pytest.mark.parametrize(
    ("home", "told"),
    [("/proc/nowhere", "warned: compiled programs are not kept"), (None, "cache: "), ("here", "cache: ")],
)
def test_a_home_that_cannot_be_written_turns_the_cache_off_with_one_line(home, told, tmp_path):
    bare = {"PATH": os.environ["PATH"], "JAX_PLATFORMS": "cpu"}
    if home:
        bare["HOME"] = str(tmp_path) if home == "here" else home
    else:
        bare["XDG_CACHE_HOME"] = str(tmp_path)  # without HOME the system's own list of users would be asked
    done = subprocess.run([sys.executable, "-c", PREPARE], env=bare, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    assert done.stdout.count("warned:") == (home == "/proc/nowhere")
    assert (f"cache: {tmp_path}" in done.stdout) == (home != "/proc/nowhere")
