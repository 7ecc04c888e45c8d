"""Environments for peers that cannot share ours, and conversations with scripts that run inside them.

An environment is a folder in the user's cache, named after what is in it, made once and reused. A script is started in
it and stays alive, compiled and warm: each line that it is sent is answered by one line of JSON.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import jax

from headstart.errors import HeadstartError
from headstart.progress import AbstractObserver

__all__ = ["REJAX", "ROBOTS", "STABLE_BASELINES", "Peer", "PeerFailed", "Talk", "ask_once", "environment", "talk"]

SCRIPTS = Path(__file__).parent / "scripts"
READY = "ready.json"


class PeerFailed(HeadstartError):
    """A peer could not be installed, or its script failed: that comparison is not measured, and the others go on."""


@dataclass(frozen=True)
class Peer:
    """A peer that needs an environment of its own: its name, and what pip is asked for."""

    name: str
    requirements: tuple[str, ...]


#: What pip resolves by itself today does not run: gymnax 1 changed what `step` returns.
REJAX = Peer("rejax", ("rejax==0.1.3", "gymnax<1", "jax==0.10.2"))
STABLE_BASELINES = Peer("stable-baselines3", ("stable-baselines3==2.9.2", "torch==2.13.0"))
ROBOTS = Peer("stable-baselines3", (*STABLE_BASELINES.requirements, "gymnasium-robotics==1.4.2", "mujoco==3.11.0"))


def environment(peer: Peer, *, observer: AbstractObserver) -> Path:
    """The Python of the peer's environment, which is made if it is not there yet.

    **Raises:** `PeerFailed` with the last thing that pip had to say.
    """
    asked = [*peer.requirements, f"python {sys.version_info.major}.{sys.version_info.minor}"]
    digest = hashlib.sha256("\n".join(asked).encode()).hexdigest()[:12]
    place = _cache() / "peers" / f"{peer.name}-{digest}"
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if (place / READY).exists() and python.exists():
        return python
    observer.say(f"installing {', '.join(peer.requirements)} into {place}, once; this takes a minute or more ...")
    try:
        shutil.rmtree(place, ignore_errors=True)  # an earlier attempt that did not end
        place.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", str(place)], peer)
        _run([str(python), "-m", "pip", "install", "--quiet", *peer.requirements], peer)
        (place / READY).write_text(json.dumps(asked), encoding="utf-8")
    except OSError as error:
        raise PeerFailed(f"{peer.name} has no environment ({error.strerror}); make room in {place.parent}.") from error
    return python


def _run(command: list[str], peer: Peer) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise PeerFailed(f"{peer.name} could not be installed ({_last(done.stderr or done.stdout)}).")


def _last(text: str) -> str:
    """The last line that says what was wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR") or "Error" in line]
    return (errors or lines or ["it gave no reason"])[-1]


def _cache() -> Path:
    """Where environments are kept: below the user's cache directory, of which a relative one is to be ignored."""
    above = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (above if above.is_absolute() else Path("~/.cache").expanduser()) / "headstart"


class Talk:
    """A conversation with a running script. `versions` is what it said of itself when it was ready."""

    def __init__(self, name: str, process: subprocess.Popen[str], errors: IO[str]):
        self.name, self._process, self._errors = name, process, errors
        self.versions: Mapping[str, str] = self._listen()["versions"]

    def ask(self, **request: Any) -> dict[str, Any]:
        """One measurement. **Raises:** `PeerFailed` if the script gave no answer."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._listen()

    def _listen(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # libraries may print what they like beside our answers
                return json.loads(line)
        self._errors.seek(0)
        raise PeerFailed(f"{self.name} gave no answer ({_last(self._errors.read())}); run its script by hand to see.")


@contextlib.contextmanager
def talk(name: str, python: Path, script: str, **settings: Any) -> Iterator[Talk]:
    """Start `scripts/SCRIPT.py` with its settings as JSON, until the end of the block.

    **Raises:** `PeerFailed` if it did not get ready.
    """
    with _started(python, script, settings) as (process, errors):
        yield Talk(name, process, errors)


def ask_once(name: str, python: Path, script: str, **settings: Any) -> dict[str, Any]:
    """The one line of JSON of a script that runs from a cold start to its end, with the `"seconds"` that it took.

    **Raises:** `PeerFailed` if there was none.
    """
    begun = time.perf_counter()
    with _started(python, script, settings) as (process, errors):
        out, _ = process.communicate()
        seconds = time.perf_counter() - begun
        answers = [line for line in out.splitlines() if line.startswith("{")]
        if process.returncode or not answers:
            errors.seek(0)
            raise PeerFailed(f"{name} gave no answer ({_last(errors.read())}); run its script by hand to see.")
        return json.loads(answers[-1]) | {"seconds": seconds}


@contextlib.contextmanager
def _started(python: Path, script: str, settings: Mapping[str, Any]) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    # A compilation that was stored by an earlier run would not be a cold start, and peers compute on what we do.
    surroundings = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    surroundings |= {"JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": jax.default_backend()}
    # Where Python looks for our modules is of no use to others.
    alone = [] if python == Path(sys.executable) else ["-I"]
    command = [str(python), *alone, "-W", "ignore", str(SCRIPTS / f"{script}.py"), json.dumps(settings)]
    # Errors go to a file: a pipe that nobody reads would fill up, and stop the script.
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=surroundings
            )
        except OSError as error:
            raise PeerFailed(f"{python} could not be started ({error.strerror}); remove that folder.") from error
        try:
            yield process, errors
        finally:
            process.kill()
            with contextlib.suppress(BrokenPipeError):  # what it was told last, it will never read
                process.communicate()
