"""What is done a portion at a time, for memory, gives the same however small the portions are.

Rows in these tests are few, so without this the border between two portions would never be met.
"""

import random
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from burnish.core import fingerprint
from burnish.data.dataset import DatasetWriter, read_rows
from burnish.data.document import make_row
from burnish.data.splits.split import Splitter
from burnish.evals.perplexity import likelihoods
from burnish.evals.statistics.paired import compare_ratios
from burnish.models.adapters.pieces import _distance
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.specs.train import AdamWSpec, MuonSpec
from burnish.testing import tiny_model
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.rendered import Rendered
from burnish.train.batches import TokenisedRows, make_batch
from burnish.train.dropout import TokenDropout
from burnish.train.optim.optimizers import Optimizer


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"), tie_word_embeddings=False)


def rows(count: int = 60) -> list[dict]:
    """Conversations of which many share a question, some with a first answer that is not learned."""
    chance, made = random.Random(0), []
    for number in range(count):
        turns = []
        for _ in range(chance.randint(1, 3)):
            turns += [{"role": "user", "content": f"question {chance.randrange(25)}"}]
            turns += [{"role": "assistant", "content": "b", "weight": float(chance.random() < 0.5)}]
        made.append(make_row("chat", f"x:{number}", messages=turns))
    return made


def placed(folder: Path, base: Path) -> Any:
    """The splits of rows, and the leaks of rows whose splits are given."""
    (folder / "given").mkdir()
    splitter, given = Splitter(0.3, 0.3, 0, folder), Splitter(0, 0, 0, folder / "given")
    places = [splitter.place(row, "", number) for number, row in enumerate(rows())]
    places += sorted((number, split) for _, split, number in splitter.waiting())
    for number, row in enumerate(rows()):
        given.place(row, "test" if number % 3 == 0 else "train")
    return places, splitter.leaks(), given.leaks()


def written(folder: Path, base: Path) -> Any:
    with DatasetWriter(folder / "set") as writer:
        for number, row in enumerate(rows()):
            writer.write(row, "test" if number % 4 == 0 else "train")
    return [list(read_rows(folder / "set", split)) for split in ("train", "test")]


def compared(folder: Path, base: Path) -> Any:
    columns = np.random.default_rng(0).uniform(1, 2, (4, 40))
    found = compare_ratios("x", (columns[0], columns[1]), (columns[2], columns[3]), confidence=0.9, seed=1)
    return found.p_value, found.interval


def likelihood(folder: Path, base: Path) -> Any:
    ids = np.arange(3, 43, dtype=np.int32)
    rendered = [Rendered("", ids[:length], np.linspace(0, 1, length, dtype=np.float32)) for length in (9, 40, 23)]
    found = dict(likelihoods(load_model(base), load_tokenizer(base), rendered))
    return [round(found[place].nats, 3) for place in range(3)]


def hashed(folder: Path, base: Path) -> Any:
    file = base / "model.safetensors"
    return fingerprint.of_file(file, {})


def merged(folder: Path, base: Path) -> Any:
    from burnish.models.adapters.attach import attach_lora, save_adapter
    from burnish.specs.train import LoraSpec
    from burnish.testing import input_at

    torch.manual_seed(0)
    model = attach_lora(load_model(base), LoraSpec(rank=2, targets=["q_proj"]))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape))
    save_adapter(model, folder / "adapter", input_at(base))
    found = merge_adapter(folder / "adapter", base, folder / "merged", dtype="bfloat16")
    return found.rounded, (folder / "merged/model.safetensors").read_bytes()


def distance(folder: Path, base: Path) -> Any:
    one, other = torch.rand(2, 37, 5, generator=torch.Generator().manual_seed(0))
    return round(_distance(one, other), 3)


def stepped(spec: AdamWSpec | MuonSpec, dtype: torch.dtype) -> Callable[[Path, Path], Any]:
    def stepped(folder: Path, base: Path) -> Any:
        torch.manual_seed(0)
        model = nn.Module()
        model.stack, model.line = nn.Parameter(torch.randn(5, 6, 4)), nn.Linear(6, 4)
        optimizer = Optimizer(model.to(dtype), spec)
        for _ in range(2):
            for _ in range(2):
                sum((weight * torch.randn(weight.shape).to(dtype)).sum() for weight in model.parameters()).backward()
                optimizer.gather()
            optimizer.step(0.1)
            optimizer.zero_grad()
        return [weight.tolist() for weight in optimizer.weights().values()]

    return stepped


def dropped(folder: Path, base: Path) -> Any:
    data = TokenisedRows.of((str(i), np.arange(9 + i, dtype=np.int32), np.ones(9 + i, np.float32)) for i in range(3))
    module = nn.Dropout(0.4)
    dropout, batch = TokenDropout(nn.Sequential(module), seed=3), make_batch(data, np.arange(3))
    dropout.begin(1, batch)
    return module(torch.ones(1, batch.tokens, 6)).tolist()


PORTIONS: dict[str, tuple[str, str, Any, Callable[[Path, Path], Any]]] = {
    "keys of a split on the disk": ("data.splits.files", "_KEYS_HELD", 3, placed),
    "rows of a split on the disk": ("data.splits.files", "_CHARACTERS_HELD", 40, placed),
    "rows of a dataset": ("data.dataset", "_BATCH_ROWS", 7, written),
    "characters of a dataset": ("data.dataset", "_BATCH_CHARACTERS", 300, written),
    "flips of signs": ("evals.statistics.permutation", "_CHUNK", 999, compared),
    "resamples": ("evals.statistics.intervals", "_CHUNK", 999, compared),
    "positions of a likelihood": ("evals.perplexity", "_POSITIONS", 3, likelihood),
    "bytes of a fingerprint": ("core.fingerprint", "_BLOCK", 1000, hashed),
    "bytes of a copied tensor": ("models.weights", "_BLOCK", 100, merged),
    "rows of a rounded tensor": ("models.adapters.pieces", "_ROWS", 3, distance),
    "experts of an update": ("train.optim.muon", "_AT_ONCE", 50, stepped(MuonSpec(), torch.float32)),
    "gradients handed over": ("train.optim.optimizers", "_LARGE", 1, stepped(AdamWSpec(), torch.bfloat16)),
    "masks of dropout": ("train.dropout", "_AT_ONCE", {"cpu": 20}, dropped),
}
"""Module, constant, a tiny value, and what is made with it."""


@pytest.mark.parametrize("what", PORTIONS)
def test_portions_of_any_size_give_the_same(tmp_path, monkeypatch, base, what):
    module, constant, tiny, make = PORTIONS[what]
    for folder in ("usual", "tiny"):
        (tmp_path / folder).mkdir()
    usual = make(tmp_path / "usual", base)
    assert hasattr(import_module(f"burnish.{module}"), constant)
    monkeypatch.setattr(f"burnish.{module}.{constant}", tiny)
    assert make(tmp_path / "tiny", base) == usual
