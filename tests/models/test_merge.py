"""The streamed merge against PEFT's own, bit by bit, and its memory."""

import contextlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from burnish.core.errors import ModelError
from burnish.models.load import describe, load_model
from burnish.models.merge import merge_adapter
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model

LORA = LoraSpec(rank=4)
SPECS = {
    "lora": LORA,
    "rslora": LoraSpec(rank=4, alpha=3.0, rslora=True),
    "dora": LoraSpec(rank=4, dora=True),
    "modules trained fully": LoraSpec(rank=4, train_fully=["lm_head", "embed_tokens"]),
    "an embedding": LoraSpec(rank=4, targets=["embed_tokens", "q_proj"]),
    "an embedding, dora": LoraSpec(rank=4, targets=["embed_tokens", "q_proj"], dora=True),
}


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def merged_by_peft(adapter: Path) -> dict[str, torch.Tensor]:
    return dict(load_model(adapter).merge_and_unload().state_dict())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", SPECS)
def test_merge_has_the_same_bits_as_pefts(tmp_path, make_adapter, kind, dtype):
    base = tiny_model(tmp_path / "base", dtype=dtype, tie_word_embeddings=False)
    adapter = make_adapter(base, SPECS[kind])

    merge_adapter(adapter, base, tmp_path / "merged")

    ours, theirs = weights_of(tmp_path / "merged"), merged_by_peft(adapter)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        if (kind, dtype, "embed" in name) == ("an embedding", "bfloat16", True):
            # PEFT rounds B·A to bfloat16 before it adds; ours rounds once, at the end
            torch.testing.assert_close(tensor, theirs[name], rtol=2**-7, atol=1e-3)
        else:
            assert torch.equal(tensor, theirs[name]), name
    changed = [name for name, tensor in weights_of(base).items() if not torch.equal(tensor, ours[name])]
    assert changed


def test_merge_reads_and_writes_several_shards(tmp_path, make_adapter):
    base = tiny_model(tmp_path / "base", tie_word_embeddings=False, max_shard_bytes=40_000)
    assert len(list(base.glob("*.safetensors"))) > 2
    adapter = make_adapter(base, LORA)

    merged = merge_adapter(adapter, base, tmp_path / "merged", max_shard_bytes=50_000)

    theirs = merged_by_peft(adapter)
    model = load_model(tmp_path / "merged")
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())
    files = list((tmp_path / "merged").glob("*.safetensors"))
    assert merged.files == len(files) > 2
    assert all(file.stat().st_size < 55_000 for file in files)
    index = json.loads((tmp_path / "merged" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == describe(tmp_path / "merged").bytes


@pytest.mark.parametrize("train_fully", [["lm_head"], ["embed_tokens"], []])
@pytest.mark.parametrize("targets", ["all-linear", ["embed_tokens", "q_proj"]])
def test_merge_of_tied_embeddings_answers_as_the_adapter_does(tmp_path, make_adapter, token_ids, train_fully, targets):
    if "embed_tokens" in train_fully and targets != "all-linear":
        pytest.skip("one module cannot be trained both ways")
    base = tiny_model(tmp_path / "base", tie_word_embeddings=True)
    assert "lm_head.weight" not in weights_of(base)
    adapter = make_adapter(base, LoraSpec(rank=4, train_fully=train_fully, targets=targets))

    merged = merge_adapter(adapter, base, tmp_path / "merged")

    assert merged.untied == bool(train_fully or targets != "all-linear")
    expected = load_model(adapter)(token_ids).logits
    torch.testing.assert_close(load_model(tmp_path / "merged")(token_ids).logits, expected, atol=1e-5, rtol=1e-5)
    assert (load_model(base)(token_ids).logits - expected).abs().max() > 1e-2


def test_merge_knows_that_gpt2_keeps_its_layers_transposed(tmp_path, make_adapter, token_ids):
    base = tiny_model(tmp_path / "base", "gpt2")
    adapter = make_adapter(base, LoraSpec(rank=4, dora=True))  # c_proj is square: its shape does not tell

    merge_adapter(adapter, base, tmp_path / "merged")

    expected = load_model(adapter)(token_ids).logits
    torch.testing.assert_close(load_model(tmp_path / "merged")(token_ids).logits, expected, atol=1e-5, rtol=1e-5)


def test_merge_can_cast(tmp_path, make_adapter):
    base = tiny_model(tmp_path / "base")
    adapter = make_adapter(base, LORA)

    merge_adapter(adapter, base, tmp_path / "merged", dtype="bfloat16")

    assert describe(tmp_path / "merged").dtype == "BF16"
    model = load_model(tmp_path / "merged")
    assert model.dtype == torch.bfloat16
    theirs = merged_by_peft(adapter)
    assert all(torch.equal(tensor, theirs[name].bfloat16()) for name, tensor in model.state_dict().items())


def test_merge_takes_tokenizer_and_template_along(tmp_path, make_adapter):
    base = tiny_model(tmp_path / "base")
    adapter = make_adapter(base, LORA)
    (adapter / "chat_template.jinja").write_text("the adapter's own")
    (adapter / "curves.json").write_text("{}")
    config = json.loads((base / "generation_config.json").read_text())
    (base / "generation_config.json").write_text(json.dumps({**config, "temperature": 0.3, "eos_token_id": [2, 5]}))

    merge_adapter(adapter, base, tmp_path / "merged")

    assert (tmp_path / "merged/chat_template.jinja").read_text() == "the adapter's own"
    assert (tmp_path / "merged/tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    own = (base / "generation_config.json").read_bytes()  # not the defaults of transformers
    assert (tmp_path / "merged/generation_config.json").read_bytes() == own
    assert not (tmp_path / "merged/curves.json").exists()
    assert not (tmp_path / "merged/adapter_config.json").exists()


def test_merge_refuses_the_adapter_of_another_model(tmp_path, make_adapter):
    base = tiny_model(tmp_path / "base")
    adapter = make_adapter(base, LORA)
    wider = tiny_model(tmp_path / "wider", hidden_size=64)
    shallower = tiny_model(tmp_path / "shallower", num_hidden_layers=1)

    for other in (wider, shallower):
        with pytest.raises(ModelError) as error:
            merge_adapter(adapter, other, tmp_path / "merged")
        assert error.value.code == "model.wrong-adapter"


@pytest.mark.parametrize("change", [{"peft_type": "IA3"}, {"use_qalora": True}])
def test_merge_refuses_what_it_does_not_compute(tmp_path, make_adapter, change):
    base = tiny_model(tmp_path / "base")
    adapter = make_adapter(base, LORA)
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))

    with pytest.raises(ModelError, match=next(iter(change.values())) if "peft_type" in change else next(iter(change))):
        merge_adapter(adapter, base, tmp_path / "merged")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT asks transformers by names that have gone old
@pytest.mark.parametrize("is_cut_off", [False, True])
def test_an_adapter_that_was_trained_again_in_its_place_is_merged_as_it_is_now(tmp_path, make_adapter, is_cut_off):
    """The matrices of stacked experts are kept while a merge runs, and no longer: not even where it fails."""
    sizes = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
    base = tiny_model(tmp_path / "base", "qwen3_moe", tie_word_embeddings=False, **sizes)
    spec = LoraSpec(rank=2, targets=["q_proj"], experts=True)

    def stop(done: int, total: int) -> None:
        if is_cut_off and done == total:
            raise InterruptedError

    with contextlib.suppress(InterruptedError):
        merge_adapter(make_adapter(base, spec, seed=1), base, tmp_path / "first", progress=stop)
    adapter = make_adapter(base, spec, seed=2)
    merge_adapter(adapter, base, tmp_path / "second")

    ours, theirs = load_model(tmp_path / "second").state_dict(), merged_by_peft(adapter)
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-5, rtol=1e-5)


MEASURE = """
import re, sys
from pathlib import Path
from burnish.models.merge import merge_adapter

def peak():  # getrusage would start from the peak of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

adapter, small, large, out = map(Path, sys.argv[1:])
merge_adapter(adapter / "small", small, out / "small")  # everything is imported and warm
before = peak()
merge_adapter(adapter / "large", large, out / "large")
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_bounded_by_the_largest_tensor(tmp_path, make_adapter):
    """12 layers, 152 MB in one file, 3 MB the largest tensor: the merge adds less than 31 MB (measured: 20)."""
    small = tiny_model(tmp_path / "small")
    sizes = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 12, "head_dim": 128}
    large = tiny_model(tmp_path / "large", tokenizer=False, **sizes)
    make_adapter(small, LORA, "adapters/small")
    make_adapter(large, LORA, "adapters/large")
    size, largest = describe(large).bytes, max(tensor.nbytes for tensor in weights_of(large).values())
    assert (size, largest) > (120e6, 3e6)

    command = [sys.executable, "-c", MEASURE, tmp_path / "adapters", small, large, tmp_path / "out"]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert grown < 5 * largest + 15e6 < size / 4


@pytest.mark.parametrize("start", ["pissa", "PiSSA_niter_16", "olora", "loftq", "corda", "lora_ga"])
def test_merge_refuses_an_adapter_whose_start_changed_the_base(tmp_path, make_adapter, start):
    base = tiny_model(tmp_path / "base")
    adapter = make_adapter(base, LORA)
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"init_lora_weights": start}))
    with pytest.raises(ModelError) as error:
        merge_adapter(adapter, base, tmp_path / "merged")
    assert error.value.code == "model.wrong-adapter"
    assert start in error.value.what


def test_merge_refuses_a_base_that_is_an_adapter_or_quantized(tmp_path, make_adapter):
    base = tiny_model(tmp_path / "base")
    adapter = make_adapter(base, LORA)
    with pytest.raises(ModelError, match="is itself an adapter"):
        merge_adapter(adapter, adapter, tmp_path / "merged")
    config = base / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": {"quant_method": "awq"}}))
    with pytest.raises(ModelError, match="is quantized"):
        merge_adapter(adapter, base, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize(
    ("field", "value", "fix"),
    [
        ("layer_replication", [[0, 1]], "train again without layer_replication"),
        ("init_lora_weights", "pissa", "on the changed base"),
    ],
)
def test_a_setting_of_an_adapter_that_is_not_merged_is_named_with_its_file(tmp_path, make_adapter, field, value, fix):
    base = tiny_model(tmp_path / "base")
    adapter = make_adapter(base, LORA)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, field: value}))
    with pytest.raises(ModelError) as caught:
        merge_adapter(adapter, base, tmp_path / "merged")
    assert caught.value.code == "model.wrong-adapter"
    assert str(adapter) in caught.value.what
    assert "adapter_config.json" in caught.value.what
    assert f"{field}: {value}" in caught.value.what
    assert fix in caught.value.fix


BIASES = {
    "all": {"bias": "all"},
    "of adapted layers": {"bias": "lora_only"},
    "of B": {"lora_bias": True},
    "all, with rsLoRA": {"bias": "all", "use_rslora": True},
}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT asks transformers by names that have gone old
@pytest.mark.filterwarnings("ignore:.*have invalid shape")  # PEFT, of the biases of B, which it loads
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", BIASES)
def test_trained_biases_are_merged_bit_for_bit_as_peft_does(tmp_path, kind, dtype):
    base = tiny_model(tmp_path / "base", "qwen2", dtype=dtype)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", **BIASES[kind])
    torch.manual_seed(0)
    with torch.no_grad():
        before = load_model(base)
        for name, weight in before.named_parameters():
            weight.add_(torch.randn(weight.shape).to(weight.dtype) * name.endswith("bias"))
        before.save_pretrained(base)
        model = get_peft_model(load_model(base), config)
        for weight in filter(lambda each: each.requires_grad, model.parameters()):
            weight.add_(torch.randn(weight.shape).to(weight.dtype) * 0.1)
    model.save_pretrained(tmp_path / "adapter")
    peft = PeftModel.from_pretrained(load_model(base), tmp_path / "adapter").merge_and_unload().state_dict()

    merged = merge_adapter(tmp_path / "adapter", base, tmp_path / "merged")

    found = load_model(tmp_path / "merged").state_dict()
    assert found.keys() == peft.keys()
    assert [name for name in found if not torch.equal(found[name], peft[name])] == []
    before = weights_of(base)
    changed = [name for name in found if name.endswith("bias") and not torch.equal(found[name], before[name])]
    assert len(changed) == (6 if BIASES[kind].get("bias") == "all" else 4)
    assert merged.changed == 4 + len(changed)


def test_the_bias_of_a_layer_without_one_is_refused(tmp_path):
    base = tiny_model(tmp_path / "base", "qwen2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(load_model(base), LoraConfig(r=2, target_modules=["o_proj"], lora_bias=True))
        model.save_pretrained(tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"the base has no tensor 'model.layers.0.self_attn.o_proj.bias'"):
        merge_adapter(tmp_path / "adapter", base, tmp_path / "merged")
