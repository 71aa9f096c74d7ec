"""certify: compare a model with its parent, and write a certificate."""

from itertools import islice
from pathlib import Path

import torch

from burnish.core.context import Context, Input, Outcome, StopRequestedError
from burnish.core.errors import AskError
from burnish.core.events import Chosen, Note
from burnish.core.files import jsonable, write_json
from burnish.core.fingerprint import content_files, of_path
from burnish.core.inputs.gguf import gguf_file
from burnish.data.dataset import open_rows, split_of
from burnish.endpoints.scoring import ScoringEndpoint
from burnish.endpoints.spending import journal
from burnish.evals.certificates.change import change_of, unknown_change
from burnish.evals.certificates.compare import Effort, certify
from burnish.evals.certificates.gguf import GgufSubject
from burnish.evals.certificates.limits import limits_of
from burnish.evals.certificates.report import document, terminal_table, verdict
from burnish.evals.certificates.rows import held_out_rows, left_out_texts
from burnish.evals.certificates.served import ServedSubject
from burnish.evals.certificates.subject import LocalSubject
from burnish.models.device import pick_device, use_threads
from burnish.reports.document import write
from burnish.specs.endpoints import EndpointSpec
from burnish.specs.evals.certify import CertifySpec
from burnish.stages.evals.kept import content_of
from burnish.stages.models.certifying import no_room_for_weights, stopped, tick_of


def run(spec: CertifySpec, ctx: Context) -> Outcome:
    """Write certificate.json, report.md and report.html; the certificate is also that of the artifact's record.

    A certificate that does not hold is an artifact too; `studio` then ends the command with RunError
    `run.certificate-failed`.
    """
    is_copy = False
    if spec.child is not None and spec.parent is not None:
        _refuse_itself(ctx.input("child"), ctx.input("parent"))
        is_copy = _is_copy(ctx.input("child"), ctx.input("parent"))
    use_threads(spec.threads)
    device = pick_device(spec.device)
    dtype = None if spec.dtype == "keep" else getattr(torch, spec.dtype)
    parent = _local(spec.parent, ctx, "parent", device, dtype)
    child = _child(spec, ctx, device, dtype, parent)
    change = _change(spec, ctx)
    sides = (parent or _served(spec.parent_endpoint, child, ctx), child or _served(spec.endpoint, parent, ctx))
    effort = Effort(tokens=spec.tokens, answers=spec.answers, seed=spec.seed)
    held_out = _held_out(spec, ctx, parent or child)
    ctx.check_settings()
    is_whole = parent is not None and isinstance(child, LocalSubject)
    no_weights = no_room_for_weights(ctx.input("child"), device, dtype) if is_whole else ""
    try:
        found = certify(
            *sides, change, held_out=held_out, effort=effort, no_weights=no_weights, is_copy=is_copy, tick=tick_of(ctx)
        )
    except StopRequestedError as error:
        raise stopped() from error
    record = found.as_record()
    write_json(ctx.out / "certificate.json", jsonable({**record, "numbers": dict(found.numbers)}))
    write(document(found), ctx.out)
    ctx.emit(terminal_table(found))
    ctx.emit(Note(level="info" if found.holds else "warning", text=verdict(found)))
    measures = {"holds": found.holds, "failed": len(found.failed), "rows": found.rows, "tokens": found.tokens}
    return Outcome("certificate", {**measures, **found.numbers}, certificate=record)


def _refuse_itself(child: Input, parent: Input) -> None:
    """AskError `ask.wrong-value` if both are one folder on the same base."""
    if child.kind == "gguf":
        return
    if _places(child) == _places(parent):
        what = f"parent: {parent.ref} is the same model as the child {child.ref}"
        raise AskError("ask.wrong-value", what, "set parent to the model that the child was made from")


def _places(value: Input) -> list[Path]:
    return [value.path.resolve(), *([] if value.base is None else _places(value.base))]


def _is_copy(child: Input, parent: Input) -> bool:
    """Whether both are the same files on the same base."""
    is_equal = content_of(child) == content_of(parent)
    return is_equal or (_sizes(child) == _sizes(parent) and _content(child) == _content(parent))


def _sizes(value: Input) -> dict[str, int]:
    """What differs where a copy need not be hashed."""
    files = content_files(value.path, value.kind)
    return {file.relative_to(value.path).as_posix(): file.stat().st_size for file in files}


def _content(value: Input) -> tuple[str, ...]:
    """The content of a folder, and of the base of an adapter: what a copy of the folder has too."""
    own = of_path(value.path, {}, value.kind)
    return (own,) if value.base is None else (own, *_content(value.base))


def _local(
    ref: str | None, ctx: Context, name: str, device: torch.device, dtype: torch.dtype | None
) -> LocalSubject | None:
    if ref is None:
        return None
    source = ctx.input(name)
    return LocalSubject(source, source.ref, source.fingerprint, device, dtype)


def _child(
    spec: CertifySpec, ctx: Context, device: torch.device, dtype: torch.dtype | None, parent: LocalSubject | None
) -> LocalSubject | GgufSubject | None:
    if spec.child is None or (source := ctx.input("child")).kind != "gguf":
        return _local(spec.child, ctx, "child", device, dtype)
    texts = None if parent is None else parent.tokenizer
    return GgufSubject(gguf_file(source.path), source.ref, source.fingerprint, texts, torch.get_num_threads())


def _served(spec: EndpointSpec | None, other: LocalSubject | GgufSubject | None, ctx: Context) -> ServedSubject:
    """A side behind an endpoint. Replies are kept for this run alone: the endpoint may serve another model by now."""
    assert spec is not None
    spending = journal(ctx.scratch, "child")
    replies = ctx.scratch / "checkpoints" / "replies"
    endpoint = ScoringEndpoint(spec, replies, spending, is_stopping=lambda: ctx.stopping)
    return ServedSubject(endpoint, None if other is None else other.tokenizer)


def _change(spec: CertifySpec, ctx: Context) -> str:
    if spec.change != "auto":
        return limits_of(spec.change)[0]
    if spec.child is None or spec.parent is None:
        raise unknown_change("an endpoint does not say how its weights are stored")
    change = change_of(ctx.input("parent"), ctx.input("child"))
    ctx.emit(Chosen(field="change", value=change, reason="found in the files of both"))
    return change


def _held_out(spec: CertifySpec, ctx: Context, side: LocalSubject | GgufSubject | None) -> list[list[int]]:
    """The ids of the requested rows, in the tokens of the parent."""
    if spec.data is None:
        return []
    data, tokenizer = ctx.input("data"), None if side is None else side.tokenizer
    if tokenizer is None:
        raise AskError("ask.wrong-value", "data cannot be compared without a tokenizer", "leave data out")
    split = split_of(data, spec.split)
    found, left_out = held_out_rows(tokenizer, islice(open_rows(data, split), spec.max_rows), spec.max_length)
    for text in left_out_texts(left_out, data.ref):
        ctx.emit(Note(level="warning", text=text))
    return found
