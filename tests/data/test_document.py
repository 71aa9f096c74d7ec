"""The canonical row: its id names its content."""

import pytest

from burnish.data.document import answers_of, canonical_json, content_id, every_message, make_row
from burnish.data.record import RowError


def chat(question: str, answer: str, **more) -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return make_row("chat", "x:1", messages=turns, **more)


def test_equal_content_has_an_equal_id_wherever_it_stands():
    one, other = chat("a", "b"), chat("a", "b", tag="t", extra={"n": 1})
    assert one["id"] == other["id"]
    assert one["id"] != chat("a", "c")["id"]
    assert content_id(one | {"source": "y:9"}) == one["id"]


def test_a_prompt_with_another_reference_is_another_row():
    turns = [{"role": "user", "content": "a"}]
    one, other = (make_row("prompt", "x:1", messages=turns, extra={"answer": n}) for n in (1, 2))
    assert one["id"] != other["id"]


def test_the_id_is_the_hash_that_the_contract_names():
    import hashlib

    spelled = '{"kind":"text","text":"ü"}'.encode()
    assert canonical_json({"text": "ü", "kind": "text"}) == spelled
    assert make_row("text", "x:1", text="ü")["id"] == hashlib.sha256(spelled).hexdigest()[:16]


def test_absent_keys_are_absent():
    assert set(chat("a", "b")) == {"id", "source", "kind", "messages"}


U, A = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("kind", "content", "field"),
    [
        ("text", {"text": " \n"}, "text"),
        ("text", {}, "text"),
        ("text", {"text": 7}, "text"),
        ("chat", {"messages": []}, "messages"),
        ("chat", {}, "messages"),
        ("chat", {"messages": [U]}, "messages"),
        ("label", {"completion": [A], "label": True}, "messages"),
        ("chat", {"messages": [{**U, "role": "alien"}, A]}, "messages.0.role"),
        ("chat", {"messages": [{**U, "content": None}, A]}, "messages.0.content"),
        ("chat", {"messages": [{**U, "content": " "}, A]}, "messages.0.content"),
        ("chat", {"messages": [U, {**A, "content": ""}]}, "messages.1.content"),
        ("chat", {"messages": [{**U, "tool_calls": [CALL]}, A]}, "messages.0.tool_calls"),
        ("chat", {"messages": [U, {**A, "weight": -0.5}]}, "messages.1.weight"),
        ("chat", {"messages": [U, {**A, "weight": float("inf")}]}, "messages.1.weight"),
        ("preference", {"messages": [U], "chosen": [A], "rejected": []}, "rejected"),
        ("preference", {"messages": [U], "rejected": [A]}, "chosen"),
        ("preference", {"messages": [U], "chosen": [U], "rejected": [A]}, "chosen"),
        ("preference", {"messages": [U], "chosen": [A], "rejected": [A]}, "rejected"),
        ("preference", {"messages": [U], "chosen": [{**A, "content": " "}], "rejected": [A]}, "chosen.0.content"),
        ("label", {"messages": [U], "completion": [U], "label": True}, "completion"),
        ("label", {"messages": [U], "completion": [A]}, "label"),
        ("label", {"messages": [U], "completion": [A], "label": 1}, "label"),
    ],
)
def test_a_row_that_breaks_the_contract_is_refused_by_field(kind, content, field):
    with pytest.raises(RowError) as caught:
        make_row(kind, "x:1", **content)
    assert caught.value.field == field
    assert caught.value.reason


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("chat", {"messages": [U, {**A, "content": "", "tool_calls": [CALL]}]}),
        ("chat", {"messages": [U, {**A, "content": "", "reasoning_content": "Hm"}]}),
        (
            "chat",
            {"messages": [{"role": "system", "content": ""}, {"role": "tool", "content": ""}, U, {**A, "weight": 0}]},
        ),
        ("prompt", {"messages": [U]}),
        ("preference", {"chosen": [A], "rejected": [{**A, "content": "c"}]}),
        ("label", {"messages": [U], "completion": [A], "label": False}),
    ],
)
def test_a_row_that_keeps_the_contract_is_made(kind, content):
    row = make_row(kind, "x:1", **content)
    assert {key: row[key] for key in content} == content
    assert [m["content"] for m in every_message(row)] == [
        m["content"] for name in ("messages", "chosen", "rejected", "completion") for m in content.get(name, [])
    ]
    assert answers_of(row) == [content[name] for name in ("chosen", "rejected", "completion") if name in content]


def test_a_number_that_json_cannot_spell_has_no_canonical_form():
    assert canonical_json({"b": 1, "a": [1.5, "é"]}) == '{"a":[1.5,"é"],"b":1}'.encode()
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError):
            canonical_json({"a": value})
