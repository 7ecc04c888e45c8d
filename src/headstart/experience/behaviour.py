"""Behaviour: what an agent with memory did in whole episodes, and what experimenters read off it.

Nothing here looks into the agent. It is treated as people and animals are: what they chose, and what came of it.

Stay probabilities: how often the choice is that of the trial before, by what came of that. Daw and others,
*Model-based influences on humans' choices and striatal prediction errors*, Neuron 2011, figure 2; Wang and others,
*Prefrontal cortex as a meta-reinforcement learning system*, Nature Neuroscience 2018.

Learning rate: that of the `headstart.experience.classical.reversals.RescorlaWagner` player who is most likely to have
chosen so. Behrens and others, *Learning the value of information in an uncertain world*, Nature Neuroscience 2007.

    vₜ₊₁ = vₜ + α (oₜ − vₜ), where oₜ is rₜ after action 1 and 1 − rₜ after action 0, and v₁ = ½
    P(aₜ = 1) = σ(β (2 vₜ − 1))

It is one value for both arms, as one is good whenever the other is bad. To learn of the chosen arm alone would be
another model, which fits worse, and of which an observer who can imagine but one hazard seems to learn faster where the
arms change more often: then it is the arm not chosen of which more was forgotten than the model knows.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from headstart.core.collect import begin, collect
from headstart.core.network import AbstractNetwork
from headstart.core.types import Key
from headstart.core.world import AbstractWorld
from headstart.experience.trials import sampling

__all__ = ["Behaviour", "Fit", "behave", "fit", "stay_probabilities"]

CANDIDATES = 17  # learning rates that are tried at a time
ZOOMS = 4  # and how often between the neighbours of the best: to an 8,000th
MOST = 100.0  # the greatest precision
HALVINGS = 24  # of what it may be


class Behaviour(eqx.Module):
    """What was done, what was seen after it, and what it earned, trial by trial."""

    action: Int[Array, "episodes trials"]
    seen: PyTree[Float[Array, "episodes trials ..."]]
    reward: Float[Array, "episodes trials"]


class Fit(eqx.Module):
    """The learning rate α, the precision β, and the mean logarithm of how likely they make a choice that was made."""

    rate: Float[Array, ""]
    precision: Float[Array, ""]
    log_likelihood: Float[Array, ""]


@eqx.filter_jit
def behave(world: AbstractWorld, network: AbstractNetwork, episodes: int, trials: int, *, key: Key) -> Behaviour:
    """What a network does in the first `trials` steps of `episodes` episodes, actions sampled from its policy.

    Two networks with the same `key` begin the same tasks, and the world has the same luck in store for both.
    """
    begin_key, act_key = jax.random.split(key)
    lanes = begin(world, network, episodes, key=begin_key)
    _, rollout = collect(world, network, sampling(network), lanes, trials, key=act_key)
    by_episode = lambda leaf: jnp.swapaxes(leaf, 0, 1)
    return jax.tree.map(by_episode, Behaviour(rollout.action, rollout.after.observation, rollout.reward))


def stay_probabilities(behaviour: Behaviour) -> Float[Array, "2 2"]:
    """How often an action of the two-step task is done again: after reward and after none, by transition.

    In rows: after a reward of 1, after one of 0. In columns: after the common transition, the uncommon one. NaN for
    what never happened. Row by row, these are the four bars of Daw and others.
    """
    stays = behaviour.action[:, 1:] == behaviour.action[:, :-1]
    place = jnp.argmax(behaviour.seen, axis=-1)
    common = (place == behaviour.action)[:, :-1]
    rewarded = (behaviour.reward > 0)[:, :-1]

    def share(after: Bool[Array, "episodes before"]) -> Float[Array, ""]:
        return jnp.sum(stays & after) / jnp.sum(after)

    return jnp.array([[share(earned & led) for led in (common, ~common)] for earned in (rewarded, ~rewarded)])


@eqx.filter_jit
def fit(action: Int[Array, "episodes trials"], reward: Float[Array, "episodes trials"]) -> Fit:
    """The learning rate and precision that are most likely to have made these choices between two arms.

    Of all episodes together, each of which begins at v = ½. The rate is found to an 8,000th, between 0 and 1, where
    the likelihood has one hill; for each rate, the likelihood of β is concave and its top is found exactly, from 0 to
    100. Of who learns nothing, β is 0 or nearly, and any rate would do: then it says nothing.
    """
    side = jnp.where(action == 1, 1.0, -1.0)
    proved = jnp.where(action == 1, reward, 1.0 - reward)

    def profile(rate: Float[Array, ""]) -> Fit:
        """The best fit with this rate."""

        def learn(worth: Float[Array, "episodes"], proved: Float[Array, "episodes"]) -> tuple[Array, Array]:
            return worth + rate * (proved - worth), 2.0 * worth - 1.0

        lead = jax.lax.scan(learn, jnp.full(action.shape[0], 0.5), proved.T)[1].T
        margin = side * lead  # of what was chosen

        def halve(_, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bounds
            middle = (low + high) / 2
            rises = jnp.mean(margin * jax.nn.sigmoid(-middle * margin)) > 0
            return jnp.where(rises, middle, low), jnp.where(rises, high, middle)

        precision, _ = jax.lax.fori_loop(0, HALVINGS, halve, (jnp.zeros(()), jnp.asarray(MOST)))
        return Fit(rate, precision, jnp.mean(jax.nn.log_sigmoid(precision * margin)))

    def zoom(bounds: tuple[Array, Array], _) -> tuple[tuple[Array, Array], Fit]:
        low, high = bounds
        tried = jax.lax.map(profile, jnp.linspace(low, high, CANDIDATES))
        best = jax.tree.map(lambda leaf: leaf[jnp.argmax(tried.log_likelihood)], tried)
        step = (high - low) / (CANDIDATES - 1)
        return (jnp.maximum(best.rate - step, 0.0), jnp.minimum(best.rate + step, 1.0)), best

    _, found = jax.lax.scan(zoom, (jnp.zeros(()), jnp.ones(())), None, length=ZOOMS)
    return jax.tree.map(lambda leaf: leaf[-1], found)
