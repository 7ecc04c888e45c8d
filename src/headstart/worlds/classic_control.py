"""The classics of control, with the dynamics, rewards and limits of Gymnasium.

CartPole-v1, Acrobot-v1 and MountainCar-v0 choose among actions; the torque of Pendulum-v1 is a real number.

Barto, Sutton and Anderson, *Neuronlike adaptive elements that can solve difficult learning control problems*, 1983;
Sutton, *Generalization in reinforcement learning: successful examples using sparse coarse coding*, NIPS 1995; Moore,
*Efficient memory-based learning for robot control*, 1990.

An episode that reaches its limit of steps is cut short: `last` with a discount of 1. One that falls or arrives has
truly ended: `last` with a discount of 0. The count of steps is part of the state, so no wrapper is needed. Nothing
but `reset` is random.
"""

from __future__ import annotations

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Key, Outcome, Task
from headstart.core.world import AbstractWorld, Box, Discrete

__all__ = ["Acrobot", "CartPole", "Motion", "MountainCar", "Pendulum"]


class Motion(eqx.Module):
    """Positions and velocities (Gymnasium's `env.unwrapped.state`, in its order), and the steps since the reset."""

    place: Float[Array, "size"]
    steps: Int[Array, ""]


class AbstractControl(AbstractWorld):
    """One system to control: where it begins, how it moves, what is seen of it, and after how many steps it is cut."""

    limit: ClassVar[int]
    count: ClassVar[int]  # of actions, where they are discrete

    @property
    def actions(self) -> Discrete | Box:
        return Discrete(self.count)

    def task(self, *, key: Key) -> Task:
        return Task()

    def reset(self, task: Task, *, key: Key) -> tuple[Motion, Float[Array, "seen"]]:
        place = self._begin(key=key)
        return Motion(place, jnp.zeros((), jnp.int32)), self._show(place)

    def step(self, state: Motion, task: Task, action: Array, *, key: Key | None = None) -> tuple[Motion, Outcome]:
        place, reward, ended = self._move(state.place, action)
        steps = state.steps + 1
        discount = (~ended).astype(jnp.float32)
        last = ended | (steps >= self.limit)
        return Motion(place, steps), Outcome(self._show(place), reward=reward, discount=discount, last=last)

    @abc.abstractmethod
    def _begin(self, *, key: Key) -> Float[Array, "size"]:
        """Where an episode begins."""

    @abc.abstractmethod
    def _move(
        self, place: Float[Array, "size"], action: Array
    ) -> tuple[Float[Array, "size"], Float[Array, ""], Bool[Array, ""]]:
        """Where an action leads, its reward, and whether that is a true end."""

    def _show(self, place: Float[Array, "size"]) -> Float[Array, "seen"]:
        return place


class CartPole(AbstractControl):
    """Keep a pole upright on a cart: 1 for every step, 500 at most. Action 0 pushes left, 1 right, with 10 N.

    Observed: position (m), velocity (m/s), angle (rad) and angular velocity (rad/s). The end: beyond ±2.4 m or ±12°.
    """

    limit = 500
    count = 2

    def _begin(self, *, key: Key) -> Float[Array, "4"]:
        return jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)

    def _move(
        self, place: Float[Array, "4"], action: Int[Array, ""]
    ) -> tuple[Float[Array, "4"], Float[Array, ""], Bool[Array, ""]]:
        gravity, total_mass, pole_mass, half_length, interval = 9.8, 1.1, 0.1, 0.5, 0.02
        _, velocity, angle, spin = place
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        force = jnp.where(action == 1, 10.0, -10.0)
        push = (force + pole_mass * half_length * spin * spin * sine) / total_mass
        turn = (gravity * sine - cosine * push) / (half_length * (4 / 3 - pole_mass / total_mass * cosine * cosine))
        acceleration = push - pole_mass * half_length / total_mass * turn * cosine
        place = place + interval * jnp.stack([velocity, acceleration, spin, turn])
        ended = (jnp.abs(place[0]) > 2.4) | (jnp.abs(place[2]) > jnp.pi / 15)
        return place, jnp.ones(()), ended


class Acrobot(AbstractControl):
    """Swing the tip of two hanging links above a line: −1 a step until it is there, 500 steps at most.

    Actions 0, 1, 2 turn the joint between the links with −1, 0, 1 Nm. Observed: cosine and sine of either angle, and
    both angular velocities (rad/s). The dynamics are those of Sutton and Barto's book, by one Runge-Kutta step of
    0.2 s, with links of 1 kg, 1 m and a moment of inertia of 1 kg m², whose masses are at their middle.
    """

    limit = 500
    count = 3

    def _begin(self, *, key: Key) -> Float[Array, "4"]:
        return jax.random.uniform(key, (4,), minval=-0.1, maxval=0.1)

    def _move(
        self, place: Float[Array, "4"], action: Int[Array, ""]
    ) -> tuple[Float[Array, "4"], Float[Array, ""], Bool[Array, ""]]:
        interval = 0.2
        torque = action.astype(jnp.float32) - 1
        slope = lambda place: self._slope(place, torque)
        one = slope(place)
        two = slope(place + interval / 2 * one)
        three = slope(place + interval / 2 * two)
        four = slope(place + interval * three)
        place = place + interval / 6 * (one + 2 * (two + three) + four)
        angles = jnp.mod(place[:2] + jnp.pi, 2 * jnp.pi) - jnp.pi
        fastest = jnp.array([4 * jnp.pi, 9 * jnp.pi])
        place = jnp.concatenate([angles, jnp.clip(place[2:], -fastest, fastest)])
        ended = -jnp.cos(angles[0]) - jnp.cos(angles[0] + angles[1]) > 1.0
        return place, ended.astype(jnp.float32) - 1, ended

    def _slope(self, place: Float[Array, "4"], torque: Float[Array, ""]) -> Float[Array, "4"]:
        """The time derivative of angles and angular velocities."""
        gravity = 9.8
        angle, bend, spin, bend_spin = place
        cosine, sine = jnp.cos(bend), jnp.sin(bend)
        # The book's d₁, d₂, φ₁, φ₂, with the numbers for masses, lengths and inertia put in.
        d1, d2 = 3.5 + cosine, 1.25 + 0.5 * cosine
        phi2 = 0.5 * gravity * jnp.sin(angle + bend)
        phi1 = -(0.5 * bend_spin + spin) * bend_spin * sine + 1.5 * gravity * jnp.sin(angle) + phi2
        ratio = d2 / d1
        bend_turn = (torque + ratio * phi1 - 0.5 * spin * spin * sine - phi2) / (1.25 - d2 * ratio)
        return jnp.stack([spin, bend_spin, -(d2 * bend_turn + phi1) / d1, bend_turn])

    def _show(self, place: Float[Array, "4"]) -> Float[Array, "6"]:
        cosines, sines = jnp.cos(place[:2]), jnp.sin(place[:2])
        return jnp.stack([cosines[0], sines[0], cosines[1], sines[1], place[2], place[3]])


class MountainCar(AbstractControl):
    """Rock a weak car out of a valley: −1 a step until its position is 0.5, 200 steps at most.

    Actions 0, 1, 2 push left, not at all and right. Observed: position, from −1.2 to 0.6, and velocity, up to 0.07.
    """

    limit = 200
    count = 3

    def _begin(self, *, key: Key) -> Float[Array, "2"]:
        return jnp.stack([jax.random.uniform(key, (), minval=-0.6, maxval=-0.4), jnp.zeros(())])

    def _move(
        self, place: Float[Array, "2"], action: Int[Array, ""]
    ) -> tuple[Float[Array, "2"], Float[Array, ""], Bool[Array, ""]]:
        position, velocity = place
        velocity = velocity + (action.astype(jnp.float32) - 1) * 0.001 - 0.0025 * jnp.cos(3 * position)
        velocity = jnp.clip(velocity, -0.07, 0.07)
        position = jnp.clip(position + velocity, -1.2, 0.6)
        velocity = jnp.where((position <= -1.2) & (velocity < 0), 0.0, velocity)
        return jnp.stack([position, velocity]), -jnp.ones(()), (position >= 0.5) & (velocity >= 0)


class Pendulum(AbstractControl):
    """Swing a pendulum up and hold it there, with a torque too weak to lift it: 200 steps, none of which ends it.

    The action, from −1 to 1, is a torque of up to 2 Nm. Observed: cosine and sine of the angle from upright, and the
    angular velocity (rad/s), up to 8. A step costs θ² + 0.1 θ̇² + 0.001 torque². A rod of 1 kg and 1 m, under 10 m/s².
    """

    limit = 200

    @property
    def actions(self) -> Box:
        return Box(jnp.array([-2.0]), jnp.array([2.0]))

    def _begin(self, *, key: Key) -> Float[Array, "2"]:
        return jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0) * jnp.array([jnp.pi, 1.0])

    def _move(
        self, place: Float[Array, "2"], action: Float[Array, "1"]
    ) -> tuple[Float[Array, "2"], Float[Array, ""], Bool[Array, ""]]:
        interval = 0.05
        angle, spin = place
        torque = 2 * jnp.clip(action[0], -1.0, 1.0)
        tilt = jnp.mod(angle + jnp.pi, 2 * jnp.pi) - jnp.pi
        cost = tilt**2 + 0.1 * spin**2 + 0.001 * torque**2
        spin = jnp.clip(spin + (15 * jnp.sin(angle) + 3 * torque) * interval, -8.0, 8.0)
        return jnp.stack([angle + spin * interval, spin]), -cost, jnp.array(False)

    def _show(self, place: Float[Array, "2"]) -> Float[Array, "3"]:
        return jnp.stack([jnp.cos(place[0]), jnp.sin(place[0]), place[1]])
