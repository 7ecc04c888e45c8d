"""Memory that runs out is one sentence that says what takes it and what to lower, and costs no checkpoint."""

import jax
import numpy as np
import pytest

import resumable
from headstart import checkpoint
from headstart.errors import UsageError
from headstart.run import run
from headstart.shortage import largest, ran_out, told
from resumable import Plain, Tiny

TOLD = "RESOURCE_EXHAUSTED: Out of memory allocating 1125899906842624 bytes."


def go(process, directory, iterations=32):
    return run(process, iterations, directory=directory, configuration={"name": "tiny"}, seed=3, every=8, chunk=4)


def test_a_state_that_no_machine_holds_is_told_with_its_largest_arrays(tmp_path):
    with pytest.raises(UsageError) as raised:
        go(Tiny(capacity=2**46), tmp_path)
    said = str(raised.value)
    assert raised.value.exit_code == 2
    assert said.startswith("memory ran out (RESOURCE_EXHAUSTED")
    assert "the largest arrays of the state are replay 70368744177664×16 bfloat16 (2 PiB), weight 16×16 float32" in said
    assert "lower capacity (70,368,744,177,664)" in said
    assert said.count("\n") == 0


@pytest.mark.parametrize("error", [jax.errors.JaxRuntimeError(TOLD), MemoryError()])
def test_what_was_stored_before_stays_and_is_gone_on_with(tmp_path, error):
    class Grows(Plain):
        def step(self, state, *, key):
            if int(state.cursor) == 21:
                raise error
            return Tiny.step(self, state, key=key)

    with pytest.raises(UsageError, match=r"the largest arrays of the state are replay 64×16 bfloat16 \(2 KiB\)"):
        go(Grows(), tmp_path)
    assert checkpoint.steps(tmp_path / "checkpoints") == [8, 16]
    go(Plain(), tmp_path)
    assert checkpoint.steps(tmp_path / "checkpoints") == [24, 32]


def test_lanes_length_and_replay_are_what_to_lower():
    said = told(jax.errors.JaxRuntimeError(TOLD), resumable.dqn(), None)
    assert "learner.replay.segments." in said
    assert "lower capacity (1,024), lanes (8), length (4) in a new run" in said


def test_other_errors_are_not_mistaken_for_it():
    assert not ran_out(jax.errors.JaxRuntimeError("INTERNAL: something else"))
    assert not ran_out(ValueError("RESOURCE_EXHAUSTED"))
    assert largest({"a": np.zeros(2, np.float32), "b": 3, "c": jax.numpy.zeros(())}) == [
        "['a'] 2 float32 (8 B)",
        "['c'] scalar float32 (4 B)",
    ]
