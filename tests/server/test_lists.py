"""Every list answers, and names what it cannot read, whatever lies among the runs: all that is sound is still shown."""

import os
import shutil

import pytest

from lists import LISTS
from made_runs import made_run
from studio_server import serving


def _folder_for(path):
    path.unlink(missing_ok=True)
    path.mkdir()


STEP_FAULTS = {
    "cut": lambda step: (step / "run.json").write_text('{"state": "succ'),
    "empty": lambda step: (step / "run.json").write_bytes(b""),
    "list": lambda step: (step / "run.json").write_text("[]"),
    "folder": lambda step: _folder_for(step / "run.json"),
    "artifact": lambda step: (step / "artifact.json").write_text("{}"),
    "artifact-folder": lambda step: _folder_for(step / "artifact.json"),
    "log-folder": lambda step: _folder_for(step / "run.log"),
}
PLAN_FAULTS = {
    "plan": lambda run: (run / "plan.json").write_text("{"),
    "plan-folder": lambda run: _folder_for(run / "plan.json"),
    "submitted": lambda run: _submitted(run, "{"),
}
FOREIGN = ("sound (copy)", ".hidden", "日本", "latest", "-dash")


def _submitted(run, text):
    (run / ".queue").mkdir()
    (run / ".queue" / "submitted.json").write_text(text)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A server of a workspace with a sound run, and one of each fault."""
    folder = tmp_path_factory.mktemp("odd")
    sound = made_run(folder, recipe="sound")
    runs = folder / "runs"
    for name, fault in STEP_FAULTS.items():
        fault(made_run(folder, recipe=name).step("tune").folder)
    for name, fault in PLAN_FAULTS.items():
        fault(made_run(folder, recipe=name).step("tune").folder.parent)
    for name in FOREIGN:
        shutil.copytree(runs / "sound", runs / name)
    shutil.copytree(runs / "sound" / "1" / "tune", runs / "sound" / "1" / "tune (copy)")
    shutil.copytree(runs / "sound", runs / os.fsdecode(b"\xff"))
    (runs / "bare" / "7").mkdir(parents=True)
    (runs / "sound" / "2").mkdir()
    (runs / "sound" / "3").write_text("a file")
    (runs / "sound" / "1" / "note").write_text("a file")
    (runs / "file").write_text("a file")
    (runs / "circle").symlink_to(runs / "circle")
    (runs / "nowhere").symlink_to(folder / "nowhere")
    with serving(folder) as running:
        running.sound = sound
        yield running


@pytest.mark.parametrize("path", LISTS)
def test_a_list_answers_whatever_lies_among_the_runs(odd, path):
    answer = odd.page.get(path)
    assert answer.status_code == 200, answer.text


def test_what_cannot_be_read_is_named_in_each_list_of_its_kind(odd):
    damaged = {f"{name}/1/tune" for name in STEP_FAULTS} | {"sound/1/tune (copy)"}
    damaged |= {f"{name}/1/{step}" for name in FOREIGN for step in ("data", "tune")}
    steps = {row["run"]: row for row in odd.page.get("/api/v1/runs?limit=1000").json()["runs"]}
    assert damaged <= {name for name, row in steps.items() if row["state"] == "damaged" and row["reason"]}
    for path in ("/api/v1/artifacts", "/api/v1/datasets", "/api/v1/certificates"):
        assert damaged <= set(odd.page.get(path).json()["damaged"]), path
    groups = {row["run"]: row for row in odd.page.get("/api/v1/runs/grouped?limit=1000").json()["runs"]}
    unread = {f"{name}/1" for name in (*PLAN_FAULTS, *FOREIGN)}
    assert unread <= {name for name, row in groups.items() if row["state"] == "damaged" and row["reason"]}
    assert steps["sound/1/tune"]["state"] == groups["sound/1"]["state"] == "killed"
