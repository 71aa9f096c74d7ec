"""Every string of a row is rendered, refused, or counted, for every template in TRL."""

import json
import re
from typing import Any

import pytest
from tests.tokens.rendering.test_ground_truth import SOURCES

from burnish.core.errors import ModelError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.templates.chatml import CHATML

ROOM = RenderSpec(max_length=1_000_000)
TOOL = {
    "type": "function",
    "function": {
        "name": "wtool",
        "description": "wdescription",
        "parameters": {
            "type": "object",
            "properties": {
                "wplace": {"type": "string", "description": "wwhere", "enum": ["wnorth", "wsouth"]},
                "wdeep": {"type": "object", "properties": {"winner": {"type": "string", "description": "winside"}}},
            },
            "required": ["wplace"],
        },
    },
}
CALL = {"id": "wcall0001", "type": "function", "function": {"name": "wtool", "arguments": '{"wplace": "wnorth 北"}'}}
ASK = {"role": "user", "content": "wask"}
REPLY = {"role": "assistant", "content": "wreply"}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "wresult", "name": "wtool", "tool_call_id": "wcall0001"}
MESSAGES: dict[str, list[dict[str, Any]]] = {
    "a question and its answer": [ASK, REPLY],
    "a system message": [{"role": "system", "content": "wsystem"}, ASK, REPLY],
    "a later system message": [
        ASK,
        REPLY,
        {"role": "system", "content": "wsystem"},
        {**ASK, "content": "wmore"},
        REPLY,
    ],
    "names": [{**ASK, "name": "wada"}, {**REPLY, "name": "wbob"}],
    "thinking": [ASK, {**REPLY, "reasoning_content": "wthought"}],
    "an earlier thought": [ASK, {**REPLY, "reasoning_content": "wthought"}, {**ASK, "content": "wmore"}, REPLY],
    "a call": [ASK, CALLING],
    "text beside a call": [ASK, {**CALLING, "content": "wbeside"}, RESULT, REPLY],
    "a thought before a call": [ASK, {**CALLING, "reasoning_content": "wthought"}, RESULT, REPLY],
    "a result": [ASK, CALLING, RESULT, REPLY],
    "a result of another name": [ASK, CALLING, {**RESULT, "name": "wother"}, REPLY],
    "a result in JSON": [ASK, CALLING, {**RESULT, "content": '{"wsky": "wclear", "wind": 12}'}, REPLY],
    "several lines": [{**ASK, "content": "wone\n\n  wtwo"}, REPLY],
}


def unique_words(messages: list[dict[str, Any]], tools: Any) -> dict[str, set[str]]:
    """Unique words of the test's rows, by the counter of their omission."""
    found: dict[str, set[str]] = {}
    for message in messages:
        calls = message.get("tool_calls", [])
        for kind, value in (
            ("content_left_out", message["content"]),
            ("thinking_left_out", message.get("reasoning_content")),
            ("names_left_out", message.get("name")),
            ("call_ids_left_out", [message.get("tool_call_id"), [call["id"] for call in calls]]),
            ("calls_left_out", [call["function"] for call in calls]),
            ("tools_left_out", tools),
        ):
            found.setdefault(kind, set()).update(words(json.dumps(value, ensure_ascii=False)))
    return found


def words(text: str) -> set[str]:
    return set(re.findall(r"\bw[a-z]\w+", text.replace("\\n", " ")))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_string_appears_or_is_refused_or_counted(name, toy_tokenizer):
    renderer, rendered = Renderer(toy_tokenizer(SOURCES[name]), ROOM), 0
    for kind, messages in MESSAGES.items():
        tools = [TOOL] if any(message.get("tool_calls") for message in messages) else None
        row = {"kind": "chat", "source": "rows.jsonl:1", "messages": messages, **({"tools": tools} if tools else {})}
        renderer.counts.clear()
        try:
            text = "\n".join(sample.text for sample in renderer.render(row))
        except ModelError:
            continue
        rendered += 1
        for counted, strings in unique_words(messages, tools).items():
            lost = {string for string in strings if string not in text}
            if lost or counted not in ("names_left_out", "call_ids_left_out"):  # those may occur elsewhere by chance
                assert bool(lost) == bool(renderer.counts[counted]), (kind, counted, lost, dict(renderer.counts))
    assert rendered >= 4 or name in ("deepseek_r1_distill", "deepseekv3")


def test_text_beside_a_call_is_reported_under_the_template_of_llama(toy_tokenizer):
    renderer = Renderer(toy_tokenizer(SOURCES["llama3_2"]), ROOM)
    for text in ("Let me look", "Sun", ""):  # the second one also occurs in the answer
        messages = [ASK, {**CALLING, "content": text}, RESULT, {**REPLY, "content": "Sun is out"}]
        renderer.render({"kind": "chat", "source": "rows.jsonl:1", "messages": messages, "tools": [TOOL]})
    assert renderer.counts["content_left_out"] == 2
    warning = "messages have text that the chat template omits, such as text next to a tool call"
    assert f"2 {warning}" in renderer.warnings()


def test_a_completely_rendered_row_is_not_reported(toy_tokenizer):
    renderer = Renderer(toy_tokenizer(CHATML), ROOM)
    twice = [ASK, REPLY, ASK, REPLY, {**ASK, "content": "w"}, {**REPLY, "content": 'a "quoted"\n\tline \\ é'}]
    for messages in (twice, MESSAGES["text beside a call"], MESSAGES["an earlier thought"]):
        renderer.render({"kind": "chat", "source": "rows.jsonl:1", "messages": messages, "tools": [TOOL]})
    lost = {name: count for name, count in renderer.counts.items() if name.endswith("left_out") and count}
    assert lost == {"call_ids_left_out": 2, "names_left_out": 1}
