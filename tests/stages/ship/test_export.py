"""The export stage: folders that transformers, PEFT and lm-evaluation-harness read, and that equal their parents."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.core.context import Input
from burnish.core.errors import AskError, ModelError, RunError
from burnish.core.events import Note
from burnish.models.load import load_model
from burnish.specs.ship import ExportSpec
from burnish.stages.ship import export
from burnish.stages.ship.export import run
from burnish.testing import input_at, temporary_context, tiny_model
from certified import copy_of, edit_json, make_adapter, make_base
from family_folders import FAMILIES

MESSAGES = [{"role": "user", "content": "What is the weather in Zürich? 🙂"}]
IDS = torch.arange(3, 30)[None]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def exported(source, folder, **settings):
    ctx, events = temporary_context(folder, {"model": source})
    return run(ExportSpec(model="file:x", **settings), ctx), ctx.out, events


def notes(events, level="warning"):
    return [event.text for event in events if isinstance(event, Note) and event.level == level]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    return make_adapter(base, tmp_path_factory.mktemp("adapter"))


_LARGE = pytest.param("qwen3", marks=pytest.mark.torture)  # its vocabulary of 151,643 tokens


@pytest.mark.parametrize("family", [_LARGE if family == "qwen3" else family for family in FAMILIES])
def test_an_exported_adapter_is_the_same_model_in_transformers(tmp_path, family):
    """`Auto*` of transformers, with nothing of burnish: the same logits, and the same text of the template."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (tmp_path / "base").mkdir()
    base = FAMILIES[family](tmp_path / "base")
    adapter = make_adapter(base, tmp_path / "adapter")
    _, out, _ = exported(adapter, tmp_path, certify=False)

    ids = torch.arange(3, 60)[None]
    expected = load_model(adapter, dtype=torch.float32).merge_and_unload()(ids).logits
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(out, dtype="auto")
        assert torch.equal(model(ids).logits, expected)
    ours, theirs = (AutoTokenizer.from_pretrained(folder) for folder in (out, base))
    texts = [each.apply_chat_template(MESSAGES, add_generation_prompt=True) for each in (ours, theirs)]
    assert texts[0] == texts[1]
    assert model.generation_config.to_diff_dict() == load_model(base).generation_config.to_diff_dict()


def test_an_export_is_certified_and_its_card_shows_every_check(adapter, tmp_path):
    outcome, out, events = exported(adapter, tmp_path)

    assert outcome.kind == "model"
    assert outcome.certificate["holds"]
    card = (out / "README.md").read_text()
    for check in outcome.certificate["checks"]:
        assert f"| {check['name']} | {check['verdict']} |" in card
    assert notes(events) == []


def test_a_whole_model_is_written_in_shards_and_stays_the_same(base, tmp_path):
    outcome, out, _ = exported(base, tmp_path, max_shard_bytes=40_000)

    assert outcome.certificate["change"] == "same"
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert len({*index["weight_map"].values()}) == outcome.measures["weight_files"] > 1
    merged = {name: tensor for file in out.glob("*.safetensors") for name, tensor in load_file(file).items()}
    before = load_file(base / "model.safetensors")
    assert merged.keys() == before.keys() == index["weight_map"].keys()
    assert all(torch.equal(merged[name], before[name]) for name in before)


@pytest.mark.parametrize(("dtype", "change"), [("bfloat16", "BF16"), ("float16", "F16")])
def test_a_whole_model_is_cast_and_certified_as_that_cast(base, tmp_path, dtype, change):
    outcome, out, _ = exported(base, tmp_path, dtype=dtype)

    assert outcome.certificate["change"] == change
    expected = load_model(base, dtype=getattr(torch, dtype))
    assert torch.equal(load_model(out)(IDS).logits, expected(IDS).logits)
    assert json.loads((out / "config.json").read_text())["dtype"] == dtype


def test_a_value_that_the_dtype_cannot_hold_is_refused(tmp_path):
    large = tiny_model(tmp_path / "large")
    copy = copy_of(large, tmp_path / "copy", lambda t: t["model.norm.weight"].fill_(1e6))
    with pytest.raises(ModelError, match=r"'model.norm.weight' of .* overflow"):
        exported(copy, tmp_path, dtype="float16")


def test_a_folder_that_is_not_the_model_is_not_kept(base, tmp_path, monkeypatch):
    whole = export.rewrite_model

    def wrong(model, out, **settings):
        written = whole(model, out, **settings)
        copy_of(out, out.parent / "wrong", lambda t: t["model.layers.0.mlp.down_proj.weight"].mul_(1.02))
        shutil.copy(out.parent / "wrong" / "model.safetensors", out)
        return written

    monkeypatch.setattr(export, "rewrite_model", wrong)
    with pytest.raises(RunError, match=r"does not hold for 'same' of .*weights: 1 of"):
        exported(base, tmp_path)
    assert not (tmp_path / "out" / "README.md").exists()


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses deprecated names of transformers
def test_an_adapter_alone_is_read_by_peft(adapter, base, tmp_path):
    from peft import AutoPeftModelForCausalLM

    outcome, out, events = exported(adapter, tmp_path, form="adapter")

    assert outcome.kind == "adapter"
    assert outcome.certificate["holds"]
    loaded = AutoPeftModelForCausalLM.from_pretrained(out)
    with torch.no_grad():
        assert torch.equal(loaded(IDS).logits, load_model(adapter)(IDS).logits)
    assert (out / "chat_template.jinja").read_bytes() == (base / "chat_template.jinja").read_bytes()
    assert any("names the base by its folder here" in text for text in notes(events))
    assert not (out / "model.safetensors").exists()


def test_an_adapter_of_a_hub_model_names_it_by_its_name(adapter, base, tmp_path):
    own = Input("hub:owner/base@" + "1" * 40, "model", base, revision="1" * 40)
    copy = copy_of(adapter, tmp_path / "copy")
    (copy / "burnish_base.json").write_text(json.dumps({"base": f"file:{base}", "files": {"config.json": "x"}}))
    source = Input("tune.tune@1", "adapter", copy, inputs={"base": own})

    _, out, events = exported(source, tmp_path, form="adapter", certify=False)

    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("owner/base", "1" * 40)
    card = (out / "README.md").read_text()
    assert "base_model: owner/base" in card
    assert "base_model_relation: adapter" in card
    assert "vllm serve owner/base --enable-lora --max-lora-rank 8 --lora-modules tuned=path/to/this/folder" in card
    record = json.loads((out / "burnish_base.json").read_text())
    assert record == {"base": f"file:{base.name}", "files": {"config.json": "x"}}
    assert [path.name for path in out.iterdir() if b"/tmp/" in path.read_bytes()] == []
    assert notes(events) == []


DAMAGES = {
    "missing": (lambda tensors: tensors.pop(next(iter(tensors))), "is missing"),
    "extra": (lambda tensors: tensors.update({"base_model.model.x.lora_A.weight": torch.ones(2, 2)}), "is unknown"),
    "not finite": (lambda tensors: next(iter(tensors.values())).fill_(torch.nan), "NaN or infinite"),
    "another rank": (
        lambda tensors: tensors.update({n: t[:2] for n, t in tensors.items() if "_A" in n}),
        "is expected",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses deprecated names of transformers
def test_a_damaged_adapter_is_refused_without_a_certificate_too(damage, adapter, base, tmp_path):
    change, what = DAMAGES[damage]
    copy = copy_of(adapter, tmp_path / "copy")
    tensors = load_file(copy / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, copy / "adapter_model.safetensors", {"format": "pt"})

    with pytest.raises(ModelError, match=what):
        exported(
            Input("file:copy", "adapter", copy, inputs={"base": input_at(base)}),
            tmp_path,
            form="adapter",
            certify=False,
        )


def test_a_model_is_no_adapter(base, tmp_path):
    with pytest.raises(AskError, match=r"form: adapter is for adapters, and file:.* is a model"):
        exported(base, tmp_path, form="adapter")


@pytest.mark.parametrize("field", ["dtype", "max_shard_bytes"])
def test_settings_of_merged_weights_are_refused_for_an_adapter_alone(field):
    value = {"dtype": "float16", "max_shard_bytes": 5_000}[field]
    with pytest.raises(ValueError, match=f"{field} has no effect with form: adapter"):
        ExportSpec(model="file:x", form="adapter", **{field: value})


def test_a_quantized_model_keeps_its_weights(base, tmp_path):
    quantized = copy_of(base, tmp_path / "quantized")
    edit_json(quantized / "config.json", lambda c: c.update(quantization_config={"quant_method": "awq"}))
    with pytest.raises(AskError, match="its weights are quantized"):
        exported(quantized, tmp_path, dtype="float32")
    _, out, _ = exported(quantized, tmp_path, certify=False)
    assert json.loads((out / "config.json").read_text()) == json.loads((quantized / "config.json").read_text())
    card = (out / "README.md").read_text()
    assert "This folder is not certified: certify was off." in card
    assert "Not as GGUF from this folder: its weights are quantized." in card


def test_an_encoder_is_exported_without_a_certificate_and_says_so(tmp_path):
    from transformers import BertConfig, BertForMaskedLM

    sizes = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertForMaskedLM(BertConfig(**sizes, intermediate_size=16)).save_pretrained(tmp_path / "bert")
    outcome, out, events = exported(tmp_path / "bert", tmp_path)
    assert outcome.certificate is None
    assert any("has no next token" in text for text in notes(events))
    card = (out / "README.md").read_text()
    assert "pipeline_tag: fill-mask" in card
    assert "not certified: it is no language model" in card


def test_licence_files_of_every_model_below_are_carried(base, adapter, tmp_path):
    licensed = copy_of(base, tmp_path / "licensed")
    (licensed / "LICENSE").write_text("Apache License\nVersion 2.0")
    (licensed / "USE_POLICY.md").write_text("be nice")
    tuned = Input("t.full@1", "model", base, inputs={"base": input_at(licensed)})
    _, out, _ = exported(tuned, tmp_path, certify=False)
    assert (out / "LICENSE").read_text() == "Apache License\nVersion 2.0"
    assert (out / "USE_POLICY.md").read_text() == "be nice"
    assert "license: apache-2.0" in (out / "README.md").read_text()


LLAMA = "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT"


@pytest.mark.parametrize("form", ["model", "adapter"])
def test_the_licence_of_the_base_is_carried_beside_another_of_the_same_name(base, adapter, tmp_path, form):
    below, tuned = copy_of(base, tmp_path / "below"), copy_of(adapter, tmp_path / "tuned")
    for name, of_base in (("LICENSE", LLAMA), ("NOTICE", "of the base"), ("COPYING", "the same")):
        (below / name).write_text(of_base)
        (tuned / name).write_text(of_base if name == "COPYING" else {"LICENSE": "MIT License"}.get(name, "mine"))
    source = Input("t.t@1", "adapter", tuned, inputs={"base": input_at(below)})
    _, out, events = exported(source, tmp_path, certify=False, title="Llama mine", form=form)
    found = {path.read_text() for path in out.glob("LICENSE*")}
    assert found == {"MIT License", LLAMA}
    assert {"of the base", "mine"} <= {path.read_text().split("\n")[0] for path in out.glob("NOTICE*")}
    assert [path.name for path in out.glob("COPYING*")] == ["COPYING"]
    assert not [text for text in notes(events) if "a copy of" in text]


def test_the_folder_runs_in_lm_evaluation_harness(adapter, tmp_path):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    _, out, _ = exported(adapter, tmp_path, certify=False)
    model = HFLM(pretrained=str(out), device="cpu", batch_size=1, dtype="float32")
    request = Instance("loglikelihood", {}, ("The weather", " is fine"), 0, ("t", 0, 1))
    (found, _), *_ = model.loglikelihood([request], disable_tqdm=True)
    tokenizer = model.tokenizer
    prompt, answer = tokenizer("The weather")["input_ids"], tokenizer(" is fine")["input_ids"]
    with torch.no_grad():
        logits = load_model(adapter, dtype=torch.float32)(torch.tensor([prompt + answer])).logits[0]
    places = range(len(prompt) - 1, len(prompt + answer) - 1)
    expected = sum(logits[i].log_softmax(0)[t].item() for i, t in zip(places, answer, strict=True))
    assert found == pytest.approx(expected, abs=1e-4)


def test_the_folder_of_another_machine_stands_nowhere_in_the_card(adapter, tmp_path):
    _, out, _ = exported(adapter, tmp_path, certify=False, title="My model")
    card = (out / "README.md").read_text()
    assert str(Path.home()) not in card
    assert str(tmp_path) not in card
    assert card.partition("# ")[2].startswith("My model")
