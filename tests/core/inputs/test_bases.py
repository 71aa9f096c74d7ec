"""An adapter and the base it was trained on, and which inputs are checked at all: every case of the checks."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.files import write_json
from burnish.core.fingerprint import BASE_RECORD, of_model, of_path
from burnish.core.inputs.checks import (
    InputWatch,
    artifact_at,
    check_base,
    check_fetched,
    check_input,
    has_other_base,
    is_verifiable,
    refuse_rewritten,
    stamps,
    write_base_record,
)

RESTORE = "restore the base, or train the adapter again on this one"
UNDO = "run it again to use the current content, or undo the change and run it again"


def said(call, *args, **named) -> str:
    with pytest.raises(BurnishError) as caught:
        call(*args, **named)
    return f"{caught.value.code} | {caught.value.what} | {caught.value.fix}"


def model(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in {"config.json": "{}", "model.safetensors": "w", "tokenizer.json": "read", **files}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def base(workspace):
    return model(workspace.root / "base")


def as_input(path: Path, kind: str = "model", **more) -> Input:
    return Input(f"file:{path.name}", kind, path, of_path(path, {}, kind), **more)


@pytest.fixture
def adapter(base, finished):
    """An adapter of a step, with its base among its inputs."""

    def adapter(of: Input | None = None, **files) -> Input:
        run = finished("r", 1, "tune", kind="adapter", fingerprint="t", inputs={"base": of or as_input(base)}, **files)
        return run.artifact().as_input("r.tune@1")

    return adapter


def test_the_files_of_a_base_that_differ_are_named_three_at_most(tmp_path, base):
    recorded = tmp_path / "adapter"
    recorded.mkdir()
    written = write_base_record(recorded, Input("hub:a/b?token=abcdefgh", "model", base, "f"), {})
    assert written == of_model(base, {})
    assert sorted(written) == ["config.json", "model.safetensors"]
    assert json.loads((recorded / BASE_RECORD).read_text()) == {"base": "hub:a/b?token=•••", "files": written}
    for known in (None, {}):
        check_base(recorded, base, known)
    fix = "{}, or train the adapter again on this one; without {} the base is not checked"
    for changes, listed in (
        ({"model.safetensors": "x"}, "model.safetensors"),
        ({"b.safetensors": "x"}, "b.safetensors"),
        ({"b.safetensors": "x", "config.json": "x", "a.safetensors": ""}, "a.safetensors, b.safetensors, config.json"),
        (
            dict.fromkeys([*(f"{name}.safetensors" for name in ("model", "d", "c", "b")), "config.json"], "x"),
            "b.safetensors, c.safetensors, config.json and 2 more",
        ),
    ):  # fmt: skip
        other = model(tmp_path / "other", **changes)
        assert said(check_base, recorded, other, {}) == (
            f"model.wrong-adapter | {other} is not the base that the adapter {recorded} was trained on: "
            f"{listed} differ | {fix.format('restore the base', recorded / BASE_RECORD)}"
        )
        shutil.rmtree(other)
    lacking = model(tmp_path / "lacking")
    (lacking / "model.safetensors").unlink()
    assert ": model.safetensors differ |" in said(check_base, recorded, lacking)


def test_an_adapter_is_compared_with_the_base_among_its_inputs(adapter, base):
    value = adapter()
    check_input(value, {})
    (base / "tokenizer.json").write_text("changed")
    changed = f"model.wrong-adapter | the base of r.tune@1 changed after training: file:base at {base} | {RESTORE}"
    assert said(check_input, value, {}) == changed
    write_json(value.path / BASE_RECORD, {"base": "file:base", "files": of_model(base, {})})
    (value.path.parent / "artifact.json").unlink()
    (value.path.parent / "run.json").unlink()
    copied = replace(value, fingerprint=of_path(value.path, {}, "adapter"))
    check_input(copied, {})  # its own record names the files that matter
    (base / "config.json").write_text("changed")
    assert "the adapter" in said(check_input, copied, {})
    assert said(check_input, copied, {}).startswith("model.wrong-adapter | ")
    shutil.rmtree(base)
    assert said(check_input, copied, {}) == (
        f"model.not-found | the base of r.tune@1 is missing: file:base at {base} | "
        "restore it, or merge with another copy of the same model: burnish merge --base"
    )
    check_input(copied, {}, other_base=True)


def test_a_base_that_is_an_artifact_is_checked_whole_although_its_files_are_recorded(adapter, finished):
    below = finished("r", 1, "below", kind="model", fingerprint="b", files={"config.json": "{}", "README.md": "r"})
    base = below.artifact().as_input("step:below")
    value = adapter(base, files={"words.txt": "w", BASE_RECORD: json.dumps({"files": of_model(below.out, {})})})
    check_input(value, {})
    (below.out / "README.md").write_text("longer")
    assert said(check_input, value, {}).startswith(f"run.damaged-artifact | the artifact step:below ({below.out}) is")


@pytest.mark.parametrize(("ref", "fingerprint"), [("hub:a/b", "f"), ("git:x", "f"), ("step:x", ""), ("hub:a/b", "")])
def test_a_base_that_is_pinned_or_not_made_yet_is_not_looked_for(adapter, ref, fingerprint, tmp_path):
    check_input(adapter(Input(ref, "model", tmp_path / "none", fingerprint)), {})


def test_the_base_of_a_model_is_its_own_affair(finished, base):
    run = finished("r", 1, "merged", kind="model", inputs={"base": as_input(base)})
    shutil.rmtree(base)
    check_input(run.artifact().as_input("r.merged@1"), {})
    check_input(Input("hub:a/b", "adapter", base, "f"), {})


@pytest.mark.parametrize(
    ("ref", "fingerprint", "is_checked"),
    [
        ("file:x", "f", True),
        ("step:x", "f", True),
        ("file:x", "", False),
        ("hub:a/b", "f", False),
        ("hub:a/b", "", False),
        ("git:https://host/x", "f", False),
        ("git:x", "f", False),
    ],
)
def test_only_content_with_a_fingerprint_is_checked(tmp_path, ref, fingerprint, is_checked):
    value = Input(ref, "folder", tmp_path / "none", fingerprint)
    if is_checked:
        assert said(check_input, value, {}) == (
            f"run.input-changed | {ref}: {tmp_path}/none is missing | restore it, or change the recipe"
        )
    else:
        check_input(value, {})


def test_what_changed_since_the_plan_is_named(tmp_path, base):
    value = as_input(base)
    (base / "config.json").write_text("changed")
    times = {path.name: path.stat().st_ctime for path in base.iterdir()}
    start = "run.input-changed | file:base changed since the run was planned: "
    files = f"files of {base} were added, removed, renamed or changed"
    assert said(check_input, value, {}) == f"{start}{files} | {UNDO}"
    assert (
        said(check_input, value, {}, 0.0) == f"{start}config.json, model.safetensors, tokenizer.json changed | {UNDO}"
    )
    assert said(check_input, value, {}, times["config.json"]) == f"{start}{files} | {UNDO}"
    (base / "sub").mkdir()
    (base / "sub" / "a").write_text("")
    four = "config.json, model.safetensors, sub/a and 1 more"
    assert said(check_input, value, {}, 0.0) == f"{start}{four} changed | {UNDO}"
    single = tmp_path / "a.txt"
    single.write_text("a")
    value = as_input(single, "file")
    single.write_text("b")
    assert said(check_input, value, {}, 0.0) == (
        f"run.input-changed | file:a.txt changed since the run was planned: {single} changed | {UNDO}"
    )


def test_another_base_is_that_of_a_step_with_a_model_and_a_base():
    cases = {("model", True): True, ("model", False): False, ("adapter", True): False, ("base", True): False}
    for (name, has_base), expected in cases.items():
        assert has_other_base(name, ("model", "base") if has_base else ("model", "bases")) is expected


def test_a_fetched_adapter_is_compared_with_its_fetched_base(tmp_path, base):
    folder = tmp_path / "adapter"
    folder.mkdir()
    write_base_record(folder, as_input(base), {})
    (base / "config.json").write_text("other")
    pinned = Input("hub:a/b", "model", base, "f")
    value = Input("hub:a/lora", "adapter", folder, "f", {"base": pinned})
    assert said(check_fetched, value, {}).startswith(f"model.wrong-adapter | {base} is not the base")
    for unchecked in (
        replace(value, kind="model"),
        replace(value, inputs={}),
        replace(value, inputs={"bases": pinned}),
        replace(value, inputs={"base": replace(pinned, ref="file:base")}),
    ):
        assert check_fetched(unchecked, {}) is unchecked
    (base / "config.json").write_text("{}")
    assert check_fetched(value, {}) is value


def test_an_artifact_of_an_older_version_cannot_be_verified(finished, tmp_path, workspace):
    new, old = (finished("r", number, fingerprint="f").artifact().as_input(f"r.s@{number}") for number in (1, 2))
    record = json.loads((old.path.parent / "artifact.json").read_text())
    del record["files"]
    write_json(old.path.parent / "artifact.json", record)
    plain = tmp_path / "a.txt"
    plain.write_text("a")
    values = {"new": new, "old": old, "plain": as_input(plain, "file"), "hub": Input("hub:a/b", "model", old.path, "f")}
    assert {name: is_verifiable(value) for name, value in values.items()} == {
        "new": True,
        "old": False,
        "plain": True,
        "hub": False,
    }
    watch = InputWatch(values, {}, 0.0)
    assert watch.start() == ["r.s@2"]
    assert watch.end() == []


def test_an_output_folder_without_records_is_a_plain_folder(finished, tmp_path, workspace):
    run = finished()
    value = run.artifact().as_input("step:s")
    assert artifact_at(value) == run.artifact()
    (run.folder / "artifact.json").unlink()
    assert said(artifact_at, value).startswith(f"run.broken-record | {run.folder / 'artifact.json'} is missing | ")
    (run.folder / "run.json").unlink()
    assert artifact_at(value) is None
    for name in ("out", "artifact.json"):
        assert artifact_at(replace(value, path=tmp_path / "a" / name)) is None
    other = tmp_path / "elsewhere" / "r" / "1" / "s"
    other.mkdir(parents=True)
    (other / "run.json").write_text("{}")
    assert artifact_at(replace(value, path=other / "out")) is None


@pytest.mark.parametrize("kind", ["model", "adapter", "dataset", "tokenizer"])
def test_weights_are_watched_to_the_end_and_other_inputs_until_they_are_released(tmp_path, kind):
    folder = model(tmp_path / "in")
    untouched = model(tmp_path / "untouched")
    watch = InputWatch({"in": as_input(folder, kind), "other": as_input(untouched, kind)}, {}, 0.0)
    assert watch.start() == []
    for name in ("in", "other"):
        watch.release(name)
    (folder / "tokenizer.json").write_text("changed")
    if kind in ("model", "adapter"):
        assert said(watch.end).startswith("run.input-changed | file:in changed since the run was planned: ")
    else:
        assert watch.end() == ["file:in"]


def test_the_base_of_an_adapter_is_watched_while_the_step_runs(adapter, base):
    watch = InputWatch({"model": adapter()}, {}, 0.0)
    watch.start()
    watch.release("model")
    (base / "config.json").write_text("changed")
    for call in (watch.end, lambda: watch.release("model")):
        assert said(call).startswith("model.wrong-adapter | the base of r.tune@1 changed after training: ")


def test_what_a_hub_keeps_is_not_watched(tmp_path):
    folder = model(tmp_path / "snapshot")
    watch = InputWatch({"model": Input("hub:a/b", "model", folder, "f")}, {}, 0.0)
    assert watch.start() == []
    (folder / "config.json").write_text("changed")
    assert watch.end() == []


def test_a_file_is_rewritten_when_any_part_of_its_stamp_differs(tmp_path):
    folder = model(tmp_path / "in")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("x")
    found = stamps(folder)
    assert sorted(found) == [str(folder / name) for name in ("config.json", "model.safetensors", "tokenizer.json")]
    assert stamps(folder / "config.json") == {str(folder / "config.json"): found[str(folder / "config.json")]}
    status = os.stat(folder / "config.json")
    assert found[str(folder / "config.json")] == (2, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    assert stamps(tmp_path / "none") == {}
    refuse_rewritten("file:in", found, dict(found))
    first, stamp = next(iter(found.items()))
    for place in range(4):
        other = {**found, first: tuple(value + (index == place) for index, value in enumerate(stamp))}
        assert f": {first} | " in said(refuse_rewritten, "file:in", found, other)
    changed = dict.fromkeys("edcba", (0, 0, 0, 0))
    for before, after in ((changed, {}), ({}, changed)):
        assert said(refuse_rewritten, "file:in", before, after) == (
            "run.input-changed | file:in changed while the step read it: a, b, c and 2 more | "
            "run it again, and do not change the input during the run"
        )


def test_an_input_that_was_written_since_an_earlier_attempt_is_named(tmp_path, base):
    rows = [tmp_path / f"{name}.txt" for name in "abcde"]
    for path in rows:
        path.write_text("one")
    record = tmp_path / "inputs.json"
    values = {path.stem: as_input(path, "file") for path in rows} | {"model": as_input(base)}
    pinned = {"hub": Input("hub:a/b", "model", base, "f")}

    def attempt(inputs=values):
        return InputWatch({**inputs, **pinned}, {}, 0.0, record)

    first = attempt()
    assert first.rewritten() == []
    first.start()
    recorded = json.loads(record.read_text())
    assert {name: {file: tuple(stamp) for file, stamp in files.items()} for name, files in recorded.items()} == {
        name: stamps(value.path, value.kind) for name, value in values.items()
    }
    for name in ("b", "model"):
        first.release(name)
    assert set(json.loads(record.read_text())) == {"a", "c", "d", "e", "model"}
    before = rows[0].stat().st_mtime_ns
    while rows[0].stat().st_mtime_ns == before:
        rows[0].write_text("one")
    for path in (rows[1], rows[2]):
        os.utime(path, ns=(1, 1))
    rows[3].unlink()
    without = {name: value for name, value in values.items() if name not in ("d", "e")}
    second = attempt(without)
    written = [f"file:a.txt was written ({rows[0]})", f"file:c.txt was written ({rows[2]})"]
    assert second.rewritten() == written
    second.start()
    assert attempt(without).rewritten() == written, "the stamps of the first attempt are kept"
    assert set(json.loads(record.read_text())) == {"a", "b", "c", "model"}
    for broken in ("{", "[1]", "3", '{"a": 1}', '{"a": {"b": [1]}}', "\xff"):
        record.write_text(broken, encoding="latin-1")
        assert attempt(without).rewritten() == [f"{record} is damaged: inputs may have been written"]


def test_an_input_that_was_moved_since_an_earlier_attempt_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("one")
    record = tmp_path / "inputs.json"
    InputWatch({"in": as_input(tmp_path / "in", "folder")}, {}, 0.0, record).start()
    moved = (tmp_path / "in").rename(tmp_path / "elsewhere")
    (clause,) = InputWatch({"in": as_input(moved, "folder")}, {}, 0.0, record).rewritten()
    assert "was moved, and may have been written" in clause


def test_without_a_record_nothing_is_known_to_be_written(tmp_path):
    without = {"a": as_input(tmp_path, "folder")}
    assert InputWatch(without, {}, 0.0).rewritten() == []
