"""llm-compressor itself, in the environment that burnish makes: `make quantize-check` (GBs of packages, minutes)."""

import json
from pathlib import Path

import pytest
import torch

import burnish
from burnish.evals.certificates.change import change_of
from burnish.evals.certificates.limits import limits_of
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import load_model
from burnish.specs.data import PocketSpec, SynthesizeSpec
from burnish.specs.evals import GenerationSpec
from burnish.specs.ship import QuantizeSpec
from burnish.stages.data import synthesize
from burnish.stages.ship.quantize import run
from burnish.testing import temporary_context, tiny_model
from burnish.tokens.load import load_tokenizer
from certified import make_adapter

pytestmark = [pytest.mark.torture, pytest.mark.timeout(1800)]
POCKET = Path(burnish.__file__).parent / "builtin" / "pocket"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    ctx, _ = temporary_context(tmp_path_factory.mktemp("rows"))
    synthesize.run(SynthesizeSpec(generator=PocketSpec(rows=400)), ctx)
    return ctx.out


def quantized(folder, model, rows, **settings):
    calibrates = settings.get("method") != "rtn"
    ctx, events = temporary_context(folder, {"model": model} | ({"data": rows} if calibrates else {}))
    more = {"data": "file:y", "samples": 64} if calibrates else {}
    return run(QuantizeSpec(model="file:x", threads=1, **more, **settings), ctx), ctx, events


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({"method": "gptq"}, "GPTQ"),
        ({"method": "gptq", "act_order": False, "scheme": "W4A16_ASYM", "group_size": 32}, "GPTQ"),
        ({"method": "gptq", "scheme": "W8A16"}, "W8A16"),
        ({"method": "awq"}, "AWQ"),
        ({"method": "awq", "scheme": "W4A16", "duo_scaling": False}, "AWQ"),
        ({"method": "smoothquant"}, "W8A8"),
        ({"method": "rtn"}, "FP8"),
        ({"method": "rtn", "scheme": "W8A8"}, "W8A8"),
    ],
    ids=str,
)
def test_a_model_is_quantized_certified_loaded_and_answers(settings, change, rows, tmp_path):
    outcome, ctx, _ = quantized(tmp_path, POCKET, rows, **settings)
    assert outcome.certificate["holds"]
    assert outcome.certificate["change"] == change
    found = limits_of(change_of(POCKET, ctx.out))[0]
    assert found == ("W4A16" if change in ("GPTQ", "AWQ") else change)
    assert outcome.measures["bytes"] < outcome.measures["bytes_before"] * (0.62 if "8" in change else 0.45)
    metadata = json.loads((ctx.out / "metadata.json").read_text())
    assert metadata["versions"]["llmcompressor"] == "0.14.0"
    engine = TransformersEngine(load_model(ctx.out), load_tokenizer(ctx.out))
    spec = GenerationSpec(max_new_tokens=4, temperature=0.0)
    assert all(answer.ids for answer in engine.generate([[5, 6, 7]], spec, ()))


@pytest.mark.parametrize("method", ["gptq", "awq"])
@pytest.mark.parametrize("family", ["qwen2", "qwen3", "llama"])
def test_families_are_quantized_and_loaded(family, method, rows, tmp_path):
    sizes = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 32}
    base = tiny_model(tmp_path / "base", family, **sizes)
    outcome, ctx, _ = quantized(tmp_path, base, rows, method=method, certify=False)
    assert outcome.measures["bytes"] < outcome.measures["bytes_before"]
    ids = torch.arange(5, 60)[None]
    with torch.no_grad():
        before, after = (load_model(path, dtype=torch.float32)(ids).logits for path in (base, ctx.out))
    assert torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1] > 0.98


def test_an_adapter_is_merged_and_quantized(rows, tmp_path):
    adapter = make_adapter(POCKET, tmp_path / "adapter")
    outcome, _, _ = quantized(tmp_path, adapter, rows, method="gptq")
    assert outcome.certificate["parent"]["ref"] == f"file:{adapter}"
    assert outcome.certificate["holds"]
