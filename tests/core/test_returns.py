import jax
import jax.numpy as jnp
import numpy as np

from headstart.core.returns import generalised_advantages


def slowly(reward, discount, last, value, value_after, trace):
    """The definition: at each step, the sum of (γλ)ˡ δₜ₊ₗ up to the end of its episode."""
    advantages = []
    for start in range(len(reward)):
        weight, total = 1.0, 0.0
        for t in range(start, len(reward)):
            total += weight * (reward[t] + discount[t] * value_after[t] - value[t])
            weight *= discount[t] * trace
            if last[t]:
                break
        advantages.append(total)
    return advantages


def test_advantages_are_those_of_the_definition():
    random = np.random.default_rng(0)
    lanes, length = 8, 40
    reward, value, value_after = random.normal(size=(3, lanes, length)).astype(np.float32)
    last = random.random((lanes, length)) < 0.2
    discount = random.choice([0.9, -0.9], size=(lanes, length))  # −: the turn passes
    discount[last & (random.random((lanes, length)) < 0.5)] = 0.0  # a true end; the others are cuts
    ours = jax.vmap(generalised_advantages, in_axes=(0, 0, 0, 0, 0, None))(
        reward, discount.astype(np.float32), last, value, value_after, 0.8
    )
    theirs = [slowly(*lane, 0.8) for lane in zip(reward, discount, last, value, value_after, strict=True)]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def advantages(reward, discount, last, value, value_after, trace):
    reward, discount, value, value_after = jnp.array([reward, discount, value, value_after], jnp.float32)
    return generalised_advantages(reward, discount, jnp.array(last), value, value_after, trace).tolist()


def test_a_cut_is_bootstrapped_and_an_end_is_not():
    # δ = 2 + 0.25 · 4 − 2 = 1, and 1 − 2 = −1 at the end. The first step adds γ λ = 0.125 of what follows.
    cut = advantages([2, 2], [0.25, 0.25], [False, True], [2, 2], [4, 4], 0.5)
    assert cut == [1.125, 1.0]
    end = advantages([2, 1], [0.25, 0.0], [False, True], [2, 2], [4, 4], 0.5)
    assert end == [0.875, -1.0]


def test_nothing_passes_from_one_episode_to_the_one_before():
    told = advantages([0, 100], [1, 1], [True, False], [0, 0], [0, 0], 1.0)
    assert told == [0.0, 100.0]


def test_what_is_good_for_the_opponent_is_bad_for_us():
    # They win at once after our move: our advantage is minus theirs.
    assert advantages([0, 1], [-1, 0], [False, True], [0, 0], [0, 0], 1.0) == [-1.0, 1.0]
    # Without traces, only through the value of what follows.
    assert advantages([0, 1], [-1, 0], [False, True], [0, 0.5], [0.5, 0], 0.0) == [-0.5, 0.5]
