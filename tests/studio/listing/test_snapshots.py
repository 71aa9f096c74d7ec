"""A listing is what the folders say, whatever was done to them, and whatever the database holds."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import burnish
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.jobs.database.database import VARIABLE
from burnish.jobs.index import opening
from burnish.studio.listing import snapshots

from .conftest import Written, walked

STATES = ("planned", "running", "succeeded", "failed", "interrupted")
names = st.sampled_from(["a/1/x"] * 4 + ["a/1/y", "a/2/x", "b/1/x", "a/3.bak/x"])
folders = st.one_of(names, names.map(lambda name: name.rpartition("/")[0]), st.sampled_from("ab"))
damages = st.sampled_from(
    ["", "{", "[]", "\xff", '{"state": "running"}', '{"created": NaN}', "null", b"\xff\xfe", "[" * 9_000]
)
odd = st.sampled_from(["", "a\0b", "\ud800", "é" * 3])
step = st.fixed_dictionaries(
    {"name": names, "state": st.sampled_from(STATES), "created": st.integers(1, 3).map(float), "reason": odd},
    optional={"measures": st.fixed_dictionaries({"x": st.floats() | odd | st.just(1 << 70)})},
)
times = st.fixed_dictionaries({}, optional={"ended": st.just(9.5)}).map(lambda t: {"started": 2.0, **t} if t else t)
changes = st.one_of(
    st.tuples(st.just("step"), step, times),
    st.tuples(st.just("artifact"), names, st.floats()),
    st.tuples(st.just("damage"), names, st.sampled_from(["run.json", "artifact.json"]), damages),
    st.tuples(st.just("misplace"), names, st.sampled_from(["run.json", "artifact.json", "run.log"])),
    st.tuples(st.just("remove"), folders),
    st.tuples(st.just("remove"), names.map(lambda name: f"{name}/artifact.json")),
    st.tuples(st.just("copy"), folders, folders),
    st.tuples(st.just("move"), folders, folders),
    st.tuples(st.just("link"), names, names),
    st.tuples(st.just("lock"), names),
    st.tuples(st.just("restart")),
)


def change(written: Written, locks: list[FileLock], kind: str, *details) -> None:
    paths = [written.place.runs / each for each in details if isinstance(each, str) and kind not in ("step", "damage")]
    match kind, *details:
        case "step", values, more:
            written.step(**values, **more)
        case "artifact", name, value:
            written.artifact(name, {"x": value})
        case "damage", name, file, content:
            written.file(f"{name}/{file}", content)
        case "misplace", name, file:
            (written.place.runs / name / file).mkdir(parents=True)
        case "remove", _:
            shutil.rmtree(paths[0]) if paths[0].is_dir() and not paths[0].is_symlink() else paths[0].unlink()
        case "copy", _, _ if paths[1].is_relative_to(paths[0]):
            raise OSError("a copy of a folder into itself has no end")
        case "copy", _, _:
            shutil.copytree(*paths, symlinks=True)
        case "move", _, _:
            paths[0].rename(paths[1])
        case "link", _, _:
            paths[0].symlink_to(paths[1], target_is_directory=True)
        case "lock", _:
            locks.append(FileLock(paths[0] / "run.lock"))
            locks[-1].acquire(blocking=False)
        case _:
            snapshots.forget()


def shown(rows) -> list[str]:
    """Rows as text, without the seconds of what is not ended; NaN is NaN."""
    settled = ({**row, "seconds": row["seconds"] if row["state"] == "succeeded" else 0} for row in rows)
    return sorted(json.dumps(row, sort_keys=True) for row in settled)


def order(place: Workspace, rows) -> list[tuple[float, int]]:
    def created(row) -> float:
        try:
            return float(Run(place.runs / row["run"]).record["created"])
        except burnish.BurnishError:
            return 0.0

    return [(created(row), int(row["run"].split("/")[1])) for row in rows]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes, max_size=12), st.booleans())
def test_a_listing_is_what_a_walk_through_the_folders_gives(
    tmp_path_factory, settled, empty_database, made, is_indexed
):
    place = Workspace(tmp_path_factory.mktemp("place"))
    place.runs.mkdir()
    if is_indexed:
        place.database.parent.mkdir()
        shutil.copy(empty_database, place.database)
    locks: list[FileLock] = []
    try:
        for one in made:
            try:
                change(Written(place), locks, *one)
            except (OSError, shutil.Error):  # such as a copy of what is not there
                continue
            found = burnish.runs(workspace=place.root)
            expected = walked(place)
            assert shown(found) == shown(expected)
            assert order(place, found) == order(place, expected)
        snapshots.forget()
        assert shown(burnish.runs(workspace=place.root)) == shown(walked(place))
    finally:
        for lock in locks:
            lock.release()
        shutil.rmtree(place.root)


def test_the_state_of_a_step_that_is_not_ended_is_that_of_its_lock(written, database, records_read):
    folder = written.step("a/1/x", "running", measures=None)
    lock = FileLock(folder / "run.lock")

    def state():
        return burnish.runs(workspace=written.place.root)[0]["state"]

    assert (state(), state(), len(records_read)) == ("killed", "killed", 1)
    with lock:
        assert (state(), state(), len(records_read)) == ("running", "running", 2)
        snapshots.forget()
        assert (state(), len(records_read)) == ("running", 2)
    assert (state(), len(records_read)) == ("killed", 3)
    with lock:
        written.artifact("a/1/x", {})
        assert state() == "running"
    assert state() == "succeeded"
    (folder / "run.log").mkdir()
    assert state() == "damaged"


@pytest.fixture
def many(written, database):
    for number in range(1, 21):
        written.step(f"a/{number}/x", created=float(number), measures={"loss": number / 7})
    return written


def test_another_process_reads_only_the_records_that_changed(many, records_read):
    before = burnish.runs(workspace=many.place.root)
    assert len(records_read) == 20
    snapshots.forget()
    assert burnish.runs(workspace=many.place.root) == before
    assert len(records_read) == 20
    many.step("a/7/x", "failed", created=99.0)
    first, *_ = burnish.runs(workspace=many.place.root)
    assert (first["run"], first["state"]) == ("a/7/x", "failed")
    assert records_read[20:] == ["a/7/x"]
    snapshots.forget()
    assert burnish.runs(workspace=many.place.root)[0]["state"] == "failed"
    assert len(records_read) == 21


def test_records_that_were_just_written_are_read_again(many, records_read, monkeypatch):
    from burnish.jobs.index import folders

    monkeypatch.setattr(folders, "_UNSETTLED_NS", 3_000_000_000)
    for _ in range(2):
        burnish.runs(workspace=many.place.root)
    assert len(records_read) == 40  # a change within the same tick of the clock would leave no trace


def test_few_runs_are_read_without_a_database(many, monkeypatch):
    monkeypatch.setattr(snapshots, "FEW", 20)
    monkeypatch.setattr(snapshots, "opened", None)
    assert len(burnish.runs(workspace=many.place.root)) == 20


def test_the_variable_is_that_of_the_database(monkeypatch, workspace):
    assert opening.VARIABLE == VARIABLE
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not opening.has_database(workspace)
    monkeypatch.setenv(VARIABLE, "postgresql://nowhere/x")
    assert opening.has_database(workspace)


def indexed(database: Path) -> set[str]:
    connection = sqlite3.connect(database)
    try:
        return {name for (name,) in connection.execute("SELECT run FROM indexed_steps")}
    finally:
        connection.close()


def test_a_locked_database_is_not_waited_for(many, database):
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert len(burnish.runs(workspace=many.place.root)) == 20
    many.step("b/1/x")
    assert len(burnish.runs(workspace=many.place.root)) == 21
    assert time.monotonic() - began < 5
    holder.execute("ROLLBACK")
    holder.close()
    assert indexed(database) == set()


def test_what_a_locked_database_missed_is_saved_later(many, database, monkeypatch):
    monkeypatch.setattr(snapshots, "_PAUSE_SECONDS", 0.0)
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    burnish.runs(workspace=many.place.root)
    holder.execute("ROLLBACK")
    holder.close()
    shutil.rmtree(many.place.runs / "a/3")
    burnish.runs(workspace=many.place.root)
    assert indexed(database) == {f"a/{number}/x" for number in range(1, 21) if number != 3}


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_damaged_database_is_no_error_of_a_listing(many, database, content):
    burnish.runs(workspace=many.place.root)
    snapshots.forget()
    for path in database.parent.glob("burnish.db*"):
        path.unlink()
    database.write_bytes(content)
    assert shown(burnish.runs(workspace=many.place.root)) == shown(walked(many.place))


def test_a_workspace_that_cannot_be_written_is_listed(many, database, bound_by_permissions):
    for path in (database, database.parent, many.place.root):
        path.chmod(0o555)
    with bound_by_permissions():
        assert shown(burnish.runs(workspace=many.place.root)) == shown(walked(many.place))


def test_a_database_that_was_removed_loses_nothing(many, database):
    before = burnish.runs(workspace=many.place.root)
    for path in database.parent.glob("burnish.db*"):
        path.unlink()
    for _ in range(2):
        assert burnish.runs(workspace=many.place.root) == before
        snapshots.forget()
    assert not database.exists()


TWICE = """
import sys
import burnish
from burnish.jobs.index import folders
from burnish.studio.listing import snapshots
snapshots.FEW, folders._UNSETTLED_NS = -1, 0
for _ in range(10):
    burnish.runs(workspace=sys.argv[1])
    snapshots.forget()
"""


def test_two_processes_index_at_once(many, database):
    command = [sys.executable, "-c", TWICE, str(many.place.root)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    number = 0
    while any(process.poll() is None for process in processes):
        number = number % 20 + 1
        many.step(f"a/{number}/x", "failed" if number % 2 else "interrupted", created=float(number))
        if number % 5 == 0:
            shutil.rmtree(many.place.runs / f"a/{number}")
        time.sleep(0.01)
    assert [process.communicate()[1] for process in processes] == ["", ""]
    snapshots.forget()
    assert shown(burnish.runs(workspace=many.place.root)) == shown(walked(many.place))
    snapshots.forget()
    assert shown(burnish.runs(workspace=many.place.root)) == shown(walked(many.place))
    assert indexed(database) == {row["run"] for row in walked(many.place)}
