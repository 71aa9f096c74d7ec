"""The forms of rows: what a reply in JSON must be like, and the row of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from burnish.data.document import Message, conversation_text
from burnish.data.synthesize.model.schemas import TEXT, UnusableError, call_schema, list_of, object_of
from burnish.data.synthesize.model.slots import Draft, Slot

_MOST_CALLS = 4


@dataclass(frozen=True)
class Options:
    """Settings of single forms."""

    turns: int = 4
    results: bool = True


@dataclass(frozen=True)
class Form:
    """`schema` of the reply to a slot, and the `draft` of a value that fits it. Errors of `draft`: UnusableError."""

    schema: Callable[[Slot, Options], dict[str, Any]]
    draft: Callable[[Mapping[str, Any], Slot, Options], Draft]


def _says(role: str, content: str) -> Message:
    return {"role": role, "content": content.strip()}


def _text(value: str, name: str) -> str:
    if not value.strip():
        raise UnusableError("empty", f"{name} is empty")
    return value.strip()


def _instruction(value: Mapping[str, Any], slot: Slot, options: Options) -> Draft:
    request, answer = _text(value["request"], "request"), _text(value["answer"], "answer")
    messages = [_says("user", request), _says("assistant", answer)]
    return Draft(slot, "chat", {"messages": messages}, request, answer)


def _conversation(value: Mapping[str, Any], slot: Slot, options: Options) -> Draft:
    texts = [_text(text, f"turn {place}") for place, text in enumerate(value["turns"], start=1)]
    messages = [_says("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]
    return Draft(slot, "chat", {"messages": messages}, texts[0], conversation_text(messages[1:]))


def _preference(value: Mapping[str, Any], slot: Slot, options: Options) -> Draft:
    request, good, worse = (_text(value[name], name) for name in ("request", "good", "worse"))
    if good == worse:
        raise UnusableError("equal answers", "both answers are the same")
    answers = {"chosen": [_says("assistant", good)], "rejected": [_says("assistant", worse)]}
    return Draft(slot, "preference", {"messages": [_says("user", request)], **answers}, request, good)


def _tools_schema(slot: Slot, options: Options) -> dict[str, Any]:
    members: dict[str, Any] = {"request": TEXT, "calls": list_of(call_schema(slot.tools), 1, _MOST_CALLS)}
    if options.results:
        members |= {"results": list_of(TEXT, 1, _MOST_CALLS), "answer": TEXT}
    return object_of(**members)


def _tools(value: Mapping[str, Any], slot: Slot, options: Options) -> Draft:
    """The results are the model's: `simulated_results` marks them."""
    request, calls = _text(value["request"], "request"), []
    for place, call in enumerate(value["calls"], start=1):
        function = {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)}
        calls.append({"id": f"call_{place}", "type": "function", "function": function})
    messages: list[Message] = [_says("user", request), {"role": "assistant", "content": "", "tool_calls": calls}]
    extra = {}
    if options.results:
        if len(value["results"]) != len(calls):
            raise UnusableError("other schema", f"{len(calls)} calls have {len(value['results'])} results")
        for call, result in zip(calls, value["results"], strict=True):
            name = call["function"]["name"]
            messages.append({"role": "tool", "content": result, "name": name, "tool_call_id": call["id"]})
        messages.append(_says("assistant", _text(value["answer"], "answer")))
        extra = {"simulated_results": True}
    answer = "\n".join([*(json.dumps(call["function"], ensure_ascii=False) for call in calls), value.get("answer", "")])
    return Draft(slot, "chat", {"messages": messages, "tools": list(slot.tools)}, request, answer.strip(), extra)


def _turns_schema(slot: Slot, options: Options) -> dict[str, Any]:
    return object_of(turns=list_of(TEXT, options.turns, options.turns))


_QUESTION = object_of(request=TEXT, answer=TEXT)
_PAIR = object_of(request=TEXT, good=TEXT, worse=TEXT)
FORMS = {
    "instruction": Form(lambda slot, options: _QUESTION, _instruction),
    "conversation": Form(_turns_schema, _conversation),
    "preference": Form(lambda slot, options: _PAIR, _preference),
    "tools": Form(_tools_schema, _tools),
    "evolved": Form(lambda slot, options: _QUESTION, _instruction),
}
"""What is requested as JSON, by `make`."""
