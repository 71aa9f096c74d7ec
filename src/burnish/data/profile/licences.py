"""Licences that rows name themselves, in a column `license` or `licence`, also one level below."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

_NAMES = {"license", "licence", "licenses", "licences", "license_name", "license_type", "spdx"}
_MOST, _CHARACTERS = 100, 120


class Licences:
    """Rows by licence; "" counts those that name none."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()

    def add(self, record: Mapping[str, Any]) -> None:
        found = _named(record) or next((name for value in record.values() if (name := _named(value))), "")
        self.rows[found if found in self.rows or len(self.rows) < _MOST else "others"] += 1


def _named(record: Any) -> str:
    if not isinstance(record, Mapping):
        return ""
    for name, value in record.items():
        if isinstance(name, str) and name.rpartition(".")[2].lower() in _NAMES and value:
            values = value if isinstance(value, list) else [value]
            return ", ".join(str(one) for one in values)[:_CHARACTERS]
    return ""
