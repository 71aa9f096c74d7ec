"""How much of a mixture each source gives: shares of weights and sizes, and whole numbers that sum to a budget."""

from collections.abc import Sequence
from fractions import Fraction


def shares_of(weights: Sequence[float], sizes: Sequence[int], temperature: float | None) -> list[Fraction]:
    """The share of each source; they sum to 1, or are all 0 where nothing has a weight.

    A source weighs its weight; with a temperature T times size^(1/T), as multilingual models sample languages
    (Arivazhagan et al. 2019, https://arxiv.org/abs/1907.05019).
    """
    largest = max(sizes, default=0)
    if temperature is None or not largest:
        scaled = [Fraction(weight) for weight in weights]
    else:  # relative to the largest, so that no power overflows
        powers = [(size / largest) ** (1 / temperature) for size in sizes]
        scaled = [Fraction(weight) * Fraction(power) for weight, power in zip(weights, powers, strict=True)]
    total = sum(scaled)
    return [weight / total if total else Fraction(0) for weight in scaled]


def budgets(total: int, shares: Sequence[Fraction]) -> list[int]:
    """Whole numbers near `total * share` that sum to `total`: those with the largest remainders are rounded up."""
    exact = [total * share for share in shares]
    whole = [int(amount) for amount in exact]
    missing = round(sum(exact)) - sum(whole)
    by_remainder = sorted(range(len(exact)), key=lambda place: (whole[place] - exact[place], place))
    for place in by_remainder[:missing]:
        whole[place] += 1
    return whole


def largest_budgets(available: Sequence[int], shares: Sequence[Fraction]) -> list[int]:
    """The most that keeps the shares and exceeds no source; all 0 where a source with a share has nothing."""
    total = min((size / share for size, share in zip(available, shares, strict=True) if share), default=Fraction(0))
    return [int(total * share) for share in shares]
