"""A faithful copy or merge has a certificate that holds: saved again, cut into other files, merged, cast; 20 seeds."""

import pytest
import torch

from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.models.quiet import quiet_transformers
from burnish.testing import tiny_model, tiny_tokenizer
from certified import certificate, copy_of, edit_json, failed, make_adapter, make_base
from families import save

FAMILIES = ("qwen3", "llama", "gemma2", "gpt2", "mistral")
SEEDS = [(FAMILIES[seed % len(FAMILIES)], seed) for seed in range(20)]


def saved_again(base, folder, **settings):
    from transformers import AutoTokenizer

    with quiet_transformers():
        load_model(base).save_pretrained(folder, **settings)
        AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def check(parent, child, change):
    found = certificate(parent, child)
    assert found.change == change
    assert found.holds, found.failed
    assert {check.name for check in found.checks if check.verdict == "does not apply"} == set()


@pytest.mark.some(every=3)
@pytest.mark.parametrize(("family", "seed"), SEEDS)
def test_a_copy_a_merge_and_a_cast_are_certified(tmp_path, family, seed):
    base = make_base(tmp_path / "base", family, seed)
    adapter = make_adapter(base, tmp_path / "adapter", seed)
    which = seed // len(FAMILIES)
    if which == 0:
        check(base, saved_again(base, tmp_path / "copy"), "same")
        merge_adapter(adapter, base, tmp_path / "merged")
        check(adapter, tmp_path / "merged", "merge fp32")
    elif which == 1:
        check(base, saved_again(base, tmp_path / "copy", max_shard_size=20_000), "same")
        merge_adapter(adapter, base, tmp_path / "merged", dtype="bfloat16", max_shard_bytes=20_000)
        check(adapter, tmp_path / "merged", "merge bf16")
    elif which == 2:
        check(base, copy_of(base, tmp_path / "copy"), "same")
        merge_adapter(adapter, base, tmp_path / "merged", dtype="float16")
        check(adapter, tmp_path / "merged", "merge fp16")
    else:
        with quiet_transformers():
            load_model(base, dtype=torch.bfloat16).save_pretrained(tmp_path / "cast")
        check(base, tiny_tokenizer(tmp_path / "cast"), "BF16")
        check(adapter, adapter, "same")


def test_a_model_without_a_tokenizer_is_compared_on_random_tokens(tmp_path):
    base = tiny_model(tmp_path / "base", tokenizer=False)
    found = certificate(base, copy_of(base, tmp_path / "copy"))
    assert found.holds
    assert found.tokens > 200
    copy_of(base, tmp_path / "other", lambda tensors: tensors["model.norm.weight"].mul_(1.01))
    assert failed(certificate(base, tmp_path / "other")) >= {"kl", "weights"}


def test_a_family_without_likelihoods_is_certified_by_its_weights(tmp_path):
    base = save("cpmant", tmp_path / "base")
    found = certificate(base, copy_of(base, tmp_path / "copy"))
    assert found.holds
    assert "depend on the tokens after it" in next(check.found for check in found.checks if check.name == "kl")
    copy_of(base, tmp_path / "other", lambda tensors: next(iter(tensors.values())).mul_(1.01))
    assert failed(certificate(base, tmp_path / "other")) == {"weights"}


def test_held_out_rows_decide_on_perplexity(base):
    rows = [torch.randint(4, 200, (30,), generator=torch.Generator().manual_seed(n)).tolist() for n in range(5)]
    found = certificate(base, base, held_out=rows)
    assert "5 held-out rows" in next(check.found for check in found.checks if check.name == "perplexity")


def untied(base, folder, change=lambda head: None):
    """A copy that stores its head on its own, changed in place by `change`."""

    def store(tensors):
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
        change(tensors["lm_head.weight"])

    copy_of(base, folder, store)
    edit_json(folder / "config.json", lambda config: config.update(tie_word_embeddings=False))
    return folder


@pytest.mark.parametrize("family", ["qwen3", "gemma2", "mistral"])
def test_a_head_that_is_stored_beside_its_embedding_is_the_same_model(tmp_path, family):
    base = make_base(tmp_path / "base", family)
    copy = untied(base, tmp_path / "untied")
    check(base, copy, "same")
    check(copy, base, "same")


def test_a_head_with_other_values_is_another_model(tmp_path):
    base = make_base(tmp_path / "base")
    other = untied(base, tmp_path / "other", lambda head: head[3].mul_(1.01))
    assert {"config", "weights"} <= failed(certificate(base, other))
