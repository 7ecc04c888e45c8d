"""An environment that does what it is told, for processes that should be started soon: it imports little."""

import os
import signal
import time

import gymnasium
import numpy as np
from gymnasium import spaces

FAULTS = {
    1: lambda: os._exit(7),
    2: lambda: os.kill(os.getpid(), signal.SIGKILL),
    3: lambda: time.sleep(600),
    4: lambda: 10 % 0,  # Gymnasium's log trips over a % in a traceback
}


class Told(gymnasium.Env):
    """Counts its steps; ends after three, and does at once what an action above 0 tells it."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.Discrete(5)

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        FAULTS.get(int(action), lambda: None)()
        self.count += 1
        return np.full(1, self.count, np.float32), 1.0, self.count == 3, False, {}


def told_at(home):
    """Such an environment, but in the process of this number alone; elsewhere it takes its process with it."""
    return Told() if os.getpid() == home else os._exit(3)
