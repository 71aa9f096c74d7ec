"""One answer to a prompt and whether it is wanted: `label` or `kto_tag` beside any of the chat layouts."""

from typing import Any

from burnish.data.document import Message, Row, make_row
from burnish.data.formats.alpaca import question
from burnish.data.formats.format import Format, Raw, rest_of, tag_of
from burnish.data.formats.pairs import is_said, said
from burnish.data.formats.sharegpt import is_conversation
from burnish.data.formats.turns import list_of, system_of, tools_of, turns, with_system
from burnish.data.record import RowError, kind_of

_WORDS = {"true": True, "1": True, "false": False, "0": False}


def fits(raw: Raw) -> str:
    marked = "kto_tag" if "kto_tag" in raw else "label" if "label" in raw else ""
    if not marked or _label(raw[marked]) is None:
        return ""
    answered = (
        (is_said(raw.get("prompt")) and is_said(raw.get("completion")))
        or is_conversation(raw.get("messages"))
        or is_conversation(raw.get("conversations"))
        or (marked == "kto_tag" and "instruction" in raw and "output" in raw)
    )
    return f"an answer and its {marked}" if answered else ""


def read(raw: Raw, source: str) -> Row:
    marked = "kto_tag" if "kto_tag" in raw else "label"
    label = _label(raw.get(marked))
    if label is None:
        raise RowError(marked, f"must be true or false, not {kind_of(raw.get(marked))}")
    extra: dict[str, Any] = {}
    used = {marked, "system", "tools", "tag"}
    column = next((name for name in ("messages", "conversations") if raw.get(name) is not None), None)
    if column is not None:
        used.add(column)
        messages, completion = _last_answer(turns(list_of(raw, column), column, extra), column)
    elif raw.get("instruction") is not None:
        used |= {"instruction", "input", "history", "output"}
        messages = question({key: value for key, value in raw.items() if key != "system"})
        completion = said(raw, "output", "assistant", extra)
    else:
        used |= {"prompt", "completion"}
        messages, completion = said(raw, "prompt", "user", extra), said(raw, "completion", "assistant", extra)
    extra |= rest_of(raw, *used)
    return make_row(
        "label",
        source,
        messages=with_system(system_of(raw), messages),
        tools=tools_of(raw.get("tools")),
        completion=completion,
        label=label,
        tag=tag_of(raw),
        extra=extra,
    )


def _label(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return _WORDS.get(str(value).strip().lower()) if isinstance(value, int | str) else None


def _last_answer(messages: list[Message], column: str) -> tuple[list[Message], list[Message]]:
    if messages[-1]["role"] != "assistant":
        raise RowError(column, "the last turn must be the answer that the label judges")
    return messages[:-1], messages[-1:]


FORMAT = Format("kto", ("label",), fits, read)
