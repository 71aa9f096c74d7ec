"""What a client may send: how much, how slowly, and what a proxy may say of it."""

import json
import socket
import time

import pytest

from burnish.server.security.forwarded import apply_forwarded
from burnish.server.settings import Settings
from studio_server import serving


def connect(studio):
    name, _, port = studio.address.removeprefix("http://").rpartition(":")
    return socket.create_connection((name, int(port)), 30), f"{name}:{port}"


def test_a_body_that_is_too_large_is_refused_and_its_client_hears_so(studio):
    answer = studio.page.post("/api/v1/plans", content=b"x" * (2 << 20), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "ask.too-large")


def test_a_body_without_a_length_is_cut_at_the_limit(studio):
    pieces = (b"x" * 65536 for _ in range(64))
    answer = studio.page.post("/api/v1/plans", content=pieces, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_nothing_of_a_body_is_read_before_the_caller_is_known(studio):
    connection, host = connect(studio)
    with connection:
        head = f"POST /api/v1/plans HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode())
        assert b" 401 " in connection.makefile("rb").readline()


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"]
)
def test_what_is_not_http_gets_a_problem(studio, sent):
    connection, _ = connect(studio)
    with connection:
        connection.sendall(sent + b"\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert b" 400 " in answer.splitlines()[0]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "ask.wrong-value"


def test_headers_that_are_too_large_are_refused(studio):
    connection, host = connect(studio)
    with connection:
        connection.sendall(f"GET /health HTTP/1.1\r\nHost: {host}\r\nX-Long: {'x' * 1_000_000}\r\n\r\n".encode())
        assert b" 400 " in connection.makefile("rb").readline()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A server that waits for half a second for headers and pieces of bodies."""
    with serving(tmp_path_factory.mktemp("hasty"), "--body-seconds", "0.5") as running:
        yield running


@pytest.mark.parametrize("head", ["GET /health HTT", "GET /health HTTP/1.1\r\nHost: x\r\n"])
def test_headers_that_come_too_slowly_end_the_connection(hasty, head):
    connection, _ = connect(hasty)
    with connection:
        connection.sendall(head.encode())
        began = time.monotonic()
        answer = connection.makefile("rb").read()
    assert b" 408 " in answer.splitlines()[0]
    assert time.monotonic() - began < 20


def test_a_body_that_comes_too_slowly_ends_the_request(hasty):
    connection, host = connect(hasty)
    with connection:
        head = f"POST /api/v1/session HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        connection.sendall(f'{head}Content-Length: 100\r\n\r\n{{"token"'.encode())
        assert b" 408 " in connection.makefile("rb").readline()


def scope_of(client, **headers):
    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"client": (client, 1234), "scheme": "http", "headers": [(b"host", b"127.0.0.1:8420"), *listed]}


def test_what_a_proxy_says_is_believed_of_a_trusted_one_alone(tmp_path):
    settings = Settings(tmp_path, trusted_proxies=("10.0.0.1",))
    said = {
        "x_forwarded_for": "6.6.6.6, 192.0.2.7",
        "x_forwarded_proto": "https",
        "x_forwarded_host": "evil.example, studio.example",
    }
    mapped = scope_of("::ffff:10.0.0.1", **said)  # of a socket of IPv6
    apply_forwarded(mapped, settings)
    assert mapped["client"][0] == "192.0.2.7"
    trusted, other = scope_of("10.0.0.1", **said), scope_of("10.0.0.2", **said)
    for scope in (trusted, other):
        apply_forwarded(scope, settings)
    assert (trusted["client"][0], trusted["scheme"]) == ("192.0.2.7", "https")
    assert dict(trusted["headers"])[b"host"] == b"studio.example"
    assert (other["client"][0], other["scheme"]) == ("10.0.0.2", "http")
    assert dict(other["headers"])[b"host"] == b"127.0.0.1:8420"


def test_a_further_host_and_its_origin_are_answered_once_they_are_allowed(tmp_path):
    with serving(tmp_path, "--allow-host", "studio.example") as studio:
        for origin in ("http://studio.example", "https://studio.example"):
            headers = {"Host": "studio.example", "Origin": origin}
            assert studio.page.get("/health", headers=headers).status_code == 200
        assert studio.page.get("/health", headers={"Host": "studio.example:81"}).status_code == 403
