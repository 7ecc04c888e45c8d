"""A controller that carries out a list of instructions with a skill, and decides when it is time to look at the list.

Oh, Singh, Lee and Kohli, *Zero-shot task generalization with multi-task deep reinforcement learning*, ICML 2017,
section 5.2. It sees what the world shows and β of the subtask under way, and is not told how far it has come. At most
moments nothing is to be decided, and it is the network itself that says when something is: an *update gate* c. With
c = 0, pointer, context and subtask stay as they were. So it makes a few decisions in a long list, and what one of them
led to is not far from it.

| paper | here |
|---|---|
| M, the instructions' embeddings | the words of `Percept.instruction`, one column for each verb and each object |
| p, the pointer; r = M p, what is read | `Mind.pointer`, `Mind.read` |
| h, the context: LSTM(s, β, g, r, h) | `cell`, `Mind.state`; of s what is there, and of g and r whether they agree |
| l, softmax over {−1, 0, +1}; the pointer shifted by it | `shift`, `shifted` |
| c, the update gate | `gate`, `Output.features` |
| π(g given h, r), a factor for each parameter of g | `verb`, `thing`: what is read, unless the context says otherwise |
| soft updates, with an L2 penalty of c, and then hard ones | `hard`; `Restraint` |
| Hierarchical-Dynamic, -Short, -Long, Flat | `gates="learned"`, `"always"`, `"done"`; `FlatController` |

The context hears neither where things lie nor which pair is read or under way, but whether these are the same: so it is
in a list of pairs never met as it is in one of training. Who hears what is read finishes 0.74 of such lists of 20, and
0.69 of those of training, as against 1.00 and 1.00 (300 iterations, one seed that no study uses): four instructions of
training can be told apart by heart, and twenty others cannot.

An action of `headstart.core.options.Options` is 0 to go on, or a subtask: so c and the new subtask are one choice, of
probabilities 1 − c, and c · π(g). While updates are *soft*, pointer and context move by c; where they are *hard*,
they move if the action that was taken was a new subtask, and stay if it was not.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from headstart.core.network import AbstractNetwork, blank
from headstart.core.networks import Linear, orthogonal
from headstart.core.options import Options, Under
from headstart.core.policies import Categorical
from headstart.core.process import Online
from headstart.core.source import AbstractSource, Chain
from headstart.core.types import Key, Metrics, Output, Percept, Step
from headstart.core.world import AbstractWorld, Discrete
from headstart.errors import UsageError
from headstart.instructions.skills import BOXES
from headstart.memory.lstm import LSTM
from headstart.scratch.ppo import PPO
from headstart.worlds.object_grid import BOX, KINDS, WORDS, ObjectGrid, View, pairs

__all__ = [
    "FlatController",
    "Gates",
    "InstructionController",
    "Mind",
    "New",
    "Restraint",
    "hardened",
    "learning",
    "lists",
    "shifted",
    "subtasks",
]

Gates = Literal["learned", "always", "never", "done"]

VERB_COUNT = 3
TOLD = 6  # numbers of what is under way, and of what was just done
SHARP = 4.0  # logits of gate and shift, by those of their layers: they are to become decisions soon
GAIN = 3.0  # logit, at first, of an object that is read, and of a box
EACH_PAYS = 0.5
NEVER = -1e9  # the logit of what is not chosen
OPEN = np.array([NEVER, 0.0], np.float32)  # the logarithms of 1 − c and of c, where c is 1
READ = VERB_COUNT + KINDS  # numbers of an instruction that is read


@functools.cache
def _every() -> tuple[tuple[int, int, int], ...]:
    return (*((verb, thing, 1) for verb, thing in pairs("all")), (*BOXES, 1))


def subtasks() -> Int[Array, "25 3"]:
    """All that a controller may choose from: each verb of each object, and to transform a box, once, for `Options`."""
    return jnp.array(_every(), jnp.int32)


class Mind(eqx.Module):
    """The pointer over the list, what was read, and the context: as they are, or as they will be if updated."""

    pointer: Float[Array, "*batch slots"]
    read: Float[Array, "*batch read"]
    state: tuple[Float[Array, "*batch width"], Float[Array, "*batch width"]]


class InstructionController(AbstractNetwork):
    """Chooses subtasks of an `Options` world in an `ObjectGrid`. `Output.features` is c.

    **Arguments:**

    - `world`: with as many subtasks as `subtasks` has.
    - `width`: of the context, and of the layer before it.
    - `gates`: when the list is looked at: `"learned"`; `"always"`, at every step; `"never"`, but at first; or
      `"done"`, where β says so: at the ends of subtasks alone.
    - `hard`: see the module.
    - `points`: whether the pointer moves; for a control.

    **Raises:** `UsageError` for another world or another kind of gate.
    """

    look: Linear
    told: Linear
    cell: LSTM
    gate: Linear
    shift: Linear
    inner: Linear
    verb: Linear
    thing: Linear
    gain: Float[Array, ""]
    critic: tuple[Linear, Linear]
    slots: int = eqx.field(static=True)
    gates: str = eqx.field(static=True)
    hard: bool = eqx.field(static=True)
    points: bool = eqx.field(static=True)

    def __init__(
        self,
        world: Options,
        key: Key,
        *,
        width: int = 32,
        gates: str = "learned",
        hard: bool = True,
        points: bool = True,
    ):
        if gates not in get_args(Gates):
            raise UsageError(f"there is no gate {gates!r} of a controller; choose {', '.join(get_args(Gates))}")
        grid = world.world
        if not isinstance(grid, ObjectGrid) or len(world.subtasks) != len(_every()):
            raise UsageError("an InstructionController chooses subtasks() in Options of an ObjectGrid; give it these")
        self._make(grid, TOLD, 0, width, key)
        self.gates, self.hard, self.points = gates, hard, points

    def _make(self, grid: ObjectGrid, told: int, actions: int, width: int, key: Key) -> None:
        keys = jax.random.split(key, 10)
        self.slots = grid.room
        self.look = Linear.drawn(grid.size**2 * KINDS, width, key=keys[0])
        # When to look at the list, and how to move in it, does not depend on where things lie: of the map, whoever
        # decides that is told what is there.
        self.told = Linear.drawn(KINDS + told, width, key=keys[9])
        self.cell = LSTM(width, width, key=keys[1])
        gate = orthogonal(2 * width + 1, 1, 0.03, keys[2])
        # To begin with, what was begun is mostly gone on with: what is tried once a step is never seen to its end.
        self.gate = Linear(gate.weight, jnp.array([-0.25]))
        shift = orthogonal(2 * width + 1, 3, 0.03, keys[3])
        # To begin with, the pointer mostly stays where it is.
        self.shift = Linear(shift.weight, jnp.array([0.0, 0.5, 0.0]))
        self.inner = Linear.drawn(3 * width + 1 + READ, width, key=keys[4])
        self.verb = orthogonal(width, actions or 2 * VERB_COUNT, 0.01, keys[5])
        thing = orthogonal(width, KINDS, 0.01, keys[6])
        # To begin with, what is read is most often what is done, and a box where there is one, of which nothing is
        # read: by chance alone it would be gone for, all the way and in time, in hardly any step.
        self.gain = jnp.array(GAIN)
        self.thing = Linear(thing.weight, thing.bias.at[BOX - 1].set(GAIN))
        self.critic = (Linear.drawn(3 * width + 1 + READ + 1, width, key=keys[7]), orthogonal(width, 1, 1.0, keys[8]))

    def initial(self) -> tuple[Mind, Mind]:
        mind = Mind((jnp.arange(self.slots) == 0).astype(jnp.float32), jnp.zeros(READ), self.cell.initial())
        return mind, mind

    def __call__(self, percept: Percept, memory: tuple[Mind, Mind]) -> tuple[Output, tuple[Mind, Mind]]:
        return self._think(self._look(percept), percept, memory)

    def unroll(self, percepts: Percept, memory: tuple[Mind, Mind]) -> tuple[Output, tuple[Mind, Mind]]:
        """As `AbstractNetwork.unroll`, but that all maps of a segment are looked at at once."""

        def moment(memory: Any, met: tuple[Array, Percept]) -> tuple[Any, Output]:
            looked, percept = met
            output, memory = self._think(looked, percept, blank(self, memory, percept.first))
            return memory, output

        memory, outputs = jax.lax.scan(moment, memory, (jax.vmap(self._look)(percepts), percepts))
        return outputs, memory

    def _look(self, percept: Percept) -> Float[Array, "width"]:
        return jax.nn.relu(self.look(self._view(percept).planes.ravel()))

    def _view(self, percept: Percept) -> View:
        return percept.observation.observation

    def _told(self, looked: Float[Array, "width"], percept: Percept, mind: Mind) -> Float[Array, "told"]:
        """What is under way, β of it, and whether anything was just done.

        Where things lie is not told, nor which pair is under way, as that would say nothing of pairs that never were in
        training: but whether it is what was read, and whether it is a box's.
        """
        under = percept.observation
        verb, thing = subtasks()[jnp.maximum(under.subtask, 0), :2] - 1
        some = under.subtask >= 0
        same = some * mind.read[verb] * mind.read[VERB_COUNT + thing]
        view = self._view(percept)
        flags = jnp.stack([some, some & (thing == BOX - 1), view.picked > 0, view.transformed > 0])
        return jnp.concatenate([jnp.stack([under.termination, same]), flags])

    def _heard(self, looked: Float[Array, "width"], percept: Percept, mind: Mind) -> Float[Array, "width"]:
        there = _there(self._view(percept)).astype(jnp.float32)
        return jax.nn.relu(self.told(jnp.concatenate([there, self._told(looked, percept, mind)])))

    def _think(
        self, looked: Float[Array, "width"], percept: Percept, memory: tuple[Mind, Mind]
    ) -> tuple[Output, tuple[Mind, Mind]]:
        under = percept.observation
        mind = memory[0]
        if self.hard:  # what was done last says whether it was updated
            assert percept.action is not None
            mind = _mixed((percept.action > 0) & ~percept.first, memory[1], memory[0])
        heard = self._heard(looked, percept, mind)
        new, thought = self._updated(heard, mind, percept, under.termination)
        thought = jnp.concatenate([looked, thought])
        logs = self._opened(heard, mind, under)
        policy = Categorical(jnp.append(logs[0], logs[1] + self._chosen(thought, new, percept)), percept.legal)
        updates = jnp.exp(logs[1])
        kept = mind if self.hard else _mixed(updates, new, mind)
        return Output(policy, self._value(thought, new, percept), updates), (kept, new)

    def _opened(self, heard: Float[Array, "width"], mind: Mind, under: Under) -> Float[Array, "2"]:
        """The logarithms of 1 − c and of c. Where nothing is under way, something must be begun."""
        none = under.subtask < 0
        if self.gates == "learned":
            logit = SHARP * self.gate(jnp.concatenate([heard, mind.state[0], under.termination[None]]))[0]
            return jnp.where(none, OPEN, jax.nn.log_sigmoid(jnp.stack([-logit, logit])))
        opened = {"always": jnp.array(True), "never": none, "done": none | (under.termination >= 0.5)}[self.gates]
        return jnp.where(opened, OPEN, OPEN[::-1])

    def _chosen(self, thought: Array, mind: Mind, percept: Percept) -> Float[Array, "subtasks"]:
        """The log probability of each subtask: of its object, or a box, and of a verb for that object.

        The verb is that which is read for the object that is read, and another one for any other. A verb for each
        object would learn that some pairs are never asked for, which are those that are held out.
        """
        units = jax.nn.relu(self.inner(jnp.concatenate([thought, mind.read])))
        verb_read, thing_read = jnp.split(mind.read, [VERB_COUNT])
        # For what is not there, nothing can be done.
        thing = jnp.where(_there(self._view(percept)), self.gain * thing_read + self.thing(units), NEVER)
        same, other = jnp.split(self.verb(units), 2)
        share = thing_read[:, None]
        verb = share * (self.gain * verb_read + same) + (1.0 - share) * other
        of_thing, of_verb = jax.nn.log_softmax(thing), jax.nn.log_softmax(verb)
        pairs = of_thing[:-1, None] + of_verb[:-1]
        return jnp.append(pairs.T.ravel(), of_thing[-1])  # of a box there is one subtask alone

    def _updated(
        self, heard: Float[Array, "width"], mind: Mind, percept: Percept, over: Float[Array, ""]
    ) -> tuple[Mind, Array]:
        """The mind after an update, and what it makes of this moment."""
        said, state = self.cell(heard, mind.state)
        thought = jnp.concatenate([heard, said, over[None]])
        pointer = shifted(mind.pointer, jax.nn.softmax(SHARP * self.shift(thought))) if self.points else mind.pointer
        return Mind(pointer, pointer @ self._list(percept), state), thought

    def _list(self, percept: Percept) -> Float[Array, "slots read"]:
        assert percept.instruction is not None
        listed = percept.instruction.reshape(-1, WORDS)
        one = jax.nn.one_hot
        return jnp.concatenate([one(listed[:, 0] - 1, VERB_COUNT), one(listed[:, 1] - 1, KINDS)], axis=1)

    def _value(self, thought: Array, mind: Mind, percept: Percept) -> Float[Array, ""]:
        listed = jnp.sum(self._list(percept)[:, :VERB_COUNT])
        left = listed - mind.pointer @ jnp.arange(self.slots, dtype=jnp.float32)
        told = jnp.concatenate([thought, mind.read, left[None] / 4])
        return self.critic[1](jnp.tanh(self.critic[0](told)))[0]


class FlatController(InstructionController):
    """The same network without a skill: it chooses the actions of an `ObjectGrid` itself, and updates at each step."""

    def __init__(self, world: AbstractWorld, key: Key, *, width: int = 32):
        if not isinstance(world, ObjectGrid):
            raise UsageError("a FlatController acts in an ObjectGrid itself; give it that and no Options")
        assert isinstance(world.actions, Discrete)
        self._make(world, width + READ + 2 * KINDS, world.actions.count, width, key)
        self.gates, self.hard, self.points = "always", False, True

    def _view(self, percept: Percept) -> View:
        return percept.observation

    def _told(self, looked: Float[Array, "width"], percept: Percept, mind: Mind) -> Float[Array, "told"]:
        """Where things lie, what was read, and what was just done, to what: nobody says whether that was asked for."""
        view = self._view(percept)
        did = jax.nn.one_hot(jnp.stack([view.picked, view.transformed]) - 1, KINDS)
        return jnp.concatenate([looked, mind.read, did.ravel()])

    def _think(
        self, looked: Float[Array, "width"], percept: Percept, memory: tuple[Mind, Mind]
    ) -> tuple[Output, tuple[Mind, Mind]]:
        heard = self._heard(looked, percept, memory[0])
        new, thought = self._updated(heard, memory[0], percept, jnp.zeros(()))
        thought = jnp.concatenate([looked, thought])
        units = jax.nn.relu(self.inner(jnp.concatenate([thought, new.read])))
        policy = Categorical(self.verb(units), percept.legal)
        return Output(policy, self._value(thought, new, percept), jnp.ones(())), (new, new)


class Restraint(AbstractSource):
    """An L2 penalty of the gate: who does not have to look at the list should not.

    **Arguments:**

    - `weight`: of the mean of c², beside the learner's own loss.
    """

    weight: float = eqx.field(static=True, default=0.2)

    def loss(
        self, network: AbstractNetwork, batch: Step, outputs: Output, *, key: Key
    ) -> tuple[Float[Array, ""], Metrics]:
        gate = jnp.asarray(outputs.features)
        penalty = jnp.mean(jnp.square(gate))
        return self.weight * penalty, {"restraint/gate": jnp.mean(gate)}


def lists(
    length: int,
    side: str = "train",
    *,
    shortest: int | None = None,
    family: str = "independent",
    slots: int = 20,
    events: float = 0.03,
    size: int = 7,
    each: float = EACH_PAYS,
) -> ObjectGrid:
    """The grid of whoever carries out lists: with boxes, and room for lists that are longer than those of training.

    **Arguments:**

    - `side`: of the pairs; all others are those of `ObjectGrid`.

    In the paper nothing is paid before the end of a list. Here each of its instructions pays as well, whoever learns:
    in the half million steps that were tried at first, nobody found out what only a whole list would tell.
    """
    return ObjectGrid(
        pairs(side, family), family, length=length, shortest=shortest, slots=slots, events=events, size=size, each=each
    )


class New(eqx.Module):
    """Makes a controller for a world of a key: of a skill's subtasks in `Options`, or a flat one in the grid itself.

    **Arguments:** those of `InstructionController`.
    """

    world: Options | ObjectGrid
    gates: str = eqx.field(static=True, default="learned")
    hard: bool = eqx.field(static=True, default=True)
    points: bool = eqx.field(static=True, default=True)

    def __call__(self, key: Key) -> InstructionController:
        if isinstance(self.world, ObjectGrid):
            return FlatController(self.world, key)
        return InstructionController(self.world, key, gates=self.gates, hard=self.hard, points=self.points)


class _Taken(eqx.Module):
    """Makes a controller of a key, but with the numbers of another one."""

    new: New
    network: InstructionController

    def __call__(self, key: Key) -> InstructionController:
        like = eqx.filter_eval_shape(self.new, key)  # of which the numbers are not wanted
        return jax.tree.unflatten(jax.tree.structure(like), jax.tree.leaves(self.network))


def learning(
    skill: AbstractNetwork | None,
    iterations: int,
    *,
    gates: str = "learned",
    hard: bool = True,
    points: bool = True,
    family: str = "independent",
    restraint: float = 0.2,
    entropy: float = 0.03,
    lanes: int = 64,
) -> Online:
    """How a controller is learned, in lists of one to four instructions of training, with a skill that stays as it is.

    **Arguments:**

    - `skill`: what carries subtasks out; a flat controller learns without one if `None`.
    - `iterations`: of 64 lanes and 32 steps.
    - `gates`, `hard`, `points`: as for `InstructionController`.
    - `family`: what verbs mean.
    - `restraint`, `entropy`: the weights of the gate's penalty and of the entropy of what is chosen.
    """
    grid = lists(4, shortest=1, family=family)
    world = grid if skill is None else Options(grid, skill, subtasks())
    learner = PPO(
        source=Chain((Restraint(restraint),)),
        learning_rate=optax.linear_schedule(3e-3, 3e-4, iterations * 8),
        epochs=2,
        minibatches=4,
        entropy_weight=entropy,
    )
    return Online(world, New(world, gates, hard, points), learner, lanes, 32)


def hardened(process: Online, network: InstructionController) -> Online:
    """The same process, but with hard updates, going on from a network that was learned by soft ones."""
    assert isinstance(process.network, New)
    return replace(process, network=_Taken(replace(process.network, hard=True), network))


def shifted(pointer: Float[Array, "slots"], by: Float[Array, "3"]) -> Float[Array, "slots"]:
    """A soft pointer moved by −1, 0 and +1 with these weights; at either end it stays."""
    back = jnp.append(pointer[1:], 0.0).at[0].add(pointer[0])
    on = jnp.append(0.0, pointer[:-1]).at[-1].add(pointer[-1])
    return by[0] * back + by[1] * pointer + by[2] * on


def _there(view: View) -> Bool[Array, "kinds"]:
    """Of which kinds anything lies anywhere."""
    return jnp.any(view.planes > 0, axis=(0, 1))


def _mixed(share: Float[Array, ""] | Bool[Array, ""], new: Mind, old: Mind) -> Mind:
    """So much of the new one, and the rest of the old one."""
    if share.dtype == jnp.bool_:
        return jax.tree.map(lambda new, old: jnp.where(share, new, old), new, old)
    return jax.tree.map(lambda new, old: share * new + (1.0 - share) * old, new, old)
