"""Every pair of settings of a method trains one step, saves, loads and merges with equal logits, or is refused by name.

The pairs are generated; the list of refusals below is complete: a pair that is refused and not listed fails, and so
does one that is listed and works. A setting without a row here fails too. A training has up to five settings; together
the trainings have every pair that is not refused, and every setting without every other.
"""

import json
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.recipes.validation import make_spec
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.models.load import load_model
from burnish.models.quiet import quiet_transformers
from burnish.specs.models import MergeSpec
from burnish.specs.train import FreezeSpec, FullSpec, LoraSpec, QloraSpec, SftSpec
from burnish.stages.models import merge
from burnish.stages.train import run as training_run
from burnish.stages.train import sft
from burnish.testing import input_at, temporary_context, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses deprecated names of transformers
INITS = ("gaussian", "orthogonal", "pissa", "pissa_niter", "olora")
LORA: dict[str, dict[str, Any]] = {
    "rank": {"rank": 3, "alpha": 5},
    "dropout": {"dropout": 0.2},
    "targets": {"targets": ["embed_tokens", "q_proj"]},
    "experts": {"experts": True},
    "rslora": {"rslora": True},
    "dora": {"dora": True},
    "train_fully": {"train_fully": ["lm_head"]},
    "new_tokens": {"new_tokens": ["<a>"], "new_special_tokens": ["<b>"]},
    "lora_plus": {"lora_plus": 16},
    **{f"init: {init}": {"init": init} for init in INITS},
}
QLORA = {"qlora": {"kind": "qlora", "quantization": "fp4", "double_quantization": False}}
WHOLE: dict[str, dict[str, Any]] = {
    "full": {"kind": "full"},
    "freeze: layers": {"kind": "freeze", "layers": 1, "train_head": True},
    "freeze: modules": {"kind": "freeze", "modules": ["layers.1.mlp"], "train_embeddings": True},
    "save_dtype": {"kind": "full", "save_dtype": "bfloat16"},
}
BESIDE: dict[str, dict[str, Any]] = {
    "muon": {"optimizer": {"kind": "muon"}},
    "adamw8bit": {"optimizer": {"kind": "adamw8bit"}},
    "neftune_alpha": {"neftune_alpha": 5},
    "bfloat16": {"dtype": "bfloat16"},
    "gradient_checkpointing": {"gradient_checkpointing": True},
}
ADAPTERS = LORA | QLORA
ONE_FIELD = [{f"init: {init}" for init in INITS}, {"muon", "adamw8bit"}]
PAIRS = [pair for pair in combinations([*ADAPTERS, *BESIDE], 2) if not any(field >= set(pair) for field in ONE_FIELD)]
FROM_BASE = ("init: pissa", "init: pissa_niter", "init: olora")
REFUSED = {
    ("rank", "init: orthogonal"),
    ("dropout", "experts"),
    ("experts", "dora"),
    ("experts", "init: orthogonal"),
    ("targets", "new_tokens"),
    ("train_fully", "new_tokens"),
    ("lora_plus", "muon"),
    *(("targets", f"init: {init}") for init in INITS),
    *((field, init) for field in ("dropout", "experts", "dora") for init in FROM_BASE),
    *((init, "qlora") for init in ("init: orthogonal", *FROM_BASE)),
}


def covering(wanted: set[tuple[str, str]], most: int = 5) -> list[tuple[str, ...]]:
    """Sets of names without a refused pair that together have every wanted pair."""
    allowed, left, found = set(PAIRS) - REFUSED, sorted(wanted), []
    while left:
        row = [*left[0]]
        while len(row) < most:
            gains = {
                name: sum((name, other) in left or (other, name) in left for other in row)
                for name in [*ADAPTERS, *BESIDE]
                if name not in row and all((name, other) in allowed or (other, name) in allowed for other in row)
            }
            if not any(gains.values()):
                break
            row.append(max(gains, key=gains.__getitem__))
        left = [pair for pair in left if not set(pair) <= set(row)]
        found.append(tuple(row))
    return found


HALF = {pair for pair in PAIRS if "bfloat16" in pair}
TRAINED = covering(set(PAIRS) - REFUSED - HALF) + covering(HALF - REFUSED)
TOGETHER = (("muon", "gradient_checkpointing"), ("adamw8bit", "neftune_alpha"), ("bfloat16",))
WHOLE_TRAINED = [(method, *others) for method in WHOLE for others in TOGETHER]
IDS = torch.tensor([[3, 70, 71, 100, 5, 90, 33, 34]])


def test_every_setting_of_a_method_has_a_row():
    for spec, rows in ((LoraSpec, LORA), (QloraSpec, ADAPTERS), (FullSpec, WHOLE), (FreezeSpec, WHOLE)):
        tested = {field for row in rows.values() for field in row}
        assert set(spec.__pydantic_fields__) <= tested | {"kind"}, spec


def test_the_refusals_are_pairs_of_the_table():
    assert set(PAIRS) >= REFUSED


def test_the_trainings_have_every_pair_and_every_setting_without_every_other():
    had = [pair for row in TRAINED for pair in permutations(row, 2)]
    assert {pair for pair in PAIRS if pair not in had} == REFUSED
    exact = [pair for row in TRAINED if "bfloat16" not in row for pair in permutations(row, 2)]
    assert {pair for pair in PAIRS if pair not in exact} == REFUSED | HALF
    names = [*ADAPTERS, *BESIDE]
    without = {(name, other) for row in TRAINED for name in row for other in names if other not in row}
    assert without == set(permutations(names, 2))
    assert {(row[0], name) for row in WHOLE_TRAINED for name in row[1:]} == set(product(WHOLE, BESIDE))


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"one <a> two <b> three {i}"}) + "\n" for i in range(6)))
    return path


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    """Dense and with experts; the embedding has no row for a new token. Some random weights are large."""
    sizes = {"vocab_size": 259, "initializer_range": 0.1, "tie_word_embeddings": False}
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
    return {
        "dense": tiny_model(tmp_path_factory.mktemp("dense"), **sizes),
        "experts": tiny_model(tmp_path_factory.mktemp("experts"), "qwen3_moe", **sizes, **experts),
    }


def settings_of(names: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {"method": {"kind": "lora", "rank": 4}}
    for name in names:
        if name in BESIDE:
            values |= BESIDE[name]
        else:
            values["method"] |= (ADAPTERS | WHOLE)[name]
            if name in WHOLE:
                values["method"].pop("rank", None)
    usual = {"max_steps": 1, "batch_size": 6, "learning_rate": 1e-2, "threads": 1, "device": "cpu", "dtype": "float32"}
    return {"data": "file:d", "base": "file:b", "prove": "off", **usual, **values}


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad(), quiet_transformers():
        return model(input_ids=IDS, use_cache=False).logits.float()


def train(names, rows, base, folder, monkeypatch) -> tuple[Path, torch.Tensor]:
    """The output folder, and the logits of the model as the training left it."""
    spec = make_spec(SftSpec, settings_of(names), lambda _: "recipe.yaml")
    ended, save = [], training_run.save

    def watched(model, *others):
        outcome = save(model, *others)
        for name, weight in model.named_parameters():
            if ".modules_to_save." in name:  # saved in float32, and loaded in the dtype of the model
                weight.data = weight.data.to(model.dtype)
        ended.append(logits(model))
        return outcome

    monkeypatch.setattr(training_run, "save", watched)
    context, _ = temporary_context(folder, {"data": rows, "base": base})
    with ConsumptionLedger(spec) as ledger:
        for name in ("data", "base"):
            ledger.input_was_read(name)
        context.check_settings = ledger.check
        sft.run(spec, context)
    return context.out, ended[0]


def off(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("pair", sorted(REFUSED), ids=" + ".join)
def test_a_refused_pair_is_named(pair, rows, bases, tmp_path, monkeypatch):
    with pytest.raises(BurnishError) as caught:
        train(pair, rows, bases["experts" if "experts" in pair else "dense"], tmp_path / "run", monkeypatch)
    assert all(name in caught.value.what for name in pair)


@pytest.mark.some(every=2)
@pytest.mark.parametrize("names", TRAINED, ids=" + ".join)
def test_settings_of_an_adapter(names, rows, bases, tmp_path, monkeypatch):
    base = bases["experts" if "experts" in names else "dense"]
    out, ended = train(names, rows, base, tmp_path / "run", monkeypatch)
    half = "bfloat16" in names
    adapter = Input("step:tune", "adapter", out, inputs={"base": input_at(base)})
    loaded = load_model(adapter, dtype=torch.bfloat16 if half else torch.float32)
    assert off(logits(loaded), ended) < (2e-2 if half else 1e-5)

    context, _ = temporary_context(tmp_path / "merge", {"model": adapter})
    into = {"into": "dequantized"} if "qlora" in names else {}
    merge.run(MergeSpec(model="step:tune", **into), context)
    exact = logits(load_model(adapter, dtype=torch.float32))
    merged = logits(load_model(context.out, dtype=torch.float32))
    assert off(merged, exact) < 1e-5
    untrained = logits(load_model(base))
    assert off(exact[..., :259], untrained) > 1e-3


@pytest.mark.some(every=2)
@pytest.mark.parametrize("names", WHOLE_TRAINED, ids=" + ".join)
def test_settings_of_a_whole_model(names, rows, bases, tmp_path, monkeypatch):
    out, ended = train(names, rows, bases["dense"], tmp_path / "run", monkeypatch)
    found = logits(load_model(out, dtype=torch.float32))
    assert off(found, ended) < (3e-2 if "bfloat16" in names or "save_dtype" in names else 1e-5)
    assert off(found, logits(load_model(bases["dense"]))) > 1e-3


@pytest.mark.parametrize("method", WHOLE)
@pytest.mark.parametrize("setting", [name for name in ADAPTERS if name != "qlora"])
def test_a_setting_of_lora_is_refused_for_a_whole_model(method, setting):
    with pytest.raises(BurnishError, match="only kind lora") as caught:
        make_spec(SftSpec, settings_of((setting, method)), lambda _: "recipe.yaml")
    assert caught.value.code == "ask.unknown-key"
