"""The study of learning sets: verdicts fail of their own arms, controls take what they should, a small one runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.configuration import configuration
from headstart.core.collect import begin
from headstart.experience.prefrontal import chosen
from headstart.progress import Quiet
from headstart.recipes.experience import prefrontal
from headstart.studies import harlow
from headstart.studies.harlow import (
    ABLE,
    ALTERED,
    BLANKED,
    DEAF,
    UNTAUGHT,
    EachTrial,
    Redrawn,
    Remapped,
    judge,
    measured,
    pupils,
)
from headstart.studies.page import curves
from headstart.studies.pupils import Deaf
from headstart.studies.study import Arm, Verdict
from headstart.worlds.harlow import CENTRE, NOVEL, Harlow
from learning_set import Knowing

pytestmark = pytest.mark.usefixtures("quick_to_compile")
FIRST, SECOND = "0 trials before", "1 trials before"
HOPED = {
    f"{ABLE}, {FIRST}": 0.5,
    f"{ABLE}, {SECOND}": 0.95,
    **{f"{name}, {SECOND}": 0.5 for name in (DEAF, BLANKED, UNTAUGHT, *ALTERED)},
}


def failing(**others):
    """The claims that do not hold of what is hoped for, but for some."""
    scores = HOPED | others
    arms = {name: Arm.of(np.linspace(-0.001, 0.001, 5)[:, None] + score) for name, score in scores.items()}
    return [verdict.claim for verdict in judge(arms, quick=False) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing() == []


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        (f"{ABLE}, {FIRST}", 0.46, f"{ABLE}: first trial not below chance"),
        (f"{ABLE}, {FIRST}", 0.54, f"{ABLE}: first trial not above chance"),
        (f"{ABLE}, {SECOND}", 0.89, f"{ABLE}: second trial"),
        *(
            (f"{name}, {SECOND}", 0.56, f"{name}: second trial at chance")
            for name in (DEAF, BLANKED, UNTAUGHT, *ALTERED)
        ),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claim):
    assert failing(**{name: score}) == [claim]


def test_there_is_a_pupil_for_each_arm_and_each_update_sees_whole_episodes():
    found = pupils()
    assert found.keys() == {ABLE, DEAF, BLANKED, UNTAUGHT}
    for name, process in found.items():
        assert process.length == process.world.moments == 12
        assert type(process.world) is (Remapped if name == UNTAUGHT else Harlow)
        assert configuration(process.learner) == configuration(found[ABLE].learner)
    assert isinstance(found[DEAF].network(jax.random.key(0)), Deaf)
    assert isinstance(found[BLANKED].network(jax.random.key(0)), EachTrial)


@pytest.mark.parametrize(
    ("world", "around", "expected"),
    [
        (Harlow, lambda player: player, [0.5, 1, 1, 1, 1, 1]),
        (Harlow, EachTrial, [0.5] * 6),
        (Harlow, Deaf, [0.5] * 6),
        (Redrawn, lambda player: player, [0.5] * 6),
        (Remapped, lambda player: player, [0.5] * 6),
    ],
)
def test_who_knows_the_task_knows_from_the_second_trial_on_but_not_under_a_control(world, around, expected):
    found = chosen(world(NOVEL), around(Knowing()), 1_000, key=jax.random.key(0)).mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_whose_memory_is_blanked_each_trial_still_may_do_all_that_is_legal():
    # Were nothing legal at the cross, it would act by chance there however long it was trained.
    network = prefrontal(Harlow(), 12, 1, width=4).network(jax.random.key(0))
    percept = begin(Harlow(), network, 1, key=jax.random.key(1)).percept
    percept = jax.tree.map(lambda leaf: leaf[0], percept)
    blanked, _ = EachTrial(network)(percept, network.initial())
    plain, _ = network(percept, network.initial())
    assert percept.observation.cross == 1
    assert percept.first
    centre = lambda output: float(output.policy.log_prob(jnp.array(CENTRE)))
    assert centre(blanked) == pytest.approx(centre(plain), rel=1e-6)
    assert centre(plain) != pytest.approx(np.log(1 / 3), rel=1e-5)


def test_accuracies_are_points_of_one_curve_and_chance_is_told_from_knowledge(monkeypatch):
    monkeypatch.setattr(harlow, "EPISODES", 200)
    found = measured("knows", Knowing(), jax.random.key(0))
    drawn = curves({name: Arm.of(np.array([[share]])) for name, share in found.items()})
    np.testing.assert_array_equal(drawn["knows"].games, np.arange(6))
    assert drawn["knows"].scores[0, 0, 0] == pytest.approx(0.5, abs=0.1)
    assert (drawn["knows"].scores[0, 0, 1:] == 1).all()


@pytest.mark.slow  # it compiles a dozen programs
def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    world = Harlow(trials=2)
    settings = {"ITERATIONS": 2, "STAGES": 2, "LANES": 8, "WIDTH": 2, "EPISODES": 40, "WORLD": world}
    for name, small in settings.items():
        monkeypatch.setattr(harlow, name, small)
    every = pupils()
    monkeypatch.setattr(harlow, "pupils", lambda: {name: every[name] for name in (ABLE, UNTAUGHT)})
    monkeypatch.setattr(harlow, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: harlow.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    found = run()
    whose = ("after 8 episodes", ABLE, *ALTERED, UNTAUGHT)
    assert list(found.arms) == [f"{name}, {before}" for name in whose for before in (FIRST, SECOND)]
    assert all(np.shape(arm.scores) == (2, 1) for arm in found.arms.values())
    for how in ("taught", "watched"):
        monkeypatch.setattr(harlow, how, lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())
