"""The judge, against a real server."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from burnish.core.context import StopRequestedError
from burnish.core.errors import AskError, MachineError, RunError
from burnish.core.inputs.unfinished import has_checkpoint
from burnish.core.runs.workspace import Workspace
from burnish.data.document import conversation_text, make_row
from burnish.specs.rewards import Reward
from burnish.testing import temporary_context
from burnish.train.rewards.build import build_rewards, close_rewards
from burnish.train.rewards.reward import counts_of, total
from completions import completion


def setting(server, **settings):
    endpoint = {"url": server.url, "model": "judge", "backoff": 0.01, **settings.pop("endpoint", {})}
    return {"kind": "judge", "endpoint": endpoint, **settings}


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("Score: 10", 1.0),
        ("Score: 1", 0.0),
        ("Good.\nscore: 5.5", 0.5),
        ("**Score:** 10", 1.0),
        ("**Score: 10**", 1.0),
        ("I would give Score: 1, no, Score: 10", 1.0),
        ("Score: 10/10", 1.0),
        ("Score = 10.", 1.0),
        ('{"score": 10}', 1.0),
        ("<think>Score: 1</think>Score: 10", 1.0),
    ],
)
def test_the_last_score_of_a_reply_is_mapped_to_0_to_1(server, value, said, request):
    server.answer = lambda request: said
    found = request.getfixturevalue("build")(setting(server))
    assert total(found, [completion("x")]).totals == [pytest.approx(value)]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("no idea", "the pattern is not found"),
        ("", "the pattern is not found"),
        ("Score: ten", "the pattern is not found"),
        ("Score: 11", "11 is not from 1 to 10"),
        ("Score: 0", "0 is not from 1 to 10"),
        ("Score: -5", "-5 is not from 1 to 10"),
        ("<think>Score: 10", "the pattern is not found"),
    ],
)
def test_a_reply_without_a_score_stops_the_run_or_is_skipped_and_counted(server, build, said, problem):
    server.answer = lambda request: said
    with pytest.raises(RunError, match=f"^reward 'judge': row rows.jsonl:1: .*{problem}") as caught:
        total(build(setting(server)), [completion("x")])
    assert caught.value.code == "run.bad-reward"
    assert "unreadable: skip" in caught.value.fix
    (judge,) = build(setting(server, unreadable="skip"))
    found = total([judge], [completion("x"), completion("y")])
    assert found.totals == [None, None]
    assert problem in found.why_none(0)
    assert judge.unreadable == 2
    counts = {"calls": 2, "tokens": judge.endpoint.tokens, "unreadable": 2, "cached": 1, "retries": 0, "damaged": 0}
    assert counts_of([judge]) == {f"judge/{name}": count for name, count in counts.items()}


def test_a_reply_that_was_cut_off_has_no_score(server, build):
    server.answer, server.finish_reason = lambda request: "Score: 1", "length"
    found = total(build(setting(server, unreadable="skip")), [completion("x")])
    assert found.totals == [None]
    assert "cut off at max_tokens" in found.why_none(0)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ('{"rating": {"score": 3}}', 0.5),
        ('```json\n{"rating": {"score": "4"}}\n```', 0.75),
        ('{"rating": {"score": 6}}', None),
        ('{"rating": {"score": true}}', None),
        ('{"rating": {"score": null}}', None),
        ('{"rating": 3}', None),
        ('{"rating": {"score": 3}', None),
        ("3", None),
    ],
)
def test_a_score_in_a_json_field(server, build, said, value):
    server.answer = lambda request: said
    rewards = build(setting(server, field="rating.score", low=1, high=5, unreadable="skip"))
    assert total(rewards, [completion("x")]).totals == [value]


def test_a_pattern_of_ones_own(server, build):
    server.answer = lambda request: "[[3]] then [[5]]"
    (judge,) = build(setting(server, pattern=r"\[\[(\w+)\]\]", low=0, high=5))
    assert total([judge], [completion("x")]).totals == [1.0]
    server.answer = lambda request: "[[A]]"
    with pytest.raises(RunError, match="'A' is not a number"):
        total([judge], [completion("y")])


def test_the_request_holds_prompt_answer_reference_and_columns_and_no_placeholder_is_replaced_twice(server, build):
    prompt = 'Q {prompt} A {answer} R {reference} X {extra.rubric} {extra.level} {"json": {}} {other}'
    rewards = build(setting(server, prompt=prompt, system="Be strict."))
    one = completion("<think>hm</think>{reference} {prompt}", "42", question="{answer}?", rubric="r", level=3)
    total(rewards, [one])
    assert server.seen[0]["messages"] == [
        {"role": "system", "content": "Be strict."},
        {"role": "user", "content": 'Q {answer}? A {reference} {prompt} R 42 X r 3 {"json": {}} {other}'},
    ]


def test_a_row_without_the_reference_that_the_prompt_needs_has_no_reward_and_is_not_asked(server, build):
    rewards = build(setting(server, prompt="{answer} {reference}"))
    found = total(rewards, [completion("a"), completion("b", "c")])
    assert found.totals == [None, 1.0]
    assert found.why_none(0) == "judge: the row has no reference answer"
    assert len(server.seen) == 1


def test_a_row_without_a_column_that_the_prompt_needs_has_no_reward_and_is_not_asked(server, build):
    rewards = build(setting(server, prompt="{answer} {extra.rubric}"))
    found = total(rewards, [completion("a", rubrik="x"), completion("b", rubric=None), completion("c", rubric="x")])
    assert found.totals == [None, None, 1.0]
    assert found.why_none(0) == "judge: the row has no column 'rubric'; its columns: rubrik"
    assert found.why_none(1) == "judge: the column 'rubric' is null"
    assert len(server.seen) == 1


def test_replies_from_the_cache_and_damaged_ones_are_counted(server, build, tmp_path):
    (judge,) = build(setting(server))
    total([judge], [completion("x"), completion("y")])
    total([judge], [completion("x"), completion("y")])
    stored = sorted(tmp_path.rglob("replies/*/*.json"))
    stored[0].write_text("{")
    total([judge], [completion("x"), completion("y")])
    assert judge.counts.items() >= {"calls": 3, "cached": 3, "damaged": 1}.items()


def test_scores_have_the_order_of_the_completions_and_equal_ones_are_asked_once(server, build):
    server.answer = lambda request: f"Score: {request['messages'][0]['content'].count('*')}"
    rewards = build(setting(server, prompt="{answer}", endpoint={"concurrency": 8}))
    stars = [3, 1, 10, 3, 7, 1]
    found = total(rewards, [completion("*" * count) for count in stars])
    assert found.totals == [pytest.approx((count - 1) / 9) for count in stars]
    assert len(server.seen) == 4


def test_a_resumed_run_gets_the_same_scores_without_asking(server, build):
    before = total(build(setting(server)), [completion("x"), completion("y")]).totals
    server.answer = lambda request: "Score: 1"
    assert total(build(setting(server)), [completion("x"), completion("y")]).totals == before
    assert len(server.seen) == 2


def test_faults_that_pass_are_invisible_and_others_name_the_reward(server, build):
    server.faults = [429, 500, "half", "garbage", "reset"]
    assert total(build(setting(server)), [completion("x")]).totals == [1.0]
    server.faults = [401]
    with pytest.raises(MachineError, match=r"reward 'judge': judge at .* refuses the request: status 401"):
        total(build(setting(server)), [completion("z")])


def test_a_key_that_is_not_set_is_found_before_the_run(server, build, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(AskError, match="NO_SUCH_KEY"):
        build(setting(server, endpoint={"api_key_env": "NO_SUCH_KEY"}))


def test_a_conversation_is_written_with_its_roles_and_calls():
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "add"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "content": "3"},
    ]
    text = 'System: Be brief.\n\nUser: add\n\nAssistant: {"name": "f", "arguments": "{}"}\n\nTool: 3'
    assert conversation_text(turns) == text
    assert conversation_text(turns[1:2]) == "add"
    make_row("prompt", "x", messages=turns)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"pattern": "a(b", "field": None}, "invalid regular expression"),
        ({"pattern": "ab"}, "needs a group"),
        ({"pattern": "(a)", "field": "b"}, "either pattern or field"),
        ({"low": 5, "high": 5}, "low 5.0 must be below high 5.0"),
        ({"prompt": "rate it"}, "must contain {answer}"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, problem):
    given = {"kind": "judge", "endpoint": {"url": "http://host/v1", "model": "m"}, **settings}
    with pytest.raises(ValidationError, match=problem):
        TypeAdapter(Reward).validate_python(json.loads(json.dumps(given)))


def test_what_a_judge_spent_makes_a_killed_run_resume_and_counts_in_it(server, tmp_path):
    folder = Workspace(tmp_path / "work").run("r", 1, "practise")
    folder.create({"recipe": "r", "number": 1, "step": "practise", "stage": "grpo", "fingerprint": "f", "spec": {}})
    spec = TypeAdapter(Reward).validate_python(setting(server, endpoint={"max_calls": 2}))

    def attempt(*texts):
        ctx, _ = temporary_context(tmp_path, {})
        ctx.scratch, ctx.cache = folder.scratch, tmp_path / texts[0]
        rewards = build_rewards([spec], ctx)
        try:
            return total(rewards, [completion(text) for text in texts]).totals
        finally:
            close_rewards(rewards)

    attempt("x")
    folder.transition("running")  # no process holds its lock: it was killed
    assert has_checkpoint(folder)
    with pytest.raises(RunError, match="max_calls: 2"):
        attempt("y", "z")
    assert len(server.seen) == 2


def test_a_stop_of_the_run_ends_the_wait_for_a_judge(server, tmp_path):
    server.faults = ["slow"]
    spec = TypeAdapter(Reward).validate_python(setting(server))
    ctx, _ = temporary_context(tmp_path, {}, stopping=lambda: bool(server.seen))
    rewards = build_rewards([spec], ctx)
    with pytest.raises(StopRequestedError):
        total(rewards, [completion("x")])
