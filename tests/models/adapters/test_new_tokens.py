"""Rows of new tokens: trained with the adapter, saved with it, loaded and merged, in every family."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from burnish.core.errors import ModelError
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.adapters.new_tokens import TrainedTokens
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.specs.train import LoraSpec
from burnish.testing import input_at, tiny_model
from families import BUILDABLE, save, thinned

NOT_LOADED = {"emu3", "mllama"}  # see test_lora_families.py
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses deprecated names of transformers
SPEC = LoraSpec(rank=2, targets=["q_proj"])
BEYOND = TrainedTokens([7, 264, 265], [264, 265])  # tiny models embed 264
SPARE = TrainedTokens([7, 260], [260])


def trained(base, tokens=BEYOND, spec=SPEC, **settings):
    """An adapter whose trained weights have all moved."""
    torch.manual_seed(0)
    model = attach_lora(load_model(base, **settings), spec, tokens=tokens).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape) * 0.05)
    return model


def saved(base, folder, **settings) -> tuple[Path, torch.Tensor]:
    tokens = settings.get("tokens", BEYOND)
    model = trained(base, **settings)
    save_adapter(model, folder, input_at(base))
    return folder, model(ids_with(tokens)).logits.detach()


def ids_with(tokens):
    return torch.tensor([[3, *tokens.ids, 40, 50, *reversed(tokens.ids)]])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("tokens", [BEYOND, SPARE], ids=["beyond", "spare"])
def test_a_fresh_adapter_leaves_the_outputs_for_other_tokens(tmp_path, token_ids, tied, tokens):
    base = load_model(tiny_model(tmp_path, tie_word_embeddings=tied))
    before, weights = base(token_ids).logits, {n: w.clone() for n, w in base.named_parameters()}
    model = attach_lora(base, SPEC, tokens=tokens).eval()
    others = [number for number in range(264) if number not in tokens.new]
    torch.testing.assert_close(model(token_ids).logits[..., others], before[..., others], rtol=1e-4, atol=1e-6)
    rows = {n: w for n, w in model.named_parameters() if "trainable_tokens" in n}
    assert len(rows) == 1 + (not tied)
    for name, row in rows.items():
        weight = weights["model.embed_tokens.weight" if "embed" in name else "lm_head.weight"]
        assert row.dtype == torch.float32
        torch.testing.assert_close(row[1], weight[: min(tokens.new)].mean(0))
        assert torch.equal(row[0], weight[7])
    if tokens is SPARE:
        with model.disable_adapter():
            assert torch.equal(model(token_ids).logits, before)


@pytest.mark.some
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("tokens", [BEYOND, SPARE], ids=["beyond", "spare"])
def test_an_adapter_is_loaded_and_merged_with_its_rows(tmp_path, dtype, tied, tokens):
    base = tiny_model(tmp_path / "base", tie_word_embeddings=tied, dtype=dtype)
    adapter, expected = saved(base, tmp_path / "adapter", tokens=tokens)
    model = load_model(adapter)
    torch.testing.assert_close(model(ids_with(tokens)).logits, expected)
    size = 266 if tokens is BEYOND else 264
    assert model.config.vocab_size == expected.shape[-1] == size
    assert not any("embed_tokens.weight" in name for name in load_file(adapter / "adapter_model.safetensors"))

    merged = merge_adapter(adapter, base, tmp_path / "merged")

    assert not merged.untied
    theirs = dict(model.merge_and_unload().named_parameters())
    ours = load_model(tmp_path / "merged")
    assert ours.config.vocab_size == size
    assert json.loads((tmp_path / "merged/config.json").read_text())["tie_word_embeddings"] is tied
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.named_parameters())
    assert merged.parameters == sum(weight.numel() for weight in ours.parameters())


def test_peft_loads_it_on_a_base_with_these_rows(tmp_path):
    base = tiny_model(tmp_path / "base")
    adapter, expected = saved(base, tmp_path / "adapter")
    grown = AutoModelForCausalLM.from_pretrained(base)
    grown.resize_token_embeddings(266, mean_resizing=False)
    found = PeftModel.from_pretrained(grown, adapter).eval()(ids_with(BEYOND)).logits
    torch.testing.assert_close(found, expected)


def test_an_adapter_on_an_adapter_with_new_tokens(tmp_path):
    base = tiny_model(tmp_path / "base")
    first, _ = saved(base, tmp_path / "first")
    torch.manual_seed(1)
    model = attach_lora(load_model(first), LoraSpec(rank=2))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape) * 0.05)
    save_adapter(model, tmp_path / "second", input_at(first))
    expected = model.eval()(ids_with(BEYOND)).logits
    torch.testing.assert_close(load_model(tmp_path / "second")(ids_with(BEYOND)).logits, expected)
    merge_adapter(first, base, tmp_path / "plain")
    merge_adapter(tmp_path / "second", tmp_path / "plain", tmp_path / "merged")
    torch.testing.assert_close(load_model(tmp_path / "merged")(ids_with(BEYOND)).logits, expected)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    ("setting", "name"),
    [("train_fully", "lm_head"), ("train_fully", "embed_tokens"), ("targets", "embed_tokens"), ("targets", "lm_head")],
)
def test_a_module_that_is_trained_otherwise_is_refused_by_name(tmp_path, setting, name, tied):
    base = tiny_model(tmp_path, tie_word_embeddings=tied)
    with pytest.raises(ModelError, match=f"new_tokens cannot be combined with {setting}: {name}") as caught:
        trained(base, spec=LoraSpec(rank=2, **({"targets": ["q_proj"]} | {setting: [name]})))
    assert caught.value.code == "model.unsupported"


def test_rows_that_the_adapter_does_not_have_are_refused(tmp_path):
    adapter, _ = saved(tiny_model(tmp_path / "base"), tmp_path / "adapter")
    smaller = tiny_model(tmp_path / "smaller", vocab_size=262, tokenizer=False)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(smaller)}))
    with pytest.raises(ModelError, match="it trains token 265, and the base has 262 embeddings") as caught:
        load_model(adapter)
    assert caught.value.code == "model.wrong-adapter"


@pytest.mark.parametrize("value", [{"embed_tokens": "x"}, [1.5], [True], {"embed_tokens": [-1]}, "x"])
def test_a_wrong_list_of_ids_is_named_with_its_file(tmp_path, value):
    adapter, _ = saved(tiny_model(tmp_path / "base"), tmp_path / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "trainable_token_indices": value}))
    with pytest.raises(ModelError, match="trainable_token_indices") as caught:
        load_model(adapter)
    assert caught.value.code == "model.wrong-adapter"


BIAS, ENTRY = "its head has a bias", "has an entry for each token too"
REFUSED = {
    **dict.fromkeys(
        (
            *(
                "bert",
                "bert-generation",
                "big_bird",
                "camembert",
                "codegen",
                "ctrl",
                "data2vec-text",
                "electra",
                "ernie",
            ),
            *(
                "git",
                "gptj",
                "megatron-bert",
                "modernbert-decoder",
                "phi",
                "rembert",
                "roberta",
                "roberta-prelayernorm",
            ),
            *("roc_bert", "roformer", "xlm", "xlm-roberta", "xlm-roberta-xl", "xlnet", "xmod"),
        ),
        BIAS,
    ),
    **dict.fromkeys(("blt", "deepseek_v4", "gemma3n_text", "gemma4", "gemma4_text", "reformer"), ENTRY),
    **dict.fromkeys(("cpmant", "moshi"), "differ in size"),
    "inkling2_text": "its config has another unpadded_vocab_size",
    "inkling_text": "PEFT computes another embedding",
    "marian": "its config has another decoder_vocab_size",
    "xlstm": "transformers cannot resize its embedding",
}
NOT_MERGED = {"prophetnet": "the base has no tensor", "zamba": "may share one with another layer"}


@pytest.mark.some(every=2)
@pytest.mark.parametrize("family", thinned(set(BUILDABLE) - NOT_LOADED, first=1))
def test_every_family_trains_new_tokens_or_is_refused_by_name(tmp_path, family):
    base = save(family, tmp_path / "base")
    size = len(load_model(base).get_input_embeddings().weight)
    tokens = TrainedTokens([7, size, size + 1], [size, size + 1])
    if family in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[family]) as caught:
            trained(base, tokens, LoraSpec(rank=2))
        assert caught.value.code == "model.unsupported"
        return
    adapter, expected = saved(base, tmp_path / "adapter", tokens=tokens, spec=LoraSpec(rank=2))
    torch.testing.assert_close(load_model(adapter)(ids_with(tokens)).logits, expected, rtol=1e-4, atol=1e-5)
    if family in NOT_MERGED:
        with pytest.raises(ModelError, match=NOT_MERGED[family]):
            merge_adapter(adapter, base, tmp_path / "merged")
        return
    merge_adapter(adapter, base, tmp_path / "merged")
    torch.testing.assert_close(load_model(tmp_path / "merged")(ids_with(tokens)).logits, expected, rtol=1e-3, atol=1e-4)
