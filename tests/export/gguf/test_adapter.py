"""Adapters as GGUF files of their own: on the base's file they are the adapter on its base."""

import json

import numpy as np
import pytest
import torch

from burnish.core.errors import AskError, ModelError
from burnish.export.gguf.adapter import write_adapter
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.load import load_model
from burnish.specs.ship import GgufSpec
from burnish.specs.train import LoraSpec
from burnish.stages.ship.gguf import run
from burnish.testing import input_at, temporary_context, tiny_model
from gguf_files import reference_logits, save_fitting, written

IDS = list(range(4, 60))


def adapter_on(base, folder, **lora):
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = attach_lora(load_model(base), LoraSpec(**{"rank": 4, **lora}))
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape) * 0.1)
    save_adapter(model, folder, input_at(base))
    return folder


def logits(base_file, adapter_file):
    model = LlamaModel(base_file, adapters=[adapter_file])
    model.start(len(IDS))
    found = np.concatenate([scores.copy() for _, scores in model.scores(IDS)])
    model.close()
    return found


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gemma2", "phi3", "smollm3"])
@pytest.mark.parametrize("lora", [{}, {"rslora": True, "alpha": 32}], ids=["lora", "rslora"])
def test_an_adapter_on_the_file_of_its_base_is_that_adapter(tmp_path, family, lora):
    base = save_fitting(family, tmp_path / "base")
    adapter = adapter_on(base, tmp_path / "adapter", **lora)
    changed = write_adapter(tmp_path / "lora.gguf", adapter, "x")
    found = logits(written(base, tmp_path / "base.gguf")[0], tmp_path / "lora.gguf")
    expected = reference_logits(adapter, IDS)
    assert changed >= 8
    assert np.median(np.abs(found - expected)) < 2e-5
    assert np.abs(found - expected).max() < 3e-3
    assert np.abs(reference_logits(base, IDS) - expected).max() > 0.1


def test_layers_with_other_factors_keep_theirs(tmp_path):
    base = save_fitting("llama", tmp_path / "base")
    adapter = adapter_on(base, tmp_path / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "alpha_pattern": {"v_proj": 40, "up_proj": 1}}))
    write_adapter(tmp_path / "lora.gguf", adapter, "x")
    found = logits(written(base, tmp_path / "base.gguf")[0], tmp_path / "lora.gguf")
    assert np.abs(found - reference_logits(adapter, IDS)).max() < 2e-4


@pytest.mark.parametrize(
    ("lora", "why"),
    [({"dora": True}, "magnitudes of DoRA"), ({"targets": ["embed_tokens"]}, "not changed by the two matrices")],
)
def test_other_adapters_are_refused(tmp_path, lora, why):
    base = tiny_model(tmp_path / "base")
    with pytest.raises(ModelError, match=why) as caught:
        write_adapter(tmp_path / "lora.gguf", adapter_on(base, tmp_path / "adapter", **lora), "x")
    assert "remove form: lora" in caught.value.fix


def test_the_stage_certifies_the_adapter_on_its_base(tmp_path):
    base = tiny_model(tmp_path / "base", initializer_range=0.2)
    adapter = adapter_on(base, tmp_path / "adapter")
    ctx, _ = temporary_context(tmp_path, {"model": adapter})
    outcome = run(GgufSpec(model="file:x", form="lora", name="tiny", threads=1), ctx)
    assert outcome.kind == "gguf-adapter"
    assert outcome.certificate["holds"]
    assert [path.name for path in ctx.out.iterdir()] == ["tiny-lora.gguf"]
    assert not list(ctx.scratch.glob("*.gguf"))


def test_the_form_lora_is_for_adapters(tmp_path):
    ctx, _ = temporary_context(tmp_path, {"model": tiny_model(tmp_path / "base")})
    with pytest.raises(AskError, match="form: lora is for adapters"):
        run(GgufSpec(model="file:x", form="lora", threads=1), ctx)
    with pytest.raises(ValueError, match="type has no effect with form: lora"):
        GgufSpec(model="file:x", form="lora", type="F16")


@pytest.mark.parametrize("alphas", [{"lora_alpha": 0}, {"alpha_pattern": {"q_proj": 0, "v_proj": 40}}])
def test_layers_without_weight_keep_none(tmp_path, alphas):
    base = save_fitting("llama", tmp_path / "base")
    adapter = adapter_on(base, tmp_path / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, **alphas}))
    write_adapter(tmp_path / "lora.gguf", adapter, "x")
    found = logits(written(base, tmp_path / "base.gguf")[0], tmp_path / "lora.gguf")
    assert np.median(np.abs(found - reference_logits(adapter, IDS))) < 2e-5
