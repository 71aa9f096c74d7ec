"""Load and save what is known of runs. Several processes may save at once: an entry is true whoever wrote it."""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, fields
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from burnish.jobs.database.database import Database
from burnish.jobs.database.tables import indexed_runs, indexed_steps
from burnish.jobs.index.entry import PlannedEntry, RunEntry, StepEntry, is_storable

T = TypeVar("T")
_AT_ONCE = 500
"""Rows of one statement."""


class Index:
    """The index in a database. Each verb raises the errors of `Database.writing`."""

    def __init__(self, database: Database):
        self._database = database

    def steps(self) -> dict[str, StepEntry]:
        """What is known of step folders, by name."""
        with self._database.reading() as connection:
            return {row[0]: StepEntry(*row) for row in connection.execute(_in_order(indexed_steps, StepEntry))}

    def runs(self) -> dict[str, RunEntry]:
        """What is known of runs, by name."""
        with self._database.reading() as connection:
            return {row[0]: _run_entry(*row) for row in connection.execute(_in_order(indexed_runs, RunEntry))}

    def save(self, entries: Collection[StepEntry | RunEntry], gone: Collection[str] = ()) -> None:
        """Store entries in place of those with the same names, and remove what is `gone`: names of steps and runs.

        An entry that no database can hold is removed: it is read from its folder each time.
        """
        stored = [entry for entry in entries if is_storable(entry)]
        kept = {entry.run for entry in stored}
        removed = [*gone, *(entry.run for entry in entries if entry.run not in kept)]
        with self._database.writing() as connection:
            _remove(connection, removed)
            _store(connection, indexed_steps, [asdict(entry) for entry in stored if isinstance(entry, StepEntry)])
            _store(connection, indexed_runs, [_run_row(entry) for entry in stored if isinstance(entry, RunEntry)])

    def replace(self, entries: Collection[StepEntry | RunEntry]) -> None:
        """Store these entries and no others."""
        with self._database.writing() as connection:
            connection.execute(delete(indexed_steps))
            connection.execute(delete(indexed_runs))
            stored = [entry for entry in entries if is_storable(entry)]
            _store(connection, indexed_steps, [asdict(entry) for entry in stored if isinstance(entry, StepEntry)])
            _store(connection, indexed_runs, [_run_row(entry) for entry in stored if isinstance(entry, RunEntry)])


def _in_order(table: Table, entry: type[StepEntry | RunEntry]) -> Executable:
    columns: list[Any] = [table.c[field.name] for field in fields(entry)]
    return select(*columns)


def _remove(connection: Connection, names: Iterable[str]) -> None:
    for part in _parts(sorted(names)):
        for table in (indexed_steps, indexed_runs):
            connection.execute(delete(table).where(table.c.run.in_(part)))


def _store(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Two processes store in the same order, and never wait for each other in a circle."""
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    statement = insert.on_conflict_do_update(
        index_elements=[table.c.run],
        set_={column.name: insert.excluded[column.name] for column in table.c if column.name != "run"},
    )
    for part in _parts(sorted(rows, key=lambda row: row["run"])):
        connection.execute(statement, part)


def _parts(values: list[T]) -> Iterable[list[T]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


def _run_row(entry: RunEntry) -> dict[str, Any]:
    return {**asdict(entry), "steps": json.dumps([asdict(step) for step in entry.steps])}


def _run_entry(run: str, recipe: str, number: int, created: float, steps: str, *more: str) -> RunEntry:
    return RunEntry(run, recipe, number, created, tuple(PlannedEntry(**step) for step in json.loads(steps)), *more)
