"""The report of an evaluation as a document: scores, tags, what was left out, and rows to read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from burnish.core import events
from burnish.evals.evaluation.figures import score_figures, tag_figure
from burnish.evals.evaluation.points import POINTS
from burnish.evals.measure import Item
from burnish.evals.report import Sample, table, tag_table, unpaired, unscored
from burnish.evals.scoring.scorers import Row, Score, Unscored, answering_turn
from burnish.reports.blocks import Block, Heading, Level, Table, Text
from burnish.reports.document import Document
from burnish.reports.excerpts import beginning, ending

_WORST, _SAMPLES, _TAG_FIGURES = 10, 5, 4
_LEVELS: dict[str, Level] = {"better": "good", "worse": "bad"}


def document(
    title: str,
    found: Mapping[str, Any],
    sample: Sample,
    base_name: str,
    tables: Sequence[events.Table] = (),
    warnings: Sequence[str] = (),
    by_step: Sequence[Block] = (),
) -> Document:
    """The whole report; `found` is from `report.metrics`, `base_name` the model that is compared with.

    `tables` are shown after the scores, such as those of tasks, and `by_step` after that of checkpoints; `warnings`
    at the top.
    """
    blocks: list[Block] = [Text(_summary(found, sample, base_name)), *(Text(text, "warning") for text in warnings)]
    columns, lines = table(found, base_name)
    if lines:
        blocks += [Heading("Scores"), _leveled("", columns, lines), *score_figures(found, base_name)]
    if lines and sample.base is not None:
        blocks.append(Text(_VERDICT))
    for found_table in tables:
        blocks += [Heading(found_table.title), Table("", found_table.columns, found_table.rows)]
        blocks += by_step if found_table.title == POINTS else ()
    blocks += _by_tag(found, base_name)
    blocks += _left_out(found, sample)
    blocks += _rows(sample, base_name)
    return Document(title, blocks)


_VERDICT = (
    "A verdict needs a p-value, corrected for all scores together (Holm), of at most 1 - confidence and an interval of "
    "the difference that excludes 0. Not enough evidence does not mean equal."
)


def _summary(found: Mapping[str, Any], sample: Sample, base_name: str) -> str:
    models = "one model" if sample.base is None else f"the model and {base_name} on the same rows"
    rows = f"{found['rows']:,} rows"
    rows = f"{rows} in {found['clusters']:,} clusters, each one unit of evidence" if "clusters" in found else rows
    return f"{rows}; {models}; {found['confidence']:.0%} intervals."


def _leveled(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    return Table(
        title, columns, [[Text(cell, _LEVELS[cell]) if cell in _LEVELS else cell for cell in row] for row in rows]
    )  # pyright: ignore


def _by_tag(found: Mapping[str, Any], base_name: str) -> Iterator[Block]:
    columns, rows = tag_table(found, base_name)
    if rows:
        yield Heading("By tag")
        yield Table("", columns, rows)
        for score in list(found["scores"])[:_TAG_FIGURES]:
            yield from tag_figure(found, score, base_name)


def _left_out(found: Mapping[str, Any], sample: Sample) -> list[Block]:
    """What does not count, and why: unscored rows, rows over the limit, rows that count under one model only."""
    texts: list[str] = []
    for name in found["scores"]:
        texts += [
            f"{name}: {rows} of {len(sample.rows)} rows not scored: {why}"
            for why, rows in unscored(sample, name).items()
        ]
    for name, rows in unpaired(found).items():
        texts.append(f"{name}: {rows} rows count under one model only, and are left out of both")
    too_long = sum(item.too_long for item in sample.model)
    if too_long:
        texts.append(f"perplexity: {too_long} rows are longer than max_length or the model's context")
    return [Heading("Rows left out"), *(Text(text, "warning") for text in texts)] if texts else []


def _rows(sample: Sample, base_name: str) -> Iterator[Block]:
    """The rows with the lowest scores, and some of the others, evenly spaced."""
    means = {index: mean for index, item in enumerate(sample.model) if (mean := _mean(item)) is not None}
    worst = sorted((index for index, mean in means.items() if mean < 1), key=lambda index: means[index])[:_WORST]
    others = [index for index, item in enumerate(sample.model) if index not in worst and item.answer is not None]
    chosen = others[:: max(1, -(-len(others) // _SAMPLES))]
    for heading, rows in (("Lowest scores", worst), ("Sample of the other rows", chosen)):
        if rows:
            yield Heading(heading)
            yield _row_table(sample, rows, base_name)


def _row_table(sample: Sample, chosen: Sequence[int], base_name: str) -> Table:
    names = ["answer"] if sample.base is None else ["model", base_name]
    lines: list[list[str]] = []
    for index in chosen:
        item, row = sample.model[index], sample.rows[index]
        answers = [beginning(items[index].answer or items[index].unanswered) for items in sample.sides.values()]
        place = str(row["source"]) + (f"\n{row['tag']}" if row.get("tag") else "")
        lines.append(
            [place, ending(_conversation(row) or item.prompt), beginning(item.reference or ""), *answers, _scores(item)]
        )
    return Table("", ["row", "prompt", "reference", *names, "scores"], lines)


def _mean(item: Item) -> float | None:
    values = [score.value for score in item.scores.values() if isinstance(score, Score)]
    return sum(values) / len(values) if values else None


def _conversation(row: Row) -> str:
    """The turns before the answer; the rendered prompt is in items.jsonl."""
    turns = row.get("messages") or ()
    turns = turns[:-1] if answering_turn(row) is not None else turns
    if len(turns) == 1:
        return str(turns[0].get("content") or "")
    return "\n".join(f"{turn['role']}: {turn.get('content') or ''}" for turn in turns)


def _scores(item: Item) -> str:
    """The scores of a row; why there is none, if it has none."""
    scored = {name: score for name, score in item.scores.items() if isinstance(score, Score)}
    return "\n".join(f"{name} {_value(score)}{_asked(item, name)}" for name, score in (scored or item.scores).items())


def _asked(item: Item, name: str) -> str:
    """What a score was computed from, if that is not what the row shows."""
    asked = item.asked.get(name)
    if asked is None:
        return ""
    prompt = "" if asked.prompt == item.prompt else f" to the prompt {ending(asked.prompt)}"
    return f"; of the answer {beginning(asked.answer or '')}{prompt}, reference {beginning(asked.reference or '')}"


def _value(score: Score | Unscored) -> str:
    value = f"{score.value:.2f}".rstrip("0").rstrip(".") if isinstance(score, Score) else "–"
    return f"{value}: {beginning(score.why)}" if score.why else value
