"""`method: freeze` as a run: only what is named changes, and the rest of the saved model is the base, bit for bit."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from burnish.core.errors import ModelError, RunError
from burnish.models.freezing import trained_parameters
from burnish.models.load import load_model
from burnish.specs.train import FreezeSpec, PretrainSpec, SftSpec
from burnish.stages.train import pretrain, sft
from burnish.stages.train import run as training_run
from burnish.testing import temporary_context, tiny_model
from burnish.train.forecast.footprint import Footprint, ModelShape
from burnish.train.resolve import Machine, resolve

LAST = {"kind": "freeze", "layers": 1}


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"text": "one two three {i}"}}\n' for i in range(8)))
    return path


@pytest.mark.parametrize("saved", ["auto", "base", "float32", "bfloat16"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kept", ["float32", "bfloat16"])
def test_frozen_weights_are_those_of_the_base(tmp_path, rows, kept, dtype, saved):
    base = tiny_model(tmp_path / "base", dtype=kept, tie_word_embeddings=True)
    method = {**LAST, "save_dtype": saved}
    spec = SftSpec(
        data="file:d", base="file:b", method=method, max_steps=3, dtype=dtype, learning_rate=3e-2, prove="off"
    )
    context, _ = temporary_context(tmp_path / "run", {"data": rows, "base": base})
    outcome = sft.run(spec, context)
    assert outcome.kind == "model"
    before, after = (load_file(folder / "model.safetensors") for folder in (base, context.out))
    assert before.keys() == after.keys()
    assert {weight.dtype for weight in after.values()} == {getattr(torch, outcome.measures["saved_dtype"])}
    for name, weight in after.items():
        is_same = torch.equal(weight, before[name].to(weight.dtype))
        assert is_same == ("layers.1." not in name), name
    load_model(context.out)


def test_pretrain_takes_it_too(tmp_path, rows, base):
    spec = PretrainSpec(
        data="file:d", base="file:b", method={"kind": "freeze", "train_head": True}, max_steps=1, prove="off"
    )
    context, events = temporary_context(tmp_path / "run", {"data": rows, "base": base})
    assert pretrain.run(spec, context).kind == "model"
    notes = [event.text for event in events if event.kind == "note"]
    assert "embedding and head share one weight, so both are trained" in notes


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(run_fit, optimizer):
    settings = {"max_steps": 6, "method": LAST, "optimizer": {"kind": optimizer}}
    whole = run_fit("whole", **settings)
    with pytest.raises(RunError, match="was stopped"):
        run_fit("parts", stop_before=3, **settings)
    parts = run_fit("parts", **settings)
    assert all(torch.equal(parts.weights[name], whole.weights[name]) for name in whole.weights)


def test_recomputed_activations_give_the_same_run(run_fit):
    settings = {"max_steps": 3, "method": {"kind": "freeze", "modules": ["layers.1.mlp"]}}
    plain, again = (run_fit(str(i), gradient_checkpointing=bool(i), **settings) for i in range(2))
    assert plain.metrics("grad_norm") == pytest.approx(again.metrics("grad_norm"), rel=1e-5)


def test_memory_is_estimated_for_what_is_trained(base):
    config = AutoConfig.from_pretrained(base)
    trained = trained_parameters(config, FreezeSpec(layers=1))
    model = load_model(base)
    assert trained == sum(weight.numel() for weight in model.model.layers[1].parameters())
    shape = ModelShape.of(config)
    spec = SftSpec(data="file:d", base="file:b", method=LAST, device="cpu")
    room = Footprint(shape, torch.float32, trained, checkpointing=False).peak(64) / 0.8
    machine = replace(Machine.here(), memory=int(1.1 * room), cuda=False)
    assert not resolve(spec, machine, shape, 64, True, trained)[0].gradient_checkpointing
    assert resolve(spec, machine, shape, 64, True)[0].gradient_checkpointing


def test_a_wrong_name_is_refused_before_the_model_is_loaded(tmp_path, rows, base, monkeypatch):
    monkeypatch.setattr(training_run, "base_model", None)
    spec = SftSpec(data="file:d", base="file:b", method={"kind": "freeze", "modules": ["down_prj"]})
    context, _ = temporary_context(tmp_path / "run", {"data": rows, "base": base})
    with pytest.raises(ModelError, match="down_prj"):
        sft.run(spec, context)
