"""The text of a request for a slot: the values of a prompt's placeholders."""

import json
from collections.abc import Mapping
from typing import Any

from burnish.data.document import Row, conversation_text
from burnish.data.synthesize.model.prompts import LANGUAGES
from burnish.data.synthesize.model.slots import Draft, Slot, last_request

KNOWN = {
    "instruction": ("topic", "language", "number", "examples", "schema"),
    "conversation": ("topic", "language", "number", "examples", "schema", "turns"),
    "preference": ("topic", "language", "number", "examples", "schema"),
    "tools": ("topic", "language", "number", "examples", "schema", "tools"),
    "evolved": ("language", "number", "schema", "way", "given"),
    "judge": ("language", "request", "answer", "schema"),
    "subtopics": ("topic", "language", "count", "schema"),
    "toolbox": ("topic", "language", "schema"),
}
"""The placeholders of each prompt, beside {mark}."""
_ANY = {
    "en": "whatever people ask assistants about at work and at home",
    "zh": "人们在工作和生活中会向助手询问的任何内容",
}
_EXAMPLES = {"en": "Examples of rows that are there already. Do not repeat them:", "zh": "已有的示例,请不要重复:"}
_WAYS = {
    "en": (
        "Make it harder: add one requirement or constraint that changes the answer.",
        "Make it deeper: ask for more of the reasons, or for a case that is less common.",
        "Make it concrete: replace something general by a specific situation with names and numbers.",
        "Make it need several steps of reasoning, where one step was enough.",
        "Keep to the same field, but ask about something else in it that is rarer.",
    ),
    "zh": (
        "让它更难:增加一个会改变答案的要求或限制。",
        "让它更深入:询问更多原因,或一种不太常见的情况。",
        "让它更具体:把笼统的内容换成带有名称和数字的具体情境。",
        "让它需要多步推理,而不是一步就能回答。",
        "保持同一领域,但询问其中另一个更少见的问题。",
    ),
}


def values_of(slot: Slot, schema: Mapping[str, Any], *, turns: int = 0) -> dict[str, str]:
    """The values for a request that makes a row."""
    ways = _WAYS[slot.language]
    return {
        "topic": slot.topic or _ANY[slot.language],
        "language": LANGUAGES[slot.language],
        "number": str(slot.number + 1),
        "examples": _examples(slot),
        "schema": as_json(schema),
        "turns": str(turns),
        "tools": "\n".join(as_json(tool["function"]) for tool in slot.tools),
        "way": ways[slot.number % len(ways)],
        "given": "" if slot.given is None else last_request(slot.given),
    }


def judged_values(draft: Draft, schema: Mapping[str, Any]) -> dict[str, str]:
    """The values for a request to the judge."""
    values = {"request": draft.prompt, "answer": draft.answer, "schema": as_json(schema)}
    return {**values, "language": LANGUAGES[draft.slot.language]}


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _examples(slot: Slot) -> str:
    shown = [text for text in map(_example, slot.examples) if text]
    return "\n\n".join([_EXAMPLES[slot.language], *shown]) + "\n\n" if shown else ""


def _example(row: Row) -> str:
    turns = [{"role": "user", "content": row["text"]}] if row["kind"] == "text" else list(row["messages"])
    return conversation_text([*turns, *row.get("chosen", ())])
