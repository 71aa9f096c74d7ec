"""A smoke test against a real server, whole, with faults, and with features missing."""

import socket
import threading

import pytest

from burnish.core.errors import AskError, MachineError
from burnish.endpoints.smoke.checks import CHECKS
from burnish.endpoints.smoke.table import smoke_test
from burnish.specs.endpoints import SMOKE_CHECKS
from openai_server import OpenAIServer


def verdicts(found):
    return {check.name: check.verdict for check in found.checks}


def test_the_names_of_the_checks_are_those_of_the_command():
    assert tuple(CHECKS) == SMOKE_CHECKS


def test_every_check_holds_of_a_whole_endpoint(monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-right")
    with OpenAIServer(key="sk-right") as server:
        found = smoke_test(server.url, key_env="A_KEY", prompt="Who is there?", expect="friend")
    assert verdicts(found) == dict.fromkeys(SMOKE_CHECKS, "holds")
    assert (found.model, found.failed) == ("tiny", [])
    texts = {check.name: check.found for check in found.checks}
    assert texts["chat"] == '"Hello there, friend." (5 + 3 tokens)'
    assert "the same as the whole answer" in texts["stream"]
    assert texts["logprobs"] == "3 tokens, 2 alternatives each"
    assert texts["wrong_key"] == "status 401"


@pytest.mark.parametrize("feature", ["completions", "logprobs", "tools", "json_schema"])
def test_a_feature_that_is_refused_is_not_offered_and_fails_only_where_it_is_required(feature):
    with OpenAIServer(missing=[feature]) as server:
        found, required = smoke_test(server.url), smoke_test(server.url, require=[feature])
    assert verdicts(found)[feature] == "not offered"
    assert found.failed == []
    assert [check.name for check in required.failed] == [feature]


FAULTS = {
    "chat": ("chat", "the answer is empty"),
    "usage": ("chat", "usage does not add up"),
    "finish": ("chat", "finish_reason is 'done'"),
    "stream": ("stream", "the pieces are"),
    "cut": ("stream", "ended without [DONE]"),
    "error": ("stream", "the engine died"),
    "plain": ("stream", "not text/event-stream"),
    "completions": ("completions", "usage does not add up"),
    "logprobs": ("logprobs", "at most 0"),
    "tools": ("tools", "no JSON"),
    "json_schema": ("json_schema", "does not match"),
    "wrong_model": ("wrong_model", "any name of a model is answered"),
    "wrong_key": ("wrong_key", "a wrong key is answered"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_its_check(monkeypatch, fault):
    monkeypatch.setenv("A_KEY", "sk-right")
    name, text = FAULTS[fault]
    with OpenAIServer(broken=[fault], key="sk-right") as server:
        found = smoke_test(server.url, key_env="A_KEY", require=[name])
    [check] = [check for check in found.checks if check.name == name]
    assert check.verdict == "fails"
    assert text in check.found
    assert check in found.failed


def test_an_answer_that_changes_at_temperature_0_is_noted_and_not_compared():
    with OpenAIServer(broken=["random"]) as server:
        found = smoke_test(server.url)
    [stream] = [check for check in found.checks if check.name == "stream"]
    assert (stream.verdict, "not deterministic" in stream.found) == ("holds", True)


def test_a_text_that_the_answer_lacks_fails():
    with OpenAIServer() as server:
        found = smoke_test(server.url, prompt="Who?", expect="enemy")
    assert [(check.name, check.verdict) for check in found.failed] == [("chat", "fails")]


def test_tools_that_are_accepted_and_never_called_are_not_shown_to_be_parsed():
    with OpenAIServer(broken=["text"]) as server:
        found = smoke_test(server.url)
    [tools] = [check for check in found.checks if check.name == "tools"]
    assert (tools.verdict, "answers in text" in tools.found) == ("not offered", True)


def test_the_first_of_several_models_is_asked_and_named():
    with OpenAIServer(models=["one", "two"]) as server:
        found, named = smoke_test(server.url), smoke_test(server.url, model="two")
        assert {request["model"] for request in server.seen} >= {"one", "two"}
    assert found.model == "one"
    assert "the first of 2 models" in found.notes[0]
    assert (named.model, named.notes) == ("two", [])


def test_an_endpoint_without_a_list_is_asked_for_a_named_model():
    with OpenAIServer(missing=["models"]) as server:
        found = smoke_test(server.url, model="tiny")
        with pytest.raises(MachineError, match="gives no list of models") as caught:
            smoke_test(server.url)
    assert (verdicts(found)["models"], found.failed) == ("not offered", [])
    assert "--model" in caught.value.fix


def test_a_name_that_is_not_listed_fails():
    with OpenAIServer(broken=["wrong_model"]) as server:
        found = smoke_test(server.url, model="other", require=["models"])
    assert [check.name for check in found.failed] == ["models"]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_an_endpoint_that_does_not_listen_is_named_with_the_fix():
    port = free_port()
    with pytest.raises(MachineError, match=rf"http://127.0.0.1:{port}/v1/models: ConnectionRefusedError") as caught:
        smoke_test(f"127.0.0.1:{port}")
    assert f"nothing listens at 127.0.0.1:{port}" in caught.value.fix


def test_an_endpoint_that_is_not_ready_in_time_is_named_with_what_it_said():
    with pytest.raises(MachineError, match=r"is not ready after 0.3 s; the last it said: ConnectionRefusedError"):
        smoke_test(f"http://127.0.0.1:{free_port()}/v1", wait=0.3)


def test_an_endpoint_is_waited_for():
    server, begin = OpenAIServer(), threading.Event()
    port = free_port()

    def start():
        begin.wait(5)
        server.__enter__(port)

    thread = threading.Thread(target=start)
    thread.start()
    threading.Timer(0.3, begin.set).start()
    try:
        assert smoke_test(f"http://127.0.0.1:{port}/v1", wait=20).failed == []
    finally:
        thread.join()
        server.__exit__()


def test_a_key_that_is_refused_or_missing_is_named(monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-other")
    with OpenAIServer(key="sk-right") as server:
        with pytest.raises(MachineError, match="status 401: no such key") as caught:
            smoke_test(server.url, key_env="A_KEY")
        with pytest.raises(AskError, match="NO_SUCH_KEY"):
            smoke_test(server.url, key_env="NO_SUCH_KEY")
    assert "--key-env" in caught.value.fix


def test_a_web_page_is_told_from_an_api():
    with OpenAIServer(broken=["page"]) as server, pytest.raises(MachineError, match="a web page") as caught:
        smoke_test(server.url.removesuffix("/v1") + "/app")
    assert "/v1" in caught.value.fix


def test_tls_is_told_from_plain_http():
    with OpenAIServer() as server, pytest.raises(MachineError) as caught:
        smoke_test(server.url.replace("http://", "https://"))
    assert "http://" in caught.value.fix


@pytest.mark.parametrize("url", ["ftp://host/v1", "http://", "http://user:secret@host/v1"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(AskError) as caught:
        smoke_test(url)
    assert caught.value.code == "ask.wrong-value"
