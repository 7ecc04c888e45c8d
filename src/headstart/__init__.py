"""Headstart: reinforcement learning that does not start from scratch.

Five nouns carry the library: a `World` is a family of tasks, a `Network` maps a percept to a policy and a universal
value, a `Learner` is a pure function of experience, a `Source` is knowledge the learner need not discover, and a
`Process` is what `train` runs. The rooms of the house are the packages beside this file.
"""

__version__ = "0.1.0"
