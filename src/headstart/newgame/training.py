"""How the universal agent is trained: by self-play over thousands of games, each with its words.

One iteration is one trial in each lane, of a game of its own, for as many moves as a rollout is long. The words are
read once, as it begins; the belief then changes only as games end. Three things are learned from it, with an optimiser
each:

- the `Player` learns to play what it believes, by PPO against itself, with the belief as the goal of V(s, g), and
  with `Foresight`: in training, the true rules say what each action would have earned at once;
- the `Reader` learns what the words said (`FACTS`), and
- the `Witness` learns what the endings of the trial's games say of them.

At test time there are words and endings alone: nobody tells the agent a fact, or looks ahead for it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from headstart.core.collect import Lanes, begin, collect, example
from headstart.core.on_policy import OnPolicyState
from headstart.core.optimise import descend, prepare
from headstart.core.process import AbstractProcess
from headstart.core.scan import scan
from headstart.core.types import Choice, Key, Metrics, Percept, Rollout, Step, Task
from headstart.core.wrappers import OneTask
from headstart.imagination.foresight import Foresight
from headstart.newgame.agent import Inference, Recollection, UniversalAgent, on_board
from headstart.newgame.reading import misread, with_gaps
from headstart.scratch.ppo import PPO
from headstart.worlds.boardgames.engine import BoardGames
from headstart.worlds.boardgames.facts import FACTS, facts
from headstart.worlds.boardgames.family import draw_games, world_of
from headstart.worlds.boardgames.trials import Ending, GameTrials

__all__ = ["Practice", "PracticeState", "Training", "process"]


class PracticeState(eqx.Module):
    """What evolves: the player as its learner holds it, and what it learns to believe by."""

    player: OnPolicyState
    inference: Inference
    optimiser: tuple[optax.OptState, ...]

    @property
    def agent(self) -> UniversalAgent:
        return _agent(self.inference, self.player.network)


class Practice(AbstractProcess):
    """Plays trials of many games and learns from them to play, to read and to remember.

    **Arguments:**

    - `games`: the training games. Where they come without words, all rules must be found out, and nothing is read.
    - `learner`: who learns to play.
    - `silent`: the share of trials without words, in which the rules must be found out.
    - `lanes`, `length`: trials side by side, and moves in each.
    - `lessons`: steps of reading and remembering in an iteration, over `texts` texts and the endings of `witnessed`
      trials altogether.
    - `learning_rate`: of reading and remembering, in Adam; `missed`: the share of words that a lesson blots out, so
      that no single word is relied on.
    """

    games: BoardGames
    learner: PPO
    agent: Any = UniversalAgent
    silent: float = 0.3
    lanes: int = 256
    length: int = 64
    lessons: int = 4
    texts: int = 1024
    witnessed: int = 128
    learning_rate: float | optax.Schedule = 1e-2
    missed: float = 0.05

    @property
    def optimiser(self) -> optax.GradientTransformation:
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(self.learning_rate))

    def init(self, *, key: Key) -> PracticeState:
        agent = self.agent(key=key)
        told = Task(parameters=self.games.nth(0, key=key).parameters, goal=jnp.zeros(len(FACTS)))
        shown = example(OneTask(self.games, told), agent.player, key=key)
        player = self.learner.init(agent.player, shown, key=key)
        return PracticeState(player, agent.inference, prepare(self.optimiser, (agent.inference,)))

    def step(self, state: PracticeState, *, key: Key) -> tuple[PracticeState, Metrics]:
        begin_key, silence_key, play_key, update_key, text_key, lesson_key = jax.random.split(key, 6)
        # A trial outlasts the rollout: lanes are never renewed within it.
        trials = GameTrials(_mute(self.games), episodes=self.length)
        world = self.learner.source.stage(trials)
        agent = state.agent
        lanes = begin(GameTrials(self.games, episodes=self.length), agent, self.lanes, key=begin_key)
        spoken = ~jax.random.bernoulli(silence_key, self.silent, (self.lanes,))
        lanes = _read_aloud(agent, lanes, spoken)

        def act(percept: Percept, memory: Recollection, *, key: Key) -> tuple[Choice, Recollection]:
            output, memory = agent(percept, memory)
            action = output.policy.sample(key=key)
            notes = {"log_prob": output.policy.log_prob(action), "value": output.value, "belief": output.features}
            return Choice(action, notes), memory

        lanes, rollout = collect(world, agent, act, lanes, self.length, key=play_key)
        player, metrics = self.learner.update(state.player, _as_played(rollout), key=update_key)

        tasks = jax.vmap(lambda key: self.games.task(key=key))(jax.random.split(text_key, self.texts))
        inference, optimiser, learned = self._lessons(state, tasks, lanes.task, rollout, key=lesson_key)
        over = rollout.discount == 0
        played = {
            "game/count": jnp.sum(over),
            "game/length": self.lanes * self.length / jnp.maximum(jnp.sum(over), 1),
            "game/draws": jnp.sum(over & (rollout.reward == 0)) / jnp.maximum(jnp.sum(over), 1),
        }
        return PracticeState(player, inference, optimiser), metrics | learned | played

    def _lessons(
        self, state: PracticeState, texts: Task, played: Task, rollout: Rollout, *, key: Key
    ) -> tuple[Inference, tuple[optax.OptState, ...], Metrics]:
        """What reading and remembering learn from some texts, and from the endings of some of the trials."""

        def lesson(state, drawn):
            inference, optimiser = state
            (inference,), optimiser, descent = descend(
                lambda parts: _misbelief(parts[0], *drawn), (inference,), self.optimiser, optimiser
            )
            return (inference, optimiser), descent.metrics

        words = None if texts.instruction is None else with_gaps(texts.instruction, self.missed, key=key)
        divide = lambda leaf: leaf.reshape(self.lessons, -1, *leaf.shape[1:])
        some = slice(0, self.witnessed)
        endings: Ending = jax.tree.map(lambda leaf: jnp.moveaxis(leaf[:, some], 1, 0), rollout.after.observation.ending)
        over = jnp.moveaxis(rollout.discount[:, some] == 0, 1, 0)
        answers = jax.vmap(facts)
        known = jax.tree.map(lambda leaf: leaf[some], played.parameters)
        drawn = (words, answers(texts.parameters), endings, over.astype(jnp.float32), answers(known))
        (inference, optimiser), metrics = scan(lesson, (state.inference, state.optimiser), jax.tree.map(divide, drawn))
        return inference, optimiser, jax.tree.map(jnp.mean, metrics)


def _misbelief(
    inference: Inference,
    words: Int[Array, "texts words"] | None,
    meant: Float[Array, "texts facts"],
    endings: Ending,
    over: Float[Array, "trials moves"],
    rules: Float[Array, "trials facts"],
) -> tuple[Float[Array, ""], Metrics]:
    """How far reading and remembering are from the truth, in nats a fact; endings are `[trials, moves, ...]`."""
    nats = optax.sigmoid_binary_cross_entropy
    reading, read = (jnp.zeros(()), {}) if words is None else misread(jax.vmap(inference.read)(words), meant)
    seen = jax.vmap(jax.vmap(inference.witness))(endings) * over[..., None]
    recalled = jax.vmap(jax.vmap(inference.recall))(jnp.cumsum(seen, axis=1), jnp.cumsum(over, axis=1))
    remembering = jnp.sum(jnp.mean(nats(recalled, rules[:, None]), axis=-1) * over) / jnp.maximum(jnp.sum(over), 1)
    # Before any game the best answer is how common each fact is.
    unmoved = jnp.mean(nats(inference.recall(jnp.zeros(seen.shape[-1]), jnp.zeros(())), meant))
    metrics = read | {"remembering/error": remembering, "remembering/prior": unmoved}
    return reading + remembering + unmoved, metrics


def _agent(inference: Inference, player: Any) -> UniversalAgent:
    hollow = eqx.filter_eval_shape(lambda: UniversalAgent(key=jax.random.key(0)))
    return eqx.tree_at(lambda agent: (agent.inference, agent.player), hollow, (inference, player))


def _mute(games: BoardGames) -> BoardGames:
    return BoardGames(games.games, None, canvas=games.canvas)


def _read_aloud(agent: UniversalAgent, lanes: Lanes, spoken: Bool[Array, "B"]) -> Lanes:
    """The lanes with the words read, where they are `spoken`, so that they need not be read at every move."""
    words, told = lanes.task.instruction, lanes.memory.told
    if words is not None:
        told = jax.vmap(agent.inference.read)(words) * spoken[:, None]
    task = Task(parameters=lanes.task.parameters)
    percept = eqx.tree_at(
        lambda percept: (percept.instruction, percept.first),
        lanes.percept,
        (None, jnp.zeros_like(lanes.percept.first)),
        is_leaf=lambda leaf: leaf is None,
    )
    # No game has ended yet: a discount of 0 would say so to an agent that does not know it is at the beginning.
    percept = eqx.tree_at(lambda percept: percept.discount, percept, jnp.ones_like(percept.discount))
    memory = eqx.tree_at(lambda memory: memory.told, lanes.memory, told)
    return Lanes(task, lanes.state, percept, memory)


def _as_played(rollout: Rollout) -> Rollout:
    """The rollout as the player saw it: boards, and beliefs for goals. What it has of memory is in the belief."""
    belief = rollout.notes["belief"]
    following = jnp.concatenate([belief[1:], belief[-1:]])
    notes = {name: rollout.notes[name] for name in ("log_prob", "value")} | {"memory": None, "memory_after": None}
    return Step(
        percept=on_board(rollout.percept, belief),
        action=rollout.action,
        reward=rollout.reward,
        discount=rollout.discount,
        last=rollout.last,
        after=on_board(rollout.after, following),
        cumulants=rollout.cumulants,
        notes=notes,
    )


@dataclasses.dataclass(frozen=True)
class Training:
    """The settings of a training run. Those of the prior that ships are in its `config.json`.

    **Arguments:**

    - `games`: how many training games are drawn; none has a held-out combination of rules.
    - `paraphrases`: rule texts per game.
    - `canvas`: boards are drawn up to this many rows and columns. The network plays on larger ones too.
    - `silent`: the share of trials without words.
    """

    iterations: int = 1150
    games: int = 8000
    paraphrases: int = 8
    canvas: int = 5
    silent: float = 0.3
    lanes: int = 256
    length: int = 64
    epochs: int = 1
    minibatch: int = 512
    learning_rate: float = 1e-3
    entropy_weight: float = 0.03
    reading_rate: float = 1e-2
    seed: int = 0


def process(settings: Training) -> Practice:
    """The training run as a process."""
    games = draw_games(settings.games, "train", seed=settings.seed, canvas=settings.canvas)
    minibatches = settings.lanes * settings.length // settings.minibatch
    updates = settings.iterations * settings.epochs * minibatches
    falling = lambda peak, steps: optax.warmup_cosine_decay_schedule(
        0.0, peak, max(steps // 50, 1), max(steps, 2), peak / 50
    )
    return Practice(
        games=world_of(games, canvas=settings.canvas, paraphrases=settings.paraphrases, seed=settings.seed),
        learner=PPO(
            source=Foresight(),
            discount=1.0,
            trace=0.9,
            epochs=settings.epochs,
            minibatches=minibatches,
            entropy_weight=settings.entropy_weight,
            learning_rate=falling(settings.learning_rate, updates),
        ),
        silent=settings.silent,
        lanes=settings.lanes,
        length=settings.length,
        learning_rate=falling(settings.reading_rate, settings.iterations * Practice.lessons),
    )
