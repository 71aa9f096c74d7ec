"""Uploads: a whole file with its hash, or nothing; names that no one else's file, folder or device has."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import pytest

from burnish.core.errors import BurnishError
from burnish.studio.datasets import Upload, datasets, delete, listing, upload, uploading
from burnish.studio.datasets.names import find, next_version, upload_name
from burnish.studio.datasets.records import record_path, upload_record, with_hash
from burnish.studio.datasets.uploading import most_bytes
from burnish.studio.finetuning.files import list_files

ROWS = b'{"prompt": "a", "response": "b"}\n' * 3


def left(workspace):
    return sorted(path.name for path in workspace.uploads.iterdir() if path.is_file())


def code_of(call, *arguments, **options):
    with pytest.raises(BurnishError) as caught:
        call(*arguments, **options)
    assert caught.value.fix
    return caught.value.code


def test_an_upload_is_the_bytes_that_were_sent_with_their_hash(workspace):
    record = upload("rows.jsonl", [ROWS[:5], b"", ROWS[5:]], workspace=workspace.root)
    assert (workspace.uploads / "rows.jsonl").read_bytes() == ROWS
    assert record["bytes"] == len(ROWS)
    assert record["sha256"] == hashlib.sha256(ROWS).hexdigest()
    assert record["id"].startswith("file-")
    listed = datasets(workspace=workspace.root)["datasets"]
    assert [(row["name"], row["ref"], row["sha256"]) for row in listed] == [
        ("rows.jsonl", "file:data/uploads/rows.jsonl", record["sha256"])
    ]


def test_files_below_data_and_files_put_there_by_hand_are_listed(workspace):
    (workspace.data / "more").mkdir(parents=True)
    (workspace.data / "more" / "a.csv").write_text("prompt,response\n1,2\n")
    (workspace.data / ".hidden").write_text("x")
    (workspace.data / "out.jsonl").symlink_to("/etc/passwd")
    workspace.uploads.mkdir()
    (workspace.uploads / "mine.jsonl").write_bytes(ROWS)
    names = [(row["name"], row["origin"]) for row in datasets(workspace=workspace.root)["datasets"]]
    assert names == [("mine.jsonl", "upload"), ("data/more/a.csv", "file")]


def test_each_name_of_a_file_is_listed_and_found_or_counted(workspace):
    (workspace.data / "more@2").mkdir(parents=True)
    workspace.uploads.mkdir()
    for name in ("a@b.jsonl", "more@2/c.jsonl", "back\\slash.jsonl", "uploads/x@y.jsonl", "uploads/back\\slash.jsonl"):
        (workspace.data / name).write_bytes(ROWS)
    listed = datasets(workspace=workspace.root)
    names = [row["name"] for row in listed["datasets"]]
    assert sorted(names) == ["data/a@b.jsonl", "data/more@2/c.jsonl"]
    assert [find(name, workspace).name for name in names] == names
    assert listed["not_listed"] == 3


def test_what_is_not_listed_is_counted(workspace, tmp_path, monkeypatch, bound_by_permissions):
    monkeypatch.setattr(listing, "_MOST_FILES", 3)
    (workspace.data / "more").mkdir(parents=True)
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "rows.jsonl").write_bytes(ROWS)
    for number in range(5):
        (workspace.data / "more" / f"{number}.jsonl").write_bytes(ROWS)

    def left_out():
        with bound_by_permissions():
            return datasets(workspace=workspace.root)["not_listed"]

    assert left_out() == 2
    (workspace.data / "big").symlink_to(tmp_path / "big")
    (workspace.data / "link.jsonl").symlink_to(tmp_path / "big" / "rows.jsonl")
    (workspace.data / "circle").symlink_to(workspace.data / "circle")
    (workspace.data / "own.jsonl").symlink_to(workspace.data / "more" / "1.jsonl")
    assert left_out() == 6
    workspace.uploads.mkdir()
    (workspace.uploads / "link.jsonl").symlink_to(workspace.data / "more" / "1.jsonl")
    (workspace.uploads / "folder").mkdir()
    assert left_out() == 8
    (workspace.data / "more" / "rows").write_bytes(ROWS)  # the rows of the folder have this address
    (workspace.data / "profile").write_bytes(ROWS)
    assert left_out() == 10
    assert "data/more/rows" not in {row["name"] for row in datasets(workspace=workspace.root)["datasets"]}
    (workspace.data / "closed").mkdir(mode=0)
    assert left_out() == 11


def test_an_upload_needs_no_hard_links(workspace, monkeypatch):
    refused = PermissionError(errno.EPERM, "Operation not permitted")
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(refused))
    place = {"workspace": workspace.root}
    for name, existing in (("a.jsonl", "refuse"), ("a.v2.jsonl", "version")):
        assert upload("a.jsonl", [ROWS], existing=existing, **place)["name"] == name
    monkeypatch.setattr(uploading, "uploaded", lambda place: set())  # of two at the same moment
    assert code_of(upload, "a.jsonl", [b"other"], **place) == "ask.name-taken"
    assert (workspace.uploads / "a.jsonl").read_bytes() == ROWS


def test_a_file_that_is_deleted_while_it_is_listed_leaves_the_others(workspace, monkeypatch):
    for name in ("gone.jsonl", "rows.jsonl"):
        upload(name, [ROWS], workspace=workspace.root)
        (workspace.data / name).write_bytes(ROWS)
    found = listing.uploaded(workspace)

    def uploaded_then_deleted(place):
        (place.uploads / "gone.jsonl").unlink()
        return found

    seen = listing._files(workspace)

    def files_then_deleted(place):
        (place.data / "gone.jsonl").unlink()
        return seen

    monkeypatch.setattr(listing, "uploaded", uploaded_then_deleted)
    monkeypatch.setattr(listing, "_files", files_then_deleted)
    names = [row["name"] for row in datasets(workspace=workspace.root)["datasets"]]
    assert names == ["rows.jsonl", "data/rows.jsonl"]


@pytest.mark.parametrize("name", ["data/" + "a" * 300, "data/" + "a/" * 3000, "data/a\0b", "a" * 300, "a" * 300 + "@1"])
def test_a_name_that_no_file_can_have_is_unknown(workspace, name):
    workspace.data.mkdir()
    assert code_of(find, name, workspace) == "ask.bad-reference"


def test_a_taken_name_is_refused_or_versioned(workspace):
    upload("rows.jsonl", [ROWS], workspace=workspace.root)
    assert code_of(upload, "rows.jsonl", [b"x"], workspace=workspace.root) == "ask.name-taken"
    assert upload("rows.jsonl", [b"x"], existing="version", workspace=workspace.root)["name"] == "rows.v2.jsonl"
    assert upload("rows.jsonl", [b"y"], existing="version", workspace=workspace.root)["name"] == "rows.v3.jsonl"
    assert left(workspace) == ["rows.jsonl", "rows.v2.jsonl", "rows.v3.jsonl"]
    assert (workspace.uploads / "rows.jsonl").read_bytes() == ROWS


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("rows.jsonl", "rows.v2.jsonl"),
        ("a.v9.jsonl.gz", "a.v10.jsonl.gz"),
        ("plain", "plain.v2"),
        ("x.1.csv", "x.1.v2.csv"),
    ],
)
def test_versions_keep_the_ending(name, after):
    assert next_version(name, set()) == after


@pytest.mark.parametrize(
    "name",
    [
        *("../rows.jsonl", "..", ".", "", "a/b.jsonl", "/etc/passwd", "a\\b.jsonl", "C:rows.jsonl", "rows.jsonl\0.txt"),
        *("..\uff0frows.jsonl", "\u2025/x", "\uff0e\uff0e", "rows\u202elnosj.jsonl", "ro\u200bws.jsonl", "a\nb.jsonl"),
        *(".hidden.jsonl", "rows.jsonl.", "a..b", "NUL", "con.jsonl", "Lpt1.txt", "COM9"),
        *("a" * 300 + ".jsonl", "数" * 100 + ".jsonl", "rows.part", ".records", "\ud800.jsonl", "   ", "%00\x00"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(workspace, name):
    (workspace.root / "rows.jsonl").write_text("outside")
    assert code_of(upload, name, [ROWS], workspace=workspace.root) == "ask.wrong-value"
    assert not workspace.data.exists()
    assert (workspace.root / "rows.jsonl").read_text() == "outside"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("My rows (final).jsonl", "My-rows-final.jsonl"),
        ("数据 1.jsonl", "数据-1.jsonl"),
        ("re\u0301sume\u0301.csv", "résumé.csv"),
        ("a;rm -rf $HOME.jsonl", "a-rm-rf-HOME.jsonl"),
        ("<img src=x>.jsonl", "img-src-x.jsonl"),
        ("%2e%2e%2fx.jsonl", "2e-2e-2fx.jsonl"),
        ("recipe.step@3", "recipe.step-3"),
    ],
)
def test_odd_characters_of_a_name_become_dashes(workspace, given, name):
    assert upload_name(given) == name
    record = upload(given, [ROWS], workspace=workspace.root)
    assert (record["name"], record["filename"]) == (name, given)


def test_a_stream_of_another_length_or_hash_leaves_nothing(workspace):
    root = {"workspace": workspace.root}
    assert code_of(upload, "a.jsonl", [ROWS], length=len(ROWS) + 1, **root) == "data.unreadable"
    assert code_of(upload, "a.jsonl", [ROWS, b"x"], length=len(ROWS), **root) == "data.unreadable"
    assert code_of(upload, "a.jsonl", [ROWS], sha256="0" * 64, **root) == "data.wrong-checksum"
    assert code_of(upload, "a.jsonl", [ROWS] * 9, most=len(ROWS) * 8, **root) == "ask.too-large"
    assert code_of(upload, "a.jsonl", [], length=1 << 40, **root) == "ask.too-large"

    def breaks():
        yield ROWS
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        upload("a.jsonl", breaks(), **root)
    assert left(workspace) == []
    assert datasets(**root)["datasets"] == []


def test_of_two_uploads_of_one_name_at_once_one_is_whole_and_one_refused(workspace):
    barrier, results = threading.Barrier(4), []

    def send(letter):
        def stream():
            yield letter * 100_000
            barrier.wait(10)
            yield letter * 100_000

        try:
            results.append(upload("rows.txt", stream(), workspace=workspace.root)["sha256"])
        except BurnishError as error:
            results.append(error.code)

    threads = [threading.Thread(target=send, args=(bytes([65 + number]),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results.count("ask.name-taken") == 3
    (digest,) = set(results) - {"ask.name-taken"}
    content = (workspace.uploads / "rows.txt").read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest
    assert left(workspace) == ["rows.txt"]


def test_what_a_killed_upload_leaves_is_removed_by_the_next_and_one_in_progress_stays(workspace):
    code = (
        "import sys\nfrom burnish.studio.datasets import upload\n"
        "def stream():\n    yield b'x' * 100\n    print('begun', flush=True)\n    sys.stdin.read()\n    yield b'y'\n"
        "upload('slow.txt', stream(), workspace=sys.argv[1])"
    )
    command = [sys.executable, "-c", code, str(workspace.root)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    killed, going = subprocess.Popen(command, **pipes), subprocess.Popen(command, **pipes)
    assert [killed.stdout.readline(), going.stdout.readline()] == ["begun\n"] * 2
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(left(workspace)) == 2
    assert [row["name"] for row in datasets(workspace=workspace.root)["datasets"]] == []
    upload("other.txt", [b"z"], workspace=workspace.root)
    assert len(left(workspace)) == 2  # other.txt, and the hidden file of the upload in progress
    going.communicate()
    assert left(workspace) == ["other.txt", "slow.txt"]
    assert (workspace.uploads / "slow.txt").read_bytes() == b"x" * 100 + b"y"


def test_an_upload_that_would_fill_the_disk_is_refused_and_leaves_nothing(tmp_path):
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", tmp_path]).returncode:
        pytest.skip("a small disk needs root")
    try:
        chunks = (b"x" * 65536 for _ in range(1000))
        assert code_of(upload, "big.bin", chunks, workspace=tmp_path) == "machine.no-disk"
        assert code_of(upload, "big.bin", [], length=8 << 20, workspace=tmp_path) == "machine.no-disk"
        assert list((tmp_path / "data" / "uploads").iterdir()) == []
        assert upload("small.bin", [b"x"], workspace=tmp_path)["bytes"] == 1
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_file_whose_record_is_damaged_is_still_listed(workspace):
    upload("rows.jsonl", [ROWS], workspace=workspace.root)
    record = workspace.uploads / ".records" / "rows.jsonl.json"
    for text in ("", "[]", "{}", json.dumps({"name": "other", "bytes": 1}), "\0"):
        record.write_text(text)
        (row,) = datasets(workspace=workspace.root)["datasets"]
        assert (row["name"], row["bytes"]) == ("rows.jsonl", len(ROWS))
        assert row["id"].startswith("file-")


def test_an_open_upload_can_be_left_without_a_trace(workspace):
    with Upload("a.txt", workspace) as receiving:
        receiving.write(b"abc")
    assert left(workspace) == []


def test_the_largest_upload_is_a_setting(workspace, monkeypatch):
    monkeypatch.setenv("BURNISH_UPLOAD_GIB", "2")
    assert code_of(upload, "a.jsonl", [], length=(2 << 30) + 1, workspace=workspace.root) == "ask.too-large"
    for odd in ("0", "-1", "x", "9" * 30):
        monkeypatch.setenv("BURNISH_UPLOAD_GIB", odd)
        assert most_bytes() == 64 << 30


def overwritten(path):
    """As many bytes of something else, by hand."""
    path.write_bytes(ROWS.replace(b"a", b"z"))


def replaced(path):
    """Another file of that size under the name, with the time of the first."""
    moment, other = path.stat().st_mtime_ns, path.with_name("other")
    overwritten(other)
    os.utime(other, ns=(moment, moment))
    other.replace(path)


@pytest.mark.parametrize("change", [overwritten, replaced])
def test_a_hash_is_that_of_the_file_as_it_is(workspace, change):
    root = {"workspace": workspace.root}
    record = upload("rows.jsonl", [ROWS], **root)
    change(workspace.uploads / "rows.jsonl")
    (row,) = datasets(**root)["datasets"]
    assert (row["id"], row["sha256"]) == (record["id"], "")
    found = with_hash(upload_record("rows.jsonl", workspace), workspace)
    assert found.sha256 == hashlib.sha256((workspace.uploads / "rows.jsonl").read_bytes()).hexdigest()


def test_the_record_of_a_copied_file_is_believed_once_its_hash_was_computed(workspace):
    record = upload("rows.jsonl", [ROWS], workspace=workspace.root)
    path = workspace.uploads / "rows.jsonl"
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)
    assert upload_record("rows.jsonl", workspace).sha256 == ""
    assert asdict(with_hash(upload_record("rows.jsonl", workspace), workspace)) == record
    assert asdict(upload_record("rows.jsonl", workspace)) == record


def test_a_kill_while_an_upload_is_deleted_leaves_no_record_of_what_comes_next(workspace, monkeypatch):
    root = {"workspace": workspace.root}
    upload("rows.jsonl", [ROWS], **root)

    def killed(path, missing_ok=False):
        unlink(path, missing_ok=missing_ok)
        raise KeyboardInterrupt

    unlink = Path.unlink
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            delete("rows.jsonl", **root)
    assert not (workspace.uploads / ".records" / "rows.jsonl.json").exists()
    assert delete("rows.jsonl", **root)["deleted"]


DAMAGED_RECORDS = {
    **{f"{key} {value!r}": {key: value} for key in ("name", "id", "sha256") for value in (5, None, "\ud800")},
    **{f"created {value!r}": {"created": value} for value in ("soon", None, True, float("nan"), 1e300, -1)},
    **{f"bytes {value!r}": {"bytes": value} for value in (None, "96", float(len(ROWS)), float("nan"))},
    **{f"purpose {value!r}": {"purpose": value} for value in ([1], "\ud800")},
    **{f"filename {value!r}": {"filename": value} for value in ({}, None)},
    "edited_from": {"edited_from": 5},
    "unknown": {"more": 1},
}


@pytest.mark.parametrize("damage", [*DAMAGED_RECORDS, "deep", "text"])
def test_a_damaged_record_is_like_none(workspace, damage):
    upload("rows.jsonl", [ROWS], workspace=workspace.root)
    path = record_path("rows.jsonl", workspace)
    record = json.loads(path.read_text()) | DAMAGED_RECORDS.get(damage, {})
    path.write_text({"deep": "[" * 100_000, "text": '"x"'}.get(damage, json.dumps(record)))
    (found,) = datasets(workspace=workspace.root)["datasets"]
    listed = list_files(workspace=workspace.root)["data"]
    json.dumps([found, listed], ensure_ascii=False, allow_nan=False).encode()
    assert (found["name"], found["bytes"], found["purpose"]) == ("rows.jsonl", len(ROWS), "data")
    assert [(one["id"], one["filename"]) for one in listed] == [(found["id"], "rows.jsonl")]
    path.unlink()
    assert [found] == datasets(workspace=workspace.root)["datasets"]


@pytest.mark.parametrize(
    ("name", "why", "like"),
    [
        ("😀.jsonl", "in '😀'", "rows.jsonl"),
        ("a.😀.jsonl", "in '😀'", "a.rows.jsonl"),
        ("   .jsonl", "in '   '", "rows.jsonl"),
        ("...", "begins or ends with a dot", "rows.jsonl"),
    ],
)
def test_a_refused_name_has_its_true_reason_and_one_that_is_taken(name, why, like):
    with pytest.raises(BurnishError, match=why) as caught:
        upload_name(name)
    assert caught.value.fix.endswith(f"such as {like}")
    assert upload_name(like) == like


def test_a_workspace_that_was_moved_is_named_and_not_made_again(workspace):
    upload("rows.jsonl", [ROWS], workspace=workspace.root)
    os.rename(workspace.root, workspace.root.with_name("moved"))
    for call in (datasets, list_files, lambda workspace: upload("more.jsonl", [ROWS], workspace=workspace)):
        assert code_of(call, workspace=workspace.root) == "ask.no-such-run"
    assert not workspace.root.exists()
