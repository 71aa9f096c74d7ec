"""Groups of keys are those that a plain union of sets gives, each named by its least deep key."""

import random

from burnish.data.splits.groups import Groups


def roots_of(joins: list[list[tuple[int, int]]]) -> dict[int, int]:
    """The root of every key, by joining sets. A key's depth is the one that it was first given."""
    depths: dict[int, int] = {}
    groups: list[set[int]] = []
    for members in joins:
        for key, depth in members:
            depths.setdefault(key, depth)
        keys = {key for key, _ in members}
        touched = [group for group in groups if group & keys]
        groups = [group for group in groups if not group & keys] + [keys.union(*touched)]
    return {key: min(group, key=lambda k: (depths[k], k)) for group in groups for key in group}


def test_the_groups_are_those_of_plain_sets():
    draw = random.Random(0)
    joins = [
        [(draw.choice((draw.randrange(1, 900), 1024 * draw.randrange(1, 400))), draw.randrange(4)) for _ in range(size)]
        for size in (2, 1, 3, 2) * 300
    ]
    groups = Groups()
    for members in joins:
        groups.join(members)
    expected = roots_of(joins)
    assert len(expected) > 1024 * 3 / 5  # they grew
    assert {key: groups.find(key) for key in expected} == expected
    assert {key: groups.find(key) for key in expected} == expected  # and after paths were shortened


def test_a_key_that_was_never_joined_stands_alone_and_zero_counts_as_one():
    groups = Groups()
    assert (groups.find(5), groups.find(0)) == (5, 1)
    groups.join([(0, 3), (7, 2)])
    assert (groups.find(1), groups.find(0), groups.find(7), groups.find(5)) == (7, 7, 7, 5)


def test_of_equal_depth_the_smaller_key_is_the_root():
    groups = Groups()
    groups.join([(9, 1), (4, 1), (2, 2)])
    assert {groups.find(key) for key in (9, 4, 2)} == {4}


def test_it_grows_when_three_fifths_are_used():
    groups = Groups()
    for key in range(1, 616):
        groups.join([(key, 0)])
    assert len(groups._keys) == 1024
    groups.join([(616, 0)])
    assert len(groups._keys) == 2048


def test_keys_that_meet_at_the_end_of_the_table_go_on_at_its_start():
    groups = Groups()
    groups.join([(1023, 1), (2047, 0), (3071, 2)])
    groups.join([(4095, 5)])
    assert [groups.find(key) for key in (1023, 2047, 3071, 4095)] == [2047, 2047, 2047, 4095]


def test_groups_stay_through_several_doublings():
    keys = [i * 2654435761 % (1 << 64) for i in range(1, 1600)]
    groups = Groups()
    for i, key in enumerate(keys):
        groups.join([(key, i), (keys[i - 7], i - 7)] if i >= 7 else [(key, i)])
    assert len(groups._keys) == 4096
    assert [groups.find(key) for key in keys] == [keys[i % 7] for i in range(len(keys))]
    assert [groups.find(key + 1) for key in keys] == [key + 1 for key in keys]


def test_a_long_chain_leads_to_its_root():
    groups = Groups()
    for key in range(200, 1, -1):
        groups.join([(key, key), (key - 1, key - 1)])
    assert {groups.find(key) for key in range(1, 201)} == {1}


def test_a_depth_is_that_which_a_key_was_first_given():
    groups = Groups()
    groups.join([(5, 3), (9, 2)])
    groups.join([(5, 0), (7, 2)])
    assert {groups.find(key) for key in (5, 7, 9)} == {7}
