"""Rows of a question and its answer: each pair of columns, and what stands around it; rows without an answer."""

from typing import Any

import pytest

from burnish.data.formats import FORMATS
from burnish.data.formats.pairs import has_choices, pair_in

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
SYSTEM = {"role": "system", "content": "s"}
PAIRS = [
    ("alpaca", "instruction", "output"),
    ("instruction_response", "instruction", "response"),
    ("input_output", "input", "output"),
    ("prompt_completion", "prompt", "completion"),
    ("prompt_response", "prompt", "response"),
    ("prompt_answer", "prompt", "answer"),
    ("query_response", "query", "response"),
    ("question_answer", "question", "answer"),
    ("question_response", "question", "response"),
    ("problem_solution", "problem", "solution"),
]
NAMES = [name for name, _, _ in PAIRS]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "chat", "messages": [*messages, BOT], **more}


@pytest.mark.parametrize(("name", "asks", "answers"), PAIRS)
def test_a_pair_is_a_chat_of_its_two_columns(name, asks, answers, content, refusal):
    raw: dict[str, Any] = {asks: "Hi", answers: "Hello"}
    format = FORMATS[name]
    assert format.name == name
    assert format.needs == ((asks,), (answers,))
    assert format.fits(raw) == f"{asks} and {answers}"
    assert content(name, raw | {"n": 1}) == chat(USER, extra={"n": 1})
    assert content(name, raw | {asks: [SYSTEM, USER], answers: [BOT]}) == chat(SYSTEM, USER)
    assert content(name, raw | {asks: 7, answers: 0.5}) == {
        "kind": "chat",
        "messages": [user("7"), {"role": "assistant", "content": "0.5"}],
    }
    assert content(name, raw | {"history": [["a", "Hello"]], "system": "s"}) == chat(SYSTEM, user("a"), BOT, USER)
    for column in (asks, answers):
        gone = {key: value for key, value in raw.items() if key != column}
        assert refusal(name, gone) == f"{column}: the column '{column}' is missing"
        assert refusal(name, raw | {column: None}) == f"{column}: the column must be a text, not null"
        assert refusal(name, raw | {column: ""}) == f"{column}: the text is empty"
        assert [format.fits(raw | {column: value}) for value in (None, {}, [], ["a"])] == [""] * 4
        assert format.fits(gone) == ""
    for choices in ({"choices": ["a"]}, {"options": {"a": 1}}):
        assert format.fits(raw | choices) == ""
    assert format.fits(raw | {"choices": "a"}) == f"{asks} and {answers}"


@pytest.mark.parametrize(("name", "asks", "answers"), PAIRS)
def test_a_pair_that_repeats_a_conversation_does_not_fit(name, asks, answers):
    raw: dict[str, Any] = {asks: " Hi\n", answers: "Hello"}
    fits = FORMATS[name].fits
    for column in ("messages", "conversations", "conversation"):
        for turns in ([USER, BOT], [BOT, user("Hi  ")], ["a", 7, {"from": "human", "value": "Hi"}]):
            assert fits(raw | {column: turns}) == ""
        for turns in (
            [],
            [user("Hi!")],
            ["Hi"],
            "Hi",
            {"content": "Hi"},
            [{"content": None, "value": 7, "text": "Hi"}],
        ):
            assert fits(raw | {column: turns}) == f"{asks} and {answers}"
    assert fits(raw | {asks: 7, "messages": [user("7"), USER]}) == f"{asks} and {answers}"
    assert fits(raw | {"messages": [], "conversations": [USER]}) == f"{asks} and {answers}"
    assert fits(raw | {"messages": "a", "conversations": [USER]}) == ""


@pytest.mark.parametrize(
    ("name", "more", "fits", "question"),
    [
        ("alpaca", {"input": "a"}, ", with input", "Hi\na"),
        ("alpaca", {"input": ""}, ", with input", "Hi"),
        ("alpaca", {"context": "a"}, ", with context", "Hi\na"),
        ("alpaca", {"input": None, "context": "a"}, ", with input, with context", "Hi\na"),
        ("alpaca", {"context": "b", "input": " a "}, ", with input, with context", "Hi\n a \nb"),
        ("instruction_response", {"input": 7, "context": 0.5}, ", with input, with context", "Hi\n7\n0.5"),
        ("question_answer", {"context": "a"}, ", with context", "a\n\nHi"),
        ("question_answer", {"context": ""}, ", with context", "Hi"),
        ("question_response", {"context": True}, ", with context", "true\n\nHi"),
    ],
)
def test_texts_stand_above_or_below_the_question(name, more, fits, question, content):
    asks, answers = next((asks, answers) for other, asks, answers in PAIRS if other == name)
    raw = {asks: "Hi", answers: "Hello"} | more
    assert FORMATS[name].fits(raw) == f"{asks} and {answers}{fits}"
    assert content(name, raw) == chat(user(question))
    assert content(name, raw | {asks: [USER]}) == chat(user(question))
    assert content(name, raw | {"history": [["a", "Hello"]]}) == chat(user("a"), BOT, user(question))


@pytest.mark.parametrize("name", ["input_output", "prompt_completion", "prompt_answer", "query_response"])
def test_other_pairs_keep_a_context_in_extra(name, content):
    asks, answers = next((asks, answers) for other, asks, answers in PAIRS if other == name)
    assert content(name, {asks: "Hi", answers: "Hello", "context": "a"}) == chat(USER, extra={"context": "a"})


@pytest.mark.parametrize("name", ["alpaca", "instruction_response"])
@pytest.mark.parametrize("blank", ["", " \n", None])
def test_what_stands_below_a_blank_question_is_the_question(name, blank, content, refusal):
    answers = "output" if name == "alpaca" else "response"
    raw = {"instruction": blank, answers: "Hello"}
    assert content(name, raw | {"input": "a"}) == chat(user("a"))
    assert content(name, raw | {"input": "a", "context": "b"}) == chat(user("a\nb"))
    reason = "the column must be a text, not null" if blank is None else "the text is empty"
    for below in ({}, {"input": " "}):
        assert refusal(name, raw | below) == f"instruction: {reason}"
    assert refusal(name, {answers: "Hello", "input": "a"}) == "instruction: the column 'instruction' is missing"
    assert refusal("question_answer", {"question": blank, "answer": "a", "context": "c"}) == f"question: {reason}"


def belongs(column: str, kind: str) -> str:
    reason = f"the column belongs to the question and must be a text, not {kind}"
    return f"{column}: {reason}; to keep it out rename it with `columns: {{{column}: other_{column}}}`"


def test_what_stands_around_the_question_must_be_a_text_and_the_question_one_turn(refusal):
    raw = {"instruction": "Hi", "output": "Hello"}
    assert refusal("alpaca", raw | {"input": ["a"]}) == belongs("input", "a list")
    assert refusal("alpaca", raw | {"context": {"a": 1}}) == belongs("context", "an object")
    infinite = "the column must be a text, not a number"
    assert refusal("alpaca", raw | {"input": float("inf")}) == f"input: {infinite}"
    for turns in ([SYSTEM, USER], [USER, BOT, USER]):
        several = "the column belongs to the question, but '{}' holds several turns"
        two = {"instruction": turns, "output": "Hello", "input": "", "context": "c"}
        assert refusal("alpaca", two) == f"context: {several.format('instruction')}"
        one = {"question": turns, "answer": "Hello", "context": "c"}
        assert refusal("question_answer", one) == f"context: {several.format('question')}"


def test_input_and_output_beside_an_instruction_are_another_layout():
    raw = {"input": "Hi", "output": "Hello"}
    assert FORMATS["input_output"].fits(raw) == "input and output"
    assert FORMATS["input_output"].fits(raw | {"instruction": None}) == ""


def test_the_first_pair_of_a_row_is_found():
    for name, asks, answers in PAIRS:
        pair = pair_in({answers: "b", asks: "a"})
        assert pair is not None
        assert pair.name == name
    first = pair_in({"question": "a", "answer": "b", "prompt": "c"})
    assert first is not None
    assert first.name == "prompt_answer"
    for raw in ({}, {"prompt": "a"}, {"prompt": None, "answer": "b"}, {"answer": "b", "input": "c"}):
        assert pair_in(raw) is None


def test_choices_are_a_list_or_an_object_in_either_column():
    assert all(has_choices({name: value}) for name in ("choices", "options") for value in ([], {}, ["a"]))
    assert not any(has_choices(raw) for raw in ({}, {"choices": "a"}, {"options": 7}, {"answers": ["a"]}))


SQUAD = {"question": "Hi", "answers": ["Hello"]}


@pytest.mark.parametrize(
    ("raw", "row"),
    [
        (SQUAD, chat(USER)),
        (SQUAD | {"context": "a"}, chat(user("a\n\nHi"))),
        (SQUAD | {"answers": ["", " ", "Hello"]}, chat(USER)),
        (SQUAD | {"answers": ["Hello", "Hello"]}, chat(USER)),
        (SQUAD | {"answers": ["Hello", " ", "a"]}, chat(USER, extra={"answers.text": ["Hello", "a"]})),
        (SQUAD | {"answers": {"text": ["Hello"]}}, chat(USER)),
        (SQUAD | {"answers": {"text": ["Hello"], "n": 1, "none": None}}, chat(USER, extra={"answers.n": 1})),
        (SQUAD | {"history": [["a", "Hello"]], "n": 1}, chat(user("a"), BOT, USER, extra={"n": 1})),
    ],
)
def test_the_first_answer_of_several_is_learned(raw, row, content):
    assert FORMATS["squad"].fits(raw) == "question and a list of answers"
    assert content("squad", raw) == row


def test_a_question_without_a_list_of_answers_is_refused(refusal):
    no_texts = "answers: must be a list of texts, or an object with a list 'text'"
    for answers in (None, 7, "Hello", ["Hello", 7], [7, "Hello"], {}, {"text": "Hello"}, {"text": [7]}):
        assert FORMATS["squad"].fits(SQUAD | {"answers": answers}) == ""
        assert refusal("squad", SQUAD | {"answers": answers}) == no_texts
    for answers in ([], ["", " "], {"text": []}):
        none = "answers: the question has no answer: leave such rows out, or write what to answer"
        assert FORMATS["squad"].fits(SQUAD | {"answers": answers}) == "question and a list of answers"
        assert refusal("squad", SQUAD | {"answers": answers}) == none
    assert refusal("squad", {"question": "Hi"}) == "answers: the column 'answers' is missing"
    assert refusal("squad", SQUAD | {"question": None}) == "question: the column must be a text, not null"
    for other in ({"question": 7}, {"question": [USER]}, {"choices": ["a"]}, {"options": {}}):
        assert FORMATS["squad"].fits(SQUAD | other) == ""


def test_a_text_a_transcript_and_a_prompt_are_rows_without_columns_of_answers(content, refusal):
    fits = {name: FORMATS[name].fits for name in ("text", "transcript", "prompt")}
    said = "Human: Hi\n\nAssistant: Hello"
    assert [fits["text"]({"text": text}) for text in ("a", "", 7, None)] == ["a text column"] * 2 + [""] * 2
    assert [fits["transcript"]({"text": text}) for text in (said, "a", 7)] == [
        "a text of 'Human:' and 'Assistant:'", "", "",
    ]  # fmt: skip
    assert fits["text"]({}) == fits["transcript"]({}) == fits["prompt"]({}) == ""
    assert fits["prompt"]({"prompt": 7, "n": 1}) == "a prompt and no answer"
    assert fits["prompt"]({"prompt": {}}) == ""
    for name in ["response", "output", "completion", "completions", "chosen", "reply", "answers", "solution", "target"]:
        assert fits["prompt"]({"prompt": "Hi", name: None}) == ""
    assert content("text", {"text": " a ", "prompt": "Hi"}) == {
        "kind": "text",
        "text": " a ",
        "extra": {"prompt": "Hi"},
    }
    assert content("transcript", {"text": said}) == chat(USER)
    assert content("transcript", {"text": "Human: Hi"}) == {"kind": "prompt", "messages": [USER]}
    assert content("prompt", {"prompt": "Hi", "answer": "a"}) == {
        "kind": "prompt", "messages": [USER], "extra": {"answer": "a"},
    }  # fmt: skip
    assert content("prompt", {"prompt": [SYSTEM, USER]}) == {"kind": "prompt", "messages": [SYSTEM, USER]}
    assert refusal("transcript", {"text": "Hi"}) == "text: a transcript begins with 'Human:'"
    assert refusal("prompt", {"text": "Hi"}) == "prompt: the column 'prompt' is missing"
