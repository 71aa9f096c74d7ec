"""Damaged adapters and models: each is refused by name wherever a model is loaded, merged, asked or talked to."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.core.context import Input
from burnish.core.errors import BurnishError, ModelError
from burnish.core.inputs.checks import write_base_record
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.bases import base_of, tokenizer_folder
from burnish.models.load import describe, load_model
from burnish.models.merge import merge_adapter
from burnish.specs.models import GenerateSpec, MergeSpec
from burnish.specs.train import LoraSpec
from burnish.stages.models import chat, generate, merge
from burnish.stages.train.training import config_of
from burnish.testing import input_at, temporary_context, tiny_model

Damage = Callable[[Path], None]
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A folder with `base`, and adapters on it: `lora`, `dora`, and `full`, which trains its head whole."""
    folder = tmp_path_factory.mktemp("good")
    tiny_model(folder / "base", tie_word_embeddings=False)
    specs = {"lora": LoraSpec(rank=2), "dora": LoraSpec(rank=2, dora=True)}
    for name, spec in {**specs, "full": LoraSpec(rank=2, train_fully=["lm_head"])}.items():
        model = attach_lora(load_model(folder / "base"), spec)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.full_like(parameter, 0.01))
        save_adapter(model, folder / name, input_at(folder / "base"))
    return folder


@pytest.fixture
def copy(good, tmp_path) -> Path:
    """A copy of it to be damaged, its adapters on its base."""
    place = Path(shutil.copytree(good, tmp_path / "copy"))
    for name in ("lora", "dora", "full"):
        set_config(place / name, base_model_name_or_path=str(place / "base"))
    (place / "prompts.jsonl").write_text(json.dumps({"messages": [{"role": "user", "content": "Hi"}]}) + "\n")
    return place


def set_config(folder: Path, **values: Any) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def tensors_of(folder: Path, change: Callable[[dict[str, torch.Tensor]], None], file: str = WEIGHTS) -> None:
    tensors = load_file(folder / file)
    change(tensors)
    save_file(tensors, folder / file, {"format": "pt"})


def first(tensors: dict[str, torch.Tensor], part: str) -> str:
    return next(name for name in sorted(tensors) if part in name)


def set_first(part: str, value: float) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[first(tensors, part)].view(-1)[3] = value

    return change


def drop(part: str, only_first: bool = True) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in [first(tensors, part)] if only_first else [name for name in tensors if part in name]:
            del tensors[name]

    return change


def to_int8(part: str) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        name = first(tensors, part)
        tensors[name] = (tensors[name] * 100).to(torch.int8)

    return change


def widen(tensors: dict[str, torch.Tensor]) -> None:
    name = first(tensors, "q_proj.lora_A")
    tensors[name] = torch.cat([tensors[name], tensors[name]])


def add(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight"] = torch.zeros(2, 32)


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def to_pickle(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({}, folder / "adapter_model.bin")


ADAPTERS: dict[str, tuple[str, Damage, str, str]] = {
    "NaN in a matrix": ("lora", lambda a: tensors_of(a, set_first("lora_A", float("nan"))), "model.broken", "lora_A"),
    "infinity": ("lora", lambda a: tensors_of(a, set_first("lora_B", float("inf"))), "model.broken", "infinite"),
    "NaN in a whole module": (
        "full",
        lambda a: tensors_of(a, set_first("lm_head", float("nan"))),
        "model.broken",
        "lm_",
    ),
    "A of a pair lost": ("lora", lambda a: tensors_of(a, drop("lora_A")), "model.wrong-adapter", "missing"),
    "B of a pair lost": ("lora", lambda a: tensors_of(a, drop("lora_B")), "model.wrong-adapter", "missing"),
    "a layer lost": ("lora", lambda a: tensors_of(a, drop("layers.1", False)), "model.wrong-adapter", "missing"),
    "no tensors": ("lora", lambda a: tensors_of(a, dict.clear), "model.wrong-adapter", "missing"),
    "no magnitudes": ("dora", lambda a: tensors_of(a, drop("magnitude", False)), "model.wrong-adapter", "magnitude"),
    "one magnitude lost": ("dora", lambda a: tensors_of(a, drop("magnitude")), "model.wrong-adapter", "magnitude"),
    "no whole module": ("full", lambda a: tensors_of(a, drop("lm_head", False)), "model.wrong-adapter", "lm_head"),
    "a tensor too many": ("lora", lambda a: tensors_of(a, add), "model.wrong-adapter", "unknown"),
    "another shape": ("lora", lambda a: tensors_of(a, widen), "model.wrong-adapter", "expected"),
    "integers": ("lora", lambda a: tensors_of(a, to_int8("lora_B")), "model.broken", "integers"),
    "a negative rank": ("lora", lambda a: set_config(a, r=-2), "model.wrong-adapter", "-2"),
    "rank zero": ("lora", lambda a: set_config(a, r=0), "model.wrong-adapter", "0"),
    "another rank": ("lora", lambda a: set_config(a, r=4), "model.wrong-adapter", "expected"),
    "a rank in words": ("lora", lambda a: set_config(a, r="two"), "model.wrong-adapter", "adapter"),
    "alpha NaN": ("lora", lambda a: set_config(a, lora_alpha=float("nan")), "model.wrong-adapter", "lora_alpha"),
    "alpha infinite": ("lora", lambda a: set_config(a, lora_alpha=float("inf")), "model.wrong-adapter", "lora_alpha"),
    "alpha in words": ("lora", lambda a: set_config(a, lora_alpha="many"), "model.wrong-adapter", "adapter"),
    "no targets": ("lora", lambda a: set_config(a, target_modules=["nothing"]), "model.wrong-adapter", "nothing"),
    "a broken pattern": ("lora", lambda a: set_config(a, target_modules="(q_proj"), "model.wrong-adapter", "adapter"),
    "an unknown kind": ("lora", lambda a: set_config(a, peft_type="NEW"), "model.wrong-adapter", "NEW"),
    "torn weights": ("lora", lambda a: tear(a / WEIGHTS), "model.broken", "header"),
    "no weights": ("lora", lambda a: (a / WEIGHTS).unlink(), "model.broken", "missing"),
    "pickled weights": ("lora", to_pickle, "model.pickle", "pickle"),
    "no JSON": ("lora", lambda a: (a / CONFIG).write_text("{"), "model.broken", CONFIG),
    "a list as config": ("lora", lambda a: (a / CONFIG).write_text("[]"), "model.broken", CONFIG),
    "its own base": ("lora", lambda a: set_config(a, base_model_name_or_path="."), "model.broken", "is its own base"),
    "no base named": ("lora", lambda a: set_config(a, base_model_name_or_path=None), "model.not-found", "names none"),
    "a base in a list": ("lora", lambda a: set_config(a, base_model_name_or_path=["x"]), "model.not-found", "base"),
}


def load(folder: Path) -> None:
    load_model(folder)


def merge_it(folder: Path) -> None:
    ctx, _ = temporary_context(folder.parent / "merging", {"model": folder})
    merge.run(MergeSpec(model="file:m"), ctx)


def generate_with(folder: Path) -> None:
    inputs = {"model": folder, "data": folder.parent / "prompts.jsonl"}
    ctx, _ = temporary_context(folder.parent / "generating", inputs)
    generate.run(GenerateSpec(model="file:m", data="file:d", device="cpu"), ctx)


ENTRIES = {"load": load, "merge": merge_it, "generate": generate_with}


def refusal(ask: Callable[[Path], None], folder: Path) -> BurnishError:
    with pytest.raises(BurnishError) as error:
        ask(folder)
    assert error.value.fix
    assert str(folder.parent) in error.value.what  # which file or folder it is
    return error.value


def talk_to(folder: Path, capsys) -> tuple[int, str]:
    status = chat.main([json.dumps(input_at(folder).to_json()), "--ask", "Hi", "--device=cpu", "--max-new-tokens=2"])
    told = capsys.readouterr()
    assert told.out == ""
    assert "error:" in told.err
    assert "hint:" in told.err
    assert "Traceback" not in told.err
    return status, told.err


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("damage", ADAPTERS)
def test_a_damaged_adapter_is_refused_everywhere(copy, damage, entry):
    name, do, code, told = ADAPTERS[damage]
    do(copy / name)
    error = refusal(ENTRIES[entry], copy / name)
    assert (error.code, told in error.what) == (code, True), error.what
    assert not (copy / "merging/out/model.safetensors").exists()


@pytest.mark.parametrize("damage", ADAPTERS)
def test_a_chat_with_a_damaged_adapter_says_what_and_how_to_fix_it(copy, damage, capsys):
    name, do, _, told = ADAPTERS[damage]
    do(copy / name)
    status, text = talk_to(copy / name, capsys)
    assert status == 4
    assert told in text


def test_every_undamaged_adapter_passes_every_entry(copy, capsys):
    for name in ("lora", "dora", "full"):
        for ask in ENTRIES.values():
            ask(copy / name)
        shutil.rmtree(copy / "merging")


def test_two_adapters_that_stand_on_each_other_are_refused(copy):
    set_config(copy / "lora", base_model_name_or_path=str(copy / "dora"))
    set_config(copy / "dora", base_model_name_or_path="../lora")
    for ask in (*ENTRIES.values(), lambda a: config_of(input_at(a)), tokenizer_folder):
        assert refusal(ask, copy / "lora").code == "model.broken"


def set_model(**values: Any) -> Damage:
    def change(base: Path) -> None:
        path = base / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def in_base(change: Callable[[dict[str, torch.Tensor]], None]) -> Damage:
    return lambda base: tensors_of(base, change, "model.safetensors")


def plus(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.layers.9.mlp.up_proj.weight"] = torch.zeros(2, 2)


def larger_tokenizer(base: Path) -> None:
    path = base / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 264, "content": "<|new|>"})
    path.write_text(json.dumps(tokenizer))


MODELS: dict[str, tuple[Damage, str, str]] = {
    "NaN in a matrix": (in_base(set_first("down_proj", float("nan"))), "model.broken", "NaN"),
    "infinity in a norm": (in_base(set_first("norm", float("-inf"))), "model.broken", "infinite"),
    "NaN in the embedding": (in_base(set_first("embed", float("nan"))), "model.broken", "embed_tokens"),
    "int8 without scales": (in_base(to_int8("down_proj")), "model.broken", "I8"),
    "a tensor lost": (in_base(drop("up_proj")), "model.broken", "missing"),
    "a tensor too many": (in_base(plus), "model.broken", "not part of the model"),
    "torn": (lambda base: tear(base / "model.safetensors"), "model.broken", "header"),
    "an unknown family": (set_model(model_type="qwen99"), "model.broken", "qwen99"),
    "no heads": (set_model(num_attention_heads=0), "model.broken", "base"),
    "layers in words": (set_model(num_hidden_layers="two"), "model.broken", "base"),
    "half a layer": (set_model(num_hidden_layers=1.5), "model.broken", "base"),
    "fewer layers": (set_model(num_hidden_layers=1, layer_types=["full_attention"]), "model.", ""),
    "more layers": (set_model(num_hidden_layers=3, layer_types=["full_attention"] * 3), "model.broken", "missing"),
    "another width": (set_model(intermediate_size=48), "model.", "base"),
    "a tokenizer too large": (larger_tokenizer, "model.broken", "264"),
}


@pytest.mark.parametrize("damage", MODELS)
def test_a_damaged_model_is_refused_everywhere(copy, damage, capsys):
    do, code, told = MODELS[damage]
    do(copy / "base")
    asks: tuple[Callable[[Path], None], ...] = (
        load,
        generate_with,
        lambda base: merge_it(base.parent / "lora"),
        lambda base: load(base.parent / "lora"),
    )
    for ask in asks:
        error = refusal(ask, copy / "base")
        assert error.code.startswith(code)
        assert told in error.what
    for name in ("base", "lora"):
        status, _ = talk_to(copy / name, capsys)
        assert status == 4
    assert not (copy / "merging/artifact.json").exists()


def test_a_quantized_model_whose_library_is_missing_says_which(copy, capsys):
    set_model(quantization_config={"quant_method": "hqq", "quant_config": {}})(copy / "base")
    assert refusal(load, copy / "base").code == "machine.no-package"
    status, text = talk_to(copy / "base", capsys)
    assert status == 5
    assert "hqq" in text.lower()


def test_a_card_of_int8_weights_is_refused(copy):
    in_base(to_int8("down_proj"))(copy / "base")
    assert refusal(lambda base: str(describe(base)) and None, copy / "base").code == "model.broken"


def test_a_merge_that_does_not_stay_finite_is_refused(copy):
    tensors_of(copy / "lora", set_first("lora_B", 1e30))
    with pytest.raises(ModelError, match="merged values overflow F16"):
        merge_adapter(copy / "lora", copy / "base", copy / "merged", dtype="float16")


def test_a_base_that_is_given_under_another_name_is_reported(copy):
    other = tiny_model(copy / "other", seed=1, tie_word_embeddings=False)
    ctx, events = temporary_context(copy / "merging", {"model": copy / "lora", "base": other})
    merge.run(MergeSpec(model="file:m", base="file:b"), ctx)
    told = [event for event in events if "names" in getattr(event, "text", "")]
    assert [event.level for event in told] == ["warning"]


def test_a_base_of_the_same_shape_with_other_weights_is_refused(copy, tmp_path):
    write_base_record(copy / "lora", input_at(copy / "base"), {})
    for ask in ENTRIES.values():
        ask(copy / "lora")
    shutil.rmtree(copy / "merging")

    other = tiny_model(tmp_path / "other", seed=1, tie_word_embeddings=False)
    ctx, _ = temporary_context(copy / "merging", {"model": copy / "lora", "base": other})
    with pytest.raises(ModelError, match=re.escape("model.safetensors")) as error:
        merge.run(MergeSpec(model="file:m", base="file:b"), ctx)
    assert error.value.code == "model.wrong-adapter"
    assert "other_base" in error.value.fix
    ctx, events = temporary_context(copy / "merging", {"model": copy / "lora", "base": other})
    merge.run(MergeSpec(model="file:m", base="file:b", other_base=True), ctx)
    assert [event.level for event in events if "trained on" in getattr(event, "text", "")] == ["warning"]

    set_config(copy / "lora", base_model_name_or_path=str(other))
    for ask in ENTRIES.values():
        assert refusal(ask, copy / "lora").code == "model.wrong-adapter"


@pytest.mark.parametrize("revision", ["c" * 40, "main", None])
def test_a_base_in_the_hubs_cache_is_found(copy, tmp_path, monkeypatch, revision, capsys):
    cache = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    place = cache / "models--owner--tiny"
    (place / "refs").mkdir(parents=True)
    (place / "refs/main").write_text("c" * 40)
    (place / "snapshots").mkdir()
    (copy / "base").rename(place / "snapshots" / ("c" * 40))
    set_config(copy / "lora", base_model_name_or_path="owner/tiny", revision=revision)

    found = base_of(copy / "lora")
    assert isinstance(found, Input)
    assert (found.ref, found.revision) == (f"hub:owner/tiny@{'c' * 40}", "c" * 40)
    for ask in ENTRIES.values():
        ask(copy / "lora")
    asked = json.dumps(input_at(copy / "lora").to_json())
    assert chat.main([asked, "--ask", "Hi", "--device=cpu", "--max-new-tokens=2"]) == 0
    assert not capsys.readouterr().err

    set_config(copy / "lora", base_model_name_or_path="owner/other")
    error = refusal(load, copy / "lora")
    assert error.code == "model.not-found"
    assert "owner/other" in error.what


def test_a_chat_refuses_settings_as_a_run_does(copy, capsys):
    asked = json.dumps(input_at(copy / "base").to_json())
    assert chat.main([asked, "--ask", "Hi", "--temperature=-1"]) == 2
    told = capsys.readouterr().err
    assert "temperature" in told
    assert "hint:" in told
    assert "Traceback" not in told
    assert chat.main([asked, "--ask", "Hi", "--temperature=-1", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err
