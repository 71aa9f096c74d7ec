"""Which format each known row fits, why, and how it is detected; and the layouts that are refused by name."""

from typing import Any

import pytest

from burnish.data.formats import FORMATS
from burnish.data.formats.format import ANSWERED, JUDGED, WEAK
from burnish.data.formats.refused import REFUSED
from burnish.data.mapping import detect
from burnish.data.record import Record
from layouts import EXAMPLES

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}


def fitting(raw: dict[str, Any]) -> dict[str, str]:
    return {name: reason for name, format in FORMATS.items() if (reason := format.fits(raw))}


def test_formats_are_ranked_by_what_they_say_of_the_answer():
    assert JUDGED < ANSWERED < WEAK
    ranks = {name: format.rank for name, format in FORMATS.items() if format.rank != ANSWERED}
    assert ranks == {"preference": JUDGED, "compared": JUDGED, "scored": JUDGED, "kto": JUDGED} | {
        "text": WEAK,
        "prompt": WEAK,
    }
    assert all(format.name == name for name, format in FORMATS.items())


REASONS = {
    "messages": ({"messages": [USER, BOT]}, "messages with role and content"),
    "sharegpt": ({"conversations": [USER, BOT]}, "conversations with from and value"),
    "gemini": ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}, "contents with role and parts"),
    "preference": ({"chosen": "a", "rejected": "b", "prompt": "Hi"}, "chosen and rejected"),
    "compared": ({"response_a": "a", "response_b": "b", "winner": "a"}, "response_a, response_b and winner"),
    "scored": ({"answers": ["a", "b"], "scores": [1, 2]}, "answers with scores"),
    "kto": ({"messages": [USER, BOT], "label": True}, "an answer and its label"),
}


@pytest.mark.parametrize("name", REASONS)
def test_a_format_says_why_a_row_fits(name):
    raw, reason = REASONS[name]
    format = FORMATS[name]
    assert format.fits(raw) == reason
    assert format.fits({}) == format.fits({"other": 1}) == format.fits(dict.fromkeys(raw)) == ""


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_fits_its_format_with_the_lowest_rank(name):
    raw, _ = EXAMPLES[name]
    found = fitting(raw)
    lowest = min(FORMATS[format].rank for format in found)
    assert [format for format in found if FORMATS[format].rank == lowest] == [name.split(" ")[0]]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("preference", {"chosen": "a", "rejected": "b"}),
        ("compared", {"response_a": "a", "response_b": "b", "winner": "a"}),
        ("scored", {"responses": ["a", "b"], "scores": [1, 2]}),
        ("kto", {"label": True}),
    ],
)
def test_a_judged_row_is_no_plain_answer(name, raw):
    both = raw | {"question": "Hi", "answer": "Hello"}
    assert FORMATS[name].fits(both)
    assert FORMATS["question_answer"].fits(both)
    assert detect(iter([Record(both, "x:1")]), "x")[0].format.name == name


@pytest.mark.parametrize("name", ["text", "prompt"])
def test_an_answer_is_preferred_to_a_row_without_one(name):
    both = {name: "a", "messages": [USER, BOT]}
    assert FORMATS[name].fits(both)
    assert detect(iter([Record(both, "x:1")]), "x")[0].format.name == "messages"
    assert detect(iter([Record({name: "a"}, "x:1")]), "x")[0].format.name == name


@pytest.mark.parametrize(
    ("name", "columns", "has"),
    [
        ("messages", ["messages"], "role and content"),
        ("sharegpt", ["conversations", "conversation"], "from and value"),
        ("gemini", ["contents"], "role and parts"),
    ],
)
def test_a_conversation_is_in_one_of_its_columns(name, columns, has, content, refusal):
    format = FORMATS[name]
    assert format.needs == (tuple(columns),)
    for column in columns:
        for turns in ([USER, BOT], '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]'):
            assert format.fits({column: turns}) == f"{column} with {has}"
            assert content(name, {column: turns, "n": 1}) == {
                "kind": "chat", "messages": [USER, BOT], "extra": {"n": 1},
            }  # fmt: skip
        assert content(name, {column: USER}) == {"kind": "prompt", "messages": [USER]}
        assert content(name, {column: [{"role": "developer", "content": "a"}, USER]})["kind"] == "prompt"
        assert format.fits({column: ["Hi"]}) == format.fits({column: []}) == format.fits({}) == ""
        assert refusal(name, {column: []}) == f"{column}: there are no turns"
    both = {columns[-1]: [USER], columns[0]: [USER, BOT]}
    assert format.fits(both) == f"{columns[0]} with {has}"
    assert content(name, both)["messages"] == [USER, BOT]
    assert content(name, {column: [USER] if column == columns[-1] else None for column in columns})["kind"] == "prompt"
    assert refusal(name, {}) == f"{columns[0]}: the column '{columns[0]}' is missing"


def test_roles_of_a_setting_are_used(content):
    raw = {"messages": [{"role": "klant", "content": "Hi"}, BOT]}
    assert content("messages", raw, {"klant": "user"})["messages"] == [USER, BOT]


def test_remarks_of_a_row_are_distinct_and_in_their_order(content):
    refused = {"role": "assistant", "content": None, "refusal": "No"}
    tool = {"name": "f", "x": None}
    row = content("messages", {"messages": [USER, refused, USER, refused], "tools": [tool, {"name": "f"}]})
    assert row["remarks"] == (
        "nulls dropped from tool schemas (Parquet fills absent keys with them)",
        "tools described more than once, identically, and kept once",
        "refusals used as the assistant's text",
    )


@pytest.mark.parametrize("blank", [" ", "\n", "\t  ", "\u3000"])
def test_a_question_of_whitespace_is_kept_as_it_is_and_counted(content, blank):
    question = {"role": "user", "content": blank}
    assert content("messages", {"messages": [question, BOT, USER, BOT]}) == {
        **content("messages", {"messages": [USER, BOT, USER, BOT]}),
        "messages": [question, BOT, USER, BOT],
        "remarks": ("user turns with nothing but whitespace, kept",),
    }


NODE = {"message_id": "b", "parent_id": None, "text": "Hi", "role": "prompter"}


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (NODE, 0),
        (NODE | {"lang": "en"}, 0),
        *(({key: value for key, value in NODE.items() if key != gone}, None) for gone in NODE),
        ({"prompt": {"replies": []}}, 1),
        ({"prompt": {"text": "Hi"}}, None),
        ({"prompt": "replies"}, None),
        ({"prompt": ["replies"]}, None),
        ({"question": "Hi", "choices": ["a"]}, 2),
        ({"question": "Hi", "options": {"A": "a"}}, 2),
        ({"question": "Hi", "options": "a"}, None),
        *(({name: ["a", "b"]}, 3) for name in ("data", "dialog", "dialogue", "utterances", "turns", "messages")),
        *(({name: ["a", "b"]}, 3) for name in ("conversations", "conversation")),
        ({"data": ["a"]}, None),
        ({"data": "ab"}, None),
        ({"data": ["a", 7]}, None),
        ({"data": [7, "a"]}, None),
        ({"texts": ["a", "b"]}, None),
    ],
)
def test_a_layout_is_refused_by_name(raw, place):
    names = [
        "the messages of trees (OpenAssistant), one row each: a conversation is spread over many rows",
        "trees of replies (OpenAssistant), of which each holds many conversations",
        "multiple-choice questions, with the choices in their own column",
        "lists of texts without roles",
    ]
    assert [refused.name for refused in REFUSED] == names
    assert [refused.fits(raw) for refused in REFUSED] == [number == place for number in range(4)]


def test_only_blank_questions_are_counted(content):
    blank = [{"role": role, "content": " "} for role in ("system", "tool")]
    called = {"role": "assistant", "content": " ", "reasoning_content": "a"}
    assert content("messages", {"messages": [*blank, USER, called]}) == {
        "kind": "chat",
        "messages": [*blank, USER, called],
    }
