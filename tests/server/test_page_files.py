"""The files of the built page: compressed, kept by browsers, and what a screen asks first is told with it."""

import gzip

import pytest

from studio_server import serving

SCRIPT = b"export const answer = 42;\n" * 200


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    page = tmp_path_factory.mktemp("page")
    (page / "assets").mkdir()
    (page / "index.html").write_text('<meta name="csp-nonce" content="__CSP_NONCE__">')
    (page / "assets" / "first-1a2b.js").write_bytes(SCRIPT)
    (page / "assets" / "face-1a2b.woff2").write_bytes(SCRIPT)
    (page / "mark.svg").write_text("<svg/>")
    with serving(tmp_path_factory.mktemp("workspace"), "--page", str(page)) as running:
        yield running


def received(studio, path, **headers):
    with studio.anyone.stream("GET", path, headers=headers) as answer:
        return answer.headers, b"".join(answer.iter_raw())


@pytest.mark.parametrize("_", ["first", "again"])
def test_a_script_comes_compressed_to_who_can_read_that_and_is_kept_for_ever(studio, _):
    headers, packed = received(studio, "/assets/first-1a2b.js", **{"Accept-Encoding": "gzip, deflate"})
    assert (headers["content-encoding"], gzip.decompress(packed)) == ("gzip", SCRIPT)
    assert len(packed) < len(SCRIPT) / 10
    assert headers["content-type"].startswith("text/javascript")
    assert (headers["cache-control"], headers["vary"]) == ("public, max-age=31536000, immutable", "Accept-Encoding")
    headers, plain = received(studio, "/assets/first-1a2b.js", **{"Accept-Encoding": "identity"})
    assert ("content-encoding" in headers, plain) == (False, SCRIPT)


def test_what_is_compressed_already_is_sent_as_it_is(studio):
    headers, plain = received(studio, "/assets/face-1a2b.woff2", **{"Accept-Encoding": "gzip"})
    assert ("content-encoding" in headers, plain) == (False, SCRIPT)


def test_a_file_that_keeps_its_name_is_asked_for_again(studio):
    assert "immutable" not in received(studio, "/mark.svg")[0]["cache-control"]
    assert received(studio, "/")[0]["cache-control"] == "no-store"


def test_a_reader_is_told_what_the_screen_asks_first_and_a_stranger_nothing(studio):
    told = {path: studio.page.get(path).headers["link"].split(", ") for path in ("/", "/data")}
    for each in told.values():
        assert {one.partition(";")[2] for one in each} == {" rel=preload; as=fetch; crossorigin"}
    paths = {path: [one[1:].partition(">")[0] for one in each] for path, each in told.items()}
    assert paths["/data"] == ["/api/v1/session"]
    assert len(paths["/"]) == 4
    for path in paths["/"]:
        assert studio.page.get(path).status_code == 200
    assert "link" not in studio.anyone.get("/").headers
    assert "link" not in studio.anyone.get("/", headers={"Cookie": "burnish-session-1=wrong"}).headers
