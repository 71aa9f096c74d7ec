"""An upload that is an input of a run in progress, or in the queue, is not deleted."""

import pytest

from burnish.core.errors import RunError
from burnish.studio.datasets import delete, upload
from burnish.studio.queueing.jobs import cancel_run
from burnish.studio.queueing.submitting import submit

REFERENCES = {
    "file": "file:data/uploads/rows.txt",
    "folder": "file:data/uploads",
    "whole path": "file:{root}/data/uploads/rows.txt",
}


@pytest.fixture
def root(workspace, quick_stages):
    upload("rows.txt", [b"one\n"], workspace=workspace.root)
    return {"workspace": workspace.root}


def refused(root, name):
    with pytest.raises(RunError, match=f"rows.txt is an input of {name}, which is in progress") as caught:
        delete("rows.txt", **root)
    assert caught.value.code == "run.busy"
    return True


@pytest.mark.parametrize("reference", REFERENCES.values(), ids=REFERENCES)
def test_an_input_of_a_step_that_waits_in_the_queue_stays_until_that_is_cancelled(root, reference):
    ref = reference.format(root=root["workspace"])
    submit({"name": "r", "steps": {"join": {"stage": "quick-join", "source": [{"ref": ref}]}}}, **root)
    assert refused(root, "r/1")
    cancel_run("r/1", **root)
    assert delete("rows.txt", **root)["deleted"]


def test_an_input_of_a_step_that_runs_or_comes_later_stays(root, in_background, until, workspace, tmp_path):
    release = tmp_path / "release"
    slow = {"stage": "quick-slow", "release": str(release), "source": "file:data/uploads/rows.txt"}
    later = {"stage": "quick-join", "source": [{"ref": "file:data/uploads/rows.txt"}]}
    for number, steps in enumerate(({"slow": slow}, {"slow": {**slow, "source": None}, "later": later}), start=1):
        thread, errors = in_background({"name": "r", "steps": steps})
        until(lambda: any((run.partial / "half.txt").exists() for run in workspace.all_runs()))
        assert refused(root, "r/1/slow" if number == 1 else "r/2")
        release.touch()
        thread.join(20)
        release.unlink()
        assert errors == []
    assert delete("rows.txt", **root)["deleted"]


def test_what_a_step_in_the_queue_takes_was_made_from_an_upload_that_stays(root, in_background, workspace):
    made = {"make": {"stage": "quick-join", "source": [{"ref": "file:data/uploads/rows.txt"}]}}
    in_background({"name": "made", "steps": made})[0].join(20)
    submit({"name": "r", "steps": {"join": {"stage": "quick-join", "source": [{"ref": "made.make@1"}]}}}, **root)
    assert refused(root, "r/1")
