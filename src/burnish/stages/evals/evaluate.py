"""evaluate: score a model on rows and tasks, alone or against another on the same ones.

Each model answers and is measured with its own tokenizer and template. An adapter that is compared with its
base is loaded once: the base is the same model with the adapter switched off.
"""

import json
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import AskError
from burnish.core.events import Note, Table
from burnish.core.files import jsonable, write_json
from burnish.evals.chart import draw_scores
from burnish.evals.measure import Item
from burnish.evals.report import Sample, item_lines, measures, metrics, table, tag_table, unpaired, unscored
from burnish.evals.rewards import ACCURACY
from burnish.evals.scoring.scorers import Row, ToolCalls
from burnish.models.adapters.config import read_adapter_config
from burnish.models.adapters.new_tokens import tokens_of
from burnish.models.bases import base_of, is_adapter
from burnish.models.load import load_model
from burnish.models.quantization.layers import report
from burnish.specs.base import short_name
from burnish.specs.evals import EvaluateSpec, MaskedSpec
from burnish.stages.evals.measuring import Measuring, measured
from burnish.stages.evals.roles import (
    Role,
    measured_as,
    refuse_others,
    role_of,
    value_measures,
    value_metrics,
    value_table,
)
from burnish.stages.evals.tasks import Tasks, task_measures, task_metrics, task_table, with_tasks
from burnish.stages.models.answering import count_alike, requested_rows, tokenizers_of

Source = Input | Path
_FEW_ROWS, _FEW_SHARE = 20, 0.05
"""Fewer rows than this, or a smaller share, makes a score unreliable."""


def run(spec: EvaluateSpec, ctx: Context) -> Outcome:
    """Write metrics.json, items.jsonl and scores.png; return the measures for the record.

    Files and measures call the model that is compared with `base`.

    Errors: AskError `ask.bad-reference` for `compare_with: base` of a model that is not an adapter and
    `ask.nothing-to-do`, DataError `data.not-prepared` for a split that is not there and `data.empty`,
    RunError `run.interrupted`.
    """
    plan = _plan(spec, ctx)
    measuring = plan.measuring
    ctx.check_settings()
    tokenizers = tokenizers_of([plan.model, *([] if plan.base is None else [plan.base])], ctx)
    if plan.rows and measuring.learned is not None and not count_alike(tokenizers[0], tokenizers[-1]):
        text = "the models have other tokens or templates, and perplexity depends on them: compare bits_per_byte"
        ctx.emit(Note(level="warning", text=text))
    if plan.role != "language model":
        return Outcome("evaluation", _report(plan, ctx, _sample_of_role(plan, ctx, tokenizers), None))
    model: Any = load_model(plan.model, dtype=measuring.dtype, device=measuring.device)
    for note in report(model):
        ctx.emit(note)
    ours = measured(measuring, plan.rows, ctx, model, tokenizers[0], "")
    found = {} if plan.tasks is None else {"model": plan.tasks.results(model, tokenizers[0], ctx, "")}
    theirs: list[Item] | None = None
    if plan.base is not None:
        off: AbstractContextManager[Any] = nullcontext()
        if plan.base_is_under_adapter:
            off = model.disable_adapter()
        else:
            del model
            model = load_model(plan.base, dtype=measuring.dtype, device=measuring.device)
        with off:
            theirs = measured(measuring, plan.rows, ctx, model, tokenizers[1], f"{plan.base_name}: ")
            if plan.tasks is not None:
                found["base"] = plan.tasks.results(model, tokenizers[1], ctx, f"{plan.base_name}: ")
    sample = Sample(plan.rows, ours, theirs, plan.confidence, plan.seed)
    tasks: dict[str, Any] | None = None
    if plan.tasks is not None:
        sample = with_tasks(sample, found["model"], found.get("base"))
        tasks = task_metrics(plan.tasks, found["model"], found.get("base"))
    return Outcome("evaluation", _report(plan, ctx, sample, tasks))


@dataclass(frozen=True)
class _Plan:
    """The work to do, with every setting read."""

    rows: Sequence[Row]
    model: Input
    base: Source | None
    base_is_under_adapter: bool
    base_name: str
    """The displayed name of the model that is compared with."""
    title: str
    measuring: Measuring
    tasks: Tasks | None
    role: Role
    masked: MaskedSpec | None
    max_length: int
    date: str
    confidence: float
    seed: int


def _plan(spec: EvaluateSpec, ctx: Context) -> _Plan:
    role = role_of(ctx.input("model").path)
    refuse_others(spec, role)
    generates = spec.data is not None and role == "language model"
    measuring = Measuring.of(spec, ctx) if generates else Measuring.of_nothing(spec, ctx)
    model, under_adapter = ctx.input("model"), spec.compare_with == "base"
    base: Source | None = None
    if under_adapter:
        base = _base_under(model)
    elif spec.compare_with is not None:
        base = ctx.input("compare_with")
    return _Plan(
        rows=[] if spec.data is None else requested_rows(spec, ctx),
        model=model,
        base=base,
        base_is_under_adapter=under_adapter and not tokens_of(read_adapter_config(model.path)),  # it may add rows
        base_name=short_name(spec.compare_with or "base"),
        title=spec.model if spec.compare_with is None else f"{spec.model} against {spec.compare_with}",
        measuring=measuring,
        tasks=Tasks.of(spec, ctx),
        role=role,
        masked=_read(spec.masked) if role == "encoder" else None,
        max_length=spec.max_length if role != "language model" else 0,
        date=spec.date if role == "reward model" else "auto",
        confidence=spec.confidence,
        seed=spec.seed,
    )


def _read(spec: MaskedSpec) -> MaskedSpec:
    """The settings in effect; a share and a seed have none where each token is masked."""
    return MaskedSpec(each=True) if spec.each else MaskedSpec(share=spec.share, seed=spec.seed)


def _sample_of_role(plan: _Plan, ctx: Context, tokenizers: Sequence[Any]) -> Sample:
    """The results of a reward model or an encoder, and of the one that it is compared with."""
    sides: list[list[Item]] = []
    names = [("", plan.model), *([] if plan.base is None else [(f"{plan.base_name}: ", plan.base)])]
    for (name, source), tokenizer in zip(names, tokenizers, strict=True):
        folder = source.path if isinstance(source, Input) else source
        if (other := role_of(folder)) != plan.role:
            what = f"the model is of another role than {plan.base_name}: {plan.role} and {other}"
            raise AskError("ask.bad-reference", what, "compare models of one role")
        sides.append(
            measured_as(
                plan.role,
                source,
                tokenizer,
                plan.rows,
                ctx,
                name,
                masked=plan.masked,
                max_length=plan.max_length,
                date=plan.date,
                dtype=plan.measuring.dtype,
                device=plan.measuring.device,
            )
        )
    left_out = [item.unanswered for item in sides[0] if item.unanswered]
    if left_out:
        text = f"{len(left_out)} of {len(plan.rows)} rows are not measured: {left_out[0]}"
        ctx.emit(Note(level="warning", text=text))
    return Sample(plan.rows, sides[0], sides[1] if len(sides) > 1 else None, plan.confidence, plan.seed)


def _base_under(model: Input) -> Source:
    if not is_adapter(model.path):
        raise AskError(
            "ask.bad-reference",
            f"compare_with: base means the base of an adapter, and {model.ref} is a whole model",
            "name the other model in compare_with, or leave compare_with out",
        )
    return base_of(model)


def _report(plan: _Plan, ctx: Context, sample: Sample, tasks: dict[str, Any] | None) -> dict[str, Any]:
    """Write and report the results; return the measures."""
    found = metrics(sample)
    values = value_metrics(sample)
    more: dict[str, Any] = {"tasks": tasks, "values": values or None}
    more["masked"] = None if plan.masked is None else plan.masked.model_dump()
    more = {name: value for name, value in more.items() if value is not None}
    write_json(ctx.out / "metrics.json", {"title": plan.title, **found, **more})
    with (ctx.out / "items.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(jsonable(line), ensure_ascii=False) + "\n" for line in item_lines(sample))
    draw_scores(found, plan.title, ctx.out / "scores.png", plan.base_name)
    names = [ACCURACY, *(scorer.name for scorer in plan.measuring.scorers)]
    for name in [*names, *(name for scorer in plan.measuring.choices for name in scorer.scores)]:
        for why, rows in unscored(sample, name).items():
            ctx.emit(Note(level="warning", text=f"{name}: {rows} of {len(sample.rows)} rows not scored: {why}"))
    for name, rows in unpaired(found).items():
        text = f"{name}: {rows} rows count under one model only, and are left out of both"
        ctx.emit(Note(level="warning", text=text))
    _warn_of_few_calls(plan, ctx, found)
    for side, items in sample.sides.items():
        broken = [row["source"] for row, item in zip(sample.rows, items, strict=True) if not _is_finite(item)]
        if broken:
            text = f"{side}: the loss of {len(broken)} of {len(items)} rows is not finite, first {broken[0]}"
            ctx.emit(Note(level="warning", text=text))
    columns, lines = table(found, plan.base_name)
    ctx.emit(Table(title=plan.title, columns=columns, rows=lines))
    columns, lines = tag_table(found, plan.base_name)
    if lines:
        ctx.emit(Table(title="By tag", columns=columns, rows=lines))
    if values:
        ctx.emit(value_table(values, plan.base_name))
    if tasks is None:
        return {**value_measures(values), **measures(found)}
    ctx.emit(task_table(tasks, plan.base_name))
    return {**task_measures(tasks), **measures(found)}


def _warn_of_few_calls(plan: _Plan, ctx: Context, found: dict[str, Any]) -> None:
    """Warn when few of the rows that offer tools expect a call: the score then says little."""
    for scorer in plan.measuring.scorers:
        if not isinstance(scorer, ToolCalls):
            continue
        scored = found["scores"].get(scorer.name, {"model": {"n": 0}})["model"]["n"]
        rows = found["rows"]
        if scored < max(_FEW_ROWS, _FEW_SHARE * rows):
            text = f"{scorer.name}: {scored} of {rows} rows expect a tool call"
            ctx.emit(
                Note(
                    level="warning", text=f"{text}: {'its score rests on few rows' if scored else 'it is not measured'}"
                )
            )


def _is_finite(item: Item) -> bool:
    return item.likelihood is None or math.isfinite(item.likelihood.nats)
