"""The commands `submit`, `jobs` and `worker`."""

import json

import pytest


@pytest.fixture
def recipe(quick_stages, tmp_path):
    path = tmp_path / "r.json"
    steps = {"make": {"stage": "quick-make"}, "join": {"stage": "quick-join", "source": [{"ref": "step:make"}]}}
    path.write_text(json.dumps({"name": "r", "steps": steps}))
    return str(path)


def test_a_recipe_is_submitted_listed_worked_on_and_shown(burnish, recipe):
    assert burnish("jobs", "list").out.startswith("the queue is empty")
    assert burnish("jobs", "workers").out.startswith("there is no worker")
    assert json.loads(burnish("--json", "jobs", "workers").out) == []
    queued = burnish("submit", recipe, "--priority", "3").out
    assert "r/1: 2 steps are queued; start a worker with" in " ".join(queued.split())
    listed = json.loads(burnish("--json", "jobs", "list").out)
    assert [(job["step"], job["state"], job["priority"]) for job in listed] == [
        ("make", "queued", 3),
        ("join", "queued", 3),
    ]
    said = burnish("worker", "--until-idle").out
    assert [line.split(" ", 1)[1] for line in said.splitlines()] == [
        "r/1/make: started",
        "r/1/make: succeeded",
        "r/1/join: started",
        "r/1/join: succeeded",
    ]
    assert "succeeded" in burnish("jobs", "show", "2").out
    assert "job 2 has ended (succeeded)" in burnish("jobs", "cancel", "2").err


def test_a_worker_that_lives_is_not_asked_for(burnish, recipe):
    from burnish.studio.queueing.opening import opened

    with opened(None, None) as (_, queue):
        queue.register_worker({"cpu": 1})
    assert burnish("submit", recipe).out.split()[-3:] == ["steps", "are", "queued"]


def test_jobs_are_moved_cancelled_and_resumed(burnish, recipe):
    burnish("submit", recipe)
    burnish("submit", recipe)
    burnish("jobs", "move", "3", "--before", "1")
    assert [job["id"] for job in json.loads(burnish("--json", "jobs", "list").out)] == [3, 1, 2, 4]
    assert json.loads(burnish("--json", "jobs", "move", "2", "--priority", "7").out)[0]["priority"] == 7
    assert "cancelled" in burnish("jobs", "cancel", "1").out
    states = {job["id"]: job["state"] for job in json.loads(burnish("--json", "jobs", "list").out)}
    assert states == {1: "cancelled", 2: "cancelled", 3: "queued", 4: "queued"}
    assert burnish("jobs", "resume", "r/1").out.count("queued") == 2


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("jobs", "show", "7"), 2, "jobs list"),
        (("jobs", "cancel", "7"), 2, "jobs list"),
        (("jobs", "move", "7"), 2, "jobs list"),
        (("jobs", "resume", "r/7"), 2, "runs list"),
        (("jobs", "list", "--state", "runing"), 2, "running"),
        (("jobs", "list", "--database", "mysql://x"), 2, "postgresql"),
        (("submit", "no-such-recipe"), 2, "demo"),
        (("submit", "demo", "--priority", "9" * 23), 2, "1,000,000"),
        (("submit", "demo", "--retries", "9" * 23), 2, "100"),
        (("submit", "demo", "--time-limit", "inf"), 2, "1,000,000,000 seconds"),
        (("jobs", "cancel", "9" * 20), 2, "jobs list"),
        (("jobs", "move", "1", "--priority", "9" * 23), 2, "1,000,000"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_wrong_requests_are_refused_with_a_hint(burnish, words, code, hint):
    said = burnish(*words)
    assert said.status == code
    assert hint in said.err


def test_without_sqlalchemy_the_error_names_the_extra(burnish, recipe, monkeypatch):
    import sys
    from importlib import util

    find = util.find_spec
    monkeypatch.setattr("burnish.studio.workrooms.find_spec", lambda name: None if name == "sqlalchemy" else find(name))
    for name in [name for name in sys.modules if name.startswith("burnish.studio.queueing")]:
        monkeypatch.delitem(sys.modules, name)
    said = burnish("submit", recipe)
    assert said.status == 5
    assert "burnish[jobs]" in said.err
