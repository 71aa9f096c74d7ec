"""What was damaged or changed behind a run's back is found, named, and made anew; nothing wrong is reused."""

import contextlib
import json
import os
import threading

import pytest

import burnish
from burnish.core.errors import RunError
from burnish.core.files import write_json
from burnish.core.fingerprint import BASE_RECORD
from burnish.studio.exploration import resolve_model
from burnish.studio.findings import check_workspace


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    later = path.stat().st_mtime_ns + 1
    path.write_bytes(content)
    os.utime(path, ns=(later, later))


def test_a_flipped_byte_is_found_and_the_step_made_again(recipe, workspace):
    first = burnish.run(recipe, workspace=workspace.root)
    flip(first["make"].path / "words.txt")
    with pytest.raises(RunError, match=r"words\.txt has changed"):
        _ = first["make"].path
    again = burnish.run(recipe, workspace=workspace.root)
    assert {name: step.action for name, step in again.steps.items()} == {"make": "run", "join": "reuse"}
    assert (again["make"].path / "words.txt").read_text() == "hi\n"
    third = burnish.run(recipe, workspace=workspace.root)
    assert {step.action for step in third.steps.values()} == {"reuse"}
    assert third["make"].path == again["make"].path


def test_what_a_killed_start_left_is_listed_and_nothing_else(recipe, workspace):
    burnish.run(recipe, workspace=workspace.root)
    for _ in range(4):
        workspace.claim_number("r")
    runs = workspace.runs / "r"
    left = [runs / "1/.plan.json.ab_d3fgh", runs / "1/make/.run.json.abcdefgh", runs / "2", runs / "3"]
    (runs / "3/.plan.json.abcdefgh").write_text("{")
    (runs / "4/notes.txt").write_text("mine")
    for path in left[:2]:
        path.write_text("{")
    assert "leftovers" not in [found.subject for found in check_workspace(workspace, deep=False)]  # they may be at it
    for path in (*left, runs / "4", runs / "1/plan.json"):
        os.utime(path, (1e9, 1e9))
    (found,) = [found for found in check_workspace(workspace, deep=False) if found.subject == "leftovers"]
    assert found.fix == f"they hold nothing; remove them: rm -r {' '.join(map(str, left))}"


def test_what_is_damaged_after_the_plan_is_made_again(recipe, workspace):
    only = burnish.run(recipe, workspace=workspace.root, only=["make"])
    plan = burnish.plan(recipe, workspace=workspace.root)
    flip(only["make"].artifact.path / "words.txt")
    result = burnish.studio.running.execute(plan, workspace)
    assert (result["make"].path / "words.txt").read_text() == "hi\n"
    assert result["make"].artifact.run == "r/2/make"


def test_a_step_never_reads_a_damaged_artifact(recipe, workspace, until):
    release = workspace.root / "release"
    steps = {
        "make": recipe["steps"]["make"],
        "slow": {"stage": "quick-slow", "release": str(release)},
        "join": recipe["steps"]["join"],
    }
    errors = []

    def go():
        try:
            burnish.run({"name": "r", "steps": steps}, workspace=workspace.root)
        except burnish.BurnishError as error:
            errors.append(error.code)

    thread = threading.Thread(target=go)
    thread.start()
    slow = workspace.run("r", 1, "slow")
    until(lambda: (slow.folder / "run.json").exists() and slow.record["state"] == "running")
    flip(workspace.run("r", 1, "make").out / "words.txt")
    release.touch()
    thread.join(30)
    assert errors == ["run.damaged-artifact"]
    assert not (workspace.run("r", 1, "join").folder / "artifact.json").exists()


@pytest.fixture
def two_steps(workspace, until):
    """A slow step, then one that reads a file: `edit` acts while the slow one works; gives the error, if any."""
    rows = workspace.root / "rows.txt"
    rows.write_text("one\n")
    release = workspace.root / "release"
    steps = {
        "slow": {"stage": "quick-slow", "release": str(release)},
        "join": {"stage": "quick-join", "source": [{"ref": "file:rows.txt"}]},
    }

    def two_steps(edit):
        errors = []

        def go():
            try:
                burnish.run({"name": "r", "steps": steps}, workspace=workspace.root, force=["slow"])
            except burnish.BurnishError as error:
                errors.append(error)

        release.unlink(missing_ok=True)
        thread = threading.Thread(target=go)
        thread.start()
        until(lambda: any(run.record["state"] == "running" for run in workspace.all_runs()))
        edit(rows)
        release.touch()
        thread.join(30)
        return errors

    return two_steps


def test_a_file_edited_while_an_earlier_step_runs_is_refused_and_leaves_no_artifact(quick_stages, two_steps, workspace):
    (error,) = two_steps(lambda rows: rows.write_text("two\n"))
    assert error.code == "run.input-changed"
    assert "file:rows.txt" in error.what
    (join,) = [run for run in workspace.all_runs() if run.folder.name == "join"]
    assert join.state == "failed"
    assert not join.out.exists()
    assert not (join.folder / "artifact.json").exists()
    assert two_steps(lambda rows: rows.write_text("one\n")) != []  # planned with "two", then changed back
    assert two_steps(lambda rows: None) == []
    (made,) = [run for run in workspace.all_runs() if run.folder.name == "join" and run.artifact()]
    assert (made.out / "words.txt").read_text() == "one\n"


def test_a_file_that_was_deleted_while_an_earlier_step_runs_is_refused(quick_stages, two_steps):
    (error,) = two_steps(lambda rows: rows.unlink())
    assert (error.code, "is missing" in error.what) == ("run.input-changed", True)


@pytest.fixture
def base(workspace):
    folder = workspace.root / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_an_adapter_carries_the_content_of_its_base(quick_stages, workspace, base):
    made = burnish.run_stage("quick-model", base="file:base", workspace=workspace.root)
    record = json.loads((made.path / BASE_RECORD).read_text())
    assert sorted(record["files"]) == ["config.json", "model.safetensors"]
    assert BASE_RECORD in made.artifact.files
    assert made.artifact.provenance["base"] == record["files"]


def test_a_base_that_changed_after_the_training_is_refused_everywhere(quick_stages, workspace, base):
    recipe = {"name": "r", "steps": {"tune": {"stage": "quick-model", "base": "file:base"}}}
    burnish.run(recipe, workspace=workspace.root)
    assert resolve_model("r.tune@1", workspace=workspace.root).path.is_dir()
    (base / "model.safetensors").write_bytes(b"WEIGHTS")
    for use in (
        lambda: resolve_model("r.tune@1", workspace=workspace.root),
        lambda: burnish.inspect("file:rows.jsonl", tokenizer="r.tune@1", workspace=workspace.root),
        lambda: burnish.run_stage("merge", model="r.tune@1", workspace=workspace.root),
        lambda: burnish.run_stage("generate", model="r.tune@1", data="file:rows.jsonl", workspace=workspace.root),
        lambda: burnish.run_stage("evaluate", model="r.tune@1", data="file:rows.jsonl", workspace=workspace.root),
        lambda: burnish.run_stage("sft", base="r.tune@1", data="file:rows.jsonl", workspace=workspace.root),
    ):
        (workspace.root / "rows.jsonl").write_text('{"text": "x"}\n')
        with pytest.raises(burnish.BurnishError) as caught:
            use()
        assert caught.value.code == "model.wrong-adapter"
        assert "model.safetensors" in caught.value.what


@pytest.fixture
def reading(workspace, until, quick_stages):
    """A step that has read its rows and works on; `edit` acts then. Gives its run and the error, if any."""
    rows = workspace.root / "rows.txt"
    release = workspace.root / "release"

    def reading(edit):
        rows.write_text("one\n")
        errors = []

        def go():
            try:
                burnish.run_stage("quick-slow", release=str(release), source="file:rows.txt", workspace=workspace.root)
            except burnish.BurnishError as error:
                errors.append(error)

        thread = threading.Thread(target=go)
        thread.start()
        until(lambda: any(run.partial.joinpath("half.txt").exists() for run in workspace.all_runs()))
        edit(rows)
        if not errors:
            release.touch()
        thread.join(30)
        return workspace.all_runs()[0], errors

    return reading


def edit_and_undo(rows):
    rows.write_text("two\n")
    rows.write_text("one\n")
    os.utime(rows, (1, 1))


def edit_and_copy_back(rows):
    """As `cp -p` does it: the same file with its old content, size and time of writing."""
    before = rows.stat()
    rows.write_text("two\n")
    rows.write_text("one\n")
    os.utime(rows, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "edit",
    [lambda rows: rows.write_text("two\n"), lambda rows: rows.unlink(), edit_and_undo, edit_and_copy_back],
    ids=["edited", "deleted", "edited and undone", "edited and copied back"],
)
def test_a_file_edited_while_its_own_step_runs_leaves_neither_artifact_nor_checkpoint(reading, edit):
    run, (error,) = reading(edit)
    assert error.code == "run.input-changed"
    assert "file:rows.txt" in error.what
    assert run.state == "failed"
    assert not (run.folder / "artifact.json").exists()
    assert not run.out.exists()
    assert not any(run.scratch.glob("checkpoints/*"))


def test_a_stopped_step_whose_input_changed_is_not_resumed_from_what_it_learned(reading, workspace):
    def edit_and_stop(rows):
        rows.write_text("two\n")
        burnish.stop(workspace=workspace.root)

    run, (error,) = reading(edit_and_stop)
    assert error.code == "run.input-changed"
    assert not any(run.scratch.glob("checkpoints/*"))


def test_a_file_that_stays_as_it_is_is_no_hindrance(reading):
    run, errors = reading(lambda rows: rows.read_bytes())
    assert errors == []
    assert run.state == "succeeded"


def test_an_input_of_an_older_burnish_is_said_to_be_unchecked(recipe, workspace):
    run = burnish.run(recipe, workspace=workspace.root, only=["make"])["make"].run
    record = run.record_of("artifact.json")
    del record["files"]
    write_json(run.folder / "artifact.json", record)
    join = burnish.run(recipe, workspace=workspace.root)["join"].run
    assert any("cannot be checked" in event.text for event, _ in join.events.read() if event.kind == "note")


def test_a_recipe_in_a_torn_plan_is_not_resumed(recipe, workspace):
    burnish.run(recipe, workspace=workspace.root)
    path = workspace.runs / "r/1/plan.json"
    plan = json.loads(path.read_text())
    del plan["values"]
    path.write_text(json.dumps(plan))
    with pytest.raises(RunError, match=r"plan\.json lacks 'values'"):
        burnish.resume("r/1", workspace=workspace.root)


def test_a_finished_step_without_its_record_is_named_before_it_runs_again(recipe, workspace):
    made = burnish.run(recipe, workspace=workspace.root)["make"].run
    (made.folder / "artifact.json").unlink()
    plan = burnish.plan(recipe, workspace=workspace.root)
    [warning] = plan.warnings
    assert warning.startswith(
        f"make is not reused: {made.folder / 'artifact.json'} is missing, though r/1/make succeeded"
    )
    assert f"the files in {made.out} stay" in warning
    assert [step.action for step in plan.steps] == ["run", "reuse"]
    burnish.run(recipe, workspace=workspace.root)
    assert burnish.plan(recipe, workspace=workspace.root).warnings == ()


def test_a_finished_step_is_shown_and_compared_without_its_job(recipe, workspace):
    burnish.run(recipe, workspace=workspace.root)
    burnish.run(recipe, workspace=workspace.root, settings=["make.times=2"])
    shown, compared = (
        burnish.show("r/1", workspace=workspace.root),
        burnish.diff("r/1", "r/2", workspace=workspace.root),
    )
    for name in ("make", "join"):
        (workspace.run("r", 1, name).folder / "job.json").unlink()
    assert burnish.show("r/1", workspace=workspace.root) == shown
    assert burnish.diff("r/1", "r/2", workspace=workspace.root) == compared
    assert not [found for found in burnish.doctor("r/1", workspace=workspace.root) if found.level != "ok"]


def test_a_step_resumes_although_its_job_was_emptied(quick_stages, workspace, until):
    release = workspace.root / "release"
    recipe = {"name": "r", "steps": {"slow": {"stage": "quick-slow", "release": str(release)}}}
    run = workspace.run("r", 1, "slow")

    def run_once():
        with contextlib.suppress(RunError):
            burnish.run(recipe, workspace=workspace.root)

    thread = threading.Thread(target=run_once)
    thread.start()
    until((run.scratch / "checkpoints/1").exists)
    burnish.stop("r", workspace=workspace.root)
    thread.join(20)
    (run.folder / "job.json").write_bytes(b"")
    release.touch()
    found = burnish.run(recipe, workspace=workspace.root)
    assert found["slow"].action == "resume"
    assert run.record_of("job.json")["stage"] == "quick-slow"
