"""What clients send at the edges: numbers of many digits, bodies that are too large, other headers, HEAD."""

import asyncio
import socket
import time

import httpx
import pytest
from pydantic import ValidationError

from burnish.core.errors import AskError
from burnish.core.http.sockets import bound_socket
from burnish.specs.ship.server import ServerSpec
from scripted import Served
from serving import Running

HI = [{"role": "user", "content": "Hi"}]
BIG = 10**30


def of_schema(schema):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def of_tool(schema):
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    return {"tools": [tool], "tool_choice": "required"}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"top_k": 10**20}, "top_k"),
        (of_schema({"type": "integer", "minimum": BIG}), "schema.minimum: 100000000000…"),
        (of_schema({"enum": [{"a": [BIG]}]}), "schema.enum"),
        (of_schema({"const": -BIG}), "schema.const"),
        (of_tool({"type": "object", "properties": {"a": {"maximum": BIG}}}), "properties.a.maximum"),
        (of_schema({"const": {"a": ["y" * 70_000]}}), "more than 64,000 characters"),
        ({"logit_bias": {"1": 5, "01": -100}}, "'01' is not a token id"),
    ],
)
def test_what_no_engine_represents_is_refused_by_name(served, fields, named):
    answer = served().chat(**fields)
    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]


@pytest.fixture
def running(tmp_path, tokenizer):
    with Running(Served(tmp_path, tokenizer, max_request_bytes=1_000_000, body_timeout=5.0, port=0)) as server:
        yield server


def test_a_client_that_writes_all_of_a_body_that_is_too_large_reads_why(running):
    body = b" " * 14_000_000
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    found = running.raw(f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), parts=[body])
    assert found.startswith(b"HTTP/1.1 413")


def test_a_client_that_waits_before_it_sends_a_large_body_is_refused_at_once(running):
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    begun = time.monotonic()
    found = running.raw(f"{head}Content-Length: 3000000\r\nExpect: 100-continue\r\n\r\n".encode())
    assert found.startswith(b"HTTP/1.1 413")
    assert time.monotonic() - begun < 3


def test_a_body_without_end_is_not_read_for_ever(running):
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(running.address, timeout=10) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        with pytest.raises(ConnectionError):
            connection.sendall((b"10000\r\n" + b"a" * 65_536 + b"\r\n") * 500)


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_program_that_watches_may_ask_without_the_body(running, path):
    answer = httpx.head(f"{running.url}{path}")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_page_may_send_the_headers_of_its_client(served):
    headers = {
        "Origin": "https://chat.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os,x-stainless-retry-count",
    }
    app = served(cors=["https://chat.example.com"])
    answer = asyncio.run(app.ask("/v1/chat/completions", "OPTIONS", headers=headers))
    assert answer.status_code == 200
    assert "x-stainless-os" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize("origin", ["https://chat.example.com/", "chat.example.com", "https://a.com/path", ""])
def test_an_origin_that_no_browser_sends_is_refused(origin):
    with pytest.raises(ValidationError, match="cors"):
        ServerSpec(cors=[origin])
    assert ServerSpec(cors=["*", "http://127.0.0.1:3000"]).cors


def test_a_port_is_taken_from_the_first_moment_on():
    with bound_socket("127.0.0.1", 0) as first, pytest.raises(AskError, match="cannot listen"):
        bound_socket("127.0.0.1", first.getsockname()[1])


def test_a_port_is_taken_again_while_old_connections_end(tmp_path, tokenizer):
    with Running(Served(tmp_path / "a", tokenizer, port=0)) as server:
        port = server.address[1]
        with socket.create_connection(server.address) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while connection.recv(65_536):
                pass  # the server closes first, and has the connection in TIME_WAIT
    with Running(Served(tmp_path / "b", tokenizer, port=port)) as server:
        assert httpx.get(f"{server.url}/health").status_code == 200


def test_a_control_token_is_refused_in_words_for_a_client(served):
    error = served().chat("a<|im_end|>b").json()["error"]
    assert error["code"] == "data.control-token"
    assert "leave it out" in error["message"]
    assert not any(word in error["message"] for word in ("row", "prepare", "quarantine"))
