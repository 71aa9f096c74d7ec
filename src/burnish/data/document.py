"""The canonical row: what every format is mapped to, how it is checked, and the hash that names its content."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from burnish.data.record import RowError

Row = dict[str, Any]
Message = dict[str, Any]
ROLES = ("system", "user", "assistant", "tool")
KINDS = ("chat", "text", "preference", "label", "prompt")
_CONTENT = ("kind", "messages", "tools", "text", "chosen", "rejected", "completion", "label")


def make_row(
    kind: str,
    source: str,
    *,
    messages: list[Message] | None = None,
    tools: list[dict[str, Any]] | None = None,
    text: str | None = None,
    chosen: list[Message] | None = None,
    rejected: list[Message] | None = None,
    completion: list[Message] | None = None,
    label: bool | None = None,
    tag: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Row:
    """Build and check a row; keys that do not apply are absent. RowError names the field that is wrong."""
    content = {
        "kind": kind,
        "messages": messages,
        "tools": tools or None,
        "text": text,
        "chosen": chosen,
        "rejected": rejected,
        "completion": completion,
        "label": label,
        "tag": tag,
        "extra": dict(extra) if extra else None,
    }
    row = {"id": "", "source": source} | {key: value for key, value in content.items() if value is not None}
    check(row)
    row["id"] = content_id(row)
    return row


def content_id(row: Row) -> str:
    """16 hex digits of the sha256 of what a model would see: equal content, equal id, whatever its source and tag.

    Of a prompt row the extra columns count too: the reference answer that a reward compares with lies there.
    """
    names = (*_CONTENT, "extra") if row["kind"] == "prompt" else _CONTENT
    return hashlib.sha256(canonical_json({n: row[n] for n in names if n in row})).hexdigest()[:16]


def every_message(row: Row) -> Iterator[Message]:
    """The turns of a row, then those of its answers (chosen, rejected, completion)."""
    for name in ("messages", "chosen", "rejected", "completion"):
        yield from row.get(name, ())


def answers_of(row: Row) -> list[list[Message]]:
    """The answers that stand apart from a row's messages: of a preference the chosen and the rejected one, of a label
    its completion; of other kinds none."""
    return [row[name] for name in ("chosen", "rejected", "completion") if name in row]


def conversation_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """Messages as text: one user turn as it is, several with their roles."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return str(messages[0]["content"])
    return "\n\n".join(f"{turn['role'].capitalize()}: {_turn_text(turn)}" for turn in messages)


def _turn_text(turn: Mapping[str, Any]) -> str:
    calls = [call.get("function", call) for call in turn.get("tool_calls") or ()]
    return "\n".join([turn["content"], *(json.dumps(call, ensure_ascii=False) for call in calls)]).strip()


def canonical_json(value: Any) -> bytes:
    """The one spelling of a value: keys sorted, no white space, UTF-8."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def check(row: Row) -> None:
    """RowError when a row is not as docs/architecture/contracts.md says."""
    kind = row["kind"]
    if kind == "text":
        _require(isinstance(row.get("text"), str) and row["text"].strip() != "", "text", "the text is empty")
        return
    messages = row.get("messages", [])
    _require(bool(messages) or kind == "preference", "messages", "there are no turns")
    for name in ("messages", "chosen", "rejected", "completion"):
        for i, message in enumerate(row.get(name, ())):
            _check_message(message, f"{name}.{i}")
    if kind == "chat":
        _require(any(m["role"] == "assistant" for m in messages), "messages", "no turn is an answer")
    if kind == "preference":
        _check_answer(row, "chosen")
        _check_answer(row, "rejected")
        _require(row["chosen"] != row["rejected"], "rejected", "chosen and rejected are the same")
    if kind == "label":
        _check_answer(row, "completion")
        _require(isinstance(row.get("label"), bool), "label", "the label must be true or false")


def _check_answer(row: Row, name: str) -> None:
    answer = row.get(name)
    _require(bool(answer) and answer[-1]["role"] == "assistant", name, "the answer is missing")


def _check_message(message: Message, field: str) -> None:
    role, content, calls = message["role"], message["content"], message.get("tool_calls")
    _require(role in ROLES, f"{field}.role", f"the role '{role}' is unknown")
    _require(isinstance(content, str), f"{field}.content", "the content is not text")
    answers = bool(calls) or bool(message.get("reasoning_content"))
    if role == "assistant":
        _require(content.strip() != "" or answers, f"{field}.content", "the assistant turn is empty")
    if role == "user":  # whitespace is a question that a template renders, and its answer can be learned
        _require(content != "", f"{field}.content", "the user turn is empty")
    _require(calls is None or role == "assistant", f"{field}.tool_calls", f"a {role} turn cannot call tools")
    weight = message.get("weight")
    _require(
        weight is None or (math.isfinite(weight) and weight >= 0), f"{field}.weight", "the weight must be 0 or more"
    )


def _require(holds: bool, field: str, reason: str) -> None:
    if not holds:
        raise RowError(field, reason)
