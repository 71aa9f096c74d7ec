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
        ("chat", {"messages": [{**U, "content": ""}, A]}, "messages.0.content"),
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


def test_a_row_has_its_content_and_where_it_comes_from_and_no_other_key():
    row = make_row("chat", "x:1", messages=[U, A], tools=[], tag="t", extra={"n": 1})
    identity = row.pop("id")
    assert row == {"source": "x:1", "kind": "chat", "messages": [U, A], "tag": "t", "extra": {"n": 1}}
    assert list(make_row("chat", "x:1", messages=[U, A])) == ["id", "source", "kind", "messages"]
    assert identity == make_row("chat", "y:2", messages=[U, A])["id"]
    labelled = make_row("label", "x:1", messages=[U], completion=[A], label=False, extra={})
    assert labelled == {
        "id": labelled["id"],
        "source": "x:1",
        "kind": "label",
        "messages": [U],
        "completion": [A],
        "label": False,
    }


OTHER = {"role": "assistant", "content": "c"}
TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("kind", "content", "changes"),
    [
        ("text", {"text": "a"}, [{"text": "b"}]),
        ("chat", {"messages": [U, A]}, [{"messages": [U, OTHER]}, {"messages": [U, A], "tools": [TOOL]}]),
        (
            "preference",
            {"messages": [U], "chosen": [A], "rejected": [OTHER]},
            [{"messages": [U], "chosen": [OTHER], "rejected": [A]}, {"chosen": [A], "rejected": [OTHER]}],
        ),
        (
            "label",
            {"messages": [U], "completion": [A], "label": True},
            [
                {"messages": [U], "completion": [A], "label": False},
                {"messages": [U], "completion": [OTHER], "label": True},
            ],
        ),
    ],
)
def test_the_id_is_of_what_a_model_sees_and_of_nothing_else(kind, content, changes):
    import hashlib
    import json

    row = make_row(kind, "x:1", **content)
    spelled = json.dumps({"kind": kind} | content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert row["id"] == hashlib.sha256(spelled.encode()).hexdigest()[:16]
    assert make_row(kind, "y:2", **content, tag="t", extra={"n": 1})["id"] == row["id"]
    ids = {make_row(kind, "x:1", **change)["id"] for change in changes}
    assert len(ids | {row["id"]}) == len(changes) + 1


def test_the_extra_columns_of_a_prompt_count_and_its_tag_does_not():
    def identity(**more) -> str:
        return make_row("prompt", "x:1", messages=[U], **more)["id"]

    assert identity(extra={"answer": 1}) == identity(extra={"answer": 1}, tag="t")
    assert len({identity(), identity(extra={"answer": 1}), identity(extra={"answer": 2})}) == 3


@pytest.mark.parametrize(
    ("kind", "content", "field", "reason"),
    [
        ("text", {"text": ""}, "text", "the text is empty"),
        ("chat", {}, "messages", "there are no turns"),
        ("prompt", {}, "messages", "there are no turns"),
        ("chat", {"messages": [U]}, "messages", "no turn is an answer"),
        ("chat", {"messages": [U, {**A, "role": "alien"}]}, "messages.1.role", "the role 'alien' is unknown"),
        ("chat", {"messages": [U, {**A, "content": 7}]}, "messages.1.content", "the content is not text"),
        ("chat", {"messages": [{**U, "content": ""}, A]}, "messages.0.content", "the user turn is empty"),
        ("chat", {"messages": [U, {**A, "content": " "}]}, "messages.1.content", "the assistant turn is empty"),
        (
            "chat",
            {"messages": [U, {**A, "content": "", "tool_calls": []}]},
            "messages.1.content",
            "the assistant turn is empty",
        ),
        (
            "chat",
            {"messages": [U, {**A, "content": "", "reasoning_content": ""}]},
            "messages.1.content",
            "the assistant turn is empty",
        ),
        ("chat", {"messages": [{**U, "tool_calls": []}, A]}, "messages.0.tool_calls", "a user turn cannot call tools"),
        (
            "chat",
            {"messages": [U, A, {"role": "tool", "content": "x", "tool_calls": [CALL]}]},
            "messages.2.tool_calls",
            "a tool turn cannot call tools",
        ),
        (
            "chat",
            {"messages": [U, {**A, "weight": float("nan")}]},
            "messages.1.weight",
            "the weight must be 0 or more",
        ),
        ("preference", {"chosen": [A], "rejected": [A]}, "rejected", "chosen and rejected are the same"),
        ("preference", {"chosen": [A, U], "rejected": [A]}, "chosen", "the answer is missing"),
        ("preference", {"chosen": [A], "rejected": [OTHER, U]}, "rejected", "the answer is missing"),
        ("label", {"messages": [U], "label": True}, "completion", "the answer is missing"),
        ("label", {"messages": [U], "completion": []}, "completion", "the answer is missing"),
        ("label", {"messages": [U], "completion": [A]}, "label", "the label must be true or false"),
        (
            "label",
            {"messages": [U], "completion": [{**A, "role": "x"}]},
            "completion.0.role",
            "the role 'x' is unknown",
        ),
        (
            "preference",
            {"chosen": [A], "rejected": [{**A, "content": 7}]},
            "rejected.0.content",
            "the content is not text",
        ),
    ],
)
def test_the_reason_is_that_of_the_first_rule_that_is_broken(kind, content, field, reason):
    with pytest.raises(RowError) as caught:
        make_row(kind, "x:1", **content)
    assert (caught.value.field, caught.value.reason) == (field, reason)


@pytest.mark.parametrize("kind", ["chat", "prompt", "label"])
@pytest.mark.parametrize("role", ["system", "tool"])
def test_turns_of_a_system_or_tool_may_be_empty(kind, role):
    answer = {"completion": [A], "label": True} if kind == "label" else {}
    turns = [{"role": role, "content": ""}, U, *([A] if kind == "chat" else [])]
    assert make_row(kind, "x:1", messages=turns, **answer)["messages"] == turns


def test_an_answer_may_be_weighed_by_any_number_from_nought():
    for weight in (0, 0.0, 0.25, 1, 7.5):
        assert make_row("chat", "x:1", messages=[U, {**A, "weight": weight}])["messages"][1]["weight"] == weight


def test_the_turns_and_answers_of_a_row_stand_in_their_order():
    first, second = {**A, "content": "1"}, {**A, "content": "2"}
    row = make_row("preference", "x:1", messages=[U, A, U], chosen=[first], rejected=[second])
    assert list(every_message(row)) == [U, A, U, first, second]
    assert answers_of(row) == [[first], [second]]
    label = make_row("label", "x:1", messages=[U], completion=[A], label=True)
    assert (list(every_message(label)), answers_of(label)) == ([U, A], [[A]])
    assert (list(every_message(make_row("text", "x:1", text="a"))), answers_of(chat("a", "b"))) == ([], [])
