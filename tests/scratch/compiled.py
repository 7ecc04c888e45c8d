"""Training that is compiled once for all processes that differ in nothing but their arrays.

`headstart.core.process.train` compiles anew in every call, which costs these tests far more than what they compute. So
what sets one test apart from the next is an array in its world, its source or its network wherever that can be.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from headstart.core.scan import scan

CHUNK = 20
KEY = jax.random.key(0)


def learned(process, iterations):
    """The learner's state after so many iterations, a multiple of `CHUNK`; and each metric, `[iterations]`."""
    assert iterations % CHUNK == 0
    state, rows = _begin(process), []
    for start in range(0, iterations, CHUNK):
        state, metrics = _go_on(process, state, jnp.array(start))
        rows.append(metrics)
    return state.learner, {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@eqx.filter_jit
def _begin(process):
    return process.init(key=KEY)


@eqx.filter_jit
def _go_on(process, state, start):
    step = lambda state, iteration: process.step(state, key=jax.random.fold_in(KEY, iteration))
    return scan(step, state, start + jnp.arange(CHUNK))
