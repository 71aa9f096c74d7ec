"""Reductions over pieces, empty ones included, are those of Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.texts.segments import maxima, sums


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 255), max_size=4), max_size=6))
def test_each_piece_is_reduced_alone(pieces):
    values = np.array([value for piece in pieces for value in piece], np.uint8)
    bounds = np.cumsum([0, *map(len, pieces)])
    assert sums(values, bounds).tolist() == [sum(piece) for piece in pieces]
    assert maxima(values, bounds, 7).tolist() == [max(piece, default=7) for piece in pieces]
