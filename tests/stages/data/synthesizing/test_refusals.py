"""What is refused: near duplicates, bad rows, replies, prompts and tools that cannot be used."""

import hashlib
import json
import re

import pytest

from burnish.core.errors import AskError, DataError
from burnish.testing import ChatServer
from teacher import answer, han, prompts, said, seed_of, words


def test_near_duplicates_of_earlier_and_given_rows_are_refused(made, server):
    text = "Please write a short poem about the river that runs behind the old mill"

    def similar(request):
        number = int(re.search(r"number (\d+)", said(request))[1])
        asked = {1: text, 2: text.upper() + "!", 3: "How do I repair a lamp that flickers at night?"}.get(number)
        return json.dumps({"request": asked or words(number, 15), "answer": "Yes."})

    server.answer = similar
    rows, stats, _, _ = made(rows=3, files={"given": prompts("How do I repair a lamp that flickers at night, please?")})
    assert [row["source"] for row in rows] == ["model/instruction#1", "model/instruction#4", "model/instruction#5"]
    assert stats["dropped"] == {"near duplicate": 2}
    again, stats, _, _ = made("all", rows=3, near_duplicates=None)
    assert [row["source"][-1] for row in again] == ["1", "2", "3"]


def test_a_row_in_another_language_is_refused(made, server):
    server.answer = lambda request: json.dumps({"request": words(seed_of(request), 9), "answer": "Yes."})
    with pytest.raises(DataError, match="other language 16"):
        made(rows=40, languages=["zh"])
    assert len(server.seen) == 16, "the first round is small"


REFUSED = {
    "not JSON": "no idea",
    "other schema": '{"request": "Why?"}',
    "empty": '{"request": " ", "answer": "b"}',
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_used_is_requested_again_then_refused_with_its_reason(made, server, reason):
    server.answer = lambda request: (
        REFUSED[reason] if said(request).count("number 2 ") or "number 2:" in said(request) else answer(request)
    )
    rows, stats, _, _ = made(rows=3, attempts=4)
    assert len(rows) == 3
    assert stats["dropped"] == {reason: 1}
    assert stats["replies"]["unusable"] == {reason: 4}
    sent = [json.dumps(request, sort_keys=True) for request in server.seen]
    assert len(set(sent)) == len(sent), "an attempt has a seed of its own"


def test_a_refusal_and_a_reply_that_is_cut_off_have_their_reasons(made, server):
    server.answer = lambda request: {"refusal": "I will not."}
    with pytest.raises(DataError, match="refusal 16"):
        made("refusal", rows=20, attempts=1)
    server.answer, server.finish_reason = lambda request: '{"request": "Wh', "length"
    with pytest.raises(DataError, match="cut off 16"):
        made("cut", rows=20, attempts=1, seed=5)


def test_a_request_that_the_endpoint_refuses_by_itself_is_not_repeated(made, server):
    class Picky(ChatServer):
        def _fault(self, request):
            return 400 if "Long?" in said(request) else None

    with Picky(lambda request: "Yes.") as picky:
        rows, stats, _, _ = made(
            make="answers", endpoint={"url": picky.url}, files={"given": prompts("Why?", "Long?", "Who?")}
        )
        assert [row["messages"][0]["content"] for row in rows] == ["Why?", "Who?"]
        assert stats["dropped"] == {"refused by the endpoint (400)": 1}
        assert len(picky.seen) == 3


def test_an_endpoint_without_json_schema_is_asked_in_another_way(made):
    class Plain(ChatServer):
        def _fault(self, request):
            return 400 if request.get("response_format", {}).get("type") == "json_schema" else None

    def in_a_fence(request):
        value = {"request": words(seed_of(request), 9), "answer": "Yes."}
        return f"<think>What now?</think>\n```json\n{json.dumps(value)}\n```"

    with Plain(in_a_fence) as plain:
        rows, _, events, _ = made(rows=3, endpoint={"url": plain.url})
        assert len(rows) == 3
        assert plain.seen[-1]["response_format"] == {"type": "json_object"}
        assert [event.value for event in events if event.kind == "chosen"] == ["json_object"]


def test_chinese_rows_are_compared_and_judged_in_chinese(made, server):
    texts = {
        1: "请写一首关于春天的短诗,要提到桃花和燕子。",
        2: "请写一首关于春天的短诗,要提到桃花和燕子!",
        3: "怎样在家里修理一盏闪烁的台灯?",
    }

    def reply(request):
        if "评判" in said(request):
            return json.dumps({"reason": "好", "score": 8})
        number = int(re.search(r"第 (\d+) 个", said(request))[1])
        return json.dumps({"request": texts.get(number, han(number, 24)), "answer": "好的。"}, ensure_ascii=False)

    server.answer = reply
    rows, stats, _, _ = made(rows=3, languages=["zh"], judge={"threshold": 0.5})
    assert [row["messages"][0]["content"] for row in rows][:2] == [texts[1], texts[3]]
    assert stats["dropped"] == {"near duplicate": 1}
    assert rows[0]["extra"]["judge_score"] == pytest.approx(7 / 9, abs=1e-4)


def test_a_prompt_of_ones_own_replaces_the_built_in_one_and_a_wrong_name_in_it_is_an_error(made, server):
    rows, stats, _, _ = made(rows=2, topics=["rivers"], files={"prompt": "Ask about {topic}, {number}. {schema}"})
    assert said(server.seen[0]).startswith("Ask about rivers, ")
    digest = hashlib.sha256(b"Ask about {topic}, {number}. {schema}").hexdigest()
    assert rows[0]["extra"]["prompt_sha256"] == stats["prompts"]["en"]["sha256"] == digest
    with pytest.raises(AskError, match=r"unknown placeholder \{topik\}"):
        made("wrong", rows=2, files={"prompt": "Ask about {topik}."})
    with pytest.raises(AskError, match="is empty"):
        made("empty", rows=2, files={"prompt": " "})
    rows, _, _, _ = made("judged", rows=2, judge={"threshold": 0}, files={"judge.prompt": "Score {answer} {schema}"})
    assert any(said(request).startswith("Score ") for request in server.seen)


@pytest.mark.parametrize(
    ("tools", "what"),
    [
        ("{", "invalid JSON"),
        ("[]", "no list of tools"),
        ('[{"description": "x"}]', "tool 1 has no name"),
        ('[{"name": "a", "parameters": {"type": "objekt"}}]', "tool 1"),
        ('[{"name": "a", "parameters": {"$ref": "http://127.0.0.1:9/x"}}]', "is not in the schema itself"),
        ('[{"name": "a"}, {"name": "a"}]', "same name"),
    ],
)
def test_tools_that_cannot_be_used_are_refused_before_anything_is_sent(made, server, tools, what):
    with pytest.raises(AskError, match=what):
        made(make="tools", rows=2, files={"tools": tools})
    assert server.seen == []
