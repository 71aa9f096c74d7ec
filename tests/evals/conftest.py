"""A tiny model that has learned to answer, an adapter for a random model, and rows of a prepared dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.data.dataset import DatasetWriter

Maker = Callable[..., Path]


@pytest.fixture
def make_dataset(tmp_path: Path) -> Maker:
    """Write rows as a prepared dataset: `make_dataset(test=[...])` returns its folder."""

    def make(**splits: list[dict[str, Any]]) -> Path:
        folder = tmp_path / "data"
        with DatasetWriter(folder) as writer:
            for split, rows in splits.items():
                for row in rows:
                    writer.write(row, split)
        (folder / "stats.json").write_text("{}")
        return folder

    return make


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights."""
    from burnish.testing import tiny_model

    return tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def adapter(base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter, trained here, that makes the base answer every question with "yes"."""
    import torch

    from burnish.core.context import Input
    from burnish.models.adapters.attach import attach_lora, save_adapter
    from burnish.models.load import load_model
    from burnish.specs.train import LoraSpec
    from burnish.tokens.load import load_tokenizer
    from burnish.tokens.rendering.renderer import Renderer

    torch.manual_seed(0)
    tokenizer = load_tokenizer(base_model)
    model = attach_lora(load_model(base_model), LoraSpec(rank=8)).train()
    answer = {"role": "assistant", "content": "yes"}
    questions = [{"role": "user", "content": f"is {i} so"} for i in range(8)]
    renderer = Renderer(tokenizer)
    rendered = [renderer.render({"kind": "chat", "messages": [question, answer]})[0] for question in questions]
    ids = torch.stack([torch.tensor(row.ids, dtype=torch.long) for row in rendered])
    labels = torch.where(torch.stack([torch.tensor(row.weights) for row in rendered]) > 0, ids, -100)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(60):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(model, folder, Input("file:base", "model", base_model))
    tokenizer.save_pretrained(folder)
    return folder
