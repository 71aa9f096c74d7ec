"""Every fault that a copy or a merge can have trips its certificate, by the check that is about it."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.core.errors import BurnishError
from burnish.models.merge import merge_adapter
from certified import certificate, copy_of, edit_json, failed, make_base

LAYER = "model.layers.0.self_attn.q_proj.weight"
DOWN = "model.layers.1.mlp.down_proj.weight"


def flip_a_high_bit(tensors):
    bits = tensors[LAYER].view(torch.int32)
    bits[3, 5] ^= 1 << 27  # of the exponent


def zero_a_row(tensors):
    tensors[DOWN][7] = 0


def add_noise(tensors):
    random = torch.Generator().manual_seed(0)
    tensors[LAYER].mul_(1 + 3e-3 * torch.randn(tensors[LAYER].shape, generator=random))


def scale_a_layer(tensors):
    tensors[DOWN].mul_(1.02)


def swap_two_layers(tensors):
    for name in [name for name in tensors if name.startswith("model.layers.0.")]:
        other = name.replace("layers.0.", "layers.1.")
        tensors[name], tensors[other] = tensors[other].clone(), tensors[name].clone()


def swap_q_heads(tensors):
    tensors[LAYER][:16] = tensors[LAYER][:16].flip(0)


def scale_a_norm(tensors):
    tensors["model.norm.weight"].mul_(1.001)


def transpose_a_square(tensors):
    name = "model.layers.0.self_attn.q_proj.weight"
    tensors[name] = tensors[name].T.contiguous()


WEIGHTS = (
    flip_a_high_bit,
    zero_a_row,
    add_noise,
    scale_a_layer,
    swap_two_layers,
    swap_q_heads,
    scale_a_norm,
    transpose_a_square,
)


@pytest.mark.parametrize("fault", WEIGHTS, ids=lambda fault: fault.__name__)
def test_a_copy_with_a_fault_in_its_weights_fails(base, tmp_path, fault):
    found = certificate(base, copy_of(base, tmp_path / "copy", fault))
    assert failed(found) >= {"weights", "kl"}, found
    assert not found.holds


@pytest.mark.some(every=2)
@pytest.mark.parametrize("fault", WEIGHTS, ids=lambda fault: fault.__name__)
def test_a_merge_with_a_fault_in_its_weights_fails(adapter, merged, tmp_path, fault):
    found = certificate(adapter, copy_of(merged, tmp_path / "copy", fault))
    assert found.change == "merge fp32"
    assert failed(found) >= {"weights", "kl"}, found


@pytest.mark.parametrize("fault", [flip_a_high_bit, zero_a_row, scale_a_layer, swap_two_layers, swap_q_heads])
def test_a_merge_in_bfloat16_with_a_fault_in_its_weights_fails(base, adapter, tmp_path, fault):
    merge_adapter(adapter, base, tmp_path / "merged", dtype="bfloat16")

    def widened(tensors):
        exact = {name: tensor.float() for name, tensor in tensors.items()}
        fault(exact)
        tensors.update({name: tensor.to(torch.bfloat16) for name, tensor in exact.items()})

    found = certificate(adapter, copy_of(tmp_path / "merged", tmp_path / "copy", widened))
    assert found.change == "merge bf16"
    assert "weights" in failed(found), found


def test_a_merge_without_a_part_of_the_adapter_fails(base, adapter, tmp_path):
    def without_one(tensors):
        name = next(name for name in tensors if "lora_B" in name)
        tensors[name].zero_()

    copy_of(adapter, tmp_path / "part")
    file = tmp_path / "part" / "adapter_model.safetensors"
    tensors = load_file(file)
    without_one(tensors)
    save_file(tensors, file, {"format": "pt"})
    merge_adapter(tmp_path / "part", base, tmp_path / "merged")
    assert failed(certificate(adapter, tmp_path / "merged")) >= {"weights", "kl"}


def test_a_merge_of_nothing_fails(base, adapter, tmp_path):
    assert failed(certificate(adapter, copy_of(base, tmp_path / "copy"), "merge fp32")) >= {"weights", "kl"}


def set_rope_theta(folder):
    edit_json(folder / "config.json", lambda config: config["rope_parameters"].update(rope_theta=500.0))


def set_norm_eps(folder):
    edit_json(folder / "config.json", lambda config: config.update(rms_norm_eps=1e-3))


def set_config_eos(folder):
    edit_json(folder / "config.json", lambda config: config.update(eos_token_id=1))


def set_generation_eos(folder):
    edit_json(folder / "generation_config.json", lambda config: config.update(eos_token_id=[0, 1]))


def add_a_repetition_penalty(folder):
    edit_json(folder / "generation_config.json", lambda config: config.update(repetition_penalty=1.3))


def untie_the_head(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone().mul_(1.01)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    edit_json(folder / "config.json", lambda config: config.update(tie_word_embeddings=False))


def set_tokenizer_eos(folder):
    edit_json(folder / "tokenizer_config.json", lambda config: config.update(eos_token="<|im_start|>"))


def change_a_character_of_the_template(folder):
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text().replace("<|im_end|>'", "<|im_end|> '", 1))


def change_an_unused_branch_of_the_template(folder):
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text() + "{%- if never_set_by_anything %}x{% endif %}")


def add_a_default_system_prompt(folder):
    path = folder / "chat_template.jinja"
    said = "{%- if messages[0].role != 'system' %}{{- '<|im_start|>system\\nBe good.<|im_end|>\\n' }}{%- endif %}"
    path.write_text(said + path.read_text())


def remove_the_template(folder):
    (folder / "chat_template.jinja").unlink()


def remove_the_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def swap_two_tokens(folder):
    def swap(tokenizer):
        vocabulary = tokenizer["model"]["vocab"]
        vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]

    edit_json(folder / "tokenizer.json", swap)


def add_a_token(folder):
    def add(tokenizer):
        token = {"id": 259, "content": "<|new|>", "single_word": False, "lstrip": False, "rstrip": False}
        tokenizer["added_tokens"].append({**token, "normalized": False, "special": True})

    edit_json(folder / "tokenizer.json", add)


def change_the_normalizer(folder):
    edit_json(folder / "tokenizer.json", lambda tokenizer: tokenizer.update(normalizer={"type": "Lowercase"}))


def change_how_text_is_split(folder):
    edit_json(folder / "tokenizer.json", lambda tokenizer: tokenizer["pre_tokenizer"].update(add_prefix_space=True))


FILES = {
    set_rope_theta: {"config", "kl"},
    set_norm_eps: {"config", "kl"},
    set_config_eos: {"config"},
    set_generation_eos: {"generation config"},
    add_a_repetition_penalty: {"generation config"},
    untie_the_head: {"config", "kl", "weights"},
    set_tokenizer_eos: {"special tokens"},
    change_a_character_of_the_template: {"template", "tokens"},
    change_an_unused_branch_of_the_template: {"template"},
    add_a_default_system_prompt: {"template", "tokens"},
    remove_the_template: {"template", "tokens"},
    remove_the_tokenizer: {"tokenizer"},
    swap_two_tokens: {"tokenizer", "tokens"},
    add_a_token: {"tokenizer"},
    change_the_normalizer: {"tokenizer", "tokens"},
    change_how_text_is_split: {"tokenizer", "tokens"},
}


@pytest.mark.parametrize("fault", FILES, ids=lambda fault: fault.__name__)
def test_a_fault_in_the_files_beside_the_weights_fails(base, tmp_path, fault):
    copy = copy_of(base, tmp_path / "copy")
    fault(copy)
    assert failed(certificate(base, copy)) >= FILES[fault]


def test_two_merges_of_a_tokenizer_that_are_swapped_fail(tmp_path):
    base = trained_tokenizer(make_base(tmp_path / "base"))
    copy = copy_of(base, tmp_path / "copy")

    def swap(tokenizer):
        merges = tokenizer["model"]["merges"]
        merges[0], merges[1] = merges[1], merges[0]

    edit_json(copy / "tokenizer.json", swap)
    assert failed(certificate(base, copy)) == {"tokenizer"}


def trained_tokenizer(folder):
    """Give the model a BPE of some merges, in its vocabulary of 264."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    for pair in (["t", "h"], ["i", "n"], ["e", "r"]):
        vocabulary["".join(pair)] = len(vocabulary)
        tokenizer["model"]["merges"].append(pair)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def test_a_child_whose_scores_overflow_fails_as_not_finite(base, tmp_path):
    copy = copy_of(base, tmp_path / "copy", lambda tensors: tensors["model.norm.weight"].fill_(3e38))
    found = certificate(base, copy)
    assert "finite" in failed(found)
    assert not found.holds


def test_a_child_with_a_value_that_is_not_finite_does_not_load(base, tmp_path):
    copy = copy_of(base, tmp_path / "copy", lambda tensors: tensors[DOWN].fill_(float("nan")))
    with pytest.raises(BurnishError) as caught:
        certificate(base, copy)
    assert caught.value.code == "model.broken"


def test_a_certificate_without_distributions_and_weights_certifies_nothing(base, tmp_path):
    found = certificate(base, base)
    assert found.holds
    visible = [check for check in found.checks if check.name not in ("kl", "weights")]
    assert not replace(found, checks=visible).holds


def resized(folder, to, change):
    """A copy whose embedding has `change` more rows."""

    def embedding(tensors):
        for name in [name for name in tensors if "embed_tokens" in name or "lm_head" in name]:
            rows = tensors[name]
            tensors[name] = rows[:change].contiguous() if change < 0 else torch.cat([rows, rows[:change]])

    copied = copy_of(folder, to, embedding)
    edit_json(copied / "config.json", lambda config: config.update(vocab_size=config["vocab_size"] + change))
    return copied


@pytest.mark.parametrize("change", [-4, 8])  # of the padding rows
def test_a_child_with_another_vocabulary_fails(base, tmp_path, change):
    found = certificate(base, resized(base, tmp_path / "copy", change))
    assert failed(found) == {"config", "sizes", "weights"}
    assert not found.holds
    [sizes] = [check for check in found.checks if check.name == "sizes"]
    assert f"over {264 + change} tokens, not 264" in sizes.found
    absent = {check.name: check.found for check in found.checks if check.verdict == "does not apply"}
    assert absent["kl"] == sizes.found


def test_a_child_with_a_shorter_context_fails(base, tmp_path):
    copied = copy_of(base, tmp_path / "copy")
    edit_json(copied / "config.json", lambda config: config.update(max_position_embeddings=40))
    found = certificate(base, copied)
    assert failed(found) == {"config", "sizes"}
    [sizes] = [check for check in found.checks if check.name == "sizes"]
    assert "the child's context is 40" in sizes.found
