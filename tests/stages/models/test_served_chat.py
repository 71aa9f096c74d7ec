"""Chat with an endpoint: answers are streamed, and a conversation that breaks is not silently cut."""

import json

import pytest

from burnish.core.errors import MachineError
from burnish.stages.models.served_chat import ServedDialog, main
from openai_server import CALL, OpenAIServer


def dialog(server, **fields):
    return ServedDialog(server.url, {"model": "tiny", **fields}, {}, 5)


def test_a_conversation_is_sent_with_its_turns_and_streamed_by_pieces():
    with OpenAIServer() as server:
        talk = dialog(server, max_tokens=9)
        talk.system = "Be brief"
        assert list(talk.ask("Hi")) == ["Hello", " there,", " friend."]
        list(talk.ask("And now?"))
    assert server.seen[-1] == {
        "model": "tiny",
        "max_tokens": 9,
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello there, friend."},
            {"role": "user", "content": "And now?"},
        ],
    }


class Streams(OpenAIServer):
    """A server that streams these deltas."""

    def stream(self, handler, words):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for delta in self.deltas:
            chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            handler.wfile.write(f"data: {json.dumps(chunk)}\r\n\r\n".encode())
        handler.wfile.write(
            b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
        )
        handler.close_connection = True


def test_reasoning_and_calls_are_shown_as_text_and_reasoning_is_kept_apart():
    name, arguments = CALL["function"]["name"], CALL["function"]["arguments"]
    with Streams() as server:
        server.deltas = [
            {"reasoning_content": "I "},
            {"reasoning_content": "wonder"},
            {"content": "Let me look."},
            {"tool_calls": [{"index": 0, "id": "c", "function": {"name": name, "arguments": arguments[:5]}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": arguments[5:]}}]},
        ]
        talk = dialog(server)
        shown = "".join(talk.ask("Hi"))
    call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
    assert shown == f"<think>\nI wonder\n</think>\nLet me look.\n{call}"
    assert talk.messages[-1] == {
        "role": "assistant",
        "content": f"Let me look.\n{call}",
        "reasoning_content": "I wonder",
    }


@pytest.mark.parametrize(
    ("fault", "text"),
    [("cut", "cut off after 4 pieces"), ("error", "the engine died"), ("plain", "does not stream")],
)
def test_an_answer_that_breaks_is_an_error_and_its_question_forgotten(fault, text):
    with OpenAIServer(broken=[fault]) as server:
        talk = dialog(server)
        with pytest.raises(MachineError, match=text):
            list(talk.ask("Hi"))
    assert talk.messages == []


def test_an_answer_that_is_stopped_stays_as_far_as_it_came():
    with OpenAIServer() as server:
        talk = dialog(server)
        answer = talk.ask("Hi")
        next(answer)
        answer.close()
    assert talk.messages[-1] == {"role": "assistant", "content": "Hello"}


def test_one_question_is_answered_for_scripts_by_the_first_listed_model(capsys, monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-right")
    with OpenAIServer(models=["one", "two"], key="sk-right") as server:
        asked = json.dumps({"url": server.url, "model": None, "key_env": "A_KEY"})
        assert main([asked, "--ask", "Hi"]) == 0
        assert server.seen[0]["model"] == "one"
        assert server.seen[0]["temperature"] == 0
        wrong = json.dumps({"url": server.url, "model": "three", "key_env": "A_KEY"})
        printed = capsys.readouterr()
        assert main([wrong, "--ask", "Hi"]) == 5
    assert printed.out == "Hello there, friend.\n"
    assert "the first of 2 models" in printed.err
    assert "no such model" in capsys.readouterr().err
