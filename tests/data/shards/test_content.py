"""A shard of another content than was written is found, without reading what has been hashed already."""

import os
import shutil
from pathlib import Path

import pytest

from burnish.core.context import Input
from burnish.core.errors import DataError
from burnish.core.inputs.references import resolve
from burnish.core.runs.workspace import Workspace
from burnish.data.dataset import open_rows
from burnish.data.shards import content
from burnish.data.shards.content import check_content
from burnish.data.shards.writer import ShardWriter
from burnish.data.sources.repository import checkout

FORMS = ["jsonl", "parquet"]


@pytest.fixture
def folder(tmp_path, request):
    with ShardWriter(tmp_path / "rows", request.param, shard_bytes=100) as writer:
        for number in range(20):
            writer.write({"text": f"row {number}"})
    return tmp_path / "rows"


def given(folder: Path, has_fingerprint: bool) -> Input:
    if not has_fingerprint:
        return Input("file:rows", "rows", folder)
    return resolve(f"file:{folder}", ("rows",), Workspace(folder.parent), {})


def change(shard: Path) -> None:
    written = bytearray(shard.read_bytes())
    written[len(written) // 3] ^= 1
    shard.write_bytes(written)


def checked_out(input: Input) -> object:
    return checkout(input, input.path.parent / "scratch")


def opened(input: Input) -> object:
    return next(open_rows(input, "train"))


@pytest.mark.parametrize("folder", FORMS, indirect=True)
@pytest.mark.parametrize("has_fingerprint", [True, False])
@pytest.mark.parametrize("access", [checked_out, opened])
def test_a_shard_with_a_changed_byte_is_named(folder, has_fingerprint, access):
    access(given(folder, has_fingerprint))
    (shard,) = folder.glob("rows/train-00001.*")
    change(shard)
    with pytest.raises(DataError, match=rf"manifest\.json lists rows/{shard.name}, whose content"):
        access(given(folder, has_fingerprint))


@pytest.mark.parametrize("folder", FORMS, indirect=True)
def test_a_shard_that_was_changed_within_the_time_of_its_file_is_found(folder):
    """Its size and time are those of before; also in a copy that keeps times."""
    check_content(given(folder, False))
    (shard,) = folder.glob("rows/train-00001.*")
    status = shard.stat()
    change(shard)
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(DataError):
        check_content(given(folder, False))


@pytest.mark.parametrize("folder", FORMS, indirect=True)
def test_shards_that_the_plan_has_hashed_are_not_read_again(folder, monkeypatch):
    planned = given(folder, True)
    assert not files_read(monkeypatch, planned) & {"train-00000.jsonl", "train-00000.parquet"}
    assert files_read(monkeypatch, Input("file:rows", "rows", folder)) & {"train-00000.jsonl", "train-00000.parquet"}


def files_read(monkeypatch, input: Input) -> set[str]:
    hashed: list[str] = []

    def of_file(path, known):
        hashed.append(path.name)
        return was(path, known)

    was = content.of_file
    monkeypatch.setattr(content, "of_file", of_file)
    check_content(input)
    monkeypatch.setattr(content, "of_file", was)
    return set(hashed)


@pytest.mark.parametrize("folder", ["jsonl"], indirect=True)
def test_a_copy_with_files_of_the_user_is_the_same_rows(folder, monkeypatch):
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy)
    (copy / "notes.txt").write_text("mine")
    assert files_read(monkeypatch, given(copy, True)) == {"manifest.json", "sample.jsonl", "notes.txt"}
