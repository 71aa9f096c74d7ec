"""The parts of a merge: files and their sizes, the config, the companions, and how much rounding takes."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.core.errors import ModelError
from burnish.models.adapters.pieces import Piece, _distance
from burnish.models.companions import copy_companions, write_config
from burnish.models.layout import Layout, Place, refuse_incomplete, skeleton_of
from burnish.models.load import load_model
from burnish.models.merge import (
    Merged,
    _embedding_and_head,
    _shards,
    merge_adapter,
)
from burnish.models.weights import TensorInfo
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model

LORA = LoraSpec(rank=2, targets=["q_proj", "v_proj"])


def weights_of(folder):
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


@pytest.mark.parametrize("dtype", ["keep", "float32", "bfloat16", "float16"])
def test_what_a_merge_did_is_counted(tmp_path, make_adapter, dtype):
    base = tiny_model(tmp_path / "base", tie_word_embeddings=False, dtype="bfloat16")
    adapter = make_adapter(base, LORA)
    ticks = []
    merged = merge_adapter(adapter, base, tmp_path / "merged", dtype=dtype, progress=lambda *words: ticks.append(words))
    before, after = weights_of(base), weights_of(tmp_path / "merged")
    exact = dict(load_model(adapter, dtype=torch.float32).merge_and_unload().state_dict())
    changed = [name for name in before if "q_proj" in name or "v_proj" in name]
    lost = sum(float((exact[name] - after[name].float()).double().square().sum()) for name in changed)
    change = sum(float((exact[name] - before[name].float()).double().square().sum()) for name in changed)
    assert merged == Merged(
        parameters=sum(tensor.numel() for tensor in before.values()),
        changed=4,
        files=1,
        untied=False,
        rounded=pytest.approx((lost / change) ** 0.5, rel=1e-3),
        dtype=dtype,
        in_base_dtype=None,
    )
    assert (merged.rounded == 0) is (dtype == "float32")
    assert ticks == [(number, len(before)) for number in range(1, len(before) + 1)]
    wanted = torch.bfloat16 if dtype == "keep" else getattr(torch, dtype)
    assert {tensor.dtype for tensor in after.values()} == {wanted}
    for name, tensor in after.items():
        expected = exact[name] if name in changed else before[name].float()
        torch.testing.assert_close(tensor.float(), expected.to(wanted).float(), rtol=2**-8, atol=1e-6)
    assert sorted(path.name for path in (tmp_path / "merged").glob("model*")) == ["model.safetensors"]


def test_an_adapter_that_changes_nothing_has_lost_nothing(tmp_path):
    from burnish.models.adapters.attach import attach_lora, save_adapter
    from burnish.testing import input_at

    base = tiny_model(tmp_path / "base", dtype="bfloat16")
    save_adapter(attach_lora(load_model(base), LORA), tmp_path / "adapter", input_at(base))
    merged = merge_adapter(tmp_path / "adapter", base, tmp_path / "merged")
    assert (merged.changed, merged.rounded) == (4, 0.0)


def test_an_index_names_the_file_of_each_tensor(tmp_path, make_adapter):
    base = tiny_model(tmp_path / "base", tie_word_embeddings=False)
    merged = merge_adapter(make_adapter(base, LORA), base, tmp_path / "merged", max_shard_bytes=60_000)
    files = sorted((tmp_path / "merged").glob("*.safetensors"))
    count = merged.files
    assert [file.name for file in files] == [f"model-{n:05}-of-{count:05}.safetensors" for n in range(1, count + 1)]
    tensors = {name: (file.name, tensor.nbytes) for file in files for name, tensor in load_file(file).items()}
    text = (tmp_path / "merged" / "model.safetensors.index.json").read_text()
    index = json.loads(text)
    assert index == {
        "metadata": {"total_size": sum(size for _, size in tensors.values())},
        "weight_map": {name: file for name, (file, _) in tensors.items()},
    }
    assert text == json.dumps(index, indent=2, sort_keys=True) + "\n"


@pytest.mark.parametrize(
    ("sizes", "limit", "files"),
    [
        ([], 10, []),
        ([10], 10, [[10]]),
        ([11], 10, [[11]]),
        ([4, 6, 1], 10, [[4, 6], [1]]),
        ([4, 7], 10, [[4], [7]]),
        ([1, 30, 1, 1], 10, [[1], [30], [1, 1]]),
        ([5, 5, 5, 5, 5], 10, [[5, 5], [5, 5], [5]]),
    ],
)
def test_a_file_holds_as_much_as_it_may(sizes, limit, files):
    pieces = [Piece(str(n), "U8", TensorInfo(str(n), "F32", (size,), None, 0)) for n, size in enumerate(sizes)]
    found = list(_shards(pieces, limit))
    assert [[piece.bytes for piece in shard] for shard in found] == files
    assert [piece for shard in found for piece in shard] == pieces


def test_a_distance_is_taken_over_all_rows():
    one, other = torch.arange(2 * 300.0).reshape(300, 2), torch.zeros(300, 2)
    assert _distance(one, other) == pytest.approx(float(one.double().square().sum()), rel=1e-6)
    half = torch.full((1, 2), 300.0, dtype=torch.float16)  # its square is too large for float16
    assert _distance(half, torch.zeros(1, 2, dtype=torch.float16)) == 2 * 90_000
    assert _distance(torch.tensor([2.0]), torch.tensor([5.0])) == 9.0


@pytest.mark.parametrize(
    ("config", "dtype", "untied", "written"),
    [
        ({"a": 1, "dtype": "float32"}, "keep", False, {"a": 1, "dtype": "float32"}),
        ({"dtype": "float32"}, "bfloat16", False, {"dtype": "bfloat16"}),
        ({}, "bfloat16", False, {"dtype": "bfloat16"}),
        ({"torch_dtype": "float32"}, "float16", False, {"torch_dtype": "float16"}),
        (
            {"torch_dtype": "float32", "dtype": "float32"},
            "float16",
            False,
            {"torch_dtype": "float16", "dtype": "float16"},
        ),
        (
            {"text_config": {"dtype": "float32", "torch_dtype": "float32", "b": "é"}},
            "bfloat16",
            False,
            {"text_config": {"dtype": "bfloat16", "torch_dtype": "bfloat16", "b": "é"}, "dtype": "bfloat16"},
        ),
        ({"text_config": {}}, "bfloat16", False, {"text_config": {}, "dtype": "bfloat16"}),
        ({}, "keep", True, {"tie_word_embeddings": False}),
        (
            {"tie_word_embeddings": True, "text_config": {"tie_word_embeddings": True}},
            "keep",
            True,
            {"tie_word_embeddings": False, "text_config": {"tie_word_embeddings": False}},
        ),
        ({"text_config": {"a": 1}}, "keep", True, {"text_config": {"a": 1}, "tie_word_embeddings": False}),
        ({"tie_word_embeddings": True}, "keep", False, {"tie_word_embeddings": True}),
    ],
)
def test_the_config_says_what_was_written(tmp_path, config, dtype, untied, written):
    write_config(config, tmp_path, dtype, untied)
    text = (tmp_path / "config.json").read_text(encoding="utf-8")
    assert json.loads(text) == written
    assert text == json.dumps(written, indent=2, ensure_ascii=False) + "\n" or len(written) > 1


COMPANIONS = [
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("vocab.txt", "merges.txt", "spiece.model", "tokenizer.model", "qwen.tiktoken", "chat_template.jinja"),
    *("chat_template.json", "additional_chat_templates/tools.jinja", "generation_config.json"),
    *("preprocessor_config.json", "processor_config.json", "LICENSE", "LICENSE.txt", "NOTICE", "NOTICE.md"),
]
OTHERS = ["config.json", "README.md", "model.safetensors", "training_args.bin", "additional_chat_templates/a.txt"]


def test_what_belongs_to_a_model_is_copied_and_nothing_else(tmp_path):
    base, adapter, out = tmp_path / "base", tmp_path / "adapter", tmp_path / "out"
    for folder, names in ((base, [*COMPANIONS, *OTHERS]), (adapter, ["chat_template.jinja"]), (out, [])):
        folder.mkdir()
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"{folder.name} {name}")
    copy_companions(base, out)
    copy_companions(adapter, out)
    found = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*") if path.is_file()}
    assert found == {name: f"base {name}" for name in COMPANIONS} | {
        "chat_template.jinja": "adapter chat_template.jinja"
    }


def test_values_that_are_not_finite_are_refused_before_and_after_the_change(tmp_path, make_adapter):
    base = tiny_model(tmp_path / "base", tie_word_embeddings=False)
    adapter = make_adapter(base, LORA)
    file, tensors = base / "model.safetensors", load_file(base / "model.safetensors")
    for number, (name, value, dtype) in enumerate(
        (
            ("model.layers.1.mlp.up_proj.weight", float("nan"), "keep"),
            ("model.layers.1.mlp.up_proj.weight", float("inf"), "float32"),
            ("model.layers.1.mlp.up_proj.weight", float("nan"), "bfloat16"),
            ("model.layers.1.self_attn.q_proj.weight", float("nan"), "keep"),
            ("model.layers.1.mlp.up_proj.weight", 1e6, "float16"),
            ("model.layers.1.self_attn.q_proj.weight", -1e6, "float16"),
        )
    ):
        changed = tensors[name].clone()
        changed[1, 1] = value
        save_file({**tensors, name: changed}, file, {"format": "pt"})
        with pytest.raises(ModelError) as caught:
            merge_adapter(adapter, base, tmp_path / f"merged{number}", dtype=dtype)
        assert caught.value.code == "model.broken"
        assert name in caught.value.what
        assert ("F16" in caught.value.what) is (abs(value) == 1e6)


def test_integers_of_a_model_are_copied_as_they_are(tmp_path, make_adapter):
    base = tiny_model(tmp_path / "base", "gpt2")
    adapter = make_adapter(base, LoraSpec(rank=2))
    file = base / "model.safetensors"
    tensors = load_file(file)
    masks = {f"transformer.h.{n}.attn.bias": torch.ones(1, 1, 8, 8, dtype=torch.uint8).tril() for n in range(2)}
    save_file({**tensors, **masks}, file, {"format": "pt"})
    merge_adapter(adapter, base, tmp_path / "merged", dtype="float16")
    after = weights_of(tmp_path / "merged")
    assert after.keys() == tensors.keys() | masks.keys()
    assert all(torch.equal(after[name], mask) for name, mask in masks.items())
    assert {tensor.dtype for name, tensor in after.items() if name not in masks} == {torch.float16}


def test_the_ends_of_a_model_are_named(tmp_path):
    base = tiny_model(tmp_path / "base", tokenizer=False)
    skeleton = skeleton_of(base, {"model_type": "qwen3"})
    assert _embedding_and_head(skeleton) == ("model.embed_tokens.weight", "lm_head.weight")
    skeleton.get_output_embeddings = lambda: None
    assert _embedding_and_head(skeleton) == ("model.embed_tokens.weight", "")


def test_half_a_base_is_refused_with_the_first_name(tmp_path):
    def skeleton(parameters, buffers=(), shared=(), missing=None, unexpected=None):
        return SimpleNamespace(
            state_dict=lambda: dict.fromkeys([*parameters, *buffers]),
            named_parameters=lambda: [(name, None) for name in parameters],
            all_tied_weights_keys=dict.fromkeys(shared),
            _keys_to_ignore_on_load_missing=missing,
            _keys_to_ignore_on_load_unexpected=unexpected,
        )

    def refuse(skeleton, held, rearranged=()):
        layout = Layout({name: [Place(name)] for name in held}, dict.fromkeys(rearranged, "Transpose"))
        refuse_incomplete(skeleton, layout, tmp_path)

    def refusal(*words):
        with pytest.raises(ModelError) as caught:
            refuse(*words)
        assert caught.value.code == "model.broken"
        return [word.strip("',:") for word in caught.value.what.split() if "." in word and "/" not in word][-1]

    whole = ["m.a", "m.b"]
    refuse(skeleton(whole), whole)
    refuse(skeleton(whole, buffers=["m.c"]), whole)
    refuse(skeleton(whole, buffers=["m.c"]), [*whole, "m.c"])
    assert refusal(skeleton(["m.c", *whole]), ["m.a"]) == "m.b"
    refuse(skeleton(whole, shared=["m.b"]), ["m.a"])
    refuse(skeleton(whole), ["m.a"], rearranged=["m.b"])
    refuse(skeleton(whole, missing=[r"\.b$"]), ["m.a"])
    assert refusal(skeleton(whole, unexpected=[r"\.b$"]), ["m.a"]) == "m.b"
    assert refusal(skeleton(whole), [*whole, "m.z", "m.y"]) == "m.y"
    assert refusal(skeleton(whole, unexpected=[r"\.y$", "q"]), [*whole, "m.z", "m.y"]) == "m.z"
    assert refusal(skeleton(whole, missing=[r"\.y$"]), [*whole, "m.y"]) == "m.y"
