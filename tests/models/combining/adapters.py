"""Adapters with random weights, in any dtype, for tests of their combination."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.adapters.new_tokens import TrainedTokens
from burnish.models.load import load_model
from burnish.specs.train import LoraSpec
from burnish.testing import input_at


def random_adapter(
    base: Path,
    spec: LoraSpec,
    folder: Path,
    seed: int = 0,
    dtype: str = "float32",
    tokens: TrainedTokens | None = None,
) -> Path:
    """Attach an adapter to the model in `base`, give every trained weight noise, and save it."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = attach_lora(load_model(base), spec, tokens=tokens)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape) * 0.05)
    save_adapter(model, folder, input_at(base))
    if dtype != "float32":
        file = folder / "adapter_model.safetensors"
        save_file({k: v.to(getattr(torch, dtype)) for k, v in load_file(file).items()}, file, {"format": "pt"})
    return folder
