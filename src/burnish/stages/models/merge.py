"""merge: merge an adapter into its base, shard by shard, and write a plain model."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import AskError, ModelError
from burnish.core.events import Chosen, Note, Progress
from burnish.core.inputs.checks import check_base
from burnish.evals.certificates.change import merge_in
from burnish.models.bases import (
    Source,
    base_of,
    chain_of,
    folder_of,
    is_adapter,
    other_name,
)
from burnish.models.merge import LOST_TO_AVOID, Merged, merge_adapter
from burnish.models.quantization.record import Quantization, read_quantization
from burnish.specs.models import MergeSpec
from burnish.stages.models.certifying import certify_output
from burnish.stages.models.deviation import Deviation, deviation

_DEVIATES_TO_TELL = 0.1
"""Of the divergence that the adapter itself makes; more is a warning."""


def run(spec: MergeSpec, ctx: Context) -> Outcome:
    """Write base + adapter; a base that is itself an adapter is merged first, in scratch."""
    adapter, source, quantization = fitting(spec, ctx)
    base, certifies = plain(source, ctx.scratch / "base", spec.dtype), spec.certify
    ctx.check_settings()

    def progress(phase: str, done: int, total: int) -> None:
        ctx.emit(Progress(phase=phase, done=done, total=total, unit="tensors"))

    merged = merge_adapter(
        adapter.path,
        base,
        ctx.out,
        dtype=spec.dtype,
        max_shard_bytes=spec.max_shard_bytes,
        quantization=quantization if spec.into == "dequantized" else None,
        progress=partial(progress, "merge"),
        measuring=partial(progress, "measure"),
    )
    tell(merged, ctx)
    measures = measures_of(merged)
    if quantization is not None:
        measures |= _deviation(deviation(adapter.path, source, quantization, ctx.out), spec.into, ctx)
    if not certifies:
        return Outcome("model", measures)
    if quantization is not None and spec.into == "original":  # another base: its limits are provisional
        text = "not certified, as the base had other values in training; `burnish certify` compares the two"
        ctx.emit(Note(text=text))
        return Outcome("model", measures)
    certificate = certify_output(ctx, on_base(adapter, source), merge_in(ctx.out))
    return Outcome("model", measures, certificate=certificate)


def fitting(spec: MergeSpec, ctx: Context) -> tuple[Input, Source, Quantization | None]:
    """The adapter, its base, and how that was quantized in the training: what is known before any work.

    Errors: AskError and ModelError for what cannot be merged.
    """
    adapter = ctx.input("model")
    if not is_adapter(adapter.path):
        raise AskError("ask.nothing-to-do", f"{adapter.ref} is a whole model, with nothing to merge", "name an adapter")
    source: Source = ctx.input("base") if spec.base is not None else base_of(adapter)
    _check_base(adapter.path, source, spec.other_base, ctx)
    quantization = read_quantization(adapter.path)
    _refuse_without_quantization(adapter, spec.into, quantization)
    return adapter, source, quantization


def on_base(adapter: Input, base: Source) -> Input:
    """The adapter with that base, also where it names another."""
    under = base if isinstance(base, Input) else Input(str(base), "model", base)
    return replace(adapter, inputs={**adapter.inputs, "base": under})


def tell(merged: Merged, ctx: Context) -> None:
    """Report the dtype that a merge chose, and what it lost or separated."""
    if merged.in_base_dtype is not None:
        share = f"{merged.in_base_dtype:.1%} of the adapter's change"
        why = f"that of the base, to which rounding loses {share}"
        if merged.dtype != "keep":
            why = f"rounding to the base's dtype would lose {share}; `dtype: keep` is half the size"
        if math.isinf(merged.in_base_dtype):
            why = "merged values overflow the base's dtype"
        ctx.emit(Chosen(field="dtype", value=merged.dtype, reason=why))
    elif merged.rounded > LOST_TO_AVOID:
        share = f"{merged.rounded:.0%}"
        text = f"rounding moved the merged weights {share} as far as the adapter did; `dtype: float32` keeps them exact"
        ctx.emit(Note(level="warning", text=text))
    if merged.untied:
        ctx.emit(Note(text="embedding and head were shared and are two tensors now: the adapter changed one of them"))


def measures_of(merged: Merged) -> dict[str, float | None]:
    """The measures of a merge."""
    lost = merged.in_base_dtype
    return {
        "parameters": merged.parameters,
        "tensors_changed": merged.changed,
        "weight_files": merged.files,
        "rounded": round(merged.rounded, 4),
        **({} if lost is None else {"rounded_in_base_dtype": None if math.isinf(lost) else round(lost, 4)}),
    }


def _refuse_without_quantization(adapter: Input, into: str, quantization: Quantization | None) -> None:
    if into == "dequantized" and quantization is None:
        raise AskError(
            "ask.wrong-value",
            f"into: dequantized is for adapters of QLoRA, and the base of {adapter.ref} was not quantized in training",
            "remove into",
        )


def _deviation(found: Deviation | str, into: str, ctx: Context) -> dict[str, float]:
    """Report how far the merged model is from the trained one, as measures too."""
    where = f"the adapter was trained on a base in 4 bits and is merged into its {into} weights"
    if isinstance(found, str):
        ctx.emit(Note(level="warning", text=f"{where}: the difference was not measured ({found})"))
        return {}
    kl = f"a divergence of {found.kl:.2g} nats per token where the adapter itself makes {found.adapter_kl:.2g}"
    text = f"{where}: on {found.tokens} tokens of text, {kl}; the likeliest token is the same for {found.same_top:.0%}"
    is_large = found.kl > _DEVIATES_TO_TELL * found.adapter_kl
    advice = "; into: dequantized is closer to what was trained" if is_large and into == "original" else ""
    ctx.emit(Note(level="warning" if is_large else "info", text=f"{text}{advice}"))
    return {"deviation": found.kl, "same_top_token": round(found.same_top, 4), "adapter_effect": found.adapter_kl}


def _check_base(adapter: Path, base: Source, may_differ: bool, ctx: Context) -> None:
    """The base must be the one that the adapter was trained on, unless `other_base` is set."""
    what = other_name(adapter, base)
    try:
        check_base(adapter, folder_of(base))
    except ModelError as error:
        if not may_differ:
            raise ModelError(error.code, error.what, f"{error.fix}; other_base: true merges anyway") from error
        what = error.what
    if what:
        ctx.emit(Note(level="warning", text=f"{what}: evaluate the merged model before you use it"))


def plain(base: Source, folder: Path, dtype: str) -> Path:
    """The folder of a whole model: the base's own, or one below `folder` with its adapters merged into it.

    They are merged into the weights that they were trained on, in float32 unless the base's dtype is to be kept: the
    next adapter was trained on the sum, not on a rounded one.
    """
    *adapters, whole = chain_of(base)
    path, between = folder_of(whole), "keep" if dtype == "keep" else "float32"
    for number, adapter in enumerate(reversed(adapters)):
        quantization = read_quantization(folder_of(adapter))
        merge_adapter(folder_of(adapter), path, folder / str(number), dtype=between, quantization=quantization)
        path = folder / str(number)
    return path
