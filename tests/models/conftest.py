"""Public doubles of this room: adapters with random, non-zero weights on tiny models."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.load import load_model
from burnish.specs.train import LoraSpec
from burnish.testing import input_at

MakeAdapter = Callable[..., Path]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def make_adapter(tmp_path: Path) -> MakeAdapter:
    """Put an adapter on the model in `base`, give every trained weight noise, save it and return its folder."""

    def make(base: Path, spec: LoraSpec, name: str = "adapter", seed: int = 0) -> Path:
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            model = attach_lora(load_model(base), spec)
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn(parameter.shape) * 0.05)
        save_adapter(model, tmp_path / name, input_at(base))
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def token_ids() -> torch.Tensor:
    """Two rows of nine tokens that any tiny model embeds."""
    return torch.randint(3, 250, (2, 9), generator=torch.Generator().manual_seed(1))
