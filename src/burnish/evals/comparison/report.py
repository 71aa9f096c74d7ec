"""The report of a comparison: tables for the terminal and the page, and a figure of all differences."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from burnish.evals.comparison.results import Results
from burnish.evals.comparison.table import Column, left_out, reasons_of
from burnish.evals.scoring.scorers import Score
from burnish.evals.statistics.clusters import labels_of
from burnish.evals.statistics.intervals import Interval
from burnish.evals.statistics.paired import Comparison
from burnish.reports.blocks import Block, Figure, Heading, Table, Text
from burnish.reports.document import Document
from burnish.reports.excerpts import LABEL, beginning, ending
from burnish.reports.style import Style, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Lines = tuple[list[str], list[list[str]]]
"""Columns and rows of a table."""
_SHOWN_ROWS = 12
_SIDE_BY_SIDE = 3
"""More candidates have a line each in the table of scores: columns of that many fit no page."""


def document(results: Results) -> Document:
    """The whole report."""
    blocks: list[Block] = [Text(sentence) for sentence in _summary(results)]
    if results.gate is not None:
        word = "passed" if results.passed else "failed"
        blocks += [Heading("Gate"), Text(f"The gate {word}.", "good" if results.passed else "bad")]
        blocks.append(_table("Rules", gate_table(results), levels={"passed": "good", "failed": "bad"}))
    blocks += [Heading("Scores"), _table("", score_table(results))]
    if results.found:
        blocks += [Heading("Differences"), _table("", comparison_table(results), levels=_LEVELS)]
        blocks += _figures(results)
        blocks += [Text(text) for text in _EXPLANATION]
    blocks += _left_out(results)
    blocks += _worse_rows(results)
    blocks += _different_rows(results)
    return Document(results.title, blocks)


_LEVELS = {"better": "good", "not worse": "good", "worse": "bad"}
_EXPLANATION = (
    "p is corrected for all comparisons together (Holm). A verdict needs p at most 1 - confidence and an interval that "
    "excludes 0, or, for a claim with a margin, the margin. Not enough evidence does not mean equal.",
    "MDE, the minimum detectable effect: the smallest true difference that a comparison with this variance finds with "
    "the stated power.",
)


def score_table(results: Results) -> Lines:
    """Every score of every candidate, with its interval: candidates side by side, or many on a line each."""
    names = [each.name for each in results.candidates]
    found = [(column.name, str(len(column.rows)), _values(results, column, names)) for column in results.columns]
    if len(names) <= _SIDE_BY_SIDE:
        return ["score", "rows", *names], [[score, rows, *values] for score, rows, values in found]
    lines = [
        [score, name, rows, value] for score, rows, values in found for name, value in zip(names, values, strict=True)
    ]
    return ["score", "candidate", "rows", "value"], lines


def _values(results: Results, column: Column, names: Sequence[str]) -> list[str]:
    found = results.values(column)
    cells: list[str] = []
    for name in names:
        entry = found.get(name)
        low = None if entry is None else entry["low"]
        ends = "" if entry is None or low is None else f" ({_number(low)} … {_number(entry['high'])})"
        cells.append("–" if entry is None else f"{_number(entry['value'])}{ends}")
    return cells


def comparison_table(results: Results) -> Lines:
    """Every comparison, with its verdict; clusters are counted beside the rows, which the table of scores has."""
    is_clustered = any(found.clusters is not None for found in results.found.values())
    lines: list[list[str]] = []
    for claim, found in results.found.items():
        smallest = results.detectable(claim, found)
        pair = claim.candidate if claim.base == results.baseline else f"{claim.candidate} – {claim.base}"
        question = claim.score if claim.margin is None else f"{claim.score}, margin {claim.margin:g}"
        units = [f"{found.n} in {found.clusters} clusters"] if is_clustered else []
        cells = [question, pair, *units, difference(found), f"{found.p_corrected:.2g}"]
        lines.append([*cells, "" if smallest is None else f"{smallest:.3f}", found.verdict])
    rows = ["rows"] if is_clustered else []
    return ["score", "candidate", *rows, "difference", "p", "MDE", "verdict"], lines


def gate_table(results: Results) -> Lines:
    """Every rule of the gate, and what it found, each finding on a line."""
    rules = results.gate or ()
    lines = [[each.rule, "passed" if each.passed else "failed", each.found.replace("; ", "\n")] for each in rules]
    return ["rule", "result", "found"], lines


def difference(found: Comparison) -> str:
    """`+0.040 (+0.010 … +0.070)`."""
    return f"{found.delta:+.3f}{_range(found.interval)}"


def _range(interval: Interval | None) -> str:
    return "" if interval is None else f" ({interval.low:+.3f} … {interval.high:+.3f})"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


def _summary(results: Results) -> list[str]:
    names = [each.name for each in results.candidates if each.name != results.baseline]
    share = f"{results.confidence:.0%} intervals"
    sentences = [f"{len(results.rows):,} rows; {', '.join(names)} compared with {results.baseline}; {share}."]
    if (labels := labels_of(results.rows.clusters)) is not None:
        count = f"{int(labels.max()) + 1:,} clusters, by {results.rows.clustered_by}"
        sentences.append(f"Rows of a cluster are one unit of evidence: {count}.")
    if results.fractions:
        share = results.fractions[-1]
        sentences.append(f"Look {len(results.fractions)} of {results.looks}, after {share:.0%} of the rows.")
    return [*sentences, f"Before the run: {results.assumed.sentences()[0]}."]


def _table(title: str, lines: Lines, levels: dict[str, str] | None = None) -> Table:
    known = levels or {}
    rows = [[Text(cell, known[cell]) if cell in known else cell for cell in line] for line in lines[1]]  # pyright: ignore
    return Table(title, lines[0], rows)


def _figures(results: Results) -> Iterator[Figure]:
    """The differences of each score, whose units may be its own."""
    by_score: dict[str, list[tuple[str, Comparison]]] = {}
    for claim, found in results.found.items():
        if found.interval is not None and found.margin is None:
            by_score.setdefault(claim.score, []).append((claim.candidate, found))
    for score, shown in by_score.items():
        words = "; ".join(f"{name} {difference(found)}, {found.verdict}" for name, found in shown)
        yield Figure(f"{score}: differences with intervals", partial(_draw, shown), words, 0.8 + 0.34 * len(shown))


def _draw(shown: Sequence[tuple[str, Comparison]], axes: "Axes", style: Style) -> None:
    colors = {"better": style.good, "not worse": style.good, "worse": style.bad}
    style_axes(axes, grid="x", style=style)
    axes.axvline(0, color=style.faint, lw=1)
    for row, (_, found) in enumerate(shown):
        interval, color = found.interval, colors.get(found.verdict, style.pale)
        if interval is not None:
            axes.hlines(row, interval.low, interval.high, color=color, lw=2.2)
        axes.plot([found.delta], [row], "o", color=color, ms=5)
        ink = colors.get(found.verdict, style.faint)
        axes.annotate(found.verdict, (1.01, row), xycoords=("axes fraction", "data"), va="center", size=8, color=ink)
    axes.set_yticks(range(len(shown)), [beginning(name, LABEL) for name, _ in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("candidate minus baseline", size=8.5, color=style.faint)


def _left_out(results: Results) -> list[Block]:
    texts = [f"{name}: {rows} rows are missing" for name, rows in results.missing.items() if rows]
    for each in results.candidates:
        texts += [f"perplexity: {rows} rows of {each.name} {why}" for why, rows in left_out(each).items()]
    shown = {column.name for column in results.columns}
    names = dict.fromkeys(name for each in results.candidates for item in each.items if item for name in item.scores)
    for name in names:
        if name not in shown:  # no row is scored for all: there is no column that would say so
            texts.append(f"{name}: no row is scored for every candidate that has it, and nothing is compared")
            for each in results.candidates:
                reasons = reasons_of(each.items, name)
                texts += [f"{name}: {rows} rows of {each.name} not scored: {why}" for why, rows in reasons.items()]
    for column in results.columns:
        alone = ", ".join(f"{name} {rows}" for name, rows in column.unpaired.items() if rows)
        if alone:
            texts.append(f"{column.name}: rows that count for some candidates only are left out of all: {alone}")
        for name, reasons in column.unscored.items():
            texts += [f"{column.name}: {rows} rows of {name} not scored: {why}" for why, rows in reasons.items()]
    return [Heading("Rows left out"), *(Text(text, "warning") for text in texts)] if texts else []


def warnings(results: Results) -> list[str]:
    """The same, for the terminal."""
    return [block.text for block in _left_out(results)[1:] if isinstance(block, Text)]


def _worse_rows(results: Results) -> list[Block]:
    """The rows of regression sets that got worse, with prompt and both answers."""
    place = {row: index for index, row in enumerate(results.rows.ids)}
    items = {each.name: each.items for each in results.candidates}
    blocks: list[Block] = []
    for (name, candidate, _), checked in results.checked.items():
        if not checked.worse:
            continue
        lines: list[list[str]] = []
        for worse in checked.worse[:_SHOWN_ROWS]:
            ours, theirs = items[candidate][place[worse.id]], items[results.baseline][place[worse.id]]
            texts = [ours.prompt if ours else "", theirs.answer if theirs else "", ours.answer if ours else ""]
            cells = [worse.id, f"{worse.score} {worse.found:g}, required {worse.required:g}"]
            lines.append([*cells, *(ending(text or "") for text in texts)])
        columns = ["row", "score", "prompt", results.baseline, candidate]
        count, shown = len(checked.worse), len(lines)
        first = f", the first {shown} of {count}" if shown < count else ""
        blocks.append(Table(f"{name}: rows of {candidate} that got worse{first}", columns, lines))
    return [Heading("Regressions"), *blocks] if blocks else []


def _different_rows(results: Results) -> list[Block]:
    """Rows on which the candidates have different scores, the first of each kind."""
    lines: list[list[str]] = []
    for index, row in enumerate(results.rows.ids):
        items = [each.items[index] for each in results.candidates]
        marks = [
            {name: score.value for name, score in item.scores.items() if isinstance(score, Score)} if item else None
            for item in items
        ]
        known = [mark for mark in marks if mark]
        if len(known) < 2 or all(mark == known[0] for mark in known):
            continue
        reference = next((item.reference for item in items if item and item.reference is not None), "")
        prompt = next((item.prompt for item in items if item and item.prompt), "")
        answers = [ending(item.answer or "") if item else "–" for item in items]
        lines.append([row, ending(prompt), ending(reference or ""), *answers])
        if len(lines) == _SHOWN_ROWS:
            break
    if not lines:
        return []
    columns = ["row", "prompt", "reference", *(each.name for each in results.candidates)]
    return [Heading("Rows with different scores"), Table(f"The first {len(lines)}", columns, lines)]
