"""The generate stage: every row gets one line, in order, and two models stand side by side."""

import json
from pathlib import Path

import pytest

from burnish.core.errors import DataError, RunError
from burnish.core.events import Note, Progress, Table
from burnish.specs.models import GenerateSpec
from burnish.stages.models.generate import run
from burnish.testing import ChatServer, temporary_context, tiny_model

ROWS = [
    {"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "1"}]},
    {"messages": [{"role": "system", "content": "count"}, {"role": "user", "content": "two"}]},
    {"messages": [{"role": "user", "content": "three " * 9}, {"role": "assistant", "content": "3"}]},
]


@pytest.fixture
def data(tmp_path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture
def model(tmp_path) -> Path:
    return tiny_model(tmp_path / "model", initializer_range=0.4)


def spec_of(**settings) -> GenerateSpec:
    generation = {"max_new_tokens": 6, "batch_size": 2}
    return GenerateSpec(model="file:m", data="file:d", generation=generation, device="cpu", **settings)


def answers(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "out/answers.jsonl").read_text().splitlines()]


def test_every_row_is_answered_in_order(tmp_path, data, model):
    ctx, events = temporary_context(tmp_path, {"model": model, "data": data})

    outcome = run(spec_of(), ctx)

    lines = answers(tmp_path)
    assert [line["source"] for line in lines] == ["prompts.jsonl:1", "prompts.jsonl:2", "prompts.jsonl:3"]
    assert [line["prompt"] for line in lines] == [ROWS[0]["messages"][:1], ROWS[1]["messages"], ROWS[2]["messages"][:1]]
    assert [line.get("reference") for line in lines] == ["1", None, "3"]
    assert all(isinstance(line["answer"], str) for line in lines)
    assert outcome.kind == "generations"
    assert outcome.measures["rows"] == outcome.measures["answers"] == 3
    assert [event.done for event in events if isinstance(event, Progress)] == [0, 2, 3]


def test_two_models_answer_side_by_side(tmp_path, data, model):
    other = tiny_model(tmp_path / "other", initializer_range=0.4, seed=7)
    ctx, events = temporary_context(tmp_path, {"model": model, "data": data, "compare_with": other})

    outcome = run(spec_of(compare_with="file:o", max_rows=2), ctx)

    lines = answers(tmp_path)
    assert len(lines) == 2
    assert outcome.measures["same_answers"] == 0
    assert all(line["answer"] != line["other_answer"] for line in lines)
    [table] = [event for event in events if isinstance(event, Table)]
    assert table.columns == ["prompt", f"file:{model}", f"file:{other}", "reference"]
    assert table.rows[0] == ["one", lines[0]["answer"], lines[0]["other_answer"], "1"]
    alone, _ = temporary_context(tmp_path / "alone", {"model": other, "data": data})
    run(spec_of(), alone)
    assert [line["answer"] for line in answers(tmp_path / "alone")][:2] == [line["other_answer"] for line in lines]


def test_equal_answers_of_two_models_are_counted(tmp_path, data, model):
    ctx, _ = temporary_context(tmp_path, {"model": model, "data": data, "compare_with": model})
    assert run(spec_of(compare_with="file:o"), ctx).measures["same_answers"] == 3


def test_a_prompt_that_fills_the_context_is_reported_and_not_lost(tmp_path, data):
    model = tiny_model(tmp_path / "short", max_position_embeddings=48)
    ctx, events = temporary_context(tmp_path, {"model": model, "data": data})

    outcome = run(spec_of(), ctx)

    assert [line["finish_reason"] == "no_room" for line in answers(tmp_path)] == [False, False, True]
    assert outcome.measures["answers"] == 2
    assert any(isinstance(event, Note) and event.level == "warning" for event in events)


def test_texts_are_continued(tmp_path, model):
    data = tmp_path / "texts.jsonl"
    data.write_text('{"text": "once upon"}\n')
    ctx, _ = temporary_context(tmp_path, {"model": model, "data": data})
    run(spec_of(), ctx)
    [line] = answers(tmp_path)
    assert line["prompt"] == "once upon"
    assert line["answer"]


def test_it_stops_when_requested(tmp_path, data, model):
    ctx, _ = temporary_context(tmp_path, {"model": model, "data": data}, stopping=lambda: True)
    with pytest.raises(RunError) as error:
        run(spec_of(), ctx)
    assert error.value.code == "run.interrupted"


def test_no_rows_are_an_error(tmp_path, model):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    ctx, _ = temporary_context(tmp_path, {"model": model, "data": empty})
    with pytest.raises(DataError):
        run(spec_of(), ctx)


def test_a_rows_own_columns_stay_with_its_answer(tmp_path, model):
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"messages": ROWS[1]["messages"], "ticket": 7, "tag": "count"}) + "\n")
    ctx, _ = temporary_context(tmp_path, {"model": model, "data": path})
    run(spec_of(), ctx)
    [line] = answers(tmp_path)
    assert line["extra"] == {"ticket": 7}
    assert line["tag"] == "count"


def served_spec(server: ChatServer, **settings) -> GenerateSpec:
    endpoint = {"url": server.url, "model": "remote", "backoff": 0.01, **settings.pop("endpoint", {})}
    return GenerateSpec(endpoint=endpoint, data="file:d", **settings)


def test_a_model_behind_an_endpoint_answers_with_the_same_columns(tmp_path, data):
    with ChatServer(lambda request: request["messages"][-1]["content"].upper()) as server:
        server.usage = lambda request: {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
        ctx, events = temporary_context(tmp_path, {"data": data})
        outcome = run(served_spec(server, generation={"max_new_tokens": 6}), ctx)
        again, _ = temporary_context(tmp_path / "again", {"data": data})
        again.cache = ctx.cache
        cached = run(served_spec(server, generation={"max_new_tokens": 6}), again)
        assert len(server.seen) == 3
        assert server.seen[0]["max_tokens"] == 6
    lines = answers(tmp_path)
    assert [line["prompt"] for line in lines] == [ROWS[0]["messages"][:1], ROWS[1]["messages"], ROWS[2]["messages"][:1]]
    assert [line["answer"] for line in lines] == ["ONE", "TWO", "THREE " * 9]
    assert [line.get("reference") for line in lines] == ["1", None, "3"]
    assert answers(tmp_path / "again") == lines
    measures = dict(outcome.measures)
    assert {name: measures[name] for name in ("rows", "answers", "cut_off", "tokens", "requests", "cached")} == {
        "rows": 3,
        "answers": 3,
        "cut_off": 0,
        "tokens": 6,
        "requests": 3,
        "cached": 0,
    }
    assert (cached.measures["requests"], cached.measures["cached"]) == (0, 3)
    assert [event.done for event in events if isinstance(event, Progress)][-1] == 3
    [table] = [event for event in events if isinstance(event, Table)]
    assert table.columns == ["prompt", f"remote at {server.url}", "reference"]


def test_calls_reasoning_and_refusals_of_an_endpoint_are_kept(tmp_path):
    call = {"type": "function", "function": {"name": "find", "arguments": '{"word": "yes"}'}}
    tool = {"type": "function", "function": {"name": "find", "description": "", "parameters": {"type": "object"}}}
    path = tmp_path / "calls.jsonl"
    row = {"messages": [ROWS[0]["messages"][0], {"role": "assistant", "content": "", "tool_calls": [call]}]}
    path.write_text(json.dumps({**row, "tools": [tool]}) + "\n")
    message = {"content": "I look.", "tool_calls": [call], "reasoning_content": "hm", "refusal": "not all"}
    with ChatServer(lambda request: message) as server:
        ctx, _ = temporary_context(tmp_path, {"data": path})
        run(served_spec(server), ctx)
        assert server.seen[0]["tools"] == [tool]
    [line] = answers(tmp_path)
    written = '<tool_call>\n{"name": "find", "arguments": {"word": "yes"}}\n</tool_call>'
    assert (line["answer"], line["reference"]) == (f"I look.\n{written}", written)
    assert (line["reasoning"], line["refusal"]) == ("hm", "not all")


def test_a_prompt_that_an_endpoint_refuses_is_reported_and_not_lost(tmp_path, data):
    with ChatServer(lambda request: "yes") as server:
        server.faults = [400]
        ctx, events = temporary_context(tmp_path, {"data": data})
        outcome = run(served_spec(server, endpoint={"concurrency": 1}), ctx)
    assert [(line["answer"], line["finish_reason"]) for line in answers(tmp_path)] == [
        (None, "refused"),
        ("yes", "stop"),
        ("yes", "stop"),
    ]
    assert outcome.measures["answers"] == 2
    [warning] = [event.text for event in events if isinstance(event, Note) and event.level == "warning"]
    assert "refuses 1 of 3 prompts" in warning
    assert "fault 400" in warning


def test_a_text_is_continued_by_an_endpoint_and_conversations_beside_it_are_answered(tmp_path):
    class Both(ChatServer):
        def _body(self, request, path):
            if path.endswith("/chat/completions"):
                return super()._body(request, path)
            choice = {"index": 0, "text": f"{request['prompt']} a time", "finish_reason": "length"}
            return 200, {"choices": [choice], "usage": {"prompt_tokens": 2, "completion_tokens": 2}}

    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "once upon"}\n')
    with Both(lambda request: "yes") as server:
        ctx, _ = temporary_context(tmp_path, {"data": path})
        outcome = run(served_spec(server), ctx)
        assert server.seen == [{"model": "remote", "temperature": 0.0, "max_tokens": 256, "prompt": "once upon"}]
    [line] = answers(tmp_path)
    assert (line["prompt"], line["answer"], line["finish_reason"]) == ("once upon", "once upon a time", "length")
    assert (outcome.measures["cut_off"], outcome.measures["requests"]) == (1, 1)


def test_an_endpoint_and_a_model_answer_side_by_side(tmp_path, data, model):
    with ChatServer(lambda request: "yes") as server:
        ctx, _ = temporary_context(tmp_path, {"data": data, "compare_with": model})
        run(served_spec(server, compare_with="file:m", device="cpu", generation={"max_new_tokens": 4}), ctx)
    assert all(line["answer"] == "yes" and isinstance(line["other_answer"], str) for line in answers(tmp_path))


@pytest.mark.parametrize("given", [{}, {"model": "file:m", "endpoint": {"url": "http://h/v1", "model": "m"}}])
def test_either_a_model_or_an_endpoint_answers(given):
    with pytest.raises(ValueError, match="give either model or endpoint"):
        GenerateSpec(data="file:d", **given)
