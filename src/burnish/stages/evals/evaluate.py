"""evaluate: score a model on rows, tasks and checks, alone or against another on the same ones.

Each model answers and is measured with its own tokenizer and template. An adapter that is compared with its
base is loaded once: the base is the same model with the adapter switched off.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import AskError
from burnish.core.events import Note
from burnish.evals.measure import Item
from burnish.evals.report import Sample
from burnish.evals.scoring.columns import clusters_in
from burnish.evals.scoring.scorers import Row
from burnish.evals.timing import Timing
from burnish.models.adapters.config import read_adapter_config
from burnish.models.adapters.new_tokens import tokens_of
from burnish.models.bases import base_of, is_adapter
from burnish.models.engines.opening import open_model
from burnish.specs.base import short_name
from burnish.specs.evals import EvaluateSpec, MaskedSpec
from burnish.stages.evals.candidates import note_damage
from burnish.stages.evals.checkpoints import Loaded, Measure, Measured, Training, measure_points, points_of
from burnish.stages.evals.checks import Checks, with_checks
from burnish.stages.evals.evaluation import Evaluation, write_evaluation
from burnish.stages.evals.kept import KeptItems, key_of
from burnish.stages.evals.measuring import Measuring, measured
from burnish.stages.evals.roles import Role, measured_as, refuse_others, role_of
from burnish.stages.evals.tasks import Tasks, task_metrics, with_tasks
from burnish.stages.models.answering import count_alike, requested_rows, tokenizers_of

Source = Input | Path


def run(spec: EvaluateSpec, ctx: Context) -> Outcome:
    """Write metrics.json, items.jsonl, scores.png, report.md and report.html; return the measures for the record.

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
        text = "perplexity depends on tokenizers and templates, and the models' differ: compare bits_per_byte"
        ctx.emit(Note(level="warning", text=text))
    if plan.training is not None:
        plan.training.report(ctx)
    loaded = Loaded(measuring, ctx)
    found_points = _points(plan, ctx, tokenizers[0], loaded)
    if plan.role != "language model":
        return _outcome(plan, ctx, _sample_of_role(plan, ctx, tokenizers), None, {}, found_points)
    model: Any = loaded.of(plan.model)
    timings = {"model": Timing()}
    ours = measured(measuring, plan.rows, ctx, model, tokenizers[0], "", timing=timings["model"])
    found = {} if plan.tasks is None else {"model": plan.tasks.results(model, tokenizers[0], ctx, "")}
    checked: dict[str, list[Item]] = {}
    if plan.checks is not None:
        checked["model"] = plan.checks.items(model, tokenizers[0], ctx, "", timings["model"])
    theirs: list[Item] | None = None
    if plan.base is not None:
        off: AbstractContextManager[Any] = nullcontext()
        if plan.base_is_under_adapter:
            off = model.disable_adapter()
        else:
            del model, loaded
            model = open_model(plan.base, dtype=measuring.dtype, device=measuring.device, emit=ctx.emit)
        with off:
            timings["base"], name = Timing(), f"{plan.base_name}: "
            theirs = measured(measuring, plan.rows, ctx, model, tokenizers[1], name, timing=timings["base"])
            if plan.tasks is not None:
                found["base"] = plan.tasks.results(model, tokenizers[1], ctx, name)
            if plan.checks is not None:
                checked["base"] = plan.checks.items(model, tokenizers[1], ctx, name, timings["base"])
    sample = Sample(plan.rows, ours, theirs, plan.confidence, plan.seed)
    tasks: dict[str, Any] | None = None
    if plan.tasks is not None:
        sample = with_tasks(sample, found["model"], found.get("base"))
        tasks = task_metrics(plan.tasks, found["model"], found.get("base"))
    if plan.checks is not None:
        sample = with_checks(sample, checked["model"], checked.get("base"), plan.checks)
    return _outcome(plan, ctx, sample, tasks, timings, found_points)


def _points(plan: "_Plan", ctx: Context, tokenizer: Any, loaded: Loaded) -> Measured:
    """The checkpoints of the training, if they are requested: each on the rows, then on the prompts of the checks."""
    if plan.training is None:
        return []
    kept = KeptItems(ctx.cache / "answers")

    def measure(source: Input, name: str) -> list[Item]:
        if plan.role != "language model":
            return _kept_of_role(plan, ctx, source, tokenizer, name, kept)
        items = Measure(plan.measuring, plan.rows, tokenizer, loaded, kept, plan.choices).items(source, name, ctx)
        if plan.checks is not None:
            checks = Measure(plan.checks.measuring, plan.checks.rows, tokenizer, loaded, kept, [])
            items += plan.checks.described(checks.items(source, f"{name} checks", ctx))
        return items

    found = measure_points(plan.training, measure)
    note_damage(kept, ctx)
    return found


def _outcome(
    plan: "_Plan",
    ctx: Context,
    sample: Sample,
    tasks: dict[str, Any] | None,
    timings: Mapping[str, Timing],
    found: Measured,
) -> Outcome:
    measuring = plan.measuring
    points = None
    if plan.training is not None:
        base = plan.base if plan.base_is_below else None
        points = points_of(plan.training, found, sample, base)
    if measuring.generation is None and plan.checks is not None:
        measuring = replace(measuring, generation=plan.checks.measuring.generation)
    results = Evaluation(plan.title, plan.base_name, sample, measuring, tasks, plan.masked, timings, points)
    return Outcome("evaluation", write_evaluation(results, ctx))


@dataclass(frozen=True)
class _Plan:
    """The work to do, with every setting read."""

    rows: Sequence[Row]
    model: Input
    base: Source | None
    base_is_under_adapter: bool
    """Whether switching the adapter off gives the base."""
    base_is_below: bool
    """Whether it is the base of the model."""
    base_name: str
    """The displayed name of the model that is compared with."""
    title: str
    measuring: Measuring
    tasks: Tasks | None
    checks: Checks | None
    role: Role
    masked: MaskedSpec | None
    max_length: int
    date: str
    confidence: float
    seed: int
    training: Training | None
    """The training whose checkpoints are measured too."""
    choices: Sequence[Any]
    """The settings of scorers by likelihood."""


def _plan(spec: EvaluateSpec, ctx: Context) -> _Plan:
    role = role_of(ctx.input("model"))
    refuse_others(spec, role)
    if spec.data is None:
        _accept_nothing(spec)
    generates = spec.data is not None and role == "language model"
    measuring = Measuring.of(spec, ctx) if generates else Measuring.of_nothing(spec, ctx)
    model, under_adapter = ctx.input("model"), spec.compare_with == "base"
    base: Source | None = None
    if under_adapter:
        base = _base_under(model)
    elif spec.compare_with is not None:
        base = ctx.input("compare_with")
    config = read_adapter_config(model.path) if under_adapter else {}
    changes_base = bool(tokens_of(config)) or config.get("bias", "none") != "none"  # rows or biases of the base itself
    return _Plan(
        rows=[] if spec.data is None else _clustered(requested_rows(spec, ctx), spec.cluster),
        model=model,
        base=base,
        base_is_under_adapter=under_adapter and not changes_base,
        base_is_below=under_adapter,
        base_name=short_name(spec.compare_with or "base"),
        title=spec.model if spec.compare_with is None else f"{spec.model} against {spec.compare_with}",
        measuring=measuring,
        tasks=Tasks.of(spec, ctx),
        checks=Checks.of(spec, ctx, measuring),
        role=role,
        masked=_read(spec.masked) if role == "encoder" else None,
        max_length=spec.max_length if role != "language model" else 0,
        date=spec.date if role == "reward model" else "auto",
        confidence=spec.confidence,
        seed=spec.seed,
        training=Training.of(model, ctx) if spec.checkpoints else None,
        choices=[one.model_dump(mode="json") for one in spec.scorers] if measuring.choices else [],
    )


def _clustered(rows: Sequence[Row], column: str | None) -> list[Row]:
    """The rows with their clusters. Errors: those of `clusters_in`."""
    if column is None:
        return list(rows)
    return [{**row, "cluster": name} for row, name in zip(rows, clusters_in(rows, column), strict=True)]


def _accept_nothing(spec: EvaluateSpec) -> None:
    """Without rows, `scorers: []` and `perplexity: false` say what holds: they count as read."""
    for name in ("scorers", "perplexity"):
        if not spec.__dict__[name]:
            getattr(spec, name)


def _read(spec: MaskedSpec) -> MaskedSpec:
    """The settings in effect; a share and a seed have none where each token is masked."""
    return MaskedSpec(each=True) if spec.each else MaskedSpec(share=spec.share, seed=spec.seed)


def _sample_of_role(plan: _Plan, ctx: Context, tokenizers: Sequence[Any]) -> Sample:
    """The results of a reward model or an encoder, and of the one that it is compared with."""
    sides: list[list[Item]] = []
    names: list[tuple[str, Source]] = [
        ("", plan.model),
        *([] if plan.base is None else [(f"{plan.base_name}: ", plan.base)]),
    ]
    for (name, source), tokenizer in zip(names, tokenizers, strict=True):
        if (other := role_of(source)) != plan.role:
            what = f"the model is of another role than {plan.base_name}: {plan.role} and {other}"
            raise AskError("ask.bad-reference", what, "compare models of one role")
        sides.append(_items_of_role(plan, ctx, source, tokenizer, name))
    left_out = [item.unanswered for item in sides[0] if item.unanswered]
    if left_out:
        text = f"{len(left_out)} of {len(plan.rows)} rows are not measured: {left_out[0]}"
        ctx.emit(Note(level="warning", text=text))
    return Sample(plan.rows, sides[0], sides[1] if len(sides) > 1 else None, plan.confidence, plan.seed)


def _items_of_role(plan: _Plan, ctx: Context, source: Source, tokenizer: Any, name: str) -> list[Item]:
    assert plan.role != "language model"
    return measured_as(
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


def _kept_of_role(plan: _Plan, ctx: Context, source: Input, tokenizer: Any, name: str, kept: KeptItems) -> list[Item]:
    """The items of a checkpoint of a reward model or an encoder."""
    settings: dict[str, Any] = {"date": plan.date, "template": tokenizer.chat_template, "length": plan.max_length}
    settings |= {"dtype": str(plan.measuring.dtype), "device": plan.measuring.device.type}
    settings["masked"] = None if plan.masked is None else plan.masked.model_dump()
    key = key_of(plan.role, source, plan.rows, settings)
    items = kept.get(key, len(plan.rows))
    if items is None:
        items = _items_of_role(plan, ctx, source, tokenizer, f"{name}: ")
        kept.put(key, items, with_scores=True)
    return items


def _base_under(model: Input) -> Source:
    if not is_adapter(model.path):
        raise AskError(
            "ask.bad-reference",
            f"compare_with: base means the base of an adapter, and {model.ref} is a whole model",
            "name the other model in compare_with, or leave compare_with out",
        )
    return base_of(model)
