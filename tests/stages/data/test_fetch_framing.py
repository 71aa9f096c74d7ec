"""fetch from servers whose replies say by chunks where they end, or not at all: whole, or an error in every attempt."""

import gzip

import pytest
import zstandard

from burnish.core.errors import DataError, MachineError, RunError
from data_servers import ROWS, lines

CONTENT = lines(ROWS)
PACKED = gzip.compress(CONTENT)
CHUNKED = {"Transfer-Encoding": "chunked"}
PATH = "/rows.jsonl"


def chunks(content: bytes, size: int = 700) -> bytes:
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


@pytest.fixture
def framed(site):
    """HEAD says `size`; GET sends a body with the headers that frame it, and its rest by ranges if there are."""

    def framed(size: int, body: bytes, headers: dict[str, str], ranges_of: bytes = b"") -> str:
        site.has_ranges = bool(ranges_of)

        def answer(handler, path):
            if handler.command == "HEAD":
                return 200, {"ETag": '"a"', "Content-Length": str(size)}, b""
            if ranges_of and handler.headers.get("Range"):
                return 200, {"ETag": '"a"'}, ranges_of
            return 200, {"ETag": '"a"', "Content-Length": "", **headers}, body

        site.answer = answer
        return f"{site.url}{PATH}"

    return framed


def parts(folder) -> list:
    return [*folder.rglob("*.part"), *folder.rglob("*.part.json"), *folder.rglob("*.unpacked")]


SENT = {
    "longer than its server said": (3000, chunks(CONTENT), CHUNKED),
    "shorter, since it is packed": (len(CONTENT), chunks(PACKED), {**CHUNKED, "Content-Encoding": "gzip"}),
}
CUTS = (3, 706, 1500, -7, -5)
"""Bytes of a reply that arrive: within the first head, at its end, within a chunk, and about the last one."""


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", SENT)
def test_a_chunked_reply_that_broke_is_fetched_whole_by_the_next_attempt(fetch, site, framed, kind, cut):
    size, body, headers = SENT[kind]
    url = framed(size, body, headers)
    for _ in range(2):
        site.faults["GET"] = [f"cut {cut % len(body)}"]
        with pytest.raises(MachineError):
            fetch(url, retries=0)
    _, stats, *_, rows = fetch(url, retries=0)
    assert (rows, stats["downloaded_bytes"]) == ({"train": ROWS}, len(PACKED if "packed" in kind else CONTENT))


@pytest.mark.parametrize("most", [None, 2000])
@pytest.mark.parametrize("limit", [None, 350])
def test_a_chunked_reply_that_broke_is_continued_by_parts(fetch, site, framed, limit, most):
    """A part that is shorter than requested is whole by its own length, and not the end of the file."""
    site.faults["GET"] = ["cut 5000"]
    site.most = most
    *_, rows = fetch(framed(3000, chunks(CONTENT), CHUNKED, ranges_of=CONTENT), limit=limit)
    assert rows == {"train": ROWS[:limit]}


@pytest.mark.parametrize("limit", [None, 350])
def test_a_chunked_reply_that_ends_early_is_not_whole(fetch, framed, tmp_path, limit):
    half = lines(ROWS[:200])
    for _ in range(2):
        with pytest.raises(MachineError, match=f"{len(CONTENT) - len(half):,} bytes are missing"):
            fetch(framed(len(CONTENT), chunks(half), CHUNKED), limit=limit, retries=1)
    *_, rows = fetch(framed(len(CONTENT), chunks(CONTENT), CHUNKED), limit=limit)
    assert rows == {"train": ROWS[:limit]}
    assert not parts(tmp_path)


@pytest.mark.parametrize("limit", [None, 350])
@pytest.mark.parametrize(
    ("headers", "sent"),
    [({"Connection": "close"}, "more"), ({"Content-Length": str(len(CONTENT))}, f"{len(CONTENT):,}")],
)
def test_a_server_that_names_two_lengths_is_an_error_in_every_attempt(fetch, framed, tmp_path, headers, sent, limit):
    url = framed(3000, CONTENT, headers)
    for _ in range(3):
        with pytest.raises(RunError, match=f"first said that it has 3,000 bytes, and then sent {sent}") as caught:
            fetch(url, limit=limit)
        assert caught.value.code == "run.input-changed"
        assert "file:PATH" in str(caught.value)
        assert not parts(tmp_path)


def test_a_part_of_a_file_that_changed_is_not_kept(fetch, site, tmp_path):
    site.files[PATH] = CONTENT
    site.faults["GET"] = ["cut 5000"]
    with pytest.raises(MachineError):
        fetch(f"{site.url}{PATH}", retries=0)
    assert len(parts(tmp_path)) == 2
    answer = site.answer

    def changing(handler, path):
        site.headers[PATH] = {"ETag": '"b"'} if handler.command == "GET" else {}
        return answer(handler, path)

    site.answer = changing
    with pytest.raises(RunError, match="changed while it was fetched"):
        fetch(f"{site.url}{PATH}", retries=0)
    assert not parts(tmp_path)


PACKINGS = {
    "gz": ("gzip", gzip.compress, gzip.compress),
    "zst": ("zstd", zstandard.ZstdCompressor(level=-5).compress, zstandard.compress),
}
"""By ending: the Content-Encoding, and how a file is packed, then again. The level is one that packs badly: of what is
packed again a block must then be there whole to be unpacked."""


@pytest.mark.parametrize("limit", [None, 350])
@pytest.mark.parametrize("ending", PACKINGS)
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_packed_twice_is_seen_though_little_arrives_first(fetch, site, ending, times, limit):
    rows, path = ROWS * 20, f"/rows.jsonl.{ending}"
    coding, *packings = PACKINGS[ending]
    sent = lines(rows)
    for pack in packings[:times]:
        sent = pack(sent)
    first = chunks(sent[:10]).removesuffix(chunks(b""))
    site.files[path] = first + chunks(sent[10:])
    site.headers[path] = {"Content-Length": "", "Content-Encoding": coding, **CHUNKED}
    assert fetch(f"{site.url}{path}", limit=limit)[-1] == {"train": rows[:limit]}


def test_a_checksum_that_is_wrong_leaves_nothing_to_continue(fetch, framed, tmp_path):
    with pytest.raises(DataError) as caught:
        fetch(framed(3000, chunks(CONTENT), CHUNKED) + "#sha256=" + "0" * 64)
    assert caught.value.code == "data.wrong-checksum"
    assert not list(tmp_path.rglob("*.part"))
