"""Skills with parameters: one network for all pairs of a verb and an object, also for those never trained with.

Oh, Singh, Lee and Kohli, *Zero-shot task generalization with multi-task deep reinforcement learning*, ICML 2017,
sections 4 and 5.1. What makes it know what to do with a pair that it never met is not experience but *analogies*: that
"visit the cow" is to "pick up the cow" as "visit the pig" is to "pick up the pig".

| paper | here |
|---|---|
| g, a subtask's parameters; φ(g), its embedding | words of `headstart.worlds.object_grid`; `Skill.embed` |
| π(a given s, g), β(s, g) | `Skill`: `Output.policy`, `Output.features`, the logit of β |
| weights of the middle layer, multiplicative in φ(g) | `Skill.looks`, `Skill.scale` |
| the regulariser of φ | `headstart.instructions.analogies` |
| policy distillation, then actor-critic with GAE | `Distillation`, which fades; `headstart.scratch.ppo.PPO` |
| cross-entropy of β | `Terminations` |

The paper trains a teacher for each pair of training, and distils them all. Here the teacher of a pair is exact, a
shortest path: what it says is what such a teacher ends up knowing, and nothing of what is measured depends on how it
came to know it. It teaches of pairs of training alone. The network has no recurrent layer, for the grid shows all that
there is to be known of it and what was last done: so a skill does its deed once, and who wants two asks twice.

φ(g) is linear in the products of a verb's numbers and an object's. A perceptron that hears verb and object side by
side carries over by itself in this grid, where verbs are independent of objects, as the paper's did not: in one run it
carried out 0.995 of the pairs never trained with. Of products nothing carries over by itself, and so what does is the
analogies'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork, Memory
from headstart.core.networks import Linear, orthogonal
from headstart.core.policies import Categorical
from headstart.core.process import Online
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Choice, Key, Metrics, Output, Percept, Rollout, Step
from headstart.core.world import Discrete
from headstart.errors import UsageError
from headstart.greedy import Evaluation
from headstart.report import Report
from headstart.scratch.ppo import PPO
from headstart.worlds.object_grid import (
    BOX,
    CUMULANTS,
    EACH,
    KINDS,
    MOVES,
    PAUSE,
    PICK,
    STAY,
    TRANSFORM,
    WORDS,
    ObjectGrid,
    View,
    asked,
    done,
    pairs,
)

if TYPE_CHECKING:
    from headstart.instructions.analogies import Analogies

__all__ = [
    "BOXES",
    "Distillation",
    "Skill",
    "Terminations",
    "evaluate",
    "finished",
    "learning",
    "shortest",
]

VERB_COUNT = 3
FACTORS, EMBEDDED = 32, 32  # numbers of a verb and of an object, and of φ(g)
BOXES = (3, BOX)
"""To transform a box is a skill too, of which no instruction speaks."""

Pairs = tuple[tuple[int, int], ...]


class Skill(AbstractNetwork):
    """π(a | s, g), V(s, g) and β(s, g), for the first instruction that a percept shows; remembers nothing.

    `Output.features` is the logit of β, the probability that what is asked for was just done.

    Of what lies in each cell, and of what was last picked up and transformed, φ(g) makes `looks` numbers, by a matrix
    that is linear in φ(g) and the same for all cells; a layer of rectified units sees those of all cells, and each of
    these units is then scaled and shifted as φ(g) has it.

    **Arguments:**

    - `world`: its size is that of what is seen.
    - `width`: rectified units in each of two layers.
    - `looks`: numbers of each cell.
    """

    verbs: Float[Array, "verbs factors"]
    things: Float[Array, "kinds factors"]
    embedding: Linear
    look: Linear
    layer: Linear
    scale: Linear
    second: Linear
    actor: Linear
    critic: Linear
    termination: Linear
    looks: int = eqx.field(static=True)

    def __init__(self, world: ObjectGrid, key: Key, *, width: int = 64, looks: int = 4):
        keys = jax.random.split(key, 10)
        assert isinstance(world.actions, Discrete)
        self.looks = looks
        self.verbs = jax.random.normal(keys[0], (VERB_COUNT, FACTORS))
        self.things = jax.random.normal(keys[9], (KINDS, FACTORS))
        self.embedding = Linear.drawn(FACTORS, EMBEDDED, key=keys[1])
        self.look = Linear.drawn(EMBEDDED, KINDS * looks, key=keys[2])
        self.layer = Linear.drawn((world.size**2 + 2) * looks, width, key=keys[3])
        self.scale = Linear.drawn(EMBEDDED, 2 * width, key=keys[4])
        self.second = orthogonal(width, width, 2**0.5, keys[5])
        self.actor = orthogonal(width, world.actions.count, 0.01, keys[6])
        self.critic = orthogonal(width, 1, 1.0, keys[7])
        self.termination = orthogonal(width, 1, 0.01, keys[8])

    def initial(self) -> None:
        return None

    def embed(self, words: Int[Array, "3"]) -> Float[Array, "embedded"]:
        """φ(g) of an instruction's words; how many times it is to be done is not heard."""
        verb = jax.nn.one_hot(words[0] - 1, VERB_COUNT) @ self.verbs
        thing = jax.nn.one_hot(words[1] - 1, KINDS) @ self.things
        return self.embedding(verb * thing)

    def __call__(self, percept: Percept, memory: None) -> tuple[Output, None]:
        view: View = percept.observation
        assert percept.instruction is not None
        embedded = self.embed(percept.instruction[:WORDS])
        matrix = self.look(embedded).reshape(KINDS, self.looks)
        last = jax.nn.one_hot(jnp.stack([view.picked, view.transformed]) - 1, KINDS)
        seen = jnp.concatenate([view.planes.reshape(-1, KINDS), last]) @ matrix
        scale, shift = jnp.split(self.scale(embedded), 2)
        units = jax.nn.relu(self.layer(seen.ravel())) * (1.0 + scale) + shift
        units = jax.nn.relu(self.second(jax.nn.relu(units)))
        policy = Categorical(self.actor(units), percept.legal)
        return Output(policy, self.critic(units)[0], self.termination(units)[0]), None


def shortest(view: View, family: str, verb: Int[Array, ""], thing: Int[Array, ""]) -> Float[Array, "actions"]:
    """What the teacher of a pair does: any first step, with equal chances, of a shortest way to the nearest of its
    objects, and there what is asked for. It stays where it is if there is none. Unbatched."""
    size = view.cells.shape[-1]
    offsets = jnp.arange(size) - size // 2
    # Where each move leads, and from there the way to each row and column, on the torus.
    moves = jnp.array(MOVES, jnp.int32)
    away = jnp.abs(offsets - moves[..., None])  # [actions, 2, size]
    away = jnp.minimum(away, size - away)
    far = away[:, 0, :, None] + away[:, 1, None, :]
    there = view.cells == thing
    nearest = jnp.min(jnp.where(there, far, 4 * size), axis=(1, 2))
    deed = jnp.array([STAY, PICK, TRANSFORM])[asked(family, verb, thing)]
    arrived = nearest[STAY] == 0
    stays = arrived | ~jnp.any(there)
    best = jnp.where(stays, jnp.arange(len(MOVES)) == jnp.where(arrived, deed, STAY), nearest == jnp.min(nearest))
    return best / jnp.sum(best)


class Distillation(AbstractSource):
    """Draws the policy towards what the teacher of a pair would do, in all states that the pupil comes to itself.

    Cross-entropy in whatever a step led to, as Rusu and others have it (*Policy distillation*, ICLR 2016). Its weight
    falls to 0 in equal steps: from then on the pupil learns from rewards alone. In every other state it is the teacher
    of another pair that is asked: where one has just done what one was to do, an episode is over, but in a list the
    next instruction begins.

    **Arguments:**

    - `weight`: at first, beside the learner's own loss.
    - `rollouts`: after which nothing is left of it, 1 or more.
    - `family`: what verbs mean.
    - `asked`: pairs that have teachers, by numbers; those of training.

    **Raises:** `UsageError` for no rollouts.
    """

    weight: float = eqx.field(static=True, default=1.0)
    rollouts: int = eqx.field(static=True, default=100)
    family: str = eqx.field(static=True, default="independent")
    asked: Pairs = eqx.field(static=True, default=pairs())
    met: Int[Array, ""] = eqx.field(default_factory=lambda: jnp.zeros((), jnp.int32))

    def __check_init__(self):
        if self.rollouts < 1:
            raise UsageError(f"distillation cannot fade in {self.rollouts} rollouts; give it 1 or more")

    def observe(self, rollout: Rollout, network: AbstractNetwork, *, key: Key) -> Distillation:
        return eqx.tree_at(lambda source: source.met, self, self.met + 1)

    def loss(
        self, network: AbstractNetwork, batch: Step, outputs: Output, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        after, said = _asking(batch.after, self.asked, key=key)
        policy: Any = jax.vmap(lambda percept: network(percept, network.initial())[0].policy)(after)
        wanted = jax.vmap(lambda view, words: shortest(view, self.family, words[0], words[1]))(after.observation, said)
        error = -jnp.mean(jnp.sum(wanted * policy.log_probs, axis=-1))
        left = jnp.maximum(0.0, 1.0 - self.met / self.rollouts)
        return self.weight * left * error, {"distillation/loss": error}


class Terminations(AbstractSource):
    """Teaches β by cross-entropy: whether what is asked for was just done. Every other one is asked of another pair.

    Otherwise what is done would always be what was asked for, and β would not have to listen.

    **Arguments:**

    - `weight`: beside the learner's own loss.
    - `family`: what verbs mean.
    - `asked`: pairs, by numbers; those of training.
    """

    weight: float = eqx.field(static=True, default=1.0)
    family: str = eqx.field(static=True, default="independent")
    asked: Pairs = eqx.field(static=True, default=pairs())

    def loss(
        self, network: AbstractNetwork, batch: Step, outputs: Output, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        after, said = _asking(batch.after, self.asked, key=key)
        logits = jnp.asarray(jax.vmap(lambda percept: network(percept, network.initial())[0].features)(after))
        true = jax.vmap(lambda view, words: done(view, self.family, words[0], words[1]))(after.observation, said)
        error = jnp.mean(optax.sigmoid_binary_cross_entropy(logits, true.astype(jnp.float32)))
        right = jnp.mean((logits > 0) == true)
        return self.weight * error, {"termination/loss": error, "termination/right": right}


def _asking(percepts: Percept, pairs: Pairs, *, key: Key) -> tuple[Percept, Int[Array, "percepts 3"]]:
    """Percepts `[T, B]` in a row, every other one of which is asked of any of these pairs, and what they are asked."""
    other_key, pair_key = jax.random.split(key)
    after = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), percepts)
    assert after.instruction is not None
    own = after.instruction[:, :WORDS]
    drawn = jax.random.randint(pair_key, (len(own),), 0, len(pairs))
    other = jnp.pad(jnp.array(pairs, jnp.int32)[drawn], ((0, 0), (0, 1)), constant_values=1)
    said = jnp.where(jax.random.bernoulli(other_key, 0.5, (len(own), 1)), other, own)
    return eqx.tree_at(lambda percept: percept.instruction, after, said), said


def learning(
    family: str = "independent",
    iterations: int = 160,
    *,
    analogies: Analogies | None = None,
    lanes: int = 256,
    size: int = 7,
) -> Online:
    """How a skill is learned: of pairs of training alone, from their teachers at first, and then from rewards.

    **Arguments:**

    - `family`: what verbs mean.
    - `iterations`: rollouts, in the first half of which there are teachers.
    - `analogies`: the regulariser; none if `None`.
    - `lanes`, `size`: of the world.
    """
    training = (*pairs("train", family), BOXES)
    world = ObjectGrid(training, family, events=0.3, size=size)
    sources = (
        Distillation(rollouts=max(iterations // 2, 1), family=family, asked=training),
        Terminations(family=family, asked=training),
        *(() if analogies is None else (analogies,)),
    )
    learner = PPO(
        source=Chain(sources),
        discount=0.95,
        learning_rate=optax.linear_schedule(2e-3, 2e-4, iterations * 8),
        epochs=2,
        minibatches=4,
        entropy_weight=0.003,
    )
    return Online(world, _Of(world), learner, lanes, 8)


def evaluate(process: Online, state: Any, *, title: str, episodes: int, seed: int) -> Evaluation:
    """How many single instructions are carried out, of pairs of training and of pairs never trained with."""
    world = process.world
    assert isinstance(world, ObjectGrid)
    key, network = jax.random.key(seed), state.learner.network
    found = {
        said: finished(ObjectGrid(pairs(side, world.family), world.family, size=world.size), network, episodes, key=key)
        for said, side in (("pairs of training", "train"), ("pairs never trained with", "held-out"))
    }
    figures = {"instructions of each": episodes} | {f"carried out, {said}": share for said, share in found.items()}
    report = Report(title).text(
        f"{episodes:,} single instructions of each, in which the skill does what it likes best, and has 30 steps. What "
        "it knows of pairs that it was never trained with it knows by analogy alone."
    )
    return Evaluation(figures, report.facts(figures))


def finished(world: ObjectGrid, network: AbstractNetwork, episodes: int, *, key: Key) -> float:
    """The share of so many single instructions that are carried out."""
    return float(_finished(world, network, episodes, key))


@eqx.filter_jit
def _finished(world: ObjectGrid, network: AbstractNetwork, episodes: int, key: Key) -> Float[Array, ""]:
    def act(percept: Percept, memory: Memory, *, key: Key) -> tuple[Choice, Memory]:
        output, memory = network(percept, memory)
        return Choice(output.policy.mode()), memory

    begin_key, act_key = jax.random.split(key)
    lanes = begin(world, network, episodes, key=begin_key)
    _, rollout = collect(world, network, act, lanes, PAUSE + EACH, key=act_key)
    first = jnp.cumsum(rollout.last, axis=0) - rollout.last == 0
    assert rollout.cumulants is not None
    return jnp.sum(rollout.cumulants[..., CUMULANTS.index("lists")] * first) / episodes


class _Of(eqx.Module):
    """Makes a skill for a world of a key."""

    world: ObjectGrid

    def __call__(self, key: Key) -> Skill:
        return Skill(self.world, key)
