"""Names of roles in use, and the roles they mean."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from burnish.data.record import RowError
from burnish.data.strict_json import parse

FUNCTION_CALL = "function_call"
"""A turn of its own that holds the calls of an assistant."""

ROLE_OF = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "function_call": FUNCTION_CALL,
    "tool_call": FUNCTION_CALL,
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "ipython": "tool",
}


def roles_in(raw: dict[str, Any]) -> Iterator[str]:
    """The names of roles in the turns of a raw row, at any depth, as JSON text or not."""
    todo: list[Any] = [raw]
    while todo:
        value = todo.pop()
        if isinstance(value, str) and value.lstrip().startswith("[{"):
            with suppress(RowError):
                todo.append(parse(value))
        elif isinstance(value, list):
            todo += value
        elif isinstance(value, dict):
            yield from (value[key] for key in ("role", "from") if isinstance(value.get(key), str))
            todo += value.values()


def role_of(written: Any, roles: Mapping[str, str], field: str) -> str:
    """The role of a word, in any letter case; `roles` are the source's names. RowError when it is unknown."""
    if isinstance(written, str):
        role = roles.get(written) or ROLE_OF.get(written.strip().lower())
        if role is not None:
            return role
    known = ", ".join(ROLE_OF)
    raise RowError(
        field, f"the role {written!r:.60} is unknown: map it with `roles: {{theirs: ours}}` (known: {known})"
    )
