"""The events of a run come in order, once each, also over many connections, as they are written and to the end."""

import random
import threading
import time

import httpx
import pytest

from burnish.core.events import Metric, Progress
from made_runs import MadeRun, made_run
from sse import parsed


def follow(client, path, cursor=None, most=None):
    """The events of a stream until its end, or the first `most`."""
    headers = {} if cursor is None else {"Last-Event-ID": cursor}
    found = []
    with client.stream("GET", path, headers=headers) as answer:
        if answer.status_code == 204:
            return [], 204
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        if most == 0:
            return [], 200
        for one in parsed(answer.iter_lines()):
            found.append(one)
            if most is not None and len(found) >= most:
                break
    return found, 200


def steps_of(events):
    return [
        (data["step"], data["event"].get("step"))
        for _, name, data in events
        if name == "message" and data["event"]["kind"] == "metric"
    ]


def test_all_events_of_a_run_that_has_ended(studio):
    run = made_run(studio.folder)
    events, _ = follow(studio.page, run.path("/events"))
    assert steps_of(events) == [(step, number) for step in ("data", "tune") for number in range(5)]
    assert events[-1][1] == "end"


def test_a_client_that_has_all_events_of_an_ended_run_is_told_to_stay_away(studio):
    run = made_run(studio.folder)
    events, _ = follow(studio.page, run.path("/events"))
    assert follow(studio.page, run.path("/events"), events[-1][0]) == ([], 204)
    run.write("tune", 1, start=5)
    again, _ = follow(studio.page, run.path("/events"), events[-1][0])
    assert steps_of(again) == [("tune", 5)]


def test_events_arrive_while_they_are_written_and_new_steps_appear(studio):
    run = MadeRun(studio.folder)
    seen, came = [], threading.Event()

    def read():
        with (
            httpx.Client(base_url=studio.address, cookies=studio.page.cookies, timeout=30) as client,
            client.stream("GET", run.path("/events")) as answer,
        ):
            for _, name, data in parsed(answer.iter_lines()):
                seen.append((name, data, time.time()))
                came.set()

    with run.executing():
        thread = threading.Thread(target=read)
        thread.start()
        for step in run.steps:
            run.begin(step)
            for number in range(5):
                came.clear()
                run.write(step, 1, start=number)
                assert came.wait(10)
    thread.join(20)
    metrics = [
        (data["step"], data["event"])
        for name, data, _ in seen
        if name == "message" and data["event"]["kind"] == "metric"
    ]
    assert [(step, event["step"]) for step, event in metrics] == [(step, n) for step in run.steps for n in range(5)]
    delays = [at - data["event"]["at"] for name, data, at in seen if name == "message"]
    assert sorted(delays)[len(delays) // 2] < 0.3


@pytest.mark.parametrize("connections", [150, pytest.param(1000, marks=pytest.mark.torture)])
def test_reconnects_lose_and_double_nothing(studio, connections):
    run = made_run(studio.folder, steps=("data", "tune"), metrics=0)
    draw, cursor, seen = random.Random(5), None, []
    written = {"data": 0, "tune": 0}
    begun = 4  # each step says that it is planned, and running
    with run.executing():
        for _ in range(connections):
            step = draw.choice(run.steps)
            some = draw.randint(1, 3)
            run.write(step, some, start=written[step])
            written[step] += some
            left = begun + sum(written.values()) - len(seen)
            events, _ = follow(studio.page, run.path("/events"), cursor, most=draw.randint(1, min(left, 4)))
            seen += events
            cursor = events[-1][0]
    seen += follow(studio.page, run.path("/events"), cursor)[0]
    for step, count in written.items():
        assert [number for name, number in steps_of(seen) if name == step] == list(range(count))


def test_a_partial_line_is_sent_once_it_is_whole(studio):
    run = made_run(studio.folder, steps=("data",), metrics=1)
    path = run.step("data").events.path
    line = Metric(step=1, values={"loss": 1.0}).model_dump_json() + "\n"
    with path.open("a") as file:
        file.write(line[:20])
    events, _ = follow(studio.page, run.path("/events"))
    assert steps_of(events) == [("data", 0)]
    with path.open("a") as file:
        file.write(line[20:])
    events, _ = follow(studio.page, run.path("/events"), events[-1][0])
    assert steps_of(events) == [("data", 1)]


def test_the_torn_line_of_a_killed_writer_is_counted_and_skipped(studio):
    run = made_run(studio.folder, steps=("data",), metrics=1)
    with run.step("data").events.path.open("a") as file:
        file.write('{"at": 1.0, "kind": "met')
    run.write("data", 1, start=1)
    events, _ = follow(studio.page, run.path("/events"))
    assert steps_of(events) == [("data", 0), ("data", 1)]
    assert events[-1][2]["skipped_bytes"] == 25


def test_a_file_that_was_written_anew_starts_over(studio):
    run = made_run(studio.folder, steps=("data",), metrics=5)
    events, _ = follow(studio.page, run.path("/events"))
    run.step("data").events.path.unlink()
    run.write("data", 1)
    again, _ = follow(studio.page, run.path("/events"), events[-1][0])
    assert again[0][1] == "reset"
    assert steps_of(again) == [("data", 0)]


@pytest.mark.parametrize("cursor", ["x", "1.2.3", "-1.0-000000", "99999999999999999999-123456", "0-12345g", "é"])
def test_a_cursor_that_is_none_is_refused(studio, cursor):
    run = made_run(studio.folder)
    answer = studio.page.get(run.path("/events"), params={"after": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "ask.wrong-value")


def test_a_cursor_of_other_folders_starts_over(studio):
    run = made_run(studio.folder)
    events, _ = follow(studio.page, run.path("/events"), "5.5-000000")
    assert events[0][1] == "reset"
    assert len(steps_of(events)) == 10


def test_a_run_that_is_not_there_is_an_answer_and_no_stream(studio):
    answer = studio.page.get("/api/v1/runs/made/999999/events")
    assert (answer.status_code, answer.json()["code"]) == (404, "ask.no-such-run")


def test_a_page_follows_from_what_it_was_shown(studio):
    run = made_run(studio.folder)
    shown = studio.page.get(run.path()).json()
    assert [step["state"] for step in shown["steps"]] == ["killed", "killed"]
    run.write("tune", 2, start=5)
    events, _ = follow(studio.page, run.path("/events"), shown["cursor"])
    assert steps_of(events) == [("tune", 5), ("tune", 6)]


def test_a_brief_stream_leaves_out_what_the_curves_have(studio):
    run = made_run(studio.folder, steps=("tune",), metrics=200)
    events = run.step("tune").events
    for done in range(50):
        events.append(Progress(phase="train", done=done, total=100, unit="steps"))
    run.note("tune", "kept")
    shown = studio.page.get(run.path()).json()
    run.write("tune", 3, start=200)
    brief, _ = follow(studio.page, run.path(f"/events?brief={shown['cursor']}"))
    said = [data["event"] for _, name, data in brief if name == "message"]
    assert [event["kind"] for event in said] == ["state"] * 2 + ["progress"] * 2 + ["note"] + ["metric"] * 3
    assert [event["done"] for event in said if event["kind"] == "progress"] == [0, 49]
    assert steps_of(brief) == [("tune", number) for number in range(200, 203)]
    again, _ = follow(studio.page, run.path(f"/events?brief={shown['cursor']}"), brief[4][0])
    assert steps_of(again) == steps_of(brief)
    now, _ = follow(studio.page, run.path("/events?brief=now"))
    assert steps_of(now) == []
    assert now[-1][1] == "end"


def test_the_last_progress_of_a_killed_step_is_in_a_brief_stream(studio):
    run = made_run(studio.folder, steps=("data", "tune"), metrics=0)
    for done in range(5):
        run.step("data").events.append(Progress(phase="read", done=done))
    with run.step("data").events.path.open("a") as file:
        file.write('{"at": 1.0, "kind": "met')
    brief, _ = follow(studio.page, run.path("/events?brief=now"))
    assert [data["event"]["done"] for _, _, data in brief if data.get("event", {}).get("kind") == "progress"] == [0, 4]
    assert studio.page.get(run.path("/events?brief=x")).status_code == 422
