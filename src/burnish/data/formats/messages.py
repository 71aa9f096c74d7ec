"""OpenAI's layout: `messages` of role and content, with tool calls, typed parts and weights per turn."""

from typing import Any

from burnish.data.document import Row, make_row
from burnish.data.formats.format import Format, Raw, rest_of, tag_of
from burnish.data.formats.turns import list_of, system_of, tools_of, turns, with_system


def fits(raw: Raw) -> str:
    if any(key in raw for key in ("chosen", "rejected", "completion", "kto_tag", "preferred_output")):
        return ""
    found = _is_turns(raw.get("messages"))
    return "messages with role and content" if found and not isinstance(raw.get("label"), bool) else ""


def read(raw: Raw, source: str) -> Row:
    extra = rest_of(raw, "messages", "tools", "functions", "system", "tag")
    messages = with_system(system_of(raw), turns(list_of(raw, "messages"), "messages", extra))
    tools = tools_of(raw["tools"] if raw.get("tools") is not None else raw.get("functions"))
    kind = "chat" if any(m["role"] == "assistant" for m in messages) else "prompt"
    return make_row(kind, source, messages=messages, tools=tools, tag=tag_of(raw), extra=extra)


def _is_turns(value: Any) -> bool:
    if isinstance(value, str):
        return value.lstrip().startswith("[") and '"role"' in value
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "role" in value[0]


FORMAT = Format("messages", ("messages",), fits, read)
