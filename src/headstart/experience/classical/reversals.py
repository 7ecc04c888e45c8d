"""The classical players of reversals: of two choices one is the better, and now and then they change places.

They are whom Wang and others (*Prefrontal cortex as a meta-reinforcement learning system*, Nature Neuroscience 2018)
compare a trained network with: who learns the values of actions, and who knows how the world works.

| player | plays | remembers |
|---|---|---|
| `ModelFree` | `TwoStep` | what each action has earned: Q(a) ← Q(a) + α (r − Q(a)) |
| `RescorlaWagner` | `VolatileBandit` | how good arm 1 is: v ← v + α (o − v), o = r or 1 − r, of arm 1 or 0 |
| `ModelBased` | `TwoStep` | how likely each place is to be the good one, by Bayes' rule |
| `IdealObserver` | `VolatileBandit` | how likely each arm is to be the good one under each hazard, by Bayes' rule |

Each is a network: it hears what a trained one hears, remembers as one does, and is played and judged as one is. It has
no value to tell. The first two choose by the logistic rule, P(1) = σ(β (worth of 1 − worth of 0)), the last two what is
most likely to earn; where both choices are as likely, the first.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.types import Output, Percept
from headstart.worlds.bandits import VolatileBandit
from headstart.worlds.tabular import TwoStep

__all__ = ["IdealObserver", "ModelBased", "ModelFree", "RescorlaWagner"]

SURE = 100.0  # a difference of logits with which nothing else is ever drawn

Belief = Float[Array, "hazards 2"]  # how likely each hazard is, and which of the two is the good one


class ModelFree(AbstractNetwork):
    """Learns what each of two actions earns, and not why: Q-learning of single steps. Q is 0 to begin with.

    **Arguments:**

    - `rate`: α, from 0 to 1.
    - `precision`: β, how much a difference in worth counts.
    """

    rate: float | Float[Array, ""] = 0.5
    precision: float | Float[Array, ""] = 5.0

    def initial(self) -> Float[Array, "2"]:
        return jnp.zeros(2)

    def __call__(self, percept: Percept, memory: Float[Array, "2"]) -> tuple[Output, Float[Array, "2"]]:
        action, reward = _done(percept)
        worth = memory.at[action].add(self.rate * (reward - memory[action]))
        worth = jnp.where(percept.first, memory, worth)
        return Output(Categorical(self.precision * worth)), worth


class RescorlaWagner(AbstractNetwork):
    """Learns how good arm 1 is beside arm 0, at a constant rate: a reward of the one speaks against the other.

    Rescorla and Wagner, 1972, as Behrens and others (*Learning the value of information in an uncertain world*, Nature
    Neuroscience 2007) fit it to people. v is ½ to begin with, and arm 1 is worth v and arm 0 is worth 1 − v.

    **Arguments:**

    - `rate`: α, from 0 to 1.
    - `precision`: β, how much a difference in worth counts.
    """

    rate: float | Float[Array, ""] = 0.3
    precision: float | Float[Array, ""] = 8.0

    def initial(self) -> Float[Array, ""]:
        return jnp.asarray(0.5)

    def __call__(self, percept: Percept, memory: Float[Array, ""]) -> tuple[Output, Float[Array, ""]]:
        action, reward = _done(percept)
        proved = jnp.where(action == 1, reward, 1.0 - reward)
        worth = jnp.where(percept.first, memory, memory + self.rate * (proved - memory))
        return Output(Categorical(self.precision * jnp.stack([1.0 - worth, worth]))), worth


class ModelBased(AbstractNetwork):
    """Knows the two-step task, and believes of its places what follows from all that they paid. Nobody earns more.

    Whoever led to a place, what it paid tells which one is good; and the action is the one that commonly leads there.

    **Arguments:**

    - `world`: the task as it is, or as this player wrongly believes it to be.
    """

    world: TwoStep = TwoStep()

    def initial(self) -> Belief:
        return jnp.full((1, 2), 0.5)

    def __call__(self, percept: Percept, memory: Belief) -> tuple[Output, Belief]:
        place = jnp.argmax(percept.observation).astype(jnp.int32)
        hazard = jnp.full(1, self.world.reversal)
        belief = _after(memory, percept, place, self.world.paying, hazard)
        common = jnp.array([self.world.common, 1.0 - self.world.common])
        likely = jnp.sum(belief, axis=0)
        return _best(jnp.stack([common, common[::-1]]) @ likely), belief


class IdealObserver(AbstractNetwork):
    """Knows the family of volatile bandits, and believes of arms and hazard what follows from all that was paid.

    Its choices are the best there are for the next pull, and either arm tells as much as the other: nothing is gained
    by exploring.

    **Arguments:**

    - `world`: the family as it is, or as this player wrongly believes it to be: one hazard makes who cannot imagine
      another.
    """

    world: VolatileBandit = VolatileBandit()

    def initial(self) -> Belief:
        hazards = len(self.world.hazards)
        return jnp.full((hazards, 2), 1.0 / (2 * hazards))

    def __call__(self, percept: Percept, memory: Belief) -> tuple[Output, Belief]:
        arm, _ = _done(percept)
        belief = _after(memory, percept, arm, self.world.good, jnp.array(self.world.hazards))
        return _best(jnp.sum(belief, axis=0)), belief


def _after(
    belief: Belief, percept: Percept, which: Int[Array, ""], paying: float, hazards: Float[Array, "hazards"]
) -> Belief:
    """What is believed before the next choice, once `which` of the two was seen to pay or not; and they may change."""
    _, paid = _done(percept)
    expected = (jnp.arange(2) == which) == (paid > 0)
    seen = belief * jnp.where(expected, paying, 1.0 - paying)
    seen = seen / jnp.sum(seen)
    changes = hazards[:, None]
    return jnp.where(percept.first, belief, (1.0 - changes) * seen + changes * seen[:, ::-1])


def _done(percept: Percept) -> tuple[Int[Array, ""], Float[Array, ""]]:
    """The last action, and what it earned."""
    assert percept.action is not None
    assert percept.reward is not None
    return jnp.asarray(percept.action, jnp.int32), percept.reward


def _best(worth: Float[Array, "2"]) -> Output:
    return Output(Categorical(SURE * jax.nn.one_hot(jnp.argmax(worth), 2)))
