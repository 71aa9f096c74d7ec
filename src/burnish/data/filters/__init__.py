"""Filters: each is called with a row and returns "" (keep it) or the reason to drop it, which is also the statistic."""

from collections.abc import Callable

from burnish.data.document import Row

Filter = Callable[[Row], str]
