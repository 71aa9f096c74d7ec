"""URLs as inputs: pinned to what their server says, and never to an address that was not meant."""

import socket
import urllib.error

import pytest

from burnish.core.errors import AskError, MachineError
from burnish.core.inputs import urls
from burnish.core.inputs.references import resolve
from burnish.core.plan import make_plan
from burnish.core.recipes.recipe import recipe_of
from burnish.core.runs.workspace import Workspace
from data_servers import FileServer

HERE = ("127.0.0.1",)
PRIVATE = (
    *(
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.3.4",
        "192" + ".168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
    ),
    *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1"),
    *("::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "198.18.0.1", "240.0.0.1"),
)
PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address):
    assert not urls._is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not_refused(address):
    assert urls._is_public(address)


@pytest.fixture
def site():
    with FileServer({"/rows.jsonl": b'{"a": 1}\n'}) as server:
        yield server


@pytest.mark.parametrize("spelled", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_this_machine_is_refused_however_it_is_spelled(site, spelled):
    url = site.url.replace("127.0.0.1", spelled) + "/rows.jsonl"
    with pytest.raises(AskError) as caught:
        urls.pin(url)
    assert caught.value.code == "ask.private-address"
    assert site.seen == []


def test_a_name_that_leads_elsewhere_when_it_is_used_is_refused(site, monkeypatch):
    looked_up = socket.getaddrinfo
    public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))]

    def changing(host, port, *others, **more):
        return looked_up("127.0.0.1", port, *others, **more) if others or more else public

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    with pytest.raises(AskError, match=r"rebinding\.test"):
        urls.pin(site.url.replace("127.0.0.1", "rebinding.test") + "/rows.jsonl")
    assert site.seen == []


def test_a_url_is_pinned_to_its_etag_or_date_or_to_nothing(site):
    url = f"{site.url}/rows.jsonl"
    first = urls.pin(url, HERE)
    assert first.validator.startswith('ETag "')
    assert first.note == f"is 9 bytes, {first.validator}"
    site.headers["/rows.jsonl"] = {"ETag": "", "Last-Modified": "Sun, 22 Nov 2026 10:00:00 GMT"}
    assert urls.pin(url, HERE).validator == "of Sun, 22 Nov 2026 10:00:00 GMT"
    site.headers["/rows.jsonl"] = {"ETag": ""}
    unknown = urls.pin(url, HERE)
    assert unknown.validator == ""
    assert "whether it changes is not known" in unknown.note
    site.has_head = False
    assert urls.pin(url, HERE) == unknown


def test_a_checksum_needs_no_server(workspace):
    for host in ("one.test", "two.test"):
        value = resolve(f"https://{host}/rows.jsonl#sha256={'AB' * 32}", ("remote",), workspace, {})
        assert value.revision == "ab" * 32
    other = resolve(f"https://one.test/rows.csv#sha256={'ab' * 32}", ("remote",), workspace, {})
    assert other.fingerprint != value.fingerprint, "the ending decides how it is read"
    assert resolve(f"https://a.test/rows.jsonl#sha256={'ab' * 32}", ("remote",), workspace, {}).fingerprint == (
        value.fingerprint
    )


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("https://host/rows.jsonl#sha256=abc", "is no checksum"),
        ("https://host/rows.jsonl#part", "is no checksum"),
        ("https:///rows.jsonl", "is not a URL"),
        ("https:host/rows.jsonl", "is not a URL"),
        ("https://host:port/rows.jsonl", "is not a URL"),
        ("https://host/my rows.jsonl", "is not a URL"),
        ("https://host/größe.jsonl", "is not a URL"),
        ("https://user:password@host/rows.jsonl", "user name or password"),
        ("https://host/rows.jsonl?X-Amz-Signature=0123456789abcdef", "a token in an address"),
    ],
)
def test_what_is_no_url_or_holds_a_secret_is_refused(workspace, ref, said):
    with pytest.raises(AskError, match=said) as caught:
        resolve(ref, ("remote",), workspace, {})
    assert "0123456789abcdef" not in str(caught.value)
    assert "password@" not in str(caught.value)


def test_a_stage_that_does_not_fetch_says_what_does(workspace):
    with pytest.raises(AskError, match="stage: fetch") as caught:
        resolve("https://host/rows.jsonl", ("dataset", "file"), workspace, {})
    assert caught.value.code == "ask.wrong-kind"


def test_refusals_and_silence_are_told_apart(site):
    for status, fix in ((404, "check the address"), (403, "with your login"), (500, "try again later")):
        site.faults["/rows"] = [status] * 2
        with pytest.raises(AskError, match=f"returned {status}") as caught:
            urls.pin(f"{site.url}/rows.jsonl", HERE)
        assert fix in caught.value.fix
        site.faults.clear()
    site.faults["/rows"] = ["break"]
    with pytest.raises(MachineError) as broken:
        urls.pin(f"{site.url}/rows.jsonl", HERE)
    assert broken.value.code == "machine.no-network"


def test_redirects_that_are_no_https_or_have_no_end_are_refused(site):
    for target in ("ftp://host/x", "file:///etc/passwd", "gopher://host/x"):
        site.redirects["/moved"] = target
        with pytest.raises((AskError, urllib.error.HTTPError), match=r"not https|not allowed|302"):
            urls.open_url(f"{site.url}/moved", allowed=HERE)
    site.redirects["/moved"] = "/moved"
    with pytest.raises(AskError, match="302"):
        urls.pin(f"{site.url}/moved", HERE)


def test_credentials_are_not_sent_to_another_host(site):
    with FileServer() as other:
        other.redirects["/moved"] = f"{site.url}/rows.jsonl"
        with urls.open_url(f"{other.url}/moved", headers={"Authorization": "Bearer x"}, allowed=HERE) as reply:
            assert reply.read() == b'{"a": 1}\n'
        assert other.seen_headers[0]["Authorization"] == "Bearer x"
        assert "Authorization" not in site.seen_headers[0]
        site.redirects["/here"] = "/rows.jsonl"
        urls.open_url(f"{site.url}/here", headers={"Authorization": "Bearer x"}, allowed=HERE).close()
        assert site.seen_headers[-1]["Authorization"] == "Bearer x"


def test_a_plan_reuses_what_was_fetched_until_its_etag_changes(site, tmp_path, workspace, finished):
    recipe = recipe_of(
        {
            "name": "r",
            "steps": {"rows": {"stage": "fetch", "source": f"{site.url}/rows.jsonl", "allow_hosts": list(HERE)}},
        }
    )
    (step,) = make_plan(recipe, workspace).steps
    finished("r", 1, "rows", fingerprint=step.fingerprint, kind="rows", stage="fetch", inputs=step.inputs)
    assert make_plan(recipe, workspace).steps[0].action == "reuse"
    site.files["/rows.jsonl"] = b'{"a": 2}\n'
    changed = make_plan(recipe, workspace)
    assert changed.steps[0].action == "run"
    assert any("ETag" in note for note in changed.notes)
    assert isinstance(workspace, Workspace)
