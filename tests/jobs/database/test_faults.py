"""A database that is locked, damaged, read-only, gone or another's is an error with a fix, and loses nothing."""

import os
import shutil
import subprocess
import threading

import pytest
from sqlalchemy import insert, select, text

from burnish.core.errors import AskError, MachineError
from burnish.core.runs.workspace import Workspace
from burnish.jobs.database.database import Database
from burnish.jobs.database.engines import parse
from burnish.jobs.database.tables import origin


def failure(act):
    with pytest.raises(MachineError) as error:
        act()
    return error.value


def write(database, value="mine"):
    with database.writing() as connection:
        connection.execute(insert(origin).values(workspace=value))


def written(database):
    with database.reading() as connection:
        return list(connection.execute(select(origin.c.workspace)).scalars())


@pytest.fixture
def database(url):
    database = Database(parse(url), busy_seconds=0.2)
    yield database
    database.close()


def test_a_database_that_others_lock_for_long_is_busy_and_can_be_read(database, url):
    lock = {"sqlite": "SELECT 1", "postgresql": "LOCK TABLE origin IN SHARE MODE"}[url.partition(":")[0]]
    other = Database(parse(url))
    with other.writing() as connection:
        connection.execute(text(lock))
        error = failure(lambda: write(database))
        assert error.code == "machine.database-busy"
        assert database.place in error.what
        assert written(database) == []
    write(database)
    assert written(database) == ["mine"]
    other.close()


def test_a_change_waits_for_one_that_ends_in_time(url, until):
    one, other = Database(parse(url)), Database(parse(url))
    with one.writing() as connection:
        connection.execute(insert(origin).values(workspace="first"))
        second = threading.Thread(target=write, args=(other, "second"))
        second.start()
    second.join(30)
    assert written(one) == ["first", "second"]
    one.close()
    other.close()


def test_an_error_rolls_the_whole_change_back(database):
    def fail():
        with database.writing() as connection:
            connection.execute(insert(origin).values(workspace="mine"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert written(database) == []


def test_a_reader_sees_one_state_while_others_write(database):
    with database.reading() as connection:
        assert connection.execute(select(origin)).all() == []
        write(database)
        assert connection.execute(select(origin)).all() == []
    assert written(database) == ["mine"]


@pytest.mark.parametrize("place", [0, 16, 44, 100, 4096])
def test_a_damaged_file_is_named_with_the_way_to_make_it_anew(workspace, place):
    path = workspace.database
    Database.of(workspace).close()
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * (64 if place < 4096 else path.stat().st_size - place))

    def use():
        database = Database.of(workspace)
        try:
            write(database)
            written(database)
        finally:
            database.close()

    error = failure(use)
    assert error.code == "machine.no-database"
    assert str(path) in error.what
    assert "damaged" in error.what
    assert "burnish runs reindex" in error.fix
    shutil.rmtree(path.parent)
    use()


def test_a_file_of_another_kind_is_named(workspace):
    workspace.database.parent.mkdir()
    workspace.database.write_text("not a database\n" * 100)
    assert "damaged: " in failure(lambda: Database.of(workspace)).what


def test_a_file_that_was_cut_off_is_named(workspace):
    Database.of(workspace).close()
    with workspace.database.open("r+b") as file:
        file.truncate(8192)
    assert "is damaged" in failure(lambda: write(Database.of(workspace))).what


def test_a_file_that_was_cut_to_nothing_is_named_by_those_who_have_it_and_by_others_at_once(workspace):
    database = Database.of(workspace)
    write(database)
    with database.reading() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    with workspace.database.open("r+b") as file:
        file.truncate()
    for use in (lambda: written(database), lambda: write(database), lambda: Database.of(workspace)):
        error = failure(use)
        assert (error.code, error.what) == (
            "machine.no-database",
            f"the database {workspace.database} is damaged: it is empty (0 bytes)",
        )
        assert "burnish runs reindex" in error.fix
    database.close()


@pytest.mark.parametrize("has_database", [False, True])
def test_a_folder_that_cannot_be_written_is_named(workspace, bound_by_permissions, has_database):
    folder = workspace.database.parent
    if has_database:
        Database.of(workspace).close()
    folder.mkdir(exist_ok=True)
    folder.chmod(0o555)
    with bound_by_permissions():
        error = failure(lambda: write(Database.of(workspace)))
    folder.chmod(0o755)
    assert error.code == "machine.no-database"
    assert str(workspace.database) in error.what
    assert "permissions" in error.fix


def test_a_file_that_may_only_be_read_is_named(workspace, bound_by_permissions):
    Database.of(workspace).close()
    workspace.database.chmod(0o444)
    with bound_by_permissions():
        error = failure(lambda: write(Database.of(workspace)))
    assert (error.code, str(workspace.database) in error.what) == ("machine.no-database", True)


def test_a_file_where_the_folder_should_be_is_named(workspace):
    workspace.database.parent.write_text("x")
    assert failure(lambda: Database.of(workspace)).code == "machine.no-database"


def test_a_full_disk_is_named_and_nothing_is_half_written(workspace):
    database = Database.of(workspace)
    with database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # as SQLite reports a full disk
    with database.reading() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    error = failure(lambda: [write(database, f"{number}" * 1000) for number in range(100)])
    assert error.code == "machine.no-disk"
    assert written(database) == sorted(written(database))
    database.close()


def test_a_disk_that_is_full_to_the_last_byte_is_told_as_such(tmp_path):
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path]).returncode:
        pytest.skip("a small disk needs root")
    try:
        Database.of(Workspace(tmp_path)).close()  # the files beside it are gone, and there is no room for new ones
        (tmp_path / "ballast").write_bytes(b"\0" * shutil.disk_usage(tmp_path).free)
        assert failure(lambda: write(Database.of(Workspace(tmp_path)))).code == "machine.no-disk"
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_file_that_is_removed_or_replaced_in_use_is_an_error_and_not_written_to(workspace):
    database = Database.of(workspace)
    write(database)
    moved = workspace.root / "moved"
    workspace.database.parent.rename(moved)
    for found in ("removed while", "replaced while"):
        assert found in failure(lambda: write(database, "lost")).what
        assert database.is_replaced == (found == "replaced while")
        Database.of(workspace).close()
    database.close()
    for url, held in ((f"sqlite:///{moved}/burnish.db", ["mine"]), (f"sqlite:///{workspace.database}", [])):
        database = Database(parse(url))
        assert written(database) == held
        database.close()


@pytest.mark.parametrize("url", ["mysql://host/jobs", "sqlite://", "sqlite:///:memory:", "no address", "host"])
def test_an_address_of_another_kind_is_refused(workspace, url):
    with pytest.raises(AskError) as error:
        Database.of(workspace, url)
    assert error.value.code == "ask.wrong-value"
    assert "postgresql://" in error.value.fix


def test_the_address_comes_from_the_environment_and_the_argument_goes_before(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("BURNISH_DATABASE", f"sqlite:///{tmp_path}/a.db")
    for url, place in ((None, "a.db"), (f"sqlite:///{tmp_path}/b.db", "b.db")):
        database = Database.of(workspace, url)
        assert database.place == str(tmp_path / place)
        database.close()
    monkeypatch.delenv("BURNISH_DATABASE")
    database = Database.of(workspace)
    assert database.path == workspace.root / ".burnish" / "burnish.db"
    database.close()


def test_a_server_that_does_not_answer_is_named_without_the_password(workspace, tmp_path):
    url = f"postgresql://me:canary@/jobs?host={tmp_path}&password=canary"
    error = failure(lambda: Database.of(workspace, url))
    assert error.code == "machine.no-database"
    assert str(tmp_path) in error.what
    assert "canary" not in f"{error.what}{error.fix}"


def test_a_database_that_is_missing_or_refused_on_the_server_is_named(workspace, postgresql):
    for url in (postgresql.url("nobody_made_it"), postgresql.url().replace("burnish@", "stranger@")):
        error = failure(lambda url=url: Database.of(workspace, url))
        assert error.code == "machine.no-database"
        assert "cannot be used" in error.what


def test_a_database_with_tables_of_another_program_is_refused_and_left_as_it_was(workspace, postgresql):
    url = postgresql.database()
    name = url.partition("@/")[2].partition("?")[0]
    postgresql.sql("CREATE TABLE jobs (mine text)", name)
    assert "tables of another program" in failure(lambda: Database.of(workspace, url)).what
    assert postgresql.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name) == [("jobs",)]


def test_a_server_that_restarts_is_used_again(workspace, postgresql):
    database = Database.of(workspace, postgresql.database())
    [own] = written(database)
    postgresql.stop()
    assert failure(lambda: written(database)).code == "machine.no-database"
    postgresql.start()
    assert written(database) == [own]
    database.close()


def test_a_change_that_the_server_ends_is_an_error_and_has_not_happened(workspace, postgresql):
    database = Database(parse(postgresql.database()))

    def change():
        with database.writing() as connection:
            connection.execute(insert(origin).values(workspace="mine"))
            postgresql.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            connection.execute(insert(origin).values(workspace="more"))

    assert failure(change).code == "machine.no-database"
    assert written(database) == []
    database.close()


def test_a_database_of_another_workspace_is_refused_and_a_copy_at_another_path_is_not(workspace, empty, tmp_path):
    Database.of(workspace, empty).close()
    Database.of(workspace, empty).close()
    other = tmp_path / "other"
    other.mkdir()
    error = failure(lambda: Database.of(Workspace(other), empty))
    assert "belongs to another workspace" in error.what
    assert workspace.identity() in error.fix
    moved = workspace.root.rename(tmp_path / "moved")
    Database.of(Workspace(moved), empty.replace(str(workspace.root), str(moved))).close()


def test_processes_that_name_a_workspace_at_once_give_it_one_name(workspace):
    names, threads = [], []
    for _ in range(8):
        threads.append(threading.Thread(target=lambda: names.append(Workspace(workspace.root).identity())))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert len(set(names)) == 1
    assert names[0]


def test_a_file_is_the_same_from_every_folder_and_below_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for address, file in (("sqlite:///own/jobs.db", tmp_path / "own/jobs.db"), ("sqlite:///~/b.db", "home/b.db")):
        monkeypatch.chdir(tmp_path)
        database = Database(parse(address))
        monkeypatch.chdir("/")
        write(database)
        assert (database.path, written(database)) == (tmp_path / file, ["mine"])
        database.close()
