"""Alpaca's layout: `instruction`, `input`, `output`, with `system` and a `history` of earlier questions and answers."""

from typing import Any

from burnish.data.document import Message, Row, make_row
from burnish.data.formats.format import Format, Raw, is_text, rest_of, tag_of, text_of
from burnish.data.formats.turns import decoded, system_of, tools_of, with_system
from burnish.data.record import RowError

COLUMNS = ("instruction", "input", "output", "system", "history", "tools", "tag")


def fits(raw: Raw) -> str:
    if any(key in raw for key in ("chosen", "rejected", "kto_tag")):
        return ""
    return "instruction and output" if is_text(raw, "instruction", "output") else ""


def read(raw: Raw, source: str) -> Row:
    answer: Message = {"role": "assistant", "content": text_of(raw, "output")}
    messages = [*question(raw), answer]
    tools = tools_of(raw.get("tools"))
    return make_row("chat", source, messages=messages, tools=tools, tag=tag_of(raw), extra=rest_of(raw, *COLUMNS))


def question(raw: Raw) -> list[Message]:
    """System prompt, history, and the instruction with its input on the lines below it."""
    asked = "\n".join(part for part in (text_of(raw, "instruction"), _input(raw)) if part)
    return with_system(system_of(raw), [*_history(raw.get("history")), {"role": "user", "content": asked}])


def _input(raw: Raw) -> str:
    return text_of(raw, "input", empty=True) if "input" in raw else ""


def _history(value: Any) -> list[Message]:
    if value is None or value == "":
        return []
    pairs = decoded(value, "history") if isinstance(value, str) else value
    if not isinstance(pairs, list):
        raise RowError("history", "must be a list of [question, answer]")
    messages: list[Message] = []
    for i, pair in enumerate(pairs):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise RowError(f"history.{i}", "must be [question, answer]")
        messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return messages


FORMAT = Format("alpaca", ("instruction", "output"), fits, read)
