"""Who reads is judged by games with things it never met: one who knows the words by heart earns by what it is told."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from headstart.core.network import AbstractNetwork
from headstart.core.types import Output
from headstart.instructions.grounding import PLACES, earned, evaluate
from headstart.recipes import find
from headstart.worlds.friends_and_enemies import MOVES, FriendsAndEnemies, _phrases, vocabulary

pytestmark = pytest.mark.usefixtures("quick_to_compile")


class WellRead(AbstractNetwork):
    """Goes to the thing of which more is said that is said of friends alone than of enemies alone."""

    weight: jax.Array

    def initial(self):
        return None

    def __call__(self, percept, memory):
        seen = percept.observation
        said = self.weight[percept.instruction.reshape(2, -1)].sum(axis=1)
        goal = seen.cells[jnp.argmax(said)]
        after = jnp.clip(seen.place + jnp.array(MOVES), 0, 7)
        other = seen.cells[jnp.argmin(said)]
        near = lambda cell: jnp.abs(after - cell).sum(axis=1)
        return Output(-near(goal) - 100.0 * (near(other) <= 1)), None


def well_read():
    words = {}
    for role, sign in (("friend", 1.0), ("enemy", -1.0)):
        for told in ("train", "held-out"):
            for phrase in _phrases()[role][told]:
                for number in set(vocabulary().tokens(phrase.format(it="it"))):
                    words.setdefault(int(number), set()).add(sign)
    weight = [next(iter(words[at])) if len(words.get(at, ())) == 1 else 0.0 for at in range(vocabulary().size)]
    return WellRead(jnp.array(weight))


def test_who_has_read_earns_by_what_is_said_wherever_it_is():
    process = find("friends-textvin", 1).process
    state = SimpleNamespace(learner=SimpleNamespace(network=well_read()))
    found = evaluate(process, state, title="read", episodes=200, seed=0).figures
    assert found["games in each place"] == 200
    assert {f"return, {place}" for place in PLACES} < found.keys()
    assert found["return, source"] > 0.5
    assert found["return, target"] > 0.5
    assert found["return, target, words of another thing"] < -0.5


def test_games_count_up_to_their_own_end():
    world = FriendsAndEnemies()
    score = earned(world, well_read(), 100, key=jax.random.key(1))
    assert -1 <= score <= 1
