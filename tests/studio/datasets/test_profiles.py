"""Profiles of datasets: queued once, found again, and made anew where the file changed."""

import json

import pytest

from burnish.core.errors import BurnishError
from burnish.core.runs.submitted import SubmittedRun
from burnish.studio.datasets import delete, upload
from burnish.studio.datasets.profiling import make_profile, profile
from burnish.studio.queueing.jobs import cancel_run, jobs, work
from burnish.studio.queueing.submitting import submit_stage


def lines(count):
    return "".join(json.dumps({"prompt": f"q {n}", "response": f"a {n}"}) + "\n" for n in range(count)).encode()


def test_a_profile_is_queued_once_and_found_when_it_is_made(workspace, monkeypatch):
    looked, record = [], SubmittedRun.record
    root = {"workspace": workspace.root}
    upload("rows.jsonl", [lines(12)], **root)
    assert profile("rows.jsonl", **root)["state"] == "none"
    queued = make_profile("rows.jsonl", **root)
    assert (queued["state"], queued["run"]) == ("queued", "profile/1")
    assert make_profile("rows.jsonl", **root) == queued
    submit_stage("prepare", source="file:data/uploads/rows.jsonl", **root)
    assert [job.stage for job in jobs(stage="profile", **root)] == ["profile"]
    monkeypatch.setattr(SubmittedRun, "record", property(lambda self: looked.append(self.name) or record.fget(self)))
    assert profile("rows.jsonl", **root)["state"] == "queued"
    assert looked == ["profile/1"]
    cancel_run("prepare/1", **root)
    work(until_idle=True, say=lambda _: None, **root)
    made = profile("rows.jsonl", **root)
    assert (made["state"], made["run"], made["profile"]["rows"]) == ("succeeded", "profile/1/profile", 12)
    assert make_profile("rows.jsonl", **root) == made
    delete("rows.jsonl", **root)
    upload("rows.jsonl", [lines(3)], **root)
    assert profile("rows.jsonl", **root)["state"] == "none"


def test_a_profile_that_failed_says_why_and_is_made_again(workspace):
    root = {"workspace": workspace.root}
    upload("rows.jsonl", [b"broken\n"], **root)
    make_profile("rows.jsonl", **root)
    work(until_idle=True, say=lambda _: None, **root)
    failed = profile("rows.jsonl", **root)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "data.empty")
    assert make_profile("rows.jsonl", **root)["run"] == "profile/2"
    with pytest.raises(BurnishError, match="there is no dataset"):
        profile("none.jsonl", **root)
    with pytest.raises(BurnishError, match="source: the profile is that of the dataset"):
        make_profile("rows.jsonl", settings={"source": "file:data/other.jsonl"}, **root)
