"""Filters of rows, and of blocks of texts: whatever drops something gives the reason, which is also the statistic."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from burnish.data.document import Row
from burnish.data.texts.block import Block

Filter = Callable[[Row], str]
"""Called with a row; "" keeps it, anything else is the reason to drop it."""
BlockFilter = Callable[[Block], Mapping[str, NDArray[np.bool_]]]
"""Called with a block; for each reason, which of its texts are dropped [texts]."""
