"""fetch of replies with a Content-Encoding: a file is what its name says, and its checksum that of what is stored."""

import gzip
import hashlib
import io
import tarfile
import zipfile

import pytest
import zstandard

from burnish.core.errors import BurnishError, DataError, RunError
from data_servers import ROWS, lines, parquet

CONTENT = lines(ROWS)
ZSTD = zstandard.ZstdCompressor().compress
PACKED = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": ZSTD, "identity": bytes, "": bytes}


def archives() -> dict[str, bytes]:
    packed, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("train.jsonl", CONTENT)
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        member = tarfile.TarInfo("train.jsonl")
        member.size = len(CONTENT)
        archive.addfile(member, io.BytesIO(CONTENT))
    return {"rows.zip": packed.getvalue(), "rows.tar": tarred.getvalue()}


FILES = {"rows.jsonl": CONTENT, "rows.parquet": parquet(ROWS), "rows.jsonl.gz": gzip.compress(CONTENT), **archives()}


@pytest.fixture
def packed(site):
    """Serve a file as its server packs it."""

    def packed(name: str, sent: bytes, coding: str) -> str:
        site.files[f"/{name}"] = sent
        site.headers[f"/{name}"] = {"Content-Encoding": coding}
        return f"{site.url}/{name}"

    return packed


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("limit", [None, 300])
def test_a_file_is_what_its_name_says(fetch, packed, tmp_path, name, coding, limit):
    url = packed(name, PACKED[coding](FILES[name]), coding)
    _, _, manifest, _, rows = fetch(url, limit=limit)
    assert rows == {"train": ROWS[:limit]}
    if limit is None:
        assert manifest["sha256"] == hashlib.sha256(FILES[name]).hexdigest()
        (stored,) = (path for path in tmp_path.glob(f"run/scratch/checkpoints/*/*/{name}") if path.is_file())
        assert stored.read_bytes() == FILES[name]
        assert list(stored.parent.iterdir()) == [stored]


@pytest.mark.parametrize("limit", [None, 300])
@pytest.mark.parametrize(("ending", "coding", "pack"), [(".gz", "gzip", gzip.compress), (".zst", "zstd", ZSTD)])
def test_a_packed_file_that_its_server_calls_packed_is_not_unpacked_twice(fetch, packed, ending, coding, pack, limit):
    content = pack(CONTENT)
    _, _, manifest, _, rows = fetch(packed(f"rows.jsonl{ending}", content, coding), limit=limit)
    assert rows == {"train": ROWS[:limit]}
    assert manifest["sha256"] in (None, hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("limit", [None, 300])
def test_a_packed_reply_that_breaks_is_continued(fetch, packed, site, limit):
    sent = gzip.compress(CONTENT)
    site.faults["GET"] = ["cut 500", 503, "cut 100"]
    _, stats, *_, rows = fetch(packed("rows.jsonl", sent, "gzip"), retries=3, limit=limit)
    assert rows == {"train": ROWS[:limit]}
    assert stats["downloaded_bytes"] <= len(sent)


def test_a_packed_download_that_was_stopped_starts_again(fetch, packed, site):
    """Its server may pack it anew, and then a part of it is of another reply."""
    url = packed("rows.jsonl", gzip.compress(CONTENT), "gzip")
    site.faults["GET"] = ["cut 500", 503, 503, 503]
    with pytest.raises(BurnishError):
        fetch(url, retries=1)
    site.faults.clear()
    site.seen.clear()
    *_, rows = fetch(url)
    assert rows == {"train": ROWS}
    assert [seen for seen in site.seen if seen.startswith("GET")] == ["GET /rows.jsonl"]


def test_a_checksum_is_that_of_the_content(fetch, packed):
    url = packed("rows.jsonl", gzip.compress(CONTENT), "gzip")
    *_, rows = fetch(f"{url}#sha256={hashlib.sha256(CONTENT).hexdigest()}")
    assert rows == {"train": ROWS}


@pytest.mark.parametrize("limit", [None, 300])
def test_what_cannot_be_unpacked_is_an_error_that_says_so(fetch, packed, limit):
    with pytest.raises(DataError, match=r"Content-Encoding: br, .*not unpacked"):
        fetch(packed("rows.jsonl", CONTENT, "br"), limit=limit)
    for coding in ("gzip", "zstd"):
        with pytest.raises(DataError, match=r"rows\.jsonl cannot be read") as caught:
            fetch(packed("rows.jsonl", PACKED[coding](CONTENT)[:-20], coding), folder=coding, limit=None)
        assert caught.value.code == "data.unreadable"


@pytest.mark.parametrize("limit", [None, 300])
def test_a_bomb_is_refused(fetch, packed, limit, monkeypatch):
    from burnish.data.fetch import coding

    monkeypatch.setattr(coding, "_LARGE", 100_000)
    with pytest.raises(DataError) as caught:
        fetch(packed("rows.txt", gzip.compress(b"a " * 5_000_000), "gzip"), limit=limit)
    assert caught.value.code == "data.unsafe-archive"


def test_another_encoding_on_the_way_is_no_mixture(fetch, packed, site):
    url = packed("rows.jsonl", CONTENT, "")
    answer = site.answer

    def changing(handler, path):
        if handler.headers.get("Range"):
            site.headers["/rows.jsonl"] = {"Content-Encoding": "gzip"}
        return answer(handler, path)

    site.answer = changing
    site.faults["GET"] = ["cut 5000"]
    with pytest.raises(RunError, match="Content-Encoding was '', and is 'gzip'"):
        fetch(url)


@pytest.mark.parametrize("limit", [None, 350])
def test_content_that_is_longer_than_its_server_said_is_never_cut_off(fetch, site, limit):
    """As storage answers that keeps files packed: HEAD has the length of the packed one, GET unpacks it as it sends."""
    site.files["/rows.jsonl"] = CONTENT
    answer = site.answer

    def unpacking(handler, path):
        status, headers, content = answer(handler, path)
        if handler.command == "HEAD":
            return status, {**headers, "Content-Length": "3000"}, b""
        framing = {"Content-Length": "", "Transfer-Encoding": "chunked"}
        return status, {**headers, **framing}, b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)

    site.answer, site.has_ranges = unpacking, False
    assert fetch(f"{site.url}/rows.jsonl", limit=limit)[-1] == {"train": ROWS[:limit]}
