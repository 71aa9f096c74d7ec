"""QLoRA: an adapter on a base in 4 bits trains, resumes to the same bits, and is evaluated and merged as trained."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from burnish.core.errors import AskError, MachineError, ModelError, RunError
from burnish.core.events import Note
from burnish.core.fingerprint import QUANTIZATION_RECORD
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.models.adapters.attach import attach_lora, read_adapter
from burnish.models.load import load_model, load_plain
from burnish.models.quantization.layers import in_four_bits, report
from burnish.models.quantization.record import Quantization, read_quantization
from burnish.models.quiet import quiet_transformers
from burnish.models.streaming import StreamedWeights
from burnish.specs.evals import EvaluateSpec
from burnish.specs.models import MergeSpec
from burnish.specs.train import LoraSpec, QloraSpec, SftSpec
from burnish.stages.evals import evaluate
from burnish.stages.models import merge
from burnish.stages.train import run as training_run
from burnish.stages.train import sft
from burnish.testing import temporary_context, tiny_model
from burnish.train.forecast.footprint import Footprint, ModelShape
from burnish.train.ready import cast_trained
from burnish.train.resolve import Machine, resolve
from burnish.train.scoring import Scorer
from families import save

IDS = torch.arange(3, 30)[None]
QLORA = {"kind": "qlora", "rank": 4}


@pytest.fixture(scope="session")
def rows(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    chats = [
        [{"role": "user", "content": f"Say {i % 3}"}, {"role": "assistant", "content": "abc"[i % 3] * (i % 7 + 2)}]
        for i in range(24)
    ]
    path.write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats))
    return path


def train(folder, rows, base, stopping=lambda: False, **settings):
    values = {"max_steps": 8, "batch_size": 6, "learning_rate": 1e-2, "threads": 1, "device": "cpu", "prove": "off"}
    spec = SftSpec(data="file:d", base="file:b", **values | {"method": QLORA} | settings)
    context, events = temporary_context(folder, {"data": rows, "base": base}, stopping)
    with ConsumptionLedger(spec) as ledger:
        for name in ("data", "base"):
            ledger.input_was_read(name)
        context.check_settings = ledger.check
        sft.run(spec, context)
    return context.out, events


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


@pytest.fixture(scope="session")
def adapter(rows, base, tmp_path_factory) -> Path:
    return train(tmp_path_factory.mktemp("trained"), rows, base)[0]


def texts(events) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


def test_what_is_loaded_is_what_was_trained(rows, base, tmp_path, monkeypatch):
    ended: dict[str, Any] = {}
    save = training_run.save

    def watched(model, *others):
        ended["logits"] = logits(model)
        return save(model, *others)

    monkeypatch.setattr(training_run, "save", watched)
    out, events = train(tmp_path, rows, base)
    record = json.loads((out / QUANTIZATION_RECORD).read_text())
    assert (record["kind"], record["double"], len(record["layers"])) == ("nf4", True, 14)
    assert any("14 linear layers are held in nf4" in text for text in texts(events))
    model = load_model(out, dtype=torch.float32)
    assert len(in_four_bits(model)) == 14
    start = load_plain(base, dtype=torch.float32, quantization=read_quantization(out))
    assert texts(report(model)) == texts(report(start))
    assert torch.equal(logits(model), ended["logits"])
    assert not torch.allclose(logits(load_plain(base, quantization=Quantization("nf4", True))), ended["logits"])


def test_stock_peft_loads_the_adapter_on_the_base_in_any_form(adapter, base, tmp_path):
    from peft import PeftModel

    four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    with quiet_transformers():
        theirs: Any = AutoModelForCausalLM.from_pretrained(base, quantization_config=four_bits)
        stock = PeftModel.from_pretrained(
            theirs, str(adapter)
        ).train()  # in eval mode bitsandbytes computes in bfloat16
        plain: Any = PeftModel.from_pretrained(load_plain(base, dtype=torch.float32), str(adapter))
    with torch.no_grad():
        expected = stock(IDS).logits
    torch.testing.assert_close(logits(load_model(adapter, dtype=torch.float32)), expected)
    ctx, _ = temporary_context(tmp_path, {"model": adapter})
    merge.run(MergeSpec(model="file:a", certify=False), ctx)
    torch.testing.assert_close(logits(load_model(ctx.out)), logits(plain), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_stopped_run_resumes_to_the_same_bits(rows, base, tmp_path, dtype):
    method = {**QLORA, "dropout": 0.1}
    settings = {"method": method, "dtype": dtype, "micro_batch_tokens": 64, "checkpoint": {"every": 1}}
    whole, _ = train(tmp_path / "whole", rows, base, **settings)
    third = tmp_path / "parts" / "scratch" / "checkpoints" / "step-00000003"
    with pytest.raises(RunError) as error:
        train(tmp_path / "parts", rows, base, stopping=third.exists, **settings)
    assert error.value.code == "run.interrupted"
    resumed, events = train(tmp_path / "parts", rows, base, **settings)
    assert any("resuming from the checkpoint of step" in text for text in texts(events))
    assert (resumed / "adapter_model.safetensors").read_bytes() == (whole / "adapter_model.safetensors").read_bytes()
    assert (resumed / "rows.parquet").read_bytes() == (whole / "rows.parquet").read_bytes()


def test_the_gradient_after_an_evaluation_is_that_before_it(tmp_path):
    base = tiny_model(tmp_path, "llama", hidden_size=128, intermediate_size=256, head_dim=32, dtype="bfloat16")
    model = attach_lora(load_plain(base, quantization=Quantization("nf4", True)), QloraSpec(rank=4))
    cast_trained(model, torch.bfloat16)
    Scorer(model).restore_attention()

    def gradients():
        model.train().zero_grad()
        model(input_ids=IDS, labels=IDS).loss.backward()
        return [weight.grad.clone() for weight in model.parameters() if weight.requires_grad]

    before = gradients()
    logits(model)
    assert all(torch.equal(one, other) for one, other in zip(gradients(), before, strict=True))


@pytest.mark.some(every=2)
@pytest.mark.parametrize("family", ["qwen3", "gpt2", "phi3", "mixtral", "gemma2", "falcon_h1", "olmo"])
def test_a_family_is_merged_into_the_weights_that_it_was_trained_on(family, rows, tmp_path):
    base = save(family, tmp_path / "base")
    out, _ = train(tmp_path / "trained", rows, base, max_steps=2)
    trained = logits(load_model(out, dtype=torch.float32))
    merged = {}
    for into in ("original", "dequantized"):
        ctx, events = temporary_context(tmp_path / into, {"model": out})
        outcome = merge.run(MergeSpec(model="file:a", into=into, certify=False), ctx)
        merged[into] = logits(load_model(ctx.out, dtype=torch.float32))
        [note] = [text for text in texts(events) if "4 bits" in text]
        assert f"merged into its {into} weights" in note
        assert outcome.measures["deviation"] < (1e-6 if into == "dequantized" else 5)
    torch.testing.assert_close(merged["dequantized"], trained, atol=1e-4, rtol=1e-4)
    assert (merged["original"] - trained).abs().max() > 1e-3


def test_the_deviation_of_a_merge_is_measured_and_named(adapter, tmp_path):
    ctx, events = temporary_context(tmp_path, {"model": adapter})
    outcome = merge.run(MergeSpec(model="file:a"), ctx)
    [note] = [event for event in events if isinstance(event, Note) and "4 bits" in event.text]
    assert outcome.measures["deviation"] > 1e-4
    assert f"{outcome.measures['deviation']:.2g} nats per token" in note.text
    assert outcome.measures["adapter_effect"] > 0
    assert ("into: dequantized is closer" in note.text) == (note.level == "warning")


def test_into_dequantized_needs_an_adapter_of_qlora(rows, base, tmp_path):
    plain, _ = train(tmp_path / "lora", rows, base, method={"rank": 4})
    assert read_quantization(plain) is None
    ctx, _ = temporary_context(tmp_path / "merge", {"model": plain})
    with pytest.raises(AskError, match="into: dequantized is for adapters of QLoRA"):
        merge.run(MergeSpec(model="file:a", into="dequantized"), ctx)


def test_an_evaluation_uses_the_base_in_four_bits(adapter, rows, tmp_path):
    ctx, events = temporary_context(tmp_path, {"model": adapter, "data": rows})
    spec = EvaluateSpec(model="file:a", data="file:d", scorers=[], perplexity=True, compare_with="base", max_rows=4)
    outcome = evaluate.run(spec, ctx)
    assert any("14 linear layers are held in nf4" in text for text in texts(events))
    assert outcome.measures


@pytest.mark.parametrize("method", [{"kind": "lora", "rank": 4}, QLORA, {"kind": "full"}])
def test_a_later_training_starts_from_what_was_trained(adapter, rows, base, tmp_path, method):
    """On the dequantized weights with the adapter merged; for QLoRA they are then quantized again."""
    start = load_plain(adapter, dtype=torch.float32)
    torch.testing.assert_close(logits(start), logits(load_model(adapter, dtype=torch.float32)), atol=1e-4, rtol=1e-4)
    assert not in_four_bits(start)
    streamed = StreamedWeights(adapter)
    for name, weight in start.named_parameters():
        torch.testing.assert_close(streamed[name], weight, atol=1e-6, rtol=1e-6)
    out, _ = train(tmp_path / "second", rows, adapter, max_steps=2, method=method)
    trained = load_model(out, dtype=torch.float32)
    assert bool(in_four_bits(trained)) == (method["kind"] == "qlora")
    if method["kind"] == "full":
        return
    ctx, _ = temporary_context(tmp_path / "merge", {"model": out})
    into = "dequantized" if method["kind"] == "qlora" else "original"
    merge.run(MergeSpec(model="file:a", into=into, certify=False), ctx)
    merged = logits(load_model(ctx.out, dtype=torch.float32))
    torch.testing.assert_close(merged, logits(trained), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [{"dora": True}, {"rslora": True, "alpha": 3.0}, {"train_fully": ["lm_head", "up_proj"]}, {"targets": ["q_proj"]}]
    + [{"init": init} for init in ("gaussian",)]
    + [{"lora_plus": 4.0}, {"new_tokens": ["<one>", "<two>"]}],
    ids=lambda settings: "-".join(map(str, *settings.items())) if "init" in settings else next(iter(settings)),
)
def test_what_qlora_is_combined_with_is_loaded_and_merged_as_trained(rows, tmp_path, settings):
    base = tiny_model(tmp_path / "base", initializer_range=0.2)
    out, _ = train(tmp_path / "trained", rows, base, max_steps=3, method={**QLORA, **settings})
    trained = load_model(out, dtype=torch.float32)
    expected = 12 if "train_fully" in settings else 14
    assert len(in_four_bits(trained)) == expected
    ctx, _ = temporary_context(tmp_path / "merge", {"model": out})
    merge.run(MergeSpec(model="file:a", into="dequantized", certify=False), ctx)
    merged = logits(load_model(ctx.out, dtype=torch.float32))
    torch.testing.assert_close(merged, logits(trained), atol=1e-4, rtol=1e-4)


def test_experts_may_be_trained_beside_layers_in_four_bits(rows, tmp_path):
    base = save("mixtral", tmp_path / "base")
    out, events = train(tmp_path / "trained", rows, base, max_steps=2, method={**QLORA, "experts": True})
    assert any("stacked weights of experts are not quantized" in text for text in texts(events))
    assert any("experts" in name for name in read_adapter(out))
    trained = logits(load_model(out, dtype=torch.float32))
    ctx, _ = temporary_context(tmp_path / "merge", {"model": out})
    merge.run(MergeSpec(model="file:a", into="dequantized"), ctx)
    torch.testing.assert_close(logits(load_model(ctx.out, dtype=torch.float32)), trained, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", [{"kind": "full"}, {"kind": "freeze", "layers": 1}])
def test_a_base_with_quantized_files_takes_an_adapter_and_no_training_of_its_weights(rows, base, tmp_path, method):
    shutil.copytree(base, tmp_path / "base")
    with quiet_transformers():
        config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
        AutoModelForCausalLM.from_pretrained(base, quantization_config=config).save_pretrained(tmp_path / "base")
    with pytest.raises(ModelError, match=f"method: {method['kind']} trains the base's weights") as error:
        train(tmp_path / "refused", rows, tmp_path / "base", method=method)
    assert error.value.fix.startswith("use method: lora")
    with pytest.raises(ModelError, match="quantized already"):
        train(tmp_path / "twice", rows, tmp_path / "base")
    out, _ = train(tmp_path / "lora", rows, tmp_path / "base", max_steps=2, method={"rank": 4})
    assert read_quantization(out) is None
    assert len(in_four_bits(load_model(out))) == 14


@pytest.mark.some
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["qwen3", "llama", "gemma2", "gemma3_text", "gpt2", "mixtral", "falcon_h1", "olmo"])
def test_a_base_in_four_bits_is_trained_as_the_one_in_float_is(family, dtype, tmp_path):
    """The same packing and the same head, by the comparisons of the scorer."""
    base = save(family, tmp_path)
    found = []
    for quantization in (None, Quantization("nf4", True)):
        model = attach_lora(load_plain(base, dtype=dtype, quantization=quantization), LoraSpec(rank=4))
        cast_trained(model, dtype)
        scorer = Scorer(model, longest=40)
        found.append((scorer.one_by_one, scorer.uses_own_head))
    assert found[0] == found[1]


def test_activations_computed_again_give_the_same_weights(rows, base, tmp_path):
    kept, _ = train(tmp_path / "kept", rows, base, gradient_checkpointing=False)
    again, _ = train(tmp_path / "again", rows, base, gradient_checkpointing=True)
    first, second = read_adapter(kept), read_adapter(again)
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, atol=1e-5, rtol=1e-4)


def test_the_estimate_of_memory_knows_the_weights_in_four_bits(tmp_path):
    base = tiny_model(tmp_path, "llama", hidden_size=256, intermediate_size=512, head_dim=64)
    model = load_plain(base, dtype=torch.float32, quantization=Quantization("nf4", False))
    shape = ModelShape.of(model.config)
    assert shape.linear == sum(layer.in_features * layer.out_features for layer in in_four_bits(model).values())
    held = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    held += sum(4 * layer.weight.quant_state.absmax.numel() for layer in in_four_bits(model).values())
    estimated = Footprint(shape, torch.float32, 0, checkpointing=False, quantized=shape.linear).held
    assert held == estimated
    peaks = [
        Footprint(shape, torch.float32, shape.parameters // 50, False, frees_gradients=True, quantized=count).peak(64)
        for count in (shape.linear, 0)
    ]
    assert peaks[0] < peaks[1]
    between = replace(Machine.here(), cuda=False, mps=False, memory=int(sum(peaks) / 2 / 0.8))
    for method, keeps_activations in ((QLORA, True), ({"kind": "lora"}, False)):
        spec = SftSpec(data="file:d", base="file:b", method=method, dtype="float32")
        assert resolve(spec, between, shape, 64, False)[0].gradient_checkpointing is not keeps_activations


def test_a_missing_package_is_named_before_any_work(rows, base, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    for settings in ({"method": QLORA}, {"method": {"rank": 4}, "optimizer": {"kind": "adamw8bit"}}):
        with pytest.raises(MachineError, match="bitsandbytes") as error:
            train(tmp_path / "run", rows, base, **settings)
        assert error.value.fix == "pip install 'burnish[qlora]'"
        assert not any((tmp_path / "run" / "cache").rglob("*"))
