"""Every record of a workspace: damaged in any way, the error names the file, the problem and the repair."""

import json
import random

import pytest

from burnish.core.errors import RunError
from burnish.core.fingerprint import of_value
from burnish.core.runs.records import _SHAPES, is_there, read_hashes, read_latest, read_record

INPUT = {"ref": "file:x", "kind": "file", "path": "x", "fingerprint": "f", "revision": "", "inputs": {}}
STEP = {"recipe": "r", "number": 1, "step": "s", "stage": "quick-make", "fingerprint": "f"}
WHOLE = {
    "run.json": {**STEP, "state": "failed", "created": 1.5, "attempts": 1},
    "job.json": {**STEP, "spec": {}, "inputs": {"data": INPUT}},
    "spec.json": {"seed": 1},
    "plan.json": {"recipe": "r", "steps": [{"step": "s", "folder": "r/1/s"}]},
    "artifact.json": {
        "kind": "dataset",
        "name": "r.s",
        "version": "1",
        "fingerprint": "f",
        "inputs": {"data": INPUT},
        "spec": {},
        "measures": {"loss": "NaN"},
        "provenance": {},
        "files": {"a": {"size": 1, "mtime_ns": 1, "sha256": "0"}},
    },
    "burnish_base.json": {"base": "file:base", "files": {"config.json": "0"}},
    "hashes.json": {},
    "latest.txt": "my-recipe/3\n",
}


def text_of(name):
    return WHOLE[name] if name == "latest.txt" else json.dumps(WHOLE[name], indent=2)


def read(path):
    return read_latest(path) if path.name == "latest.txt" else read_record(path)


def test_the_table_contains_every_record():
    assert WHOLE.keys() == _SHAPES.keys()


@pytest.mark.parametrize("name", WHOLE)
def test_a_complete_record_is_read(tmp_path, name):
    (tmp_path / name).write_text(text_of(name))
    assert read(tmp_path / name) == (("my-recipe", 3) if name == "latest.txt" else WHOLE[name])


def every_fault():
    for name in WHOLE:
        text = text_of(name)
        faults = {
            "is empty": b"",
            "is empty, with white space": b" \n",
            "binary": random.Random(name).randbytes(200),
            "nul": b"\0" * 200,
            "not UTF-8": text.encode() + b'"\xff"',
            "list": b"[1, 2]",
            "text": b'"x"',
            "number": b"3",
            "null": b"null",
            "nested": b"[" * 100_000,
        }
        if name not in ("spec.json", "hashes.json", "latest.txt"):
            faults |= {"empty object": b"{}"}
        if name not in ("latest.txt",):
            faults |= {f"cut at {n}/4": text.encode()[: len(text) * n // 4] for n in (1, 2, 3)}
            faults["cut before its end"] = text.encode()[:-1]
        for fault, raw in faults.items():
            yield pytest.param(name, raw, id=f"{name} {fault}")


@pytest.mark.parametrize(("name", "raw"), list(every_fault()))
def test_a_broken_record_is_reported_with_its_repair(tmp_path, name, raw):
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(RunError) as caught:
        read(path)
    assert caught.value.code == "run.broken-record"
    assert str(path) in caught.value.what
    assert str(tmp_path) in caught.value.fix or "job.json" in caught.value.fix


def every_key(value, path=()):
    """The path of every required key of a record."""
    if isinstance(value, dict) and path not in (("spec",), ("measures",), ("files",)):
        for key, child in value.items():
            if (*path, key) not in (("files",), ("inputs", "data"), ("base",)):
                yield (*path, key)
            yield from every_key(child, (*path, key))
    if isinstance(value, list):
        for index, child in enumerate(value):
            yield from every_key(child, (*path, index))


@pytest.mark.parametrize(
    ("name", "where"),
    [
        pytest.param(name, where, id=f"{name} {'.'.join(map(str, where))}")
        for name in WHOLE
        if name not in ("latest.txt", "spec.json", "hashes.json", "burnish_base.json")
        for where in every_key(WHOLE[name])
    ],
)
def test_a_missing_key_and_one_of_another_type_are_named(tmp_path, name, where):
    path = tmp_path / name
    for fault in ("missing", "another type"):
        value = json.loads(text_of(name))
        *parents, last = where
        place = value
        for part in parents:
            place = place[part]
        if fault == "missing":
            del place[last]
        else:
            place[last] = [None]
        path.write_text(json.dumps(value))
        with pytest.raises(RunError) as caught:
            read(path)
        assert str(path) in caught.value.what
        assert ".".join(map(str, where)) in caught.value.what


@pytest.mark.parametrize("name", WHOLE)
def test_a_record_that_is_a_folder_unreadable_or_missing_is_reported(tmp_path, name, bound_by_permissions):
    path = tmp_path / name
    reported = {}
    for fault in ("is missing", "is a folder", "cannot be read"):
        if fault == "is a folder":
            path.mkdir()
        elif fault == "cannot be read":
            path.rmdir()
            path.write_text(text_of(name))
            path.chmod(0)
        assert is_there(path) == (fault != "is missing")
        with bound_by_permissions(), pytest.raises(RunError) as caught:
            read(path)
        reported[fault] = caught.value.what
    assert all(f"{path} {fault}" in what for fault, what in reported.items())


def test_hashes_without_a_checksum_are_ignored_and_modified_ones_refused(tmp_path):
    path = tmp_path / "hashes.json"
    files = {"a": [1, 2, "0"]}
    for value, expected in (({}, {}), ({"a": [1, 2, "0"]}, {}), ({"files": files, "sha256": of_value(files)}, files)):
        path.write_text(json.dumps(value))
        assert read_hashes(path) == expected
    for value in ({"files": files}, {"sha256": "0"}, {"files": files, "sha256": "0"}, {"files": [1], "sha256": "0"}):
        path.write_text(json.dumps(value))
        with pytest.raises(RunError, match="its hashes do not match its checksum"):
            read_hashes(path)
