"""The index is made anew from the folders: nothing of the database is needed, and nothing wrong in it stays."""

import shutil
import sqlite3

import pytest

import burnish
from burnish.core.errors import AskError, MachineError
from burnish.studio.listing import snapshots
from burnish.studio.queueing.reindexing import reindex_runs


@pytest.fixture
def runs(written):
    for number in range(1, 6):
        written.step(f"r/{number}/make", created=float(number), measures={"n": number})
        written.plan(f"r/{number}", {"make": f"r/{number}/make"})
    written.file("r/2/make/run.json", "{")
    written.file("r/3/plan.json", "")
    return written


def statement(database, text, *values):
    connection = sqlite3.connect(database)
    try:
        with connection:
            return connection.execute(text, values).fetchall()
    finally:
        connection.close()


def test_a_database_is_made_and_damaged_records_are_named(runs, records_read):
    found = reindex_runs(workspace=runs.place.root)
    assert (found.runs, found.steps, found.database) == (5, 5, str(runs.place.database))
    assert [(one.subject, one.what.partition(" is ")[2]) for one in found.damaged] == [
        ("r/3", "empty"),
        ("r/2/make", "not valid JSON (line 1, column 2: Expecting property name enclosed in double quotes)"),
    ]
    known = statement(runs.place.database, "SELECT run, measures FROM indexed_steps ORDER BY run")
    assert known == [(f"r/{number}/make", f'{{"n": {number}}}') for number in (1, 3, 4, 5)]
    before = len(records_read)
    assert len(burnish.runs(workspace=runs.place.root)) == 5
    assert records_read[before:] == ["r/2/make"]


def test_what_is_wrong_in_the_database_is_replaced(runs, database):
    reindex_runs(workspace=runs.place.root)
    statement(database, "UPDATE indexed_steps SET state = 'failed', reason = 'somebody wrote this'")
    statement(database, "UPDATE indexed_runs SET run = 'x/1' WHERE run = 'r/1'")
    shutil.rmtree(runs.place.runs / "r/4/make")
    reindex_runs(workspace=runs.place.root)
    snapshots.forget()
    assert {row["state"] for row in burnish.runs(workspace=runs.place.root)} == {"succeeded", "damaged"}
    assert statement(database, "SELECT run FROM indexed_runs ORDER BY run") == [("r/1",), ("r/2",), ("r/4",), ("r/5",)]


def test_what_cannot_be_done_is_named(runs, tmp_path):
    with pytest.raises(AskError) as caught:
        reindex_runs(workspace=tmp_path / "none")
    assert caught.value.code == "ask.no-such-run"
    runs.place.database.parent.mkdir(exist_ok=True)
    runs.place.database.write_bytes(b"no database")
    with pytest.raises(MachineError, match="is damaged") as caught:
        reindex_runs(workspace=runs.place.root)
    assert caught.value.code == "machine.no-database"
