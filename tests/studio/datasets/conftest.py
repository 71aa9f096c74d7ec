"""The processes that view rows end with each file of tests."""

import pytest

from burnish.studio.datasets.reading import _VIEWING


@pytest.fixture(scope="module", autouse=True)
def _children_end():
    yield
    _VIEWING.close()
