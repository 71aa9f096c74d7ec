"""The schema: what the migrations make is what the tables say, whatever happens while they run."""

import itertools
import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select

import database_processes
from burnish.core.errors import MachineError
from burnish.jobs.database import schema
from burnish.jobs.database.database import Database
from burnish.jobs.database.engines import parse
from burnish.jobs.database.tables import metadata, origin

OLD = [None, *schema.known_versions()]
"""Each version that a database may have, before the one of the test."""


def version_of(database):
    with database.reading() as connection:
        return schema.version_of(connection)


def filled(url, version):
    """A database of a version, with a row."""
    if version is None:
        return
    database = Database(parse(url))
    with database.writing() as connection:
        connection.execute(insert(origin).values(workspace="mine"))
    assert version_of(database) == version
    database.close()


def kept(database):
    with database.reading() as connection:
        return list(connection.execute(select(origin.c.workspace)).scalars())


def is_compared(_, name, *__):
    return name != "jobs_in_order"  # SQLite does not say that one of its columns descends


def test_the_migrations_make_what_the_tables_say(empty):
    database = Database(parse(empty))
    with database.reading() as connection:
        options = {"version_table": schema.VERSION_TABLE, "include_object": is_compared}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    database.close()


def test_the_name_of_a_migration_is_its_version_and_they_are_one_chain():
    script = ScriptDirectory(str(schema._FOLDER))
    chain = [revision.revision for revision in script.walk_revisions()]
    assert chain[::-1] == schema.known_versions()


@pytest.mark.parametrize("old", OLD)
def test_every_older_database_opens_after_a_kill_at_each_statement_of_its_upgrade(empty, at, in_process, old):
    if old:
        at(old)
    filled(empty, old)
    new = at("9999")
    for statements in itertools.count(step=1 if old else 7):  # of one that is made, nothing was there before
        process = in_process(database_processes.open_and_die, empty, new, statements)
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -9
        if old and statements % 3 == 0:  # what an old burnish would find
            at(old)
            database = Database(parse(empty))
            assert (version_of(database), kept(database)) == (old, ["mine"])
            database.close()
    assert statements > 4
    at("9999")
    database = Database(parse(empty))
    assert version_of(database) == "9999"
    assert kept(database) == (["mine"] if old else [])
    if old and database.path:
        backup = sqlite3.connect(f"{database.path}.{old}.backup")
        assert backup.execute("SELECT * FROM origin").fetchall() == [("mine",)]
        assert backup.execute(f"SELECT * FROM {schema.VERSION_TABLE}").fetchall() == [(old,)]
        backup.close()
    database.close()


@pytest.mark.parametrize("old", [None, schema.known_versions()[-1]])
def test_processes_that_open_a_database_at_once_upgrade_it_once(empty, at, in_process, old):
    if old:
        at(old)
    filled(empty, old)
    new = at("9999")
    told, results = database_processes.CONTEXT.Event(), database_processes.CONTEXT.Queue()
    processes = [in_process(database_processes.open_when_told, empty, new, told, results) for _ in range(6)]
    told.set()
    assert [results.get(timeout=60) for _ in processes] == ["9999"] * 6
    for process in processes:
        process.join(60)


def test_a_database_of_a_newer_burnish_is_refused_by_name(empty, at):
    at("9999")
    Database(parse(empty)).close()
    at(schema.known_versions()[-2])
    with pytest.raises(MachineError, match="has schema 9999, and this burnish knows 0001 to") as error:
        Database(parse(empty))
    assert error.value.code == "machine.no-database"
    assert "upgrade" in error.value.fix


def test_a_database_that_is_current_is_not_copied(workspace):
    for _ in range(2):
        Database.of(workspace).close()
    assert not list(workspace.database.parent.glob("*.backup"))
