"""Answers with a verdict: preferences, comparisons, scores and labels, in every column and word that is known."""

from typing import Any

import pytest

from burnish.data.formats import FORMATS
from burnish.data.formats.preference import two_answers
from burnish.data.record import RowError

USER, BOT, BAH = (
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "assistant", "content": "Bah"},
)
SYSTEM, OTHER = {"role": "system", "content": "s"}, {"role": "user", "content": "Other"}
PREFERRED = {"kind": "preference", "messages": [USER], "chosen": [BOT], "rejected": [BAH]}


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("chosen", "rejected"),
        ("preferred_output", "non_preferred_output"),
        ("chosen_messages", "rejected_messages"),
        ("chosen_response", "rejected_response"),
        ("response_j", "response_k"),
        ("response", "rejected_response"),
    ],
)
def test_two_columns_name_the_better_answer(better, worse, content, refusal):
    fits = FORMATS["preference"].fits
    raw = {"prompt": "Hi", better: "Hello", worse: "Bah"}
    assert fits(raw) == f"{better} and {worse}"
    assert content("preference", raw | {"n": 1}) == PREFERRED | {"extra": {"n": 1}}
    assert content("preference", {better: [USER, BOT], worse: [USER, BAH]}) == PREFERRED
    assert fits(raw | {better: None}) == fits(raw | {worse: None}) == fits({better: "a"}) == fits({worse: "a"}) == ""
    assert refusal("preference", raw | {better: ""}) == f"{better}: the text is empty"
    assert refusal("preference", raw | {worse: "Hello"}) == "rejected: chosen and rejected are the same"


def test_the_first_two_columns_that_are_there_are_compared(content, refusal):
    raw = {"prompt": "Hi", "chosen": "Hello", "rejected": "Bah", "response": "a", "rejected_response": "b"}
    assert content("preference", raw) == PREFERRED | {"extra": {"response": "a", "rejected_response": "b"}}
    later = {"prompt": "Hi", "chosen": None, "rejected": "b", "response": "Hello", "rejected_response": "Bah"}
    assert FORMATS["preference"].fits(later) == "response and rejected_response"
    assert content("preference", later) == PREFERRED | {"extra": {"rejected": "b"}}
    assert refusal("preference", {"prompt": "Hi"}) == "chosen: the column 'chosen' is missing"
    assert FORMATS["preference"].needs == (
        ("chosen", "preferred_output", "chosen_messages", "chosen_response", "response_j", "response"),
        (
            "rejected",
            "non_preferred_output",
            "rejected_messages",
            "rejected_response",
            "response_k",
            "rejected_response",
        ),
    )


ANSWERS = {"chosen": "Hello", "rejected": "Bah"}


@pytest.mark.parametrize(
    ("raw", "row"),
    [
        ({"messages": [SYSTEM, USER], "prompt": "a"}, {"messages": [SYSTEM, USER], "extra": {"prompt": "a"}}),
        ({"input": {"messages": [USER], "tools": [{"name": "f"}], "n": 1}}, {
            "tools": [{"type": "function", "function": {"name": "f"}}], "extra": {"input.n": 1},
        }),
        ({"input": {"messages": USER}}, {}),
        ({"input": "Hi"}, {}),
        ({"instruction": "Hi", "input": ""}, {}),
        ({"query": "Hi"}, {}),
        ({"question": "Hi", "context": "a"}, {"messages": [{"role": "user", "content": "a\n\nHi"}]}),
        ({"problem": "Hi"}, {}),
        ({"prompt": "Hi", "question": "a"}, {"extra": {"question": "a"}}),
        ({"prompt": None, "question": "Hi"}, {}),
        ({"prompt": "Hi", "tag": "t", "history": [["a", "b"]]}, {"tag": "t", "messages": [
            {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, USER,
        ]}),
    ],
)  # fmt: skip
def test_the_prompt_of_answers_is_in_any_column_of_questions(raw, row, content):
    assert content("preference", raw | ANSWERS) == PREFERRED | row


def test_answers_without_a_prompt_are_refused(refusal):
    missing = "prompt: there is no prompt: neither a column nor turns that both answers share"
    assert refusal("preference", ANSWERS) == missing
    no_turns = "input.messages: the column must be a list of turns, not null"
    assert refusal("preference", ANSWERS | {"input": {"n": 1}}) == no_turns


TURNS = {
    "s": SYSTEM, "u": USER, "o": OTHER, "b": BOT, "x": BAH, "y": {"role": "assistant", "content": "Hi"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "apart"),
    [
        ("u", "b", "x", "u b x"),
        ("", "ub", "ux", "u b x"),
        ("", "sub", "sux", "su b x"),
        ("", "ubob", "ubox", "ubo b x"),
        ("", "ubob", "ux", "u bob x"),
        ("", "ux", "ubob", "u x bob"),
        ("", "ubob", "ub", "u bob b"),
        ("", "ub", "ub", "u b b"),
        ("u", "ub", "u", "u ub u"),
        ("u", "ub", "ux", "u b x"),
        ("su", "ub", "ux", "su b x"),
        ("su", "sub", "sux", "su b x"),
        ("u", "sub", "sux", "su b x"),
        ("u", "obub", "obux", "obu b x"),
        ("u", "yob", "yox", "yo b x"),
        ("ub", "ub", "ux", "u b x"),
        ("ubob", "ubob", "ubx", "ub ob x"),
        ("sus", "ub", "ux", "sus b x"),
        ("ux", "b", "x", "ux b x"),
    ],
)
def test_turns_that_both_answers_begin_with_belong_to_the_prompt(prompt, chosen, rejected, apart):
    found = two_answers(*([TURNS[turn] for turn in turns] for turns in (prompt, chosen, rejected)))
    spelled = {turn["content"] + turn["role"]: letter for letter, turn in TURNS.items()}
    parts = [found[name] for name in ("messages", "chosen", "rejected")]
    assert " ".join("".join(spelled[turn["content"] + turn["role"]] for turn in part) for part in parts) == apart
    assert set(found) == {"kind", "messages", "chosen", "rejected"}
    assert found["kind"] == "preference"


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected"), [("o", "ub", "ux"), ("ub", "uob", "uox"), ("s", "ub", "ux"), ("uo", "ub", "ux")]
)
def test_answers_that_begin_with_another_prompt_are_refused(prompt, chosen, rejected):
    with pytest.raises(RowError) as caught:
        two_answers(*([TURNS[turn] for turn in turns] for turns in (prompt, chosen, rejected)))
    assert str(caught.value) == "chosen: both answers begin with turns that are not those of the prompt"


@pytest.mark.parametrize(("prompt", "chosen", "rejected"), [("", "b", "x"), ("b", "b", "x"), ("ub", "ub", "x")])
def test_a_prompt_that_is_only_the_better_answer_is_none(prompt, chosen, rejected):
    with pytest.raises(RowError) as caught:
        two_answers(*([TURNS[turn] for turn in turns] for turns in (prompt, chosen, rejected)))
    assert str(caught.value) == "prompt: there is no prompt: neither a column nor turns that both answers share"


@pytest.mark.parametrize(
    ("first", "second"),
    [("response_a", "response_b"), ("conversation_a", "conversation_b"), ("response_0", "response_1")],
)
@pytest.mark.parametrize("verdict", ["winner", "preferred", "preference", "better_response_id"])
def test_a_column_says_which_answer_is_better(first, second, verdict, content, refusal):
    raw = {"prompt": "Hi", first: "Hello", second: "Bah"}
    fits = FORMATS["compared"].fits
    one, two = first[-1], second[-1]
    for word in (one, one.upper(), f" model_{one}\n", f"chat_model_{one}"):
        assert fits(raw | {verdict: word}) == f"{first}, {second} and {verdict}"
        assert content("compared", raw | {verdict: word}) == PREFERRED
    assert content("compared", raw | {verdict: two}) == PREFERRED | {"chosen": [BAH], "rejected": [BOT]}
    if one == "0":
        assert content("compared", raw | {verdict: 0.0}) == PREFERRED
        assert content("compared", raw | {verdict: 1}) == PREFERRED | {"chosen": [BAH], "rejected": [BOT]}
    for tie in ("tie", "Both", " neither", "none", "bothbad", "both_bad", "tie (bothbad)"):
        reason = "neither answer is the better one: leave such rows out"
        assert refusal("compared", raw | {verdict: tie}) == f"{verdict}: {reason}"
    for word in ("2", "c", ".0", "a b", ""):
        reason = f"the verdict '{word}' is unknown (known: {one}, {two}, tie)"
        assert refusal("compared", raw | {verdict: word}) == f"{verdict}: {reason}"
    assert fits(raw | {verdict: None}) == fits(raw) == fits({first: "a", verdict: one}) == fits({verdict: one}) == ""
    none = "no column says which answer is better (known: winner, preferred, preference, better_response_id)"
    assert refusal("compared", raw) == refusal("compared", raw | {verdict: None}) == f"winner: {none}"


def test_flags_say_which_answer_is_better(content, refusal):
    raw = {"prompt": "Hi", "response_a": "Hello", "response_b": "Bah"}
    flags = {"winner_model_a": 1, "winner_model_b": 0}
    swapped = {"winner_model_a": "false", "winner_model_b": True}
    assert FORMATS["compared"].fits(raw | flags) == "response_a, response_b and winner_model_a"
    assert content("compared", raw | flags) == content("compared", raw | flags | {"winner_tie": 0}) == PREFERRED
    assert content("compared", raw | flags | {"winner": "b"}) == PREFERRED | {"extra": {"winner": "b"}}
    assert content("compared", raw | swapped) == PREFERRED | {"chosen": [BAH], "rejected": [BOT]}
    for value in (0, 1):
        tie = "neither answer is the better one: leave such rows out"
        both = {"winner_model_a": value, "winner_model_b": value, "winner_tie": 1 - value}
        assert refusal("compared", raw | both) == f"winner_model_a: {tie}"
    for wrong in ({"winner_model_a": 3}, {"winner_model_b": None}, {"winner_model_a": "a", "winner_model_b": "b"}):
        assert refusal("compared", raw | flags | wrong) == "winner_model_a: the verdict must be 0 or 1"
    only = {"winner_model_a": 1, "winner": "b"}
    assert FORMATS["compared"].fits(raw | only) == "response_a, response_b and winner"
    extra = {"extra": {"winner_model_a": 1}}
    assert content("compared", raw | only) == PREFERRED | {"chosen": [BAH], "rejected": [BOT]} | extra
    assert FORMATS["compared"].fits(raw | {"winner_model_b": 1}) == ""
    none = "no column says which answer is better (known: winner, preferred, preference, better_response_id)"
    assert refusal("compared", raw | {"winner_model_b": 1}) == f"winner: {none}"
    alone = {"response_b": "a", "winner": "a", "prompt": "Hi"}
    assert refusal("compared", alone) == "response_a: the column 'response_a' is missing"


@pytest.mark.parametrize("column", ["completions", "responses", "answers"])
def test_the_best_and_the_worst_of_scored_answers_are_a_preference(column, content):
    fits = FORMATS["scored"].fits
    for scores in ("scores", "rewards", "ratings"):
        raw = {"prompt": "Hi", column: ["Bah", "Hello", "b", "a"], scores: [1, "3", 3.0, 1]}
        extra = {f"{column}.{i}.{scores}": score for i, score in enumerate(raw[scores])}
        assert fits(raw) == f"{column} with {scores}"
        assert content("scored", raw) == PREFERRED | {"extra": extra | {f"{column}.2": "b", f"{column}.3": "a"}}
    for text in ("response", "content", "text", "completion", "answer"):
        for score in ("overall_score", "score", "rating", "reward"):
            raw = {
                "prompt": "Hi",
                column: [{text: "Bah", score: -1.5, "n": 1}, {text: "Hello", score: True, "m": None}],
            }
            extra = {f"{column}.0.n": 1, f"{column}.0.{score}": -1.5, f"{column}.1.{score}": True}
            assert fits(raw) == f"{column} with {score}"
            assert content("scored", raw) == PREFERRED | {"extra": extra}


@pytest.mark.parametrize(
    "raw",
    [
        {"responses": ["a"], "scores": [1]},
        {"responses": "ab", "scores": [1, 2]},
        {"responses": ["a", "b"], "scores": None},
        {"responses": ["a", "b"], "scores": "1 2"},
        {"responses": [1, 2], "scores": [1, 2]},
        {"responses": [{"text": "a"}, {"text": "b"}], "scores": [1, 2]},
        {"responses": [{"text": 7, "score": 1}, {"text": "b", "score": 2}]},
        {"responses": [{"score": 1}, {"score": 2}]},
        {"scores": [1, 2]},
    ],
)
def test_answers_without_scores_do_not_fit(raw, refusal):
    assert FORMATS["scored"].fits(raw) == ""
    column = "responses" if isinstance(raw.get("responses"), list) and len(raw["responses"]) > 1 else "completions"
    reason = "must be a list of two or more answers, each with a score"
    assert refusal("scored", {"prompt": "Hi", **raw}) == f"{column}: {reason}"


def test_the_first_list_of_two_answers_is_scored(content):
    raw = {"prompt": "Hi", "completions": ["a"], "responses": ["Hello", "Bah"], "rewards": [2, 1], "ratings": 7}
    extra = {"completions": ["a"], "ratings": 7, "responses.0.rewards": 2, "responses.1.rewards": 1}
    assert content("scored", raw) == PREFERRED | {"extra": extra}
    both = {"text": "b", "content": "Bah", "reward": 9, "score": 1}
    best = {"content": "Hello", "reward": 0, "score": 2, "overall_score": None}
    row = content("scored", {"prompt": "Hi", "answers": [both, best]})
    extra = {"answers.0.text": "b", "answers.0.reward": 9, "answers.1.reward": 0}
    assert row == PREFERRED | {"extra": extra | {"answers.0.score": 1, "answers.1.score": 2}}


SAME = "all answers have the same score: none is the better one, leave such rows out"
OBJECT = "the answer must be an object with a text and a score"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"responses": ["a", "b"], "scores": [1]}, "scores: there are 1 scores for 2 answers"),
        ({"responses": ["a", "b"], "scores": []}, "scores: there are 0 scores for 2 answers"),
        ({"responses": ["a", "b"], "scores": [1, 1.0]}, f"scores: {SAME}"),
        ({"responses": ["a", "b"], "scores": [1, "x"]}, "scores.1: the score must be a number"),
        ({"responses": ["a", "b"], "scores": [None, 1]}, "scores.0: the score must be a number"),
        ({"responses": ["a", "b"], "scores": [1, float("inf")]}, "scores.1: the score must be a number"),
        ({"responses": ["a", "b"], "scores": ["nan", 1]}, "scores.0: the score must be a number"),
        ({"responses": ["a", "b", 7], "scores": [1, 2, 3]}, "responses.2: the answer must be a text"),
        ({"responses": [{"text": "a", "score": 1}, "b"]}, f"responses.1: {OBJECT}"),
        ({"responses": [{"text": "a", "score": 1}, {"score": 2}]}, f"responses.1: {OBJECT}"),
        ({"responses": [{"text": "a", "score": 1}, {"text": 7, "score": 2}]}, f"responses.1: {OBJECT}"),
        ({"responses": [{"text": "a", "score": 1}, {"text": "b"}]}, "score.1: the score must be a number"),
        ({"responses": ["a", "a"], "scores": [1, 2]}, "rejected: chosen and rejected are the same"),
        ({"responses": ["a", " "], "scores": [1, 2]}, "chosen.0.content: the assistant turn is empty"),
    ],
)
def test_scores_that_name_no_better_answer_are_refused(raw, message, refusal):
    assert refusal("scored", {"prompt": "Hi", **raw}) == message


KNOWN = (
    "true, 1, 1.0, yes, good, desirable, positive, chosen, thumbs_up, "
    "false, 0, 0.0, no, bad, undesirable, negative, rejected, thumbs_down"
)


@pytest.mark.parametrize("marked", ["kto_tag", "label"])
def test_an_answer_and_its_label_are_read_beside_any_layout(marked, content, refusal):
    fits = FORMATS["kto"].fits
    row = {"kind": "label", "messages": [USER], "completion": [BOT], "label": True}
    for raw in (
        *({name: [USER, BOT]} for name in ("messages", "conversations", "conversation")),
        {"prompt": "Hi", "completion": "Hello"},
        {"instruction": "Hi", "output": [BOT]},
        {"question": [USER], "answer": "Hello"},
    ):
        for label, word in ((True, "yes"), (True, 1.0), (False, 0), (False, " Thumbs_Down")):
            assert fits(raw | {marked: word}) == f"an answer and its {marked}"
            assert content("kto", raw | {marked: word, "n": 1}) == row | {"label": label, "extra": {"n": 1}}
        for word, kind in ((None, "null"), ("maybe", "a text"), (2, "a number"), ([True], "a list")):
            assert fits(raw | {marked: word}) == ""
            reason = f"must be true or false, not {kind} (known: {KNOWN})"
            assert refusal("kto", raw | {marked: word}) == f"{marked}: {reason}"
        assert fits(raw) == ""
        assert refusal("kto", raw) == "label: the column 'label' is missing"
    no_answer = "prompt: there is no answer: neither turns nor columns such as prompt and completion"
    for raw in ({}, {"prompt": "Hi"}, {"messages": ["Hi"]}):
        assert fits(raw | {marked: True}) == ""
        assert refusal("kto", raw | {marked: True}) == no_answer


def test_the_label_judges_the_last_turn(content, refusal):
    long = [SYSTEM, USER, BAH, OTHER, BOT]
    row = content("kto", {"messages": long, "label": False})
    assert row == {"kind": "label", "messages": long[:4], "completion": [BOT], "label": False}
    last = "messages: the last turn must be the answer that the label judges"
    for turns in ([USER], [USER, BOT, OTHER], [SYSTEM, USER, BOT, OTHER], [BOT, SYSTEM]):
        assert refusal("kto", {"messages": turns, "label": True}) == last
    both = {"messages": [USER, BOT], "kto_tag": True, "label": False}
    assert FORMATS["kto"].fits(both) == "an answer and its kto_tag"
    expected = {"kind": "label", "messages": [USER], "completion": [BOT], "label": True, "extra": {"label": False}}
    assert content("kto", both) == expected
    assert FORMATS["kto"].fits(both | {"kto_tag": None}) == ""
    first = {"messages": [USER, BOT], "prompt": "a", "completion": "b", "label": True}
    extra: dict[str, Any] = {"extra": {"prompt": "a", "completion": "b"}, "label": True}
    assert content("kto", first) == expected | extra
