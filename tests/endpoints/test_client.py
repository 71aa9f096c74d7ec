"""The client of an endpoint, against a real server with faults."""

import json
import time

import pytest

from burnish.core.context import StopRequestedError
from burnish.core.errors import AskError, MachineError, RunError
from burnish.endpoints.client import Endpoint, usage_in
from burnish.endpoints.post import post_json
from burnish.endpoints.spending import Usage
from burnish.specs.endpoints import EndpointSpec
from burnish.testing import ChatServer

HELLO = [{"role": "user", "content": "hello"}]


def endpoint(server, tmp_path=None, calls=None, **settings):
    settings = {"url": server.url, "model": "judge", "backoff": 0.01, "timeout": 5, **settings}
    return Endpoint(EndpointSpec(**settings), tmp_path, calls)


def test_a_reply_is_the_text_of_the_first_choice(server):
    server.answer = lambda request: request["messages"][-1]["content"].upper()
    (reply,) = endpoint(server, parameters={"seed": 7}).reply_to([HELLO])
    assert (reply.text, reply.finish_reason, reply.is_cached) == ("HELLO", "stop", False)
    assert server.seen == [
        {"model": "judge", "temperature": 0.0, "max_tokens": 512, "seed": 7, "messages": HELLO},
    ]


def test_a_reply_may_be_a_list_of_parts_and_a_refusal_is_told_apart(server):
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Sco"}, {"type": "text", "text": "re: 1"}]
    server.answer = lambda request: {"content": parts}
    (reply,) = endpoint(server).reply_to([HELLO])
    assert (reply.text, reply.refusal) == ("Score: 1", "")
    server.answer = lambda request: {"content": None, "refusal": "I will not."}
    (reply,) = endpoint(server).reply_to([HELLO])
    assert (reply.text, reply.refusal) == ("", "I will not.")


@pytest.mark.parametrize("calls", [5, "a", True, {"a": 1}, [1, None]])
def test_calls_that_are_none_are_left_out(server, calls):
    server.answer = lambda request: {"content": "Score: 1", "tool_calls": calls}
    (reply,) = endpoint(server).reply_to([HELLO])
    assert (reply.text, reply.tool_calls) == ("Score: 1", [])


def test_a_count_of_tokens_that_no_request_can_have_is_none():
    for count in (10**400, 10**30, -5, True, "9"):
        assert usage_in({"usage": {"prompt_tokens": count, "completion_tokens": count, "total_tokens": count}}) is None
    assert usage_in({"usage": {"prompt_tokens": 10, "completion_tokens": 10**400}}) == Usage(10, 0)


def test_replies_have_the_order_of_the_requests_and_equal_requests_are_sent_once(server):
    server.answer = lambda request: request["messages"][0]["content"]
    asked = [[{"role": "user", "content": str(number % 10)}] for number in range(30)]
    client = endpoint(server, concurrency=3)
    assert [reply.text for reply in client.reply_to(asked)] == [str(number % 10) for number in range(30)]
    assert len(server.seen) == client.calls == 10
    assert server.most_at_once <= 3


@pytest.mark.parametrize(
    "fault", [408, 425, 429, 500, 502, 503, 504, 529, "reset", "half", "garbage", "empty", "not-a-chat", "slow", "drip"]
)
def test_a_fault_that_may_pass_is_retried(server, fault):
    server.faults = [fault, fault]
    timeout = 0.2 if fault in ("slow", "drip") else 5
    client = endpoint(server, timeout=timeout)
    assert client.reply_to([HELLO])[0].text == "Score: 10"
    assert (client.calls, client.counts["retries"]) == (3, 2)


@pytest.mark.parametrize("fault", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_retried_and_says_why(server, fault):
    server.faults = [fault] * 9
    with pytest.raises(
        MachineError, match=rf"judge at {server.url} refuses the request: status {fault}: fault {fault}"
    ):
        endpoint(server).reply_to([HELLO])
    assert len(server.seen) == 1


@pytest.mark.parametrize("fault", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_address_is_named(server, fault):
    server.faults = [fault]
    server.headers = {"location": "https://other/v1"}
    with pytest.raises(MachineError, match=rf"status {fault}: it redirects to https://other/v1") as caught:
        endpoint(server).reply_to([HELLO])
    assert "set url" in caught.value.fix
    assert len(server.seen) == 1


def test_the_first_refusal_in_time_stops_the_requests_that_have_not_been_sent(server):
    def answer(request):
        if request["messages"][0]["content"] == "0":
            server.faults.append(400)  # for a later request, which is answered before this one
            time.sleep(0.5)
        return "Score: 10"

    server.answer = answer
    asked = [[{"role": "user", "content": str(number)}] for number in range(60)]
    client = endpoint(server, concurrency=2)
    with pytest.raises(MachineError, match="refuses the request: status 400"):
        client.reply_to(asked)
    assert client.calls == len(server.seen) <= 3
    assert len(client.reply_to(asked[:1])) == 1  # it can be used again


def test_after_the_last_retry_the_last_problem_is_reported(server):
    server.faults = [500, 500, 429]
    with pytest.raises(
        MachineError, match="gave no answer in 3 attempts; the last one: status 429: fault 429"
    ) as caught:
        endpoint(server, retries=2).reply_to([HELLO])
    assert caught.value.code == "machine.no-answer"


def test_an_endpoint_that_is_not_there_is_an_error(server):
    url = server.url
    server.__exit__()
    with pytest.raises(MachineError, match=r"ConnectionRefusedError|URLError"):
        Endpoint(EndpointSpec(url=url, model="judge", retries=1, backoff=0)).reply_to([HELLO])


@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_a_timeout_covers_the_whole_reply(server, fault):
    server.faults = [fault]
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no complete reply within 0\.3 s"):
        post_json(f"{server.url}/chat/completions", json.dumps({"messages": []}).encode(), {}, 0.3)
    assert time.monotonic() - began < 2


def test_a_proxy_is_used_except_to_this_machine(server, monkeypatch):
    proxy = server.url.removesuffix("/v1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert endpoint(server).reply_to([HELLO])[0].text == "Score: 10"
    monkeypatch.setenv("http_proxy", proxy)
    (reply,) = endpoint(server, url="http://judge.invalid/v1").reply_to([HELLO])
    assert reply.text == "Score: 10"
    assert len(server.seen) == 2


def test_retry_after_is_respected(server):
    server.faults, server.headers = [429], {"Retry-After": "0.5"}
    began = time.monotonic()
    endpoint(server, backoff=0).reply_to([HELLO])
    assert 0.5 <= time.monotonic() - began < 3


def test_a_reply_is_cached_by_the_whole_request(server, tmp_path):
    first = endpoint(server, tmp_path).reply_to([HELLO])
    again = endpoint(server, tmp_path).reply_to([HELLO])
    assert [reply.text for reply in first] == [reply.text for reply in again]
    assert again[0].is_cached
    assert len(server.seen) == 1
    for change in ({"temperature": 1.0}, {"model": "other"}, {"max_tokens": 5}, {"parameters": {"seed": 1}}):
        endpoint(server, tmp_path, **change).reply_to([HELLO])
    assert len(server.seen) == 5
    with ChatServer() as other:  # the same name of a model at another address
        other.answer, other.finish_reason = (lambda request: "another"), "length"
        (reply,) = endpoint(other, tmp_path).reply_to([HELLO])
    assert (reply.text, reply.finish_reason, reply.is_cached) == ("another", "length", False)


def test_a_fault_is_not_cached(server, tmp_path):
    server.faults = ["not-a-chat", "garbage", 500]
    endpoint(server, tmp_path).reply_to([HELLO])
    assert len(list(tmp_path.rglob("*.json"))) == 1
    assert endpoint(server, tmp_path).reply_to([HELLO])[0].text == "Score: 10"


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b'{"key": 1}', None])
def test_a_damaged_cached_reply_is_asked_again(server, tmp_path, damage):
    endpoint(server, tmp_path).reply_to([HELLO])
    (file,) = tmp_path.rglob("*.json")
    file.write_bytes(file.read_bytes().replace(b"Score: 10", b"Score: 01") if damage is None else damage)
    assert endpoint(server, tmp_path).reply_to([HELLO])[0].text == "Score: 10"
    assert len(server.seen) == 2
    assert endpoint(server, tmp_path).reply_to([HELLO])[0].is_cached


def test_a_cached_reply_that_is_no_regular_file_is_not_read(server, tmp_path):
    endpoint(server, tmp_path).reply_to([HELLO])
    (file,) = tmp_path.rglob("*.json")
    file.unlink()
    file.symlink_to("/dev/zero")
    assert endpoint(server, tmp_path).reply_to([HELLO])[0].text == "Score: 10"
    assert len(server.seen) == 2


def test_calls_are_limited_across_the_attempts_of_a_run(server, tmp_path):
    calls = tmp_path / "calls.txt"
    asked = [[{"role": "user", "content": str(number)}] for number in range(5)]
    server.faults = [500]
    with pytest.raises(RunError, match="max_calls: 3; 3 calls") as caught:
        endpoint(server, tmp_path / "cache", calls, max_calls=3, concurrency=1).reply_to(asked)
    assert caught.value.code == "run.call-limit"
    assert len(server.seen) == 3
    resumed = endpoint(server, tmp_path / "cache", calls, max_calls=5, concurrency=1)
    with pytest.raises(RunError, match="max_calls: 5"):
        resumed.reply_to(asked)
    assert (len(server.seen), resumed.counts["cached"]) == (5, 2)


def test_the_key_comes_from_the_environment(server, monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(AskError, match="JUDGE_KEY, named in api_key_env, is not set"):
        endpoint(server, api_key_env="JUDGE_KEY")
    monkeypatch.setenv("JUDGE_KEY", "a secret key\nsecond")
    with pytest.raises(AskError, match="characters that a header cannot hold"):
        endpoint(server, api_key_env="JUDGE_KEY")
    monkeypatch.setenv("JUDGE_KEY", "very-secret-key")
    endpoint(server, api_key_env="JUDGE_KEY").reply_to([HELLO])
    endpoint(server).reply_to([HELLO])
    assert server.keys == ["Bearer very-secret-key", None]


def test_a_key_is_never_in_an_error_or_in_the_cache(server, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_API_KEY", "very-secret-key")
    server.answer = lambda request: "fine"
    endpoint(server, tmp_path, api_key_env="JUDGE_API_KEY").reply_to([HELLO])
    assert all(b"very-secret-key" not in file.read_bytes() for file in tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("api.openai.com/v1", "is not an address"),
        ("ftp://host/v1", "is not an address"),
        ("https://user:word@host/v1", "no user, password"),
        ("https://host/v1?key=1", "no user, password"),
    ],
)
def test_an_address_is_plain(url, problem):
    with pytest.raises(ValueError, match=problem):
        EndpointSpec(url=url, model="judge")


def test_the_path_of_the_completions_may_be_in_the_address():
    for url in ("http://host/v1", "http://host/v1/", "http://host/v1/chat/completions"):
        assert EndpointSpec(url=url, model="judge").url == "http://host/v1"


def test_a_key_in_place_of_a_variable_is_refused():
    with pytest.raises(ValueError, match="name of an environment variable"):
        EndpointSpec(url="http://host/v1", model="judge", api_key_env="sk-123-456")
    with pytest.raises(ValueError, match="messages cannot be set in parameters"):
        EndpointSpec(url="http://host/v1", model="judge", parameters={"messages": []})


def test_half_of_a_surrogate_pair_in_a_reply_is_replaced_also_in_the_cache(server, tmp_path):
    server.answer = lambda request: "Score: \ud83d 5 \ud83d\udca9"
    for is_cached in (False, True):
        (reply,) = endpoint(server, tmp_path).reply_to([HELLO])
        assert (reply.text, reply.is_cached) == ("Score: \ufffd 5 \U0001f4a9", is_cached)


@pytest.mark.parametrize(("fault", "headers"), [("slow", {}), ("drip", {}), (429, {"Retry-After": "1000"}), (500, {})])
def test_a_stop_ends_the_wait_for_replies_and_for_retries(server, tmp_path, fault, headers):
    server.faults, server.headers = [fault] * 9, headers
    settings = {"url": server.url, "model": "judge", "timeout": 60, "backoff": 60, "concurrency": 2}
    client = Endpoint(EndpointSpec(**settings), is_stopping=lambda: bool(server.seen))
    began = time.monotonic()
    with pytest.raises(StopRequestedError):
        client.reply_to([[{"role": "user", "content": str(number)}] for number in range(8)])
    assert time.monotonic() - began < 4
    assert len(server.seen) <= 2


def test_a_reply_that_comes_soon_after_a_stop_is_cached(server, tmp_path):
    def answer(request):
        time.sleep(0.5)
        return "Score: 10"

    server.answer = answer
    settings = EndpointSpec(url=server.url, model="judge")
    with pytest.raises(StopRequestedError):
        Endpoint(settings, tmp_path, is_stopping=lambda: bool(server.seen)).reply_to([HELLO])
    assert Endpoint(settings, tmp_path).reply_to([HELLO])[0].is_cached


def test_replies_of_the_cache_are_those_of_the_model_that_the_server_names(server, tmp_path):
    server.models = {"judge": "fp_1", "other": "fp_9"}
    server.answer = lambda request: "one"
    assert endpoint(server, tmp_path).reply_to([HELLO])[0].text == "one"
    server.models["judge"] = "fp_2"
    server.answer = lambda request: "two"
    client = endpoint(server, tmp_path)
    assert (client.reply_to([HELLO])[0].text, client.doubt) == ("two", "")
    server.models["judge"] = "fp_1"
    client = endpoint(server, tmp_path)
    assert (client.reply_to([HELLO])[0].text, client.doubt) == ("one", "")
    assert len(server.seen) == 2


def test_replies_of_the_cache_are_reported_where_the_server_does_not_say_what_it_serves(server, tmp_path):
    client = endpoint(server, tmp_path)
    client.reply_to([HELLO])
    assert client.doubt == ""
    again = endpoint(server, tmp_path)
    again.reply_to([HELLO])
    assert "1 replies are of the cache, and the server does not say which model it serves" in again.doubt
