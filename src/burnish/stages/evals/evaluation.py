"""Write the files of an evaluation, and report it to the terminal."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from burnish.core.context import Context
from burnish.core.events import Note, Table
from burnish.core.files import write_json, write_lines
from burnish.evals.chart import draw_scores
from burnish.evals.checks.kinds import PromptChecks
from burnish.evals.checks.results import check_measures, check_metrics, check_table
from burnish.evals.evaluation.answers import (
    answer_metrics,
    answer_table,
    answer_warnings,
    generation_metrics,
    generation_table,
)
from burnish.evals.evaluation.document import document
from burnish.evals.evaluation.point_figures import draw_points, point_blocks
from burnish.evals.evaluation.points import Points, point_measures, point_metrics, point_table
from burnish.evals.items import ITEMS
from burnish.evals.measure import Item
from burnish.evals.report import Sample, item_lines, measures, metrics, table, tag_table, unpaired, unscored
from burnish.evals.rewards import ACCURACY
from burnish.evals.scoring.scorers import ToolCalls
from burnish.evals.statistics.clusters import few_clusters
from burnish.evals.timing import Timing
from burnish.reports.document import Block, write
from burnish.specs.evals import MaskedSpec
from burnish.stages.evals.measuring import Measuring
from burnish.stages.evals.roles import value_measures, value_metrics, value_table
from burnish.stages.evals.tasks import task_measures, task_table

_FEW_ROWS, _FEW_SHARE = 20, 0.05
"""Fewer rows than this, or a smaller share, makes a score unreliable."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured, and how it is called."""

    title: str
    base_name: str
    """The displayed name of the model that is compared with."""
    sample: Sample
    measuring: Measuring
    tasks: dict[str, Any] | None = None
    """The metrics of the tasks of lm-evaluation-harness; None without tasks."""
    masked: MaskedSpec | None = None
    """How the tokens of an encoder were masked; None for other models."""
    timings: Mapping[str, Timing] = field(default_factory=dict[str, Timing])
    """The time of the answers of `model` and `base`."""
    points: Points | None = None
    """The checkpoints of the training."""


def write_evaluation(results: Evaluation, ctx: Context) -> dict[str, Any]:
    """Write the files of an evaluation, and report it; return the measures.

    Files: metrics.json, items.jsonl, scores.png, report.md, report.html; checkpoints.png where they are measured.
    """
    sample = results.sample
    found = metrics(sample)
    tasks, values = results.tasks, value_metrics(sample)
    answers, generation, checks = answer_metrics(sample), generation_metrics(results.timings), check_metrics(sample)
    more: dict[str, Any] = {"tasks": tasks, "values": values or None, "checks": checks or None}
    more |= {"answers": answers or None, "generation": generation or None}
    more["masked"] = None if results.masked is None else results.masked.model_dump()
    more = {name: value for name, value in more.items() if value is not None}
    points = None if results.points is None else point_metrics(results.points)
    more |= points or {}
    write_json(ctx.out / "metrics.json", {"title": results.title, **found, **more})
    write_lines(ctx.out / ITEMS, item_lines(sample))
    draw_scores(found, results.title, ctx.out / "scores.png", results.base_name)
    tables = [] if tasks is None else [task_table(tasks, results.base_name)]
    tables += [value_table(values, results.base_name)] if values else []
    if checks:
        columns, lines = check_table(checks, results.base_name)
        tables.append(Table(title="Checks of prompts", columns=columns, rows=lines))
    tables += [answer_table(answers, results.base_name)] if answers else []
    longest = 0 if results.measuring.generation is None else results.measuring.generation.max_new_tokens
    by_step: list[Block] = []
    if points is not None:
        tables.append(point_table(points["checkpoints"]))
        draw_points(points, results.title, ctx.out / "checkpoints.png")
        by_step = list(point_blocks(points))
    warnings = list(answer_warnings(answers, results.base_name, longest))
    timed = [generation_table(generation, results.base_name)] if generation else []
    write(document(results.title, found, sample, results.base_name, [*tables, *timed], warnings, by_step), ctx.out)
    names = [ACCURACY, PromptChecks.name, *(scorer.name for scorer in results.measuring.scorers)]
    for name in [*names, *(name for scorer in results.measuring.choices for name in scorer.scores)]:
        for why, rows in unscored(sample, name).items():
            ctx.emit(Note(level="warning", text=f"{name}: {rows} of {len(sample.rows)} rows not scored: {why}"))
    for name, rows in unpaired(found).items():
        text = f"{name}: {rows} rows count under one model only, and are left out of both"
        ctx.emit(Note(level="warning", text=text))
    _warn_of_few_calls(results, ctx, found)
    for text in [*warnings, few_clusters(sample.clusters)]:
        if text:
            ctx.emit(Note(level="warning", text=text))
    for side, items in sample.sides.items():
        broken = [row["source"] for row, item in zip(sample.rows, items, strict=True) if not _is_finite(item)]
        if broken:
            text = f"{side}: the loss of {len(broken)} of {len(items)} rows is not finite, first {broken[0]}"
            ctx.emit(Note(level="warning", text=text))
    columns, lines = table(found, results.base_name)
    if lines:
        ctx.emit(Table(title=results.title, columns=columns, rows=lines))
    columns, lines = tag_table(found, results.base_name)
    if lines:
        ctx.emit(Table(title="By tag", columns=columns, rows=lines))
    for more_table in tables:
        ctx.emit(more_table)
    for best in {} if points is None else points["best_checkpoints"].values():
        ctx.emit(Note(text=best["remark"]))
    numbers = {} if tasks is None else task_measures(tasks)
    numbers |= {} if points is None else point_measures(points)
    return {**numbers, **value_measures(values), **measures(found), **check_measures(checks)}


def _warn_of_few_calls(results: Evaluation, ctx: Context, found: dict[str, Any]) -> None:
    """Warn when few of the rows that offer tools expect a call: the score then says little."""
    for scorer in results.measuring.scorers:
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
