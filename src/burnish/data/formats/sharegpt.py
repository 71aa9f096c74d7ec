"""ShareGPT's layout: `conversations` of from and value, with `system`, `tools`, function calls and observations."""

from typing import Any

from burnish.data.document import Row, make_row
from burnish.data.formats.format import Format, Raw, rest_of, tag_of
from burnish.data.formats.turns import list_of, system_of, tools_of, turns, with_system


def fits(raw: Raw) -> str:
    if any(key in raw for key in ("chosen", "rejected", "kto_tag")) or isinstance(raw.get("label"), bool):
        return ""
    return "conversations with from and value" if is_conversation(raw.get("conversations")) else ""


def read(raw: Raw, source: str) -> Row:
    extra = rest_of(raw, "conversations", "tools", "system", "tag")
    messages = with_system(system_of(raw), turns(list_of(raw, "conversations"), "conversations", extra))
    kind = "chat" if any(m["role"] == "assistant" for m in messages) else "prompt"
    return make_row(kind, source, messages=messages, tools=tools_of(raw.get("tools")), tag=tag_of(raw), extra=extra)


def is_conversation(value: Any) -> bool:
    """A list of turns, themselves or spelled as JSON; some corpora keep role and content under `conversations`."""
    if isinstance(value, str):
        return value.lstrip().startswith("[") and ('"from"' in value or '"role"' in value)
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    return {"from", "value"} <= value[0].keys() or {"role", "content"} <= value[0].keys()


FORMAT = Format("sharegpt", ("conversations",), fits, read)
