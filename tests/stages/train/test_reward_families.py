"""A reward model of each family that transformers can classify with, and a refusal by name for the others."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from burnish.core.errors import ModelError
from burnish.models.load import load_model
from burnish.models.reward import add_score_head, as_classifier, distance_to_classifier, padding_token
from burnish.testing import tiny_model
from burnish.tokens.load import load_tokenizer

SIZES = {"falcon": {"alibi": False, "new_decoder_architecture": False}, "gpt_neox": {}, "qwen3_moe": {}}
CLASSIFY = (
    *("qwen2", "qwen3", "llama", "mistral", "gemma", "gemma2", "gemma3_text", "gpt2", "phi3", "starcoder2", "glm"),
    *("stablelm", "gpt_neox", "smollm3", "olmo", "mixtral", "qwen3_moe", "helium", "persimmon", "diffllama"),
)
REFUSED = ("olmoe", "granite", "cohere", "mamba", "lfm2")


def tiny(folder, family):
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16} if family == "qwen3_moe" else {}
    return tiny_model(folder, family, initializer_range=0.2, **experts)


@pytest.mark.parametrize("family", CLASSIFY)
def test_a_family_gives_the_scores_of_its_classifier_padded_or_not(tmp_path, family):
    model = load_model(tiny(tmp_path / "base", family))
    torch.manual_seed(0)
    add_score_head(model)
    rows = [torch.randint(3, 260, (length,)) for length in (5, 12, 9)]
    assert distance_to_classifier(model, 0, rows) < 1e-4
    as_classifier(model, 0).save_pretrained(tmp_path / "saved")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    with torch.no_grad():
        found = loaded(rows[1][None]).logits
        expected = as_classifier(model.eval(), 0)(rows[1][None]).logits
    assert found.shape == (1, 1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("family", REFUSED)
def test_a_family_without_a_classifier_is_refused_by_name(tmp_path, family):
    with torch.device("meta"):
        from transformers import AutoConfig, AutoModelForCausalLM

        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family))
    with pytest.raises(ModelError, match=f"a reward model cannot be made of this {family} model") as caught:
        add_score_head(model)
    assert caught.value.code == "model.unsupported"


def test_the_padding_token_ends_no_row(tmp_path):
    folder = tiny(tmp_path / "base", "qwen3")
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    assert padding_token(model.config, tokenizer, {2, 10}) == (0, "the model's padding token")
    model.config.pad_token_id = 2  # as where pad = eos
    assert padding_token(model.config, tokenizer, {2, 10}) == (0, "the tokenizer's padding token")
    tokenizer.pad_token = "<|im_end|>"
    assert padding_token(model.config, tokenizer, {2, 10}) == (0, "a special token that ends no row")
    with pytest.raises(ModelError, match="every special token"):
        padding_token(model.config, tokenizer, {0, 1, 2})
    torch.manual_seed(0)
    add_score_head(model)
    rows = [torch.tensor([5, 2, 7, 2]), torch.tensor([9, 2])]
    assert distance_to_classifier(model, 0, rows) < 1e-4
    assert distance_to_classifier(model, 2, rows) > 1e-2  # the fault: the score is read before the last eos
