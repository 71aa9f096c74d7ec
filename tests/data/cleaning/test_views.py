"""The text of a row is its prose: contents of turns and parts, at any depth; names, calls and media are none."""

import json

from burnish.data.cleaning.views import places, rewritten, rewritten_calls, view

TURN = {
    "role": "user",
    "content": [
        {"type": "text", "text": "Look at this."},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": "\u200b"},
    ],
    "date": "2026-11-22",
    "name": "a@b.example",
}
CALL = {
    "role": "assistant",
    "content": "",
    "reasoning_content": "I call it.",
    "tool_calls": [{"id": "1", "function": {"name": "mail", "arguments": '{"to": "a@b.example", "n": 5}'}}],
}


def masked(text):
    return text.replace("a@b.example", "[EMAIL]")


def test_the_text_is_the_prose_of_turns_and_columns_in_their_order():
    row = {"id": "x", "system": "Be kind.", "messages": [TURN, CALL], "tools": [{"description": "no text"}]}
    found = places(row, ["system", "messages"])
    assert view(found) == "Be kind.\n\nLook at this.\n\n\u200b\n\n\n\nI call it."
    assert [place.turn for place in found] == [0, 1, 1, 3, 3]


def test_formats_of_other_programs_have_their_texts_found():
    gemini = {"contents": [{"role": "user", "parts": [{"text": "Hello."}, {"inlineData": {"data": "AAAA"}}]}]}
    assert view(places(gemini, ["contents"])) == "Hello."
    assert view(places({"history": [["q", "a"]]}, ["history"])) == "q\n\na"
    assert view(places({"answers": {"text": ["one"], "answer_start": [3]}}, ["answers"])) == "one"
    assert view(places({"conversations": [{"from": "human", "value": "Hi."}]}, ["conversations"])) == "Hi."


def test_a_turn_is_empty_when_all_its_texts_are():
    row = json.loads(json.dumps({"messages": [TURN]}))
    assert rewritten(places(row, ["messages"]), lambda text: text.replace("\u200b", "")) == (True, False)
    alone = {"messages": [{"role": "user", "content": "\u200b"}]}
    assert rewritten(places(alone, ["messages"]), lambda text: text.replace("\u200b", "")) == (True, True)


def test_arguments_of_calls_are_rewritten_in_place_and_stay_json():
    row = json.loads(
        json.dumps(
            {
                "messages": [
                    TURN,
                    CALL,
                    {"role": "assistant", "content": [{"type": "tool_use", "input": {"a": ["a@b.example"]}}]},
                ]
            }
        )
    )
    assert rewritten_calls(row["messages"], masked)
    assert json.loads(row["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"to": "[EMAIL]", "n": 5}
    assert row["messages"][2]["content"][0]["input"] == {"a": ["[EMAIL]"]}
    assert row["messages"][0] == TURN
    assert not rewritten_calls(row["messages"], masked)


def test_arguments_without_anything_to_mask_keep_their_spelling():
    spelled = '{"a" :  1e2}'
    row = {"messages": [{"tool_calls": [{"function": {"arguments": spelled}}]}]}
    assert not rewritten_calls(row["messages"], masked)
    assert row["messages"][0]["tool_calls"][0]["function"]["arguments"] == spelled
