"""One training run from a model and its rows to trained weights: what sft and pretrain share.

Builds the parts, finds the checkpoint to resume from, runs the loop, and leaves the final weights in the
model. The stage decides what is saved, and how.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from burnish.core import fingerprint
from burnish.core.context import Context, ShareDoneError
from burnish.core.errors import AskError
from burnish.core.events import Chosen, Event, Note
from burnish.models.probing import causal_model
from burnish.specs.train import MAX_COUNT, LoraSpec, PretrainSpec, SftSpec, TrainSpec, WholeModelSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train import ready
from burnish.train.batches import StepPlan
from burnish.train.checkpoints.checkpoint import Checkpoint, CheckpointFolder, load, read, read_weights
from burnish.train.checkpoints.lineage import Origin
from burnish.train.checkpoints.shared import write_shared
from burnish.train.checkpoints.state import LoopSettings, TrainState
from burnish.train.dropout import TokenDropout
from burnish.train.kernels.lora import FusedLora
from burnish.train.loop import Loop
from burnish.train.neftune import EmbeddingNoise
from burnish.train.objectives.balance import balance_of
from burnish.train.objectives.causal import Causal
from burnish.train.objectives.objective import Objective
from burnish.train.optim.optimizers import Optimizer
from burnish.train.passes import Passes
from burnish.train.precision import Start, give_whole_model
from burnish.train.proofs import running as proofs
from burnish.train.proofs.subject import NOTHING, Known, Subject
from burnish.train.ranks import Ranks, joined
from burnish.train.reporting import curve, ledger
from burnish.train.reporting.ledger import LedgerType
from burnish.train.resolve import Resolved
from burnish.train.scoring import Scorer
from burnish.train.settings import plan_of, settings_of
from burnish.train.source import Complete, GivenRows, Source, as_they_are
from burnish.train.trackers.tracking import Tracking

CAUSAL = Causal()
_NO_KERNEL = "torch's flash attention does not support it, so sequences are computed one after the other"


@dataclass(frozen=True)
class Fitted:
    """What a finished run reports."""

    measures: dict[str, Any]
    provenance: dict[str, Any]
    """`resumed`: the named checkpoints that the run was resumed from, and the settings changed there."""
    is_proof: bool = False
    """True if nothing was trained: prove: only."""


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch; call it before the first weight is initialised."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def fit(
    spec: TrainSpec,
    ctx: Context,
    model: nn.Module,
    rows: TokenisedRows,
    held_out: TokenisedRows | None,
    resolved: Resolved,
    start: Start | None = None,
    objective: Objective = CAUSAL,
    complete: Complete = as_they_are,
    known: Known = NOTHING,
    source: Source | None = None,
) -> Fitted:
    """Train `model` in place and write `rows.parquet`, `loss.png` and `trackers/` into `ctx.out`.

    `complete` adds to a split what the objective needs of the model before the first step. `known` is what some checks
    need; with `prove: only`, nothing is trained after them. `source` makes the rows of the steps from those of the
    dataset, which are used as they are without it.

    Errors: those of the loop; AskError `ask.wrong-value` when the model does not support the requested attention;
    ModelError `model.broken` when the rows have tokens outside the model's embedding.
    """
    source = source or GivenRows(rows, held_out, complete)
    with joined(ctx.rank, ctx.processes, resolved.device) as ranks:
        return _fit(spec, ctx, ranks, model, rows, held_out, resolved, start, objective, known, source)


def _fit(
    spec: TrainSpec,
    ctx: Context,
    ranks: Ranks,
    model: nn.Module,
    rows: TokenisedRows,
    held_out: TokenisedRows | None,
    resolved: Resolved,
    start: Start | None,
    objective: Objective,
    known: Known,
    source: Source,
) -> Fitted:
    first_scratch = ctx.first_scratch or ctx.scratch
    ready.check_tokens(model, rows, held_out)
    method = getattr(spec, "method", None)
    save_dtype = method.save_dtype if isinstance(method, WholeModelSpec) else None
    if hasattr(model, "peft_config"):
        ready.cast_trained(model, resolved.dtype)
    if resolved.gradient_checkpointing:
        ready.recompute_activations(model)
    balance, note = balance_of(causal_model(model), spec.router_aux_loss_coef)
    if note is not None:
        ctx.emit(note)
    fused = FusedLora(model)
    is_fused = bool(fused.layers)
    scorer = Scorer(model, spec.attention, source.longest, fused, source.width)
    scorer.keeps_routing = balance is not None
    if is_fused and not fused.layers:
        ctx.emit(Note(text="the adapters are computed by PEFT: burnish's own layers differ from them for this model"))
    _report_attention(spec, scorer, ctx.emit)
    ranks.refuse_differences("how the model is computed", scorer.ways)
    lora_plus = method.lora_plus if isinstance(method, LoraSpec) else None
    optimizer = Optimizer(model, spec.optimizer, {} if start is None else start.masters(model), lora_plus)
    dropout = TokenDropout(model, spec.seed)
    alpha = spec.neftune_alpha if isinstance(spec, SftSpec | PretrainSpec) else None
    noise = EmbeddingNoise(causal_model(model), dropout, alpha)
    plan = plan_of(spec, rows, ctx.emit, source)
    settings = settings_of(spec, plan, resolved, ctx.emit)
    keep = MAX_COUNT if spec.checkpoint.archive else spec.checkpoint.keep
    checkpoints = CheckpointFolder(first_scratch / "checkpoints", keep)
    passes = Passes(
        scorer,
        objective,
        optimizer,
        TrainState(micro_batch_tokens=settings.micro_batch_tokens),
        max_grad_norm=settings.max_grad_norm,
        balance=balance,
        dropout=dropout,
        emit=ctx.emit,
        is_stopping=lambda: ctx.stopping,
        ranks=ranks,
    )
    origin = _origin(spec, ctx, rows, held_out, optimizer)
    visits, only_proves = plan.visits(settings.total_steps), spec.prove == "only"
    if not len(visits.rows):
        what = f"without_rows names every row of the {settings.total_steps} steps: nothing would be learned"
        raise AskError("ask.wrong-value", what, "name fewer rows, or raise max_steps")
    read = proofs.with_sample(visits, rows, model) if only_proves else visits
    material, measured = source.open(passes, plan, read, only_proves)
    loop = Loop(
        passes,
        material,
        measured,
        plan,
        settings,
        checkpoints=checkpoints,
        ledger_path=first_scratch / "ledger" / "visits.bin",
        own_ledger=ctx.scratch / "ledger" / "visits.bin",
        origin=origin,
        emit=ctx.emit,
    )
    requested = spec.resume
    if only_proves and requested not in ("auto", "never"):
        ctx.emit(Note(text=f"prove: the training is checked as it starts, not from {requested}"))
    resumed_from, continues = _resume("never" if only_proves else requested, loop, checkpoints, ctx.emit)
    if ranks.is_first:
        checkpoints.refuse_without_room(loop.checkpoint_bytes())
    ctx.check_settings()
    is_resumed = resumed_from is not None

    def subject() -> Subject:
        loop.begin()
        return proofs.subject_of(passes, material, spec, visits.rows, known, is_resumed)

    proved = proofs.prove_once(passes, subject, spec.prove, ctx, is_resumed)
    if only_proves:
        proofs.publish(ctx)
        return Fitted(dict(proved), {}, is_proof=True)
    if resumed_from is None and ranks.is_first:
        checkpoints.clear()
    if known.tokenizer is not None:
        write_shared(ctx.scratch / "model", known.tokenizer, resolved.dtype)
    journal, type = ctx.scratch / "ledger" / "visits.bin", LedgerType(objective.row_values)
    ledger.name_rows(journal, rows.row_ids, type)
    with _tracking(spec, ctx, loop.state.step, continues) as tracking:
        loop.emit = tracking.emit
        state = loop.run()
    if not ranks.is_first:
        raise ShareDoneError
    source.publish(ctx.out, state.step)
    measure = "loss" if measured is None else measured.measure
    _take_best(settings, state, checkpoints, optimizer, ctx.emit, measure)
    tracking.publish(ctx.out / "trackers")
    scorer.restore_attention()
    noise.remove()
    dropout.remove()
    fused.remove()
    saved: dict[str, Any] = {}
    if save_dtype is not None:
        saved = give_whole_model(model, optimizer, save_dtype, start, ctx.emit)
    else:  # adapters are small: they are saved in float32, as trained
        optimizer.give_masters()
    model.eval()
    proofs.publish(ctx)
    ledger.publish(journal, rows.row_ids, ctx.out / "rows.parquet", type)
    weights = objective.row_weights(rows, np.arange(len(rows)))
    score = None if material.is_fixed else "reward"
    curve.draw(type.read(journal), weights, state.evaluations, ctx.out / "loss.png", objective.per, score)
    provenance = {"resumed": loop.lineage} if loop.lineage else {}
    return Fitted(_measures(state, plan, rows, resumed_from, measure) | saved, provenance)


def _report_attention(spec: TrainSpec, scorer: Scorer, emit: Callable[[Event], None]) -> None:
    if spec.attention == "auto":
        value, reason = "varlen", "a packed batch gives each sequence the same hidden states as alone"
        if scorer.one_by_one:
            value = scorer.causal.config._attn_implementation or "eager"
            reason = f"{scorer.reason}: one sequence at a time"
        elif scorer.kernel_reason:
            reason = f"{reason}; {_NO_KERNEL}: {scorer.kernel_reason}"
        emit(Chosen(field="attention", value=value, reason=reason))
    elif spec.attention == "varlen" and scorer.one_by_one:
        raise AskError(
            "ask.wrong-value",
            f"attention: varlen was requested, but {scorer.reason}",
            "set attention: auto or attention: sdpa",
        )
    elif spec.attention == "varlen" and scorer.kernel_reason:
        emit(Note(text=f"attention: {_NO_KERNEL}: {scorer.kernel_reason}"))
    if scorer.uses_own_head:
        emit(Note(text="the head of this model is of an unknown kind; the model's own forward computes all logits"))


def _origin(
    spec: TrainSpec, ctx: Context, rows: TokenisedRows, held_out: TokenisedRows | None, optimizer: Optimizer
) -> Origin:
    inputs = {name: source.fingerprint for name, source in ctx.inputs.items()}
    shapes = {name: list(master.shape) for name, master in optimizer.masters.items()}
    splits = {"train": rows} | ({} if held_out is None else {"validation": held_out})
    return Origin(
        settings=fingerprint.flattened(fingerprint.settings_of(spec, inputs)),
        inputs=inputs,
        rows={name: split.digest() for name, split in splits.items()},
        weights=fingerprint.of_value(shapes),
        digests={name: source.digest for name, source in ctx.inputs.items() if source.digest},
    )


def _resume(
    requested: str, loop: Loop, checkpoints: CheckpointFolder, emit: Callable[[Event], None]
) -> tuple[int | None, bool]:
    """Restore the requested checkpoint; returns its step, and whether the run continues an earlier attempt of itself.

    A named checkpoint is superseded by a newer one of this run, once there is one.
    """
    newest, damaged = (None, []) if requested == "never" else loop.ranks.of_first(checkpoints.newest)
    for sentence in damaged:
        emit(Note(level="warning", text=sentence))
    checkpoint, named = None if newest is None else load(newest), None
    if requested not in ("auto", "never") and (checkpoint is None or not _continues_from(checkpoint, Path(requested))):
        named = Path(requested)
        checkpoint = read(named)
    if checkpoint is None:
        return None, requested != "never"
    changes = loop.restore(checkpoint, named)
    if "ledger_sha256" not in checkpoint.state:
        text = f"the checkpoint of step {loop.state.step} has no digest of the row ledger: rows.parquet is not checked"
        emit(Note(level="warning", text=f"{text} up to that step"))
    loop.ranks.gathered(None)  # all have read the checkpoint
    if not loop.ranks.is_first:
        return loop.state.step, named is None
    checkpoints.forget_after(loop.state.step)
    if named is not None:
        loop.take_ledger_of(named)
        if loop.settings.keep_best and loop.state.best_step is not None:
            checkpoints.adopt(named.with_name(f"step-{loop.state.best_step:08d}"))
    emit(Note(text=f"resuming from the checkpoint of step {loop.state.step}"))
    if changes:
        text = ", ".join(str(change) for change in changes)
        emit(Note(level="warning", text=f"settings changed from step {loop.state.step + 1} on: {text}"))
    return loop.state.step, named is None


def _continues_from(checkpoint: Checkpoint, named: Path) -> bool:
    """True when a checkpoint is from a run that was resumed from the named one."""
    lineage = checkpoint.state.get("lineage", [])
    return bool(lineage) and lineage[-1]["checkpoint"] == str(named)


def _tracking(spec: TrainSpec, ctx: Context, step: int, continues: bool) -> Tracking:
    folder = ctx.out.parent  # runs/<recipe>/<number>/<step>
    name = "-".join(folder.parts[-3:])
    settings = spec.model_dump(mode="json")
    names = spec.track if ctx.rank == 0 else ()
    return Tracking(names, ctx.scratch / "trackers", name, settings, ctx.emit, step=step, continues=continues)


def _take_best(
    settings: LoopSettings,
    state: TrainState,
    checkpoints: CheckpointFolder,
    optimizer: Optimizer,
    emit: Callable[[Event], None],
    measure: str = "loss",
) -> None:
    best = state.best_step
    if not settings.keep_best or best is None or best == state.step:
        return
    folder = checkpoints.at(best)
    if folder is None:
        emit(
            Note(
                level="warning",
                text=f"the best checkpoint (step {best}) is missing or damaged; the last weights are used",
            )
        )
        return
    optimizer.load_weights(read_weights(folder))
    emit(Note(text=f"using the weights of step {best}: validation {measure} {state.best_score:.4f}"))


def _measures(
    state: TrainState, plan: StepPlan, rows: TokenisedRows, resumed_from: int | None, measure: str = "loss"
) -> dict[str, Any]:
    measures: dict[str, Any] = {
        "steps": state.step,
        "epochs": round(plan.epochs_done(state.cursor), 4),
        "rows": len(rows),
        "first_loss": state.first_loss,
        "last_loss": state.last_loss,
        "tokens": state.tokens,
        "learned_tokens": state.learned_tokens,
        "tokens_per_second": round(state.tokens / max(state.seconds, 1e-9), 1),
        "seconds": round(state.seconds, 2),
    }
    measures |= {f"last_eval_{name}": value for name, value in state.last_metrics.items()}
    if state.evaluations:
        measures |= {f"best_eval_{measure}": state.best_score, "best_step": state.best_step}
        measures[f"last_eval_{measure}"] = state.evaluations[-1][1]
        if state.evaluations[0][0] == 0:
            measures[f"first_eval_{measure}"] = state.evaluations[0][1]
    if state.stopped_early:
        measures["stopped_early"] = True
    if resumed_from is not None:
        measures["resumed_from"] = resumed_from
    return measures
