"""Fine-tuning jobs without a server: what is recorded, and what remains when the queue's database is gone."""

import json
import os
import signal
import time
from types import SimpleNamespace

import pytest
from sqlalchemy import event as sql_event

from burnish.core.errors import BurnishError
from burnish.core.events import CheckpointSaved, Metric, Note, Progress, StateChanged, event_of
from burnish.core.runs.submitted import SubmittedRun
from burnish.jobs.queue.queue import Queue
from burnish.server.routes.openai.fine_tuning import JobCheckpoint
from burnish.studio.datasets import upload
from burnish.studio.finetuning import checkpoints, events
from burnish.studio.finetuning.events import follow_events, list_events
from burnish.studio.finetuning.jobs import cancel_job, create_job, get_job, list_jobs, pause_job, resume_job
from burnish.studio.finetuning.recipe import name_of
from burnish.studio.finetuning.records import job_record, write_job_record
from burnish.studio.finetuning.results import estimated_finish
from burnish.studio.queueing.jobs import cancel_run, jobs, resume_run, work
from burnish.studio.queueing.opening import kept_open, opened

METHOD = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}}
BAD = b'{"messages": 3}\n' + json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode() + b"\n"


@pytest.fixture
def root(workspace):
    return {"workspace": workspace.root}


@pytest.fixture
def created(root):
    file = upload("bad.jsonl", [BAD], **root)
    return lambda **more: create_job(
        model="builtin:pocket", training_file=file["id"], method=METHOD, **{"seed": 1, **more}, **root
    )


def forget(workspace):
    """Remove the database of the workspace, as a person may."""
    for path in (workspace.root / ".burnish").glob("burnish.db*"):
        path.unlink()


def test_what_ended_is_known_without_the_database(workspace, root, created):
    failed, cancelled = created(), created(seed=2)
    cancel_job(cancelled["id"], **root)
    work(until_idle=True, say=lambda _: None, **root)
    before = [get_job(job["id"], **root) for job in (failed, cancelled)]
    assert [job["status"] for job in before] == ["failed", "cancelled"]
    forget(workspace)
    after = [get_job(job["id"], **root) for job in (failed, cancelled)]
    assert [job["status"] for job in after] == ["failed", "cancelled"]
    assert after[0]["error"] == before[0]["error"]
    assert "bad.jsonl:1" in after[0]["error"]["message"]
    assert list_events(failed["id"], **root)["data"][0]["level"] in ("info", "error")


@pytest.mark.parametrize(("writes", "is_created"), [(0, False), (1, False), (2, True)])
def test_a_kill_while_a_job_is_created_leaves_a_whole_job_or_none(created, root, workspace, writes, is_created):
    """Before its record, before that of its run, and before its run is queued."""
    left = iter(range(writes))

    def killed(act):
        def acted(*arguments):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*arguments)

        return acted

    if (child := os.fork()) == 0:
        SubmittedRun.write_beside, Queue.add = killed(SubmittedRun.write_beside), killed(Queue.add)
        created(metadata={"team": "a"})
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    work(until_idle=True, say=lambda _: None, **root)
    found = list_jobs(**root)["data"]
    assert [(job["status"], job["metadata"]) for job in found] == [("failed", {"team": "a"})] * is_created
    assert {one.run for one in jobs(**root)} == {job["run"] for job in found}
    if not is_created:
        with pytest.raises(BurnishError, match="no fine-tuning job"):
            get_job("ftjob-ft-1", **root)


PAIR = {
    "input": {"messages": [{"role": "user", "content": "hi"}], "tools": [], "parallel_tool_calls": True},
    "preferred_output": [{"role": "assistant", "content": "good"}],
    "non_preferred_output": [{"role": "assistant", "content": "bad"}],
}


def test_a_job_of_preferences_is_a_dpo_with_its_hyperparameters(workspace, root):
    content = json.dumps(PAIR).encode() + b"\n"
    training, validation = (upload(name, [content], **root)["id"] for name in ("a.jsonl", "b.jsonl"))
    given = {"n_epochs": 3, "batch_size": "auto", "learning_rate_multiplier": 0.5, "beta": 0.2}
    job = create_job(
        model="builtin:pocket",
        training_file=training,
        validation_file=validation,
        method={"type": "dpo", "dpo": {"hyperparameters": given}},
        suffix="kinder",
        **root,
    )
    assert (job["run"], job["method"]["dpo"]["hyperparameters"]["beta"]) == ("ft-kinder/1", 0.2)
    assert job["hyperparameters"] == {}
    steps = workspace.plan_of("ft-kinder", 1, resumable=True)["values"]["steps"]
    assert steps["data"]["format"] == "preference"
    assert steps["data"]["source"][1] == {"ref": "file:data/uploads/b.jsonl", "split": "validation"}
    tune = steps["tune"]
    assert (tune["stage"], tune["epochs"], tune["beta"], tune["seed"]) == ("dpo", 3, 0.2, job["seed"])
    assert tune["learning_rate"] == pytest.approx(1e-5)
    assert "batch_size" not in tune


def test_a_job_that_waits_is_paused_resumed_and_cancelled(root, created):
    job = created()["id"]
    assert pause_job(job, **root)["status"] == "paused"
    with pytest.raises(BurnishError, match="is paused"):
        pause_job(job, **root)
    assert resume_job(job, **root)["status"] == "validating_files"
    with pytest.raises(BurnishError, match="not paused"):
        resume_job(job, **root)
    assert pause_job(job, **root)["status"] == "paused"
    assert cancel_job(job, **root)["status"] == "cancelled"
    with pytest.raises(BurnishError, match="is cancelled"):
        cancel_job(job, **root)
    events = [one for one in follow_events(job, **root) if one is not None]
    said = ["Created", "The job is paused", "The job is resumed", "The job is paused", "The job is cancelled"]
    messages = [event["message"] for event, _ in events]
    assert [message[: len(words)] for message, words in zip(messages, said, strict=True)] == said
    for place, (event, cursor) in enumerate(events):
        for after in (cursor, event["id"]):
            assert list(follow_events(job, after=after, **root)) == events[place + 1 :]
    with pytest.raises(BurnishError, match="no event 'ftevent-else'"):
        follow_events(job, after="ftevent-else", **root)


@pytest.mark.parametrize("act", [cancel_job, pause_job])
def test_a_client_that_repeats_its_request_kills_nothing(workspace, root, created, act):
    job = created()
    with opened(workspace.root, None) as (_, queue):
        lease = queue.lease(queue.register_worker({"cpu": 1}), ["cpu"])
        for _ in range(3):
            assert act(job["id"], **root)["status"] == "validating_files"
            assert queue.renew(lease) == "stop"
    assert workspace.stop_file("ft", 1).read_bytes() == b"\n"


def test_jobs_are_listed_by_page_and_metadata(root, created):
    ids = [created(seed=seed, metadata={"team": "ab"[seed % 2]})["id"] for seed in range(5)]
    first = list_jobs(limit=2, **root)
    assert [job["id"] for job in first["data"]] == ids[:2:-1]
    assert first["has_more"]
    rest = list_jobs(limit=9, after=first["last_id"], **root)
    assert ([job["id"] for job in rest["data"]], rest["has_more"]) == (ids[2::-1], False)
    assert [job["id"] for job in list_jobs(metadata={"team": "a"}, **root)["data"]] == ids[::-2]
    with pytest.raises(BurnishError, match="after"):
        list_jobs(after="ftjob-ft-99", **root)


@pytest.mark.parametrize(
    ("suffix", "name"),
    [(None, "ft"), ("support", "ft-support"), ("a/../b c", "ft-a-..-b-c"), ("…", "ft"), ("x" * 99, "ft-" + "x" * 64)],
)
def test_a_suffix_is_part_of_the_name(suffix, name):
    assert name_of(suffix) == name


def test_a_damaged_record_is_named(workspace, root, created):
    job, whole = created(), created(seed=3)["id"]
    (path,) = workspace.runs.glob("ft/1/.queue/fine_tuning.json")
    good = json.loads(path.read_text())
    changes = ({"metadata": None}, {"method": {}}, {"recipe": None}, {"seed": "x"}, {"number": 2}, {"history": []})
    for text in ("", "[]", *(json.dumps(good | change) for change in changes)):
        path.write_text(text)
        with pytest.raises(BurnishError, match=r"fine_tuning\.json") as caught:
            get_job(job["id"], **root)
        assert caught.value.code == "run.broken-record"
        found = list_jobs(**root)
        assert ([job["id"] for job in found["data"]], found["damaged"]) == ([whole], ["ft/1"])


ACTS = {"cancelled": cancel_job, "paused": pause_job}


@pytest.mark.parametrize("happened", ACTS)
@pytest.mark.parametrize("state", ["queued", "running"])
@pytest.mark.parametrize("killed_in", ["write_job_record", "cancel_run"])
def test_a_request_that_was_killed_half_way_is_made_again(workspace, root, created, happened, state, killed_in):
    """The queue is asked, and the request recorded: whichever was not done is done when the client asks again."""
    job = created()
    with opened(workspace.root, None) as (_, queue):
        lease = queue.lease(queue.register_worker({"cpu": 1}), ["cpu"]) if state == "running" else None
        if killed_in == "write_job_record":
            cancel_run(job["run"], **root)
            if (state, happened) == ("queued", "cancelled"):  # nothing was left to do
                assert get_job(job["id"], **root)["status"] == happened
                return
        else:  # as an earlier version of burnish left it
            write_job_record(job_record(job["id"], workspace).also(happened), workspace)
        for _ in range(2 if lease else 1):
            answer = ACTS[happened](job["id"], **root)
            assert {one.state for one in queue.jobs() if one.requested != "stop"} == {"cancelled"}
            assert [word for _, word in job_record(job["id"], workspace).history] == ["created", happened]
        if lease is None:
            assert answer["status"] == happened


def test_a_resume_that_was_killed_half_way_is_recorded_when_it_is_repeated(workspace, root, created):
    job = created()
    pause_job(job["id"], **root)
    resume_run(job["run"], **root)
    assert resume_job(job["id"], **root)["status"] == "validating_files"
    with pytest.raises(BurnishError, match="not paused"):
        resume_job(job["id"], **root)
    assert pause_job(job["id"], **root)["status"] == "paused"
    assert [word for _, word in job_record(job["id"], workspace).history] == ["created", "paused", "resumed", "paused"]
    resume_run(job["run"], **root)
    assert pause_job(job["id"], **root)["status"] == "paused"


def test_a_job_that_the_queue_has_lost_is_not_said_to_be_cancelled(workspace, root, created):
    job = created()
    forget(workspace)
    with pytest.raises(BurnishError, match="no job that waits or runs"):
        cancel_job(job["id"], **root)
    assert [word for _, word in job_record(job["id"], workspace).history] == ["created"]


@pytest.fixture
def training(workspace, created):
    """A job whose training has written this many metrics."""

    def train(metrics):
        job = created()
        run = workspace.run("ft", 1, "tune")
        job_json = {"recipe": "ft", "number": 1, "step": "tune", "stage": "sft", "fingerprint": "0" * 64}
        run.create({**job_json, "spec": {}, "inputs": {}})
        run.events.append(Progress(phase="train", done=0, total=metrics))
        with run.events.path.open("ab") as file:
            for step in range(metrics):
                values = {"loss": "NaN" if step == 1 else 2.5, "lr": 1.0}
                line = {"kind": "metric", "at": time.time(), "step": step, "values": values}
                file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        return job["id"], run

    return train


def test_the_end_is_estimated_by_the_last_step_since_the_training_was_resumed(training):
    _, run = training(2)
    run.events.append(Metric(step=2, at=1000.0, values={"eta_seconds": 60.5}))
    run.events.append(Metric(step=2, values={"eval_loss": 1.0}))
    assert estimated_finish(run) == 1060
    run.events.append(StateChanged(state="running"))
    assert estimated_finish(run) is None


def test_a_page_of_events_is_read_from_the_end_and_all_pages_are_what_a_stream_gives(root, training, monkeypatch):
    job, run = training(3000)
    with run.events.path.open("ab") as file:
        file.write(
            b'{"kind":"metric","at":%f,"step":4}\nhalf' % time.time()
        )  # a damaged line, and one of a killed writer
    parsed = []
    monkeypatch.setattr(events, "event_of", lambda line: parsed.append(line) or event_of(line))
    newest = list_events(job, limit=2, **root)
    assert [one["message"] for one in newest["data"]] == [f"Step {n}/3000: training loss=2.5" for n in (2999, 2998)]
    assert len(parsed) < 9
    followed = follow_events(job, **root)
    forward = [one[0] for one in iter(lambda: next(followed), None)]
    pages, after = [], None
    while True:
        page = list_events(job, limit=1000, after=after, **root)
        pages += page["data"]
        if not page["has_more"]:
            break
        after = page["last_id"]
    assert pages == forward[::-1]


def test_a_checkpoint_has_the_metrics_of_its_step_and_one_that_is_no_number_is_null(root, training, monkeypatch):
    job, run = training(3000)
    for step in (1, 2):
        run.events.append(CheckpointSaved(step=step, path="x"))
    monkeypatch.setattr(checkpoints, "kept_checkpoints", lambda run: [SimpleNamespace(step=step) for step in (1, 2)])
    parsed = []
    monkeypatch.setattr(checkpoints, "event_of", lambda line: parsed.append(line) or event_of(line))
    found = checkpoints.list_checkpoints(job, **root)["data"]
    assert [one["metrics"] for one in found] == [{"step": 2, "train_loss": 2.5}, {"step": 1, "train_loss": None}]
    assert len(parsed) == 4
    assert JobCheckpoint.model_validate(found[1]).metrics["train_loss"] is None


def test_a_stream_without_news_asks_for_the_revision_alone(workspace, root, training):
    job, run = training(3)
    asked, statements = [], []
    with kept_open(workspace.root) as (_, queue):
        found = follow_events(job, revision=lambda: asked.append(1) or 7, **root)
        while next(found) is not None:
            pass
        sql_event.listen(queue.database._engine, "before_cursor_execute", lambda *a: statements.append(a))
        asked.clear()
        assert [next(found) for _ in range(5)] == [None] * 5
        assert (len(asked), statements) == (5, [])
        run.events.append(Note(text="new"))
        assert next(found)[0]["message"] == "new"


def test_a_list_asks_the_queue_once(workspace, root, created):
    for seed in range(5):
        created(seed=seed)
    counts = []
    with kept_open(workspace.root) as (_, queue):
        for limit in (1, 5):
            statements = []

            def note(*arguments, statements=statements):
                statements.append(arguments)

            sql_event.listen(queue.database._engine, "before_cursor_execute", note)
            assert len(list_jobs(limit=limit, **root)["data"]) == limit
            sql_event.remove(queue.database._engine, "before_cursor_execute", note)
            counts.append(len(statements))
    assert counts[0] == counts[1] > 0
