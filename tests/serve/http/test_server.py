"""The server on a real socket: the openai client, many streams, clients that go away, and the drain."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from burnish.core.access.keys import Key, add_key
from burnish.core.errors import AskError
from scripted import Served
from serving import Running

HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def running(tmp_path, tokenizer):
    servers = []

    def start(**how):
        server = Running(Served(tmp_path, tokenizer, port=0, **how))
        servers.append(server)
        return server.__enter__()

    yield start
    for server in servers:
        server.stop()


def client_of(server, key="none"):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_the_openai_client_works(running):
    server = running(script=lambda asked: "Grüße, 你好")
    with client_of(server) as client:
        answer = client.chat.completions.create(model="pocket", messages=HI, logprobs=True, top_logprobs=1)
        assert answer.choices[0].message.content == "Grüße, 你好"
        assert answer.choices[0].logprobs.content[0].top_logprobs[0].logprob == -0.5
        stream = client.chat.completions.create(
            model="pocket", messages=HI, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Grüße, 你好"
        assert chunks[-1].usage.completion_tokens > 0
        assert client.completions.create(model="pocket", prompt="Once").choices[0].text == "Grüße, 你好"
        assert [model.id for model in client.models.list()] == ["pocket"]
        assert len(client.embeddings.create(model="pocket", input="a").data[0].embedding) == 2
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="none", messages=HI)
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="pocket", messages=HI, temperature=9)
        assert caught.value.param == "temperature"


def test_the_openai_client_gets_its_errors(running, tmp_path):
    key = add_key(tmp_path / "keys.json", Key("ann", "", requests_per_minute=1))
    server = running(keys_file=str(tmp_path / "keys.json"), fails_after=0, fault="unavailable")
    with client_of(server) as client, pytest.raises(openai.AuthenticationError):
        client.models.list()
    with client_of(server, key) as client:
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="pocket", messages=HI)
        with pytest.raises(openai.RateLimitError):
            client.models.list()


def test_a_fault_in_a_stream_reaches_the_openai_client(running):
    server = running(script=lambda asked: "one two three", fails_after=2)
    with client_of(server) as client, pytest.raises(openai.APIError, match="engine failed"):
        list(client.chat.completions.create(model="pocket", messages=HI, stream=True))


def streams(server, count, **more):
    with httpx.Client(timeout=60, verify=False, limits=httpx.Limits(max_connections=count)) as client:

        def ask(_):
            return client.post(f"{server.url}/v1/chat/completions", json={"messages": HI, "stream": True, **more}).text

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(ask, range(count)))


def test_32_streams_at_a_time_are_answered(running):
    server = running(slots=8, pause=0.001, script=lambda asked: "a few words " * 5)
    for text in streams(server, 32):
        assert text.endswith("data: [DONE]\n\n")
    assert server.served.engine.most_running == 8


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_ends_its_work(running, stream):
    server = running(pause=0.02, script=lambda asked: "word " * 300)
    body = httpx.Request("POST", server.url, json={"messages": HI, "stream": stream}).read()
    with socket.create_connection(server.address) as connection:
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert wait_for(lambda: server.served.engine.running == 1)
        time.sleep(0.1)
    assert wait_for(lambda: server.served.engine.running == 0)
    assert server.served.engine.closed == 1
    assert wait_for(lambda: server.served.state.under_way == 0)
    assert '"client_gone": true' in (server.served.folder / "access.jsonl").read_text()


def test_a_stop_finishes_what_is_under_way_and_refuses_what_is_new(running):
    server = running(pause=0.02, script=lambda asked: "word " * 40, slots=4)
    with ThreadPoolExecutor(8) as pool:
        streams_ = [pool.submit(streams, server, 1) for _ in range(4)]
        answers = [
            pool.submit(httpx.post, f"{server.url}/v1/chat/completions", json={"messages": HI}, timeout=60)
            for _ in range(4)
        ]
        assert wait_for(lambda: server.served.state.under_way == 8)
        server.ask_to_stop()
        assert wait_for(lambda: server.served.state.is_draining)
        refused = httpx.post(f"{server.url}/v1/chat/completions", json={"messages": HI})
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "draining"
        for answer in streams_:
            assert answer.result()[0].endswith("data: [DONE]\n\n")
        for answer in answers:
            assert answer.result().json()["choices"][0]["finish_reason"] == "stop"
    server.stop()
    assert server.counts["requests"] == 9
    assert server.counts["errors"] == 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_drain_ends_after_its_time_with_an_error(running, stream):
    server = running(pause=0.05, script=lambda asked: "word " * 400, drain_seconds=0.3)
    body = {"messages": HI, "stream": stream}
    with ThreadPoolExecutor(1) as pool:
        cut = pool.submit(httpx.post, f"{server.url}/v1/chat/completions", json=body, timeout=60, verify=False)
        assert wait_for(lambda: server.served.engine.running == 1)
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 5
        assert server.served.engine.running == 0
        assert '"code":"draining"' in cut.result().text
        assert cut.result().status_code == (200 if stream else 503)
        assert "[DONE]" not in cut.result().text


def test_a_port_in_use_is_named(running, tmp_path, tokenizer):
    server = running()
    with (
        pytest.raises(AskError, match=str(server.address[1])),
        Running(Served(tmp_path / "b", tokenizer, port=server.address[1])),
    ):
        pass
