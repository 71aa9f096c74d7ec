"""What all checkpoints of a run share, beside them: the tokenizer as it is saved, and the dtype of the training.

With a checkpoint and the base it is all that makes a model (`burnish.stages.train.restoring`): no row is needed.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from burnish.core.files import publish_folder
from burnish.core.runs.checkpoints import TOKENIZER, read_manifest, write_manifest
from burnish.models.quiet import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Shared:
    """The files of the tokenizer, and the dtype that the model had in training."""

    tokenizer: Path
    dtype: torch.dtype


def write_shared(folder: Path, tokenizer: "PreTrainedTokenizerBase", dtype: torch.dtype) -> None:
    """Replace the folder."""
    partial, before = folder.with_name(f".saving-{folder.name}"), folder.with_name(f".removed-{folder.name}")
    for leftover in (partial, before):
        shutil.rmtree(leftover, ignore_errors=True)
    with quiet_transformers():
        tokenizer.save_pretrained(partial / TOKENIZER)
    write_manifest(partial, dtype=str(dtype).removeprefix("torch."))
    if folder.exists():
        folder.rename(before)
    publish_folder(partial, folder)
    shutil.rmtree(before, ignore_errors=True)


def read_shared(folder: Path) -> Shared:
    """Of a folder that is whole. Errors: RunError `run.broken-checkpoint`."""
    return Shared(folder / TOKENIZER, getattr(torch, read_manifest(folder)["dtype"]))
