"""The columns of rows: how often each is there, its types, how many distinct values it has, and the frequent ones."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

_COLUMNS, _VALUES, _CHARACTERS = 500, 50, 80
_KEPT = 4096
_TYPES = {bool: "true/false", int: "integer", float: "number", str: "text", list: "list", dict: "object"}


class Distinct:
    """How many different 64-bit hashes were added: exact up to 8,192 of them, else estimated to about 2 %.

    Of more the least 4,096 are kept; what they span says how many there are (Bar-Yossef et al. 2002).
    """

    def __init__(self) -> None:
        self._kept: set[int] = set()
        self._limit = 1 << 64
        self.is_exact = True

    def add(self, hashed: int) -> None:
        if hashed >= self._limit:
            return
        self._kept.add(hashed)
        if len(self._kept) > 2 * _KEPT:
            self._kept = set(sorted(self._kept)[:_KEPT])
            self._limit, self.is_exact = max(self._kept), False

    def __len__(self) -> int:
        if self.is_exact:
            return len(self._kept)
        least = sorted(self._kept)[:_KEPT]
        return round((_KEPT - 1) * 2**64 / least[-1])


class Column:
    """One column. `values` counts short values while there are few different ones; None from then on."""

    def __init__(self) -> None:
        self.rows = self.nulls = self.empty = 0
        self.types: Counter[str] = Counter()
        self.distinct = Distinct()
        self.values: Counter[str] | None = Counter()

    def add(self, value: Any) -> None:
        self.rows += 1
        if value is None:
            self.nulls += 1
            return
        self.types[_TYPES.get(type(value), "other")] += 1
        self.empty += isinstance(value, str | list | dict) and (
            not value or (isinstance(value, str) and not value.strip())
        )
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
        kind = type(value).__name__[0]  # "1" is not 1
        encoded = f"{kind}{text}".encode("utf-8", "surrogatepass")
        self.distinct.add(int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "big"))
        if self.values is not None:
            if len(text) <= _CHARACTERS and (text in self.values or len(self.values) < _VALUES):
                self.values[text] += 1
            else:
                self.values = None

    def as_dict(self, rows: int) -> dict[str, Any]:
        result: dict[str, Any] = {
            "rows": self.rows,
            "missing": rows - self.rows,
            "null": self.nulls,
            "empty": self.empty,
            "types": dict(self.types.most_common()),
            "distinct": len(self.distinct),
            "distinct_is_exact": self.distinct.is_exact,
        }
        if self.values:
            result["values"] = dict(self.values.most_common())
        return result


class Schema:
    """The columns of all rows, at most 500; the names of further ones are not kept, and counted in `more`."""

    def __init__(self) -> None:
        self.rows = self.more = 0
        self.columns: dict[str, Column] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        self.rows += 1
        for name, value in record.items():
            column = self.columns.get(name)
            if column is None:
                if len(self.columns) >= _COLUMNS:
                    self.more += 1
                    continue
                column = self.columns[name] = Column()
            column.add(value)

    def as_list(self) -> list[dict[str, Any]]:
        return [{"name": name, **column.as_dict(self.rows)} for name, column in self.columns.items()]
