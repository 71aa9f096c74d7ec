"""Downloads that stop while they are unpacked, or just before they are noted as whole."""

import gzip
import hashlib
import json
import shutil
from collections import namedtuple
from dataclasses import replace

import pytest

from burnish.core.errors import MachineError, RunError
from burnish.data.fetch import download as module
from burnish.data.fetch.download import download
from burnish.data.fetch.remote import Connection, Remote
from data_servers import FileServer

CONTENT = b"".join(b'{"text": "row %d"}\n' % number for number in range(200_000))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def site():
    with FileServer({"/rows.jsonl": gzip.compress(CONTENT, 1)}) as server:
        server.headers["/rows.jsonl"] = {"Content-Encoding": "gzip", "ETag": '"a"'}
        yield server


def remote(site, is_stopping=lambda: False, retries: int = 0) -> Remote:
    connection = Connection(allowed=["127.0.0.1"], retries=retries, backoff=0.01, is_stopping=is_stopping)
    size = len(site.files["/rows.jsonl"])
    return Remote(f"{site.url}/rows.jsonl", "rows.jsonl", connection, size, 'ETag "a"')


def test_unpacking_stops_when_the_step_is_to_stop_and_continues_without_a_request(site, tmp_path):
    unpacked = []
    with pytest.raises(RunError) as caught:
        download(remote(site, lambda: bool(unpacked)), tmp_path / "rows.jsonl", report=unpacked.append)
    assert caught.value.code == "run.interrupted"
    assert 0 < sum(unpacked) < len(CONTENT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl.part", "rows.jsonl.part.json"]
    site.seen.clear()
    unpacked.clear()
    assert download(remote(site), tmp_path / "rows.jsonl", report=unpacked.append) == SHA256
    assert (site.seen, sum(unpacked)) == ([], len(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_what_does_not_fit_on_the_disk_unpacked_is_an_error_and_leaves_no_part_of_it(site, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2_000_000, 0, 2_000_000))
    with pytest.raises(MachineError, match=r"rows\.jsonl unpacks to more than the 2 MB") as caught:
        download(remote(site), tmp_path / "rows.jsonl")
    assert caught.value.code == "machine.no-disk"
    assert not list(tmp_path.glob("*.unpacked"))


@pytest.mark.parametrize("coding", ["gzip", ""])
def test_a_download_that_was_killed_before_its_end_was_noted_is_whole(site, tmp_path, coding, monkeypatch):
    """What has a Content-Encoding may be packed anew, and starts again."""
    if not coding:
        site.files["/rows.jsonl"] = CONTENT
        site.headers["/rows.jsonl"] = {"ETag": '"a"'}
    write = module.write_json

    def killed(path, noted):
        if "complete" in noted:
            raise KeyboardInterrupt
        write(path, noted)

    monkeypatch.setattr(module, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        download(remote(site), tmp_path / "rows.jsonl")
    monkeypatch.undo()
    assert (tmp_path / "rows.jsonl.part").read_bytes() == site.files["/rows.jsonl"]
    assert "complete" not in json.loads((tmp_path / "rows.jsonl.part.json").read_text())
    site.seen.clear()
    assert download(remote(site), tmp_path / "rows.jsonl") == SHA256
    assert site.seen == (["GET /rows.jsonl"] if coding else [])


def test_a_part_that_is_not_as_long_as_was_noted_is_not_whole(site, tmp_path):
    stops = iter([False, False])
    with pytest.raises(RunError):
        download(remote(site, lambda: next(stops, True)), tmp_path / "rows.jsonl")
    record = tmp_path / "rows.jsonl.part.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"complete": 10**9}))
    assert download(remote(site), tmp_path / "rows.jsonl") == SHA256


def test_a_part_that_is_longer_than_the_file_is_not_whole(site, tmp_path):
    """Where its length was not known, and its server gives the same ETag to another content."""
    site.headers["/rows.jsonl"] = {"ETag": '"a"'}
    unsized = replace(remote(site), size=None)
    site.faults["GET"] = ["cut 5000"]
    with pytest.raises(MachineError):
        download(unsized, tmp_path / "rows.jsonl")
    site.files["/rows.jsonl"] = b"short"
    with pytest.raises(RunError, match=r"bytes from 5,000 were requested, and it has 5") as caught:
        download(unsized, tmp_path / "rows.jsonl")
    assert caught.value.code == "run.input-changed"
    assert not list(tmp_path.iterdir())
