"""A checkpoint that is restored is the model that the training would have saved at that step, to the bit."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from burnish.core.catalog import stages
from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.fingerprint import of_path
from burnish.core.inputs.checkpoints import RESTORABLE, as_input, has_checkpoint
from burnish.core.runs.checkpoints import KeptCheckpoint
from burnish.data.dataset import open_rows
from burnish.evals.measure import Item, measure_likelihoods
from burnish.models.load import load_model
from burnish.specs.train import FreezeSpec, FullSpec, LoraSpec, QloraSpec
from burnish.stages.train.restoring import RUNS, Restored
from burnish.testing import input_at, tiny_model
from burnish.tokens.load import load_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses deprecated names of transformers
LORA = {"kind": "lora", "rank": 2}
METHODS: dict[str, dict[str, Any]] = {
    "lora": LORA | {"alpha": 5, "dropout": 0.2, "lora_plus": 16},
    "embeddings": LORA | {"targets": ["embed_tokens", "q_proj"]},
    "rslora and dora": LORA | {"rslora": True, "dora": True},
    "experts": LORA | {"experts": True},
    "a whole layer": LORA | {"train_fully": ["lm_head"]},
    "new tokens": LORA | {"new_tokens": ["<a>"], "new_special_tokens": ["<b>"]},
    "init: pissa": LORA | {"init": "pissa"},
    "init: olora": LORA | {"init": "olora"},
    "init: orthogonal": LORA | {"init": "orthogonal"},
    "qlora": {"kind": "qlora", "rank": 2, "quantization": "fp4", "double_quantization": False},
    "full": {"kind": "full"},
    "full in bfloat16": {"kind": "full", "save_dtype": "bfloat16"},
    "freeze: layers": {"kind": "freeze", "layers": 1, "train_head": True},
    "freeze: modules": {"kind": "freeze", "modules": ["layers.1.mlp"], "train_embeddings": True},
}
ROLLOUTS = {
    "rewards": [{"kind": "format", "pattern": ".*[a-m].*"}],
    "generation": {"max_new_tokens": 12},
    "learning_rate": 1e-2,
}
KINDS = {"kto": "label"} | dict.fromkeys(("dpo", "orpo", "simpo", "reward"), "preference")
KINDS |= dict.fromkeys(("grpo", "ppo"), "prompt") | dict.fromkeys(("sft", "pretrain"), "chat")
USUAL = {"max_steps": 3, "batch_size": 3, "threads": 1, "checkpoint": {"every": 1, "keep": 9}, "learning_rate": 3e-3}
BESIDE = ("rows.parquet", "loss.png", "trackers", "proof.json", "rollouts.parquet", "manifest.json")
"""Files of an artifact that are no part of the model."""


class Trained:
    """A run folder as a worker leaves it."""

    def __init__(self, folder: Path, inputs: dict[str, Input], events: list[Any]):
        self.folder, self.inputs, self.events = folder, inputs, events
        self.notes: list[Any] = []

    def checkpoint(self, step: int) -> Input:
        place = KeptCheckpoint.at(self.folder / "scratch" / "checkpoints" / f"step-{step:08d}")
        assert place is not None
        return as_input(f"tune.tune@1/step-{step}", place, {})

    def restored(self, step: int) -> Input:
        return Restored(self.folder.parents[3] / "cache", {}, self.notes.append).of(self.checkpoint(step))


@pytest.fixture
def train(tmp_path, rows, base, run_stage):
    def train(stage: str = "sft", inputs: dict[str, Any] | None = None, name: str = "tune", **settings: Any) -> Trained:
        given = {"data": rows(KINDS[stage]), "base": base} if inputs is None else inputs
        resolved = {
            field: value
            if isinstance(value, Input)
            else replace(at := input_at(value), fingerprint=of_path(at.path, {}))
            for field, value in given.items()
        }
        settings = USUAL | (ROLLOUTS if KINDS[stage] == "prompt" else {}) | settings
        _, out, events = run_stage(stage, f"runs/tune/1/{name}", resolved, **settings)
        spec = {**{field: f"file:{field}" for field in resolved}, "prove": "off", **settings}
        inputs_json = {field: value.to_json(tmp_path) for field, value in resolved.items()}
        job = {"recipe": "tune", "number": 1, "step": name, "stage": stage, "fingerprint": "f", "spec": spec}
        (out.parent / "job.json").write_text(json.dumps({**job, "inputs": inputs_json}))
        return Trained(out.parent, resolved, events)

    return train


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in (*BESIDE, "burnish_base.json")
    }


def assert_is_the_artifact(run: Trained) -> None:
    found, expected = files_of(run.restored(3).path), files_of(run.folder / "out")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert any(name.endswith(".safetensors") for name in found)
    earlier = files_of(run.restored(2).path)
    assert [name for name in earlier if earlier[name] != expected[name]]


def test_every_setting_of_a_method_is_in_the_table():
    for spec in (LoraSpec, QloraSpec, FullSpec, FreezeSpec):
        tested = {field for row in METHODS.values() for field in row}
        assert set(spec.__pydantic_fields__) <= tested, spec


def test_every_training_stage_has_a_row():
    assert set(RUNS) == set(RESTORABLE)
    assert set(RUNS) == set(KINDS)
    trained = {name for name, row in stages().items() if "checkpoint" in row.spec_type().__pydantic_fields__}
    assert trained == set(RUNS)


@pytest.mark.some(every=3)
@pytest.mark.parametrize("method", METHODS)
def test_the_checkpoint_of_the_last_step_is_the_artifact(method, train, tmp_path, rows):
    family = "mixtral" if method == "experts" else "qwen3"
    inputs = {"data": rows("chat"), "base": tiny_model(tmp_path / "base", family)}
    assert_is_the_artifact(train(inputs=inputs, method=METHODS[method]))


@pytest.mark.some
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["lora", "full", "freeze: layers", "embeddings"])
def test_so_it_is_when_trained_in_half_of_the_bits(method, dtype, train, tmp_path, rows):
    base = tiny_model(tmp_path / "base", dtype=dtype)
    assert_is_the_artifact(train(inputs={"data": rows("chat"), "base": base}, method=METHODS[method], dtype="bfloat16"))


@pytest.mark.some
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("stage", [stage for stage in RUNS if stage != "sft"])
def test_the_last_checkpoint_of_every_stage_is_its_artifact(stage, method, train):
    assert_is_the_artifact(train(stage, method={"kind": method}))


def test_so_is_that_of_a_new_architecture(train, rows, base):
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    architecture = {"model_type": "qwen3", **sizes, "num_key_value_heads": 1, "head_dim": 8}
    run = train("pretrain", {"data": rows("text"), "tokenizer": base}, architecture=architecture)
    assert_is_the_artifact(run)


def test_so_is_that_of_an_adapter_on_an_adapter_and_on_a_checkpoint(train, rows, base):
    first = train()
    of_artifact = Input("file:a", "adapter", first.folder / "out", inputs={"base": first.inputs["base"]})
    assert_is_the_artifact(train(inputs={"data": rows("chat"), "base": of_artifact}, name="second"))
    on_checkpoint = train(inputs={"data": rows("chat"), "base": first.restored(2)}, name="third")
    job = on_checkpoint.folder / "job.json"
    record = json.loads(job.read_text())
    record["inputs"]["base"] = first.checkpoint(2).to_json()
    job.write_text(json.dumps(record))
    assert has_checkpoint(on_checkpoint.checkpoint(3))
    assert_is_the_artifact(on_checkpoint)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_checkpoint_in_the_middle_has_the_validation_loss_of_its_step(method, train, tmp_path, base, rows):
    from burnish.specs.data import PrepareSpec
    from burnish.stages.data import prepare
    from burnish.testing import temporary_context

    ctx, _ = temporary_context(tmp_path / "prepare", {"source": rows("chat", 24)})
    prepare.run(PrepareSpec(source="file:rows", split={"validation": 0.3, "test": 0.0}), ctx)
    data = Input("file:data", "dataset", ctx.out, "data")
    run = train(inputs={"data": data, "base": base}, method=METHODS[method], eval_every=1)
    logged = {
        event.step: event.values["eval_loss"] for event in run.events if "eval_loss" in getattr(event, "values", {})
    }
    found = list(open_rows(data, "validation"))
    for step in (1, 2, 3):
        restored, items = run.restored(step), [Item() for _ in found]
        model, tokenizer = load_model(restored), load_tokenizer(restored.path)
        given = {"train_on": "assistant", "max_length": 512, "tick": lambda *_: None}
        measure_likelihoods(model, tokenizer, found, items, **given)
        likelihoods = [item.likelihood for item in items]
        loss = math.fsum(one.nats for one in likelihoods) / sum(one.tokens for one in likelihoods)
        assert loss == pytest.approx(logged[step], abs=1e-5)
    assert len(set(logged.values())) == 3


def test_an_interrupted_run_needs_no_artifact_and_no_rows(train, rows):
    import shutil

    run = train()
    expected = files_of(run.folder / "out")
    shutil.rmtree(run.folder / "out")
    run.inputs["data"].path.unlink()
    assert files_of(run.restored(3).path) == expected


def test_a_restored_folder_is_used_again_until_it_is_damaged(train):
    run = train()
    restored = run.restored(2)
    weights = restored.path / "adapter_model.safetensors"
    before, content = weights.stat().st_mtime_ns, weights.read_bytes()
    assert run.restored(2).path == restored.path
    assert weights.stat().st_mtime_ns == before
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert run.restored(2).path.joinpath(weights.name).read_bytes() == content
    assert [note.text for note in run.notes if "is damaged, and is made again" in note.text]


def test_it_stays_when_the_run_removes_its_checkpoint(train):
    import shutil

    run = train()
    value, restored = run.checkpoint(2), run.restored(2)
    shutil.rmtree(value.path)
    assert Restored(run.folder.parents[3] / "cache", {}, run.notes.append).of(value).path == restored.path
    with pytest.raises(BurnishError, match="is gone"):
        Restored(run.folder.parents[3] / "other", {}, run.notes.append).of(value)


@pytest.mark.parametrize(
    "file", ["weights.safetensors", "state.json", "manifest.json", "model/tokenizer/tokenizer.json"]
)
def test_a_damaged_checkpoint_names_its_file(file, train):
    run = train()
    value = run.checkpoint(2)
    path = value.path / file if "/" not in file else run.folder / "scratch" / file
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    for make in (lambda: run.checkpoint(2), lambda: Restored(run.folder / "cache", {}, run.notes.append).of(value)):
        with pytest.raises(BurnishError) as caught:
            make()
        assert caught.value.code == "run.broken-checkpoint"
        assert (
            "manifest" in caught.value.what if file == "manifest.json" else file.rpartition("/")[2] in caught.value.what
        )


def test_other_weights_and_another_base_have_another_fingerprint(train, tmp_path, rows):
    first = train()
    assert first.checkpoint(1).fingerprint != first.checkpoint(2).fingerprint
    value = first.checkpoint(1)
    other = {**value.inputs, "base": replace(value.inputs["base"], fingerprint="other")}
    from burnish.core.inputs.checkpoints import fingerprint_of

    place = KeptCheckpoint.at(value.path)
    assert fingerprint_of(place, value.inputs) == value.fingerprint
    assert fingerprint_of(place, other) != value.fingerprint
