"""Reads a row ledger back: the losses of each row, from `rows.parquet` or, before a run has ended, `visits.bin`."""

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from burnish.core.errors import RunError
from burnish.train.reporting.ledger import LedgerType, as_table

_REQUIRED = ("id", "step", "loss")


class Visits:
    """The visits of every row, grouped by row. A row that was rendered as several pieces is `ID#1`, `ID#2`, ….

    Rows are numbered in the order of their first visit.
    """

    def __init__(self, table: pa.Table):
        self._table = table
        encoded = table["id"].combine_chunks().dictionary_encode()
        self._ids, rows = encoded.dictionary, encoded.indices.to_numpy()
        counts = np.bincount(rows, minlength=len(self._ids))
        self._row_of = rows
        self._order = np.argsort(rows, kind="stable")
        self._ends = np.cumsum(counts)
        self._counts = counts

    @classmethod
    def read(cls, path: Path) -> "Visits":
        """Of `rows.parquet`, with every column of numbers, or of `visits.bin` and the `rows.json` beside it.

        Errors: RunError `run.failed` when one of them cannot be read.
        """
        try:
            return cls(_read_parquet(path) if path.suffix == ".parquet" else _read_unfinished(path))
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            fix = "run the command again if the run has just ended; otherwise restore the file, or run the step again"
            raise RunError("run.failed", f"the row ledger {path} cannot be read: {error}", fix) from error

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def count(self) -> int:
        """The number of visits."""
        return self._table.num_rows

    @property
    def last_step(self) -> int:
        """The last step with a visit; 0 without visits."""
        return int(self._table["step"].to_numpy().max(initial=0))

    @property
    def once(self) -> int:
        """The number of rows with a single visit."""
        return int(np.count_nonzero(self._counts == 1))

    @property
    def columns(self) -> list[str]:
        """The columns of a visit: epoch, step, loss, learned_tokens, and those of the objective."""
        return [name for name in self._table.column_names if name != "id"]

    def ranked(self, measure: str, *, highest: bool, most: int) -> list[int]:
        """The rows with the highest or lowest `last`, `mean` or `rise` (last − first) of their losses.

        Rows that were visited once have no rise, and are left out. A loss that is not a number counts as the highest.
        """
        values = _MEASURES[measure](self)
        rows = np.flatnonzero(self._counts > 1) if measure == "rise" else np.arange(len(self))
        values = np.nan_to_num(values[rows], nan=np.inf, posinf=np.inf)
        return rows[np.argsort(-values if highest else values, kind="stable")][:most].tolist()

    def visited_at(self, step: int, *, highest: bool, most: int) -> list[int]:
        """The rows that a step visited, by their loss at that visit. One that is not a number counts as the highest."""
        places = np.flatnonzero(self._table["step"].to_numpy() == step)
        values = self._table["loss"].to_numpy().astype(np.float64)[places]
        values = np.nan_to_num(values, nan=np.inf, posinf=np.inf)
        order = places[np.argsort(-values if highest else values, kind="stable")]
        return list(dict.fromkeys(self._row_of[order].tolist()))[:most]

    def named(self, name: str) -> list[int]:
        """The rows with an id, or the visited pieces of a row; empty if there is none."""
        return self._rows.get(name, [])

    def of(self, row: int) -> dict[str, Any]:
        """`id`, `visits` (a dict of all columns each, in their order), `first`, `last`, `mean` and `rise`."""
        places = self._order[self._ends[row] - self._counts[row] : self._ends[row]]
        visits = self._table.drop_columns(["id"]).take(places).to_pylist()
        entry: dict[str, Any] = {"id": self._ids[row].as_py(), "visits": visits, "first": float(self._first[row])}
        entry |= {name: float(values(self)[row]) for name, values in _MEASURES.items()}
        return entry | ({"rise": None} if len(visits) == 1 else {})

    @cached_property
    def _rows(self) -> Mapping[str, list[int]]:
        """The rows of each id, and of each row with pieces."""
        found: dict[str, list[int]] = {}
        for row, known in enumerate(self._ids.to_pylist()):
            for name in dict.fromkeys((known, known.partition("#")[0])):
                found.setdefault(name, []).append(row)
        return found

    @cached_property
    def _losses(self) -> NDArray[np.float64]:
        """The losses in the order of rows [visits]."""
        return self._table["loss"].to_numpy().astype(np.float64)[self._order]

    @cached_property
    def _first(self) -> NDArray[np.float64]:
        return self._losses[self._ends - self._counts]

    @cached_property
    def _last(self) -> NDArray[np.float64]:
        return self._losses[self._ends - 1]

    @cached_property
    def _rise(self) -> NDArray[np.float64]:
        return self._last - self._first

    @cached_property
    def _mean(self) -> NDArray[np.float64]:
        return np.add.reduceat(self._losses, self._ends - self._counts) / self._counts if len(self) else self._losses


_MEASURES: Mapping[str, Callable[[Visits], NDArray[np.float64]]] = {
    "last": lambda visits: visits._last,
    "mean": lambda visits: visits._mean,
    "rise": lambda visits: visits._rise,
}
"""Measures of a row's losses, [rows]."""


def _read_parquet(path: Path) -> pa.Table:
    schema = pq.read_schema(path)
    missing = [name for name in _REQUIRED if name not in schema.names]
    if missing:
        raise ValueError(f"it has no column {' or '.join(missing)}")
    return pq.read_table(path, columns=["id", *(field.name for field in schema if _is_number(field.type))])


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _read_unfinished(path: Path) -> pa.Table:
    named = json.loads(path.with_name("rows.json").read_bytes())
    records = LedgerType(tuple(named["values"])).read(path, path.stat().st_size)  # the last may be half written
    return as_table(records, named["ids"])
