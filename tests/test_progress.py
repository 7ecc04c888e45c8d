"""Progress says what is being done on what, how fast, and how long it will take, wherever it is read."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from headstart import progress

ABOUT = {
    "device": {"backend": "cpu", "count": 1, "kind": "cpu"},
    "versions": {"headstart-rl": "0.1.0", "jax": "0.10.2", "equinox": "0.13.8", "numpy": "2.4"},
}
METRICS = {"ppo/loss": np.array([1.0, 0.5]), "episode/return": np.array([np.nan, np.nan])}


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when a test says so."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def play(observer, clock):
    observer.begin(ABOUT, 16, 2016)
    clock[0] += 12
    observer.advance(16 + 16, METRICS)
    clock[0] += 10
    observer.advance(32 + 100, METRICS)
    observer.warn("the disk is full")
    observer.end()


def test_lines_count_from_the_beginning_and_leave_compilation_out_of_the_rate(clock):
    stream = io.StringIO()
    play(progress.Lines(progress.Pace("steps", 64), stream), clock)
    assert stream.getvalue().splitlines() == [
        "cpu: 1 x cpu; headstart-rl 0.1.0, jax 0.10.2, equinox 0.13.8",
        "16 of 2,016 iterations done; compiling ...",
        "32 of 2,016, first chunk, compilation included, in 12.0 s",
        "132 of 2,016, 640 steps/s, 3:08 left",
        "warning: the disk is full",
    ]


def test_lines_are_few(clock):
    stream = io.StringIO()
    lines = progress.Lines(progress.Pace(), stream, every=10.0)
    lines.begin(ABOUT, 0, 1000)
    for done in range(1, 1001):
        clock[0] += 0.1
        lines.advance(done, METRICS)
    assert len(stream.getvalue().splitlines()) == 2 + 10 + 1  # and the last iteration is always among them
    assert "1,000 of 1,000" in stream.getvalue()


def test_lines_survive_a_locale_that_cannot_show_a_path():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    progress.Lines(progress.Pace(), stream).warn("/home/zoë/läufe")
    assert raw.getvalue() == b"warning: /home/zo\\xeb/l\\xe4ufe\n"


def test_json_is_one_object_a_line_and_strict(clock):
    stream = io.StringIO()
    play(progress.JSONLines(stream), clock)
    rows = [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]
    assert [row["event"] for row in rows] == ["begin", "advance", "advance", "warn", "end"]
    assert rows[1]["metrics"] == {"ppo/loss": 0.5, "episode/return": None}


def test_the_bar_shows_the_resumed_total_and_the_rate(clock):
    console = Console(file=io.StringIO(), force_terminal=True, width=120, highlight=False)
    bar = progress.Bar(progress.Pace("steps", 64), console)
    bar.begin(ABOUT, 16, 2016)
    assert bar.progress.tasks[0].description == "compiling ..."
    assert bar.progress.tasks[0].completed == 16
    clock[0] += 12
    bar.advance(32, METRICS)
    clock[0] += 10
    bar.advance(132, METRICS)
    assert bar.progress.tasks[0].description == "640 steps/s, 3:08 left"
    assert bar.progress.tasks[0].total == 2016
    bar.end()
    assert "jax 0.10.2" in console.file.getvalue()


def test_quiet_says_warnings_alone(clock, capsys):
    play(progress.Quiet(), clock)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "warning: the disk is full\n"


def test_without_a_terminal_there_are_lines():
    assert isinstance(progress.observer(), progress.Lines)  # pytest captures standard error
    assert isinstance(progress.observer(json_lines=True), progress.JSONLines)
    assert isinstance(progress.observer(quiet=True), progress.Quiet)
