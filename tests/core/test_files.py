"""Atomic writes: after a crash a file is complete or absent, and it is flushed before it is renamed."""

import errno
import json
import math
import os

import pytest

from burnish.core.files import file_size, publish_folder, write_atomically, write_json


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
