"""Atomic writes: after a crash a file is complete or absent, and it is flushed before it is renamed."""

import errno
import json
import math
import os

import pytest

from burnish.core.files import file_size, publish_folder, read_json, sync, write_atomically, write_json, write_lines


@pytest.fixture
def order(monkeypatch, tmp_path):
    """The calls that matter for a power cut, in their order."""
    calls = []
    real = {name: getattr(os, name) for name in ("fsync", "replace", "rename")}

    def fsync(descriptor):
        calls.append(("fsync", os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), tmp_path)))
        real["fsync"](descriptor)

    def move(name):
        def moved(source, target):
            calls.append((name, os.path.relpath(target, tmp_path)))
            real[name](source, target)

        return moved

    monkeypatch.setattr(os, "fsync", fsync)
    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, move(name))
    return calls


def test_a_file_is_flushed_then_renamed_then_its_folder_is_flushed(tmp_path, order):
    write_json(tmp_path / "a.json", {"a": 1})
    assert [name for name, _ in order] == ["fsync", "replace", "fsync"]
    assert order[0][1].startswith(".a.json.")
    assert order[1:] == [("replace", "a.json"), ("fsync", ".")]
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


def test_a_folder_is_flushed_then_renamed_then_its_parent_is_flushed(tmp_path, order):
    partial = tmp_path / "out.partial"
    (partial / "deep").mkdir(parents=True)
    (partial / "deep" / "b").write_text("x")
    (partial / "a").write_text("x")
    publish_folder(partial, tmp_path / "out")
    before, after = order[: order.index(("rename", "out"))], order[order.index(("rename", "out")) + 1 :]
    assert {path for _, path in before} == {f"out.partial{rest}" for rest in ("", "/a", "/deep", "/deep/b")}
    assert before[-1] == ("fsync", "out.partial")
    assert after == [("fsync", ".")]
    assert (tmp_path / "out" / "deep" / "b").read_text() == "x"


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_content_and_leaves_no_temporary_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "a.json"
    write_json(path, {"old": True})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError):
        write_json(path, {"new": True})
    monkeypatch.undo()
    assert json.loads(path.read_text()) == {"old": True}
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]


def test_an_interrupt_while_writing_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", "x")
    assert not list(tmp_path.iterdir())


def test_a_published_file_is_as_readable_as_any_other(tmp_path):
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"weights")
    (partial / "model.safetensors").chmod(0o600)
    (tmp_path / "plain").write_text("as the person writes it")
    publish_folder(partial, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_non_finite_numbers_are_written_as_strings(tmp_path):
    write_json(tmp_path / "a.json", {"nan": math.nan, "list": [math.inf, (-math.inf, 1.5)], "in": {"x": math.nan}})
    text = (tmp_path / "a.json").read_text()
    read = json.loads(text, parse_constant=lambda word: pytest.fail(f"bare {word}"))
    assert read == {"nan": "NaN", "list": ["Infinity", ["-Infinity", 1.5]], "in": {"x": "NaN"}}


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (64_321, "64.3 kB"), (5_000_000, "5 MB"), (141e9, "141 GB")]
)
def test_a_size_has_three_significant_digits(count, text):
    assert file_size(int(count)) == text


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_nothing_stays_open_after_a_write_or_a_flush(tmp_path):
    before = descriptors()
    write_json(tmp_path / "a.json", 1)
    sync(tmp_path / "a.json")
    sync(tmp_path)
    assert descriptors() == before


def test_all_of_the_text_is_flushed_before_the_file_is_renamed(tmp_path, monkeypatch):
    sizes = []
    real = os.fsync

    def fsync(descriptor):
        sizes.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "a", "é" * 100)
    assert sizes[0] == 200


@pytest.fixture
def umask():
    """Set the umask of this process for the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_written_file_has_the_given_permissions_whatever_the_umask(tmp_path, umask):
    umask(0o077)
    write_json(tmp_path / "json", 1)
    write_json(tmp_path / "private json", 1, mode=0o600)
    write_atomically(tmp_path / "text", "x")
    write_atomically(tmp_path / "group text", "x", mode=0o640)
    assert {path.name: oct(mode(path)) for path in tmp_path.iterdir()} == {
        "json": "0o644",
        "private json": "0o600",
        "text": "0o644",
        "group text": "0o640",
    }


def test_json_is_indented_and_keeps_its_order_and_its_letters(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, {"é": None}], "a": tmp_path, "t": (True, 0.5)})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == (
        '{\n  "b": [\n    1,\n    {\n      "é": null\n    }\n  ],\n  "a": "' + str(tmp_path) + '",\n'
        '  "t": [\n    true,\n    0.5\n  ]\n}\n'
    )
    assert read_json(tmp_path / "a.json") == {"b": [1, {"é": None}], "a": str(tmp_path), "t": [True, 0.5]}


def test_what_is_in_a_folder_is_flushed_before_the_folder(tmp_path, order):
    partial = tmp_path / "out.partial"
    for name in ("b/c/d", "b/a", "a", "c"):
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).write_text("x")
    publish_folder(partial, tmp_path / "out")
    assert [path.removeprefix("out.partial") for name, path in order if name == "fsync"] == [
        *("/c", "/b/c/d", "/b/c", "/b/a", "/b", "/a", "", ".")
    ]


@pytest.mark.parametrize("is_stated", [True, False])
def test_published_files_have_the_permissions_of_new_ones_and_the_umask_stays(tmp_path, umask, monkeypatch, is_stated):
    """The kernel states the umask; where it does not, it is read by setting a stricter one for a moment."""
    umask(0o027)
    for name in ("a", "b"):
        (tmp_path / "partial").mkdir(exist_ok=True)
        (tmp_path / "partial" / name).write_text("x")
        (tmp_path / "partial" / name).chmod(0o600)
    asked = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "umask", lambda mask: asked.append(mask) or umask(mask))
        if not is_stated:

            def unreadable(*_, **__):
                raise OSError

            patched.setattr("pathlib.Path.read_text", unreadable)
        publish_folder(tmp_path / "partial", tmp_path / "out")
    assert asked == ([] if is_stated else [0o077, 0o027])
    assert [mode(path) for path in sorted((tmp_path / "out").iterdir())] == [0o640, 0o640]
    assert umask(0) == 0o027


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "1 bytes"),
        (1_000, "1 kB"),
        (1_234, "1.23 kB"),
        (999_499, "999 kB"),
        (999_500, "1,000 kB"),
        (999_999, "1,000 kB"),
        (1_000_000, "1 MB"),
        (12_345_678, "12.3 MB"),
        (999_999_999, "1,000 MB"),
        (1_000_000_000, "1 GB"),
        (10**12 - 1, "1,000 GB"),
        (10**12, "1 TB"),
        (1_500 * 10**12, "1,500 TB"),
        (999 * 10**12, "999 TB"),
    ],
)
def test_the_unit_of_a_size_changes_at_a_thousand(count, text):
    assert file_size(count) == text


def test_lines_are_json_of_what_json_and_utf_8_can_hold(tmp_path):
    write_lines(tmp_path / "a.jsonl", iter([{"text": "\ud83d 你好\n", "loss": [math.nan]}, {}]))
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == [{"text": "\ufffd 你好\n", "loss": ["NaN"]}, {}]


def test_lines_that_fail_leave_the_file_as_it_was(tmp_path):
    write_lines(tmp_path / "a.jsonl", [{"a": 1}])
    with pytest.raises(ZeroDivisionError):
        write_lines(tmp_path / "a.jsonl", ({"a": 1 / n} for n in (1, 0)))
    assert (tmp_path / "a.jsonl").read_text() == '{"a": 1}\n'
    assert len(list(tmp_path.iterdir())) == 1


def test_a_write_that_does_not_fit_names_the_file(tmp_path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_atomically(tmp_path / "x.json", "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '["\\ud800"]', '{"\\uDFFF": 1}', "{", b"\xff"])
def test_a_json_file_that_cannot_be_read_is_a_value_error(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError):  # noqa: PT011: any
        read_json(path)
    path.write_text('["\\ud83d\\ude00 \\u00e9"]')
    assert read_json(path) == ["😀 é"]
