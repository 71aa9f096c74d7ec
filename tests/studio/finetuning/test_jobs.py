"""Fine-tuning jobs without a server: what is recorded, and what remains when the queue's database is gone."""

import json
import os
import signal

import pytest

from burnish.core.errors import BurnishError
from burnish.core.runs.submitted import SubmittedRun
from burnish.jobs.queue.queue import Queue
from burnish.studio.datasets import upload
from burnish.studio.finetuning.events import follow_events, list_events
from burnish.studio.finetuning.jobs import cancel_job, create_job, get_job, list_jobs, pause_job, resume_job
from burnish.studio.finetuning.recipe import name_of
from burnish.studio.queueing.jobs import jobs, work
from burnish.studio.queueing.opening import opened

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
    assert (job["run"], job["hyperparameters"]["beta"]) == ("ft-kinder/1", 0.2)
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
    job = created()
    (path,) = workspace.runs.glob("ft/1/.queue/fine_tuning.json")
    for text in ("", "[]", "{}", '{"history": []}'):
        path.write_text(text)
        with pytest.raises(BurnishError, match=r"fine_tuning\.json") as caught:
            get_job(job["id"], **root)
        assert caught.value.code == "run.broken-record"
        whole = created(seed=3)["id"]
        found = list_jobs(**root)
        assert (found["data"][0]["id"], found["damaged"]) == (whole, ["ft/1"])
