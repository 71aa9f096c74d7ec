"""Looks end at whole rows or clusters, and each has new ones."""

import pytest

from burnish.evals.comparison.table import Rows
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
    ends = ends_of(rows, 3)
    assert [fraction for _, fraction in ends] == [2 / 6, 4 / 6, 1.0]
    for end, _ in ends:
        assert not set(rows.clusters[:end]) & set(rows.clusters[end:]) - {None}


def identities(clusters: list[str | None]) -> Rows:
    names = [str(number) for number in range(len(clusters))]
    return Rows(names, names, [None] * len(names), clusters, [None] * len(names))
