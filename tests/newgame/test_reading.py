"""Learning to read alone: the same lessons, with no game played, and the prior with another reader in it."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart import run
from headstart.errors import UsageError
from headstart.instructions.vocabulary import PADDING, UNKNOWN
from headstart.newgame import prior, reading
from headstart.newgame.reading import Lessons, Reading, misread, with_gaps
from headstart.worlds.boardgames.facts import FACTS
from headstart.worlds.boardgames.family import world_of
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.vocabulary import WORDS

pytestmark = pytest.mark.usefixtures("quick_to_compile")

LOSES = FACTS.index("whoever would win loses")
TINY = Lessons(iterations=2, games=2, paraphrases=1, lessons=1, texts=4)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    """A run directory as `headstart train reading` makes it, of two short iterations."""
    directory = tmp_path_factory.mktemp("runs") / "reading-0"
    asked = {"recipe": "reading", "iterations": 2, "lessons": dataclasses.asdict(TINY)}
    state = run.run(reading.process(TINY), 2, directory=directory, configuration=asked, seed=0, chunk=1)
    return directory, state


def test_what_words_mean_is_learned():
    games = [CLASSICS["tic_tac_toe"], CLASSICS["misere_tic_tac_toe"]]
    process = Reading(world_of(games, canvas=3, paraphrases=4), lessons=25, texts=16, learning_rate=5e-3)
    step = eqx.filter_jit(process.step)
    state, rows = process.init(key=jax.random.key(0)), []
    for iteration in range(6):
        state, metrics = step(state, key=jax.random.key(iteration))
        rows.append(metrics)
    assert rows[-1]["reading/error"] < 0.2 * rows[0]["reading/error"]
    assert rows[-1]["reading/wrong"] < 0.02
    said = jax.vmap(jax.vmap(state.reader))(process.games.words.astype(jnp.int32))[..., LOSES]
    assert (said[1] > 0).all()
    assert (said[0] < 0).all()


def test_gaps_are_where_words_are():
    words = jnp.zeros((200, WORDS), jnp.int32).at[:, :40].set(7)
    blotted = np.asarray(with_gaps(words, 0.25, key=jax.random.key(0)))
    assert (blotted[:, 40:] == PADDING).all()
    assert set(np.unique(blotted[:, :40])) == {UNKNOWN, 7}
    assert (blotted[:, :40] == UNKNOWN).mean() == pytest.approx(0.25, abs=0.02)
    assert (np.asarray(with_gaps(words, 0.0, key=jax.random.key(0))) == words).all()


def test_the_error_is_in_nats_and_the_share_of_wrong_answers_beside_it():
    read = jnp.log(jnp.array([[3.0, 1 / 3], [3.0, 3.0]]))  # odds of three to one
    error, metrics = misread(read, jnp.array([[1.0, 0.0], [1.0, 0.0]]))
    assert float(error) == pytest.approx((3 * np.log(4 / 3) + np.log(4)) / 4, rel=1e-5)
    assert float(metrics["reading/wrong"]) == 0.25


def test_a_reader_is_judged_by_the_facts_that_it_misreads(tiny_run):
    process, (_, state) = reading.process(TINY), tiny_run
    found = reading.evaluate(process, state, title="a beginner", episodes=100, seed=0)
    assert list(found.figures) == ["train words", "held-out words"]
    assert all(0 < float(share.rstrip("%")) < 60 for share in found.figures.values())


def test_the_prior_takes_another_reader_and_keeps_all_else(tiny_run, tmp_path):
    directory, state = tiny_run
    prior_before, made_before = prior.load()
    exported = prior.reread(directory, tmp_path / "prior")
    like = eqx.filter_eval_shape(lambda: prior_before)
    agent, made = prior.load_export(exported, like)
    assert eqx.tree_equal(agent.inference.reader, state.reader)
    assert eqx.tree_equal(agent.player, prior_before.player)
    assert eqx.tree_equal(agent.inference.witness, prior_before.inference.witness)
    assert made["command"] == made_before["command"]
    assert made["reading"]["command"] == "headstart train reading --iterations 2 --seed 0"
    assert made["reading"]["texts"] == 8
    assert len(made["reading"]["log"]) >= 2


def test_a_directory_without_a_run_has_no_reader(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        prior.reread(tmp_path, tmp_path / "prior")
