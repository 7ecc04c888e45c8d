"""Rulesets: as many as asked for, no two alike, all of which can be solved, and none both learned and judged by."""

import jax
import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.worlds.xland.rulesets import (
    HIGH,
    MEDIUM,
    PICKABLE,
    SMALL,
    TRIVIAL,
    Family,
    Ruleset,
    check_apart,
    generate,
    split,
)
from headstart.worlds.xland.tiles import ABOUT_TWO, GOAL_KINDS, GOALS, RULE_KINDS

PAIRS = {kinds[kind] for kinds in (GOAL_KINDS, RULE_KINDS) for kind in ABOUT_TWO}


def parts(encoding, kinds):
    """The tiles that a goal or a rule needs, and what a rule makes of them."""
    two = int(encoding[0]) in {kinds[kind] for kind in ABOUT_TWO}
    tiles = [tuple(encoding[start : start + 2].tolist()) for start in range(1, len(encoding) - 1, 2)]
    return tiles[: 1 + two], tiles[1 + two] if len(encoding) == 7 else None


@pytest.mark.parametrize(
    ("family", "most_rules", "most_tiles"), [(TRIVIAL, 0, 5), (SMALL, 4, 10), (MEDIUM, 9, 16), (HIGH, 18, 25)]
)
def test_every_goal_can_be_reached_from_what_lies_about(family, most_rules, most_tiles):
    found = generate(300, family, seed=1)
    assert found.goal.shape == (300, 5)
    assert found.rules.shape[1] <= most_rules
    assert found.tiles.shape[1] <= most_tiles
    for goal, rules, tiles in zip(found.goal, found.rules, found.tiles, strict=True):
        there = {tuple(tile.tolist()) for tile in tiles if tile.any()}
        for _ in range(len(rules)):
            for rule in rules[rules.any(axis=1)]:
                needed, made = parts(rule, RULE_KINDS)
                there |= {made} if set(needed) <= there else set()
        assert set(parts(goal, GOAL_KINDS)[0]) <= there


def test_what_is_to_be_held_can_be_and_at_least_one_of_two_that_are_to_meet():
    found = generate(2_000, TRIVIAL)
    for goal in found.goal:
        needed, _ = parts(goal, GOAL_KINDS)
        if goal[0] == GOAL_KINDS["hold"]:
            assert needed[0] in PICKABLE
        if len(needed) == 2:
            assert needed[1] in PICKABLE
    assert set(found.goal[:, 0].tolist()) == {GOAL_KINDS[kind] for kind in GOALS}


def test_no_two_are_alike_and_a_seed_says_which():
    found = generate(1_000, SMALL, seed=4)
    rows = {
        goal.tobytes() + rules.tobytes() + tiles.tobytes()
        for goal, rules, tiles in zip(*jax.tree.leaves(found), strict=True)
    }
    assert len(rows) == 1_000
    again, other = generate(1_000, SMALL, seed=4), generate(1_000, SMALL, seed=5)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, found, again)))
    assert not np.array_equal(found.goal, other.goal)


def test_depth_and_pruning_are_as_asked_for():
    never = generate(50, Family(goals=("hold",), depth=1, prune=1.0, distractors=0))
    assert never.rules.shape[1] == 0
    always = generate(200, Family(goals=("hold",), depth=1))
    share = np.mean(always.rules.any(axis=(1, 2)))
    assert 0.35 < share < 0.65  # depth 0 or 1, each alike


def test_who_holds_out_holds_out_goals_with_their_rules():
    training, judging = split(generate(2_000, Family(goals=("hold", "near"))), 0.2)
    assert len(training.goal) + len(judging.goal) == 2_000
    seen, held = ({goal.tobytes() for goal in part.goal} for part in (training, judging))
    assert not seen & held
    assert len(held) == 26  # a fifth of 60 tiles to be held, and 70 to be next to
    check_apart(training, judging)


def ruleset(goal, rules=()):
    rows = np.array(rules, np.uint8).reshape(1, -1, 7)
    return Ruleset(np.array([goal], np.uint8), rows, np.array([[[3, 1]]], np.uint8))


def test_a_task_in_both_parts_is_refused_also_where_it_is_told_another_way():
    hold, near = [GOAL_KINDS["hold"], 3, 1, 0, 0], [GOAL_KINDS["tiles_near"], 3, 1, 4, 2]
    check_apart(ruleset(hold), ruleset(near))
    one, two = ([RULE_KINDS["hold"], tile, 1, 4, 2, 0, 0] for tile in (3, 5))
    check_apart(ruleset(hold, [one]), ruleset(hold))
    up, down = [GOAL_KINDS["tiles_near_up"], 3, 1, 4, 2], [GOAL_KINDS["tiles_near_down"], 4, 2, 3, 1]
    for training, judging in (
        (ruleset(hold), ruleset(hold)),
        (ruleset(hold, [one, two]), ruleset(hold, [two, one, [0] * 7])),
        (ruleset(near), ruleset([GOAL_KINDS["tiles_near"], 4, 2, 3, 1])),
        (ruleset(up), ruleset(down)),
    ):
        with pytest.raises(UsageError, match=r"held-out ruleset 0 has .* of training ruleset 0; use split"):
            check_apart(training, judging)
    with pytest.raises(UsageError, match="held-out"):
        check_apart(ruleset(down), ruleset(up))
    check_apart(ruleset(up), ruleset([GOAL_KINDS["tiles_near_up"], 4, 2, 3, 1]))


def test_what_cannot_be_drawn_is_refused_in_a_sentence():
    few = Family(goals=("hold",), distractors=0)
    assert len(generate(60, few).goal) == 60
    for match, make in {
        "0 rulesets are none": lambda: generate(0),
        "no ruleset besides 60 was found": lambda: generate(61, few),
        "no goal fly": lambda: Family(goals=("fly",)),
        "no goal at all": lambda: Family(goals=()),
        "0 or more": lambda: Family(distractors=-1),
        "prune as a probability": lambda: Family(prune=1.5),
        "use up all 70 tiles": lambda: generate(50, Family(depth=6)),
        "leaves nothing": lambda: split(generate(60, few), 0.001),
        "between 0 and 1": lambda: split(generate(60, few), 1.0),
    }.items():
        with pytest.raises(UsageError, match=match):
            make()
