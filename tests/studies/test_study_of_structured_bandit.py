"""The study of structured bandits: its verdicts fail of their own arms, and a small one runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.types import Output
from headstart.progress import Quiet
from headstart.studies import structured_bandit
from headstart.studies.pupils import Deaf, Forgetful
from headstart.studies.structured_bandit import (
    ABLE,
    BAR,
    DEAF,
    EASED,
    FAMILIES,
    HOPELESS,
    INFORMED,
    LAST,
    PLAYERS,
    judge,
    measured,
    play,
    pupils,
)
from headstart.studies.study import Arm, Verdict

pytestmark = pytest.mark.usefixtures("quick_to_compile")
HOPED = {
    f"medium, {ABLE}": 1.05,
    "medium, Gittins index": 1.28,
    "medium, tuned UCB": 1.29,
    "medium, Thompson sampling": 3.02,
    f"hard, {ABLE}": 2.4,
    f"hard, {EASED}": 3.0,
    f"{INFORMED}, asked first": 1.0,
    f"{INFORMED}, return": 20.5,
    f"medium, {DEAF}": 25.0,
    f"medium, {LAST}": 12.5,
}


class Asks(AbstractNetwork):
    """Pulls the eleventh arm, and then the one that it named."""

    def initial(self):
        return jnp.zeros((), jnp.int32)

    def __call__(self, percept, memory):
        told = jnp.round(10 * percept.reward).astype(jnp.int32) - 1
        memory = jnp.where(percept.action == 10, told, memory)
        arm = jnp.where(percept.first, 10, memory)
        return Output(Categorical(100.0 * jax.nn.one_hot(arm, 11)), jnp.zeros(())), memory


def failing(**others):
    """The claims that do not hold of what is hoped for, but for some."""
    scores = HOPED | others
    arms = {name: Arm.of(np.linspace(-0.001, 0.001, 5)[:, None] + score) for name, score in scores.items()}
    return [verdict.claim for verdict in judge(arms, quick=False) if verdict.holds is not True]


def test_all_claims_hold_of_what_is_hoped_for():
    assert failing() == []
    assert pytest.approx(1.287) == BAR
    assert pytest.approx(22.6, abs=0.01) == HOPELESS


@pytest.mark.parametrize(
    ("name", "score", "claim"),
    [
        ("medium, Gittins index", 1.0, "medium: regret below that of Gittins index"),
        ("medium, tuned UCB", 1.0, "medium: regret below that of tuned UCB"),
        ("medium, Thompson sampling", 1.0, "medium: regret below that of Thompson sampling"),
        (f"hard, {EASED}", 2.3, f"hard: more regret if {EASED} than if {ABLE}"),
        (f"{INFORMED}, asked first", 0.94, f"{INFORMED}: asks first"),
        (f"{INFORMED}, return", 19.5, f"{INFORMED}: 0.95 of the most there is"),
        (f"medium, {DEAF}", 22.0, f"{DEAF}: no better than any arm"),
        (f"medium, {LAST}", 2.5, f"{LAST}: twice the bar's regret or more"),
    ],
)
def test_each_claim_fails_of_the_arm_that_it_is_about(name, score, claim):
    assert failing(**{name: score}) == [claim]


def test_a_network_that_regrets_too_much_does_not_reach_the_bar():
    assert "medium: regret below 1.3 times that of who knows the structure" in failing(**{f"medium, {ABLE}": 1.3})


def test_there_is_a_pupil_for_each_arm_and_each_update_sees_whole_episodes():
    found = pupils()
    assert found.keys() == {ABLE, EASED, DEAF, LAST, INFORMED}
    for name, process in found.items():
        assert process.length == (5 if name == INFORMED else 100)
    assert found[ABLE].world.world.likely == FAMILIES["medium"]
    assert found[EASED].world.world.likely == FAMILIES["easy"]
    assert isinstance(found[DEAF].network(jax.random.key(0)), Deaf)
    assert isinstance(found[LAST].network(jax.random.key(0)), Forgetful)


def test_who_asks_first_earns_the_most_there_is(monkeypatch):
    monkeypatch.setattr(structured_bandit, "EPISODES", 400)
    found = measured(INFORMED, Asks(), jax.random.key(0))
    assert found[f"{INFORMED}, asked first"] == 1.0
    assert found[f"{INFORMED}, return"] == pytest.approx(20.55, abs=0.1)


def test_who_knows_the_structure_regrets_least(monkeypatch):
    monkeypatch.setattr(structured_bandit, "EPISODES", 2_000)
    monkeypatch.setattr(structured_bandit, "PLAYERS", {name: PLAYERS[name] for name in ("structure known", "greedy")})
    found = {name: regret for name, (regret,) in play("medium", 1).items()}
    assert found["medium, structure known"] == pytest.approx(0.99, abs=0.3)
    assert found["medium, greedy"] == pytest.approx(1.89, abs=0.3)


def test_a_small_one_runs_and_is_not_measured_twice(tmp_path, monkeypatch):
    few = {"dependent": 1, "informative": 1}
    settings = {"ITERATIONS": few, "LANES": {"dependent": 8, "informative": 8}, "WIDTH": 2, "EPISODES": 40, "PULLS": 4}
    settings["PLAYERS"] = {"structure known": PLAYERS["structure known"]}
    for name, small in settings.items():
        monkeypatch.setattr(structured_bandit, name, small)
    every = pupils()
    monkeypatch.setattr(structured_bandit, "pupils", lambda: {name: every[name] for name in (ABLE, INFORMED)})
    monkeypatch.setattr(structured_bandit, "judge", lambda arms, quick: (Verdict("it ran", True, 1.0, 1.0),))
    run = lambda: structured_bandit.run(quick=True, seeds=2, directory=tmp_path, observer=Quiet())
    found = run()
    of_network = {f"{family}, {ABLE}" for family in FAMILIES}
    of_player = {f"{family}, structure known" for family in FAMILIES}
    assert found.arms.keys() == of_network | of_player | {f"{INFORMED}, asked first", f"{INFORMED}, return"}
    assert all(np.shape(arm.scores) == (2, 1) for arm in found.arms.values())
    monkeypatch.setattr(structured_bandit, "taught", lambda *arguments: pytest.fail("this was measured before"))
    assert list(run().arms.items()) == list(found.arms.items())
