"""The certificate of a model that a stage has just written, against what it is made from."""

from itertools import islice
from typing import Any

import torch

from burnish.core.context import Context, Input
from burnish.core.errors import BurnishError
from burnish.core.events import Note
from burnish.core.files import file_size
from burnish.core.runs.certificates import certificate_failed
from burnish.data.dataset import open_rows, split_names
from burnish.evals.certificates.compare import Effort, certify
from burnish.evals.certificates.report import terminal_table
from burnish.evals.certificates.rows import held_out_rows
from burnish.evals.certificates.subject import LocalSubject
from burnish.models.bases import Source, folder_of, whole_model
from burnish.models.device import pick_device
from burnish.models.load import describe
from burnish.train.resolve import Machine

_SHARE_OF_MEMORY = 0.6
_EFFORT = Effort(tokens=1024, answers=4, answer_tokens=16)
"""Less than `burnish certify` compares: the weights are compared too."""
_HELD_OUT, _LONGEST = 8, 256


def certify_output(
    ctx: Context, parent: Source, name: str, change: str, data: Input | None = None
) -> dict[str, Any] | None:
    """The certificate of the model in `ctx.out` as that change of `parent`; None if it does not fit into memory.

    `data` are rows that the parent was trained on. Errors: RunError `run.certificate-failed` with the checks that do
    not hold; those of loading either model.
    """
    device, dtype = pick_device("auto"), torch.float32
    if why := _no_room(ctx.out, device, dtype, models=1):
        ctx.emit(Note(level="warning", text=f"not certified: {why}; run `burnish certify` where there is more"))
        return None
    fingerprint = parent.fingerprint if isinstance(parent, Input) else ""
    ours, theirs = LocalSubject(parent, name, fingerprint, device, dtype), LocalSubject(ctx.out, "", "", device, dtype)
    held_out = [] if data is None or ours.tokenizer is None else _rows(ours, data)
    no_weights = _no_room(ctx.out, device, dtype, models=2)
    found = certify(ours, theirs, change, held_out=held_out, effort=_EFFORT, no_weights=no_weights)
    ctx.emit(terminal_table(found))
    if not found.holds:
        raise certificate_failed("the written model", found.as_record())
    return found.as_record()


def no_room_for_weights(child: Source, device: torch.device, dtype: torch.dtype | None) -> str:
    """Why the weights of two models are not held in memory; "" if they fit."""
    return _no_room(folder_of(whole_model(child)), device, dtype, models=2)


def _no_room(folder: Any, device: torch.device, dtype: torch.dtype | None, models: int) -> str:
    needed = describe(folder).parameters * (dtype or torch.float32).itemsize * models
    free = Machine.here().memory_of(device.type)
    if needed <= _SHARE_OF_MEMORY * free:
        return ""
    what = "the model takes" if models == 1 else "two models take"
    return f"{what} {file_size(needed)} of the {file_size(free)} of free memory"


def _rows(parent: LocalSubject, data: Input) -> list[list[int]]:
    """Rows of the training's data that were not learned if there are some, else the first ones; none if it is gone."""
    assert parent.tokenizer is not None
    try:
        names = split_names(data)
        split = next((name for name in ("test", "val", "validation") if name in names), names[0])
        return held_out_rows(parent.tokenizer, islice(open_rows(data, split), _HELD_OUT), _LONGEST)[0]
    except (BurnishError, OSError, IndexError):
        return []
