"""compare: several models, endpoints and evaluations on the same rows, with one control of the error, and a gate.

Rows are read, claims, gate and regression sets are checked, and what the rows can show is reported before any model is
loaded. Then each candidate answers; what is finished is kept in the workspace's cache.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from burnish.core.context import Context, Outcome
from burnish.core.errors import AskError, DataError
from burnish.core.events import Note, Table
from burnish.core.files import write_json, write_lines
from burnish.core.naming import nearest
from burnish.core.recipes.gates import Rule, refuse_unknown
from burnish.evals.comparison import regressions
from burnish.evals.comparison.claims import Claim, Looks, Settings, claims_of, compared, is_decided, scored_by
from burnish.evals.comparison.clusters import with_clusters
from burnish.evals.comparison.detectable import Assumed
from burnish.evals.comparison.evaluated import Evaluated, rows_of
from burnish.evals.comparison.gate import Evidence, judged
from burnish.evals.comparison.regressions import Checked, Required, check
from burnish.evals.comparison.report import comparison_table, document, gate_table, score_table, warnings
from burnish.evals.comparison.results import Results
from burnish.evals.comparison.table import PERPLEXITY, Candidate, Rows, columns_of
from burnish.evals.items import ITEMS, ReadItem, read_items
from burnish.evals.measure import Item
from burnish.evals.report import BITS
from burnish.evals.scoring.columns import clusters_in
from burnish.evals.scoring.scorers import Row, Scorer, scorers_for
from burnish.evals.statistics.clusters import few_clusters, labels_of
from burnish.reports.document import write
from burnish.specs.evals import CompareSpec
from burnish.stages.evals.candidates import LocalModel, RemoteModel, note_damage
from burnish.stages.evals.gates import read_rules, read_sets
from burnish.stages.evals.kept import KeptItems
from burnish.stages.evals.measuring import Measuring
from burnish.stages.models.answering import count_alike, requested_rows, tokenizers_of
from burnish.stages.models.served import ServedModel, served_fingerprint

Source = LocalModel | RemoteModel | Evaluated


def run(spec: CompareSpec, ctx: Context) -> Outcome:
    """Write comparison.json, items.jsonl, regressions.jsonl, report.md and report.html; return the measures.

    A gate that fails is the measure `gate: failed`; the caller of the step raises its error.

    Errors: AskError `ask.bad-reference` for a rule of the gate that names what is unknown, DataError `data.other-rows`
    for an evaluation of other rows, `data.empty`, RunError `run.interrupted`.
    """
    plan = _plan(spec, ctx)
    ctx.check_settings()
    for sentence in plan.assumed.sentences():
        ctx.emit(Note(text=sentence))
    results = _results(plan, ctx)
    _report(results, ctx)
    return Outcome("comparison", results.measures())


@dataclass(frozen=True)
class _Plan:
    """The work to do, with every setting read and every name checked."""

    sources: Mapping[str, Source]
    read: Mapping[str, Sequence[Item | None]]
    """The items of evaluations."""
    identities: Mapping[str, tuple[str, str, str]]
    """Reference, kind and fingerprint by candidate."""
    baseline: str
    data: Sequence[Row] | None
    rows: Rows
    margins: Mapping[str, float]
    rules: Sequence[Rule]
    has_gate: bool
    sets: Mapping[str, Sequence[Required]]
    settings: Settings
    looks: int
    stop_after: int
    assumed: Assumed
    kept: KeptItems


def _plan(spec: CompareSpec, ctx: Context) -> _Plan:
    settings = Settings(spec.confidence, spec.seed)
    data = requested_rows(spec, ctx) if spec.data is not None else None
    kept = KeptItems(ctx.cache / "answers")
    sources, identities = _sources(spec, ctx, data, kept)
    rows = _rows(spec, sources, data, ctx)
    if spec.looks > (units := len(_edges(rows))):
        kind = "rows" if labels_of(rows.clusters) is None else "clusters"
        what = f"looks: {spec.looks} is more than the {units} {kind}: every look needs new ones"
        raise AskError("ask.wrong-value", what, "use fewer looks, or more rows")
    data, rows = _in_random_order(data, rows, spec.looks, spec.seed)
    baseline = spec.baseline or next(iter(sources))
    scored = _scores(sources)
    rules, sets = read_rules(spec, ctx), read_sets(spec, ctx)
    refuse_unknown(rules, [*scored, *([PERPLEXITY] if BITS in scored else [])], list(sources), list(sets))
    for name in spec.margins:
        if name not in scored:
            raise AskError("ask.bad-reference", f"margins: there is no score '{name}'", nearest(name, scored))
    labels = labels_of(rows.clusters)
    applying = _applying(scored, sources, data)
    claims = claims_of(applying, baseline, spec.margins, [rule.spec for rule in rules])
    return _Plan(
        sources=sources,
        read={name: each.items(rows, ctx) for name, each in sources.items() if isinstance(each, Evaluated)},
        identities=identities,
        baseline=baseline,
        data=data,
        rows=rows,
        margins=spec.margins,
        rules=rules,
        has_gate=spec.gate is not None,
        sets=sets,
        settings=settings,
        looks=spec.looks,
        stop_after=spec.stop_after or spec.looks,
        assumed=Assumed(len(rows), len(claims), spec.confidence, spec.power, spec.discordance, spec.detect, labels),
        kept=kept,
    )


def _sources(
    spec: CompareSpec, ctx: Context, data: Sequence[Row] | None, kept: KeptItems
) -> tuple[dict[str, Source], dict[str, tuple[str, str, str]]]:
    """What gives the items of each candidate, and what each candidate is."""
    inputs = {name: ctx.input(f"candidates.{name}.ref") for name, each in spec.candidates.items() if each.ref}
    models = {name: value for name, value in inputs.items() if value.kind != "evaluation"}
    endpoints = {name: each.endpoint for name, each in spec.candidates.items() if each.endpoint is not None}
    if (models or endpoints) and data is None:
        name = next(iter({**models, **endpoints}))
        raise AskError("ask.missing-key", f"data is missing: {name} is no evaluation, and needs rows", "add data: …")
    measuring = Measuring.of(spec, ctx) if models or endpoints else None
    tokenizers = dict(zip(models, tokenizers_of(list(models.values()), ctx), strict=True)) if models else {}
    if measuring is not None and measuring.learned is not None and not _count_alike(list(tokenizers.values())):
        text = "perplexity depends on tokenizers and templates, and the models' differ: bits_per_byte is compared"
        ctx.emit(Note(level="warning", text=text))
    sources: dict[str, Source] = {}
    identities: dict[str, tuple[str, str, str]] = {}
    for name in spec.candidates:
        endpoint = endpoints.get(name)
        if endpoint is not None and measuring is not None:
            served = ServedModel(endpoint, name, spec.generation, ctx)
            sources[name] = RemoteModel(name, served, measuring.scorers)
            known = served_fingerprint(endpoint, served.chats.identity)
            identities[name] = f"{endpoint.url}#{endpoint.model}", "endpoint", known
            continue
        value = inputs[name]
        identities[name] = value.ref, value.kind, value.fingerprint
        if value.kind == "evaluation":
            sources[name] = Evaluated(name, value.ref, read_items(value.path))
        elif measuring is not None:
            sources[name] = LocalModel(name, value, tokenizers[name], measuring, kept)
    return sources, identities


def _count_alike(tokenizers: Sequence[Any]) -> bool:
    return all(count_alike(tokenizers[0], other) for other in tokenizers[1:])


def _rows(spec: CompareSpec, sources: Mapping[str, Source], data: Sequence[Row] | None, ctx: Context) -> Rows:
    """The identity of the rows: of the data, or of the first evaluation; and their clusters."""
    column, evaluations = spec.cluster, [source for source in sources.values() if isinstance(source, Evaluated)]
    if data is not None:
        nothing: list[str | None] = [None] * len(data)
        parts = [row["id"] for row in data], [row["source"] for row in data], [row.get("tag") for row in data]
        rows = Rows(*parts, nothing, nothing)
        return with_clusters(rows, column, clusters_in(data, column), evaluations, ctx)
    if column is not None:
        what = "cluster names a column of the data, and there is no data"
        fix = "add data: …; or set cluster in evaluate or judge, whose clusters count here"
        raise AskError("ask.wrong-value", what, fix)
    lines: Sequence[ReadItem] = evaluations[0].lines
    if not lines:
        raise DataError("data.empty", "the first evaluation has no rows", "compare evaluations that have rows")
    return with_clusters(rows_of(lines), None, None, evaluations, ctx)


def _in_random_order(
    data: Sequence[Row] | None, rows: Rows, looks: int, seed: int
) -> tuple[Sequence[Row] | None, Rows]:
    """With looks, the rows in random order, clusters whole: each part is a sample of all. Otherwise as they are."""
    if looks == 1:
        return data, rows
    labels = labels_of(rows.clusters)
    units = np.arange(len(rows)) if labels is None else labels
    place = np.random.default_rng(seed).permutation(int(units.max()) + 1)[units]
    order = np.argsort(place, kind="stable").tolist()
    return None if data is None else [data[index] for index in order], rows.at(order)


def _scores(sources: Mapping[str, Source]) -> dict[str, list[str]]:
    """The scores that will be compared, each with the candidates that have it."""
    found: dict[str, list[str]] = {}
    for name, source in sources.items():
        if isinstance(source, Evaluated):
            scores = dict.fromkeys(score for line in source.lines for score in line.item.scores)
            has_bits = any(line.item.likelihood is not None for line in source.lines)
        else:
            scores = dict.fromkeys(scorer.name for scorer in _scorers(source))
            has_bits = isinstance(source, LocalModel) and source.measuring.learned is not None
        for score in [*scores, *([BITS] if has_bits else [])]:
            found.setdefault(score, []).append(name)
    return found


def _applying(
    scored: Mapping[str, Sequence[str]], sources: Mapping[str, Source], data: Sequence[Row] | None
) -> dict[str, Sequence[str]]:
    """The scores without those of scorers that apply to no row, such as `no_call`."""
    scorers = [each for source in sources.values() if not isinstance(source, Evaluated) for each in _scorers(source)]
    idle = {scorer.name for scorer in scorers if not any(scorers_for(row, [scorer]) for row in data or ())}
    return {name: candidates for name, candidates in scored.items() if name not in idle}


def _scorers(source: LocalModel | RemoteModel) -> Sequence[Scorer]:
    return source.scorers if isinstance(source, RemoteModel) else source.measuring.scorers


def _results(plan: _Plan, ctx: Context) -> Results:
    """The results of the last look, which is the only one unless looks are set."""
    items: dict[str, list[Item | None]] = {name: [] for name in plan.sources}
    looks, results = Looks(), None
    ends = ends_of(plan.rows, plan.looks)
    for number, (end, fraction) in enumerate(ends[: plan.stop_after], 1):
        start = len(next(iter(items.values())))
        for name, source in plan.sources.items():
            if isinstance(source, Evaluated):
                items[name] += plan.read[name][start:end]
            elif plan.data is not None:
                items[name] += source.items(plan.data[start:end], ctx)
        if plan.looks > 1:
            looks.fractions.append(fraction)
        results = _compared(plan, items, end, looks)
        if number < len(ends[: plan.stop_after]):
            columns, lines = comparison_table(results)
            ctx.emit(Table(title=f"Look {number} of {plan.looks}: {end:,} rows", columns=columns, rows=lines))
            if results.found and is_decided(results.found):
                ctx.emit(Note(text=f"all comparisons are decided after {end:,} of {len(plan.rows):,} rows"))
                break
    note_damage(plan.kept, ctx)
    assert results is not None
    return results


def ends_of(rows: Rows, looks: int) -> list[tuple[int, float]]:
    """The number of rows at each look, and its share of all rows, or of all clusters, which are whole at every look.

    `rows` are in the order of `_in_random_order`, and at least as many rows or clusters as looks.
    """
    edges = _edges(rows)
    counts = [len(edges) * number // looks for number in range(1, looks + 1)]
    return [(edges[count - 1], count / len(edges)) for count in counts]


def _edges(rows: Rows) -> list[int]:
    """The number of rows up to the end of each row or cluster, in the order of `rows` or that of the clusters."""
    labels = labels_of(rows.clusters)
    sizes = np.ones(len(rows), dtype=np.int64) if labels is None else np.bincount(labels)
    return np.cumsum(sizes).tolist()


def _compared(plan: _Plan, items: Mapping[str, Sequence[Item | None]], end: int, looks: Looks) -> Results:
    rows = plan.rows.first(end)
    labels = labels_of(rows.clusters)
    candidates = [Candidate(name, *plan.identities[name], items[name]) for name in plan.sources]
    columns = columns_of(candidates, labels)
    rules = [rule.spec for rule in plan.rules]
    claims: Sequence[Claim] = claims_of(scored_by(columns), plan.baseline, plan.margins, rules)
    found = compared(claims, columns, plan.settings, looks)
    checked = _checked(plan, rows, candidates)
    confidence = looks.confidence(plan.settings.confidence)
    gate = None
    if plan.has_gate:
        evidence = Evidence(columns, found, checked, list(plan.sources), plan.baseline, confidence, plan.settings.seed)
        gate = [judged(rule, evidence) for rule in plan.rules]
    return Results(
        title=f"{', '.join(name for name in plan.sources if name != plan.baseline)} against {plan.baseline}",
        rows=rows,
        candidates=candidates,
        baseline=plan.baseline,
        columns=columns,
        found=found,
        assumed=plan.assumed,
        confidence=confidence,
        seed=plan.settings.seed,
        fractions=looks.fractions,
        looks=plan.looks,
        checked=checked,
        gate=gate,
        missing={each.name: sum(item is None for item in each.items) for each in candidates},
    )


def _checked(plan: _Plan, rows: Rows, candidates: Sequence[Candidate]) -> dict[tuple[str, str, str | None], Checked]:
    """Every regression set for every candidate, for the scores that the rules name."""
    base = next(each for each in candidates if each.name == plan.baseline)
    wanted: dict[tuple[str, str | None], None] = {(name, None): None for name in plan.sets}
    wanted |= {(rule.spec.regressions, rule.spec.score): None for rule in plan.rules if rule.spec.regressions}
    return {
        (name, each.name, score): check(plan.sets[name], rows, base, each, score)
        for name, score in wanted
        for each in candidates
        if each is not base or any(rule.spec.candidate == each.name for rule in plan.rules)
    }


def _report(results: Results, ctx: Context) -> None:
    """Write the files, and report to the terminal."""
    write_json(ctx.out / "comparison.json", results.as_dict())
    write_lines(ctx.out / ITEMS, results.item_lines())
    base = next(each for each in results.candidates if each.name == results.baseline)
    write_lines(ctx.out / regressions.FILE, regressions.set_lines(results.rows, base))
    write(document(results), ctx.out)
    for text in warnings(results):
        ctx.emit(Note(level="warning", text=text))
    clusters = next((found.clusters for found in results.found.values() if found.clusters is not None), None)
    if text := few_clusters(clusters):
        ctx.emit(Note(level="warning", text=text))
    columns, lines = score_table(results)
    ctx.emit(Table(title=results.title, columns=columns, rows=lines))
    if results.found:
        columns, lines = comparison_table(results)
        ctx.emit(Table(title="Differences", columns=columns, rows=lines))
    if results.gate is not None:
        columns, lines = gate_table(results)
        ctx.emit(Table(title=f"Gate: {'passed' if results.passed else 'failed'}", columns=columns, rows=lines))
