"""certify: compare a model with its parent, and write a certificate."""

from itertools import islice

import torch

from burnish.core.context import Context, Outcome
from burnish.core.events import Chosen, Note
from burnish.core.files import jsonable, write_json
from burnish.data.dataset import is_prepared, open_rows
from burnish.evals.certificates.change import change_of
from burnish.evals.certificates.compare import Effort, certify
from burnish.evals.certificates.limits import limits_of
from burnish.evals.certificates.report import document, terminal_table, verdict
from burnish.evals.certificates.rows import held_out_rows
from burnish.evals.certificates.subject import LocalSubject
from burnish.evals.document.document import write
from burnish.models.device import pick_device, use_threads
from burnish.specs.evals.certify import CertifySpec
from burnish.stages.models.certifying import no_room_for_weights, tick_of


def run(spec: CertifySpec, ctx: Context) -> Outcome:
    """Write certificate.json, report.md and report.html; the certificate is also that of the artifact's record.

    A certificate that does not hold is an artifact too; `studio` then ends the command with RunError
    `run.certificate-failed`.
    """
    use_threads(spec.threads)
    device = pick_device(spec.device)
    dtype = None if spec.dtype == "keep" else getattr(torch, spec.dtype)
    sources = [ctx.input("parent"), ctx.input("child")]
    parent, child = (LocalSubject(source, source.ref, source.fingerprint, device, dtype) for source in sources)
    change = _change(spec, ctx)
    effort = Effort(tokens=spec.tokens, answers=spec.answers, seed=spec.seed)
    held_out = _held_out(spec, ctx, parent)
    ctx.check_settings()
    no_weights = no_room_for_weights(sources[1], device, dtype)
    found = certify(parent, child, change, held_out=held_out, effort=effort, no_weights=no_weights, tick=tick_of(ctx))
    record = found.as_record()
    write_json(ctx.out / "certificate.json", jsonable({**record, "numbers": dict(found.numbers)}))
    write(document(found), ctx.out)
    ctx.emit(terminal_table(found))
    ctx.emit(Note(level="info" if found.holds else "warning", text=verdict(found)))
    measures = {"holds": found.holds, "failed": len(found.failed), "rows": found.rows, "tokens": found.tokens}
    return Outcome("certificate", {**measures, **found.numbers}, certificate=record)


def _change(spec: CertifySpec, ctx: Context) -> str:
    if spec.change != "auto":
        return limits_of(spec.change)[0]
    change = change_of(ctx.input("parent"), ctx.input("child"))
    ctx.emit(Chosen(field="change", value=change, reason="found in the files of both"))
    return change


def _held_out(spec: CertifySpec, ctx: Context, parent: LocalSubject) -> list[list[int]]:
    """The ids of the requested rows, in the tokens of the parent."""
    if spec.data is None:
        return []
    data, tokenizer = ctx.input("data"), parent.tokenizer
    assert tokenizer is not None
    split = spec.split if is_prepared(data.path) else "train"
    found, left_out = held_out_rows(tokenizer, islice(open_rows(data, split), spec.max_rows), spec.max_length)
    for why, count in left_out.items():
        ctx.emit(Note(level="warning", text=f"{count} rows of {data.ref} are left out: {why}"))
    return found
