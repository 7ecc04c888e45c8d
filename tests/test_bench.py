"""Ratios and their bars, what is stored of them, peers that do not install, and one comparison made for real."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from headstart import bench
from headstart.bench import page, peers, timing
from headstart.bench.comparison import Comparison, Limit, Pair, in_turn, write
from headstart.errors import BadData, UsageError
from headstart.progress import Quiet

RATE = Comparison(
    "play",
    "what was run",
    "moves/s",
    "a peer",
    bar=0.5,
    pairs=(Pair(60.0, 100.0), Pair(90.0, 100.0), Pair(40.0, 100.0)),
    limit=Limit(240.0, "the most there is"),
)
TIME = replace(RATE, unit="s", bar=1.0, pairs=(Pair(2.0, 6.0), Pair(4.0, 4.0)), limit=Limit(1.5, "a cold start"))


class Heard(Quiet):
    """An observer that remembers."""

    def __init__(self):
        self.said, self.warned = [], []

    def say(self, sentence):
        self.said.append(sentence)

    def warn(self, sentence):
        self.warned.append(sentence)


def test_a_ratio_is_the_median_of_the_pairs_and_not_the_ratio_of_medians():
    skewed = replace(RATE, pairs=(Pair(1.0, 10.0), Pair(30.0, 20.0), Pair(2.0, 1.0)))
    assert skewed.ratio == 1.5
    assert (skewed.ours, skewed.theirs) == (2.0, 10.0)
    assert RATE.ratio == 0.6
    assert RATE.spread == (0.4, 0.9)


def test_a_recorded_figure_decides_nothing_and_is_said_to_be_one():
    recorded = replace(RATE, recorded=True)
    assert recorded.ratio == RATE.ratio
    assert RATE.holds is True
    assert recorded.holds is None
    assert "recorded once and not measured now" in page.conclusion(recorded)
    assert "bar" not in page.conclusion(recorded)
    assert page.RECORDED in page.page([recorded]).html()
    assert page.RECORDED not in page.page([RATE]).html()


def test_less_time_is_faster():
    assert TIME.ratios == (3.0, 1.0)
    assert TIME.ratio == 2.0


def test_fewer_steps_are_better_and_are_counted():
    steps = replace(TIME, unit="steps", pairs=(Pair(800.0, 5_000.0),), limit=None)
    assert steps.ratio == 6.25
    assert page._amount(steps.theirs, steps) == "5,000"


def test_the_fraction_of_the_limit_is_below_one_for_rates_and_for_times():
    assert RATE.of_limit == 60 / 240
    assert TIME.of_limit == 1.5 / 3.0
    assert replace(RATE, limit=None).of_limit is None


@pytest.mark.parametrize(("bar", "holds"), [(0.6, True), (0.61, False), (None, None)])
def test_a_bar_is_reached_or_not(bar, holds):
    assert replace(RATE, bar=bar).holds is holds


def test_nothing_measured_says_neither_yes_nor_no():
    missing = RATE.unmeasured("the peer is not there.")
    assert (missing.ratio, missing.spread, missing.of_limit, missing.holds) == (None, None, None, None)
    assert page.conclusion(missing) == "play: not measured: the peer is not there."


def test_measurements_are_taken_in_turn():
    order = []

    def contender(name):
        def measure():
            order.append(name)
            return float(len(order))

        return measure

    pairs = in_turn(contender("ours"), contender("theirs"), 3, observer=Heard())
    assert order == ["ours", "theirs"] * 3
    assert pairs == (Pair(1.0, 2.0), Pair(3.0, 4.0), Pair(5.0, 6.0))


def test_a_measurement_in_which_nothing_finished_is_refused():
    with pytest.raises(BadData, match="nothing was finished"):
        in_turn(lambda: 0.0, lambda: 1.0, 1, observer=Heard())


def test_what_is_stored_says_what_was_run(tmp_path):
    stored = json.loads(write(replace(RATE, seconds=3.0, versions={"peer": "1.2"}), tmp_path).read_text())
    assert stored["pairs"][1] == {"ours": 90.0, "theirs": 100.0}
    assert stored["ratios"] == [0.6, 0.9, 0.4]
    assert (stored["ratio"], stored["spread"], stored["holds"], stored["of_limit"]) == (0.6, [0.4, 0.9], True, 0.25)
    assert stored["versions"]["theirs"] == {"peer": "1.2"}
    assert stored["versions"]["ours"]["jax"] == jax.__version__
    assert {"command", "commit", "device", "seconds", "quick", "bar", "unit", "peer", "limit"} <= stored.keys()


def test_a_page_shows_every_comparison(tmp_path):
    comparisons = [RATE, TIME, replace(RATE, name="gone", quick=True).unmeasured("no <peer> here.")]
    text = page.page(comparisons).write(tmp_path).read_text()
    assert "0.60x" in text
    assert "2.00x" in text
    assert "25%" in text
    assert "no &lt;peer&gt; here." in text
    assert "quick run" in text
    assert page.table(comparisons).row_count == 3


def test_the_table_fits_a_terminal_of_eighty_columns():
    widest = Comparison(
        "engine-connect-four", "w", "moves/s", "p", None, (Pair(2.56e6, 111e3), Pair(2.34e6, 112e3)), Limit(9e6, "l")
    )
    screen = io.StringIO()
    Console(file=screen, width=80).print(page.table([widest]))
    assert "…" not in screen.getvalue()
    assert "20.89-23.06 " in screen.getvalue()


def test_an_unknown_bench_is_named_before_anything_runs(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'engine'"):
        bench.run(["engin"], observer=Heard(), directory=tmp_path / "new", quick=True)
    assert not (tmp_path / "new").exists()


def test_a_rate_counts_units_and_goes_on_from_where_it_stood():
    states = []

    def step(state):
        states.append(int(state))
        return state + 1, jnp.float32(7.0)

    measure = timing.rate(step, jnp.int32(0), lambda done: float(done) * 2)
    first, second = measure(), measure()
    assert states == [0, 1, 2]
    assert min(first, second) > 0


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # nothing is downloaded in tests
    return tmp_path


def test_a_peer_that_does_not_install_costs_one_sentence(cache):
    absent = peers.Peer("absent", ("this-package-is-nowhere-to-be-found==1",))
    observer = Heard()
    with pytest.raises(peers.PeerFailed, match="absent could not be installed") as caught:
        peers.environment(absent, observer=observer)
    assert "\n" not in str(caught.value)
    assert "this-package-is-nowhere-to-be-found" in str(caught.value)
    assert "installing" in observer.said[0]


def test_a_bench_whose_peers_do_not_install_goes_on(tmp_path, monkeypatch):
    def fails(peer, *, observer):
        raise peers.PeerFailed(f"{peer.name} could not be installed (no such thing).")

    from headstart.bench import time_to_result

    monkeypatch.setattr(time_to_result, "environment", fails)
    observer = Heard()
    (found,) = bench.run(["time-to-result"], observer=observer, directory=tmp_path, quick=True)
    assert found.not_measured == "rejax could not be installed (no such thing)."
    assert observer.warned == ["time-to-result: not measured: rejax could not be installed (no such thing)."]
    assert json.loads((tmp_path / "time-to-result.json").read_text())["holds"] is None
    assert "Not measured" in (tmp_path / "report.html").read_text()


def test_an_environment_is_made_once(cache):
    bare = peers.Peer("bare", ())
    made = []

    def pretend(command, peer):
        python = next(path for path in [Path(command[-1]) / "bin" / "python"])
        if "venv" in command:
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
        made.append(command)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers, "_run", pretend)
        first = peers.environment(bare, observer=Heard())
        second = peers.environment(bare, observer=Heard())
    assert first == second
    assert first.is_relative_to(cache)
    assert len(made) == 2, "one call makes the environment and one fills it"


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A function that writes a script; the scripts' folder is a temporary one."""
    monkeypatch.setattr(peers, "SCRIPTS", tmp_path)
    return lambda text: (tmp_path / "said.py").write_text(text)


def test_a_script_is_asked_line_by_line(script):
    script(
        "import json, sys\n"
        "print('a greeting that nobody asked for')\n"
        "print(json.dumps({'versions': json.loads(sys.argv[1])}), flush=True)\n"
        "for line in sys.stdin: print(json.dumps({'twice': 2 * json.loads(line)['number']}), flush=True)\n"
    )
    with peers.talk("a peer", Path(sys.executable), "said", peer="1.0") as theirs:
        assert theirs.versions == {"peer": "1.0"}
        assert [theirs.ask(number=number)["twice"] for number in (1, 2)] == [2, 4]


def test_a_script_that_fails_says_why_in_a_sentence(script):
    script("raise ValueError('too many values to unpack')\n")
    with pytest.raises(peers.PeerFailed, match=r"^a peer gave no answer \(ValueError: too many values to unpack\)"):
        peers.ask_once("a peer", Path(sys.executable), "said")
    with pytest.raises(peers.PeerFailed, match="too many values"), peers.talk("a peer", Path(sys.executable), "said"):
        pass


def test_a_cold_start_is_timed_whole(script):
    script("import time; time.sleep(0.3); print('{\"return\": 1.0}')\n")
    answer = peers.ask_once("a peer", Path(sys.executable), "said")
    assert answer["return"] == 1.0
    assert answer["seconds"] > 0.3


def test_the_choice_among_legal_actions_is_uniform():
    from headstart.bench.random_play import choose

    legal = jnp.tile(jnp.array([False, True, False, True, True]), (30_000, 1))
    counts = np.bincount(choose(legal, key=jax.random.key(0)), minlength=5)
    assert counts[[0, 2]].sum() == 0
    np.testing.assert_allclose(counts[[1, 3, 4]] / 30_000, 1 / 3, atol=0.015)


def test_random_play_of_both_plays_games_to_their_end():
    """One comparison for real: the same harness around ours and theirs, a few lanes wide."""
    pgx = pytest.importorskip("pgx")
    from headstart.bench import random_play
    from headstart.worlds.boardgames.rules import CLASSICS

    contenders = random_play.ours(CLASSICS["tic_tac_toe"]), random_play.theirs(pgx.make("tic_tac_toe"))
    measures = [random_play.moves_per_second(contender, lanes=4, moves=32) for contender in contenders]
    pairs = in_turn(*measures, 2, observer=Heard())
    assert all(ratio > 0 for ratio in replace(RATE, pairs=pairs).ratios)


def test_the_tower_counts_what_it_multiplies():
    from headstart.bench.residual import ResidualTower

    tower = eqx.filter_eval_shape(lambda key: ResidualTower((6, 7, 2), 7, key, channels=4, blocks=1), jax.random.key(0))
    tower = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape) if hasattr(leaf, "shape") else leaf, tower)
    logits, value = eqx.filter_eval_shape(lambda tower: tower.look(jnp.zeros((6, 7, 2), bool)), tower)
    assert (logits.shape, value.shape) == ((7,), ())
    kernels = 9 * 2 * 4 + 2 * 9 * 4 * 4 + 4 * 2 + 4 * 1
    dense = 2 * 42 * 7 + 42 * 4 + 4 * 1
    assert tower.flops(6, 7) == 2 * (42 * kernels + dense)


def test_who_does_not_read_is_the_same_but_for_the_words():
    from headstart.bench import reading
    from headstart.newgame.training import Training

    told, untold = reading.board_games(Training(games=2, paraphrases=1, lanes=4, length=4, minibatch=8))
    assert told.games.words is not None
    assert untold.games.words is None
    assert eqx.tree_equal(replace(told, games=untold.games), untold)
    told, untold = reading.friends(8)
    networks = [process.network(jax.random.key(0)) for process in (told, untold)]
    tokens = jnp.arange(1, 5)
    heard, unheard = (network.encoder(tokens) for network in networks)
    assert heard.shape == unheard.shape
    assert np.any(heard)
    assert not np.any(unheard)
    assert replace(told, network=untold.network) == untold
    assert eqx.tree_equal(networks[0].numbers, networks[1].numbers)


def test_what_reading_costs_is_a_ratio_without_a_bar(monkeypatch):
    """Of what is measured, twice each and in turn; the measurements themselves are pretended."""
    from headstart.bench import reading

    measured = []

    def pretend(process, iterations):
        reads = getattr(process, "games", None) is not None and process.games.words is not None
        measured.append((type(process).__name__, reads, iterations))
        return lambda: 50.0 if reads else 100.0

    monkeypatch.setattr(reading, "steps_per_second", pretend)
    monkeypatch.setattr(reading, "GAMES", 2)
    boards, friends = reading.compare(observer=Heard(), quick=True)
    assert [comparison.name for comparison in (boards, friends)] == ["reading-board-games", "reading-friends"]
    assert measured[:2] == [("Practice", True, 1), ("Practice", False, 1)]
    assert {name for name, *_ in measured[2:]} == {"Online"}
    assert (boards.holds, boards.bar, boards.peer) == (None, None, reading.WITHHELD)
    assert boards.ratio == 0.5
    assert boards.quick
    assert len(boards.pairs) == len(friends.pairs) == 2


@pytest.mark.slow
def test_what_learns_to_play_goes_with_words_and_without():
    from headstart.bench import reading
    from headstart.newgame.training import Training

    small = Training(games=2, paraphrases=1, canvas=3, lanes=4, length=4, minibatch=8)
    for process in (*reading.board_games(small), *reading.friends(2)):
        assert reading.steps_per_second(process, 1)() > 0
