"""Certificates of tiny models, and copies of them that were changed in one way, for tests of several rooms."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from burnish.evals.certificates.change import change_of
from burnish.evals.certificates.check import Certificate
from burnish.evals.certificates.compare import Effort, certify
from burnish.evals.certificates.subject import LocalSubject
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.load import load_model
from burnish.specs.train import LoraSpec
from burnish.testing import input_at, tiny_model

QUICK = Effort(tokens=256, answers=2, answer_tokens=6)


def certificate(parent: Path, child: Path, change: str = "auto", effort: Effort = QUICK, **more: Any) -> Certificate:
    """The certificate of a folder against another, or against an adapter."""
    change = change_of(parent, child) if change == "auto" else change
    ours, theirs = (LocalSubject(path, str(path), "", torch.device("cpu"), torch.float32) for path in (parent, child))
    return certify(ours, theirs, change, effort=effort, **more)


def failed(found: Certificate) -> set[str]:
    return {check.name for check in found.failed}


def make_base(folder: Path, family: str = "qwen3", seed: int = 0, **config: Any) -> Path:
    """A tiny model whose answers differ from prompt to prompt, with its chat template."""
    return tiny_model(folder, family, seed=seed, initializer_range=0.2, tie_word_embeddings=True, **config)


def make_adapter(base: Path, folder: Path, seed: int = 0) -> Path:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = attach_lora(load_model(base), LoraSpec(rank=4))
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape) * 0.05)
    save_adapter(model, folder, input_at(base))
    return folder


def copy_of(folder: Path, to: Path, weights: Callable[[dict[str, torch.Tensor]], Any] | None = None) -> Path:
    """A copy of a model folder, with its weights changed in place by `weights`."""
    shutil.copytree(folder, to)
    if weights is not None:
        tensors = load_file(to / "model.safetensors")
        weights(tensors)
        save_file(tensors, to / "model.safetensors", {"format": "pt"})
    return to


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")
