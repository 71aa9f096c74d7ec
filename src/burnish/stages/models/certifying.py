"""The certificate of a model that a stage has just written, against what it is made from."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import torch

from burnish.core.context import Context, Input
from burnish.core.errors import BurnishError, RunError
from burnish.core.events import Note, Progress
from burnish.core.files import file_size
from burnish.core.inputs.references import fetched
from burnish.core.runs.certificates import certificate_failed
from burnish.data.dataset import open_rows, split_names
from burnish.evals.certificates.compare import Effort, Tick, certify
from burnish.evals.certificates.distributions import Kind
from burnish.evals.certificates.golden import GOLDEN
from burnish.evals.certificates.report import terminal_table
from burnish.evals.certificates.rows import held_out_rows, left_out_texts
from burnish.evals.certificates.subject import LocalSubject, Subject
from burnish.models.bases import Source, folder_of, is_adapter, whole_model
from burnish.models.device import pick_device
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import describe
from burnish.models.reward import is_reward_adapter
from burnish.specs.evals import GenerationSpec
from burnish.train.resolve import Machine

_SHARE_OF_MEMORY = 0.6
_EFFORT = Effort(tokens=1024, answers=4, answer_tokens=16)
"""Less than `burnish certify` compares: the weights are compared too."""
_MORE_EFFORT = Effort(tokens=4096, answers=4, answer_tokens=16)
"""Where the weights cannot be compared: half of the tokens are of held-out rows, which a limit of 0.5 % needs."""
_HELD_OUT, _MORE_HELD_OUT, _LONGEST = 8, 256, 256
_SAMPLED, _SAMPLED_LONGEST = 32, 96
_FINE = ("F32", "F16", "BF16")
_FIX_OF_COARSE = (
    "take a type or scheme of more bits, or rows of the training (gguf: `importance`; quantize: `data`); "
    "certify: false keeps it as it is"
)
_FIX_OF_FINE = "write it in float32 (`dtype`, for gguf `type: F32`); if that does not hold either, report it"


def certify_output(
    ctx: Context,
    parent: Input,
    change: str,
    child: Callable[[LocalSubject], Subject] | None = None,
    data: Input | None = None,
) -> dict[str, Any] | None:
    """The certificate of the model in `ctx.out` as that change of `parent`, on rows of `data` or of its training too.

    `child` makes the side that is written from the parent's, where it is no model folder. Where there are no rows for
    it, perplexity is compared on texts that the parent samples.
    None with a warning if it does not fit into memory, or has no next token to compare.
    Errors: RunError `run.certificate-failed` with the checks that do not hold; those of loading either model.
    """
    device, dtype = pick_device("auto"), torch.float32
    is_reward = is_adapter(parent.path) and is_reward_adapter(parent.path)
    why = "a reward model has no next token" if is_reward else ""
    written = child is None and not is_adapter(ctx.out)
    folder = ctx.out if written else folder_of(whole_model(parent))
    if why := why or _no_room(folder, device, dtype, models=1):
        ctx.emit(Note(level="warning", text=f"the written model is not certified: {why}"))
        return None
    ours = LocalSubject(parent, parent.ref, parent.fingerprint, device, dtype)
    theirs = LocalSubject(ctx.out, "", "", device, dtype) if child is None else child(ours)
    held_out, kind = _rows(ours, data or parent.inputs.get("data"), ctx, _HELD_OUT if child is None else _MORE_HELD_OUT)
    if child is not None and len(held_out) < 2:
        held_out, kind = _own_texts(ours), "sampled"
        ctx.emit(Note(text=f"there are no rows to compare: perplexity is that of {len(held_out)} texts of the model"))
    found = certify(
        ours,
        theirs,
        change,
        held_out=held_out,
        kind=kind,
        effort=_EFFORT if child is None else _MORE_EFFORT,
        no_weights=_no_room(folder, device, dtype, models=2),
        tick=tick_of(ctx),
    )
    record = found.as_record()
    if child is not None and found.holds and "kl" not in found.numbers:  # nothing that a quantization changes
        why = next(check.found for check in found.checks if check.name == "kl")
        ctx.emit(Note(level="warning", text=f"the written model is not certified: {why}"))
        return None
    if not found.holds:
        ctx.emit(terminal_table(found))
        is_coarse = child is not None and change not in _FINE
        raise certificate_failed("the written model", record, fix=_FIX_OF_COARSE if is_coarse else _FIX_OF_FINE)
    applied = sum(check.verdict == "holds" for check in found.checks)
    text = f"certified as the {found.change} of {parent.ref}: {applied} checks hold on {found.tokens:,} tokens"
    ctx.emit(Note(text=text))
    return record


def tick_of(ctx: Context) -> Tick:
    """Reports the progress of a certificate, and ends the run when a stop is requested."""

    def tick(phase: str, done: int, total: int) -> None:
        ctx.emit(Progress(phase=f"certify: {phase}", done=done, total=total, unit="rows"))
        if ctx.stopping:
            raise stopped()

    return tick


def stopped() -> RunError:
    """The error of a stop in the middle of a certificate."""
    return RunError("run.interrupted", "the run was stopped during the certificate", "run it again")


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


def _own_texts(parent: LocalSubject) -> list[list[int]]:
    """Texts that the model samples, from the first token of a conversation on."""
    start = next((ids[:1] for golden in GOLDEN if (ids := parent.ids(golden, True))), [0])
    engine = TransformersEngine(parent.model, parent.tokenizer)  # pyright: ignore[reportArgumentType]
    longest = max(1, min(_SAMPLED_LONGEST, parent.context - 1))
    spec = GenerationSpec(max_new_tokens=longest, temperature=1.0, batch_size=_SAMPLED)
    return [start + answer.ids for answer in engine.generate([start] * _SAMPLED, spec, ()) if answer.ids]


def _rows(
    parent: LocalSubject, data: Input | None, ctx: Context, most: int = _HELD_OUT
) -> tuple[list[list[int]], Kind]:
    """`most` rows of the training's data that were not learned if there are some, else the first, and which of both.

    None, with a warning, if they cannot be read.
    """
    if data is None or parent.tokenizer is None:
        return [], "held out"
    try:
        data = fetched(data)
        names = split_names(data)
        split = next((name for name in ("test", "val", "validation") if name in names), names[0])
        rows, left_out = held_out_rows(parent.tokenizer, islice(open_rows(data, split), most), _LONGEST)
    except (BurnishError, OSError, IndexError) as error:
        why = error.what if isinstance(error, BurnishError) else str(error)
        ctx.emit(Note(level="warning", text=f"the certificate has no rows of {data.ref}: {why}"))
        return [], "held out"
    for text in left_out_texts(left_out, data.ref):
        ctx.emit(Note(level="warning", text=text))
    return rows, "training" if split == "train" else "held out"
