"""The turns of a conversation, in any known layout: role/content, from/value, pairs, typed parts."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from burnish.data.document import Message
from burnish.data.formats.media import MEDIA, holds_media
from burnish.data.formats.parts import WEIGHTS, Parts, is_part, read_parts
from burnish.data.formats.rest import keep_rest
from burnish.data.formats.roles import FUNCTION_CALL, role_of
from burnish.data.formats.tools import Schemas, call_list, calls_of
from burnish.data.record import RowError, kind_of

_ROLES = ("role", "from")
_CONTENTS = ("content", "value", "parts", "text", "message")
_REASONING = ("reasoning_content", "reasoning", "thinking")
_CALLS = ("tool_calls", "function_call")
_NAMES = ("name", "tool_call_id")
_MAPPED = {*_REASONING, *WEIGHTS, *_CALLS, *_NAMES}
_SPANS = "train_detail"
_THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)
REFUSALS = "refusals used as the assistant's text"
EXCHANGES = (
    ("human", "assistant"),
    ("human", "gpt"),
    ("user", "assistant"),
    ("input", "output"),
    ("question", "answer"),
)
"""Keys of a question and its answer, where a turn has both."""


class TurnReader:
    """Reads the turns of one row. Unmapped keys go to `extra` under its dotted path."""

    def __init__(self, roles: Mapping[str, str], schemas: Schemas, extra: dict[str, Any], remarks: list[str]):
        self._roles, self._schemas, self._extra, self._remarks = roles, schemas, extra, remarks

    @staticmethod
    def looks_like_a_turn(value: dict[str, Any]) -> bool:
        """A role and a content, or a question and its answer."""
        return any(isinstance(value.get(key), str) for key in _ROLES) or _exchange_of(value) is not None

    def read(self, listed: list[Any], field: str) -> list[Message]:
        """Canonical messages. RowError names the turn and key that is wrong."""
        if not listed:
            raise RowError(field, "there are no turns")
        messages: list[Message] = []
        for i, turn in enumerate(listed):
            path = f"{field}.{i}"
            if not isinstance(turn, dict):
                raise RowError(path, f"a turn must be an object, not {kind_of(turn)}")
            exchange = _exchange_of(turn)
            messages += self._exchange(turn, exchange, path) if exchange else self._turn(turn, path)
        return messages

    def _rest(self, turn: dict[str, Any], used: set[str], path: str) -> None:
        for key in MEDIA:
            if turn.get(key):
                raise RowError(f"{path}.{key}", holds_media(key))
        if turn.get(_SPANS):
            raise RowError(f"{path}.{_SPANS}", "spans of a turn cannot be weighted: weight whole turns with `weight`")
        keep_rest(turn, used, path, self._extra)

    def _exchange(self, turn: dict[str, Any], keys: tuple[str, str], path: str) -> list[Message]:
        """A question and its answer in one object."""
        roles = {"system": "system", keys[0]: "user", keys[1]: "assistant"}
        said = {key: role for key, role in roles.items() if turn.get(key) not in (None, "")}
        for key in said:
            if not isinstance(turn[key], str):
                raise RowError(f"{path}.{key}", f"the content must be a text, not {kind_of(turn[key])}")
        self._rest(turn, {*roles, *WEIGHTS}, path)
        weight = _weight(turn, path)
        messages: list[Message] = [{"role": role, "content": turn[key]} for key, role in said.items()]
        for message in messages:
            if message["role"] == "assistant" and weight is not None:
                message["weight"] = weight
        return messages

    def _turn(self, turn: dict[str, Any], path: str) -> list[Message]:
        """The messages of one turn: results of tools among its parts are messages of their own."""
        role_key = next((key for key in _ROLES if key in turn), "role")
        role = role_of(turn.get(role_key), self._roles, f"{path}.{role_key}")
        content_key = next((key for key in _CONTENTS if turn.get(key) is not None), None)
        content_key = content_key or ("value" if role_key == "from" else "content")
        used = {role_key, content_key, *_MAPPED}
        if role == "assistant" and _is_refused(turn, content_key):
            content_key = "refusal"
            self._remarks.append(REFUSALS)
        self._rest(turn, {*used, content_key}, path)
        value, here = turn.get(content_key), f"{path}.{content_key}"
        if role == FUNCTION_CALL:
            parts, role, calls_at = _called(value, here), "assistant", here
        else:
            parts = self._content(value, here, role, any(turn.get(key) for key in _CALLS))
            calls_at = f"{here}.calls"  # a path apart from that of the parts
        calls = self._calls(parts.calls, calls_at) if parts.calls else []
        calls = self._written_calls(turn, path, calls)
        thought = self._thought(turn, path, "".join(parts.thoughts))
        if thought and role != "assistant":
            raise RowError(path, f"a {role} turn cannot hold reasoning")
        message: Message = {"role": role, "content": "".join(parts.texts)}
        if thought:
            message["reasoning_content"] = thought
        if calls:
            message["tool_calls"] = calls
        for key in _NAMES:
            if turn.get(key) is not None:
                if not isinstance(turn[key], str):
                    raise RowError(f"{path}.{key}", "must be a text")
                message[key] = turn[key]
        weight = _weight(turn, path)
        if weight is not None:
            message["weight"] = weight
        if not parts.results:
            return [message]
        return self._with_results(parts, message, path)

    def _with_results(self, parts: Parts, message: Message, path: str) -> list[Message]:
        """The results of tools in a turn, each as a tool's message, before the rest of the turn."""
        if message["role"] == "assistant":
            raise RowError(path, "an assistant turn cannot hold the result of a tool")
        if "tool_calls" in message:
            raise RowError(path, f"a {message['role']} turn cannot call tools")
        messages: list[Message] = []
        for result in parts.results:
            given = {"name": result.name, "tool_call_id": result.call_id}
            messages.append({"role": "tool", "content": result.content} | {k: v for k, v in given.items() if v})
        if message["content"]:
            return [*messages, message]
        rest = {key: value for key, value in message.items() if key not in ("role", "content")}
        if message["role"] == "tool":
            return [one | rest for one in messages]
        keep_rest(rest, (), path, self._extra)
        return messages

    def _content(self, value: Any, path: str, role: str, calls: bool) -> Parts:
        """A content: a text, typed parts, or nothing where tools are called."""
        if isinstance(value, str):
            return Parts(texts=[value])
        if value is None and calls:
            return Parts()
        if role == "tool" and isinstance(value, dict):
            return Parts(texts=[json.dumps(value, ensure_ascii=False)])
        if isinstance(value, list):
            if role == "tool" and not (value and all(map(is_part, value))):
                return Parts(texts=[json.dumps(value, ensure_ascii=False)])
            return read_parts(value, path, self._extra)
        raise RowError(path, f"the content must be a text, not {kind_of(value)}")

    def _calls(self, listed: list[Any], path: str) -> list[dict[str, Any]]:
        return calls_of(listed, path, self._schemas, self._extra, self._remarks)

    def _written_calls(self, turn: dict[str, Any], path: str, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The calls of `tool_calls`, `function_call` and the parts, which must not contradict each other."""
        for key in _CALLS:
            if not turn.get(key):
                continue
            written = self._calls(call_list(turn[key], f"{path}.{key}"), f"{path}.{key}")
            if calls and not all(call["function"] in [other["function"] for other in calls] for call in written):
                raise RowError(f"{path}.{key}", "the turn has different tool calls in another place")
            calls = calls or written
        return calls

    def _thought(self, turn: dict[str, Any], path: str, thought: str) -> str:
        """The reasoning of a turn; the same text may occur in two places, different texts may not."""
        for key in _REASONING:
            if not turn.get(key):
                continue
            if not isinstance(turn[key], str):
                raise RowError(f"{path}.{key}", "reasoning must be a text")
            if thought and thought != turn[key]:
                raise RowError(f"{path}.{key}", "the turn has different reasoning in another place")
            thought = turn[key]
        return thought


def _exchange_of(turn: dict[str, Any]) -> tuple[str, str] | None:
    """The keys of a question and its answer where a turn holds both."""
    if any(key in turn for key in _ROLES):
        return None
    return next((pair for pair in EXCHANGES if all(isinstance(turn.get(key), str) for key in pair)), None)


def _called(value: Any, path: str) -> Parts:
    """The calls in a value, and the `<think>…</think>` before them, as LLaMA-Factory reads it."""
    thought = _THOUGHT.match(value) if isinstance(value, str) else None
    if thought is None:
        return Parts(calls=call_list(value, path))
    return Parts(calls=call_list(value[thought.end() :], path), thoughts=[thought[1].strip("\n")])


def _is_refused(turn: dict[str, Any], content_key: str) -> bool:
    """Whether the turn is a refusal as OpenAI writes it: the text in `refusal`, null in the content."""
    content, refusal = turn.get(content_key), turn.get("refusal")
    empty = content in (None, []) or (isinstance(content, str) and not content.strip())
    return empty and isinstance(refusal, str) and bool(refusal.strip())


def _weight(turn: dict[str, Any], path: str) -> float | None:
    weight = None
    for key in WEIGHTS:
        value = turn.get(key)
        if value is None:
            continue
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise RowError(f"{path}.{key}", "must be true, false, or a number of 0 or more")
        if weight is not None and weight != value:
            raise RowError(f"{path}.{key}", "the turn has a different weight in another place")
        weight = float(value)
    return weight
