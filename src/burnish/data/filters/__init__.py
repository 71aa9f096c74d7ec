"""Filters: each is called with a row and gives nothing (keep it) or the reason to drop it, which is the statistic."""

from collections.abc import Callable

from burnish.data.document import Row

Filter = Callable[[Row], str]
