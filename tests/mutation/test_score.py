"""The score and its interval are those of the textbook."""

import math

import pytest

from mutation.score import Room, overall, wilson


def test_the_wilson_interval_is_that_of_the_textbook():
    assert wilson(0.9, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0.5, 0) == (0.0, 1.0)


def test_a_timeout_and_a_crash_count_as_killed_and_a_mutant_without_tests_as_survived():
    room = Room(100, failed=6, timeout=1, crash=1, survived=1, not_covered=1, equivalent=5)
    assert (room.killed, room.tried, room.score) == (8, 10, 0.8)


def test_rooms_weigh_by_all_their_mutants_not_by_those_tried():
    score, (low, high) = overall({"a": Room(900, failed=10), "b": Room(100, survived=10)})
    assert score == pytest.approx(0.9)
    assert low < 0.9 < high


def test_equal_rooms_give_about_the_interval_of_one_sample():
    score, interval = overall({"a": Room(100, failed=180, survived=20), "b": Room(100, failed=180, survived=20)})
    assert score == pytest.approx(0.9)
    assert interval == pytest.approx(wilson(0.9, 400), abs=0.003)


def test_a_room_in_which_nothing_was_tried_is_left_out():
    assert overall({"a": Room(100, failed=10), "b": Room(900)})[0] == 1.0
    assert math.isnan(overall({"a": Room(100)})[0])
