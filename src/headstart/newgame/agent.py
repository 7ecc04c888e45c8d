"""The universal agent: one network for all board games, which reads the rules and remembers how games ended.

What it knows of the game at hand is one vector, the context. Words give it directly, through a `Reader`. Without words
it is guessed from a memory of how the games of this trial ended; the guess is trained to be what reading would have
said (task inference: Humplik and others, *Meta reinforcement learning as task inference*, 2019), by the source
`TaskInference`.
Demonstrations are endings of games that others played, and enter the same memory.

The memory is a sum of evidence and a count: what has been seen is never forgotten, and its order does not matter.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.network import AbstractNetwork
from headstart.core.policies import Categorical
from headstart.core.source import AbstractSource
from headstart.core.types import Key, Metrics, Output, Percept, Step
from headstart.instructions.reader import Reader
from headstart.worlds.boardgames.bits import AXES
from headstart.worlds.boardgames.network import BoardNetwork, LineDetectors, edges, looks
from headstart.worlds.boardgames.trials import Ending, Sight
from headstart.worlds.boardgames.vocabulary import size as vocabulary_size

__all__ = ["Recollection", "TaskInference", "UniversalAgent"]


class Recollection(eqx.Module):
    """What the agent carries through a trial: the sum of its evidence, how much there is, and the context in force."""

    evidence: Float[Array, "size"]
    count: Float[Array, ""]
    context: Float[Array, "size"]


class Witness(eqx.Module):
    """One ending to a vector of evidence about the rules: what the last move completed, and what else stood there."""

    lines: LineDetectors
    project: eqx.nn.MLP

    def __init__(self, size: int, *, detectors: int = 12, key: Key):
        lines_key, project_key = jax.random.split(key)
        self.lines = LineDetectors(detectors, key=lines_key)
        self.project = eqx.nn.MLP(2 * AXES * detectors + 5 + 3 + 8, size, size, 1, key=project_key)

    def __call__(self, ending: Ending) -> Float[Array, "size"]:
        winner, loser, board, changed, torus = jnp.moveaxis(ending.board, -1, 0)
        sight = jax.lax.optimization_barrier(looks(winner, loser, board, torus[0, 0]))
        found = jax.nn.relu(self.lines(sight)).reshape(*board.shape, -1)
        completed = jnp.sum(found * changed[..., None], axis=(0, 1)) / jnp.maximum(jnp.sum(changed), 1)
        stood = jnp.max(found * winner[..., None], axis=(0, 1))
        shares = jnp.sum(ending.board[..., (0, 1, 3)], axis=(0, 1)) / jnp.maximum(jnp.sum(board), 1)
        touched = [
            jnp.sum(stones & edge) / jnp.maximum(jnp.sum(edge), 1)
            for stones in (winner, loser)
            for edge in edges(board)
        ]
        return self.project(jnp.concatenate([completed, stood, shares, jnp.stack(touched), ending.verdict]))


class UniversalAgent(AbstractNetwork):
    """Reads, remembers, and plays any game of the family.

    A percept without an instruction leaves the context as it was: within a search nothing new is read or recalled, so
    that costs nothing there. An instruction of all zeros is silence: the context is then guessed from memory.

    `Output.features` holds `told` (the context that the words give), `guessed` (the one that memory gives) and `heard`
    (whether there were words).
    """

    reader: Reader
    witness: Witness
    guess: eqx.nn.MLP
    board: BoardNetwork

    def __init__(self, *, context: int = 64, detectors: int = 16, width: int = 32, blocks: int = 2, key: Key):
        reader_key, witness_key, guess_key, board_key = jax.random.split(key, 4)
        self.reader = Reader(vocabulary_size(), context, key=reader_key)
        self.witness = Witness(context, key=witness_key)
        self.guess = eqx.nn.MLP(context + 1, context, 2 * context, 2, key=guess_key)
        self.board = BoardNetwork(context, detectors=detectors, width=width, blocks=blocks, key=board_key)

    def initial(self) -> Recollection:
        nothing = jnp.zeros(self.reader.project.out_size)
        return Recollection(nothing, jnp.zeros(()), nothing)

    def __call__(self, percept: Percept, memory: Recollection) -> tuple[Output, Recollection]:
        sight: Sight = percept.observation
        features: dict[str, Any] | None = None
        if percept.instruction is not None:
            memory = self._recall(percept, memory)
            told = _even(self.reader(percept.instruction))
            guessed = _even(self.guess(jnp.append(memory.evidence / (1.0 + memory.count), jnp.log1p(memory.count))))
            heard = jnp.any(percept.instruction > 0)
            memory = Recollection(memory.evidence, memory.count, jnp.where(heard, told, guessed))
            features = {"told": told, "guessed": guessed, "heard": heard}
        assert percept.legal is not None
        logits, value = self.board(sight.board, percept.legal, memory.context)
        return Output(Categorical(logits, percept.legal), value, features), memory

    def _recall(self, percept: Percept, memory: Recollection) -> Recollection:
        """The memory with what has ended since: demonstrated games as a trial begins, then each game of the trial."""
        sight: Sight = percept.observation
        over = ((percept.discount == 0) & ~percept.first).astype(jnp.float32)
        evidence, count = memory.evidence + over * self.witness(sight.ending), memory.count + over
        if percept.demonstration is not None:
            games: Ending = percept.demonstration
            shown = percept.first * (1.0 - games.verdict[:, 0])  # an ending of no game shows nothing
            evidence = evidence + shown @ jax.vmap(self.witness)(games)
            count = count + jnp.sum(shown)
        return Recollection(evidence, count, memory.context)


def _even(context: Float[Array, "size"]) -> Float[Array, "size"]:
    """The context at unit root mean square: it must be heard by every layer from the first day on."""
    return context * jax.lax.rsqrt(jnp.mean(context**2) + 1e-6)


class TaskInference(AbstractSource):
    """Teaches memory to guess what the words would have told, wherever there were words.

        L = weight · mean over heard moments of ‖guessed − told‖² / size, with no gradient into `told`

    **Arguments:**

    - `weight`: of the loss.
    """

    weight: float = 1.0

    def loss(
        self, network: AbstractNetwork, batch: Step, outputs: Output, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        features = outputs.features
        assert features is not None
        error = jnp.mean((features["guessed"] - jax.lax.stop_gradient(features["told"])) ** 2, axis=-1)
        heard = features["heard"].astype(jnp.float32)
        loss = jnp.sum(error * heard) / jnp.maximum(jnp.sum(heard), 1.0)
        return self.weight * loss, {"inference/error": loss}
