"""Looks end at whole rows or clusters, each has new ones, and all together have the stated error."""

import numpy as np
import pytest

from burnish.evals.comparison.claims import Claim, Looks, Settings, compared, is_decided
from burnish.evals.comparison.table import Column, Rows
from burnish.evals.statistics.paired import Comparison
from burnish.stages.evals.compare import _in_random_order, ends_of


@pytest.mark.parametrize(("count", "looks"), [(20, 20), (23, 20), (39, 20), (3, 2), (5, 4), (60, 3)])
def test_every_look_has_new_rows(count: int, looks: int) -> None:
    ends = ends_of(identities([None] * count), looks)
    assert len({end for end, _ in ends}) == looks
    assert [fraction for _, fraction in ends] == [end / count for end, _ in ends]
    assert (ends[0][0] > 0, ends[-1]) == (True, (count, 1.0))


@pytest.mark.parametrize("seed", range(5))
def test_a_look_has_whole_clusters(seed: int) -> None:
    given = [*"aaaaaaabbbbbbbbbbbbbbcdd", None, None, *"abc"]
    _, rows = _in_random_order(None, identities(given), 3, seed)
    assert rows.ids != _in_random_order(None, identities(given), 3, seed + 1)[1].ids
    ends = ends_of(rows, 3)
    assert [fraction for _, fraction in ends] == [2 / 6, 4 / 6, 1.0]
    for end, _ in ends:
        assert not set(rows.clusters[:end]) & set(rows.clusters[end:]) - {None}


def identities(clusters: list[str | None]) -> Rows:
    names = [str(number) for number in range(len(clusters))]
    return Rows(names, names, [None] * len(names), clusters, [None] * len(names))


def look(looks: Looks, fraction: float, *counts: tuple[int, int], rows: int = 200) -> list[Comparison]:
    """The comparisons at the next look: of each candidate that gains and loses that many of the rows."""
    looks.fractions.append(fraction)
    base = np.repeat([0.0, 1.0], rows // 2)
    values = {"base": base}
    for number, (gained, lost) in enumerate(counts):
        values[str(number)] = base + np.where(
            np.arange(rows) < gained, 1, np.where(np.arange(rows) >= rows - lost, -1, 0)
        )
    pairs = {name: np.stack([each, np.ones(rows)], axis=1) for name, each in values.items()}
    claims = [Claim("s", "base", name) for name in list(values)[1:]]
    return list(
        compared(claims, [Column("s", "score", range(rows), pairs, {}, {}, None)], Settings(0.95, 0), looks).values()
    )


def test_looks_end_once_every_comparison_is_decided() -> None:
    verdicts = ("better", "worse", "not worse", "not enough evidence", "too few rows", "too few clusters")
    made = {Claim("s", "base", each): Comparison("s", 9, 0, 1, None, "", 0, verdict=each) for each in verdicts}
    for claim, found in made.items():
        assert is_decided({claim: found}) is (claim.candidate in verdicts[:3])
    assert not is_decided(made)


LOOKS = [(0.2, 21, 4.8769), (0.4, 12, 3.3569), (0.6, 9, 2.6803), (0.8, 7, 2.2898), (1.0, 6, 2.0310)]
"""Share of the rows; the least rows gained, of none lost, with 2·0.5^gained below the level; published boundary."""


@pytest.mark.parametrize(("share", "least", "boundary"), LOOKS)
def test_a_look_needs_the_evidence_of_its_boundary(share: float, least: int, boundary: float) -> None:
    for gained, is_enough in ((least - 1, False), (least, True)):
        looks = Looks([each for each, _, _ in LOOKS if each < share])  # the score appears at this look
        (found,) = look(looks, share, (gained, 0))
        assert (found.p_corrected <= 0.05) is is_enough
        up, down, n = (gained + 1) / 202, 1 / 202, 202
        half = boundary * ((up + down - (up - down) ** 2) / n) ** 0.5
        assert found.interval is not None
        assert (found.interval.high - found.interval.low) / 2 == pytest.approx(half, abs=1e-4)


def test_what_a_look_has_shown_of_one_candidate_stays_shown_of_it_alone() -> None:
    looks = Looks()
    first, other = look(looks, 0.4, (20, 0), (3, 0))
    later = look(looks, 0.8, (20, 18), (3, 2))
    assert [each.p_corrected for each in later] == pytest.approx([first.p_corrected, other.p_corrected])
    assert (first.p_corrected <= 0.05, other.p_corrected <= 0.05) == (True, False)
