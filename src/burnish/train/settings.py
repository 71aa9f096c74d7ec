"""The steps of a training and the settings of its loop, from its spec."""

from collections.abc import Callable

from burnish.core.errors import AskError
from burnish.core.events import Chosen, Event, Note
from burnish.specs.train import MAX_COUNT, TrainSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import StepPlan, indices_of
from burnish.train.checkpoints.state import LoopSettings
from burnish.train.optim.schedule import Schedule
from burnish.train.resolve import Resolved, eval_every, save_every
from burnish.train.source import GivenRows, Source

_ROWS_WHEN_NOT_SAID = 16


def plan_of(
    spec: TrainSpec, rows: TokenisedRows, emit: Callable[[Event], None], source: Source | None = None
) -> StepPlan:
    """Which rows form which step. Errors: AskError `ask.wrong-value` for `without_rows` that are unknown, or all."""
    batch_size = spec.batch_size
    if batch_size is None and spec.batch_tokens is None:
        batch_size = min(_ROWS_WHEN_NOT_SAID, len(rows))
        emit(Chosen(field="batch_size", value=batch_size, reason="neither batch_size nor batch_tokens is set"))
    without = indices_of(spec.without_rows, rows.row_ids)
    if len(without) == len(rows):
        raise AskError("ask.wrong-value", "without_rows names every row", "name fewer rows, or remove it")
    if len(without):
        emit(Note(text=f"{len(without)} of {len(rows)} rows are left out of their steps (without_rows)"))
    source = source or GivenRows(rows, None)
    return source.plan(
        seed=spec.seed, shuffle=spec.shuffle, batch_size=batch_size, batch_tokens=spec.batch_tokens, without=without
    )


def settings_of(
    spec: TrainSpec,
    plan: StepPlan,
    resolved: Resolved,
    emit: Callable[[Event], None],
) -> LoopSettings:
    """The settings of the loop. Errors: AskError `ask.wrong-value` for a run with too many steps."""
    total = spec.max_steps if spec.max_steps is not None else plan.total_steps(spec.epochs)
    if total > MAX_COUNT:
        raise AskError("ask.wrong-value", f"the run would have {total:,} steps", "lower epochs, or set max_steps")
    every, chosen = save_every(spec.checkpoint.every, total)
    if chosen is not None:
        emit(chosen)
    stop = spec.early_stop
    schedule = Schedule(spec.schedule, total)
    if schedule.warmup > total:
        share = f"{schedule(total - 1):.0%}"
        text = f"the warm-up of {schedule.warmup} steps is longer than the run of {total}: the learning rate only rises"
        emit(Note(level="warning", text=f"{text}, to {share} of learning_rate; lower schedule.warmup"))
    return LoopSettings(
        total_steps=total,
        learning_rate=spec.learning_rate,
        schedule=schedule,
        max_grad_norm=spec.max_grad_norm,
        micro_batch_tokens=resolved.micro_batch_tokens,
        save_every=every,
        eval_every=_eval_every(spec, total, emit),
        keep_best=spec.keep_best,
        patience=None if stop is None else stop.patience,
        min_delta=0.0 if stop is None else stop.min_delta,
        log_every=spec.log_every,
    )


def _eval_every(spec: TrainSpec, total: int, emit: Callable[[Event], None]) -> int | None:
    """Steps between evaluations; with early_stop, small enough for its patience to run out."""
    stop, every = spec.early_stop, eval_every(spec, total)
    if stop is None or every is None:
        return every
    if spec.eval_every is None:
        emit(Chosen(field="eval_every", value=every, reason="early_stop needs evaluations during the run"))
    if every * (stop.patience + 1) >= total:
        text = f"early_stop has no effect: {total} steps with an evaluation every {every} cannot exhaust a patience of"
        emit(Note(level="warning", text=f"{text} {stop.patience}; lower eval_every or patience"))
    return every
