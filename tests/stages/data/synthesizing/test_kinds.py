"""Every kind of row by a language model."""

import json

import pytest

from teacher import CITY, answer, prompts, said


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
