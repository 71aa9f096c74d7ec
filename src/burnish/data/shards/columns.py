"""Which Arrow type holds the values of each column exactly, found from all rows; and rows as columns and back.

A column whose values fit a type is a typed Arrow column. Any other is JSON text, which its field's metadata says, so
that the rows that are read are the rows that were written (only the order of a row's keys becomes that of the columns).
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from burnish.core.errors import DataError
from burnish.data.record import RowError
from burnish.data.strict_json import decoded

MOST_COLUMNS = 2_000
"""Of Parquet, fields of objects included: each column of each shard needs memory of its own."""
_MOST_FIELDS = 100
"""Of an object that is a typed column; one of more keys is JSON text."""
MARK = b"burnish"
"""The metadata of a field: words of how its values are read."""
JSON, ABSENT, WHOLE = "json", "absent", "whole"
"""Values are JSON text; a null means that the row lacks the key; whole numbers are integers."""
_INT64, _EXACT = 2**63, 2**53


@dataclass
class Values:
    """What the values of a column, or of the items of its lists, have in common."""

    kinds: set[str] = field(default_factory=set)
    """Of `bool`, `int`, `float`, `text`, `list`, `object`; nulls are counted apart."""
    has_null: bool = False
    is_wide: bool = False
    """An integer needs more than 64 bits."""
    is_inexact: bool = False
    """An integer is larger than all that a float holds exactly."""
    has_whole_float: bool = False
    """A float is a whole number, such as 1.0, which among integers would be read as one."""
    items: "Values | None" = None
    """Of the lists' items."""
    keys: tuple[str, ...] | None = None
    """The keys of the objects, if all have the same in the same order; () if they differ, or are too many."""
    fields: dict[str, "Values"] = field(default_factory=dict)

    def observe(self, value: Any, name: str, depth: int = 0) -> None:
        """Take one value in: of a column (depth 0), of the items of its lists (1), or of the fields of either (2).

        What is nested otherwise is JSON text, and not looked into. RowError for a value that JSON lacks.
        """
        kind = type(value)
        if kind is str:
            self.kinds.add("text")
        elif value is None:
            self.has_null = True
        elif kind is bool:
            self.kinds.add("bool")
        elif kind is int:
            self.kinds.add("int")
            if not -_EXACT <= value <= _EXACT:
                self.is_inexact = True
                self.is_wide = self.is_wide or not -_INT64 <= value < _INT64
        elif kind is float:
            if not math.isfinite(value):
                raise RowError(name, f"{value} is not a JSON number")
            self.kinds.add("float")
            self.has_whole_float = self.has_whole_float or value.is_integer()
        elif kind is list:
            self.kinds.add("list")
            if depth == 0:
                self._observe_items(value, name)
        elif kind is dict:
            self.kinds.add("object")
            if depth < 2:
                self._observe_fields(value, name)
        else:
            raise RowError(name, f"{kind.__name__} is no JSON type")

    def observe_all(self, column: Sequence[Any], name: str) -> None:
        """Take values of a column in: of texts and nulls one of each kind says all, of integers the extremes do."""
        kinds = set(map(type, column))
        if kinds <= {str, type(None)}:
            column = [kind() for kind in kinds]
        elif kinds == {int}:
            column = [min(column), max(column)]
        for value in column:
            self.observe(value, name)

    def _observe_items(self, value: list[Any], name: str) -> None:
        items = self.items = self.items or Values()
        for item in value:
            items.observe(item, name, 1)

    def _observe_fields(self, value: dict[str, Any], name: str) -> None:
        keys = tuple(value) if len(value) <= _MOST_FIELDS else ()
        self.keys = keys if self.keys is None or self.keys == keys else ()
        for key in self.keys:
            self.fields.setdefault(key, Values()).observe(value[key], name, 2)

    def merge(self, other: "Values") -> None:
        """Take in what another summary has seen."""
        self.kinds |= other.kinds
        self.has_null |= other.has_null
        self.is_wide |= other.is_wide
        self.is_inexact |= other.is_inexact
        self.has_whole_float |= other.has_whole_float
        if other.items is not None:
            self.items = self.items or Values()
            self.items.merge(other.items)
        if other.keys is None:
            return
        self.keys = other.keys if self.keys is None or self.keys == other.keys else ()
        for key in self.keys:
            self.fields.setdefault(key, Values()).merge(other.fields[key])

    def scalar(self, *, mixed: bool = True) -> pa.DataType | None:
        """The Arrow type of scalars that holds every value exactly, if there is one; `mixed` numbers need WHOLE."""
        if not self.kinds or self.kinds == {"text"}:
            return pa.string()
        if self.kinds == {"bool"}:
            return pa.bool_()
        if self.kinds == {"int"} and not self.is_wide:
            return pa.int64()
        if self.kinds == {"float"} or (mixed and self.is_mixed):
            return pa.float64()
        return None

    @property
    def is_mixed(self) -> bool:
        """Integers beside floats, each of which a float holds, and none is read as the other kind."""
        return self.kinds == {"int", "float"} and not (self.is_inexact or self.has_whole_float)

    def arrow(self) -> pa.DataType | None:
        """The Arrow type that holds every value exactly, if there is one."""
        if self.kinds != {"list"} or self.items is None:
            return self._struct() if self.kinds == {"object"} else self.scalar()
        inner = self.items._struct() if self.items.kinds == {"object"} else self.items.scalar()
        return None if inner is None else pa.list_(inner)

    def _struct(self) -> pa.DataType | None:
        """The type of objects that have the same keys with scalars of one type each."""
        fields = {key: self.fields[key].scalar(mixed=False) for key in self.keys or ()}
        return None if not fields or None in fields.values() else pa.struct(list(fields.items()))


class Columns:
    """The columns of rows and what their values have in common. Summaries of parts of the rows can be merged."""

    def __init__(self) -> None:
        self.rows = 0
        self.values: dict[str, Values] = {}
        self._present: dict[str, int] = {}

    def observe(self, row: Mapping[str, Any]) -> None:
        """Take one row in. RowError for a value that JSON lacks."""
        self.rows += 1
        for name, value in row.items():
            self._seen(name, 1).observe(value, name)

    def observe_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take rows in, column by column where they have the same keys. Errors: those of `observe`."""
        if len(set(map(tuple, rows))) != 1:
            for row in rows:
                self.observe(row)
            return
        self.rows += len(rows)
        for name in rows[0]:
            self._seen(name, len(rows)).observe_all([row[name] for row in rows], name)

    def _seen(self, name: str, rows: int) -> Values:
        """The values of a column that so many more rows have."""
        values = self.values.get(name)
        if values is None:
            values = self.values[name] = Values()
            self._present[name] = 0
        self._present[name] += rows
        return values

    def merge(self, other: "Columns") -> None:
        """Take in what another summary has seen of other rows."""
        self.rows += other.rows
        for name, values in other.values.items():
            self.values.setdefault(name, Values()).merge(values)
            self._present[name] = self._present.get(name, 0) + other._present[name]

    def is_absent_in_some(self, name: str) -> bool:
        """Whether a row lacks the key."""
        return self._present[name] < self.rows

    def words(self, name: str) -> list[str]:
        """How the column is written: of JSON, ABSENT and WHOLE."""
        values, words = self.values[name], []
        kind = values.arrow()
        is_absent = self.is_absent_in_some(name)
        if kind is None or (pa.types.is_nested(kind) and self._has_many_leaves) or (is_absent and values.has_null):
            words.append(JSON)
        elif values.is_mixed or (values.items is not None and values.items.is_mixed):
            words.append(WHOLE)
        return [*words, ABSENT] if is_absent else words

    @property
    def _has_many_leaves(self) -> bool:
        """Whether the fields of all objects would be too many columns."""
        objects = (of for values in self.values.values() for of in (values, values.items) if of is not None)
        return len(self.values) + sum(len(of.keys or ()) for of in objects) > MOST_COLUMNS

    def as_dict(self) -> dict[str, str]:
        """The type of each column, as a manifest says it: `int64`, `list<item: string>`, `json`."""
        kinds = {
            name: JSON if JSON in self.words(name) else str(values.arrow()) for name, values in self.values.items()
        }
        return {
            name: f"{kind}, absent in some rows" if self.is_absent_in_some(name) else kind
            for name, kind in kinds.items()
        }

    def schema(self) -> pa.Schema:
        """The Arrow schema of all shards. DataError `data.unreadable` for more columns than Parquet can hold well."""
        if len(self.values) > MOST_COLUMNS:
            what = f"the rows have {len(self.values):,} different columns, and Parquet holds {MOST_COLUMNS:,} at most"
            raise DataError("data.unreadable", what, "write them with `form: jsonl`")
        fields: list[pa.Field] = []
        for name, values in self.values.items():
            words = self.words(name)
            kind = pa.string() if JSON in words else values.arrow()
            fields.append(pa.field(name, kind, metadata={MARK: " ".join(words).encode()} if words else None))
        return pa.schema(fields)


def as_table(rows: list[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table of this schema, which is that of a summary of all rows."""
    arrays = [pa.array(_cells(rows, column), type=column.type) for column in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _cells(rows: Iterable[Mapping[str, Any]], column: pa.Field) -> list[Any]:
    words = words_of(column)
    name = column.name
    if JSON not in words:
        return [row.get(name) for row in rows]
    null = _encoded(None) if ABSENT in words else None
    return [
        (null if (value := row[name]) is None else _encoded(value)) if name in row else None  # a null is a value
        for row in rows
    ]


def _encoded(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def words_of(column: pa.Field) -> list[str]:
    """How a column that was written here is read; none of other files."""
    return (column.metadata or {}).get(MARK, b"").decode("ascii", "replace").split()


def restored(row: dict[str, Any], marked: Mapping[str, list[str]]) -> dict[str, Any]:
    """The row as it was before it was written; `marked` has the words of the columns that have some.

    Errors: RowError for text that is not JSON.
    """
    for name, words in marked.items():
        value = row[name]
        if value is None:
            if ABSENT in words:
                del row[name]
        elif JSON in words:
            row[name] = decoded(value, name)
        elif WHOLE in words:
            row[name] = [_whole(item) for item in value] if isinstance(value, list) else _whole(value)
    return row


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value.is_integer() else value
