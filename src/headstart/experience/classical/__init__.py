"""The classical players, who were given by hand what a meta-learner has to learn: a family of tasks, told beforehand.

Each is what some paper measures its learner against. Players who meet the same `key` meet the same luck where they do
the same, and may be compared in pairs.
"""
