"""The study of perceptual rewards: its controls are what they say, and its verdicts fail of their own arms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.types import Output
from headstart.errors import UsageError
from headstart.progress import Quiet
from headstart.studies import perceptual_reward
from headstart.studies.page import page
from headstart.studies.perceptual_reward import Misnamed, judge, pairs, pupils, schooled, success
from headstart.studies.study import Arm, Verdict, conclude
from headstart.worlds.image_maze import ImageMaze

pytestmark = pytest.mark.usefixtures("quick_to_compile")
HOPED = {
    "tones: goals found": 1.0,
    "glyphs: goals found": 1.0,
    "true reward": 0.9,
    "learned reward": 0.9,
    "shuffled pairs": 0.05,
    "another goal's reward": 0.0,
    "untrained encoders": 0.05,
    "held-out goals, learned reward": 0.0,
}


def arms(**others):
    return {name: Arm.of(np.full((5, 1), score)) for name, score in (HOPED | others).items()}


def failing(arms, quick=False):
    return [verdict.claim for verdict in judge(arms, quick=quick) if verdict.holds is not True]


def test_there_is_a_pupil_for_each_arm_and_all_claims_hold_of_what_is_hoped_for():
    assert list(pupils()) == list(HOPED)[2:]
    assert failing(arms()) == []
    single = {name: Arm.of([[arm.iqm]]) for name, arm in arms().items()}
    assert {verdict.holds for verdict in judge(single, quick=True)} == {"undecided"}


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        ("tones: goals found", 0.9, "tones: goals find their cells"),
        ("glyphs: goals found", 0.9, "glyphs: goals find their cells"),
        ("true reward", 0.7, "true reward: success"),
        ("learned reward", 0.8, "learned reward: 0.9 of the true one's success"),
        ("shuffled pairs", 0.2, "shuffled pairs: no success"),
        ("another goal's reward", 0.2, "another goal's reward: no success"),
        ("untrained encoders", 0.2, "untrained encoders: no success"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claim):
    assert failing(arms(**{name: score})) == [claim]


def test_what_is_held_out_is_never_in_a_pair():
    known, unknown = pupils()["learned reward"].world, pupils()["held-out goals, learned reward"].world
    labels = lambda world: set(range(world.first, world.first + world.asked))
    assert labels(known) | labels(unknown) == set(range(20))
    assert not labels(known) & labels(unknown)
    cells = {tuple(cell) for cell in np.asarray(known.cells[12:]).tolist()}
    images, _, others = pairs(known, 200, key=jax.random.key(0))
    bright = lambda images: (
        np.asarray(images, float).reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(-1, 64).argmax(1)
    )
    assert not cells & {divmod(place, 8) for place in bright(images).tolist()}
    assert cells & {divmod(place, 8) for place in bright(others).tolist()}, "where nobody says what they are"


def test_another_goals_reward_is_that_of_the_next_label():
    world, misnamed, key = ImageMaze(count=12), Misnamed(count=12), jax.random.key(0)
    for label, told in ((0, 1), (11, 0)):
        np.testing.assert_array_equal(misnamed.tell(jnp.array(label), key=key), world.tell(jnp.array(told), key=key))
    np.testing.assert_array_equal(misnamed.cells, world.cells)


def test_untrained_encoders_are_those_that_training_begins_with(monkeypatch):
    monkeypatch.setattr(perceptual_reward, "LESSONS", 0)
    world, key = ImageMaze(goals=4), jax.random.key(0)
    found = {kind: schooled(world, kind, key=key) for kind in ("untrained", "paired", "shuffled")}
    image, goal = (
        jax.vmap(lambda key: world.show(world.cells[0], key=key))(key[None])[0],
        world.tell(jnp.array(0), key=key),
    )
    assert len({float(likeness(image, goal)) for likeness, _ in found.values()}) == 1
    assert float(found["untrained"][1]) == float(found["paired"][1]) != float(found["shuffled"][1])


class Still(AbstractNetwork):
    """Stays where it is."""

    def initial(self):
        return None

    def __call__(self, percept, memory):
        return Output(jnp.arange(5) == 0), memory


def test_success_is_to_be_there_at_the_end(monkeypatch):
    """Who never moves succeeds where start and goal happen to be the same cell: one time in 45."""
    monkeypatch.setattr(perceptual_reward, "EPISODES", 900)
    monkeypatch.setattr(ImageMaze, "limit", 2)
    np.testing.assert_allclose(
        jax.jit(lambda key: success(ImageMaze(), Still(), key))(jax.random.key(0)), 1 / 45, atol=0.015
    )


@pytest.mark.slow  # it compiles a dozen programs
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    small = {"LESSONS": 2, "STEPS": 128, "EPISODES": 4, "INSTANCES": 2}
    for name, value in small.items():
        monkeypatch.setattr(perceptual_reward, name, value)
    few = ("true reward", "shuffled pairs")
    monkeypatch.setattr(perceptual_reward, "pupils", lambda: {name: pupils()[name] for name in few})
    monkeypatch.setattr(perceptual_reward, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: perceptual_reward.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    found = run()
    assert all(np.shape(arm.scores) == (2, 1) for arm in found.arms.values())
    assert list(found.arms)[-2:] == list(few)
    assert {name.partition(": ")[0] for name in list(found.arms)[:-2]} == {"tones", "glyphs"}
    page(found).html()
    monkeypatch.setattr(perceptual_reward, "walk", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())
    monkeypatch.setattr(perceptual_reward, "EPISODES", 5)
    with pytest.raises(pytest.fail.Exception):  # this was not
        run()


def test_too_few_seeds_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="run at least 3"):
        perceptual_reward.run(quick=False, seeds=2, directory=tmp_path, observer=Quiet())


def test_the_result_has_a_page():
    about = {"study": "perceptual_reward", "claim": "c", "paper": perceptual_reward.PAPER, "quick": False}
    page(conclude(arms=arms(), verdicts=judge(arms(), quick=False), seconds=0.0, **about)).html()
