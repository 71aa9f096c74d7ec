"""The checks of a smoke test: each asks the endpoint, and says in words what was found."""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from burnish.endpoints.client import Reply, reply_in
from burnish.endpoints.faults import said_in
from burnish.endpoints.smoke.probe import NOT_OFFERED, FailedError, NotOfferedError, Probe, Streamed

CHAT = "/chat/completions"
PROMPT = "Say hello in one short sentence."
_MAX_TOKENS, _MOST_SHOWN = 64, 60
_KNOWN = ("stop", "length", "tool_calls", "function_call", "content_filter")
_NO_MODEL, _NO_KEY = "burnish-smoke-test-no-such-model", "burnish-smoke-test-no-such-key"
_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}},
    "required": ["answer"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Asked:
    """What is tested: the endpoint, a model of it, and what the user expects of an answer."""

    probe: Probe
    model: str
    listed: list[str] | None
    """The models that it lists; None if it has no list."""
    has_key: bool
    prompt: str = PROMPT
    expect: str | None = None

    def body(self, text: str = "", **fields: Any) -> dict[str, Any]:
        """A chat, drawn the same way each time."""
        messages = [{"role": "user", "content": text or self.prompt}]
        fixed = {"temperature": 0, "seed": 0, "max_tokens": _MAX_TOKENS}
        return {"model": self.model, "messages": messages, **fixed, **fields}


def models(asked: Asked) -> str:
    if asked.listed is None:
        raise NotOfferedError("GET /models gives no list")
    if asked.model not in asked.listed:
        raise FailedError(f"{asked.model} is not among {_few(asked.listed)}", "set --model to one that is listed")
    return _few(asked.listed)


def chat(asked: Asked) -> str:
    reply, body = _chat(asked, asked.body())
    if not (reply.text.strip() or reply.tool_calls or reply.refusal or reply.reasoning):
        raise FailedError("the answer is empty", "look at the server's template and its stop tokens")
    if asked.expect is not None and asked.expect not in reply.text:
        raise FailedError(f"the answer lacks {_shown(asked.expect)}: {_shown(reply.text)}", "is it the right model?")
    return f"{_shown(reply.text) or 'reasoning only'}{_usage(body)}"


def stream(asked: Asked) -> str:
    whole = _content(_chat(asked, asked.body())[0])
    first = _stream(asked)
    text = f"{first.chunks} pieces, the first text after {first.first:.2f} s"
    text += "" if first.is_ended else ", no [DONE] at the end"
    if not first.reply.finish_reason:
        raise FailedError("no piece has a finish_reason", "clients cannot tell an answer that is cut off")
    _known(first.reply.finish_reason)
    if _content(first.reply) == whole:
        return f"{text}; the same as the whole answer"
    again = _content(_chat(asked, asked.body())[0])
    if again != whole or _content(_stream(asked).reply) != _content(first.reply):
        return f"{text}; not deterministic at temperature 0: the whole answer cannot be compared"
    what = f"the pieces are {_shown(first.reply.text)}, the whole answer is {_shown(whole[0])}"
    raise FailedError(what, "the server renders or stops the two differently")


def completions(asked: Asked) -> str:
    fields = {"temperature": 0, "seed": 0, "max_tokens": 16, "prompt": "Once upon a time"}
    body = asked.probe.answer("/completions", {"model": asked.model, **fields})
    choice = _choice(body)
    if not isinstance(choice.get("text"), str):
        raise FailedError("the first choice has no text")
    _known(choice.get("finish_reason"))
    return f"{_shown(choice['text'])}{_usage(body)}"


def logprobs(asked: Asked) -> str:
    reply, body = _chat(asked, asked.body(logprobs=True, top_logprobs=2, max_tokens=16), optional=True)
    given = _choice(body).get("logprobs")
    content = given.get("content") if isinstance(given, dict) else None
    if not content:
        raise NotOfferedError("the reply has none, and no error")
    try:
        tokens = [str(one["token"]) for one in content]
        values = [float(one["logprob"]) for one in content]
        most = max(len(one.get("top_logprobs") or ()) for one in content)
    except (TypeError, KeyError, ValueError) as error:
        raise FailedError(
            f"an entry lacks {error}, or it is no number", "each has token, logprob and top_logprobs"
        ) from error
    if any(not value <= 1e-3 for value in values):
        raise FailedError(f"a log-probability is {max(values):g}: it is at most 0", "")
    joined = "".join(tokens)
    if "�" not in joined and not reply.reasoning and not joined.strip().startswith(reply.text.strip()):
        raise FailedError(f"the tokens are {_shown(joined)}, the text is {_shown(reply.text)}")
    return f"{len(tokens)} tokens, {most} alternatives each"


def tools(asked: Asked) -> str:
    text = "What is the weather in Oslo? Call get_weather."
    reply, body = _chat(asked, asked.body(text, tools=[_TOOL]), optional=True)
    if not reply.tool_calls:
        with contextlib.suppress(NotOfferedError, FailedError):
            reply, body = _chat(asked, asked.body(text, tools=[_TOOL], tool_choice="required"), optional=True)
    if not reply.tool_calls:
        raise NotOfferedError(f"tools are accepted, and the model answers in text: {_shown(reply.text)}")
    for call in reply.tool_calls:
        function = call.get("function") or {}
        if function.get("name") != "get_weather":
            raise FailedError(f"the call is of {function.get('name')!r}, which is not offered")
        try:
            arguments = json.loads(str(function.get("arguments")))
        except (TypeError, ValueError) as error:
            raise FailedError(f"the arguments are no JSON: {function.get('arguments')!r}") from error
        if not isinstance(arguments, dict):
            raise FailedError(f"the arguments are no object: {function['arguments']}")
        if not call.get("id"):
            raise FailedError("a call has no id", "answers of tools are matched by it")
    if (finish := _choice(body).get("finish_reason")) != "tool_calls":
        raise FailedError(f"the calls are parsed, and finish_reason is {finish!r}", "clients look for tool_calls")
    function = reply.tool_calls[0]["function"]
    return f"{function['name']}({_shown(function['arguments'])})"


def json_schema(asked: Asked) -> str:
    form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": _SCHEMA}}
    reply, _ = _chat(asked, asked.body("Is ice cold? Reply in JSON.", response_format=form), optional=True)
    try:
        value = json.loads(reply.text)
    except ValueError:
        value = None
    if value is None and reply.finish_reason == "length":
        raise NotOfferedError(f"the answer was cut off before it was whole: {_shown(reply.text)}")
    if not (isinstance(value, dict) and list(value) == ["answer"] and value["answer"] in ("yes", "no")):
        what = f"response_format was accepted, and the answer does not match it: {_shown(reply.text)}"
        raise FailedError(what, "the server ignores the field; validate answers yourself")
    return json.dumps(value)


def wrong_model(asked: Asked) -> str:
    posted = asked.probe.post(CHAT, {**asked.body(max_tokens=1), "model": _NO_MODEL})
    if posted.status == 200:
        raise FailedError("any name of a model is answered", "a misspelt name is not noticed there: check it yourself")
    if posted.status not in NOT_OFFERED:
        raise FailedError(f"status {posted.status}: {said_in(posted)}", "an unknown model is a 404 in OpenAI's API")
    return f"status {posted.status}{'' if posted.status == 404 else ', which is 404 in OpenAI’s API'}"


def wrong_key(asked: Asked) -> str:
    posted = asked.probe.with_key(_NO_KEY).post(CHAT, asked.body(max_tokens=1))
    if posted.status in (401, 403):
        return f"status {posted.status}"
    if not asked.has_key:
        raise NotOfferedError("the endpoint wants no key")
    what = "a request with a wrong key is answered" if posted.status == 200 else f"status {posted.status}"
    raise FailedError(what, "set keys at the server, or ask it without --key-env")


CHECKS: Mapping[str, tuple[str, Callable[[Asked], str]]] = {
    "models": ("Is the model listed?", models),
    "chat": ("Is a chat answered, with known finish_reason and counts that add up?", chat),
    "stream": ("Do the streamed pieces add up to the whole answer?", stream),
    "completions": ("Is a plain prompt continued?", completions),
    "logprobs": ("Are there log-probabilities of the answer's tokens?", logprobs),
    "tools": ("Are calls of tools parsed?", tools),
    "json_schema": ("Does an answer match a JSON schema?", json_schema),
    "wrong_model": ("Is an unknown model refused?", wrong_model),
    "wrong_key": ("Is a wrong key refused?", wrong_key),
}
"""Name → (question, check). A check returns what was found, or raises FailedError or NotOfferedError."""


def _chat(asked: Asked, body: Mapping[str, Any], optional: bool = False) -> tuple[Reply, dict[str, Any]]:
    """The reply, and its body. Only what is `optional` may be not offered."""
    try:
        found = asked.probe.answer(CHAT, body)
    except NotOfferedError as error:
        if optional:
            raise
        raise FailedError(
            str(error), "check the path of the address, the model's name, and its chat template"
        ) from error
    reply = reply_in(found)
    if reply is None:
        raise FailedError(f"the reply is not a chat completion: {_shown(json.dumps(found))}")
    _known(_choice(found).get("finish_reason"))
    return reply, found


def _stream(asked: Asked) -> Streamed:
    return asked.probe.stream(CHAT, asked.body())


def _content(reply: Reply) -> tuple[str, str, list[Any]]:
    return reply.text, reply.reasoning, [call.get("function") for call in reply.tool_calls]


def _choice(body: Mapping[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    choice: Any = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise FailedError("the reply has no choices")
    return choice


def _known(finish_reason: Any) -> None:
    if finish_reason not in _KNOWN:
        raise FailedError(f"finish_reason is {finish_reason!r}", f"known are {', '.join(_KNOWN)}")


def _usage(body: Mapping[str, Any]) -> str:
    """The counts, in words; FailedError if they do not add up."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return " (tokens are not counted)"
    given = [usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    numbers = [number for number in given if type(number) is int and number >= 0]
    if len(numbers) < 3 or numbers[0] + numbers[1] != numbers[2]:
        raise FailedError(
            f"usage does not add up: {json.dumps(usage)[:200]}", "limits of tokens cannot be kept with it"
        )
    return f" ({numbers[0]} + {numbers[1]} tokens)"


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _shown(text: str) -> str:
    flat = " ".join(text.split())
    return (
        json.dumps(flat if len(flat) <= _MOST_SHOWN else f"{flat[:_MOST_SHOWN]}…", ensure_ascii=False) if flat else ""
    )
