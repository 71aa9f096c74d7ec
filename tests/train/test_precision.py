"""What rounding costs: exact masters at the start, and weights that are saved as they were learned."""

import gc
import json
import weakref

import pytest
import torch

from burnish.models.load import load_model
from burnish.models.streaming import StreamedWeights
from burnish.specs.train import PretrainSpec, SftSpec
from burnish.stages.train import pretrain, sft, training
from burnish.stages.train import run as training_run
from burnish.testing import temporary_context, tiny_model
from burnish.train.optim.optimizers import Optimizer

FULL = {"kind": "full"}
LONG = torch.arange(200)[None] * 7 % 250 + 3


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    turns = [("Say a", "aaaa"), ("Say b", "bbbb")]
    content = [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in turns]
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in content * 8))
    return path


@pytest.fixture
def ended(monkeypatch):
    """The logits [200, V] of the model that a stage saved, as it lay in memory."""
    logits = []
    save = training_run.save

    def watched(model, *others):
        with torch.no_grad():
            logits.append(model(LONG).logits[0])
        return save(model, *others)

    monkeypatch.setattr(training_run, "save", watched)
    return logits


def train(stage, folder, rows, *, base=None, tokenizer=None, **settings):
    inputs = {"data": rows} | ({"base": base} if base else {}) | ({"tokenizer": tokenizer} if tokenizer else {})
    context, events = temporary_context(folder, inputs)
    names = {name: f"file:{name}" for name in inputs}
    spec = {sft: SftSpec, pretrain: PretrainSpec}[stage](
        **names, **({"batch_size": 4, "threads": 1, "prove": "off"} | settings)
    )
    return stage.run(spec, context), context.out, events


@pytest.mark.some
@pytest.mark.parametrize("kept", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("save_dtype", ["auto", "base", "bfloat16", "float32"])
def test_logits_before_saving_are_those_after_loading_at_every_position(rows, ended, tmp_path, kept, dtype, save_dtype):
    base = tiny_model(tmp_path / "base", initializer_range=0.2, dtype=kept)
    method = {**FULL, "save_dtype": save_dtype}
    outcome, out, _ = train(sft, tmp_path / "run", rows, base=base, method=method, dtype=dtype, max_steps=3)
    saved = {"auto": outcome.measures["saved_dtype"], "base": kept}.get(save_dtype, save_dtype)
    model = load_model(out)
    assert {weight.dtype for weight in model.parameters()} == {getattr(torch, saved)}
    assert json.loads((out / "config.json").read_text())["dtype"] == saved
    assert torch.equal(model(LONG).logits[0].detach(), ended[0])


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("save_dtype", ["auto", "bfloat16"])
def test_logits_of_a_new_architecture_survive_saving_at_every_position(rows, ended, tmp_path, dtype, save_dtype):
    architecture = {"model_type": "qwen3", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    architecture |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.2}
    settings = {"architecture": architecture, "dtype": dtype, "max_steps": 3}
    method = {**FULL, "save_dtype": save_dtype}
    tokenizer = tiny_model(tmp_path / "tokenizer")
    outcome, out, _ = train(pretrain, tmp_path / "run", rows, tokenizer=tokenizer, method=method, **settings)
    assert outcome.measures["saved_dtype"] == ("float32" if save_dtype == "auto" else save_dtype)
    assert torch.equal(load_model(out)(LONG).logits[0].detach(), ended[0])


def test_a_small_update_of_a_bfloat16_base_is_saved_in_float32_and_a_large_one_in_its_own(rows, tmp_path):
    base = tiny_model(tmp_path / "base", initializer_range=0.2, dtype="bfloat16")
    settings = {"base": base, "method": FULL, "dtype": "bfloat16", "max_steps": 5}
    small, _, events = train(sft, tmp_path / "small", rows, learning_rate=1e-5, **settings)
    assert (small.measures["saved_dtype"], small.measures["rounded"]) == ("float32", 0.0)
    [chosen] = [event for event in events if event.kind == "chosen" and event.field == "method.save_dtype"]
    assert "of what was learned" in chosen.reason
    large, _, _ = train(sft, tmp_path / "large", rows, learning_rate=1e-2, **settings)
    assert large.measures["saved_dtype"] == "bfloat16"
    assert 0 < large.measures["rounded"] < 0.1


def test_rounding_that_was_asked_for_is_measured_and_reported(rows, tmp_path):
    base = tiny_model(tmp_path / "base", initializer_range=0.2, dtype="bfloat16")
    method = {**FULL, "save_dtype": "base"}
    settings = {"base": base, "learning_rate": 1e-5, "max_steps": 5}
    exact, exact_out, _ = train(sft, tmp_path / "exact", rows, method={**FULL, "save_dtype": "float32"}, **settings)
    outcome, out, events = train(sft, tmp_path / "run", rows, method=method, **settings)
    assert any("rounding to bfloat16 lost" in event.text for event in events if event.kind == "note")
    before, learned, saved = (load_model(path).state_dict() for path in (base, exact_out, out))
    rounding = sum(float((learned[name] - saved[name]).square().sum()) for name in learned)
    update = sum(float((learned[name] - before[name]).square().sum()) for name in learned)
    assert outcome.measures["rounded"] == pytest.approx((rounding / update) ** 0.5, rel=1e-3)
    assert exact.measures["rounded"] == 0.0


def masters_at_the_start(monkeypatch, rows, folder, **settings):
    found = {}
    step = Optimizer.step

    def watched(self, rate):
        found.update({name: master.detach().clone() for name, master in self.masters.items()} if not found else {})
        return step(self, rate)

    monkeypatch.setattr(Optimizer, "step", watched)
    train(sft, folder, rows, dtype="bfloat16", max_steps=1, **settings)
    return found


def test_masters_start_from_a_float32_base_as_it_is(monkeypatch, rows, base, tmp_path):
    found = masters_at_the_start(monkeypatch, rows, tmp_path / "run", base=base, method=FULL)
    for name, weight in load_model(base).named_parameters():
        assert torch.equal(found[name], weight), name


def test_a_module_that_is_trained_fully_beside_an_adapter_starts_exactly_too(monkeypatch, rows, base, tmp_path):
    method = {"kind": "lora", "rank": 2, "train_fully": ["lm_head"], "targets": ["q_proj"]}
    found = masters_at_the_start(monkeypatch, rows, tmp_path / "run", base=base, method=method)
    [head] = [master for name, master in found.items() if "lm_head" in name]
    assert torch.equal(head, load_model(base).lm_head.weight)


def test_ends_that_are_tied_in_the_base_and_trained_fully_apart_have_masters_of_their_own(monkeypatch, rows, tmp_path):
    tied = tiny_model(tmp_path / "tied", tie_word_embeddings=True)
    places, step = [], Optimizer.step

    def watched(self, rate):
        places.append({master.data_ptr() for master in self.masters.values()})
        assert len(places[-1]) == len(self.masters)
        return step(self, rate)

    monkeypatch.setattr(Optimizer, "step", watched)
    method = {"kind": "lora", "rank": 2, "train_fully": ["lm_head", "embed_tokens"], "targets": ["q_proj"]}
    train(sft, tmp_path / "run", rows, base=tied, method=method, dtype="bfloat16", max_steps=1)
    assert places


def test_masters_start_from_an_adapter_merged_in_float32(monkeypatch, rows, base, tmp_path):
    _, adapter, _ = train(sft, tmp_path / "adapter", rows, base=base, max_steps=3, learning_rate=1e-3)
    found = masters_at_the_start(monkeypatch, rows, tmp_path / "run", base=adapter, method=FULL)
    merged = load_model(adapter).merge_and_unload()
    for name, weight in merged.named_parameters():
        assert torch.equal(found[name], weight), name


def test_weights_that_a_family_keeps_in_float32_are_trained_and_saved_in_it(rows, tmp_path):
    base = tiny_model(
        tmp_path / "base", "deepseek_v3", initializer_range=0.2, dtype="bfloat16", n_routed_experts=4, n_group=1,
        topk_group=1, num_experts_per_tok=2, kv_lora_rank=8, q_lora_rank=8, qk_rope_head_dim=8, qk_nope_head_dim=8,
        v_head_dim=8, first_k_dense_replace=1, moe_intermediate_size=16, num_key_value_heads=4,
    )  # fmt: skip
    kept = {name for name, tensor in load_model(base).state_dict().items() if tensor.dtype == torch.float32}
    assert kept
    method = {**FULL, "save_dtype": "base"}
    _, out, _ = train(sft, tmp_path / "run", rows, base=base, method=method, dtype="bfloat16", max_steps=1)
    state = load_model(out).state_dict()
    assert {name for name, tensor in state.items() if tensor.dtype == torch.float32} == kept


def test_save_dtype_is_no_setting_of_an_adapter():
    with pytest.raises(ValueError, match="save_dtype"):
        SftSpec(data="file:d", base="file:b", method={"kind": "lora", "save_dtype": "float32"})


def test_the_exact_copy_of_a_base_becomes_the_masters_and_is_not_kept_beside_them(monkeypatch, rows, base, tmp_path):
    exact, beside, read, step = [], [], StreamedWeights.__getitem__, Optimizer.step

    def watched_read(self, name):
        found = read(self, name)
        exact.append(weakref.ref(found))
        return found

    def watched_step(self, rate):
        gc.collect()
        places = {master.data_ptr() for master in self.masters.values()}
        beside.extend(weight().shape for weight in exact if weight() is not None and weight().data_ptr() not in places)
        return step(self, rate)

    monkeypatch.setattr(StreamedWeights, "__getitem__", watched_read)
    monkeypatch.setattr(Optimizer, "step", watched_step)
    train(sft, tmp_path / "run", rows, base=base, method=FULL, dtype="bfloat16", max_steps=1)
    assert exact
    assert beside == []


def test_the_loss_by_rounding_is_measured_with_one_weight_of_the_base_in_memory(monkeypatch, rows, tmp_path):
    base = tiny_model(tmp_path / "base", initializer_range=0.2, dtype="bfloat16")
    read, before, alive = StreamedWeights.__getitem__, [], []

    def watched(self, name):
        alive.append(sum(weight() is not None for weight in before))
        found = read(self, name)
        before.append(weakref.ref(found))
        return found

    monkeypatch.setattr(StreamedWeights, "__getitem__", watched)
    loads, load = [], training.load_plain
    monkeypatch.setattr(training, "load_plain", lambda *given, **named: loads.append(1) or load(*given, **named))
    outcome, _, _ = train(
        sft, tmp_path / "run", rows, base=base, method=FULL, dtype="bfloat16", max_steps=2, prove="off"
    )
    assert "rounded" in outcome.measures
    assert len(before) == len(dict(load_model(base).named_parameters()))
    assert max(alive) <= 1
    assert loads == [1]  # the model that is trained


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_run_in_float32_rounds_no_product_to_tf32(rows, base, tmp_path, dtype):
    train(sft, tmp_path / "run", rows, base=base, max_steps=1, dtype=dtype)
    allowed = dtype != "float32"
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (allowed, allowed)
