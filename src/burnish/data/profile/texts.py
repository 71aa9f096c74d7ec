"""What is written in a row, as one text or as turns that can be shown."""

from collections.abc import Iterator
from typing import Any

from burnish.data.document import Row, every_message
from burnish.data.rewriting.calls import texts_of_calls


def text_of(row: Row) -> str:
    """All contents, reasoning and arguments of tool calls of a row, a line feed between them."""
    if row["kind"] == "text":
        return row["text"]
    return "\n".join(text for message in every_message(row) for text in _texts(message) if text)


def texts_of(row: Row) -> Iterator[str]:
    """Each text by itself, as `clean` rewrites them: contents, reasoning, the texts in arguments of tool calls."""
    if row["kind"] == "text":
        yield row["text"]
        return
    for message in every_message(row):
        yield message.get("reasoning_content", "")
        yield message["content"]
        yield from texts_of_calls(message.get("tool_calls"))


def turns_of(row: Row, most: int) -> list[dict[str, Any]]:
    """(role, text, characters that are cut) of each turn, `most` characters of the row in all."""
    parts = [
        (name, message) for name in ("messages", "chosen", "rejected", "completion") for message in row.get(name, ())
    ]
    turns = [(_role(name, message), "\n".join(filter(None, _texts(message)))) for name, message in parts]
    if row["kind"] == "text":
        turns = [("text", row["text"])]
    share = max(200, most // max(1, len(turns)))
    shown, left = [], most
    for role, text in turns:
        if left <= 0:
            break
        shown.append({"role": role, "text": text[:share], "cut": max(0, len(text) - share)})
        left -= min(share, len(text))
    if len(shown) < len(turns):
        shown.append({"role": "", "text": f"({len(turns) - len(shown):,} more turns)", "cut": 0})
    return shown


def _texts(message: dict[str, Any]) -> list[str]:
    calls = [f"{call['function']['name']} {call['function']['arguments']}" for call in message.get("tool_calls", ())]
    return [message.get("reasoning_content", ""), message["content"], *calls]


def _role(name: str, message: dict[str, Any]) -> str:
    return message["role"] if name == "messages" else f"{message['role']} ({name})"
