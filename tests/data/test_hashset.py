"""The set of hashes answers as Python's own does, and grows before it is full."""

import random

from burnish.data.hashset import HashSet


def test_it_is_a_set():
    draw, plain, ours = random.Random(0), set(), HashSet()
    for _ in range(6000):
        value = draw.choice((draw.randrange(1, 4000), draw.randrange(1, 1 << 64), 1024 * draw.randrange(1, 3000)))
        assert (value in ours) == (value in plain)
        assert ours.add(value) == (value not in plain)
        plain.add(value)
        assert len(ours) == len(plain)
    assert all(value in ours for value in plain)
    assert sum(value in ours for value in range(1, 9000)) == sum(value in plain for value in range(1, 9000))


def test_it_grows_when_three_fifths_are_used():
    values = HashSet()
    for value in range(1, 615):
        values.add(value)
    assert len(values._slots) == 1024
    values.add(615)
    assert len(values._slots) == 2048


def test_zero_counts_as_one():
    values = HashSet()
    assert 0 not in values
    assert values.add(0)
    assert 1 in values
    assert not values.add(1)
    assert len(values) == 1


def test_values_that_meet_at_the_end_of_the_table_go_on_at_its_start():
    values = HashSet()
    for value in (1023, 2047, 3071):
        assert values.add(value)
    assert all(value in values for value in (1023, 2047, 3071))
    assert 4095 not in values


def test_it_stays_a_set_through_several_doublings_and_takes_twice_the_room_each_time():
    values, sizes = HashSet(), set()
    numbers = [i * 2654435761 % (1 << 64) or 1 for i in range(1, 8001)]
    for number in numbers:
        values.add(number)
        sizes.add(len(values._slots))
        assert len(values) * 5 <= len(values._slots) * 3
    assert sizes == {1024, 2048, 4096, 8192, 16384}
    assert all(number in values for number in numbers)
    assert not any(number in values for number in {number + 1 for number in numbers}.difference(numbers))
    assert not any(values.add(number) for number in numbers)
    assert values.add((1 << 64) - 1)
    assert len(values) == 8001


def test_a_chain_that_runs_over_the_end_of_the_table_is_kept_when_it_grows():
    values = HashSet()
    chain = [1023 + 1024 * i for i in range(200)]
    for value in [*chain, *range(1, 500)]:
        values.add(value)
    assert len(values._slots) == 2048
    assert all(value in values for value in [*chain, *range(1, 500)])
    assert 1023 + 1024 * 200 not in values
