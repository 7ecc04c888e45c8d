"""The universal agent: one network for all board games, which reads the rules and remembers how games ended.

What it knows of the game at hand is a belief: how likely each of `FACTS` is. Words speak to it through a `Reader`, and
how games of this trial ended speaks to it through a memory; both in log-odds, which add. Demonstrations are endings of
games that others played, and enter the same memory. The belief is the goal of a universal value function V(s, g), the
`Player` (Schaul 2015): whoever believes other rules wants something else on the same board.

That an agent which must find out its task is best taught to infer it, with the answer known in training alone, is from
Humplik and others, *Meta reinforcement learning as task inference*, 2019.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.network import AbstractNetwork
from headstart.core.types import Key, Output, Percept
from headstart.instructions.reader import Reader
from headstart.worlds.boardgames.facts import FACTS
from headstart.worlds.boardgames.glance import FEATURES, glance
from headstart.worlds.boardgames.network import Player
from headstart.worlds.boardgames.trials import Ending, Sight
from headstart.worlds.boardgames.vocabulary import STOP, vocabulary

__all__ = ["Inference", "Recollection", "UniversalAgent", "new_reader"]


class Recollection(eqx.Module):
    """What the agent carries through a trial: what words told it, the sum of its evidence, and how much there is.

    What has been seen is never forgotten, and its order does not matter.
    """

    told: Float[Array, "facts"]
    evidence: Float[Array, "size"]
    count: Float[Array, ""]


class Witness(eqx.Module):
    """One ending to a vector of evidence about the rules: what the last move completed, and what else stood there."""

    project: eqx.nn.MLP

    def __init__(self, size: int, *, key: Key):
        self.project = eqx.nn.MLP(3 * FEATURES + 5 + 1, size, 2 * size, 2, key=key)

    def __call__(self, ending: Ending) -> Float[Array, "size"]:
        winner, loser, board, changed, torus = jnp.moveaxis(ending.board, -1, 0)
        second = jnp.broadcast_to(ending.verdict[4] > 0, board.shape)
        planes = jnp.stack([winner, loser, board, second, jnp.zeros_like(board), torus], axis=-1)
        seen = glance(planes, changed)
        weigh = lambda cells: jnp.tensordot(cells, seen, 2) / jnp.maximum(jnp.sum(cells), 1)
        views = [weigh(changed), jnp.max(seen * winner[..., None], axis=(0, 1)), weigh(board)]
        return self.project(jnp.concatenate([*views, ending.verdict, jnp.sum(changed)[None] / 8.0]))


def new_reader(key: Key) -> Reader:
    """Who reads rules and says how likely each of `FACTS` is, in log-odds; it has not read anything yet."""
    return Reader(vocabulary().size, len(FACTS), stop=STOP, key=key)


class Inference(eqx.Module):
    """From words and from endings to a belief about the rules, in log-odds `[facts]` each."""

    reader: Reader
    witness: Witness
    guess: eqx.nn.MLP

    def __init__(self, *, evidence: int = 64, key: Key):
        reader_key, witness_key, guess_key = jax.random.split(key, 3)
        self.reader = new_reader(reader_key)
        self.witness = Witness(evidence, key=witness_key)
        self.guess = eqx.nn.MLP(evidence + 1, len(FACTS), 2 * evidence, 2, key=guess_key)

    def read(self, words: Int[Array, "words"]) -> Float[Array, "facts"]:
        """What a text says; nothing if it is all padding."""
        return self.reader(words) * jnp.any(words > 0)

    def recall(self, evidence: Float[Array, "size"], count: Float[Array, ""]) -> Float[Array, "facts"]:
        """What `count` endings say, whose evidence has this sum."""
        return self.guess(jnp.append(evidence / (1.0 + count), jnp.log1p(count)))


class UniversalAgent(AbstractNetwork):
    """Reads, remembers, and plays any game of the family.

    A percept without an instruction leaves what was told as it is; an instruction of all zeros is silence.
    `Output.features` is the belief: the probability of each of `FACTS`.
    """

    inference: Inference
    player: Player

    def __init__(self, *, width: int = 48, blocks: int = 2, key: Key):
        inference_key, player_key = jax.random.split(key)
        self.inference = Inference(key=inference_key)
        self.player = Player(len(FACTS), width=width, blocks=blocks, key=player_key)

    def initial(self) -> Recollection:
        return Recollection(jnp.zeros(len(FACTS)), jnp.zeros(self.inference.witness.project.out_size), jnp.zeros(()))

    def __call__(self, percept: Percept, memory: Recollection) -> tuple[Output, Recollection]:
        memory = self.take_in(percept, memory)
        belief = self.believe(memory)
        output, _ = self.player(on_board(percept, belief), None)
        return Output(output.policy, output.value, belief), memory

    def believe(self, memory: Recollection) -> Float[Array, "facts"]:
        """How likely each of `FACTS` is, after all that was told and seen."""
        return jax.nn.sigmoid(memory.told + self.inference.recall(memory.evidence, memory.count))

    def take_in(self, percept: Percept, memory: Recollection) -> Recollection:
        """The memory with what is new: words, demonstrated games as a trial begins, and the game that just ended."""
        sight: Sight = percept.observation
        told = memory.told if percept.instruction is None else self.inference.read(percept.instruction)
        endings = jax.tree.map(lambda leaf: leaf[None], sight.ending)
        new = ((percept.discount == 0) & ~percept.first).astype(jnp.float32)[None]
        if percept.demonstration is not None:
            games: Ending = percept.demonstration
            shown = percept.first * (1.0 - games.verdict[:, 0])  # an ending of no game shows nothing
            endings = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), endings, games)
            new = jnp.concatenate([new, shown])
        seen = new @ jax.vmap(self.inference.witness)(endings)
        return Recollection(told, memory.evidence + seen, memory.count + jnp.sum(new))


def on_board(percept: Percept, belief: Float[Array, "*batch facts"]) -> Percept:
    """What the `Player` of a universal agent is shown: the board, what it may do, and what the game is about."""
    board: Any = percept.observation.board
    return Percept(observation=board, first=percept.first, goal=belief, legal=percept.legal)
