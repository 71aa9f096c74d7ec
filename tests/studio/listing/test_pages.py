"""Pages of runs and of steps: filters, orders, cursors, and the state of a whole run."""

import json
import shutil
import time

import pytest
from filelock import FileLock

from burnish.core.errors import AskError
from burnish.core.runs.submitted import Options, SubmittedRun
from burnish.studio.listing.groups import time_of
from burnish.studio.listing.pages import runs_page, steps_page


@pytest.fixture
def steps(written):
    """30 runs of two recipes with a step that succeeded and one of another state; names and times in other orders."""
    for number in range(1, 31):
        recipe, state = ("b", "failed") if number % 3 else ("a", "succeeded")
        written.step(f"{recipe}/{number}/make", created=100.0 - number, measures={"n": number}, stage="prepare")
        written.step(f"{recipe}/{number}/tune", state, created=100.0 - number, reason=f"Disk {number} is full")
        steps = {step: f"{recipe}/{number}/{step}" for step in ("make", "tune")}
        written.plan(f"{recipe}/{number}", steps, created=100.0 - number)
    return written


def pages(page, place, **options):
    """All items, page by page."""
    found = page(workspace=place.root, **options)
    items = [*found.items]
    while found.next:
        found = page(workspace=place.root, cursor=found.next, **options)
        assert found.items
        items += found.items
    assert len(items) == found.total
    return items


@pytest.mark.parametrize("limit", [1, 7, 60, 1000])
@pytest.mark.parametrize(("order", "first"), [("newest", "b/1"), ("oldest", "a/30"), ("name", "a/3")])
def test_pages_hold_every_item_once_in_the_order(steps, limit, order, first):
    for page, step, count in ((steps_page, "/make", 60), (runs_page, "", 30)):
        items = pages(page, steps.place, limit=limit, order=order)
        names = [item["run"] for item in items]
        assert (names[0], len(set(names))) == (first + step, count)
        keys = [(item["run"].split("/")[0], int(item["run"].split("/")[1])) for item in items]
        times = [item["created"] for item in items]
        assert keys == sorted(keys) if order == "name" else times == sorted(times, reverse=order == "newest")


def test_a_page_goes_on_behind_the_last_item_whatever_was_added_or_removed(steps):
    first = steps_page(limit=10, workspace=steps.place.root)
    steps.step("c/1/make", created=500.0)
    shutil.rmtree(steps.place.runs / first.items[-1]["run"])
    second = steps_page(limit=10, cursor=first.next, workspace=steps.place.root)
    assert (first.items[-1]["run"], second.items[0]["run"]) == ("b/5/tune", "a/6/make")
    assert not {item["run"] for item in first.items} & {item["run"] for item in second.items}
    assert second.total == 60


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"recipe": "a"}, 20),
        ({"recipe": "none"}, 0),
        ({"stage": "prepare"}, 30),
        ({"state": "failed"}, 20),
        ({"state": "succeeded", "stage": "sft"}, 10),
        ({"text": "DISK full"}, 30),
        ({"text": "disk 17"}, 1),
        ({"text": "b/17 make"}, 1),
        ({"text": "adapter"}, 30),
        ({"text": "make #17"}, 1),
        ({"text": "#1"}, 2),
        ({"text": "nowhere"}, 0),
    ],
)
def test_steps_are_filtered(steps, options, count):
    page = steps_page(limit=1000, workspace=steps.place.root, **options)
    assert (page.total, len(page.items)) == (count, count)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"recipe": "a"}, 10),
        ({"stage": "sft"}, 30),
        ({"stage": "dpo"}, 0),
        ({"state": "failed"}, 20),
        ({"state": "succeeded"}, 10),
        ({"text": "disk 17 make"}, 1),
    ],
)
def test_runs_are_filtered(steps, options, count):
    page = runs_page(limit=1000, workspace=steps.place.root, **options)
    assert (page.total, len(page.items)) == (count, count)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"limit": 0}, "a page of 0 items"),
        ({"limit": 5_000}, "a page of 5000 items"),
        ({"order": "upwards"}, "there is no order 'upwards'"),
        ({"cursor": "x"}, "the cursor is not one of this list"),
        ({"cursor": "é"}, "the cursor is not one of this list"),
        ({"cursor": "WzEsMl0="}, "the cursor is not one of this list"),
    ],
)
def test_what_no_page_can_be_is_named(steps, options, problem):
    for page in (steps_page, runs_page):
        with pytest.raises(AskError, match=problem) as caught:
            page(workspace=steps.place.root, **options)
        assert caught.value.code == "ask.wrong-value"
    other = steps_page(limit=1, order="name", workspace=steps.place.root).next
    with pytest.raises(AskError, match="the cursor is not one of this list"):
        steps_page(cursor=other, workspace=steps.place.root)


def test_a_listing_may_be_a_moment_old_where_that_is_allowed(steps):
    place = steps.place
    assert steps_page(workspace=place.root).total == 60
    steps.step("c/1/make")
    assert steps_page(workspace=place.root, max_age=3_600).total == 60
    assert steps_page(workspace=place.root).total == 61


def states(place, name):
    (item,) = [item for item in runs_page(workspace=place.root).items if item["run"] == name]
    return item["state"], [step["state"] for step in item["steps"]]


def test_a_run_shows_the_steps_of_its_plan_wherever_they_lie(written):
    written.step("r/1/make", created=1.0, measures={"n": 1})
    written.step("r/1/tune", "interrupted", created=2.0, started=2.0, ended=5.0)
    written.plan("r/1", {"make": "r/1/make", "tune": "r/1/tune", "measure": "r/1/measure"}, created=1.0)
    assert states(written.place, "r/1") == ("interrupted", ["succeeded", "interrupted", "planned"])
    (item,) = runs_page(workspace=written.place.root).items
    assert (item["recipe"], item["number"], item["seconds"], item["waited"]) == ("r", 1, 3.0, 1.0)
    assert item["steps"][0] | {"metrics": {"n": 1}, "step": "make", "action": "run"} == item["steps"][0]
    written.plan("r/2", {"make": "r/1/make", "tune": "r/1/tune"}, created=6.0, action="resume")
    written.step("r/1/tune", "running", created=2.0, started=7.0)
    with FileLock(written.place.runs / "r/1/tune/run.lock"):
        assert states(written.place, "r/2") == ("running", ["succeeded", "running"])
    written.step("r/1/tune", created=2.0, started=7.0, ended=9.0, measures={})
    assert states(written.place, "r/2") == ("succeeded", ["succeeded", "succeeded"])


def test_a_run_between_two_steps_is_running(written):
    written.step("r/1/make")
    written.plan("r/1", {"make": "r/1/make", "tune": "r/1/tune"})
    lock = written.place.lock_of("r", 1)
    with lock:
        assert states(written.place, "r/1") == ("running", ["succeeded", "planned"])
    assert states(written.place, "r/1") == ("interrupted", ["succeeded", "planned"])
    shutil.rmtree(written.place.runs / "r/1/make")
    with lock:
        assert states(written.place, "r/1") == ("queued", ["planned", "planned"])


def test_steps_that_were_removed_are_said_to_be(written):
    written.step("r/1/tune")
    written.plan("r/1", {"make": "r/1/make", "tune": "r/1/tune"})
    assert states(written.place, "r/1") == ("succeeded", ["removed", "succeeded"])
    written.plan("r/2", {"make": "r/1/make"}, action="reuse")
    assert states(written.place, "r/2") == ("removed", ["removed"])


def test_steps_that_wait_in_the_queue_are_queued_also_before_one_that_is_reused(written):
    written.step("r/1/old")
    written.plan("r/2", {"make": "r/2/make", "old": "r/1/old", "tune": "r/2/tune"})
    plan = json.loads((written.place.runs / "r/2/plan.json").read_bytes())
    plan["steps"][1]["action"] = "reuse"
    written.file("r/2/plan.json", plan)
    assert states(written.place, "r/2") == ("interrupted", ["planned", "succeeded", "planned"])
    submitted = SubmittedRun(written.place, "r", 2)
    job = {"recipe": "r", "number": 2, "stage": "sft", "fingerprint": "f", "spec": {}, "inputs": {}}
    common = {"stage": "sft", "action": "run", "reason": "", "needs": []}
    steps = [{**common, "step": step, "job": {**job, "step": step}} for step in ("make", "tune")]
    submitted.write({}, steps, Options())
    assert states(written.place, "r/2") == ("queued", ["queued", "succeeded", "queued"])
    written.step("r/2/tune", "failed", reason="the disk is full")
    submitted.record_end("tune", "failed", "the disk is full")
    assert states(written.place, "r/2") == ("running", ["queued", "succeeded", "failed"])
    submitted.record_end("make", "cancelled", "it was stopped")
    assert states(written.place, "r/2") == ("failed", ["cancelled", "succeeded", "failed"])
    (item,) = [item for item in runs_page(workspace=written.place.root).items if item["run"] == "r/2"]
    assert item["reason"] == "tune: the disk is full"
    assert item["steps"][0]["reason"] == "it was stopped"


@pytest.mark.parametrize(
    ("spans", "seconds", "waited"),
    [
        ([(103.0, 105.0, 1), (104.0, 108.0, 1), (200.0, 201.0, 1)], 6.0, 3.0),
        ([(200.0, 210.0, 2)], 10.0, None),
        ([], None, None),
    ],
)
def test_a_run_takes_the_time_in_which_its_steps_run(spans, seconds, waited):
    assert time_of(100.0, spans, in_progress=False) == {"seconds": seconds, "waited": waited}


def test_the_time_of_a_run_goes_on_while_it_waits_or_runs():
    now = time.time()
    waiting = time_of(now - 60, [], in_progress=True)
    assert waiting["seconds"] is None
    assert waiting["waited"] == pytest.approx(60, abs=5)
    running = time_of(now - 60, [(now - 50, now - 40, 1), (now - 20, None, 1)], in_progress=True)
    assert running["seconds"] == pytest.approx(30, abs=5)
    assert running["waited"] == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize("content", ["", "{}", '{"recipe": "r", "steps": [{"step": 1, "folder": "x"}]}'])
def test_a_run_with_a_damaged_plan_is_listed_as_such(written, content):
    path = written.file("r/1/plan.json", content)
    (item,) = runs_page(workspace=written.place.root).items
    assert (item["state"], item["steps"]) == ("damaged", [])
    assert str(path) in item["reason"]
    written.plan("r/1", {"make": "r/1/make"}, created="yesterday")
    (item,) = runs_page(workspace=written.place.root).items
    assert (item["state"], item["created"]) == ("damaged", None)
    assert "'created'" in item["reason"]
    shutil.rmtree(written.place.runs / "r")
    assert runs_page(workspace=written.place.root).items == []


def test_runs_come_from_the_database_in_the_next_process(steps, database, monkeypatch):
    from burnish.jobs.index import folders
    from burnish.studio.listing import snapshots

    before = runs_page(workspace=steps.place.root)
    snapshots.forget()
    read = []
    monkeypatch.setattr(folders, "read_run", lambda *names: read.append(names))
    assert runs_page(workspace=steps.place.root) == before
    assert read == []
