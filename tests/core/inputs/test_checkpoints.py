"""A checkpoint is named by its folder, or by its run and step; a damaged or missing one is refused by name."""

import json
import shutil

import pytest

import artifacts
from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.inputs.checkpoints import RESTORABLE, restored_manifest
from burnish.core.inputs.checks import check_input
from burnish.core.inputs.references import resolve
from burnish.core.plan import make_plan
from burnish.core.recipes.recipe import recipe_of
from burnish.core.runs.checkpoints import KeptCheckpoint, kept_checkpoints, write_manifest

KINDS = ("model", "adapter")


def keep(run, step, *, best=None, weights="w"):
    folder = run.scratch / "checkpoints" / f"step-{step:08d}"
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_text(f"{weights}{step}")
    (folder / "state.json").write_text(json.dumps({"standing": {"step": step, "best_step": best}}))
    write_manifest(folder, identity="i")
    return folder


@pytest.fixture
def run(workspace):
    """A run of sft that was interrupted at step 6, on a folder as its base."""
    base = workspace.root / "base"
    base.mkdir()
    (base / "config.json").write_text('{"model_type": "qwen3"}')
    (base / "model.safetensors").write_text("base")
    (workspace.root / "rows.jsonl").write_text('{"text": "a"}\n')
    settings = {"stage": "sft", "base": "file:base", "data": "file:rows.jsonl", "render": {"date": "2026-01-02"}}
    planned = make_plan(recipe_of({"name": "r", "steps": {"tune": settings}}), workspace).steps[0]
    run = artifacts.write_artifact(workspace, "tune", stage="sft", inputs=planned.inputs)
    job = json.loads((run.folder / "job.json").read_text())
    spec = planned.step.spec.model_dump(mode="json", exclude_unset=True)
    (run.folder / "job.json").write_text(json.dumps({**job, "spec": spec}))
    (run.folder / "artifact.json").unlink()
    shutil.rmtree(run.out)
    shared = run.scratch / "model"
    (shared / "tokenizer").mkdir(parents=True)
    (shared / "tokenizer" / "chat_template.jinja").write_text("{{ strftime_now('%d') }}")
    write_manifest(shared, dtype="float32")
    for step in (2, 4, 6):
        keep(run, step, best=4)
    return run


@pytest.fixture
def found(workspace):
    """`found(reference)`: its input; the reports are in `found.reports`."""

    def found(ref: str) -> Input:
        return resolve(ref, KINDS, workspace, {}, found.reports.append)

    found.reports = []
    return found


@pytest.mark.parametrize(
    ("name", "step"),
    [
        *(("r.tune@1/step-4", 4), ("r.tune@1/step-00000004", 4), ("r.tune@latest/step-2", 2)),
        *(("r.tune@1/step-last", 6), ("r.tune@1/step-best", 4)),
        ("file:runs/r/1/tune/scratch/checkpoints/step-00000002", 2),
    ],
)
def test_a_checkpoint_is_named_by_its_run_and_step_or_by_its_folder(name, step, run, found):
    value = found(name)
    assert (value.kind, value.path, value.revision) == (
        "adapter",
        run.scratch / "checkpoints" / f"step-{step:08d}",
        "r/1/tune",
    )
    assert value.base.ref == "file:base"
    assert bool(found.reports) == (name.endswith(("last", "best")))


def test_the_kind_is_that_of_the_method(run, found):
    job = run.folder / "job.json"
    record = json.loads(job.read_text())
    record["spec"]["method"] = {"kind": "full"}
    job.write_text(json.dumps(record))
    assert found("r.tune@1/step-4").kind == "model"


def test_a_step_that_is_not_kept_lists_those_that_are(run, found):
    for name in ("r.tune@1/step-5", "r.tune@1/step-x"):
        with pytest.raises(BurnishError) as caught:
            found(name)
        assert caught.value.code == "ask.bad-reference"
        assert "steps 2, 4, 6" in caught.value.fix


def test_the_last_is_the_newest_that_is_whole(run, found):
    (run.scratch / "checkpoints" / "step-00000006" / "state.json").write_text("{}")
    assert found("r.tune@1/step-last").path.name == "step-00000004"
    assert [text for text in found.reports if "step 6 is damaged: state.json" in text]


@pytest.mark.parametrize("file", ["weights.safetensors", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_is_refused_with_its_file(file, run, found):
    (run.scratch / "checkpoints" / "step-00000004" / file).write_text("x")
    with pytest.raises(BurnishError) as caught:
        found("r.tune@1/step-4")
    assert caught.value.code == "run.broken-checkpoint"
    assert file.partition(".")[0] in caught.value.what
    assert "steps 2, 6" in caught.value.fix
    (run.scratch / "checkpoints" / "step-00000006" / file).write_text("x")
    with pytest.raises(BurnishError) as caught:
        found("r.tune@1/step-4")
    assert "keeps step 2 whole" in caught.value.fix


@pytest.mark.parametrize("name", ["step-x", "step-0x10", "step--4"])
def test_a_name_that_is_no_step_says_what_is_one(name, run, found):
    with pytest.raises(BurnishError) as caught:
        found(f"r.tune@1/{name}")
    assert "step-NUMBER, step-last or step-best" in caught.value.what


def test_a_run_that_keeps_none_names_the_setting(run, found):
    shutil.rmtree(run.scratch / "checkpoints")
    with pytest.raises(BurnishError) as caught:
        found("r.tune@1/step-4")
    assert "archive: true" in caught.value.fix
    with pytest.raises(BurnishError, match="no run of"):
        found("r.other@1/step-4")


def test_a_run_without_an_artifact_names_its_newest_checkpoint(run, found):
    with pytest.raises(BurnishError) as caught:
        found("r.tune@1")
    assert "r.tune@1/step-6" in caught.value.fix


def test_a_stage_whose_checkpoints_are_no_models_is_refused(run, found):
    job = run.folder / "job.json"
    job.write_text(json.dumps({**json.loads(job.read_text()), "stage": "quick-model"}))
    with pytest.raises(BurnishError) as caught:
        found("r.tune@1/step-4")
    assert "quick-model" in caught.value.what
    assert all(name in caught.value.fix for name in RESTORABLE)


def test_without_the_tokenizer_of_its_run_it_is_refused(run, found):
    (run.scratch / "model" / "manifest.json").unlink()
    with pytest.raises(BurnishError, match="its manifest cannot be read") as caught:
        found("r.tune@1/step-4")
    assert "resume" in caught.value.fix
    shutil.rmtree(run.scratch / "model")
    with pytest.raises(BurnishError, match="an older burnish") as caught:
        found("r.tune@1/step-4")
    assert "resume" in caught.value.fix


def test_a_step_that_uses_one_has_its_content_in_the_fingerprint_and_its_date(run, workspace):
    settings = {"stage": "evaluate", "model": "r.tune@1/step-4", "data": "file:rows.jsonl"}

    def planned(**more):
        return make_plan(recipe_of({"name": "e", "steps": {"e": {**settings, **more}}}), workspace).steps[0]

    first = planned()
    assert first.step.spec.date == "2026-01-02"
    assert set(first.inputs) == {"model", "data"}
    keep(run, 8)
    assert planned().fingerprint == first.fingerprint
    shutil.rmtree(run.scratch / "checkpoints" / "step-00000004")
    keep(run, 4, weights="other")
    assert planned().fingerprint != first.fingerprint


def test_with_checkpoints_all_that_are_kept_are_inputs(run, workspace):
    settings = {"stage": "evaluate", "model": "r.tune@1/step-4", "data": "file:rows.jsonl", "checkpoints": True}

    def planned():
        return make_plan(recipe_of({"name": "e", "steps": {"e": settings}}), workspace).steps[0]

    first = planned()
    listed = {name: value.ref for name, value in first.inputs.items() if name.startswith("checkpoints.")}
    assert listed == {f"checkpoints.{step}": f"r.tune@1/step-{step}" for step in (2, 4, 6)}
    keep(run, 8)
    assert planned().fingerprint != first.fingerprint
    (run.scratch / "checkpoints" / "step-00000008" / "state.json").write_text("{}")
    assert planned().fingerprint == first.fingerprint


def test_checkpoints_are_measured_of_an_artifact_or_of_a_run_that_has_none(run, workspace):
    def refused(model):
        settings = {"stage": "evaluate", "model": model, "data": "file:rows.jsonl", "checkpoints": True}
        with pytest.raises(BurnishError) as caught:
            make_plan(recipe_of({"name": "e", "steps": {"e": settings}}), workspace)
        return caught.value

    assert "a training made here" in refused("file:base").what
    ended = artifacts.write_artifact(workspace, "tune", number=2, stage="sft", inputs={})
    shutil.copytree(run.scratch, ended.scratch, dirs_exist_ok=True)
    shutil.copy(run.folder / "job.json", ended.folder)
    error = refused("r.tune@2/step-4")
    assert "a run that has ended" in error.what
    assert "set model: r.tune@2" in error.fix


def test_other_folders_are_no_checkpoints(run, tmp_path):
    assert [one.step for one in kept_checkpoints(run)] == [2, 4, 6]
    for path in (run.scratch / "checkpoints" / "step-x", run.scratch / "step-00000002", tmp_path / "step-00000002"):
        assert KeptCheckpoint.at(path) is None


def test_a_base_that_its_run_will_remove_is_reported(run, workspace):
    settings = {"stage": "sft", "base": "r.tune@1/step-4", "data": "file:rows.jsonl"}

    def notes():
        plan = make_plan(recipe_of({"name": "e", "steps": {"e": settings}}), workspace)
        return [note for note in plan.notes if "removes it when it ends" in note]

    assert notes()
    job = run.folder / "job.json"
    record = json.loads(job.read_text())
    record["spec"]["checkpoint"] = {"archive": True}
    job.write_text(json.dumps(record))
    assert not notes()


def test_an_adapter_on_a_checkpoint_that_is_gone_is_used_with_its_restored_copy(run, found, workspace):
    base = found("r.tune@1/step-4")
    adapter = artifacts.write_artifact(workspace, "more", number=2, inputs={"base": base}).artifact().as_input("a@1")
    shutil.rmtree(base.path)
    with pytest.raises(BurnishError, match="the base of a@1 is missing"):
        check_input(adapter, {})
    copy = workspace.cache / "checkpoints" / base.fingerprint
    copy.mkdir(parents=True)
    (copy / "model.safetensors").write_text("restored")
    write_manifest(copy, restored_manifest(copy))
    check_input(adapter, {})
    (copy / "model.safetensors").write_text("damaged!")
    with pytest.raises(BurnishError, match="the base of a@1 is missing"):
        check_input(adapter, {})


def test_the_run_of_a_checkpoint_that_is_used_is_no_garbage(run, workspace):
    from burnish.core.registry.garbage import find_garbage

    value = resolve("r.tune@1/step-4", KINDS, workspace, {})
    user = artifacts.write_artifact(workspace, "on", recipe="u", inputs={"base": value})
    for number in (2, 3):
        artifacts.write_artifact(workspace, "other", recipe="r", number=number)
    names = {one.run for one in find_garbage(workspace).garbage}
    assert run.name not in names
    shutil.rmtree(user.folder.parent)
    assert run.name in {one.run for one in find_garbage(workspace).garbage}
