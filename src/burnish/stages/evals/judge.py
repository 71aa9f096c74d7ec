"""judge: let language models judge answers, by a rubric, a reference, or in pairs.

The answers come from a result or a file; no model is loaded. Replies are cached by their request before they are read,
so that a run that was killed or stopped resumes without asking twice.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from burnish.core.context import Context, Outcome, StopRequestedError
from burnish.core.errors import AskError, DataError, RunError
from burnish.core.events import Note, Progress, Table
from burnish.core.files import write_json, write_lines
from burnish.evals.items import ITEMS
from burnish.evals.judge.answers import Case, read_answers
from burnish.evals.judge.criteria import Verdict
from burnish.evals.judge.joining import with_clusters, with_others, with_references
from burnish.evals.judge.outcomes import PAIR_SCALE, WIN, Ratings, ratings_of, reasons_of, repeats_are_equal, scores_of
from burnish.evals.judge.panel import Judge, Judgement, ask, build_panel, choose_formats
from burnish.evals.judge.report import document_of, flat, tables
from burnish.evals.judge.requests import Form, Question, Unasked, form_of
from burnish.evals.judge.summary import agreement_of, cost_of, human_labels, missing_of, pairs_of
from burnish.evals.measure import Item
from burnish.evals.report import Sample, item_lines, measures, metrics
from burnish.evals.scoring.scorers import Score
from burnish.evals.statistics.clusters import few_clusters
from burnish.reports.document import write
from burnish.specs.evals.judge import JudgeSpec

_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class _Plan:
    """The work to do, with every setting read."""

    title: str
    cases: Sequence[Case]
    form: Form
    judges: Sequence[Judge]
    questions: Sequence[Question]
    unasked: Mapping[int, Unasked]
    humans: Mapping[str, Sequence[Verdict | None]]
    response_format: str
    keeps_unanswered: bool
    combine: Literal["mean", "majority"]
    threshold: float | None
    max_missing: float
    confidence: float
    seed: int


def run(spec: JudgeSpec, ctx: Context) -> Outcome:
    """Write metrics.json, items.jsonl, judgements.jsonl and the report; return the measures for the record.

    Errors: those of reading answers; DataError `data.empty` if no row can be judged; MachineError `machine.no-answer`
    and RunError `run.call-limit` of an endpoint, after which the run resumes; RunError `run.interrupted`.
    """
    plan = _plan(spec, ctx)
    ctx.check_settings()
    try:
        choose_formats(plan.judges, plan.response_format, plan.form, plan.questions, ctx.scratch)
        _announce(plan, ctx)
        for judge in plan.judges:
            keeps = plan.keeps_unanswered
            ask(judge, plan.form, plan.questions, keeps_unanswered=keeps, tick=_tick(ctx, judge, plan))
            if judge.endpoint.doubt:
                ctx.emit(Note(text=judge.endpoint.doubt))
    except StopRequestedError:
        what = "the judgement was stopped; replies so far are in the cache"
        raise RunError("run.interrupted", what, "run it again: it asks only for the others") from None
    return Outcome("evaluation", _report(plan, ctx))


def _plan(spec: JudgeSpec, ctx: Context) -> _Plan:
    cases = _cases(spec, ctx)
    form = form_of(spec, cases)
    judges = build_panel(spec, ctx.cache / "replies", ctx.scratch, ctx.is_stopping, ctx.emit)
    questions, unasked = list[Question](), dict[int, Unasked]()
    for place, case in enumerate(cases):
        asked = form.questions(place, case)
        if isinstance(asked, Unasked):
            unasked[place] = asked
        else:
            questions += asked
    scales = {one.name: one.scale for one in form.criteria} if spec.mode != "pairwise" else {WIN: PAIR_SCALE}
    unknown = [name for name in spec.human if name not in scales]
    if unknown:
        fix = f"the verdicts are: {', '.join(scales)}"
        raise AskError("ask.wrong-value", f"human names '{unknown[0]}', which is not judged", fix)
    if not questions:
        counts = Counter(one.kind for one in unasked.values())
        listed = ", ".join(f"{why}: {count:,} rows" for why, count in counts.most_common())
        fix = f"name the columns (columns.answer, columns.context, …); there are: {', '.join(_names(cases))}"
        raise DataError("data.empty", f"no row of {spec.answers} can be judged ({listed})", fix)
    if spec.repeats > 1 and any(judge.endpoint.temperature == 0 for judge in judges):
        text = "repeats at temperature 0 differ only as the server is not exact: set judge.temperature"
        ctx.emit(Note(level="warning", text=text))
    kind = {"rubric": spec.rubric or "criteria", "reference": "reference", "pairwise": "pairs"}[spec.mode]
    return _Plan(
        title=f"{spec.answers} judged by {kind}",
        cases=cases,
        form=form,
        judges=judges,
        questions=questions,
        unasked=unasked,
        humans=human_labels(cases, spec.human, scales),
        response_format=spec.response_format,
        keeps_unanswered=spec.unanswered == "missing",
        combine=spec.combine,
        threshold=spec.threshold,
        max_missing=spec.max_missing,
        confidence=spec.confidence,
        seed=spec.bootstrap_seed,
    )


def _names(cases: Sequence[Case]) -> list[str]:
    """The columns of the rows."""
    return list(dict.fromkeys(name for case in cases for name in case.columns))


def _cases(spec: JudgeSpec, ctx: Context) -> list[Case]:
    """The answers, joined with what other files have."""
    own_reference = spec.mode == "reference" and spec.references is None
    needs = ["answer", "prompt", *(["reference"] if own_reference else [])]
    answers = read_answers(ctx.input("answers"), spec.columns, "answers", ctx.emit, needs=needs)
    if spec.references is not None:
        given = ctx.input("references")
        references = read_answers(given, spec.reference_columns, "references", ctx.emit, needs=["reference"])
        answers = with_references(answers, references, spec.join, ctx.emit)
    if spec.against is not None:
        others = read_answers(ctx.input("against"), spec.against_columns, "against", ctx.emit, needs=["answer"])
        answers = with_others(answers, others, spec.join, ctx.emit)
    if spec.mode == "reference" and "reference" not in answers.columns:
        fix = "set columns.reference, or references to a file with them"
        raise AskError("ask.wrong-value", f"{spec.answers} has no column with references", fix)
    cases = with_clusters(answers.cases[: spec.max_rows], spec.cluster, answers.name, ctx.emit)
    if not cases:
        raise DataError("data.empty", f"{spec.answers} has no answers", "check the file")
    if not any(case.prompt for case in cases):
        ctx.emit(Note(level="warning", text=f"{spec.answers} has no prompts: judges see the answers without them"))
    return cases


def _announce(plan: _Plan, ctx: Context) -> None:
    """Report what will be sent, and what it may cost at most."""
    for judge in plan.judges:
        requests = [judge.request(question, plan.form) for question in plan.questions]
        new = {judge.endpoint.key(one): one for one in requests if not judge.endpoint.is_cached(one)}
        size = sum(len(turn["content"]) for one in new.values() for turn in one.messages)
        most = judge.endpoint.most_of_all(new.values())
        text = f"{judge.name}: {len(requests):,} verdicts, {len(new):,} requests to send; about "
        text += f"{size // _CHARACTERS_PER_TOKEN:,} tokens of prompts, at most {most.reply:,} of replies"
        if cost := judge.endpoint.spending.price_of(most):
            text += f"; it costs at most {cost:.4g}"
        ctx.emit(Note(text=f"{text}; response_format: {judge.format}"))


def _tick(ctx: Context, judge: Judge, plan: _Plan) -> Callable[[int, int], None]:
    phase = "judgements" if len(plan.judges) == 1 else f"{judge.name}: judgements"

    def tick(done: int, total: int) -> None:
        ctx.emit(Progress(phase=phase, done=done, total=total, unit="requests"))

    return tick


def _report(plan: _Plan, ctx: Context) -> dict[str, Any]:
    """Write and report the results; return the measures."""
    ratings = ratings_of(plan.judges, plan.form.criteria, len(plan.cases), plan.form.repeats)
    items = _items(plan, ratings)
    sample = Sample([case.row for case in plan.cases], items, None, plan.confidence, plan.seed)
    found = metrics(sample)
    for entry in found["scores"].values():
        entry["model"]["missing_share"] = entry["model"]["unscored"] / len(items)
    found["missing"], found["cost"] = missing_of(plan.judges, plan.unasked), cost_of(plan.judges)
    found["asked"] = _asked(plan)
    labels = sample.labels
    found["agreement"] = agreement_of(ratings, plan.humans, plan.combine, labels, plan.confidence, plan.seed)
    if ratings[0].criterion.name == WIN:
        scored = {
            place: score.value for place, item in enumerate(items) if isinstance(score := item.scores[WIN], Score)
        }
        of_pairs = None if labels is None else labels[list(scored)]
        found["pairs"] = pairs_of(plan.judges, list(scored.values()), of_pairs, plan.confidence, plan.seed)
    write_json(ctx.out / "metrics.json", {"title": plan.title, **found})
    write_lines(ctx.out / ITEMS, item_lines(sample))
    judged = (_line(plan, judge, one) for judge in plan.judges for one in judge.judgements)
    write_lines(ctx.out / "judgements.jsonl", judged)
    write(document_of(plan.title, found, plan.form, sample), ctx.out)
    _warn(plan, ctx, found)
    for title, columns, rows in tables(plan.title, found):
        ctx.emit(Table(title=title, columns=columns, rows=rows))
    return measures(found) | flat(found)


def _asked(plan: _Plan) -> dict[str, Any]:
    """What was asked of whom."""
    form = plan.form
    judges = {one.name: {"endpoint": one.endpoint.name, "response_format": one.format} for one in plan.judges}
    return {"judges": judges, "system": form.system, "template": form.template, "schema": form.schema}


def _items(plan: _Plan, ratings: Sequence[Ratings]) -> list[Item]:
    reasons = reasons_of(plan.judges, plan.unasked)
    items = []
    for place, case in enumerate(plan.cases):
        scores = scores_of(ratings, place, plan.combine, plan.threshold, reasons.get(place, "no verdict"))
        item = Item(case.prompt, case.reference, case.answer, case.finish_reason, scores)
        items.append(item)
    return items


def _line(plan: _Plan, judge: Judge, one: Judgement) -> dict[str, Any]:
    """A line of judgements.jsonl: a request, its whole reply, and what was read."""
    case, reply = plan.cases[one.question.case], one.reply
    line: dict[str, Any] = {"id": case.id, "source": case.source, "judge": judge.name, "repeat": one.question.repeat}
    if len(plan.form.orders) > 1:
        line["order"] = one.question.order
    line |= {"verdicts": one.verdicts, "missing": one.kind or None, "why": one.why or None}
    if reply is not None:
        usage = None if reply.usage is None else {"prompt": reply.usage.prompt, "reply": reply.usage.reply}
        line |= {"reply": reply.text, "refusal": reply.refusal or None, "finish_reason": reply.finish_reason}
        line |= {"tokens": usage, "cached": reply.is_cached}
        line["cost"] = None if reply.usage is None else judge.endpoint.spending.price_of(reply.usage)
    return line


def _warn(plan: _Plan, ctx: Context, found: Mapping[str, Any]) -> None:
    missing = found["missing"]
    if text := few_clusters(found.get("clusters")):
        ctx.emit(Note(level="warning", text=text))
    for why, count in missing["not_asked"].items():
        text = f"{count:,} of {len(plan.cases):,} rows are not judged: {why}"
        ctx.emit(Note(level="warning", text=text))
    if missing["missing"]:
        reasons = ", ".join(f"{why} {count:,}" for why, count in missing["reasons"].items())
        level = "warning" if missing["share"] > plan.max_missing else "info"
        first = missing["examples"][0]
        text = (
            f"{missing['missing']:,} of {missing['replies']:,} verdicts are missing ({missing['share']:.1%}): {reasons}"
        )
        ctx.emit(Note(level=level, text=f"{text}; first: {first['why']}"))
    for judge in plan.judges:
        spending = judge.endpoint.spending
        if spending.uncounted:
            text = f"{judge.name}: {spending.uncounted:,} requests have no count of tokens; their maximum is counted"
            ctx.emit(Note(text=text))
        if repeats_are_equal(judge):
            text = f"{judge.name} gave all repeats the same reply: it may ignore temperature or seed"
            ctx.emit(Note(level="warning", text=f"{text}, and their agreement is meaningless"))
        if spending.exceeds_its_bound:
            text = f"{judge.name} counts more tokens than a request and max_tokens allow: a limit may be exceeded"
            ctx.emit(Note(level="warning", text=text))
