"""merge: merge an adapter into its base, shard by shard, and write a plain model."""

from pathlib import Path

from burnish.core.context import Context, Outcome
from burnish.core.errors import AskError, ModelError
from burnish.core.events import Note, Progress
from burnish.core.inputs.checks import check_base
from burnish.models.bases import (
    Source,
    base_of,
    chain_of,
    folder_of,
    is_adapter,
    other_name,
)
from burnish.models.merge import merge_adapter
from burnish.specs.models import MergeSpec

_ROUNDED_TO_TELL = 0.1
"""Relative to the adapter's change; more is reported."""


def run(spec: MergeSpec, ctx: Context) -> Outcome:
    """Write base + adapter; a base that is itself an adapter is merged first, in scratch."""
    adapter = ctx.input("model")
    if not is_adapter(adapter.path):
        raise AskError("ask.nothing-to-do", f"{adapter.ref} is a whole model, with nothing to merge", "name an adapter")
    source: Source = ctx.input("base") if spec.base is not None else base_of(adapter)
    _check_base(adapter.path, source, spec.other_base, ctx)
    base = _plain(source, ctx.scratch / "base", spec.dtype)
    ctx.check_settings()

    def progress(done: int, total: int) -> None:
        ctx.emit(Progress(phase="merge", done=done, total=total, unit="tensors"))

    merged = merge_adapter(
        adapter.path, base, ctx.out, dtype=spec.dtype, max_shard_bytes=spec.max_shard_bytes, progress=progress
    )
    if merged.rounded > _ROUNDED_TO_TELL:
        share = f"{merged.rounded:.0%}"
        text = f"rounding moved the merged weights {share} as far as the adapter did; `dtype: float32` keeps them exact"
        ctx.emit(Note(level="warning", text=text))
    if merged.untied:
        ctx.emit(Note(text="embedding and head were shared and are two tensors now: the adapter changed one of them"))
    measures = {"parameters": merged.parameters, "tensors_changed": merged.changed, "weight_files": merged.files}
    return Outcome("model", {**measures, "rounded": round(merged.rounded, 4)})


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


def _plain(base: Source, folder: Path, dtype: str) -> Path:
    """The folder of a whole model: the base's own, or one below `folder` with its adapters merged into it."""
    *adapters, whole = chain_of(base)
    path = folder_of(whole)
    for number, adapter in enumerate(reversed(adapters)):
        merge_adapter(folder_of(adapter), path, folder / str(number), dtype=dtype)
        path = folder / str(number)
    return path
