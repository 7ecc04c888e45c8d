"""The study of the two-step task: its verdicts fail of their own arms, and a small one runs."""

import jax
import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.progress import Quiet
from headstart.studies import two_step
from headstart.studies.pupils import Blank, Deaf, Forgetful, Unaware
from headstart.studies.study import Arm, Verdict
from headstart.studies.two_step import ABLE, BLANK, DEAF, LAST, RANDOM, RULE, UNAWARE, judge, pupils
from headstart.worlds.tabular import TwoStep

pytestmark = pytest.mark.usefixtures("quick_to_compile")
HOPED = {
    f"{ABLE}, reward": 0.703,
    f"{ABLE}, reversal": 0.3,
    **{f"{name}, reward": 0.5 for name in (DEAF, BLANK, RANDOM)},
    **{f"{name}, reversal": 0.0 for name in (DEAF, BLANK, RANDOM)},
    f"{UNAWARE}, reward": 0.7,
    f"{RULE}, reward": 0.682,
    f"{LAST}, reward": 0.68,
}


def failing(quick=False, **others):
    """The claims that do not hold of what is hoped for, but for some."""
    scores = HOPED | others
    arms = {name: Arm.of(np.linspace(-0.001, 0.001, 5)[:, None] + score) for name, score in scores.items()}
    return [verdict.claim for verdict in judge(arms, quick=quick) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing() == []


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        (f"{ABLE}, reversal", 0.14, f"{ABLE}: reversal"),
        *((f"{name}, reward", 0.53, f"{name}: earns next to nothing") for name in (DEAF, BLANK, RANDOM)),
        *((f"{name}, reversal", 0.2, f"{name}: no reversal") for name in (DEAF, BLANK, RANDOM)),
        (f"{UNAWARE}, reward", 0.67, f"{UNAWARE}: nothing is lost by it"),
        (f"{RULE}, reward", 0.703, f"{ABLE}: earns more than the {RULE}"),
        (f"{LAST}, reward", 0.703, f"{ABLE}: earns more than with the {LAST}"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claim):
    assert failing(**{name: score}) == [claim]


def test_who_earns_too_little_earns_no_more_than_a_rule():
    assert f"{ABLE}: earned in a trial" in failing(**{f"{ABLE}, reward": 0.679})


def test_there_is_a_pupil_for_each_arm_and_each_update_sees_whole_episodes():
    found = pupils()
    assert {f"{name}, reward" for name in found} == HOPED.keys() - {name for name in HOPED if "reversal" in name} - {
        f"{RULE}, reward"
    }
    lacking = {DEAF: Deaf, BLANK: Blank, UNAWARE: Unaware, LAST: Forgetful}
    for name, process in found.items():
        assert process.length == process.world.trials == 100
        assert process.world == (TwoStep(common=0.5) if name == RANDOM else TwoStep())
        kind = type(process.network(jax.random.key(0)))
        assert kind is lacking.get(name, type(found[ABLE].network(jax.random.key(0))))


def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    for name, small in (("ITERATIONS", 1), ("LANES", 4), ("WIDTH", 2), ("EPISODES", 40), ("WORLD", TwoStep(trials=20))):
        monkeypatch.setattr(two_step, name, small)
    every = pupils()
    monkeypatch.setattr(two_step, "pupils", lambda: {LAST: every[LAST]})
    monkeypatch.setattr(two_step, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: two_step.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    found = run()
    assert {name for name in found.arms if name.endswith("reward")} == {
        f"{name}, reward" for name in (LAST, "model-based", "model-free", RULE)
    }
    assert np.shape(found.arms[f"{LAST}, stays after rewarded uncommon"].scores) == (2, 1)
    # By rule: after a rewarded uncommon transition one leaves, always.
    assert found.arms[f"{RULE}, reversal"].iqm == 1.0
    for how in ("taught", "judged"):
        monkeypatch.setattr(two_step, how, lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())


def test_too_few_seeds_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="run at least 3"):
        two_step.run(quick=False, seeds=2, directory=tmp_path, observer=Quiet())
