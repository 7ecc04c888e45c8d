"""The study of spatial reasoning: its verdicts fail of the arm that each is about, and a small one runs."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.instructions.spatial import AbstractValueMap, Regression, Walking
from headstart.progress import Quiet
from headstart.studies import spatial_reasoning as study
from headstart.studies.spatial_reasoning import (
    BAG,
    CONVOLUTIONS,
    ELSEWHERE,
    FILTER,
    NO_GRADIENTS,
    NO_KERNEL,
    PUPILS,
    SHUFFLED,
    SIDES,
    SILENT,
    UVFA,
    WALKING,
    judge,
    of_another_map,
    of_the_same_map,
    run,
    tasks_on,
)
from headstart.studies.study import Arm
from headstart.worlds.puddles import PuddleMaps

ERRORS = {
    FILTER: 0.5, UVFA: 4.0, CONVOLUTIONS: 3.0, NO_KERNEL: 3.0, NO_GRADIENTS: 3.0, BAG: 2.5, SILENT: 4.5,
    SHUFFLED: 4.4, ELSEWHERE: 4.4, FILTER + WALKING: 1.5, UVFA + WALKING: 4.2,
}  # fmt: skip


def failing(**others):
    scores = {f"{kind}, {name}: {side}": ERRORS[name] for kind in study.NEAR for name in ERRORS for side in SIDES}
    arms = {name: Arm.of(np.full((5, 1), -error)) for name, error in (scores | others).items()}
    return [verdict.claim for verdict in judge(arms, quick=False) if verdict.holds is not True]


@pytest.mark.parametrize(
    ("arm", "error", "claims"),
    [
        (f"local, {FILTER}: train", 1.6, 1),
        (f"global, {FILTER}: train", 2.1, 1),
        (f"local, {FILTER}: train", 2.3, 2),
        (f"global, {FILTER}: combinations", 2.1, 1),
        (f"local, {FILTER}: paraphrases", 1.6, 1),
        (f"local, {FILTER}{WALKING}: train", 2.5, 1),
        (f"local, {NO_KERNEL}: train", 0.4, 1),
        (f"global, {NO_GRADIENTS}: train", 0.4, 1),
        (f"local, {BAG}: contrasts", 1.4, 1),
        (f"local, {SHUFFLED}: train", 3.9, 1),
        (f"global, {ELSEWHERE}: train", 3.9, 1),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(arm, error, claims):
    assert failing() == []
    assert len(failing(**{arm: error})) == claims


def test_what_is_told_of_is_all_that_is_measured():
    assert ERRORS.keys() == PUPILS.keys()


def test_shuffled_words_are_those_of_other_goals():
    words = jnp.arange(3 * 8).reshape(3, 8, 1)
    near, far = (np.asarray(shuffle(words, jax.random.key(1))) for shuffle in (of_the_same_map, of_another_map))
    for told in (near, far):
        assert sorted(told.ravel()) == list(range(24))
        assert not (told == words).all(axis=(1, 2)).any()
    assert [sorted(each.ravel() // 8) for each in near] == [[row] * 8 for row in range(3)]
    assert [sorted(each.ravel() // 8) for each in far] != [[row] * 8 for row in range(3)]


def test_all_tasks_of_a_map_are_on_it():
    tasks = tasks_on(PuddleMaps("local"), 3, 8, key=jax.random.key(0))
    things = np.asarray(tasks.parameters.things).reshape(3, 8, -1)
    assert (things == things[:, :1]).all()
    assert (things[0] != things[1]).any()


class Beside(AbstractValueMap):
    """Knows the goal, and points to a cell beside it."""

    down: int
    right: int

    def __call__(self, task):
        row, column = jnp.divmod(task.parameters.goal, 10)
        cell = 10 * jnp.clip(row + self.down, 0, 9) + jnp.clip(column + self.right, 0, 9)
        return (jnp.arange(100) == cell).astype(jnp.float32)


def test_an_error_is_counted_in_moves():
    tasks = tasks_on(PuddleMaps("local"), 4, 4, key=jax.random.key(0))
    inside = (tasks.parameters.goal // 10 < 8) & (tasks.parameters.goal % 10 > 0)
    assert inside.any()
    found = jax.tree.map(lambda leaf: leaf[inside], tasks)
    assert float(study.error(Beside(0, 0), tasks)) == 0
    assert float(study.error(Beside(2, -1), found)) == 3


@pytest.mark.usefixtures("quick_to_compile")
@pytest.mark.slow
def test_a_small_one_runs_and_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "CHARTS", 4)
    monkeypatch.setattr(study, "ASKED", 4)
    monkeypatch.setattr(study, "JUDGED", 8)
    few = {"fitted": Regression(steps=2, batch=4)}
    walks = {"fitted": Walking(rounds=2, walks=4, updates=1, batch=4)}
    small = {name: replace(each, **(walks if WALKING in name else few)) for name, each in PUPILS.items()}
    monkeypatch.setattr(study, "PUPILS", small)
    monkeypatch.setattr(study, "NEAR", {"local": -1.5})
    result = run(quick=True, seeds=1, directory=tmp_path, observer=Quiet())
    assert len(result.arms) == len(PUPILS) * len(SIDES)
    assert all(np.isfinite(arm.iqm) for arm in result.arms.values())
    monkeypatch.setattr(study, "learn", lambda *_: pytest.fail("measured twice"))
    assert run(quick=True, seeds=1, directory=tmp_path, observer=Quiet()).arms == result.arms
