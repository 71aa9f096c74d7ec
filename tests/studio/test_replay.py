"""A training again without some rows: equal to one that never had them, from the last checkpoint before them."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

import burnish
from burnish.core.errors import BurnishError
from burnish.core.runs.workspace import Workspace
from burnish.specs.train import SftSpec
from burnish.stages.train import sft
from burnish.stages.train.replay import start_without
from burnish.testing import temporary_context, tiny_model

EVERY, STEPS = 2, 8


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A workspace with a run of 8 steps over 32 rows, whose checkpoints were kept."""
    root = tmp_path_factory.mktemp("work")
    tiny_model(root / "model")
    rows = [{"prompt": f"{n}?", "completion": f"it is {n}"} for n in range(32)]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    burnish.run(recipe(), workspace=root)
    return root


def recipe(**settings) -> dict:
    tune = {"stage": "sft", "base": "file:model", "data": "file:rows.jsonl", "batch_size": 4, "epochs": 1}
    tune |= {"method": {"kind": "lora", "rank": 2, "dropout": 0.1}, "learning_rate": 1e-2, "threads": 1, "prove": "off"}
    return {"name": "r", "steps": {"tune": {**tune, "checkpoint": {"every": EVERY, "archive": True}, **settings}}}


def train(root: Path, folder: Path, **settings) -> Path:
    """The training of the recipe in this process; gives its output folder."""
    step = {name: value for name, value in recipe(**settings)["steps"]["tune"].items() if name != "stage"}
    context, _ = temporary_context(folder, {"data": root / "rows.jsonl", "base": root / "model"})
    sft.run(SftSpec(**step), context)
    return context.out


def visits(root: Path, run: str) -> dict[str, int]:
    """The step of each row."""
    table = pq.read_table(root / "runs" / run / "tune" / "out" / "rows.parquet").to_pydict()
    return dict(zip(table["id"], table["step"], strict=True))


def row_of_step(root: Path, step: int) -> str:
    return next(row for row, at in visits(root, "r/1").items() if at == step)


def weights(path: Path) -> dict[str, list]:
    return {name: value.tolist() for name, value in load_file(path / "adapter_model.safetensors").items()}


@pytest.mark.parametrize(("step", "start"), [(2, None), (8, 6)])
def test_a_replay_equals_a_training_that_never_had_the_row(root, tmp_path, step, start):
    row = row_of_step(root, step)
    found = burnish.replay("r/1", without=row, workspace=root)
    assert (None if start is None else f"step-{start:08d}") == (found.checkpoint and found.checkpoint.name)
    assert found.first_visit == step
    plain = train(root, tmp_path, without_rows=[row])
    replayed = found.result["tune"].path
    assert weights(replayed) == weights(plain) != weights(root / "runs/r/1/tune/out")
    others = visits(root, "r/1")
    assert others.pop(row) == step
    assert visits(root, found.result.name) == others


def start(root: Path, *steps: int) -> dict:
    """Where a replay without a row of each of these steps starts."""
    folder = root / "runs/r/1/tune"
    rows = [row_of_step(root, step) for step in steps]
    return start_without(folder / "out" / "rows.parquet", folder / "scratch" / "checkpoints", rows)


@pytest.mark.parametrize(("steps", "kept"), [((1,), None), ((2,), None), ((3,), 2), ((4,), 2), ((8,), 6), ((7, 5), 4)])
def test_it_starts_from_the_last_checkpoint_before_the_first_of_the_rows(root, steps, kept):
    found = start(root, *steps)
    assert found["first_visit"] == min(steps)
    assert (found["checkpoint"] and Path(found["checkpoint"]).name) == (kept and f"step-{kept:08d}")


def test_a_damaged_checkpoint_is_not_started_from(root, tmp_path):
    copied = shutil.copytree(root, tmp_path / "work", symlinks=True)
    kept = copied / "runs/r/1/tune/scratch/checkpoints/step-00000006/weights.safetensors"
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    found = start(copied, 8)
    assert Path(found["checkpoint"]).name == "step-00000004"
    assert "step-00000006 is damaged" in found["reason"]


def test_without_checkpoints_it_starts_over_and_says_why(root, tmp_path):
    copied = shutil.copytree(root, tmp_path / "work", symlinks=True)
    shutil.rmtree(copied / "runs/r/1/tune/scratch")
    found = start(copied, 8)
    assert found["checkpoint"] is None
    assert "checkpoint.archive" in found["reason"]


def test_a_step_whose_rows_are_all_left_out_learns_nothing(root):
    left_out = [row for row, step in visits(root, "r/1").items() if step in (2, 8)]
    found = burnish.replay("r/1", without=left_out, workspace=root)
    assert sorted(set(visits(root, found.result.name).values())) == [1, 3, 4, 5, 6, 7]
    assert found.result["tune"].metrics["steps"] == STEPS


def test_a_checkpoint_that_has_learned_the_row_is_refused(root):
    row, folder = row_of_step(root, 3), root / "runs/r/1/tune/scratch/checkpoints/step-00000004"
    with pytest.raises(BurnishError, match="has learned a row of without_rows in step 3") as caught:
        burnish.run(recipe(without_rows=[row], resume=str(folder)), workspace=root)
    assert caught.value.code == "run.other-settings"


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda root, _: burnish.replay("r/1", without="nothing", workspace=root), "has learned the row nothing"),
        (lambda root, _: burnish.replay("r/1", without=[], workspace=root), "no row is named"),
        (lambda root, folder: train(root, folder, without_rows=["nothing"]), "without_rows names nothing"),
        (
            lambda root, folder: train(root, folder, without_rows=list(visits(root, "r/1"))),
            "without_rows names every row",
        ),
    ],
)
def test_rows_that_cannot_be_left_out_are_named(root, tmp_path, call, what):
    with pytest.raises(BurnishError, match=what):
        call(root, tmp_path)


def test_the_checkpoints_of_a_finished_run_are_kept_only_where_asked(root):
    kept = root / "runs/r/1/tune/scratch/checkpoints"
    assert [folder.name for folder in sorted(kept.iterdir())] == [
        f"step-{n:08d}" for n in range(EVERY, STEPS + 1, EVERY)
    ]
    result = burnish.run(recipe(checkpoint={"every": EVERY}, epochs=0.25), workspace=root)
    assert not Workspace.find(root).find_runs(result.name)[0].scratch.exists()


def test_a_replay_is_refused_once_the_data_changed(root, tmp_path):
    copied = shutil.copytree(root, tmp_path / "work", symlinks=True)
    shutil.rmtree(copied / "runs/r/1/tune/scratch")
    rows = (copied / "rows.jsonl").read_text()
    (copied / "rows.jsonl").write_text(rows.replace("it is 3", "it was 3"))
    with pytest.raises(BurnishError, match=r"rows\.jsonl .* is not as it was") as caught:
        burnish.replay("r/1", without=row_of_step(copied, 8), workspace=copied)
    assert caught.value.code == "run.input-changed"


@pytest.mark.parametrize("changed", ["rows.jsonl", "model/config.json"])
def test_a_replay_of_a_run_that_has_not_ended_is_refused_once_an_input_changed(root, tmp_path, changed):
    copied = shutil.copytree(root, tmp_path / "work", symlinks=True)
    folder = copied / "runs/r/1/tune"
    shutil.rmtree(folder / "out")
    (folder / "artifact.json").unlink()
    (folder / "run.json").write_text((folder / "run.json").read_text().replace('"succeeded"', '"interrupted"'))
    shutil.rmtree(folder / "scratch" / "checkpoints")  # of which none would notice
    text = (copied / changed).read_text()
    (copied / changed).write_text(text.replace("it is 3", "it was 3") if changed == "rows.jsonl" else text + " ")
    with pytest.raises(BurnishError, match="is not as it was when r/1/tune read it") as caught:
        burnish.replay("r/1", without=row_of_step(root, 8), workspace=copied)
    assert caught.value.code == "run.input-changed"


def test_a_run_resumed_from_a_named_checkpoint_starts_there_or_is_refused(root, tmp_path):
    copied = shutil.copytree(root, tmp_path / "work", symlinks=True)
    folder = copied / "runs/r/1/tune/scratch/checkpoints/step-00000004"
    made = burnish.run(recipe(resume=str(folder), learning_rate=1e-3, checkpoint={"every": 8}), workspace=copied)
    assert burnish.replay(made.name, without=row_of_step(copied, 6), workspace=copied).checkpoint == folder
    with pytest.raises(BurnishError, match=r"was resumed from .*step-00000004, which has learned a row"):
        burnish.replay(made.name, without=row_of_step(copied, 3), workspace=copied)


def test_a_run_whose_steps_would_all_be_empty_is_refused(root, tmp_path):
    first = [row for row, step in visits(root, "r/1").items() if step == 1]
    with pytest.raises(BurnishError, match="names every row of the 1 steps"):
        train(root, tmp_path, without_rows=first, epochs=0.125, checkpoint={"every": 1})
