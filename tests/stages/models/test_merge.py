"""The merge stage: finds the base, and merges a base that is itself an adapter first."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.core.context import Input
from burnish.core.errors import AskError, ModelError, RunError
from burnish.core.events import Chosen, Note, Progress
from burnish.models.adapters.attach import attach_lora, load_adapter, save_adapter
from burnish.models.load import describe, load_model
from burnish.specs.models import MergeSpec
from burnish.specs.train import LoraSpec
from burnish.stages.models import merge
from burnish.stages.models.merge import run
from burnish.testing import input_at, temporary_context, tiny_model

IDS = torch.arange(3, 30)[None]


def adapter_on(base: Path, folder: Path, seed: int = 0, std: float = 0.05) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = attach_lora(load_model(base), LoraSpec(rank=4))
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=std)
    save_adapter(model, folder, input_at(base))
    return folder


def merged_by_peft(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """The weights in float32."""
    model: Any = load_model(base, dtype=torch.float32)
    return load_adapter(model, adapter).merge_and_unload().state_dict()


def test_an_adapter_becomes_a_plain_model(tmp_path):
    adapter = adapter_on(tiny_model(tmp_path / "base"), tmp_path / "adapter")
    ctx, events = temporary_context(tmp_path, {"model": adapter})

    outcome = run(MergeSpec(model="file:a"), ctx)

    assert outcome.kind == "model"
    assert outcome.measures["tensors_changed"] == 14
    expected = load_model(adapter).merge_and_unload()(IDS).logits
    assert torch.equal(load_model(ctx.out)(IDS).logits, expected)
    merging = [event for event in events if isinstance(event, Progress) and event.phase == "merge"]
    assert (merging[-1].done, merging[-1].total, merging[-1].unit) == (25, 25, "tensors")
    assert outcome.certificate is not None
    assert outcome.certificate["holds"]
    assert outcome.certificate["parent"]["ref"] == f"file:{adapter}"
    assert {check["verdict"] for check in outcome.certificate["checks"]} == {"holds"}


def test_a_merged_model_that_differs_from_base_and_adapter_is_not_kept(tmp_path, monkeypatch):
    adapter = adapter_on(tiny_model(tmp_path / "base"), tmp_path / "adapter")
    ctx, _ = temporary_context(tmp_path, {"model": adapter})
    whole = merge.merge_adapter

    def wrong(*args, **settings):
        merged = whole(*args, **settings)
        tensors = load_file(ctx.out / "model.safetensors")
        tensors["model.layers.0.mlp.down_proj.weight"].mul_(1.02)
        save_file(tensors, ctx.out / "model.safetensors", {"format": "pt"})
        return merged

    monkeypatch.setattr(merge, "merge_adapter", wrong)
    with pytest.raises(RunError, match=r"does not hold for 'merge fp32' of .*weights: 1 of") as caught:
        run(MergeSpec(model="file:a"), ctx)
    assert caught.value.code == "run.certificate-failed"
    assert run(MergeSpec(model="file:a", certify=False), ctx).certificate is None
    monkeypatch.undo()
    shutil.rmtree(ctx.out)
    assert run(MergeSpec(model="file:a"), ctx).certificate["holds"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_adapter_on_an_adapter_becomes_a_plain_model(tmp_path, dtype):
    """The sum is not rounded between the two, or the certificate would not hold."""
    first = adapter_on(tiny_model(tmp_path / "base", dtype=dtype), tmp_path / "first", std=0.2)
    second = adapter_on(first, tmp_path / "second", seed=1, std=0.2)
    ctx, _ = temporary_context(tmp_path, {"model": second})

    run(MergeSpec(model="file:a"), ctx)

    expected = load_model(second, dtype=torch.float32).merge_and_unload()(IDS).logits
    assert torch.equal(load_model(ctx.out)(IDS).logits, expected)


CHANGES = {
    "tiny": (0.005, "bfloat16", "float32"),
    "large": (0.2, "bfloat16", "keep"),
    "exact": (0.005, "float32", "keep"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_dtype_of_the_base_is_kept_where_it_keeps_the_change(tmp_path, change):
    std, dtype, chosen = CHANGES[change]
    adapter = adapter_on(tiny_model(tmp_path / "base", dtype=dtype), tmp_path / "adapter", std=std)
    ctx, events = temporary_context(tmp_path, {"model": adapter})

    outcome = run(MergeSpec(model="file:a"), ctx)

    kept, _ = temporary_context(tmp_path / "kept", {"model": adapter})
    lost = run(MergeSpec(model="file:a", dtype="keep"), kept).measures["rounded"]
    assert (lost > 0.1) == (chosen == "float32")
    assert outcome.measures["rounded"] == (0.0 if chosen == "float32" else lost)
    assert outcome.measures["rounded_in_base_dtype"] == pytest.approx(lost, abs=1e-4)
    found = next(event for event in events if isinstance(event, Chosen))
    assert (found.field, found.value) == ("dtype", chosen)
    assert f"{lost:.1%}" in found.reason
    written = load_model(ctx.out).dtype
    assert written == (torch.float32 if chosen == "float32" else getattr(torch, dtype))
    assert describe(ctx.out).dtype == ("F32" if written == torch.float32 else "BF16")


def test_values_beyond_the_dtype_of_the_base_are_kept_in_float32(tmp_path):
    adapter = adapter_on(tiny_model(tmp_path / "base", dtype="float16"), tmp_path / "adapter", std=300.0)
    ctx, events = temporary_context(tmp_path, {"model": adapter})

    assert run(MergeSpec(model="file:a"), ctx).measures["rounded_in_base_dtype"] is None

    assert [event.reason for event in events if isinstance(event, Chosen)] == [
        "merged values overflow the base's dtype"
    ]
    assert load_model(ctx.out).dtype == torch.float32
    ctx, _ = temporary_context(tmp_path / "kept", {"model": adapter})
    with pytest.raises(ModelError, match="overflow F16"):
        run(MergeSpec(model="file:a", dtype="keep"), ctx)


@pytest.mark.parametrize("dtype", ["keep", "float32"])
def test_a_change_that_rounding_loses_is_reported(tmp_path, dtype):
    base = tiny_model(tmp_path / "base", dtype="bfloat16")
    ctx, events = temporary_context(tmp_path, {"model": adapter_on(base, tmp_path / "adapter", std=0.005)})

    outcome = run(MergeSpec(model="file:a", dtype=dtype), ctx)

    notes = [event for event in events if isinstance(event, Note) and event.text.startswith("rounding")]
    if dtype == "float32":
        assert outcome.measures["rounded"] == 0.0
        assert not notes
        return
    before, after = load_model(base).state_dict(), load_model(ctx.out).state_dict()
    wanted = merged_by_peft(base, tmp_path / "adapter")
    layers = [name for name in wanted if "proj" in name]
    rounding, change = (
        sum(float((wanted[name] - other[name].float()).square().sum()) for name in layers) for other in (after, before)
    )
    assert outcome.measures["rounded"] == pytest.approx((rounding / change) ** 0.5, abs=1e-3)
    assert outcome.measures["rounded"] > 0.1
    assert [event.level for event in notes] == ["warning"]


def test_the_base_can_be_given(tmp_path):
    base = tiny_model(tmp_path / "base")
    adapter = adapter_on(base, tmp_path / "adapter")
    moved = base.rename(tmp_path / "moved")

    ctx, _ = temporary_context(tmp_path / "without", {"model": adapter})
    with pytest.raises(ModelError):
        run(MergeSpec(model="file:a"), ctx)
    ctx, _ = temporary_context(tmp_path / "with", {"model": adapter, "base": moved})
    run(MergeSpec(model="file:a", base="file:b"), ctx)
    recorded = Input("step:sft", "adapter", adapter, inputs={"base": input_at(moved)})
    ctx, _ = temporary_context(tmp_path / "recorded", {"model": recorded})
    run(MergeSpec(model="step:sft"), ctx)


def test_a_whole_model_has_nothing_to_merge(tmp_path):
    ctx, _ = temporary_context(tmp_path, {"model": tiny_model(tmp_path / "base")})
    with pytest.raises(AskError) as error:
        run(MergeSpec(model="file:a"), ctx)
    assert error.value.code == "ask.nothing-to-do"
