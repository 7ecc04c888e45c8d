"""Practice: an iteration teaches playing, reading and remembering, and what was read and seen is soon believed."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.collect import begin, collect
from headstart.core.types import Choice, Percept, Step, Task
from headstart.imagination.foresight import Foresight
from headstart.newgame.agent import UniversalAgent
from headstart.newgame.training import Practice, Training, _as_played, process
from headstart.scratch.ppo import PPO
from headstart.worlds.boardgames.engine import BoardGames
from headstart.worlds.boardgames.facts import FACTS
from headstart.worlds.boardgames.family import world_of
from headstart.worlds.boardgames.rules import CLASSICS
from headstart.worlds.boardgames.trials import GameTrials, Sight, no_ending

pytestmark = pytest.mark.usefixtures("quick_to_compile")

CANVAS, LANES, LENGTH, PARAPHRASES = 3, 4, 10, 2
LOSES = FACTS.index("whoever would win loses")
DRAW, WON, LOST = range(1, 4)


@pytest.fixture(scope="module")
def practice():
    """With the game of number 0 it is won to complete a line, with that of number 1 it is lost."""
    return Practice(
        world_of([CLASSICS["tic_tac_toe"], CLASSICS["misere_tic_tac_toe"]], canvas=CANVAS, paraphrases=PARAPHRASES),
        PPO(source=Foresight(), discount=1.0, epochs=1, minibatches=1, learning_rate=1e-3),
        agent=partial(UniversalAgent, width=8, blocks=1),
        lanes=LANES,
        length=LENGTH,
        lessons=2,
        texts=16,
        witnessed=LANES,
        learning_rate=3e-3,
    )


@pytest.fixture(scope="module")
def begun(practice):
    return practice.init(key=jax.random.key(0))


def played(number, verdict):
    """How a trial of game `number` may go on: every third move ends a game in this way."""
    ending = no_ending(CANVAS)
    board = ending.board.at[..., 2].set(True).at[0, :, 0].set(True).at[1, :2, 1].set(True).at[0, 2, 3].set(True)
    ending = eqx.tree_at(lambda end: (end.board, end.verdict), ending, (board, jnp.zeros(5).at[verdict].set(1.0)))
    return number, ending, (jnp.arange(LENGTH) % 3 < 2).astype(jnp.float32)


@pytest.fixture(scope="module")
def taught(practice, begun):
    """The state after lessons about both games, from their words and from trials of them; and the metrics."""
    numbers, endings, discounts = zip(*[played(0, WON), played(1, LOST)] * (LANES // 2), strict=True)
    long = lambda leaf: jnp.broadcast_to(leaf[None], (LENGTH, *leaf.shape))
    ending = jax.tree.map(lambda *leaves: long(jnp.stack(leaves)), *endings)
    percept = Percept(
        Sight(jnp.zeros((LENGTH, LANES, CANVAS, CANVAS, 6), bool), ending), jnp.zeros((LENGTH, LANES), bool)
    )
    discount = jnp.stack(discounts, axis=1)
    rollout = Step(percept, discount, 0 * discount, discount, discount < 0, percept)
    game = Task(parameters=jax.tree.map(lambda leaf: leaf[jnp.array(numbers)], practice.games.games))

    @jax.jit
    def lesson(inference, optimiser, key):
        text_key, key = jax.random.split(key)
        texts = jax.vmap(lambda key: practice.games.task(key=key))(jax.random.split(text_key, practice.texts))
        state = eqx.tree_at(
            lambda state: (state.inference, state.optimiser), begun, (eqx.combine(inference, still), optimiser)
        )
        inference, optimiser, metrics = practice._lessons(state, texts, game, rollout, key=key)
        return eqx.filter(inference, eqx.is_array), optimiser, metrics

    learns, still = eqx.partition(begun.inference, eqx.is_array)
    optimiser, rows = begun.optimiser, []
    for number in range(300):
        learns, optimiser, metrics = lesson(learns, optimiser, jax.random.key(number))
        rows.append(metrics)
    agent = eqx.tree_at(lambda agent: agent.inference, begun.agent, eqx.combine(learns, still))
    return agent, {name: np.array([row[name] for row in rows]) for name in rows[0]}


def test_reading_is_learned(practice, taught):
    agent, metrics = taught
    assert np.isfinite(metrics["reading/error"]).all()
    assert metrics["reading/error"][-5:].mean() < 0.3 * metrics["reading/error"][0]
    says = lambda number: jax.vmap(agent.inference.read)(practice.games.words[number].astype(jnp.int32))[:, LOSES]
    assert (says(1) > 0).all(), "in every paraphrase of the game that it is true of"
    assert (says(0) < 0).all(), "and in none of the other"


def test_remembering_is_learned(taught):
    agent, metrics = taught
    assert np.isfinite(metrics["remembering/error"]).all()
    assert metrics["remembering/error"][-5:].mean() < 0.03 * metrics["remembering/error"][0]
    witness = eqx.filter_jit(agent.inference.witness)
    says = lambda verdict: float(agent.inference.recall(witness(played(0, verdict)[1]), jnp.ones(()))[LOSES])
    assert says(LOST) > 0 > says(WON)


def test_how_common_each_fact_is_is_known_before_any_game(taught):
    agent, metrics = taught
    assert metrics["remembering/prior"][-5:].mean() < 0.5 * metrics["remembering/prior"][0]
    believed = dict(zip(FACTS, agent.believe(agent.initial()), strict=True))
    assert believed["three in line"] > 0.8
    assert believed["stones drop"] < 0.2
    assert 0.2 < believed["whoever would win loses"] < 0.8


def test_a_players_goal_is_its_belief_at_each_moment():
    belief, shape = jnp.arange(6.0).reshape(3, 1, 2), (3, 1)
    ending = jax.tree.map(lambda leaf: jnp.zeros((*shape, *leaf.shape), leaf.dtype), no_ending(3))
    sight, nothing = Sight(jnp.zeros((*shape, 3, 3, 6), bool), ending), jnp.zeros(shape)
    percept = Percept(sight, nothing > 0, legal=jnp.ones((*shape, 11), bool), discount=nothing)
    notes = {"log_prob": nothing, "value": nothing, "belief": belief, "memory": 1, "memory_after": 1}
    seen = _as_played(Step(percept, nothing, nothing, nothing, nothing > 0, percept, notes=notes))
    assert seen.percept.goal[:, 0, 0].tolist() == [0, 2, 4]
    assert seen.after.goal[:, 0, 0].tolist() == [2, 4, 4]
    assert seen.percept.observation.shape == (3, 1, 3, 3, 6)
    assert seen.notes["memory"] is None


def test_settings_make_a_practice_with_minibatches_of_the_size_that_they_say():
    practice = process(Training(iterations=3, games=2, paraphrases=1, lanes=4, length=8, minibatch=16))
    assert practice.learner.minibatches == 2
    assert practice.games.count == 2


# A whole iteration takes long to compile.


@pytest.fixture(scope="module")
def practised(practice, begun):
    """The state after some iterations, and the metrics of each."""
    step, state, rows = eqx.filter_jit(practice.step), begun, []
    for iteration in range(20):
        state, metrics = step(state, key=jax.random.key(iteration))
        rows.append(metrics)
    return state, {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.slow
def test_every_part_learns_from_an_iteration_and_nothing_is_nan(practised, begun):
    state, metrics = practised
    assert all(np.isfinite(values).all() for values in metrics.values()), metrics
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array)))
    assert not metrics["ppo/skipped"].any()
    assert metrics["reading/error"][-5:].mean() < 0.5 * metrics["reading/error"][0]
    for part in (
        lambda state: state.player.network,
        lambda state: state.inference.reader,
        lambda state: state.inference.witness,
        lambda state: state.inference.guess,
    ):
        assert not eqx.tree_equal(part(state), part(begun))


@pytest.mark.slow
def test_games_are_played_and_counted(practised):
    _, metrics = practised
    # A game of three by three is 5 to 9 moves long, so that in ten moves one or two end.
    assert np.all((metrics["game/count"] >= LANES) & (metrics["game/count"] <= 2 * LANES))
    assert np.all((metrics["game/draws"] >= 0) & (metrics["game/draws"] <= 1))


class Marked(eqx.Module):
    """A reader that can be found in a program."""

    reader: Any

    def __call__(self, words):
        def marked_reading(words):
            return self.reader(words)

        return jax.jit(marked_reading)(words)


def readings(program, around=()):
    """For each place in a program where texts are read, the lengths of the loops around it."""
    for equation in program.eqns:
        if "marked_reading" in str(equation.params.get("name", "")):
            yield around
            continue
        inside = (*around, equation.params["length"]) if equation.primitive.name == "scan" else around
        for part in jax.tree.leaves(equation.params, is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                yield from readings(getattr(part, "jaxpr", part), inside)


def test_words_are_read_once_a_task_and_not_at_each_move(practice):
    begun = eqx.filter_eval_shape(practice.init, key=jax.random.key(0))
    begun = eqx.tree_at(lambda state: state.inference.reader, begun, replace_fn=Marked)
    step = eqx.filter_make_jaxpr(lambda state, key: practice.step(state, key=key))
    found = list(readings(step(begun, jax.random.key(0))[0].jaxpr))
    assert found.count(()) == 1, "as a trial begins"
    assert (practice.lessons,) in found, "in lessons of reading"
    assert set(found) == {(), (practice.lessons,)}, "and nowhere else"

    # Who is told at each move reads at each move: so the above can fail.
    world = GameTrials(practice.games, episodes=LENGTH)

    def told_at_each_move(state, key):
        act = lambda percept, memory, *, key: (Choice(jnp.zeros((), jnp.int32)), state.agent(percept, memory)[1])
        lanes = begin(world, state.agent, LANES, key=key)
        return collect(world, state.agent, act, lanes, LENGTH, key=key)

    moves = eqx.filter_make_jaxpr(told_at_each_move)
    assert list(readings(moves(begun, jax.random.key(0))[0].jaxpr)) == [(LENGTH,)]


def test_games_without_words_are_learned_from_their_endings(practice):
    """Traced and not run: what would read is not asked, and what would be learned from reading is not reported."""
    mute = BoardGames(practice.games.games, None, canvas=CANVAS)
    silent = Practice(mute, **{name: value for name, value in vars(practice).items() if name != "games"})
    begun = eqx.filter_eval_shape(silent.init, key=jax.random.key(0))
    marked = eqx.tree_at(lambda state: state.inference.reader, begun, replace_fn=Marked)
    step = eqx.filter_make_jaxpr(lambda state, key: silent.step(state, key=key))
    program, (_, metrics), _ = step(marked, jax.random.key(0))
    assert list(readings(program.jaxpr)) == []
    assert "remembering/error" in metrics
    assert "reading/error" not in metrics
