"""Every record of a workspace: damaged in any way, the error names the file, the problem and the repair."""

import json
import os
import random
from typing import Annotated, get_args, get_origin

import pytest
from pydantic import AfterValidator, BaseModel

from burnish.core.errors import RunError
from burnish.core.fingerprint import of_value
from burnish.core.runs.records import _SHAPES, is_there, misplaced_logs, read_hashes, read_latest, read_record

INPUT = {"ref": "file:x", "kind": "file", "path": "x", "fingerprint": "f", "revision": "", "inputs": {}}
STEP = {"recipe": "r", "number": 1, "step": "s", "stage": "quick-make", "fingerprint": "f"}
SERVING = {"address": "http://127.0.0.1:1", "names": ["a"], "engine": "llama.cpp"}
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
        "certificate": {
            "change": "merge bf16",
            "parent": {"ref": "r.tune@1", "fingerprint": "f"},
            "child": {"ref": "", "fingerprint": ""},
            "holds": True,
            "checks": [{"name": "finite", "verdict": "holds", "found": "all values are finite", "limit": ""}],
            "rows": 12,
            "tokens": 300,
            "burnish": "0.1.0",
        },
    },
    "submitted.json": {
        "values": {},
        "options": {"priority": 0, "retries": 2, "time_limit": None, "on": None},
        "steps": [
            {
                "step": "s",
                "stage": "quick-make",
                "action": "run",
                "reason": "new",
                "needs": [],
                "job": {**STEP, "spec": {}, "inputs": {}},
            }
        ],
    },
    "ended.json": {"state": "failed", "reason": "it failed"},
    "fine_tuning.json": {
        "recipe": "ft",
        "number": 1,
        "model": "builtin:pocket",
        "training_file": "file-1",
        "validation_file": None,
        "method": {"type": "dpo", "dpo": {"hyperparameters": {}}},
        "suffix": None,
        "seed": 1,
        "metadata": {"team": "a"},
        "history": [[1.5, "created"]],
    },
    "serving.json": {**SERVING, "context": 8, "key": None, "chats": True},
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


def texts_of(annotation, path=(), around=()):
    """Where a shape holds texts, and whether each is checked; keys of a mapping are at `{}`, members at `[]`."""
    if get_origin(annotation) is Annotated:
        annotation, *marks = get_args(annotation)
        yield from ((where, bool(marks) or known) for where, known in texts_of(annotation, path, around))
    elif annotation is str:
        yield ".".join(path), False
    elif get_origin(annotation) is dict:
        key, member = get_args(annotation)
        yield from texts_of(key, (*path, "{}"), around)
        yield from texts_of(member, (*path, "[]"), around)
    elif get_origin(annotation) is not None:
        for part in get_args(annotation):
            yield from texts_of(part, (*path, "[]") if get_origin(annotation) is list else path, around)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in around:
        annotation.model_rebuild()
        for name, field in annotation.model_fields.items():
            checked = any(isinstance(mark, AfterValidator) for mark in field.metadata)
            found = texts_of(field.annotation, (*path, name), (*around, annotation))
            yield from ((where, known or (checked and where == ".".join((*path, name)))) for where, known in found)


TEXTS = (
    *("stage", "reason", "host", "boot", "started", "kind", "name", "version", "on", "revision", "digest", "ref"),
    *("path", "sha256", "change", "verdict", "found", "limit", "burnish", "holder"),
    *("parent.fingerprint", "child.fingerprint"),
    *("error.code", "what", "fix", "address", "names.[]", "engine", "key"),
    *("model", "training_file", "validation_file", "suffix", "metadata.{}", "metadata.[]", "hyperparameters.{}"),
    *("inputs.{}", "spec.{}", "values.{}", "error.{}", "measures.{}", "provenance.{}", "files.[]"),
)
"""What no path in the workspace is made of. An input's own `path` is that of a file anywhere, which the user named."""


@pytest.mark.parametrize("name", _SHAPES)
def test_every_text_of_a_record_is_known_to_be_a_name_or_only_text(name):
    unknown = [where for where, is_checked in texts_of(_SHAPES[name][0]) if not (is_checked or where.endswith(TEXTS))]
    assert unknown == []


NAMES = {
    "run.json": ["recipe", "step", "fingerprint"],
    "job.json": ["recipe", "step", "fingerprint", "inputs.data.fingerprint"],
    "plan.json": ["recipe", "steps.0.step", "steps.0.folder"],
    "artifact.json": ["fingerprint", "inputs.data.fingerprint", "files.{}"],
    "submitted.json": ["steps.0.step", "steps.0.needs", *(f"steps.0.job.{key}" for key in ("recipe", "step"))],
    "burnish_base.json": ["files.{}"],
}
OUTSIDE = ["", ".", "..", "/etc", "../x", "../../../../etc", "r/1/..", "r/../1", "./x"]


@pytest.mark.parametrize(("name", "where"), [(name, where) for name in NAMES for where in NAMES[name]])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name, where):
    path = tmp_path / name
    for outside in OUTSIDE[where.endswith("fingerprint") :]:  # that of an input may be unknown
        value = json.loads(text_of(name))
        *parents, last = where.split(".")
        place = value
        for part in parents:
            place = place[int(part) if part.isdigit() else part]
        if last == "{}":
            place[outside] = next(iter(place.values()))
        else:
            place[last] = [outside] if last == "needs" else outside
        path.write_text(json.dumps(value))
        assert ascii(outside)[:80] in said(read_record, path), outside


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
    assert "remove" not in caught.value.fix or str(path) in caught.value.fix


_OPTIONAL = (("files",), ("certificate",), ("inputs", "data"), ("base",), ("metadata", "team"), ("method", "dpo"))


def every_key(value, path=()):
    """The path of every required key of a record."""
    if isinstance(value, dict) and path not in (("spec",), ("measures",), ("files",)):
        for key, child in value.items():
            if (*path, key) not in _OPTIONAL:
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


def said(call, path) -> str:
    with pytest.raises(RunError) as caught:
        call(path)
    assert caught.value.code == "run.broken-record"
    return f"{caught.value.what.removeprefix(str(path))} | {caught.value.fix.replace(str(path.parent), 'F')}"


RERUN = "restore it from a copy, or run the recipe again: the step then runs again"
REPAIRS = {
    "run.json": f"{RERUN}, in a folder of its own",
    "artifact.json": f"{RERUN}; the files in F/out stay",
    "job.json": "run the recipe again: a step that resumes writes the file again",
    "spec.json": "copy the value of 'spec' from job.json in the same folder to the file",
    "plan.json": "remove F/plan.json and run the recipe again: finished steps are reused",
    "burnish_base.json": "train the adapter again, or remove F/burnish_base.json: the base is then not checked",
    "latest.txt": "remove F/latest.txt, or write the newest run to it, such as my-recipe/3",
    "submitted.json": "remove F/submitted.json, and submit the recipe again: finished steps are reused",
    "ended.json": "remove F/ended.json: a worker writes it again",
    "fine_tuning.json": "restore it from a copy; the run itself is listed by burnish",
    "serving.json": "stop the run, and serve the model again",
    "hashes.json": "remove F/hashes.json: the hashes are computed again",
}


@pytest.mark.parametrize("name", WHOLE)
def test_each_record_has_its_own_repair(tmp_path, name):
    path = tmp_path / name
    assert said(read, path) == f" is missing | {REPAIRS[name]}"
    path.mkdir()
    assert said(read, path) == f" is a folder, not a file | {REPAIRS[name]}"
    path.rmdir()
    os.mkfifo(path)
    assert said(read, path) == f" is not a regular file | {REPAIRS[name]}"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b'{"recipe":\n  ,}', "is not valid JSON (line 2, column 3: Expecting value)"),
        (b"1" * 5000, "is not valid JSON (Exceeds the limit (4300 digits) for integer string conversion"),
        (b"[1]", "contains a list instead of an object"),
        (b'"a"', "contains a str instead of an object"),
        (b"null", "contains a NoneType instead of an object"),
        (b'{"\xc3', "is not UTF-8 text (byte 2)"),
        (b"{}", "lacks 'recipe'"),
        (b'{"recipe": "r"}', "lacks 'steps'"),
        (b'{"recipe": "r", "steps": [{"step": "s"}]}', "lacks 'steps.0.folder'"),
        (b'{"recipe": 3, "steps": []}', "'recipe': Input should be a valid string"),
    ],
)
def test_what_is_wrong_with_a_record_is_said_with_its_place(tmp_path, raw, problem):
    (tmp_path / "plan.json").write_bytes(raw)
    found = said(read_record, tmp_path / "plan.json")
    assert found.startswith(f" {problem}")
    assert found.endswith(f" | {REPAIRS['plan.json']}")


def test_a_number_written_as_text_is_not_a_number(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({**WHOLE["run.json"], "number": "1"}))
    assert (
        said(read_record, tmp_path / "run.json")
        == f" 'number': Input should be a valid integer | {REPAIRS['run.json']}"
    )


@pytest.mark.parametrize("text", ["r", "r/x", "r/1/s", "/1", "r/ 1", "-r/1", "r/1\nq/2"])
def test_the_newest_run_is_a_recipe_and_a_number(tmp_path, text):
    path = tmp_path / "latest.txt"
    path.write_text(text)
    assert said(read_latest, path) == f" does not name a run such as my-recipe/3 | {REPAIRS['latest.txt']}"
    path.write_text("a.b-C_1/20 \n")
    assert read_latest(path) == ("a.b-C_1", 20)


def test_logs_that_are_folders_are_listed_and_other_files_have_a_general_repair(tmp_path):
    assert misplaced_logs(tmp_path) == []
    (tmp_path / "events.jsonl").write_text("")
    for name in ("run.lock", "run.log"):
        (tmp_path / name).mkdir()
    found = [(error.what, error.fix) for error in misplaced_logs(tmp_path)]
    assert found == [
        (
            f"{tmp_path / name} is a folder, not a file",
            f"rename or remove {tmp_path / name}, and run the command again",
        )
        for name in ("run.log", "run.lock")
    ]


def test_a_broken_link_is_there(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    assert [is_there(tmp_path / name) for name in ("link", "none")] == [True, False]
    (tmp_path / "file").write_text("")
    assert [is_there(path) for path in (tmp_path, tmp_path / "file", tmp_path / "file" / "x")] == [True, True, False]


def test_edited_hashes_are_named_with_their_repair(tmp_path):
    path = tmp_path / "hashes.json"
    path.write_text(json.dumps({"files": {"a": 1}, "sha256": of_value({"a": 2})}))
    assert said(read_hashes, path) == f" was modified: its hashes do not match its checksum | {REPAIRS['hashes.json']}"


@pytest.mark.parametrize(("beside", "state"), [("artifact.json", "succeeded"), ("job.json", "failed")])
def test_a_broken_run_record_is_repaired_with_what_its_neighbours_hold(tmp_path, beside, state):
    folder = tmp_path / "runs/r/3/tune"
    folder.mkdir(parents=True)
    path = folder / "run.json"
    path.touch()
    (folder / beside).write_text(json.dumps({**WHOLE[beside], "stage": "sft"}))
    with pytest.raises(RunError) as caught:
        read_record(path)
    written, _, content = caught.value.fix.partition(": ")
    assert written == f"write this to {path}"
    path.write_text(content)
    found = read_record(path)
    neighbour = WHOLE[beside]
    assert (found["recipe"], found["number"], found["step"], found["state"]) == ("r", 3, "tune", state)
    assert found["fingerprint"] == neighbour["fingerprint"]


def test_a_broken_job_of_a_finished_step_is_no_longer_needed(tmp_path):
    (tmp_path / "job.json").touch()
    (tmp_path / "artifact.json").write_text(text_of("artifact.json"))
    fix = "remove F/job.json: the step has succeeded, and its other records hold the same"
    assert said(read_record, tmp_path / "job.json") == f" is empty | {fix}"
