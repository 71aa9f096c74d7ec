"""Two answers to one prompt, the better one known: `chosen`/`rejected`, or OpenAI's `preferred_output`."""

from typing import Any

from burnish.data.document import Message, Row, make_row
from burnish.data.formats.alpaca import question
from burnish.data.formats.format import Format, Raw, rest_of, tag_of
from burnish.data.formats.pairs import said
from burnish.data.formats.sharegpt import is_conversation
from burnish.data.formats.turns import list_of, system_of, tools_of, turns, with_system
from burnish.data.record import RowError

_NAMES = {"chosen": "preferred_output", "rejected": "non_preferred_output"}


def fits(raw: Raw) -> str:
    if "preferred_output" in raw and "non_preferred_output" in raw:
        return "preferred_output and non_preferred_output"
    return "chosen and rejected" if "chosen" in raw and "rejected" in raw else ""


def read(raw: Raw, source: str) -> Row:
    chosen, rejected = (_NAMES[name] if _NAMES[name] in raw else name for name in ("chosen", "rejected"))
    used = {chosen, rejected, "system", "tools", "tag"}
    extra: dict[str, Any] = {}
    tools = raw.get("tools")
    messages: list[Message] = []
    if is_conversation(raw.get("conversations")):
        used.add("conversations")
        messages = turns(list_of(raw, "conversations"), "conversations", extra)
    elif raw.get("messages") is not None:
        used.add("messages")
        messages = turns(list_of(raw, "messages"), "messages", extra)
    elif isinstance(raw.get("input"), dict):
        used.add("input")
        messages, tools = _openai_input(raw["input"], extra)
    elif raw.get("instruction") is not None:
        used |= {"instruction", "input", "history"}
        messages = question({key: value for key, value in raw.items() if key != "system"})
    elif raw.get("prompt") is not None:
        used.add("prompt")
        messages = said(raw, "prompt", "user", extra)
    answers = [said(raw, name, "assistant", extra) for name in (chosen, rejected)]
    messages, better, worse = _apart(messages, answers[0], answers[1])
    extra |= rest_of(raw, *used)
    return make_row(
        "preference",
        source,
        messages=with_system(system_of(raw), messages),
        tools=tools_of(tools),
        chosen=better,
        rejected=worse,
        tag=tag_of(raw),
        extra=extra,
    )


def _openai_input(value: dict[str, Any], extra: dict[str, Any]) -> tuple[list[Message], Any]:
    messages = turns(list_of(value, "messages"), "input.messages", extra)
    extra |= {f"input.{key}": rest for key, rest in rest_of(value, "messages", "tools").items()}
    return messages, value.get("tools")


def _apart(
    prompt: list[Message], chosen: list[Message], rejected: list[Message]
) -> tuple[list[Message], list[Message], list[Message]]:
    """(prompt, chosen, rejected): many corpora repeat the prompt's turns inside both answers."""
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    repeated = chosen[:shared]
    if not prompt:
        if not repeated:
            raise RowError("prompt", "there is no prompt: neither a column nor turns that both answers share")
        return repeated, chosen[shared:], rejected[shared:]
    if repeated:
        without_system = [m for m in prompt if m["role"] != "system"]
        if repeated in (prompt, without_system):
            return prompt, chosen[shared:], rejected[shared:]
        if len(prompt) == 1 and any(m["content"] == prompt[0]["content"] for m in repeated):
            return repeated, chosen[shared:], rejected[shared:]
        raise RowError("chosen", "both answers begin with turns that are not those of the prompt")
    return prompt, chosen, rejected


FORMAT = Format("preference", ("chosen", "rejected"), fits, read)
