"""The playground over HTTP: the embedded model and an adapter of it answer side by side, and votes become data."""

import asyncio
import json
import os
import re
import signal
import threading
import time

import httpx
import pytest
from starlette.requests import Request

import burnish
from burnish.serve.http.orders import draw_of
from burnish.serve.http.wire.requests import CompletionRequest
from burnish.server.app import make_app
from burnish.server.routes.generate import Parameters, playground_of
from burnish.server.settings import Settings
from studio_server import serving

HELLO = [{"role": "user", "content": "Hello"}]
POCKET, ADAPTER = "builtin:pocket", "sft.sft@1"


@pytest.fixture(scope="module")
def studio(models_studio):
    return models_studio


def asked(studio, status=200, stop_after=None, **body):
    """The events of an answer, with the seconds at which they came."""
    began, found, kind = time.monotonic(), [], ""
    with studio.page.stream("POST", "/api/v1/generate", json=body, timeout=120) as answer:
        if answer.status_code != 200:
            answer.read()
            assert answer.status_code == status, answer.text
            return answer.json()
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                found.append({"event": kind, "at": time.monotonic() - began, **json.loads(line[6:])})
                if stop_after is not None and len(found) == stop_after:
                    break
    return found


def by_model(events):
    """The text of each model's tokens, and its last event."""
    texts, ends = {}, {}
    for event in events:
        texts.setdefault(event["model"], "")
        texts[event["model"]] += event["text"] if event["event"] == "token" else ""
        ends[event["model"]] = event
    return texts, ends


def test_a_server_has_one_playground_from_the_start(tmp_path):
    app = make_app(Settings(tmp_path))
    asked = Request({"type": "http", "app": app})
    assert asyncio.run(playground_of(asked)) is app.state.playground


def test_the_schema_says_how_tokens_are_drawn_where_nothing_is_given():
    drawn = draw_of(CompletionRequest(model="m", prompt="x"), None, None)
    said = re.findall(r"(\w+) (\d\.\d)", " ".join(Parameters.__doc__.split()))
    assert {"temperature", "top_p"} <= {name for name, _ in said}
    assert said == [(name, str(getattr(drawn, name))) for name, _ in said]
    assert drawn.top_k is None  # as it says too


def test_a_model_and_its_adapter_answer_side_by_side_and_a_warm_answer_is_quick(studio):
    drawn = {"messages": HELLO, "params": {"max_tokens": 24, "temperature": 0}, "seed": 7}
    first = asked(studio, models=[POCKET, ADAPTER], **drawn)
    texts, ends = by_model(first)
    assert [ends[model]["event"] for model in (POCKET, ADAPTER)] == ["done", "done"], ends
    assert texts == {model: end["answer"] for model, end in ends.items()}
    assert all(texts.values())
    assert texts[POCKET] != texts[ADAPTER]
    assert any(event["event"] == "loading" and "GGUF" in event["text"] for event in first)
    warm = [asked(studio, models=[ADAPTER, POCKET], **drawn) for _ in range(3)]
    assert all(by_model(again)[0] == texts for again in warm)
    assert min(event["at"] for again in warm for event in again) < 0.3
    [process] = studio.page.get("/api/v1/generate/models").json()
    assert (process["model"], process["state"], process["adapters"]) == (POCKET, "ready", 1)


def test_the_short_form_gives_the_whole_answer_at_once(studio):
    drawn = {"messages": HELLO, "params": {"max_tokens": 24, "temperature": 0}, "seed": 7}
    _, ends = by_model(asked(studio, models=[POCKET], **drawn))
    answer = studio.page.post("/generate", json={"model": POCKET, **drawn}, timeout=120)
    assert (answer.status_code, answer.json()["answer"]) == (200, ends[POCKET]["answer"])
    said = studio.page.post(
        "/generate", json={**drawn, "model": POCKET, "messages": None, "prompt": "Hello"}, timeout=120
    )
    assert (said.status_code, said.json()["answer"]) == (200, ends[POCKET]["answer"])
    unknown = studio.page.post("/generate", json={"model": "builtin:none", "prompt": "x"}, timeout=120)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "ask.bad-reference")


def test_a_text_is_continued_and_drawn_alike_with_one_seed(studio):
    drawn = {"models": [POCKET], "seed": 3, "params": {"max_tokens": 12, "temperature": 1.5}}
    events = [asked(studio, **drawn, text="The date") for _ in range(2)]
    answers = [by_model(found)[0][POCKET] for found in events]
    assert answers[0] == answers[1] != ""
    assert events[0][-1]["prompt_tokens"] < asked(studio, **drawn, prompt="The date")[-1]["prompt_tokens"]


def test_one_model_that_is_not_there_leaves_the_others_answering(studio, until):
    events = asked(studio, models=["nowhere@1", POCKET], messages=HELLO)
    ends = by_model(events)[1]
    assert (ends["nowhere@1"]["event"], ends["nowhere@1"]["code"]) == ("error", "ask.bad-reference")
    assert ends["nowhere@1"]["fix"]
    assert ends[POCKET]["event"] == "done"


def test_a_connection_that_is_closed_ends_the_answer(studio, until):
    ban = {"max_tokens": 1000, "temperature": 2.0}
    asked(studio, stop_after=1, models=[POCKET], text="a", params=ban)
    until(lambda: all(one["answering"] == 0 for one in studio.page.get("/api/v1/generate/models").json()), seconds=10)


def test_a_client_of_the_short_form_that_leaves_ends_its_answer(studio, until):
    asked(studio, models=[POCKET], messages=HELLO)
    [process] = studio.page.get("/api/v1/generate/models").json()

    def leave():
        with pytest.raises(httpx.ReadTimeout):
            studio.page.post("/generate", json={"model": POCKET, "messages": HELLO}, timeout=2)

    def answering():
        return [one["answering"] for one in studio.page.get("/api/v1/generate/models").json()]

    os.kill(process["process"], signal.SIGSTOP)  # its answer does not come
    try:
        leaving = threading.Thread(target=leave)
        leaving.start()
        until(lambda: answering() == [1])
        leaving.join(20)
        until(lambda: answering() == [0], seconds=10)
    finally:
        os.kill(process["process"], signal.SIGCONT)


def test_a_server_that_stops_ends_its_answers_and_its_models(tmp_path, until):
    with serving(tmp_path) as studio:
        question = {"text": "a", "params": {"max_tokens": 1000, "temperature": 2.0}}
        short = []

        def ask():
            short.append(studio.page.post("/generate", json={"model": POCKET, **question}))

        def answering():
            return [one["answering"] for one in studio.page.get("/api/v1/generate/models").json()]

        asking = threading.Thread(target=ask)
        asking.start()
        with studio.page.stream("POST", "/api/v1/generate", json={"models": [POCKET], **question}) as answer:
            until(lambda: answering() == [2])
            studio.process.send_signal(signal.SIGTERM)
            assert studio.process.wait(4) is not None
            assert "event: done" not in list(answer.iter_lines())
        asking.join(20)
        assert short[0].json()["code"] in ("run.interrupted", "run.engine-failed")


def test_a_process_that_is_killed_is_started_again(studio):
    [process] = studio.page.get("/api/v1/generate/models").json()
    os.kill(process["process"], 9)
    ends = by_model(asked(studio, models=[POCKET], messages=HELLO))[1]
    if ends[POCKET]["event"] == "error":  # it was asked before its end was seen
        assert ends[POCKET]["code"] == "run.engine-failed"
        ends = by_model(asked(studio, models=[POCKET], messages=HELLO))[1]
    assert ends[POCKET]["event"] == "done"


@pytest.mark.parametrize("ref", ["file:/etc", "file:../..", "file:~", "git:/etc@v1", "file:runs/../../.."])
def test_a_model_outside_of_the_workspace_is_refused(studio, ref):
    [event] = asked(studio, models=[ref], prompt="a")
    assert (event["event"], event["code"]) == ("error", "ask.not-allowed")


@pytest.mark.parametrize("ref", ["", "\u0000", "../x", "a" * 2000, "x@\n1", "hub:", "builtin:nothing", "sft.sft@999"])
def test_a_hostile_name_is_an_error(studio, ref):
    answer = asked(studio, 422, models=[ref], prompt="a")
    found = answer["code"] if isinstance(answer, dict) else answer[0]["code"]
    assert found.startswith(("ask.", "model.")), answer


@pytest.mark.parametrize(
    "body",
    [
        {"models": [], "prompt": "a"},
        {"models": [POCKET, POCKET], "prompt": "a"},
        {"models": [f"m{number}" for number in range(9)], "prompt": "a"},
        {"models": [POCKET]},
        {"models": [POCKET], "prompt": "a", "messages": HELLO},
        {"models": [POCKET], "prompt": "a", "text": "a"},
        {"models": [POCKET], "prompt": "a", "params": {"temperature": 9}},
        {"models": [POCKET], "prompt": "a", "params": {"api_key": "x"}},
        {"models": [POCKET], "messages": [{"role": "root", "content": "a"}]},
    ],
    ids=str,
)
def test_a_wrong_request_is_a_problem_before_anything_is_loaded(studio, body):
    assert asked(studio, 422, **body)["code"] in ("ask.wrong-value", "ask.missing-key")


def test_votes_are_rows_of_preferences_that_prepare_reads(studio):
    answers = [
        {"model": POCKET, "answer": "Hi"},
        {"model": "a@1", "answer": "Hello!"},
        {"model": "b@1", "answer": "Hi"},
    ]
    found = studio.page.post("/api/v1/generate/votes", json={"messages": HELLO, "answers": answers, "better": 1})
    assert found.json() == {"file": "data/votes.jsonl", "added": 2, "rows": 2}
    with (studio.folder / "data/votes.jsonl").open("a") as file:
        file.write('{"torn')
    found = studio.page.post("/api/v1/generate/votes", json={"prompt": "Bye", "answers": answers[:2], "better": 0})
    assert found.json()["added"] == 1
    tally = studio.page.get("/api/v1/generate/votes").json()
    assert (tally["rows"], tally["damaged"]) == (3, 1)
    assert tally["models"][0] == {"model": "a@1", "won": 2, "lost": 1}
    quarantined = {"source": "file:data/votes.jsonl", "max_bad_share": 0.5}
    made = burnish.run_stage("prepare", workspace=studio.folder, **quarantined)
    assert made.metrics["rows"] == 3, dict(made.metrics)
    rows = [json.loads(line) for line in (made.path / "sample.jsonl").read_text().splitlines()]
    assert {row["chosen"][0]["content"] for row in rows} == {"Hello!", "Hi"}


def test_a_vote_without_a_difference_is_a_problem(studio):
    same = [{"model": "a", "answer": "Hi"}, {"model": "b", "answer": "Hi"}]
    answer = studio.page.post("/api/v1/generate/votes", json={"prompt": "x", "answers": same, "better": 0})
    assert (answer.status_code, answer.json()["code"]) == (409, "ask.nothing-to-do")
    answer = studio.page.post("/api/v1/generate/votes", json={"prompt": "x", "answers": same, "better": 5})
    assert (answer.status_code, answer.json()["code"]) == (422, "ask.wrong-value")


def test_no_process_outlives_a_server_that_is_killed(studio, until):
    asked(studio, models=[POCKET], messages=HELLO)
    [process] = studio.page.get("/api/v1/generate/models").json()
    studio.process.kill()
    studio.process.wait()
    until(lambda: not os.path.exists(f"/proc/{process['process']}"), seconds=20)
