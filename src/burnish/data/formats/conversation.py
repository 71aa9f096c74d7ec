"""Conversations turn by turn: OpenAI's, Anthropic's and Bedrock's `messages`, `conversations`, Gemini's `contents`."""

from typing import Any

from burnish.data.document import Message
from burnish.data.formats.columns import Columns, Raw, is_turns
from burnish.data.formats.format import Format


def _format(name: str, columns_of_turns: tuple[str, ...], has: str) -> Format:
    def fits(raw: Raw) -> str:
        column = next((column for column in columns_of_turns if is_turns(raw.get(column))), None)
        return f"{column} with {has}" if column else ""

    def map(columns: Columns) -> dict[str, Any]:
        column = next((column for column in columns_of_turns if columns.has(column)), columns_of_turns[0])
        return conversation(columns.turns(column))

    return Format(name, (columns_of_turns,), fits, map)


def conversation(messages: list[Message]) -> dict[str, Any]:
    """A chat, or a prompt where no turn answers."""
    kind = "chat" if any(message["role"] == "assistant" for message in messages) else "prompt"
    return {"kind": kind, "messages": messages}


MESSAGES = _format("messages", ("messages",), "role and content")
SHAREGPT = _format("sharegpt", ("conversations", "conversation"), "from and value")
GEMINI = _format("gemini", ("contents",), "role and parts")
