"""The gguf stage: from a model or an adapter to one file, proved and certified, or to none."""

import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

import burnish
from burnish.core.context import Input
from burnish.core.errors import ModelError, RunError
from burnish.core.events import Note, Progress
from burnish.export.gguf import proof, types
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.specs.ship import GgufSpec
from burnish.specs.train import LoraSpec, SftSpec
from burnish.stages.ship.gguf import run
from burnish.stages.train import sft
from burnish.testing import input_at, temporary_context, tiny_model
from certified import make_adapter, make_base
from gguf_files import logits_of, reference_logits


def notes(events):
    return [event.text for event in events if isinstance(event, Note)]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def spec(kind, **settings):
    return GgufSpec(model="file:x", type=kind, name="tiny", threads=1, prove_strings=200, **settings)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"), "qwen3", 0)


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    return make_adapter(base, tmp_path_factory.mktemp("adapter"), 0)


POCKET = Path(burnish.__file__).parent / "builtin" / "pocket"


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_K_M"])
def test_a_model_becomes_one_certified_file(tmp_path, kind):
    ctx, events = temporary_context(tmp_path, {"model": POCKET})

    outcome = run(spec(kind), ctx)

    assert outcome.kind == "gguf"
    assert {path.name for path in ctx.out.iterdir()} == {f"tiny-{kind}.gguf", "gguf.json", "Modelfile"}
    assert "\nPARAMETER num_ctx 1024\n" in (ctx.out / "Modelfile").read_text()
    assert outcome.certificate is not None
    assert outcome.certificate["holds"]
    assert outcome.certificate["change"] == kind
    verdicts = {check["name"]: check["verdict"] for check in outcome.certificate["checks"]}
    assert {verdicts[name] for name in ("tokens", "sizes", "finite", "kl", "top-1", "greedy")} == {"holds"}
    record = json.loads((ctx.out / "gguf.json").read_text())
    assert record["tokenizer"]["strings"] == 200
    assert record["tensors"]["output_norm.weight"] == "F32"
    assert [event.done for event in events if isinstance(event, Progress) and event.phase == "gguf"][-1] == len(
        record["tensors"]
    )


def test_an_adapter_is_merged_as_the_file_is_written(tmp_path, base, adapter):
    ctx, _ = temporary_context(tmp_path, {"model": adapter})
    outcome = run(spec("F32"), ctx)
    merge_adapter(adapter, base, tmp_path / "merged")
    other, _ = temporary_context(tmp_path / "other", {"model": tmp_path / "merged"})
    run(spec("F32", certify=False), other)

    ours, theirs = (gguf.GGUFReader(folder.out / "tiny-F32.gguf").tensors for folder in (ctx, other))

    assert [tensor.name for tensor in ours] == [tensor.name for tensor in theirs]
    for one, two in zip(ours, theirs, strict=True):
        assert np.array_equal(one.data, two.data), one.name
    assert outcome.certificate["parent"]["ref"] == f"file:{adapter}"
    ids = list(range(4, 60))
    assert np.abs(logits_of(ctx.out / "tiny-F32.gguf", ids) - reference_logits(adapter, ids)).max() < 2e-3
    assert np.abs(reference_logits(base, ids) - reference_logits(adapter, ids)).max() > 0.01


@pytest.mark.parametrize(("kind", "fix"), [("F16", "type: F32"), ("Q8_0", "of more bits")])
def test_a_file_that_differs_from_its_model_is_not_kept(tmp_path, base, monkeypatch, kind, fix):
    right = types.encode

    def wrong(name, values, *more):
        return right(name, values * 1.3 if "ffn_down" in name else values, *more)

    monkeypatch.setattr("burnish.export.gguf.writer.encode", wrong)
    ctx, _ = temporary_context(tmp_path, {"model": base})
    with pytest.raises(RunError, match=f"does not hold for '{kind}'") as caught:
        run(spec(kind), ctx)
    assert caught.value.code == "run.certificate-failed"
    assert fix in caught.value.fix
    assert "`change`" not in caught.value.fix  # a setting of certify


def test_a_tokenizer_that_differs_leaves_no_file(tmp_path, base, monkeypatch):
    monkeypatch.setattr(proof, "normalized", lambda text, form: text + "e\u0301")
    monkeypatch.setattr("burnish.models.engines.llama.model.LlamaModel.tokenize", lambda *args, **kwargs: [5])
    ctx, _ = temporary_context(tmp_path, {"model": base})
    with pytest.raises(ModelError, match="into other tokens than the tokenizer"):
        run(spec("F16"), ctx)
    assert not list(ctx.out.glob("*.gguf"))


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ('"2"', "eos_token_id has '2'"),
        ("[[2]]", r"eos_token_id has \[2\]"),
        ("-1", "eos_token_id has -1"),
        ("[2, 9999]", "answers of the model end at id 9999"),
        ("{", "generation_config.json"),
    ],
)
def test_ends_that_are_no_tokens_are_refused_by_name(tmp_path, ends, why):
    base = make_base(tmp_path / "base")
    (base / "generation_config.json").write_text(f'{{"eos_token_id": {ends}}}')
    ctx, _ = temporary_context(tmp_path, {"model": base})
    with pytest.raises(ModelError, match=why):
        run(spec("F16", certify=False), ctx)
    assert not list(ctx.out.glob("*.gguf"))


def test_a_template_that_renders_no_conversation_is_reported(tmp_path):
    base = make_base(tmp_path / "base")
    (base / "chat_template.jinja").write_text("{{ raise_exception('no') }}")
    ctx, events = temporary_context(tmp_path, {"model": base})
    run(spec("F16", certify=False), ctx)
    assert any("renders none of the golden conversations" in text for text in notes(events))


def test_a_context_beyond_what_a_file_can_say_is_refused(tmp_path):
    base = tiny_model(tmp_path / "base", max_position_embeddings=10**12)
    ctx, _ = temporary_context(tmp_path, {"model": base})
    with pytest.raises(ModelError, match=r"context_length is 1,000,000,000,000"):
        run(spec("F16", certify=False), ctx)


def test_ends_that_llama_cpp_adds_are_named(tmp_path, base):
    ctx, events = temporary_context(tmp_path, {"model": base})
    run(spec("F16", certify=False), ctx)
    assert any("llama.cpp ends answers at '<|endoftext|>' too" in text for text in notes(events))


def test_an_adapter_that_separates_a_tied_head_gives_the_file_one(tmp_path, base):
    model = attach_lora(load_model(base), LoraSpec(rank=4, targets=["lm_head", "q_proj"]))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.05)
    save_adapter(model, tmp_path / "adapter", input_at(base))
    ctx, _ = temporary_context(tmp_path, {"model": tmp_path / "adapter"})
    outcome = run(spec("F32"), ctx)
    assert outcome.certificate["holds"]
    assert "output.weight" in json.loads((ctx.out / "gguf.json").read_text())["tensors"]
    ids = list(range(4, 60))
    expected = reference_logits(tmp_path / "adapter", ids)
    assert np.abs(logits_of(ctx.out / "tiny-F32.gguf", ids) - expected).max() < 2e-4


def test_trained_tokens_of_an_adapter_are_rows_of_the_file(tmp_path):
    base = tiny_model(tmp_path / "base", vocab_size=259, tie_word_embeddings=True, initializer_range=0.1)
    rows = tmp_path / "rows.jsonl"
    chats = [[{"role": "user", "content": f"Is {i} even?"}, {"role": "assistant", "content": "<no>"}] for i in range(4)]
    rows.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in chats))
    method = {"rank": 4, "new_tokens": ["<yes>", "<no>"]}
    training = {"max_steps": 2, "batch_size": 4, "prove": "off"}
    tuned, _ = temporary_context(tmp_path / "sft", {"data": rows, "base": base})
    sft.run(SftSpec(data="file:d", base="file:b", method=method, **training), tuned)
    adapter = Input("step:tune", "adapter", tuned.out, inputs={"base": input_at(base), "data": input_at(rows)})
    ctx, _ = temporary_context(tmp_path, {"model": adapter})
    outcome = run(spec("F32"), ctx)
    assert outcome.certificate["holds"]
    ids = [*range(4, 60), 259, 260]
    found = logits_of(ctx.out / "tiny-F32.gguf", ids)
    assert found.shape == (58, 261)
    assert np.abs(found - reference_logits(adapter, ids)).max() < 2e-4


def test_an_adapter_of_qlora_is_merged_into_what_it_was_trained_on(tmp_path):
    base = tiny_model(tmp_path / "base", hidden_size=64, intermediate_size=64, head_dim=16, initializer_range=0.1)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"prompt": "a {n}", "completion": "b {n}"}}\n' for n in range(4)))
    tuned, _ = temporary_context(tmp_path / "sft", {"data": rows, "base": base})
    method = {"kind": "qlora", "rank": 4}
    sft.run(SftSpec(data="file:d", base="file:b", method=method, max_steps=2, batch_size=2, prove="off"), tuned)
    adapter = Input("step:tune", "adapter", tuned.out, inputs={"base": input_at(base), "data": input_at(rows)})
    ctx, _ = temporary_context(tmp_path / "model", {"model": adapter})
    assert run(spec("F32"), ctx).certificate["holds"]
    alone, events = temporary_context(tmp_path / "alone", {"model": adapter})
    outcome = run(GgufSpec(model="file:x", form="lora", threads=1), alone)
    assert outcome.certificate is None
    assert any("its base was in 4 bits in training" in text for text in notes(events))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"type": "Q8_0", "importance": "file:x"}, "importance has no effect with type: Q8_0"),
        ({"importance_rows": 3}, "importance_rows is of the rows of importance"),
        ({"form": "lora", "importance": "file:x"}, "importance has no effect with form: lora"),
    ],
)
def test_settings_of_importance_without_effect_are_refused(settings, why):
    with pytest.raises(ValueError, match=why):
        GgufSpec(model="file:x", **settings)


SAMPLING = {"temperature": 0.6, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.05}
IN_THE_FILE = {"temp": 0.6, "top_k": 20, "top_p": 0.95, "penalty_repeat": 1.05}


@pytest.mark.parametrize("samples", [True, False])
def test_how_to_sample_is_that_of_the_generation_config(tmp_path, samples):
    model = shutil.copytree(POCKET, tmp_path / "model")
    own = json.loads((model / "generation_config.json").read_text())
    settings = {**own, "do_sample": samples, **(SAMPLING if samples else {})}
    (model / "generation_config.json").write_text(json.dumps(settings))
    ctx, _ = temporary_context(tmp_path / "run", {"model": model})
    run(spec("F16", certify=False), ctx)
    fields = gguf.GGUFReader(ctx.out / "tiny-F16.gguf").fields
    found = {key.rpartition(".")[2]: fields[key].contents() for key in fields if key.startswith("general.sampling")}
    assert found == (pytest.approx(IN_THE_FILE) if samples else {})
    lines = [line.split()[1:] for line in (ctx.out / "Modelfile").read_text().splitlines() if "PARAMETER" in line]
    written = {name: float(value) for name, value in lines if name not in ("num_ctx", "stop")}
    expected = {"temperature": 0.6, "top_k": 20, "top_p": 0.95, "repeat_penalty": 1.05}
    assert written == (expected if samples else {})
