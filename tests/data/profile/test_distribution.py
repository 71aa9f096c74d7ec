"""A histogram has every number in one of its ranges, and the ranges have no gaps."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from burnish.data.profile import Distribution
from burnish.data.profile.reservoir import Reservoir


def distribution(numbers) -> Distribution:
    found = Distribution()
    for number in numbers:
        found.add(number)
    return found


@given(st.lists(st.integers(0, 10**7), max_size=60), st.integers(2, 40))
def test_every_number_is_in_its_range(numbers, bars):
    ranges = distribution(numbers).histogram(bars)
    assert len(ranges) <= bars
    assert [count for *_, count in ranges] == [sum(low <= n <= high for n in numbers) for low, high, _ in ranges]
    assert sum(count for *_, count in ranges) == len(numbers)
    assert all(one[1] + 1 == other[0] for one, other in pairwise(ranges))


def test_small_numbers_have_a_bar_each():
    assert distribution([1, 2, 2, 4]).histogram() == [[1, 1, 1], [2, 2, 2], [3, 3, 0], [4, 4, 1]]


def test_every_item_is_equally_likely_in_a_sample_and_a_seed_repeats_it():
    def drawn(seed: int) -> list[int]:
        sample = Reservoir[int](5, seed)
        for item in range(50):
            sample.put(sample.next_place(), item)
        return sample.kept

    assert drawn(3) == drawn(3) != drawn(4)
    times = [sum(item in drawn(seed) for seed in range(400)) for item in range(50)]
    assert min(times) > 15
    assert max(times) < 75  # 40 is expected
    few = Reservoir[int](5)
    for item in range(3):
        few.put(few.next_place(), item)
    assert few.kept == [0, 1, 2]
