"""Environments in processes of their own: those that hang, die or fail are named, and none is left behind."""

import os
import signal
from functools import partial

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from told import Told, told_at

from headstart.errors import BadData, UsageError
from headstart.worlds.adapters.gymnasium import GymnasiumHost, gymnasium_host


def vector(mode=AutoresetMode.DISABLED, **given):
    return AsyncVectorEnv([Told, Told], context="forkserver", autoreset_mode=mode, **given)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (1, r"environment 1, episode 1, step 3: it lost its process \(exit 7\)"),
        (2, r"environment 1, episode 1, step 3: it lost its process \(exit -9, SIGKILL\)"),
        (3, r"environment 1, episode 1, step 3: it gave no answer within 0.5 s"),
        (4, r"the vector of environments failed after 2 steps: ZeroDivisionError: .*gymnasium_host"),
    ],
)
def test_a_worker_that_dies_hangs_or_fails_is_named(fault, words):
    workers = vector()
    host = GymnasiumHost(workers, timeout=0.5)
    host.begin(0)
    for _ in range(2):
        host.step(np.zeros(2, int))
    with pytest.raises(BadData, match=words) as told:
        host.step(np.array([0, fault]))
    assert told.value.exit_code == 3
    assert not any(process.is_alive() for process in workers.processes), "none is left behind"


def test_guarded_environments_in_processes_name_the_line_and_are_made_anew():
    host = gymnasium_host(Told, 2, processes=True, restarts=1)
    host.begin(0)
    for process in host.vector.processes:
        os.kill(process.pid, signal.SIGINT)  # Ctrl-C reaches them too, and is the parent's to heed
    answer = host.step(np.array([0, 4]))
    assert answer.last.tolist() == [False, True]
    assert host.metrics() == {"host/restarts": 1.0}
    with pytest.raises(
        BadData, match=r"environment 1, episode 2, step 1: it raised ZeroDivisionError: .*\(told.py, line"
    ):
        host.step(np.array([0, 4]))


def test_an_environment_that_cannot_be_made_is_named():
    def broken():
        raise RuntimeError("no gripper")

    with pytest.raises(BadData, match="environment 0, episode 0, step 0: it raised RuntimeError: no gripper"):
        gymnasium_host(broken, 1)

    with pytest.raises(BadData, match="lost its process before its first step"):
        gymnasium_host(partial(told_at, os.getpid()), 1, processes=True)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_workers_spend_no_step_on_a_reset(mode):
    host = GymnasiumHost(vector(mode))
    host.begin(0)
    seen = [host.step(np.zeros(2, int)) for _ in range(6)]
    assert [answer.after.observation[0, 0] for answer in seen] == [1, 2, 3, 1, 2, 3]
    assert [answer.now.observation[0, 0] for answer in seen] == [1, 2, 0, 1, 2, 0]
    assert [bool(answer.last[0]) for answer in seen] == [False, False, True] * 2
    assert all(answer.reward[0] == 1.0 for answer in seen)
    host.vector.close()


def test_next_step_without_shared_memory_is_refused():
    workers = vector(AutoresetMode.NEXT_STEP, shared_memory=False)
    with pytest.raises(UsageError, match="has autoreset mode NextStep"):
        GymnasiumHost(workers)
    workers.close()
