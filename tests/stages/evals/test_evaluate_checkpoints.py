"""evaluate with checkpoints: every kept one of a training on the same rows, and what the best one says."""

import json
import shutil
from dataclasses import replace
from typing import Any

import pytest

import artifacts
from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.fingerprint import of_path
from burnish.core.inputs.checkpoints import as_input
from burnish.core.runs.artifact import Artifact, record_files
from burnish.core.runs.checkpoints import KeptCheckpoint
from burnish.core.runs.workspace import Workspace
from burnish.models.bases import tokenizer_folder
from burnish.models.load import load_model
from burnish.specs.evals import EvaluateSpec
from burnish.specs.preferences import RewardSpec
from burnish.specs.train import SftSpec
from burnish.stages.evals import evaluate
from burnish.stages.evals.measuring import Measuring, measured
from burnish.stages.models.answering import requested_rows
from burnish.stages.train import reward, sft
from burnish.stages.train.restoring import Restored
from burnish.testing import input_at, temporary_context, tiny_model
from burnish.tokens.load import load_tokenizer

ROWS = [
    {
        "messages": [
            {"role": "user", "content": f"Say {'abc'[i % 3]} {i}"},
            {"role": "assistant", "content": "abc"[i % 3] * 4},
        ],
        "choices": ["aaaa", "bbbb", "cccc"],
        "answer": i % 3,
    }
    for i in range(8)
]
USUAL = {"max_steps": 4, "batch_size": 4, "learning_rate": 1e-2, "threads": 1, "prove": "off"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("base"), "qwen3", initializer_range=0.2)


def trained(root, base, method, stage="sft", rows=ROWS):
    """A finished run that archived its four checkpoints, as a worker leaves it; returns the run."""
    workspace = Workspace(root)
    data = root / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    inputs = {
        name: replace(input_at(path), fingerprint=of_path(path, {}, kind))
        for name, path, kind in (("data", data, "file"), ("base", base, "model"))
    }
    settings = {"data": "file:d", "base": "file:b", **USUAL, "method": {"kind": method}}
    settings |= {"checkpoint": {"every": 1, "archive": True}}
    run = artifacts.write_artifact(workspace, "tune", stage=stage, inputs=inputs, measures={"steps": 4})
    shutil.rmtree(run.out)
    ctx, _ = temporary_context(run.folder, inputs)
    kind = {"sft": (sft.run, SftSpec), "reward": (reward.run, RewardSpec)}[stage]
    outcome = kind[0](kind[1](**settings), ctx)
    for name, more in (
        ("artifact.json", {"kind": outcome.kind, "files": record_files(run.out)}),
        ("job.json", {"spec": settings}),
    ):
        record = json.loads((run.folder / name).read_text())
        (run.folder / name).write_text(json.dumps({**record, **more}))
    return run


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, base):
    return trained(tmp_path_factory.mktemp("lora"), base, "lora")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, base):
    return trained(tmp_path_factory.mktemp("full"), base, "full")


def model_of(run) -> Input:
    return Artifact.of(run.folder, run.workspace).as_input("r.tune@1")


@pytest.fixture
def evaluated(tmp_path):
    """`evaluated(model)`: (metrics, measures, events, context) of a run."""
    data = tmp_path / "test.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def evaluated(model: Input, folder="run", stopping=lambda: False, more=None, **settings: Any):
        given = {"generation": {"max_new_tokens": 5}, "threads": 1, "checkpoints": True, **settings}
        spec = EvaluateSpec(model="file:m", data="file:d", **given)
        inputs = {"model": model, "data": data, **(more or {})}
        ctx, events = temporary_context(tmp_path / folder, inputs, stopping)
        ctx.cache = tmp_path / "cache"
        outcome = evaluate.run(spec, ctx)
        return json.loads((ctx.out / "metrics.json").read_text()), outcome.measures, events, ctx

    return evaluated


def phases(events) -> set[str]:
    return {event.phase.partition(":")[0] for event in events if event.kind == "progress" and "step" in event.phase}


@pytest.mark.parametrize("method", ["lora", "full"])
def test_each_checkpoint_has_exactly_the_numbers_of_its_own_restored_model(method, evaluated, request, tmp_path):
    run = request.getfixturevalue("tuned" if method == "lora" else "whole")
    compared = {"compare_with": "base"} if method == "lora" else {}
    metrics, measures, events, ctx = evaluated(model_of(run), **compared)
    points = metrics["checkpoints"]
    steps = [(point["step"], point["kind"]) for point in points]
    expected = [(1, "checkpoint"), (2, "checkpoint"), (3, "checkpoint"), (4, "artifact")]
    assert steps == ([(0, "base"), *expected] if compared else expected)
    assert phases(events) == {"step 1", "step 2", "step 3"}
    assert measures["checkpoints"] == 4
    spec = EvaluateSpec(model="file:m", data="file:d", generation={"max_new_tokens": 5}, threads=1)
    rows = requested_rows(spec, ctx)
    for point in points:
        if point["kind"] != "checkpoint":
            continue
        place = KeptCheckpoint.at(run.scratch / "checkpoints" / f"step-{point['step']:08d}")
        source = Restored(tmp_path / "apart", {}, lambda event: None).of(as_input("x", place, {}))
        tokenizer = load_tokenizer(tokenizer_folder(source))
        items = measured(Measuring.of(spec, ctx), rows, ctx, load_model(source), tokenizer, "")
        bits = sum(item.likelihood.bits_per_byte * item.likelihood.bytes for item in items)
        count = sum(item.likelihood.bytes for item in items)
        assert point["likelihood"]["bits_per_byte"]["value"] == pytest.approx(bits / count, rel=1e-12)
        assert point["scores"]["exact_match"]["value"] == sum(item.scores["exact_match"].value for item in items) / len(
            rows
        )
    assert len({point["likelihood"]["bits_per_byte"]["value"] for point in points}) == len(points)
    assert {"checkpoints.png", "report.html"} <= {path.name for path in ctx.out.iterdir()}
    assert "by step" in (ctx.out / "report.md").read_text()
    artifact = points[-1]["likelihood"]["bits_per_byte"]["value"]
    assert artifact == metrics["likelihood"]["bits_per_byte"]["model"]["value"]


def test_a_damaged_checkpoint_is_named_and_counted(evaluated, tmp_path, tuned, base):
    root = tmp_path / "copy"
    shutil.copytree(tuned.workspace, root, symlinks=True)
    run = Workspace(root).run("r", 1, "tune")
    (run.scratch / "checkpoints" / "step-00000002" / "weights.safetensors").write_bytes(b"x")
    metrics, measures, events, _ = evaluated(model_of(run), scorers=[])
    assert [point["step"] for point in metrics["checkpoints"]] == [1, 3, 4]
    (damaged,) = metrics["damaged_checkpoints"]
    assert damaged["step"] == 2
    assert "weights.safetensors" in damaged["why"]
    assert measures["damaged_checkpoints"] == 1
    warnings = [event.text for event in events if event.kind == "note" and event.level == "warning"]
    assert [text for text in warnings if text.startswith("the checkpoint of step 2 is not measured")]


def test_after_a_stop_no_checkpoint_is_measured_twice(evaluated, tuned):
    asked: list[int] = []

    def stopping():
        asked.append(1)
        return len(asked) > 5

    with pytest.raises(BurnishError) as caught:
        evaluated(model_of(tuned), stopping=stopping)
    assert caught.value.code == "run.interrupted"
    assert "step" in caught.value.what
    assert "finished" in caught.value.fix
    _, _, events, ctx = evaluated(model_of(tuned), "again")
    assert phases(events) < {"step 1", "step 2", "step 3"}
    _, _, events, _ = evaluated(model_of(tuned), "third")
    assert phases(events) == set()
    kept = sorted((ctx.cache / "answers").rglob("*.json"))
    kept[0].write_text("{")
    _, _, events, _ = evaluated(model_of(tuned), "fourth")
    assert len(phases(events)) == 1
    assert [event for event in events if event.kind == "note" and "are damaged, and were made again" in event.text]


def test_scores_by_likelihood_and_checks_have_points_too(evaluated, tuned, tmp_path):
    checks = tmp_path / "checks.yaml"
    checks.write_text("- {prompt: Say a, checks: {max_words: 50}}\n")
    scorers = [{"kind": "multiple_choice", "choices": "choices", "answer": "answer"}]
    settings = {"scorers": scorers, "perplexity": False, "checks": "file:c", "more": {"checks": checks}}
    metrics, *_ = evaluated(model_of(tuned), **settings)
    for point in metrics["checkpoints"]:
        assert len(point["scores"]) >= 2
        assert all(numbers["value"] is not None for numbers in point["scores"].values())
    _, _, events, _ = evaluated(model_of(tuned), "again", **settings)
    assert phases(events) == set()


def test_a_run_that_kept_nothing_names_the_setting(evaluated, tmp_path, tuned):
    root = tmp_path / "copy"
    shutil.copytree(tuned.workspace, root)
    run = Workspace(root).run("r", 1, "tune")
    shutil.rmtree(run.scratch)
    metrics, _, events, _ = evaluated(model_of(run), scorers=[])
    assert [point["kind"] for point in metrics["checkpoints"]] == ["artifact"]
    assert [e for e in events if e.kind == "note" and e.level == "warning" and "archive: true" in e.text]


def test_an_unfinished_run_is_measured_from_its_checkpoints(evaluated, tmp_path, tuned):
    root = tmp_path / "copy"
    shutil.copytree(tuned.workspace, root)
    run = Workspace(root).run("r", 1, "tune")
    (run.folder / "artifact.json").unlink()
    shutil.rmtree(run.out)
    restored = Restored(tmp_path / "cache", {}, lambda event: None)
    places = {step: KeptCheckpoint.at(run.scratch / "checkpoints" / f"step-{step:08d}") for step in (1, 2, 3)}
    inputs = {step: restored.of(as_input(f"r.tune@1/step-{step}", place, {})) for step, place in places.items()}
    shutil.rmtree(run.scratch / "checkpoints" / "step-00000001")  # as a run in progress does
    more = {f"checkpoints.{step}": value for step, value in inputs.items()}
    metrics, *_ = evaluated(inputs[2], more=more, scorers=[])
    assert [(point["step"], point["kind"]) for point in metrics["checkpoints"]] == [
        *((step, "checkpoint") for step in (1, 2, 3)),
    ]


def test_a_reward_model_has_its_accuracy_by_step(evaluated, tmp_path, base):
    pairs = [
        {
            "prompt": row["messages"][:1],
            "chosen": row["messages"][1:],
            "rejected": [{"role": "assistant", "content": "z"}],
        }
        for row in ROWS
    ]
    root = tmp_path / "work"
    root.mkdir()
    run = trained(root, base, "lora", "reward", pairs)
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    spec = EvaluateSpec(model="file:m", data="file:d", checkpoints=True, threads=1, scorers=[], perplexity=False)
    ctx, _ = temporary_context(tmp_path / "run", {"model": model_of(run), "data": tmp_path / "test.jsonl"})
    evaluate.run(spec, ctx)
    points = json.loads((ctx.out / "metrics.json").read_text())["checkpoints"]
    assert [point["step"] for point in points] == [1, 2, 3, 4]
    assert all(point["scores"] for point in points)


def test_a_model_that_no_training_made_here_is_refused(evaluated, base):
    with pytest.raises(BurnishError) as caught:
        evaluated(input_at(base), scorers=[])
    assert caught.value.code == "ask.bad-reference"
    assert "training" in caught.value.what


def test_tasks_are_refused_beside_checkpoints():
    with pytest.raises(ValueError, match="not measured on tasks"):
        EvaluateSpec(model="file:m", data="file:d", checkpoints=True, tasks={"names": ["x"]})
