"""Groups of what pairs connect."""

import numpy as np
from numpy.typing import NDArray


def components(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least number of each connected component, for each of `count` numbers [count].

    Labels fall along the pairs and are shortened (Shiloach and Vishkin 1982), a few rounds over arrays.
    """
    labels = np.arange(count)
    one, other = pairs[:, 0], pairs[:, 1]
    while one.size:
        low = np.minimum(labels[one], labels[other])
        np.minimum.at(labels, labels[one], low)
        np.minimum.at(labels, labels[other], low)
        while (shorter := labels[labels]).tobytes() != labels.tobytes():
            labels = shorter
        differ = labels[one] != labels[other]
        one, other = one[differ], other[differ]
    return labels
