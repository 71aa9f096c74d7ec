"""Rows by a language model: every kind against a server that answers by what it is asked."""

import hashlib
import json
import re
import time

import pytest

from burnish.core.errors import AskError, DataError, RunError
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.data.dataset import read_rows
from burnish.specs.data import SynthesizeSpec
from burnish.stages.data.synthesize import run
from burnish.testing import ChatServer, input_at, temporary_context

WORDS = "river stone copper lamp winter orchard signal harbour velvet engine paper mountain glass feather market"
WORDS = WORDS.split()
CITY = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def words(seed, count):
    digest = hashlib.sha256(str(seed).encode()).digest()
    return " ".join(
        WORDS[digest[place % 32] % len(WORDS)] + str(digest[(place * 7 + 3) % 32]) for place in range(count)
    )


def han(seed, count):
    digest = hashlib.sha256(str(seed).encode()).digest()
    return "".join(chr(0x4E00 + digest[place % 32] * 40 + place) for place in range(count))


def made_of(schema, seed):
    """A value that fits a schema, by the seed."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][int(hashlib.sha256(str(seed).encode()).hexdigest(), 16) % len(schema["enum"])]
    if "anyOf" in schema:
        return made_of(schema["anyOf"][len(str(seed)) % len(schema["anyOf"])], seed)
    match schema["type"]:
        case "object":
            return {name: made_of(one, f"{seed}.{name}") for name, one in schema["properties"].items()}
        case "array":
            return [made_of(schema["items"], f"{seed}.{place}") for place in range(schema.get("minItems", 1))]
        case "integer" | "number":
            return 3
        case "boolean":
            return True
        case "string" if "pattern" in schema:
            return "tool_" + words(seed, 1)
    return words(seed, 12)


def seed_of(request):
    return json.dumps([request["messages"], request.get("seed")], ensure_ascii=False)


def answer(request):
    if "response_format" not in request:
        return f"The answer is {words(seed_of(request), 9)}."
    described = request["response_format"]["json_schema"]
    value = made_of(described["schema"], seed_of(request))
    if "语言:中文" in request["messages"][-1]["content"]:
        value["request"] = han(seed_of(request), 20)
    return json.dumps(value, ensure_ascii=False)


@pytest.fixture
def server():
    with ChatServer(answer) as server:
        server.usage = lambda request: {"prompt_tokens": 100, "completion_tokens": 20}
        yield server


@pytest.fixture
def made(server, tmp_path):
    """Make rows: gives (rows, stats, events, the outcome). Files are inputs of fields by their names."""

    def made(folder="run", files=None, endpoint=None, **settings):
        inputs, refs = {}, {}
        for field, content in (files or {}).items():
            path = tmp_path / f"{field.replace('.', '-')}{'.md' if 'prompt' in field else '.jsonl'}"
            path.write_text(content, encoding="utf-8")
            inputs[f"generator.{field}"] = input_at(path)
            refs[field] = f"file:{path}"
        nested = {name: ref for name, ref in refs.items() if "." not in name}
        for name, ref in refs.items():
            if "." in name:
                outer, inner = name.split(".")
                settings[outer] = {**settings.get(outer, {}), inner: ref}
        given = {"url": server.url, "model": "teacher", "backoff": 0.01, **(endpoint or {})}
        context, events = temporary_context(tmp_path / folder, inputs)
        context.cache = tmp_path / "cache"
        spec = SynthesizeSpec.model_validate({"generator": {"kind": "model", "endpoint": given, **nested, **settings}})
        with ConsumptionLedger(spec) as ledger:
            context.check_settings = ledger.check
            outcome = run(spec, context)
        rows = list(read_rows(context.out, "train"))
        return rows, json.loads((context.out / "stats.json").read_text()), events, outcome

    return made


def prompts(*texts):
    return "".join(json.dumps({"prompt": text}) + "\n" for text in texts)


def said(request):
    return request["messages"][-1]["content"]


def test_instructions_are_about_each_topic_in_each_language_in_turn(made, server):
    rows, stats, _, outcome = made(rows=8, topics=["rivers", "lamps"], languages=["en", "zh"])
    assert [row["extra"]["topic"] for row in rows] == ["rivers", "rivers", "lamps", "lamps"] * 2
    assert [row["extra"]["language"] for row in rows] == ["en", "zh"] * 4
    assert all(len(row["messages"]) == 2 for row in rows)
    assert any("主题:rivers" in said(request) for request in server.seen)
    assert {row["extra"]["prompt_sha256"] for row in rows} == {one["sha256"] for one in stats["prompts"].values()}
    assert (stats["requested"], stats["read"], stats["kept"]) == (8, 8, 8)
    assert stats["tokens"] == {"prompt": 800, "reply": 160, "replies_without_count": 0}
    assert outcome.measures["requests"] == 8


def test_a_conversation_has_its_turns_and_a_pair_two_answers(made):
    (conversation, *_), _, _, _ = made("talk", make="conversation", rows=2, turns=6)
    assert [turn["role"] for turn in conversation["messages"]] == ["user", "assistant"] * 3
    (pair, *_), _, _, _ = made("pair", make="preference", rows=2)
    assert pair["kind"] == "preference"
    assert pair["chosen"] != pair["rejected"]


def test_calls_fit_the_given_tools_and_their_results_are_marked_as_simulated(made):
    tools = [CITY, {"name": "stop", "description": "Stop."}]
    rows, _, _, _ = made(make="tools", rows=4, files={"tools": json.dumps(tools)})
    for row in rows:
        assert [tool["function"]["name"] for tool in row["tools"]] == ["get_weather", "stop"]
        user, call, result, last = row["messages"]
        (one,) = call["tool_calls"]
        assert set(json.loads(one["function"]["arguments"])) == ({"city", "days"} if "get" in str(one) else set())
        assert result["tool_call_id"] == one["id"]
        assert [user["role"], result["role"], last["role"]] == ["user", "tool", "assistant"]
        assert row["extra"]["simulated_results"] is True
    rows, _, _, _ = made("calls", make="tools", rows=2, results=False, files={"tools": json.dumps(tools)})
    assert [turn["role"] for turn in rows[0]["messages"]] == ["user", "assistant"]
    assert "simulated_results" not in rows[0]["extra"]


def test_arguments_that_do_not_fit_are_refused_and_requested_again(made, server):
    def wrong_first(request):
        value = json.loads(answer(request))
        for call in value.get("calls", []):
            call["arguments"] = {"city": "Oslo", "days": 0 if request["seed"] < 1000 else 2}
        return json.dumps(value)

    server.answer = wrong_first
    rows, stats, _, _ = made(make="tools", rows=3, files={"tools": json.dumps([CITY])})
    assert len(rows) == 3
    assert stats["replies"] == {"read": 6, "unusable": {"other schema": 3}}
    assert all('"days": 2' in row["messages"][1]["tool_calls"][0]["function"]["arguments"] for row in rows)


def test_tools_are_invented_for_each_topic_and_subtopics_listed_first(made, server):
    rows, _, _, _ = made(make="tools", rows=4, topics=["rivers"], subtopics=2)
    forms = [request["response_format"]["json_schema"]["name"] for request in server.seen]
    assert forms[0] == "subtopics"
    assert forms.index("toolbox") < forms.index("row")
    assert all(row["tools"][0]["function"]["name"].startswith("tool_") for row in rows)
    assert all(row["extra"]["topic"] != "rivers" for row in rows)


def test_given_rows_are_evolved_and_named(made, server):
    rows, _, _, _ = made(make="evolved", rows=4, files={"given": prompts("Boil an egg.", "Name a river.")})
    assert len({row["extra"]["seed_row"] for row in rows}) == 2
    assert ["Boil an egg." in said(request) for request in server.seen[:1]] == [True]


def test_prompts_are_answered_as_they_are_with_their_tools(made, server):
    asked = {"messages": [{"role": "user", "content": "Weather?"}], "tools": [{"type": "function", "function": CITY}]}
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    server.answer = lambda request: {"tool_calls": [call], "reasoning_content": "hm"} if "tools" in request else "Yes."
    others = [{"messages": [{"role": "user", "content": text}]} for text in ("Is it?", "Is it?", "Why?")]
    given = "".join(json.dumps(row) + "\n" for row in (asked, *others))
    rows, stats, _, _ = made(make="answers", system="Be brief.", files={"given": given})
    assert rows[0]["messages"][1] == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "hm",
        "tool_calls": [call],
    }
    assert rows[1]["messages"] == [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "Yes."}]
    assert len(rows) == stats["requested"] == 3
    assert stats["given"] == {"rows": 3, "left_out": {"same request": 1}}
    assert all(request["messages"][0] == {"role": "system", "content": "Be brief."} for request in server.seen)


def test_the_best_and_the_worst_of_several_answers_become_a_pair(made, server):
    rows, stats, _, _ = made(make="ranked", candidates=4, files={"given": prompts("Why?", "How?", "Who?")})
    for row in rows:
        scores = row["extra"]["judge_scores"]
        assert row["extra"]["judge_score"] == max(scores) > min(scores)
    judged = [request for request in server.seen if "response_format" in request]
    assert {request["temperature"] for request in judged} == {0.0}
    assert len(server.seen) - len(judged) == 12
    assert stats["kept"] + sum(stats["dropped"].values()) == 3


def test_rows_below_the_judges_threshold_are_refused_and_the_others_have_their_score(made):
    rows, stats, events, _ = made(rows=10, judge={"threshold": 0.5}, excess=1.5)
    assert all(row["extra"]["judge_score"] >= 0.5 for row in rows)
    assert 0 < stats["dropped"]["below the judge's threshold"] == stats["read"] - len(rows)
    assert len(stats["dropped_examples"]["below the judge's threshold"]) <= 3
    assert stats["judge"]["threshold"] == 0.5
    assert len(rows) == 10 or any("of 10 rows are made" in getattr(event, "text", "") for event in events)


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


def test_concurrency_changes_no_byte_of_the_dataset(made, tmp_path, server):
    files = {}
    for number in (1, 8):
        made(f"run-{number}", rows=30, judge={"threshold": 0.3}, endpoint={"concurrency": number})
        out = tmp_path / f"run-{number}" / "out"
        files[number] = {path.name: path.read_bytes() for path in out.iterdir()}
        for path in (tmp_path / "cache").rglob("*.json"):
            path.unlink()
    assert files[1] == files[8]
    assert server.most_at_once > 1


def test_the_rows_of_a_shorter_run_are_the_first_of_a_longer_one_and_cost_nothing(made, server):
    long, _, _, _ = made("long", rows=30)
    before = len(server.seen)
    short, _, _, outcome = made("short", rows=17)
    assert short == long[:17]
    assert len(server.seen) == before
    assert outcome.measures["requests"] == 0


def test_a_cap_says_what_is_there_and_a_higher_one_resumes(made, server):
    with pytest.raises(RunError) as error:
        made(rows=40, endpoint={"max_calls": 30})
    assert error.value.code == "run.call-limit"
    made_so_far = re.search(r"there are (\d+) of 40 rows", error.value.what)
    kept = int(made_so_far[1])
    assert kept >= 16
    assert f"set rows: {kept}" in error.value.fix
    before = len(server.seen)
    assert before <= 30
    rows, _, _, _ = made("fewer", rows=kept)
    assert (len(rows), len(server.seen)) == (kept, before)
    rows, _, _, _ = made(rows=40, endpoint={"max_calls": 100})
    sent = [json.dumps(request, sort_keys=True) for request in server.seen]
    assert len(rows) == 40
    assert len(set(sent)) == len(sent)


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


EVERY = {
    "instruction": {
        "rows": 2,
        "topics": ["a"],
        "subtopics": 2,
        "languages": ["zh", "en"],
        "examples": 1,
        "split": "train",
    },
    "conversation": {"rows": 2, "turns": 2, "response_format": "json_schema", "attempts": 2, "excess": 3.0},
    "tools": {"rows": 2, "results": False, "near_duplicates": 0.9},
    "evolved": {"rows": 2, "seed": 3, "system": "Be kind.", "judge": {"threshold": 0.0}},
    "answers": {"rows": 2, "temperature": 0.2, "max_tokens": 9, "split": "train"},
    "ranked": {"candidates": 3, "judge": {"threshold": 0.0}},
}
"""Settings that a kind takes."""


@pytest.mark.parametrize("make", EVERY)
def test_every_setting_of_a_kind_is_read_before_anything_is_sent(made, make):
    files = {"given": prompts("Boil an egg in the morning.", "Name a river of Asia.")}
    files = {} if make in ("conversation", "tools") else files
    rows, stats, _, _ = made(make=make, files=files, **EVERY[make])
    assert len(rows) == stats["kept"] > 0


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


def test_a_step_that_is_stopped_says_what_there_is_and_resumes(server, tmp_path):
    spec = {"kind": "model", "rows": 30, "endpoint": {"url": server.url, "model": "m", "concurrency": 1}}
    spec = SynthesizeSpec.model_validate({"generator": spec})
    server.answer = lambda request: time.sleep(0.05) or answer(request)
    context, _ = temporary_context(tmp_path, stopping=lambda: len(server.seen) > 20)
    with pytest.raises(RunError, match="stopped with 16 of 30 rows") as error:
        run(spec, context)
    assert error.value.code == "run.interrupted"
    context, _ = temporary_context(tmp_path)
    run(spec, context)
    sent = [json.dumps(request, sort_keys=True) for request in server.seen]
    assert len(sent) == len(set(sent)) == 30
