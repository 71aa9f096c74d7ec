"""Bad combinations of adapters: each is refused with what is wrong and what to do."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.models.combining.adapters import random_adapter

from burnish.core.errors import BurnishError
from burnish.core.inputs.checks import write_base_record
from burnish.models.adapters.new_tokens import TrainedTokens
from burnish.specs.models import CombineSpec
from burnish.specs.train import LoraSpec
from burnish.stages.models.combine import run
from burnish.studio.planning import stage_recipe
from burnish.testing import input_at, temporary_context, tiny_model, tiny_tokenizer

LORA = LoraSpec(rank=4, targets=["q_proj", "v_proj"])
Adapters = list[Path]


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A base, another base, and adapters by their kinds, each with its tokenizer and the record of its base."""
    folder = tmp_path_factory.mktemp("made")
    base = tiny_model(folder / "base", num_hidden_layers=1)
    tiny_model(folder / "elsewhere", num_hidden_layers=1, seed=5)
    kinds = {
        "one": (LORA, "base"),
        "other": (LORA, "base"),
        "rank 3": (LORA.model_copy(update={"rank": 3}), "base"),
        "dora": (LORA.model_copy(update={"dora": True}), "base"),
        "head": (LORA.model_copy(update={"train_fully": ["lm_head"]}), "base"),
        "elsewhere's": (LORA, "elsewhere"),
    }
    for seed, (name, (spec, on)) in enumerate(kinds.items()):
        random_adapter(folder / on, spec, folder / name, seed)
        write_base_record(folder / name, input_at(folder / on), {})
        tiny_tokenizer(folder / name)
    random_adapter(base, LORA, folder / "tokens", 9, tokens=TrainedTokens([7, 264], [264]))
    write_base_record(folder / "tokens", input_at(base), {})
    tiny_tokenizer(folder / "tokens")
    return folder


def edit(folder: Path, **settings: Any) -> None:
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | settings))


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})


def first_of(tensors: dict[str, torch.Tensor]) -> str:
    return next(iter(sorted(tensors)))


def spoil(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors[first_of(tensors)].fill_(float("nan")))


def narrow(folder: Path) -> None:
    def cut(tensors: dict[str, torch.Tensor]) -> None:
        tensors[first_of(tensors)] = tensors[first_of(tensors)][:, :-1].contiguous()

    edit_tensors(folder, cut)


def remove_tensor(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors.__delitem__(first_of(tensors)))


def truncate(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-7])


def pickle(folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


def new_token(folder: Path) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 259, "content": "<new>"})
    path.write_text(json.dumps(tokenizer))


def other_split(folder: Path) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["pre_tokenizer"]["add_prefix_space"] = True
    path.write_text(json.dumps(tokenizer))


def other_end(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token": "<|endoftext|>"}))


def train_biases(folder: Path) -> None:
    """As PEFT saves `lora_bias`: a bias beside each B."""
    edit(folder, lora_bias=True)

    def add(tensors: dict[str, torch.Tensor]) -> None:
        of_b = {name: tensor for name, tensor in tensors.items() if name.endswith("lora_B.weight")}
        tensors |= {name.replace(".weight", ".bias"): torch.ones(len(tensor)) for name, tensor in of_b.items()}

    edit_tensors(folder, add)


def four_bits(folder: Path) -> None:
    record = {"library": "bitsandbytes", "block": 64, "kind": "nf4", "double": True, "layers": ["lm_head"]}
    (folder / "burnish_quantization.json").write_text(json.dumps(record))


def no_base(folder: Path) -> None:
    edit(folder, base_model_name_or_path=None)


def name_other_base(folder: Path) -> None:
    (folder / "burnish_base.json").unlink()
    base = Path(json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"])
    edit(folder, base_model_name_or_path=str(base.with_name("elsewhere")))


def other_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "another tokenizer": (other_split, "one and other were trained with different tokenizers"),
    "a new token": (new_token, "different added tokens: <new>"),
    "another chat template": (other_template, "different chat templates"),
    "another end of text": (other_end, "different eos_tokens"),
    "a missing tensor": (remove_tensor, "is missing"),
    "a truncated file": (truncate, "bytes where its header says"),
    "a pickle": (pickle, "is a pickle"),
    "no weights": (lambda folder: (folder / "adapter_model.safetensors").unlink(), "is missing"),
    "NaN": (spoil, "are NaN or infinite"),
    "a wrong shape": (narrow, "is expected"),
    "a damaged config": (lambda folder: (folder / "adapter_config.json").write_text("{"), "is not readable JSON"),
    "a rank of zero": (lambda folder: edit(folder, r=0), "r: 0 is not a positive integer"),
    "an infinite scale": (lambda folder: edit(folder, lora_alpha=1e400), "not finite"),
    "another kind of adapter": (lambda folder: edit(folder, peft_type="IA3"), "it is a IA3 adapter"),
    "trained biases": (train_biases, r"it trains '.*\.bias' \(bias or lora_bias\)"),
    "an initialisation that changed the base": (lambda folder: edit(folder, init_lora_weights="pissa"), "pissa"),
    "a reward model": (lambda folder: edit(folder, task_type="SEQ_CLS"), "other .* is of a reward model"),
    "a base in 4 bits": (four_bits, "one and other were trained on bases with different values: not quantized and nf4"),
    "no base": (no_base, "names none"),
    "the name of another base": (name_other_base, "on different bases"),
}


def copies(made: Path, folder: Path, *names: str) -> dict[str, Path]:
    """Copies of adapters, named one and other."""
    found = {}
    for label, name in zip(("one", "other"), names, strict=True):
        found[label] = Path(shutil.copytree(made / name, folder / "copies" / label))
    return found


def refused(folder: Path, adapters: dict[str, Path], **settings: Any) -> BurnishError:
    listed = [{"adapter": f"file:{path}", "weight": 0.5, "name": name} for name, path in adapters.items()]
    named = {f"adapters.{number}.adapter": path for number, path in enumerate(adapters.values())}
    ctx, _ = temporary_context(folder, named)
    with pytest.raises(BurnishError) as caught:
        run(CombineSpec(adapters=listed, **settings), ctx)
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize("wrong", WRONG)
def test_an_adapter_that_does_not_fit_is_refused(tmp_path, made, wrong):
    spoiled, words = WRONG[wrong]
    adapters = copies(made, tmp_path, "one", "other")
    spoiled(adapters["other"])

    error = refused(tmp_path, adapters)

    assert re.search(words, error.what), error.what
    assert not any((tmp_path / "out").glob("adapter_*"))


PAIRS: dict[str, tuple[tuple[str, str], dict[str, Any], str]] = {
    "the same adapter twice": (("one", "one"), {}, "have the same weights"),
    "another base": (("one", "elsewhere's"), {}, "on different bases.*model.safetensors"),
    "unequal ranks": (("one", "rank 3"), {"method": "ties"}, "its rank is 3, and that of one is 4"),
    "dora": (("one", "dora"), {}, "is a DoRA"),
    "trained tokens": (("one", "tokens"), {}, "trains rows of 'model.embed_tokens.weight'"),
    "a module trained in full": (("one", "head"), {}, "replaces 'lm_head.weight'"),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_adapters_that_do_not_fit_together_are_refused(tmp_path, made, pair):
    names, settings, words = PAIRS[pair]

    error = refused(tmp_path, copies(made, tmp_path, *names), **settings)

    assert re.search(words, error.what), error.what


def test_a_whole_model_is_no_adapter(tmp_path, made):
    error = refused(tmp_path, {"one": made / "one", "other": made / "base"})
    assert error.code == "ask.wrong-kind"


def test_another_base_than_that_of_an_adapter_is_refused(tmp_path, made):
    adapters = copies(made, tmp_path, "one", "other")
    listed = [{"adapter": f"file:{path}", "weight": 0.5} for path in adapters.values()]
    named = {f"adapters.{number}.adapter": path for number, path in enumerate(adapters.values())}
    ctx, _ = temporary_context(tmp_path, {**named, "base": made / "elsewhere"})
    with pytest.raises(BurnishError, match="is not the base that the adapter"):
        run(CombineSpec(adapters=listed, base="file:elsewhere"), ctx)


A, B = {"adapter": "file:a", "weight": 1.0}, {"adapter": "file:b", "weight": 1.0}
SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "one adapter": ({"adapters": [A]}, "at least 2"),
    "no weight": ({"adapters": [A, {"adapter": "file:b"}]}, "weight"),
    "a weight of NaN": ({"adapters": [A, B | {"weight": float("nan")}]}, "finite"),
    "an infinite weight": ({"adapters": [A, B | {"weight": float("inf")}]}, "finite"),
    "a weight beyond all measure": ({"adapters": [A, B | {"weight": 1e9}]}, "beyond 1e\\+06"),
    "only zeros": ({"adapters": [A | {"weight": 0}, B | {"weight": 0.0}]}, "all weights are 0"),
    "one name for two": ({"adapters": [A | {"name": "x"}, B | {"name": "x"}]}, "have the name 'x'"),
    "a misspelt method": ({"method": "tie"}, "'tie'"),
    "a density of 0": ({"method": "ties", "density": 0}, "greater than 0"),
    "a density above 1": ({"method": "ties", "density": 1.5}, "less than or equal to 1"),
    "a density without effect": ({"method": "cat", "density": 0.5}, "density has no effect with method: cat"),
    "a sign without effect": ({"method": "svd", "majority_sign": "frequency"}, "majority_sign has no effect"),
    "a misspelt sign": ({"method": "ties", "majority_sign": "most"}, "majority_sign"),
    "a rank without effect": ({"method": "ties", "rank": 8}, "rank has no effect"),
    "a rank of 0": ({"method": "svd", "rank": 0}, "rank"),
    "a dtype of an adapter": ({"dtype": "float32"}, "set into: base"),
    "a data set": ({"adapters": "file:a"}, "adapters"),
    "PEFT's name": ({"combination_type": "ties"}, "method"),
}


@pytest.mark.parametrize("wrong", SETTINGS)
def test_settings_that_do_not_fit_are_refused_by_name(wrong):
    settings, words = SETTINGS[wrong]
    with pytest.raises(BurnishError) as caught:
        stage_recipe("combine", (), (), {"adapters": [A, B]} | settings)
    error = caught.value
    assert re.search(words, f"{error.what} {error.fix}"), (error.what, error.fix)
    assert error.fix


def test_names_of_references_do_not_take_a_given_name(made: Path, tmp_path: Path) -> None:
    """Three folders with one name, and an adapter that was given the name that the second would get."""
    found = []
    for seed, place in enumerate(("x", "y", "z")):
        folder = tmp_path / place / "a"
        shutil.copytree(made / "one", folder)
        edit_tensors(folder, lambda tensors, seed=seed: tensors[first_of(tensors)].add_(1 + seed))
        (folder / "LICENSE").write_text(place)
        found.append(folder)
    given = {"adapter": f"file:{found[0]}", "weight": 1, "name": "a-2"}
    adapters = [given, *({"adapter": f"file:{folder}", "weight": 1} for folder in found[1:])]
    inputs = {f"adapters.{number}.adapter": input_at(folder) for number, folder in enumerate(found)}
    inputs |= {"base": input_at(made / "base")}
    ctx, _ = temporary_context(tmp_path / "run", inputs)
    run(CombineSpec.model_validate({"adapters": adapters, "base": f"file:{made / 'base'}"}), ctx)
    record = json.loads((ctx.out / "combination.json").read_text())
    assert [each["name"] for each in record["adapters"]] == ["a-2", "a", "a-3"]
    licences = {file.name: file.read_text() for file in ctx.out.glob("LICENSE*")}
    assert licences == {"LICENSE": "x", "LICENSE-a": "y", "LICENSE-a-3": "z"}
